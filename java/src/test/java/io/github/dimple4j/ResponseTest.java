package io.github.dimple4j;

import static io.github.dimple4j.Template.slot;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.github.dimple4j.tokenizer.Tokenizer;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;

/** How a canvas is read: its end, its masks, its slots, its characters. */
class ResponseTest {
  private static final Tokenizer TOKENIZER = TinyModel.tokenizer();
  private static final Vocabulary VOCABULARY = new Vocabulary(info(), () -> TOKENIZER, TinyModel.PAD, TinyModel.IM_END);

  private static ModelInfo info() {
    return new ModelInfo("dimple", "ref", 272, 2048, 1, 32, 2, 1, 16, true, true, OptionalInt.of(TinyModel.MASK),
        OptionalInt.of(TinyModel.IM_START), OptionalInt.of(TinyModel.IM_END), OptionalInt.of(TinyModel.PAD), OptionalInt.of(TinyModel.IMAGE),
        false, 0, 0, 0, 0, 0, 0, 0, 0, 0, List.of());
  }

  private static Canvas canvas(String text) {
    int[] tokens = TOKENIZER.encode(text);
    return new Canvas(Response.ofOneSlot(VOCABULARY, VOCABULARY.masks(tokens.length)), tokens);
  }

  /** A template's canvas whose masks are filled, from the left, with the tokens of a text. */
  private static Canvas filled(Template template, int length, String text) {
    Response response = template.layOut(VOCABULARY, length);
    int[] tokens = response.tokens().clone();
    int[] fill = TOKENIZER.encode(text);
    for (int i = 0, next = 0; i < tokens.length && next < fill.length; i++) {
      if (tokens[i] == TinyModel.MASK) {
        tokens[i] = fill[next++];
      }
    }
    return new Canvas(response, tokens);
  }

  @Test
  void textEndsAtEndOfTurnOrPadding() {
    assertThat(canvas("a cat<|im_end|> dog").text()).isEqualTo("a cat");
    assertThat(canvas("a cat<|endoftext|> dog<|im_end|>").text()).isEqualTo("a cat");
    assertThat(canvas("<|im_end|>a").text()).isEmpty();
    assertThat(canvas("a<|im_end|>").finish()).isEqualTo(Finish.END_OF_TEXT);
    assertThat(canvas("a cat").finish()).isEqualTo(Finish.LENGTH);
    assertThat(canvas("a<|mask|><|im_end|>").finish()).isEqualTo(Finish.MASKED);
  }

  @Test
  void masksAreShown() {
    Canvas canvas = canvas("a<|mask|> dog<|mask|><|endoftext|><|mask|>");
    assertThat(canvas.text()).isEqualTo("a░ dog░");
    assertThat(canvas.text("_")).isEqualTo("a_ dog_");
    assertThat(canvas.text("")).isEqualTo("a dog");
    assertThat(canvas.remaining()).isEqualTo(3);
    assertThat(canvas.isMasked(1)).isTrue();
    assertThat(canvas.isMasked(0)).isFalse();
    assertThat(canvas.pieces()).containsExactly("a", "░", " dog", "░", "", "");
    assertThat(canvas.pieces("")).containsExactly("a", "", " dog", "", "", "");
  }

  @Test
  void charactersOfSeveralTokensStayWhole() {
    Canvas canvas = canvas("é€cat");
    assertThat(canvas.pieces()).containsExactly("", "é", "", "", "€", "cat");
    assertThat(canvas.text()).isEqualTo("é€cat");
    int[] tokens = canvas.tokens();
    tokens[3] = TinyModel.MASK;
    Canvas torn = new Canvas(Response.ofOneSlot(VOCABULARY, tokens), tokens);
    assertThat(torn.text()).isEqualTo("é\uFFFD░\uFFFDcat");
    assertThat(torn.pieces("")).containsExactly("", "é", "\uFFFD", "", "\uFFFD", "cat");
  }

  @Test
  void idsOutsideTheTokenizerAndControlTokensDoNoHarm() {
    int[] tokens = {257, 270, TinyModel.IM_START, 257};
    assertThat(new Canvas(Response.ofOneSlot(VOCABULARY, tokens), tokens).text()).isEqualTo("cat\uFFFDcat");
  }

  @Test
  void templateLaysOutTextAndSlots() {
    Response response = Template.of("cat dog", slot(2), Template.tokens(7, 8), slot(1)).layOut(VOCABULARY, 0);
    assertThat(response.tokens()).containsExactly(257, 260, TinyModel.MASK, TinyModel.MASK, 7, 8, TinyModel.MASK);
    assertThat(response.segments()).containsExactly(new Response.Segment(0, 2, false), new Response.Segment(2, 4, true),
        new Response.Segment(4, 6, false), new Response.Segment(6, 7, true));
    assertThat(Template.of("cat", "").layOut(VOCABULARY, 3).segments())
        .containsExactly(new Response.Segment(0, 1, false), new Response.Segment(1, 3, true));
  }

  @Test
  void slotsEndByThemselves() {
    Template template = Template.of("{", slot(3), "; ", slot(2), "}");
    Canvas canvas = filled(template, 0, "cat<|endoftext|><|endoftext|>ab");
    assertThat(canvas.text()).isEqualTo("{cat; ab}");
    assertThat(canvas.slots()).containsExactly("cat", "ab");
    assertThat(canvas.finish()).isEqualTo(Finish.LENGTH);
    assertThat(filled(template, 0, "cat").text("_")).isEqualTo("{cat__; __}");
    Canvas open = filled(template, 20, "catcatcatcatcatcat<|im_end|>");
    assertThat(open.slots()).containsExactly("catcatcat", "catcat", "cat");
    assertThat(filled(template, 9, "cat".repeat(5) + "<|im_end|><|im_end|>").finish()).isEqualTo(Finish.LENGTH);
  }

  @Test
  void templatesOfOtherThingsAreRefused() {
    assertThatExceptionOfType(InvalidArgumentException.class).isThrownBy(() -> Template.of("a", 3)).withMessageContaining("Integer");
    assertThatExceptionOfType(InvalidArgumentException.class).isThrownBy(Template::of);
    assertThatExceptionOfType(InvalidArgumentException.class).isThrownBy(() -> slot(0));
    assertThatExceptionOfType(NullPointerException.class).isThrownBy(() -> Template.of("a", null));
  }

  @Test
  void canvasesAreValues() {
    Canvas canvas = canvas("cat dog");
    assertThat(canvas).isEqualTo(canvas("cat dog")).hasSameHashCodeAs(canvas("cat dog")).isNotEqualTo(canvas("dog cat"));
    assertThat(canvas).hasToString(Arrays.toString(canvas.tokens()));
    canvas.tokens()[0] = 1;
    assertThat(canvas.token(0)).isEqualTo(257);
    assertThat(canvas.length()).isEqualTo(2);
    assertThat(List.of(canvas.token(0), canvas.token(1))).containsExactly(257, 260);
  }
}
