package io.github.dimple4j.structure.schema;

import io.github.dimple4j.structure.RefusedSchemaException;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import tools.jackson.databind.JsonNode;

/**
 * What a shape says of strings.
 *
 * @param only if not null, the only texts that fit, if they fit the rest
 * @param except texts that do not
 * @param least code points
 * @param most code points; {@link #UNBOUNDED} without end
 * @param matches what they match besides
 * @param unheld what cannot be held of the rule, or null
 */
record StringRule(Set<String> only, Set<String> except, long least, long most, List<Match> matches, RefusedSchemaException unheld) {
  static final long UNBOUNDED = Long.MAX_VALUE;
  static final StringRule ANY = new StringRule(null, Set.of(), 0, UNBOUNDED, List.of(), null);

  /**
   * A regular expression or a format.
   *
   * @param schema where it stands
   * @param keyword {@code pattern}, {@code format} or {@code patternProperties}
   * @param name the expression, or the format's name
   * @param negated whether texts that match do not fit
   */
  record Match(JsonNode schema, String keyword, String name, boolean negated) {
    @Override
    public boolean equals(Object other) {
      return other instanceof Match that && negated == that.negated && name.equals(that.name) && isFormat() == that.isFormat();
    }

    @Override
    public int hashCode() {
      return name.hashCode() * 2 + (negated ? 1 : 0);
    }

    boolean isFormat() {
      return keyword.equals("format");
    }
  }

  static StringRule only(Set<String> texts) {
    return new StringRule(texts, Set.of(), 0, UNBOUNDED, List.of(), null);
  }

  static StringRule except(Set<String> texts) {
    return new StringRule(null, texts, 0, UNBOUNDED, List.of(), null);
  }

  static StringRule matching(Match match) {
    return new StringRule(null, Set.of(), 0, UNBOUNDED, List.of(match), null);
  }

  static StringRule ofLength(long least, long most) {
    return new StringRule(null, Set.of(), least, most, List.of(), null);
  }

  static StringRule unheld(RefusedSchemaException refusal) {
    return new StringRule(null, Set.of(), 0, UNBOUNDED, List.of(), refusal);
  }

  StringRule and(StringRule other) {
    if (this == ANY || other == ANY) {
      return this == ANY ? other : this;
    }
    Set<String> both = only == null ? other.only : only;
    if (only != null && other.only != null) {
      both = new LinkedHashSet<>(only);
      both.retainAll(other.only);
    }
    Set<String> neither = new LinkedHashSet<>(except);
    neither.addAll(other.except);
    List<Match> all = new ArrayList<>(matches);
    other.matches.stream().filter(match -> !all.contains(match)).forEach(all::add);
    return new StringRule(both, neither, Math.max(least, other.least), Math.min(most, other.most), all,
        unheld == null ? other.unheld : unheld);
  }

  /** Whether only the lengths bound it. */
  boolean isPlain() {
    return only == null && except.isEmpty() && matches.isEmpty() && unheld == null;
  }

  boolean isPlainlyEmpty() {
    return least > most || only != null && only.isEmpty();
  }
}
