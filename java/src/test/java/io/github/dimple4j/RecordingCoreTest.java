package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.github.dimple4j.core.CoreException.Kind;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Flow;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** What each public class asks of the core, and what it makes of the answers, without the core. */
class RecordingCoreTest {
  private final RecordingCore core = new RecordingCore();

  private Session session(DimpleModel model, int length) {
    return model.session().tokens(new int[] {1, 2}).responseLength(length).open();
  }

  @Test
  void modelAndItsInfo() {
    try (DimpleModel model = core.model()) {
      ModelInfo info = model.info();
      assertThat(info.architecture()).isEqualTo("recorded");
      assertThat(info.maskTokenId()).hasValue(RecordingCore.MASK);
      assertThat(info.bosTokenId()).isEmpty();
      assertThat(model.metadata("general.name")).contains("a name");
      assertThat(model.metadata("general.none")).isEmpty();
      assertThat(model.metadataKeys()).containsExactly("general.name");
      assertThat(model.hasTokenizer()).isFalse();
      assertThat(model.imageGrid(5, 6)).isEqualTo(new ImageGrid(8, 8, 4, 4, 4));
    }
    assertThat(core.calls).startsWith("load[model.gguf, best, null, 3, false]").endsWith("model.free[]").contains("imageGrid[5, 6]");
  }

  @Test
  void builderGivesPromptPicturesAndResponse() {
    try (DimpleModel model = core.model()) {
      Image picture = Image.rgb(new byte[3 * 4 * 4], 4, 4);
      int[] prompt = {1, 8, 8, 8, 8};
      model.session().tokens(prompt, picture).responseLength(3).prior(1, 5).threads(2).contextLength(20).prefillCache(false).kvType(KvType.Q8_0)
          .prefill().close();
      assertThat(core.calls).containsSubsequence("imageGrid[4, 4]", "session[2, 20, false, 8]", "setPrompt[[1, 8, 8, 8, 8], [4x4]]",
          "setResponse[[9, 5, 9]]", "prefill[]", "session.free[]");
    }
  }

  @Test
  void templateBecomesTheResponse() {
    try (DimpleModel model = core.model();
        Session session = model.session().tokens(new int[] {1}).response(Template.of(Template.tokens(3, 4), Template.slot(2))).open()) {
      assertThat(core.calls).contains("setResponse[[3, 4, 9, 9]]");
      assertThat(session.responseLength()).isEqualTo(4);
    }
  }

  @Test
  void sessionDecodesUntilItIsDone() {
    try (DimpleModel model = core.model(); Session session = session(model, 2)) {
      Generation generation = session.decode(core.decoding().seed(5).build());
      assertThat(generation.tokens()).containsExactly(RecordingCore.REVEALED, RecordingCore.REVEALED);
      assertThat(generation.iterations()).isEqualTo(2);
      assertThat(generation.timings()).isEqualTo(new Timings(Duration.ofNanos(1), Duration.ofNanos(20), Duration.ofNanos(300)));
      assertThat(session.memory()).isEqualTo(new SessionMemory(4000, 50_000));
      assertThat(session.logits()).hasDimensions(4, 10);
      assertThat(session.imageFeatures()).isEmpty();
      session.replayDraws(new int[] {0}, new int[] {1}, new double[] {0});
    }
    assertThat(core.calls).filteredOn(call -> call.startsWith("begin")).singleElement().asString().contains("steps=2", "seed=5");
    assertThat(core.calls).contains("logits[4, 10]", "imageFeatures[0, 4]", "replayDraws[[0], [1], [0.0]]");
  }

  @Test
  void stepsAndCanvas() {
    try (DimpleModel model = core.model(); Session session = session(model, 2)) {
      List<Step> steps = new ArrayList<>();
      session.steps(core.decoding().build()).forEach(steps::add);
      assertThat(steps).hasSize(2);
      assertThat(steps.getFirst().revealed()).containsExactly(new Reveal(0, RecordingCore.REVEALED, 0.5f, -0.25f));
      Canvas canvas = steps.getFirst().canvas();
      assertThat(canvas.tokens()).containsExactly(RecordingCore.REVEALED, RecordingCore.MASK);
      assertThat(canvas.isMasked(1)).isTrue();
      assertThat(canvas.remaining()).isEqualTo(1);
    }
  }

