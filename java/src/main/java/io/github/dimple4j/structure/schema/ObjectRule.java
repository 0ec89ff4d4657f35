package io.github.dimple4j.structure.schema;

import io.github.dimple4j.structure.RefusedSchemaException;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * What a shape says of objects.
 *
 * @param parts rules for the values, all of which hold
 * @param required names that are there
 * @param names what is said of all names, as of strings
 * @param least properties
 * @param most properties; {@link #UNBOUNDED} without end
 * @param unheld what cannot be held of the rule, or null
 */
record ObjectRule(List<Part> parts, Set<String> required, List<Term> names, long least, long most, RefusedSchemaException unheld) {
  static final long UNBOUNDED = Long.MAX_VALUE;
  static final ObjectRule ANY = new ObjectRule(List.of(), Set.of(), List.of(), 0, UNBOUNDED, null);

  /**
   * What one schema says of the values of an object.
   *
   * @param properties by name, in the schema's order
   * @param patterns by what the name matches
   * @param others of the properties that neither names nor patterns meet; null if the schema is silent, so that all fit
   */
  record Part(Map<String, Term> properties, List<PatternProperties> patterns, Term others) {}

  /** Properties whose name matches. */
  record PatternProperties(StringRule.Match name, Term value) {}

  static ObjectRule of(Part part) {
    return new ObjectRule(List.of(part), Set.of(), List.of(), 0, UNBOUNDED, null);
  }

  static ObjectRule requiring(Set<String> names) {
    return new ObjectRule(List.of(), names, List.of(), 0, UNBOUNDED, null);
  }

  static ObjectRule property(String name, Term value) {
    return of(new Part(Map.of(name, value), List.of(), null));
  }

  static ObjectRule ofSize(long least, long most) {
    return new ObjectRule(List.of(), Set.of(), List.of(), least, most, null);
  }

  static ObjectRule unheld(RefusedSchemaException refusal) {
    return new ObjectRule(List.of(), Set.of(), List.of(), 0, UNBOUNDED, refusal);
  }

  ObjectRule and(ObjectRule other) {
    if (this == ANY || other == ANY) {
      return this == ANY ? other : this;
    }
    List<Part> all = new ArrayList<>(parts);
    other.parts.stream().filter(part -> !all.contains(part)).forEach(all::add);
    Set<String> needed = new LinkedHashSet<>(required);
    needed.addAll(other.required);
    List<Term> ofNames = new ArrayList<>(names);
    ofNames.addAll(other.names);
    return new ObjectRule(all, needed, ofNames, Math.max(least, other.least), Math.min(most, other.most),
        unheld == null ? other.unheld : unheld);
  }

  boolean isPlainlyEmpty() {
    return least > most || required.size() > most;
  }

  /** All names that are spelled out, in order: those with a schema first, then those that are only required. */
  Set<String> spelledNames() {
    Set<String> all = new LinkedHashSet<>();
    parts.forEach(part -> all.addAll(part.properties.keySet()));
    all.addAll(required);
    return all;
  }
}
