package io.github.dimple4j.langchain4j;

import dev.langchain4j.exception.InvalidRequestException;
import dev.langchain4j.exception.UnsupportedFeatureException;
import dev.langchain4j.model.chat.Capability;
import dev.langchain4j.model.chat.ChatModel;
import dev.langchain4j.model.chat.StreamingChatModel;
import dev.langchain4j.model.chat.listener.ChatModelListener;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.request.ChatRequestParameters;
import dev.langchain4j.model.chat.response.ChatResponse;
import io.github.dimple4j.CancelledException;
import io.github.dimple4j.ContextLimitException;
import io.github.dimple4j.Decoding;
import io.github.dimple4j.DimpleModel;
import io.github.dimple4j.Generation;
import io.github.dimple4j.ImageException;
import io.github.dimple4j.InvalidArgumentException;
import io.github.dimple4j.Session;
import io.github.dimple4j.UnsupportedException;
import io.github.dimple4j.chat.ChatTemplateException;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Semaphore;
import java.util.function.Supplier;

/**
 * LangChain4j's chat model on a {@link DimpleModel} in the same process:
 *
 * <pre>{@code
 * try (DimpleModel dimple = DimpleModel.load(file)) {
 *   ChatModel model = DimpleChatModel.builder(dimple).responseLength(48).build();
 *   interface Describer { Scene describe(@UserMessage String question, @UserMessage ImageContent picture); }
 *   Scene scene = AiServices.create(Describer.class, model).describe("Summarize the image as JSON.", picture);
 * }
 * }</pre>
 *
 * <p>A JSON schema and the calls of tools are held by an automaton at every iteration: an answer that does not parse, or a call whose
 * arguments do not fit, does not come, and nothing is asked twice. {@link Capability#RESPONSE_FORMAT_JSON_SCHEMA} says so to {@code AiServices}.
 *
 * <p>What a request asks and this model cannot do is refused by name, with {@link UnsupportedFeatureException}: penalties, another model's
 * name, audio, pictures by address, stop sequences with JSON or tools. What is wrong is an {@link InvalidRequestException}. An interrupted
 * thread ends its request with {@link CancelledException}.
 *
 * <p>Immutable and thread-safe. The {@link DimpleModel} stays the caller's, who closes it.
 */
public final class DimpleChatModel implements ChatModel {
  private final DimpleModel dimple;
  private final String name;
  private final Decoding decoding;
  private final int responseLength;
  private final int mostCalls;
  private final PictureFeatures features;
  private final PictureOrder pictureOrder;
  private final List<ChatModelListener> listeners;
  private final ChatRequestParameters defaults;
  private final Semaphore places;

  private DimpleChatModel(Builder builder) {
    dimple = builder.dimple;
    name = dimple.metadata("general.name").map(Object::toString).orElse(dimple.info().architecture());
    decoding = builder.decoding == null ? dimple.decoding() : builder.decoding;
    responseLength = builder.responseLength;
    mostCalls = builder.mostCalls;
    features = new PictureFeatures(builder.keptPictures);
    pictureOrder = builder.pictureOrder;
    listeners = builder.listeners;
    defaults = builder.defaults;
    places = new Semaphore(builder.parallel, true);
  }

  /**
   * Starts a chat model.
   *
   * @param dimple the model; it is not closed with this
   * @return a builder
   */
  public static Builder builder(DimpleModel dimple) {
    return new Builder(dimple);
  }

  /**
   * The same model, which tells of its answer as it becomes known.
   *
   * @return a view; both share what {@link Builder#parallel} allows
   */
  public StreamingChatModel streaming() {
    return new DimpleStreamingChatModel(this);
  }

  @Override
  public ChatResponse doChat(ChatRequest request) {
    return understood(() -> {
      Question question = new Question(this, Objects.requireNonNull(request, "request"));
      enter();
      try (Session session = question.open()) {
        return question.response(session, Thread.currentThread().isVirtual() ? decodeElsewhere(session, question.howDecoded())
            : session.decode(question.howDecoded()));
      } finally {
        leave();
      }
    });
  }

  /** A call into the core would keep a virtual thread's carrier. */
  private static Generation decodeElsewhere(Session session, Decoding decoding) {
    CompletableFuture<Generation> decoded = session.decodeAsync(decoding);
    try {
      return decoded.get();
    } catch (InterruptedException e) {
      decoded.cancel(true);
      Thread.currentThread().interrupt();
      throw new CancelledException("the thread was interrupted");
    } catch (ExecutionException e) {
      throw e.getCause() instanceof RuntimeException failure ? failure : new IllegalStateException(e.getCause());
    }
  }

  /** Waits until the request may run. */
  void enter() {
    try {
      places.acquire();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new CancelledException("the thread was interrupted");
    }
  }

  void leave() {
    places.release();
  }

  /** What LangChain4j's callers know of as a wrong request becomes one. */
  static <T> T understood(Supplier<T> body) {
    try {
      return body.get();
    } catch (UnsupportedException e) {
      UnsupportedFeatureException unsupported = new UnsupportedFeatureException(e.getMessage());
      unsupported.initCause(e);
      throw unsupported;
    } catch (InvalidArgumentException | ContextLimitException | ImageException | ChatTemplateException e) {
      throw new InvalidRequestException(e.getMessage(), e);
    }
  }

