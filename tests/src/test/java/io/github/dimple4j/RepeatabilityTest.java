package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.dimple4j.gguf.TensorType;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Same file, settings and seed give the same tokens: whatever the number of threads, and whatever ran before or beside. */
class RepeatabilityTest {
  private static final Decoding HOT = Decoding.builder().earlyStop(false).threshold(0.3f).temperature(0.7f).seed(7).build();
  private static final List<Decoding> DECODINGS = List.of(HOT, HOT.toBuilder().topP(0.9f).topK(20).build(),
      Decoding.builder().earlyStop(false).threshold(0.1f).build(),
      HOT.toBuilder().algorithm(Algorithm.ORIGIN).threshold(0).build(), HOT.toBuilder().pipeline(Pipeline.DREAM).threshold(0).algorithmTemperature(0.5f).build());

  /** The same in a few iterations, for the larger model. */
  private static final List<Decoding> QUICK = DECODINGS.stream().map(decoding -> decoding.toBuilder().steps(5).build()).toList();

  static List<String> backends() {
    return Backends.all();
  }

  static Stream<String> kernels() {
    return Backends.all().stream().filter(backend -> !backend.equals("ref"));
  }

  private static Session open(DimpleModel model, int threads) {
    return model.session().user("What is in this picture?", Synthetic.scene()).responseLength(24).threads(threads).open();
  }

  private static int[] decode(DimpleModel model, int threads, Decoding decoding) {
    try (Session session = open(model, threads)) {
      return session.decode(decoding).tokens();
    }
  }

  @ParameterizedTest
  @MethodSource("kernels")
  void threadsChangeNothing(String backend) {
    boolean plain = backend.equals("cpu-plain"); // the slowest by far
    for (TensorType type : plain ? List.of(TensorType.Q4_0) : List.of(TensorType.F32, TensorType.F16, TensorType.Q8_0, TensorType.Q4_0)) {
      try (DimpleModel model = Synthetic.load(type, backend)) {
        try (Session one = open(model, 1)) {
          float[][] logits = one.logits();
          float[][] features = one.imageFeatures();
          List<int[]> tokens = QUICK.stream().map(decoding -> one.decode(decoding).tokens()).toList();
          for (int threads : new int[] {2, 3}) {
            try (Session session = open(model, threads)) {
              assertThat(session.imageFeatures()).as("%s, %d threads", type, threads).isDeepEqualTo(features);
              assertThat(session.logits()).as("%s, %d threads", type, threads).isDeepEqualTo(logits);
              for (int i = 0; i < tokens.size(); i++) {
                assertThat(session.decode(QUICK.get(i)).tokens()).as("%s, %d threads", type, threads).isEqualTo(tokens.get(i));
              }
            }
          }
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("backends")
  void threadsChangeNoGolden(String backend) {
    Golden golden = Golden.named("beta");
    try (DimpleModel model = golden.load(TensorType.F32, backend)) {
      SessionBuilder builder = golden.imageCase().session(model).responseLength(20);
      try (Session one = builder.threads(1).open(); Session two = builder.threads(2).open(); Session three = builder.threads(3).open()) {
        for (Decoding decoding : DECODINGS) {
          int[] tokens = one.decode(decoding).tokens();
          assertThat(two.decode(decoding).tokens()).isEqualTo(tokens);
          assertThat(three.decode(decoding).tokens()).isEqualTo(tokens);
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("kernels")
  void threadsThatLoadChangeNothing(String backend) {
    float[][] logits = null;
    for (int threads : new int[] {1, 2, 3}) {
      ModelOptions options = ModelOptions.builder().backend(backend).threads(threads).build();
      try (DimpleModel model = DimpleModel.load(Synthetic.file(TensorType.Q4_0), options); Session session = open(model, 1)) {
        logits = logits == null ? session.logits() : logits;
        assertThat(session.logits()).isDeepEqualTo(logits);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("kernels")
  void seedDecidesTheDraws(String backend) {
    try (DimpleModel model = Synthetic.load(TensorType.Q8_0, backend)) {
      Decoding hot = HOT.toBuilder().steps(5).build();
      int[] tokens = decode(model, 2, hot);
      assertThat(decode(model, 1, hot)).isEqualTo(tokens);
      for (long seed : new long[] {8, hot.seed() + (1L << 32), hot.seed() + (1L << 63)}) {
        assertThat(decode(model, 2, hot.toBuilder().seed(seed).build())).as("seed %d", seed).isNotEqualTo(tokens);
      }
      Decoding cold = hot.toBuilder().temperature(0).build();
      assertThat(decode(model, 2, cold.toBuilder().seed(1).build())).as("nothing is drawn").isEqualTo(decode(model, 2, cold.toBuilder().seed(2).build()));
    }
  }

  /** Several decodings on one prefill give what each gives on a prefill of its own, in any order. */
  @ParameterizedTest
  @MethodSource("kernels")
  void prefillServesManyDecodings(String backend) {
    Golden golden = Golden.named("alpha");
    try (DimpleModel model = golden.load(TensorType.F32, backend)) {
      for (boolean cache : new boolean[] {true, false}) {
        SessionBuilder builder = golden.imageCase().session(model).responseLength(12).prefillCache(cache);
        List<int[]> alone = DECODINGS.stream().map(decoding -> {
          try (Session session = builder.open()) {
            return session.decode(decoding).tokens();
          }
        }).toList();
        try (Session session = builder.prefill()) {
          for (int i : new int[] {0, 1, 2, 3, 4, 2, 0, 0, 4, 1}) {
            session.steps(DECODINGS.get(3)).iterator().next(); // a decoding that is given up leaves nothing behind
            assertThat(session.decode(DECODINGS.get(i)).tokens()).as("decoding %d", i).isEqualTo(alone.get(i));
          }
        }
      }
    }
  }

  @Test
  void sessionsSideBySideDoNotDisturbEachOther() {
    try (DimpleModel model = Synthetic.load(TensorType.Q4_0, "cpu")) {
      List<int[]> alone = QUICK.stream().map(decoding -> decode(model, 2, decoding)).toList();
      List<CompletableFuture<int[]>> together = IntStream.range(0, 2 * QUICK.size())
          .mapToObj(i -> CompletableFuture.supplyAsync(() -> decode(model, 1 + i % 3, QUICK.get(i % QUICK.size())))).toList();
      for (int i = 0; i < together.size(); i++) {
        assertThat(together.get(i).join()).isEqualTo(alone.get(i % alone.size()));
      }
    }
  }
}
