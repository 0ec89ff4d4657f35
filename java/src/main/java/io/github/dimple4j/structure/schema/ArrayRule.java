package io.github.dimple4j.structure.schema;

import io.github.dimple4j.structure.RefusedSchemaException;
import java.util.ArrayList;
import java.util.List;

/**
 * What a shape says of arrays.
 *
 * @param parts rules for the items, all of which hold
 * @param least items
 * @param most items; {@link #UNBOUNDED} without end
 * @param distinct why it cannot be held that no two items are equal, or null: they may be
 * @param unheld what else cannot be held of the rule, or null
 */
record ArrayRule(List<Items> parts, long least, long most, RefusedSchemaException distinct, RefusedSchemaException unheld) {
  static final long UNBOUNDED = Long.MAX_VALUE;
  static final ArrayRule ANY = ofLength(0, UNBOUNDED);

  /**
   * A term for each of the first items, and one for all others, null for any.
   */
  record Items(List<Term> first, Term others) {}

  static ArrayRule unheld(RefusedSchemaException refusal) {
    return new ArrayRule(List.of(), 0, UNBOUNDED, null, refusal);
  }

  static ArrayRule distinct(RefusedSchemaException refusal) {
    return new ArrayRule(List.of(), 0, UNBOUNDED, refusal, null);
  }

  static ArrayRule of(Items items) {
    return new ArrayRule(List.of(items), 0, UNBOUNDED, null, null);
  }

  static ArrayRule ofLength(long least, long most) {
    return new ArrayRule(List.of(), least, most, null, null);
  }

  ArrayRule and(ArrayRule other) {
    List<Items> all = new ArrayList<>(parts);
    other.parts.stream().filter(part -> !all.contains(part)).forEach(all::add);
    return new ArrayRule(all, Math.max(least, other.least), Math.min(most, other.most), distinct == null ? other.distinct : distinct,
        unheld == null ? other.unheld : unheld);
  }

  boolean isPlainlyEmpty() {
    return least > most;
  }

  /** How many of the first items have a rule of their own. */
  int firstItems() {
    return parts.stream().mapToInt(part -> part.first.size()).max().orElse(0);
  }

  /** What is said of an item. */
  List<Term> item(int index) {
    return parts.stream().map(part -> index < part.first.size() ? part.first.get(index) : part.others).filter(java.util.Objects::nonNull)
        .toList();
  }
}
