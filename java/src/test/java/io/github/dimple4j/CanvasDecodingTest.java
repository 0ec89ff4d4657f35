package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.github.dimple4j.tokenizer.GoldenTokenizer;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Decodings that denoise one canvas after another: until a canvas is settled its tokens are shown, but are no answer. */
class CanvasDecodingTest {
  private static final int CANVAS = 8;
  private static final int LENGTH = 3 * CANVAS;

  @TempDir static Path folder;
  private static DimpleModel model;

  @BeforeAll
  static void load() throws IOException {
    model = DimpleModel.load(TinyModel.ofCanvases(GoldenTokenizer.sentencePiece("gemma4", false), CANVAS).write(folder.resolve("model.gguf")));
  }

  @AfterAll
  static void close() {
    model.close();
  }

  private static Session session() {
    return model.session().prompt("Say something.").responseLength(LENGTH).open();
  }

  private static Decoding.Builder decoding() {
    return model.decoding().toBuilder().steps(4);
  }

  /** What the turns before have computed is taken over, and answers are as without. */
  @Test
  void aConversationComputesWhatIsNewAlone() throws IOException {
    String template = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}";
    try (DimpleModel talking = DimpleModel.load(file().put("tokenizer.chat_template", template).write(folder.resolve("talking.gguf")));
        Conversation keeps = talking.conversation().responseLength(LENGTH).keepPrefix(true)) {
      Conversation alone = talking.conversation().responseLength(LENGTH);
      int before = 0;
      for (String question : List.of("Say something.", "And then?", "Why?")) {
        Generation expected = alone.ask(question);
        assertThat(keeps.ask(question).tokens()).isEqualTo(expected.tokens());
        assertThat(alone.takenOver()).isZero();
        assertThat(keeps.takenOver()).as(question).isGreaterThanOrEqualTo(before).isLessThan(expected.promptTokens());
        before = expected.promptTokens() - 1; // the prompt of this turn begins the next one's, but for how its last token is joined
      }
      keeps.keepPrefix(false).ask("So?");
      assertThat(keeps.takenOver()).isZero();
    }
  }

  /** What stands on a canvas before it is settled completes no text. */
  @Test
  void endingEarlyWaitsForCanvasesToBeSettled() {
    try (Session session = session()) {
      for (int seed = 0; seed < 20; seed++) {
        Generation whole = session.decode(decoding().seed(seed).earlyStop(false).build());
        Generation early = session.decode(decoding().seed(seed).earlyStop(true).build());
        assertThat(early.text()).isEqualTo(whole.text());
        assertThat(early.iterations()).isBetween(2, whole.iterations()); // padding ends a text, and no canvas is settled at once
        assertThat(early.finish()).isEqualTo(whole.finish());
      }
    }
  }

  @Test
  void remainingCountsWhatIsNotSettled() {
    try (Session session = session()) {
      List<Integer> remaining = new ArrayList<>();
      for (Step step : session.steps(decoding().stabilityThreshold(5).earlyStop(false).build())) {
        remaining.add(step.remaining());
      }
      List<Integer> expected = List.of(24, 24, 24, 16, 16, 16, 16, 8, 8, 8, 8, 0);
      assertThat(remaining).isEqualTo(expected.subList(0, remaining.size()));
    }
  }

  @Test
  void aBudgetThatRunsOutLeavesTheRestMasked() {
    try (Session session = session()) {
      Generation answer = session.decode(decoding().stabilityThreshold(5).iterationBudget(6).build());
      assertThat(answer.finish()).isEqualTo(Finish.BUDGET);
      assertThat(answer.iterations()).isEqualTo(6);
      assertSettledAlone(answer.canvas(), CANVAS);
    }
  }

  @Test
  void aCancelledDecodingLeavesTheRestMasked() {
    try (Session session = session()) {
      Iterator<Step> steps = session.steps(decoding().stabilityThreshold(5).build()).iterator();
      for (int i = 0; i < 10; i++) {
        steps.next();
      }
      session.cancel();
      assertThatExceptionOfType(CancelledException.class).isThrownBy(steps::next);
      Generation answer = session.generation();
      assertThat(answer.finish()).isEqualTo(Finish.CANCELLED);
      assertSettledAlone(answer.canvas(), 2 * CANVAS);
    }
  }

  private static void assertSettledAlone(Canvas canvas, int settled) {
    for (int i = 0; i < canvas.length(); i++) {
      assertThat(canvas.isMasked(i)).as("position %d", i).isEqualTo(i >= settled);
    }
  }

  private static TinyModel file() throws IOException {
    return TinyModel.ofCanvases(GoldenTokenizer.sentencePiece("gemma4", false), CANVAS);
  }

  /** Keys that llama.cpp's converter may write are defaults. */
  @Test
  void theFileSaysHowItIsDecoded() throws IOException {
    Decoding usual = model.decoding();
    assertThat(usual.steps()).isEmpty();
    assertThat(usual.gamma()).isEqualTo(0.1f);
    TinyModel file = file().put("diffusion.eb_max_steps", 3).put("diffusion.eb_t_min", 0.25f).put("diffusion.eb_t_max", 0.5f)
        .put("diffusion.eb_entropy_bound", 0.75f).put("diffusion.eb_stability_threshold", 5).put("diffusion.eb_confidence_threshold", 0.125f);
    try (DimpleModel own = DimpleModel.load(file.write(folder.resolve("own.gguf")));
        Session session = own.session().prompt("Say something.").responseLength(LENGTH).open()) {
      Decoding decoding = own.decoding();
      assertThat(decoding.steps()).hasValue(3);
      assertThat(List.of(decoding.tMin(), decoding.tMax(), decoding.gamma(), decoding.confidenceThreshold())).containsExactly(0.25f, 0.5f, 0.75f, 0.125f);
      assertThat(decoding.stabilityThreshold()).isEqualTo(5);
      assertThat(session.decode(decoding.toBuilder().earlyStop(false).build()).iterations()).isIn(3, 6, 9);
    }
  }

  @Test
  void settingsOfAFileThatCannotBeAreRefused() throws IOException {
    refuses("diffusion.eb_max_steps", 0);
    refuses("diffusion.eb_stability_threshold", 65);
    refuses("diffusion.eb_t_min", -1f);
    refuses("diffusion.eb_t_min", 0f); // and t_max is not
    refuses("diffusion.eb_t_max", Float.NaN);
    refuses("diffusion.eb_entropy_bound", Float.POSITIVE_INFINITY);
    refuses("diffusion.eb_confidence_threshold", "low");
    refuses("diffusion.eb_other", 1); // not known
  }

  private static void refuses(String key, Object value) throws IOException {
    Path path = file().put(key, value).write(folder.resolve("bad.gguf"));
    assertThatExceptionOfType(DimpleException.class).as(key).isThrownBy(() -> DimpleModel.load(path).close()).withMessageContaining(key);
  }

  @Test
  void givenTokensStay() {
    int token = model.tokenizer().encode("a")[0];
    try (Session session = model.session().prompt("Say something.").responseLength(LENGTH).prior(3, token).prior(20, token).open()) {
      Generation answer = session.decode(decoding().stabilityThreshold(5).iterationBudget(2).build());
      assertThat(answer.canvas().token(3)).isEqualTo(token);
      assertThat(answer.canvas().token(20)).isEqualTo(token);
      assertThat(answer.canvas().remaining()).isEqualTo(LENGTH - 2);
      for (Step step : session.steps(decoding().build())) {
        assertThat(step.canvas().token(3)).isEqualTo(token);
      }
    }
  }
}
