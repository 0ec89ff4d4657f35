package io.github.dimple4j.cli;

import io.github.dimple4j.Decoding;
import io.github.dimple4j.DimpleModel;
import io.github.dimple4j.Image;
import io.github.dimple4j.MachinePeaks;
import io.github.dimple4j.ModelInfo;
import io.github.dimple4j.Session;
import io.github.dimple4j.SessionBuilder;
import io.github.dimple4j.SessionMemory;
import io.github.dimple4j.Step;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.LongSupplier;

/** Measures a model: {@code dimple bench}. Everything is measured through the API, as a program sees it. */
final class Bench {
  /**
   * Times of one thing, in nanoseconds.
   *
   * @param median of an even number the upper one of the two in the middle
   */
  record Times(long median, long least, long largest) {
    static Times of(long[] times) {
      long[] sorted = times.clone();
      Arrays.sort(sorted);
      return new Times(sorted[sorted.length / 2], sorted[0], sorted[sorted.length - 1]);
    }
  }

  /**
   * Steps over a response.
   *
   * @param rows its positions
   * @param allMasked one position is decided: the head looks at all others
   * @param oneMasked all are decided but one
   */
  record StepTimes(int rows, Times allMasked, Times oneMasked) {
    /** What the masked positions cost beyond one: the head, and the last layer behind its keys and values, where only masked positions go on. */
    long head() {
      return Math.max(0, allMasked.median() - oneMasked.median());
    }
  }

  /**
   * All of it.
   *
   * @param peaks of the machine, measured last
   * @param firstLoad nanoseconds of the first loading in this process; whether the file was in memory is for the system to know
   * @param load loading again
   * @param vision null: no picture
   * @param residentPeak bytes; negative where the system does not say
   */
  record Result(Optional<MachinePeaks> peaks, ModelInfo info, long firstLoad, Times load, Times vision, int imageTokens, Times prefill, List<StepTimes> steps, SessionMemory memory,
      long residentPeak) {}

  private final EngineOptions engine;
  private final Path file;
  private final int repeat;

  Bench(EngineOptions engine, Path file, int repeat) {
    this.engine = engine;
    this.file = file;
    this.repeat = repeat;
  }

  Result run(int promptTokens, List<Integer> rows, int picture) throws IOException {
    long start = System.nanoTime();
    DimpleModel model = engine.load(file);
    long firstLoad = System.nanoTime() - start;
    try {
      model.close();
      Times load = measured(() -> {
        long begin = System.nanoTime();
        DimpleModel again = engine.load(file);
        long time = System.nanoTime() - begin;
        again.close();
        return time;
      });
      model = engine.load(file);
      return run(model, firstLoad, load, promptTokens, rows, picture);
    } finally {
      model.close();
    }
  }

  private Result run(DimpleModel model, long firstLoad, Times load, int promptTokens, List<Integer> rows, int picture) throws IOException {
    int[] prompt = prompt(model.info(), promptTokens);
    List<StepTimes> steps = new ArrayList<>();
    for (int count : rows) {
      steps.add(new StepTimes(count, step(model, prompt, count, false), step(model, prompt, count, true)));
    }
    Times prefill = measured(() -> {
      try (Session session = session(model).tokens(prompt).responseLength(1).prefill()) {
        return session.timings().prefill().toNanos();
      }
    });
    SessionMemory memory;
    int most = rows.stream().max(Integer::compare).orElseThrow();
    try (Session session = session(model).tokens(prompt).responseLength(most).prefill()) {
      session.steps(decoding(model, most)).iterator().next();
      memory = session.memory();
    }
    boolean sees = picture > 0 && model.info().hasVision() && model.info().imageTokenId().isPresent();
    int imageTokens = sees ? model.imageGrid(picture, picture).tokens() : 0;
    Times vision = sees ? vision(model, picture, imageTokens) : null;
    return new Result(engine.peaks(), model.info(), firstLoad, load, vision, imageTokens, prefill, steps, memory, residentPeak());
  }

