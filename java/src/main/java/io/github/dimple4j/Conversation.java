package io.github.dimple4j;

import io.github.dimple4j.arguments.Elements;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.OptionalInt;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import java.util.stream.Stream;

/**
 * Several turns of questions and answers. Each answer sees all turns before it, pictures too:
 *
 * <pre>{@code
 * Conversation talk = model.conversation().system("Be brief.");
 * String answer = talk.ask("What is in the picture?", Image.read(Path.of("cat.jpg"))).text();
 * String colour = talk.ask("And what colour is it?").text(); // sees the turn before it
 * }</pre>
 *
 * <p>What users and system say is text, whatever it spells. A turn counts once its answer is there: after a failure, or when the thread was
 * interrupted, the conversation is as it was before. It holds no memory outside the Java heap between the turns and needs no closing, unless it is to
 * ({@link #keepPrefix}); what the vision tower made of the pictures is kept there, so that a turn without a new one begins without the tower.
 *
 * <p>For one thread at a time, but for {@link #cancel}.
 */
public final class Conversation implements AutoCloseable {
  private final DimpleModel model;
  private final List<Turn> turns = new ArrayList<>();
  private String system; // null: the model's own
  private Decoding decoding;
  private OptionalInt responseLength = OptionalInt.empty(); // the library's default
  private OptionalInt canvasLength = OptionalInt.empty(); // an answer is one canvas
  private int threads;
  private boolean prefillCache = true;
  private KvType kvType = KvType.F32;
  private boolean keepPrefix;
  private Session kept; // of the latest turn, if it is kept
  private int takenOver;
  private List<Image> seen = List.of(); // pictures of all turns of which the features are kept
  private float[][] features = {}; // shared between forks, never changed
  private final AtomicBoolean asking = new AtomicBoolean();
  private volatile boolean cancelled; // while it is asked
  private volatile Session answering; // null: nothing is being answered, or not yet

  Conversation(DimpleModel model) {
    this.model = model;
  }

  private Conversation(Conversation other) {
    this(other.model);
    turns.addAll(other.turns);
    system = other.system;
    decoding = other.decoding;
    responseLength = other.responseLength;
    canvasLength = other.canvasLength;
    threads = other.threads;
    prefillCache = other.prefillCache;
    kvType = other.kvType;
    keepPrefix = other.keepPrefix;
    seen = other.seen;
    features = other.features;
  }

  /**
   * Sets the system message, which stands before all turns.
   *
   * @param text what the model is told to be; null: what its template says without
   * @return this
   */
  public Conversation system(String text) {
    system = text;
    return this;
  }

  /**
   * Sets how answers are decoded.
   *
   * @param decoding the settings; until then {@link DimpleModel#decoding()}
   * @return this
   */
  public Conversation decoding(Decoding decoding) {
    this.decoding = Objects.requireNonNull(decoding, "decoding");
    return this;
  }

  /**
   * Sets how many tokens an answer may have.
   *
   * @param tokens as {@link SessionBuilder#responseLength}; until then 64
   * @return this
   */
  public Conversation responseLength(int tokens) {
    responseLength = OptionalInt.of(tokens);
    return this;
  }

  /**
   * Fills answers canvas after canvas, until their end.
   *
   * @param tokens as {@link SessionBuilder#canvasLength}; until then an answer is one canvas
   * @return this
   */
  public Conversation canvasLength(int tokens) {
    canvasLength = OptionalInt.of(tokens);
    return this;
  }

  /**
   * Limits the threads.
   *
   * @param threads as {@link SessionBuilder#threads}
   * @return this
   */
  public Conversation threads(int threads) {
    this.threads = threads;
    return this;
  }

  /**
   * Chooses whether keys and values of the prompt are kept from the first pass of an answer.
   *
   * @param keep as {@link SessionBuilder#prefillCache}
   * @return this
   */
  public Conversation prefillCache(boolean keep) {
    prefillCache = keep;
    return this;
  }

  /**
   * Chooses what keys and values are kept in.
   *
   * @param type as {@link SessionBuilder#kvType}
   * @return this
   */
  public Conversation kvType(KvType type) {
    kvType = Objects.requireNonNull(type, "type");
    return this;
  }

  /**
   * Chooses whether the keys and values of a turn stay until the next one, which then computes its own tokens alone, as
   * {@link Session#takePrefix} has it: where positions see their block and those before it, the turns before, up to where they are written
   * otherwise than they were generated, without thoughts, say. Of {@link Pipeline#DIFFUSION_GEMMA} canvases of the answer are among them, but
   * for its last one. Answers are the same. It takes the memory of a session ({@link SessionMemory}) between the turns, and of two during one;
   * {@link #close} and {@link #reset} give it back. The default is false.
   *
   * @param keep whether they stay
   * @return this
   */
  public Conversation keepPrefix(boolean keep) {
    keepPrefix = keep;
    if (!keep) {
      keep(null);
    }
    return this;
  }

  /**
   * How many tokens of the latest turn's prompt the turn before had computed.
   *
   * @return 0 without {@link #keepPrefix}
   */
  public int takenOver() {
    return takenOver;
  }

  private void keep(Session session) {
    if (kept != null) {
      kept.close();
    }
    kept = session;
  }

  /** Gives back what {@link #keepPrefix} keeps; the turns stay, and it can go on. Idempotent. */
  @Override
  public void close() {
    keep(null);
  }