  @Override
  public ChatRequestParameters defaultRequestParameters() {
    return defaults;
  }

  @Override
  public List<ChatModelListener> listeners() {
    return listeners;
  }

  @Override
  public Set<Capability> supportedCapabilities() {
    return Set.of(Capability.RESPONSE_FORMAT_JSON_SCHEMA);
  }

  DimpleModel dimple() {
    return dimple;
  }

  String name() {
    return name;
  }

  Decoding decoding() {
    return decoding;
  }

  int responseLength() {
    return responseLength;
  }

  PictureFeatures features() {
    return features;
  }

  int mostCalls() {
    return mostCalls;
  }

  PictureOrder pictureOrder() {
    return pictureOrder;
  }

  /**
   * The model, for logs.
   *
   * @return for example {@code "DimpleChatModel[dimple-mini, response of 64]"}
   */
  @Override
  public String toString() {
    return "DimpleChatModel[" + name + ", response of " + responseLength + "]";
  }

  /** Collects a chat model's settings. For one thread. */
  public static final class Builder {
    private static final int RESPONSE_LENGTH = 64; // as in the rest of the library
    private static final int PARALLEL = 4;
    private static final long KEPT_PICTURES = 64 << 20;

    private final DimpleModel dimple;
    private Decoding decoding; // null: the model's own
    private int responseLength = RESPONSE_LENGTH;
    private int parallel = PARALLEL;
    private int mostCalls = 1;
    private long keptPictures = KEPT_PICTURES;
    private PictureOrder pictureOrder = PictureOrder.FIRST;
    private List<ChatModelListener> listeners = List.of();
    private ChatRequestParameters defaults = ChatRequestParameters.builder().build();

    private Builder(DimpleModel dimple) {
      this.dimple = Objects.requireNonNull(dimple, "dimple");
    }

    /**
     * Says how answers are decoded. A request's temperature, top p, top k and stop sequences go before.
     *
     * @param decoding by default the model's own, {@link DimpleModel#decoding()}
     * @return this
     */
    public Builder decoding(Decoding decoding) {
      this.decoding = Objects.requireNonNull(decoding, "decoding");
      return this;
    }

    /**
     * Says how many tokens the canvas of an answer has, where a request does not ({@code maxOutputTokens}). A record or a call has to fit.
     *
     * @param tokens at least 1; 64 by default
     * @return this
     * @throws InvalidArgumentException if it is less than 1
     */
    public Builder responseLength(int tokens) {
      responseLength = atLeastOne("responseLength", tokens);
      return this;
    }

    /**
     * Says how many requests run at once, each in a session with its own memory; others wait in their order.
     *
     * @param requests at least 1; 4 by default
     * @return this
     * @throws InvalidArgumentException if it is less than 1
     */
    public Builder parallel(int requests) {
      parallel = atLeastOne("parallel", requests);
      return this;
    }

    private static int atLeastOne(String name, int value) {
      if (value < 1) {
        throw new InvalidArgumentException(name + " is " + value + ", expected at least 1");
      }
      return value;
    }

    /**
     * Says how many calls of tools an answer may have, if the model's format of calls takes several
     * ({@link io.github.dimple4j.chat.ToolSyntax#severalCalls}); all have to fit in the response.
     *
     * @param calls at least 1; 1 by default
     * @return this
     * @throws InvalidArgumentException if it is less than 1
     */
    public Builder mostCalls(int calls) {
      mostCalls = atLeastOne("mostCalls", calls);
      return this;
    }

    /**
     * Says how much of Java's heap is for what the vision tower made of the pictures of the latest requests: one with the same pictures, as a chat with
     * a memory sends it at every turn, begins without the tower.
     *
     * @param bytes at least 0; 64 MiB by default
     * @return this
     * @throws InvalidArgumentException if it is negative
     */
    public Builder keptPictures(long bytes) {
      if (bytes < 0) {
        throw new InvalidArgumentException("keptPictures is " + bytes + ", expected at least 0");
      }
      keptPictures = bytes;
      return this;
    }

    /**
     * Says where pictures stand in a message.
     *
     * @param order by default {@link PictureOrder#FIRST}
     * @return this
     */
    public Builder pictureOrder(PictureOrder order) {
      pictureOrder = Objects.requireNonNull(order, "order");
      return this;
    }

    /**
     * Says who hears of requests, responses and errors.
     *
     * @param all the listeners
     * @return this
     */
    public Builder listeners(List<ChatModelListener> all) {
      listeners = List.copyOf(Objects.requireNonNull(all, "all"));
      return this;
    }

    /**
     * Sets parameters that hold where a request says nothing.
     *
     * @param parameters temperature, response format, tools and so on
     * @return this
     */
    public Builder defaultRequestParameters(ChatRequestParameters parameters) {
      defaults = Objects.requireNonNull(parameters, "parameters");
      return this;
    }

    /**
     * Makes the model.
     *
     * @return the model
     * @throws io.github.dimple4j.ClosedException if the model is closed
     */
    public DimpleChatModel build() {
      return new DimpleChatModel(this);
    }

    /**
     * What was set so far, for logs.
     *
     * @return for example {@code "Builder[DimpleModel[...], response of 64]"}
     */
    @Override
    public String toString() {
      return "Builder[" + dimple + ", response of " + responseLength + "]";
    }
  }
}
