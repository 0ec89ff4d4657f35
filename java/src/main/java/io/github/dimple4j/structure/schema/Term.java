package io.github.dimple4j.structure.schema;

import java.util.List;

/**
 * A conjunction of schemas and of complements of schemas, in the order in which they were met. Made by {@link Terms}, which has one
 * object for each; compared by identity.
 */
final class Term {
  /** Each a schema's number, doubled, and 1 more for its complement. */
  final int[] literals;
  final int id;
  /** What it says of each type of value, made when first asked for. */
  List<Shape> shapes;
  /** Whether no value fits, as far as that is known. */
  Boolean empty;

  Term(int id, int[] literals) {
    this.id = id;
    this.literals = literals;
  }
}