  @Test
  void publisherRunsAnIterationPerRequest() throws Exception {
    try (DimpleModel model = core.model(); Session session = session(model, 3)) {
      CompletableFuture<Integer> seen = new CompletableFuture<>();
      session.publisher(core.decoding().build()).subscribe(new Flow.Subscriber<>() {
        private int count;

        @Override
        public void onSubscribe(Flow.Subscription subscription) {
          subscription.request(3);
        }

        @Override
        public void onNext(Step step) {
          count++;
        }

        @Override
        public void onError(Throwable failure) {
          seen.completeExceptionally(failure);
        }

        @Override
        public void onComplete() {
          seen.complete(count);
        }
      });
      assertThat(seen.get(30, TimeUnit.SECONDS)).isEqualTo(3);
      assertThat(core.calls).filteredOn("step[]"::equals).hasSize(3);
    }
  }

  @Test
  void decodingIsCheckedByTheCoreWhenItIsBuilt() {
    Decoding decoding = core.decoding().threshold(0.5f).algorithm(Algorithm.ENTROPY).pipeline(Pipeline.DREAM).originalConfidence(false).build();
    assertThat(core.calls).singleElement().asString().startsWith("validate").contains("threshold=0.5", "algorithm=5", "pipeline=1",
        "original_confidence=0").doesNotContain("steps");
    assertThat(decoding.toBuilder().build()).isEqualTo(decoding).hasSameHashCodeAs(decoding);
    assertThat(decoding.toBuilder().steps(4).build()).isNotEqualTo(decoding);
    assertThat(decoding.toString()).contains("threshold=0.5");
    core.fail("validate", Kind.ARGUMENT, "decoding: top_p is 7");
    assertThatExceptionOfType(InvalidArgumentException.class).isThrownBy(() -> decoding.toBuilder().topP(7).build())
        .withMessage("decoding: top_p is 7");
  }

  @Test
  void failuresBecomeWhatUsersKnow() {
    try (DimpleModel model = core.model(); Session session = session(model, 2)) {
      Map.<Kind, Class<? extends DimpleException>>of(Kind.ARGUMENT, InvalidArgumentException.class, Kind.IO, ModelFileException.class,
          Kind.FORMAT, ModelFileException.class, Kind.UNSUPPORTED, UnsupportedException.class, Kind.STATE, SessionStateException.class,
          Kind.LIMIT, ContextLimitException.class, Kind.CANCELLED, CancelledException.class, Kind.LIBRARY, LibraryException.class,
          Kind.MEMORY, DimpleException.class, Kind.NOT_FOUND, DimpleException.class).forEach((kind, type) -> {
            core.fail("prefill", kind, "it failed");
            assertThatExceptionOfType(type).as(kind.toString()).isThrownBy(session::prefill).withMessage("it failed");
          });
      session.prefill();
    }
    core.fail("load", Kind.FORMAT, "no magic");
    assertThatExceptionOfType(ModelFileException.class).isThrownBy(core::model).withMessage("no magic");
  }

  @Test
  void whatIsOpenedIsFreed() {
    DimpleModel model = core.model();
    Session session = session(model, 2);
    model.close();
    model.close();
    assertThat(core.calls).doesNotContain("model.free[]");
    session.cancel();
    session.close();
    session.close();
    assertThat(core.calls).containsSubsequence("cancel[]", "session.free[]", "model.free[]");
    assertThat(core.calls).filteredOn(call -> call.endsWith("free[]")).hasSize(2);
    core.fail("setPrompt", Kind.ARGUMENT, "bad prompt");
    try (DimpleModel other = core.model()) {
      assertThatExceptionOfType(InvalidArgumentException.class).isThrownBy(() -> session(other, 2));
      assertThat(core.calls).endsWith("session.free[]");
    }
  }
}
