package io.github.dimple4j.structure;

import io.github.dimple4j.InvalidArgumentException;
import java.util.Objects;

/**
 * Which of the texts of a schema's values are produced. Each choice takes a part of what the schema admits and never more.
 *
 * @param spacing white space behind commas and colons
 * @param keyOrder the order in which the keys of an object come
 * @param openObjects whether objects take properties that the schema does not mention, where it is silent about them ({@code true} is
 *     what JSON Schema says, for judging texts; {@code false} is for producing them: a schema then means what it spells out. An object
 *     of which nothing is spelled out takes properties in any case)
 * @param maxStates states that the automaton may have, at least 1
 */
public record SchemaOptions(Spacing spacing, KeyOrder keyOrder, boolean openObjects, int maxStates) {
  /** The order of keys. */
  public enum KeyOrder {
    /** As the schema has them: {@code properties} first, then what is brought in, then names that are only required. */
    SCHEMA,
    /** By their code points. */
    ALPHABETICAL
  }

  /** What the core takes ({@code dimple.h}). */
  static final int MOST_PRODUCED = 65_536;
  private static final int MOST_JUDGED = 250_000;

  /**
   * For producing: with or without blanks, as the model prefers (docs/structure.md has what it costs to say which), in the schema's order,
   * closed.
   */
  public static final SchemaOptions PRODUCING = new SchemaOptions(Spacing.EITHER, KeyOrder.SCHEMA, false, MOST_PRODUCED);
  /** For judging: with or without blanks, in the schema's order, open. */
  public static final SchemaOptions JUDGING = new SchemaOptions(Spacing.EITHER, KeyOrder.SCHEMA, true, MOST_JUDGED);

  /** Checks the values. */
  public SchemaOptions {
    Objects.requireNonNull(spacing, "spacing");
    Objects.requireNonNull(keyOrder, "keyOrder");
    if (maxStates < 1) {
      throw new InvalidArgumentException("maxStates is " + maxStates + ", expected at least 1");
    }
  }

  /**
   * The same with other white space.
   *
   * @param other behind commas and colons
   * @return the options
   */
  public SchemaOptions withSpacing(Spacing other) {
    return new SchemaOptions(other, keyOrder, openObjects, maxStates);
  }

  /**
   * The same with another order of keys.
   *
   * @param other of the keys of objects
   * @return the options
   */
  public SchemaOptions withKeyOrder(KeyOrder other) {
    return new SchemaOptions(spacing, other, openObjects, maxStates);
  }

  /**
   * The same with objects open or closed.
   *
   * @param open whether objects are open
   * @return the options
   */
  public SchemaOptions withOpenObjects(boolean open) {
    return new SchemaOptions(spacing, keyOrder, open, maxStates);
  }

  /**
   * The same with another limit of states.
   *
   * @param limit states that the automaton may have, at least 1
   * @return the options
   */
  public SchemaOptions withMaxStates(int limit) {
    return new SchemaOptions(spacing, keyOrder, openObjects, limit);
  }
}
