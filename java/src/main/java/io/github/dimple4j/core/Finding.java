package io.github.dimple4j.core;

/**
 * {@code dimple_finding}: what {@link Core#check} found in a model's file.
 *
 * @param kind what it is about
 * @param text of a problem the message that loading fails with, otherwise the key's or tensor's name
 */
public record Finding(Kind kind, String text) {
  /** {@code dimple_finding_kind}. */
  public enum Kind {
    /** Loading fails. */
    PROBLEM,
    /** The file loads, and what the key asks for is not done. */
    UNKNOWN_KEY,
    /** The file loads, and the tensor is not used. */
    UNKNOWN_TENSOR
  }
}