  private SessionBuilder session(DimpleModel model) {
    return model.session().threads(engine.threads()).kvType(engine.kvType());
  }

  /** A warm-up, and then `repeat` measurements. */
  private Times measured(LongSupplier measurement) {
    measurement.getAsLong();
    long[] times = new long[repeat];
    for (int i = 0; i < repeat; i++) {
      times[i] = measurement.getAsLong();
    }
    return Times.of(times);
  }

  /** The step behind the first reveal of a decoding, on a response that was masked as a whole, or at its last two positions; before it the rows are those of prefilling. */
  private Times step(DimpleModel model, int[] prompt, int rows, boolean decided) {
    SessionBuilder builder = session(model).tokens(prompt).responseLength(rows);
    for (int position = 0; decided && position < rows - 2; position++) {
      builder.prior(position, prompt[position % prompt.length]);
    }
    Decoding decoding = decoding(model, rows);
    try (Session session = builder.prefill()) {
      return measured(() -> {
        Iterator<Step> each = session.steps(decoding).iterator();
        while (each.next().revealed().isEmpty()) {
          continue; // a step in which nothing changes needs no rows either
        }
        return each.next().time().toNanos();
      });
    }
  }

  /** As the model is decoded where nobody says otherwise, at most a position a step: without a threshold, or by one that nothing reaches. */
  private static Decoding decoding(DimpleModel model, int rows) {
    Decoding usual = model.decoding();
    boolean needsThreshold = usual.pipeline().countsFromPrompt() && usual.threshold() > 0;
    return usual.toBuilder().threshold(needsThreshold ? 1 : 0).steps(4 * rows).earlyStop(false).complete(false).build();
  }

  private Times vision(DimpleModel model, int side, int tokens) {
    byte[] pixels = new byte[side * side * 3];
    for (int i = 0; i < pixels.length; i++) {
      pixels[i] = (byte) (i * 31 >> 4);
    }
    Image image = Image.rgb(pixels, side, side);
    int[] prompt = new int[tokens + 1];
    Arrays.fill(prompt, model.info().imageTokenId().getAsInt());
    prompt[tokens] = prompt(model.info(), 1)[0];
    return measured(() -> {
      try (Session session = session(model).tokens(prompt, image).responseLength(1).prefill()) {
        return session.timings().vision().toNanos();
      }
    });
  }

  /** Token ids that are no special ones where those stand at the vocabulary's end, as they do. */
  private static int[] prompt(ModelInfo info, int length) {
    int[] tokens = new int[length];
    for (int i = 0; i < length; i++) {
      int token = 5 + i * 7 % Math.max(1, info.vocabSize() / 2);
      while (isSpecial(info, token)) {
        token++;
      }
      tokens[i] = token;
    }
    return tokens;
  }

  private static boolean isSpecial(ModelInfo info, int token) {
    for (OptionalInt special : List.of(info.maskTokenId(), info.imageTokenId(), info.eosTokenId(), info.padTokenId())) {
      if (special.isPresent() && special.getAsInt() == token) {
        return true;
      }
    }
    return false;
  }

  /** The processor's name, as far as the system says it. */
  static String processor() {
    return line(Path.of("/proc/cpuinfo"), "model name").orElse(System.getProperty("os.arch"));
  }

  private static long residentPeak() {
    return line(Path.of("/proc/self/status"), "VmHWM").map(text -> Long.parseLong(text.replaceAll("\\D", "")) * 1024).orElse(-1L);
  }

  private static Optional<String> line(Path file, String name) {
    try {
      return new String(Files.readAllBytes(file), StandardCharsets.UTF_8).lines().filter(line -> line.startsWith(name))
          .map(line -> line.substring(line.indexOf(':') + 1).strip()).findFirst();
    } catch (IOException e) {
      return Optional.empty();
    }
  }
}
