package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.dimple4j.gguf.TensorType;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Decoding in blocks beyond what the authors' code does: any block length, any model, to the last mask, one session for many decodings. */
class BlockDecodingTest {
  private static final int LENGTH = 21;
  private static final int FIXED = 9;

  private static Decoding.Builder llada() {
    return Decoding.builder().earlyStop(false).pipeline(Pipeline.LLADA).threshold(0);
  }

  /** Whatever decodes in blocks and goes with any model. Some of them leave masks where the authors' code ends. */
  private static List<Decoding> everyModels() {
    List<Decoding> all = new ArrayList<>();
    for (BlockCache cache : BlockCache.values()) {
      for (int length : new int[] {0, 1, 4, 5, 100}) {
        all.add(llada().cache(cache).blockLength(length).build());
        all.add(llada().cache(cache).blockLength(length).steps(7).build());
        all.add(llada().cache(cache).blockLength(length).threshold(0.2f).steps(5).build());
        all.add(llada().cache(cache).blockLength(length).factor(1.3f).steps(1).build());
        all.add(llada().cache(cache).blockLength(length).algorithm(Algorithm.ENTROPY_BOUND).gamma(3).steps(4).build());
        all.add(llada().cache(cache).blockLength(length).algorithm(Algorithm.CREDIT).threshold(0.3f).build());
        all.add(llada().cache(cache).blockLength(length).algorithm(Algorithm.HIERARCHY).threshold(0.6f).lowThreshold(0.1f).build());
        if (cache.ordinal() >= BlockCache.PREFIX.ordinal()) {
          Decoding.Builder dream = Decoding.builder().earlyStop(false).pipeline(Pipeline.DREAM).cache(cache).blockLength(length);
          all.add(dream.steps(LENGTH).build());
          all.add(dream.steps(1).build());
          all.add(dream.algorithm(Algorithm.CONFIDENCE_THRESHOLD).threshold(0.2f).build());
        } else {
          all.add(llada().cache(cache).blockLength(length).guidanceScale(0.7f).noEosLogits(true).noEosConfidence(true).build());
          all.add(llada().cache(cache).blockLength(length).algorithm(Algorithm.KLASS).threshold(0.1f).klThreshold(0.5f).steps(3).build());
        }
      }
    }
    all.add(llada().blockLength(6).temperature(0.8f).seed(3).build());
    all.add(llada().blockLength(6).temperature(0.8f).topP(0.9f).originalConfidence(false).algorithm(Algorithm.ORIGIN).seed(4).build());
    all.add(Decoding.builder().earlyStop(false).pipeline(Pipeline.DREAM).algorithm(Algorithm.KLASS).threshold(0.2f).steps(4).build());
    return all;
  }

  private static List<Decoding> unshiftedModels() {
    List<Decoding> all = new ArrayList<>(everyModels());
    for (int length : new int[] {0, 5, 8}) {
      all.add(llada().blockLength(length).algorithm(Algorithm.WINO).threshold(0.05f).thresholdBack(0.5f).build());
      all.add(llada().blockLength(length).algorithm(Algorithm.WINO).threshold(0.2f).thresholdBack(0.99f).temperature(0.5f).build());
    }
    return all;
  }

  /** A model, what goes with it, and a prompt. */
  private record Case(String name, DimpleModel model, int[] prompt, List<Decoding> decodings) implements AutoCloseable {
    Session session() {
      return model.session().tokens(prompt).responseLength(LENGTH).prior(FIXED, 7).threads(1).open();
    }

    @Override
    public void close() {
      model.close();
    }

    @Override
    public String toString() {
      return name;
    }
  }

  static Stream<Case> cases() {
    BlockGolden llada = BlockGolden.named("llada-eos");
    BlockGolden dream = BlockGolden.named("dream");
    Golden dimple = Golden.named("alpha");
    int[] prompt = {5, 300, 41, 8, 77};
    return Stream.of(new Case("llada", llada.load("auto"), prompt, unshiftedModels()), new Case("dream", dream.load("auto"), prompt, everyModels()),
        new Case("dimple", dimple.load(TensorType.F32, "auto"), new int[] {5, 30, 41}, everyModels()));
  }

  /** The tokens after each iteration. */
  private static List<List<Integer>> canvases(Session session, Decoding decoding) {
    List<List<Integer>> all = new ArrayList<>();
    session.steps(decoding).forEach(step -> all.add(IntStream.of(step.canvas().tokens()).boxed().toList()));
    return all;
  }

