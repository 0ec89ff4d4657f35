package io.github.dimple4j.core;

/**
 * {@code dimple_finding}: what {@link Core#check} found in a model's file, or a model runs without.
 *
 * @param kind what it is about
 * @param text of a problem the message that loading fails with, otherwise the key's or tensor's name
 */
public record Finding(Kind kind, String text) {
  /** What is unknown, as people read it: {@code "key NAME"} or {@code "tensor NAME"}. */
  public String name() {
    return (kind == Kind.UNKNOWN_KEY ? "key " : "tensor ") + text;
  }

  /** {@code dimple_finding_kind}. */
  public enum Kind {
    /** Loading fails. */
    PROBLEM,
    /** The file loads only without what the key asks for. */
    UNKNOWN_KEY,
    /** The file loads only without the tensor. */
    UNKNOWN_TENSOR
  }
}
