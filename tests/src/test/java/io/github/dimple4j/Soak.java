package io.github.dimple4j;

import io.github.dimple4j.structure.JsonSchema;
import io.github.dimple4j.structure.SchemaOptions;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Stream;

/**
 * The process of {@link SoakTest}: callers that open, decode and close sessions of one model, half of them on virtual threads, and others
 * that disturb them. Prints a line a minute with what became of the sessions and what the process holds; the last line has four numbers:
 * answers that are not as alone, and by how many KiB, threads and open files the process has grown since its warm-up.
 */
final class Soak {
  private static final int CALLERS = 8;
  private static final int QUESTIONS = 12;
  private static final String SCHEMA = "{\"type\": \"object\", \"properties\": {\"count\": {\"type\": \"integer\", \"minimum\": 0, "
      + "\"maximum\": 99}, \"kind\": {\"enum\": [\"red\", \"blue\"]}}, \"required\": [\"count\", \"kind\"], "
      + "\"additionalProperties\": false}";

  /** What becomes of a session. */
  enum Fate { ANSWERED, CANCELLED, CLOSED, INTERRUPTED, ABANDONED }

  /** A session to open and a decoding of it. */
  private record Question(SessionBuilder session, Decoding decoding) {}

  /** What a process holds. */
  private record Holdings(long residentKib, long threads, long files) {
    static Holdings now() throws IOException {
      System.gc();
      List<String> status = Files.readAllLines(Path.of("/proc/self/status"));
      try (Stream<Path> files = Files.list(Path.of("/proc/self/fd"))) {
        return new Holdings(number(status, "VmRSS:"), number(status, "Threads:"), files.count());
      }
    }

    private static long number(List<String> status, String name) {
      return Long.parseLong(status.stream().filter(line -> line.startsWith(name)).findFirst().orElseThrow().replaceAll("\\D", ""));
    }
  }

  /** Something that another thread does to a session at some moment, unless that is over by then. */
  private static final class Disturbance {
    private final Runnable action;
    private boolean over;

    Disturbance(Runnable action) {
      this.action = action;
    }

    synchronized void happen() {
      if (!over) {
        action.run();
      }
    }

    synchronized void end() {
      over = true;
    }
  }

  private final DimpleModel model;
  private final Image image;
  private final List<int[]> alone = new ArrayList<>();
  private final List<Long> nanosAlone = new ArrayList<>();
  private final Map<Fate, AtomicLong> fates = new ConcurrentSkipListMap<>();
  private final AtomicLong surprises = new AtomicLong();

  private Soak(DimpleModel model, Image image) {
    this.model = model;
    this.image = image;
    for (int number = 0; number < QUESTIONS; number++) {
      Question question = question(number);
      long start = System.nanoTime();
      try (Session session = question.session().open()) {
        alone.add(session.decode(question.decoding()).tokens());
      }
      nanosAlone.add(System.nanoTime() - start);
    }
  }

  public static void main(String[] arguments) throws IOException, InterruptedException, ExecutionException {
    long seconds = Long.parseLong(arguments[2]);
    try (DimpleModel model = DimpleModel.load(Path.of(arguments[0]))) {
      Soak soak = new Soak(model, Image.read(Path.of(arguments[1])));
      soak.run(Math.max(1, seconds / 10)); // what stays after that: compiled code, stacks, the C library's arenas
      soak.fates.clear();
      Holdings before = Holdings.now();
      System.out.println("0 s: " + before);
      Holdings after = before;
      for (long done = 0; done < seconds;) {
        long part = Math.min(60, seconds - done);
        soak.run(part);
        done += part;
        after = Holdings.now();
        System.out.printf("%d s: %s, %s%n", done, soak.fates, after);
      }
      System.out.printf("%s %d %d %d%n", soak.surprises, after.residentKib - before.residentKib, after.threads - before.threads,
          after.files - before.files);
    }
  }

  /** Decodings of every kind, with and without pictures, on one thread and on more. */
  private Question question(int number) {
    SessionBuilder session = model.session().threads(1 + number % 3);
    if (number % 4 == 3) {
      session.user("Question " + number, image);
    } else {
      session.user("Question " + number);
    }
    Decoding.Builder decoding = Decoding.builder().earlyStop(false).temperature(number % 3 * 0.5f).seed(number).steps(24);
    switch (number % 6) {
      case 0 -> {
        session.responseLength(8 + number).prefillCache(number > 0);
        decoding.threshold(0.02f);
      }
      case 1 -> session.response(Template.json(JsonSchema.of(SCHEMA), SchemaOptions.PRODUCING)).responseLength(48);
      case 2 -> {
        session.responseLength(24);
        decoding.pipeline(Pipeline.LLADA).blockLength(8).threshold(0.02f);
      }
      case 3 -> {
        session.responseLength(16);
        decoding.pipeline(Pipeline.DREAM).algorithm(Algorithm.ENTROPY);
      }
      case 4 -> {
        session.responseLength(32);
        decoding.pipeline(Pipeline.DREAM).blockLength(8).cache(number < 6 ? BlockCache.PREFIX : BlockCache.DUAL).steps(32);
      }
      default -> session.response(Template.of("One ", Template.slot(6), " two ", Template.slot(4)));
    }
    return new Question(session, decoding.build());
  }

  private void run(long seconds) throws InterruptedException, ExecutionException {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(seconds);
    try (var platform = Executors.newFixedThreadPool(CALLERS / 2);
        var virtual = Executors.newVirtualThreadPerTaskExecutor();
        var others = Executors.newScheduledThreadPool(2)) {
      List<Future<?>> callers = new ArrayList<>();
      for (int i = 0; i < CALLERS; i++) {
        var random = new Random(end + i);
        callers.add((i % 2 == 0 ? platform : virtual).submit(() -> call(others, random, end)));
      }
      for (Future<?> caller : callers) {
        caller.get();
      }
    }
  }

  private void call(ScheduledExecutorService others, Random random, long end) {
    while (System.nanoTime() < end) {
      int number = random.nextInt(QUESTIONS);
      Fate planned = Fate.values()[random.nextInt(Fate.values().length)];
      Question question = question(number);
      try (Session session = question.session().open()) {
        Thread caller = Thread.currentThread();
        var disturbance = new Disturbance(switch (planned) {
          case CANCELLED -> session::cancel;
          case CLOSED -> session::close;
          case INTERRUPTED -> caller::interrupt;
          case ANSWERED, ABANDONED -> () -> {};
        });
        others.schedule(disturbance::happen, random.nextLong(nanosAlone.get(number)), TimeUnit.NANOSECONDS);
        try {
          decode(session, question.decoding(), alone.get(number), planned == Fate.ABANDONED ? random.nextInt(4) : Integer.MAX_VALUE);
        } finally {
          disturbance.end();
          Thread.interrupted(); // nothing is left to the next session
        }
      } catch (CancelledException e) {
        count(planned);
      } catch (ClosedException e) {
        count(Fate.CLOSED);
      }
    }
  }

  /** Decodes to the end, or leaves after some iterations. */
  private void decode(Session session, Decoding decoding, int[] expected, int iterations) {
    int[] tokens = null;
    int left = iterations;
    for (Step step : session.steps(decoding)) {
      if (left-- == 0) {
        count(Fate.ABANDONED);
        return;
      }
      tokens = step.canvas().tokens();
    }
    count(Fate.ANSWERED);
    if (!Arrays.equals(tokens, expected)) {
      surprises.incrementAndGet();
    }
  }

  private void count(Fate fate) {
    fates.computeIfAbsent(fate, first -> new AtomicLong()).incrementAndGet();
  }
}
