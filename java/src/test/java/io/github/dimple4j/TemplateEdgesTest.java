package io.github.dimple4j;

import static io.github.dimple4j.Template.choice;
import static io.github.dimple4j.Template.integer;
import static io.github.dimple4j.Template.list;
import static io.github.dimple4j.Template.number;
import static io.github.dimple4j.Template.optional;
import static io.github.dimple4j.Template.pattern;
import static io.github.dimple4j.Template.string;
import static io.github.dimple4j.Template.text;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.github.dimple4j.structure.ByteAutomaton;
import io.github.dimple4j.tokenizer.GoldenTokenizer;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Iterator;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Templates of odd parts (choices that begin alike, nothing but options, texts like control tokens, characters of many bytes) in responses that have
 * no position to spare, by random models and settings, one step, cancelled or under a budget: every answer is one that the template admits.
 */
class TemplateEdgesTest {
  private static final int DECODINGS = 8; // under a template with a model

  @TempDir static Path folder;
  private static List<DimpleModel> models;

  @BeforeAll
  static void load() throws IOException {
    models = List.of(load("bytes", TinyModel.ofText()),
        load("unshifted", TinyModel.ofText(GoldenTokenizer.data("bailingmoe")).put("diffusion.shift_logits", false)), // WINO needs it
        load("pieces", TinyModel.ofText(GoldenTokenizer.sentencePiece("gemma4", false))));
  }

  private static DimpleModel load(String name, TinyModel model) throws IOException {
    return DimpleModel.load(model.write(folder.resolve(name + ".gguf")));
  }

  @AfterAll
  static void close() {
    models.forEach(DimpleModel::close);
  }

  static List<Template> templates() {
    return List.of(Template.of(choice("a", "ab", "abc", "abcd", "")), Template.of(choice("")), Template.of(choice("x", "x")),
        Template.of(optional("pre "), choice("x", "xx"), optional(" post"), optional("!")), Template.of(optional("a"), optional("b")),
        Template.of(optional("a", optional("b", optional("c")))), Template.of(list(0, 3, ",", integer(0, 3))), Template.of(list(0, 5, "", "x")),
        Template.of(list(0, 5, ",", "")), Template.of(list(2, 4, ";", optional("x"))),
        Template.of(choice("<|im_end|>", "<|mask|>", "<|endoftext|>", "</s>", "<mask>", "<0x41>")),
        Template.of(choice("😀", "é", "e\u0301", "\u2028", "\u0000", "\t", "▁", " ▁", "  ", "\uFFFD", "\uFEFF")),
        Template.of(" ", choice(" a", "a ", "  "), " "), Template.of("\r\n", optional("\n"), choice("\n\n", "\r"), "\n"),
        Template.of(number(-1.5, 1.5)), Template.of(number(0.1, 0.1)), Template.of(string(1)), Template.of("[", text(1), "]"),
        Template.of(text(3), optional("END")), Template.of(pattern("(a|b)*?c{0,2}|d+\\p{L}?")), Template.of(pattern("")),
        Template.json("{\"const\":{\"a\":[\"😀\",null,1.50,\"\\u0000\"]}}"));
  }

  @ParameterizedTest
  @MethodSource("templates")
  void everyAnswerIsOneThatTheTemplateAdmits(Template template) {
    ByteAutomaton automaton = template.automaton().orElseThrow();
    Random random = new Random(template.toString().hashCode());
    for (DimpleModel model : models) {
      for (int i = 0; i < DECODINGS; i++) {
        int length = Math.max(1, automaton.shortest().length + random.nextInt(8));
        Decoding decoding = decoding(length, !model.info().shiftLogits(), random);
        try (Session session = model.session().prompt("Say.").response(template).responseLength(length).open()) {
          decode(session, decoding, random);
          Generation answer = session.generation();
          assertThat(automaton.accepts(answer.text().getBytes(StandardCharsets.UTF_8))).as("'%s' by %s, %d", answer.text(), decoding, length).isTrue();
          assertThat(answer.finish()).isIn(Finish.END_OF_TEXT, Finish.LENGTH);
        }
      }
    }
  }

  private static Decoding decoding(int length, boolean unshifted, Random random) {
    Decoding.Builder builder = Decoding.builder().seed(random.nextInt(100)).steps(random.nextBoolean() ? 1 : 1 + random.nextInt(2 * length))
        .temperature(random.nextInt(3) == 0 ? 0 : 1.5f);
    switch (random.nextInt(6)) {
      case 0 -> builder.pipeline(Pipeline.LLADA).blockLength(1 + random.nextInt(length)).threshold(random.nextFloat()).guidanceScale(0.7f);
      case 1 -> builder.pipeline(Pipeline.LLADA).blockLength(1 + random.nextInt(4)).threshold(0).cache(BlockCache.DUAL);
      case 2 -> builder.threshold(random.nextFloat()).topK(1).topP(0.3f);
      case 3 -> builder.threshold(0.5f).earlyStop(false).iterationBudget(1 + random.nextInt(3));
      case 4 -> builder.pipeline(Pipeline.LLADA).algorithm(unshifted ? Algorithm.WINO : Algorithm.CREDIT).threshold(0.1f);
      default -> builder.pipeline(Pipeline.LLADA).algorithm(Algorithm.KLASS).threshold(0.3f);
    }
    return builder.build();
  }

  private static void decode(Session session, Decoding decoding, Random random) {
    if (random.nextInt(4) > 0) {
      session.decode(decoding);
      return;
    }
    Iterator<Step> steps = session.steps(decoding).iterator();
    if (random.nextBoolean()) {
      steps.next();
    }
    if (steps.hasNext()) {
      session.cancel();
      assertThatExceptionOfType(CancelledException.class).isThrownBy(steps::next);
      if (random.nextBoolean()) {
        steps.next(); // goes on where it was
      }
    }
    session.complete();
  }

  @Test
  void aPositionTooFewIsSaidWithBothNumbers() {
    DimpleModel model = models.getFirst();
    try (Session session = model.session().prompt("Say.").response(Template.of(choice("abcd", "xyzzy"), "\u00e9")).responseLength(6).open()) {
      assertThat(session.decode(Decoding.defaults()).text()).isEqualTo("abcd\u00e9");
    }
    assertThatExceptionOfType(ContextLimitException.class).isThrownBy(() -> {
      try (Session session = model.session().prompt("Say.").response(Template.of(choice("abcd", "xyzzy"), "\u00e9")).responseLength(5).open()) {
        session.decode(Decoding.defaults());
      }
    }).withMessage("the shortest response that fits the constraint has 6 tokens, but the response has 5");
  }

  @ParameterizedTest
  @ValueSource(doubles = {Double.NaN, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY})
  void boundsThatAreNoNumbersAreRefused(double bound) {
    assertThatExceptionOfType(InvalidArgumentException.class).isThrownBy(() -> number(0, bound)).withMessage("a number's bound is " + bound);
    assertThatExceptionOfType(InvalidArgumentException.class).isThrownBy(() -> number(bound, 0)).withMessage("a number's bound is " + bound);
  }
}