  @ParameterizedTest
  @MethodSource("cases")
  void everyPositionIsRevealedOnceAndWhatIsFixedStays(Case models) {
    try (models; Session session = models.session()) {
      for (Decoding decoding : models.decodings()) {
        Set<Integer> revealed = new HashSet<>(Set.of(FIXED));
        Step last = null;
        for (Step step : session.steps(decoding)) {
          assertThat(revealed).as("%s", decoding).containsAll(step.remasked());
          assertThat(step.remasked()).doesNotContain(FIXED);
          step.remasked().forEach(revealed::remove);
          step.revealed().forEach(reveal -> assertThat(revealed.add(reveal.position())).as("%s %s", decoding, reveal).isTrue());
          assertThat(step.remaining()).isEqualTo(LENGTH - revealed.size());
          last = step;
        }
        assertThat(last.remaining()).as("%s", decoding).isZero();
        assertThat(last.canvas().token(FIXED)).isEqualTo(7);
        assertThat(session.generation().revealed()).isEqualTo(LENGTH - 1);
      }
    }
  }

  /** What a session keeps between decodings is of no consequence: neither states of the first pass nor keys and values. */
  @ParameterizedTest
  @MethodSource("cases")
  void decodingsDoNotDisturbEachOther(Case models) {
    List<Decoding> mixed = new ArrayList<>(models.decodings());
    for (int i = 0; i < models.decodings().size(); i += 5) {
      mixed.add(Decoding.builder().earlyStop(false).threshold(0.3f).build());
      mixed.add(Decoding.builder().earlyStop(false).pipeline(Pipeline.DREAM).build());
    }
    Collections.shuffle(mixed, new java.util.Random(5));
    try (models; Session one = models.session()) {
      for (Decoding decoding : mixed.subList(0, 50)) {
        try (Session fresh = models.session()) {
          assertThat(canvases(one, decoding)).as("%s", decoding).isEqualTo(canvases(fresh, decoding));
        }
      }
    }
  }

  /** With the whole response as one block, the prefix cache is the prompt's: what the pipelines dim and dream keep in any case. */
  @ParameterizedTest
  @MethodSource("cases")
  void theCacheOfOneBlockIsThePromptsOwn(Case models) {
    Decoding oneByOne = llada().cache(BlockCache.PREFIX).steps(LENGTH).build();
    Decoding dim = Decoding.builder().earlyStop(false).threshold(0).steps(10000).build(); // levels so close that one goes at a time
    try (models; Session session = models.session()) {
      assertThat(canvases(session, oneByOne)).isEqualTo(canvases(session, dim));
    }
  }

  /** An iteration that was interrupted comes again as if nothing had been. */
  @ParameterizedTest
  @MethodSource("cases")
  void interruptedIterationsAreRepeated(Case models) throws InterruptedException {
    try (models; Session session = models.session()) {
      for (Decoding decoding : models.decodings().subList(models.decodings().size() - 12, models.decodings().size())) {
        List<List<Integer>> expected = canvases(session, decoding);
        List<List<Integer>> found = new ArrayList<>();
        Thread nuisance = Thread.ofPlatform().start(() -> {
          while (!Thread.currentThread().isInterrupted()) {
            session.cancel();
            java.util.concurrent.locks.LockSupport.parkNanos(300_000);
          }
        });
        var steps = session.steps(decoding).iterator();
        while (steps.hasNext()) {
          try {
            found.add(IntStream.of(steps.next().canvas().tokens()).boxed().toList());
          } catch (CancelledException e) {
            continue; // and again
          }
        }
        nuisance.interrupt();
        nuisance.join();
        absorbCancellation(session);
        assertThat(found).as("%s", decoding).isEqualTo(expected);
      }
    }
  }

  private static void absorbCancellation(Session session) {
    try {
      session.logits();
    } catch (CancelledException e) {
      return; // there was one left
    }
  }

  /** Where dInfer's decoding is over, what follows the end of the text is end of text. */
  @Test
  void positionsBehindTheEndOfTheTextAreFilled() {
    BlockGolden golden = BlockGolden.named("llada-eos");
    BlockGolden.Run run = golden.runs().stream().filter(r -> r.name().equals("114-dinfer-hierarchy-0.5-0.1-40-10")).findFirst().orElseThrow();
    try (DimpleModel model = golden.load("auto");
        Session session = model.session().tokens(run.prompt()).responseLength(run.length()).threads(1).open()) {
      int eos = model.info().eosTokenId().orElseThrow();
      int mask = model.info().maskTokenId().orElseThrow();
      Decoding.Builder builder = llada().algorithm(Algorithm.HIERARCHY).threshold(0.5f).lowThreshold(0.1f).blockLength(10);
      int[] whole = session.decode(builder.build()).tokens();
      int[] authors = session.decode(builder.complete(false).build()).tokens();
      assertThat(authors).isEqualTo(run.last()).contains(mask);
      assertThat(whole).isEqualTo(IntStream.of(authors).map(token -> token == mask ? eos : token).toArray());
    }
  }

  @Test
  void winoNeedsRowsThatScoreThemselves() {
    try (DimpleModel model = BlockGolden.named("dream").load("auto"); Session session = model.session().tokens(new int[] {5}).responseLength(4).open()) {
      Decoding wino = llada().algorithm(Algorithm.WINO).build();
      assertThatThrownBy(() -> session.decode(wino)).isInstanceOf(UnsupportedException.class).hasMessageContaining("wino");
    }
  }
}
