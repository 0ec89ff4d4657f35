package io.github.dimple4j.langchain4j;

import dev.langchain4j.model.chat.response.ChatResponseMetadata;
import io.github.dimple4j.Generation;
import java.util.Objects;

/** What a response has beyond LangChain4j's metadata: iterations, times, log-probabilities. Immutable. */
public final class DimpleChatResponseMetadata extends ChatResponseMetadata {
  private final Generation generation;

  private DimpleChatResponseMetadata(Builder builder) {
    super(builder);
    generation = builder.generation;
  }

  static Builder of(Generation generation) {
    return new Builder().generation(generation);
  }

  /**
   * The decoding that the response came from.
   *
   * @return canvas, figures and times
   */
  public Generation generation() {
    return generation;
  }

  @Override
  public Builder toBuilder() {
    return ((Builder) toBuilder(new Builder())).generation(generation);
  }

  @Override
  public boolean equals(Object other) {
    return super.equals(other) && generation.equals(((DimpleChatResponseMetadata) other).generation);
  }

  @Override
  public int hashCode() {
    return Objects.hash(super.hashCode(), generation);
  }

  /**
   * The metadata, for logs.
   *
   * @return for example {@code "DimpleChatResponseMetadata[dimple-mini, STOP, 2 iterations]"}
   */
  @Override
  public String toString() {
    return "DimpleChatResponseMetadata[" + modelName() + ", " + finishReason() + ", " + generation.iterations() + " iterations]";
  }

  /** Builds metadata. */
  public static final class Builder extends ChatResponseMetadata.Builder<Builder> {
    private Generation generation;

    private Builder() {}

    private Builder generation(Generation decoded) {
      generation = decoded;
      return this;
    }

    @Override
    public DimpleChatResponseMetadata build() {
      return new DimpleChatResponseMetadata(this);
    }
  }
}