  /**
   * Says something and waits for the answer.
   *
   * @param text what is said
   * @param images pictures, which stand in front of the text
   * @return the answer, which is a turn now
   * @throws ContextLimitException if all turns, this one and its answer do not fit the context
   * @throws CancelledException after {@link #cancel}, or when the thread is interrupted
   * @throws DimpleException as {@link SessionBuilder#open} and {@link Session#decode} do
   */
  public Generation ask(String text, Image... images) {
    List<Part> parts = new ArrayList<>(Elements.of(images, "images"));
    parts.add(Part.text(text));
    return ask(parts, step -> {});
  }

  /**
   * Says something, and shows the answer while it fills in.
   *
   * @param parts texts and pictures in order
   * @param watcher called after each iteration, by this thread
   * @return the answer, which is a turn now
   * @throws SessionStateException if it is being answered, be it this watcher that asks
   * @throws DimpleException as {@link #ask(String, Image...)} does
   */
  public Generation ask(List<? extends Part> parts, Consumer<? super Step> watcher) {
    Turn question = new Turn("user", Elements.of(parts, "parts"));
    Objects.requireNonNull(watcher, "watcher");
    if (!asking.compareAndSet(false, true)) {
      throw busy();
    }
    cancelled = false;
    try {
      return answer(question, watcher);
    } finally {
      asking.set(false);
    }
  }

  /** What changes the turns would change those that an answer belongs to. */
  private static SessionStateException busy() {
    return new SessionStateException("the conversation is being answered: its turns change when the answer is there");
  }

  private void refuseWhileAsked() {
    if (asking.get()) {
      throw busy();
    }
  }

  private Generation answer(Turn question, Consumer<? super Step> watcher) {
    Decoding how = decoding == null ? model.decoding() : decoding;
    List<Image> pictures = Stream.concat(turns.stream(), Stream.of(question)).flatMap(turn -> turn.parts().stream()).filter(Image.class::isInstance)
        .map(Image.class::cast).toList();
    Session session = open(question, how);
    try {
      answering = session;
      if (cancelled) { // before there was a session
        session.cancel();
      }
      boolean known = !pictures.isEmpty() && pictures.equals(seen);
      if (known) {
        session.setImageFeatures(features);
      }
      int before = kept == null ? 0 : session.takePrefix(kept);
      session.steps(how).forEach(watcher);
      if (!known && !pictures.isEmpty()) {
        features = session.imageFeatures();
        seen = pictures;
      }
      Generation answer = session.generation();
      turns.add(question);
      turns.add(new Turn("assistant", List.of(Part.text(answer.text()))));
      takenOver = before;
      keep(keepPrefix && how.pipeline().seesBlocks() ? session : null);
      return answer;
    } finally {
      answering = null;
      if (session != kept) {
        session.close();
      }
    }
  }

  /** Of the pictures of all turns, as the tower made them; no rows before there is one. */
  float[][] features() {
    return features;
  }

  private Session open(Turn question, Decoding how) {
    SessionBuilder builder = model.session().threads(threads).prefillCache(prefillCache).kvType(kvType).wholeBlocks(how);
    if (system != null) {
      builder.system(system);
    }
    responseLength.ifPresent(builder::responseLength);
    canvasLength.ifPresent(builder::canvasLength);
    turns.forEach(turn -> add(turn, builder));
    add(question, builder);
    return builder.open();
  }

  private static void add(Turn turn, SessionBuilder builder) {
    if (turn.role().equals("assistant")) {
      builder.assistant(turn.text());
    } else {
      builder.user(turn.parts().toArray(Part[]::new));
    }
  }

  /** Stops the answer under way, which then fails with {@link CancelledException}; does nothing between answers. Any thread. */
  public void cancel() {
    cancelled = true;
    Session session = answering;
    if (session != null) {
      session.cancel();
    }
  }

  /**
   * The turns until now.
   *
   * @return a copy: of the user and of the assistant in turn, oldest first
   */
  public List<Turn> turns() {
    return List.copyOf(turns);
  }

  /**
   * Adds a turn that was had elsewhere: a question and its answer.
   *
   * @param question what was said
   * @param answer what was answered
   * @return this
   * @throws SessionStateException if it is being answered
   */
  public Conversation add(List<? extends Part> question, String answer) {
    Turn asked = new Turn("user", Elements.of(question, "question"));
    Turn answered = new Turn("assistant", List.of(Part.text(answer)));
    refuseWhileAsked();
    turns.add(asked);
    turns.add(answered);
    return this;
  }

  /**
   * Forgets all turns; system message and settings stay.
   *
   * @return this
   * @throws SessionStateException if it is being answered
   */
  public Conversation reset() {
    refuseWhileAsked();
    turns.clear();
    keep(null);
    seen = List.of();
    features = new float[0][];
    return this;
  }

  /**
   * Copies the conversation, so that it can go on in two ways.
   *
   * @return another one with the same turns and settings
   */
  public Conversation fork() {
    return new Conversation(this);
  }

  /**
   * How far the conversation is, for logs.
   *
   * @return for example {@code "Conversation[3 turns, dimple on cpu-avx2]"}
   */
  @Override
  public String toString() {
    return "Conversation[" + turns.size() + " turns, " + model.info().architecture() + " on " + model.info().backend() + "]";
  }
}
