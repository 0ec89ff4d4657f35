package io.github.dimple4j.structure.schema;

import io.github.dimple4j.structure.RefusedSchemaException;
import io.github.dimple4j.structure.SchemaOptions;
import io.github.dimple4j.structure.automaton.Graph;
import java.util.List;
import tools.jackson.databind.JsonNode;

/** The texts of all values that a schema admits, to be put into graphs. For one thread. */
public final class SchemaTexts {
  /**
   * What a schema leaves open is held as far as the states suffice: of these steps the first whose graph is small enough is to be taken.
   *
   * @param depth how deep values nest of which the schema says nothing
   * @param longest code points of a string whose length has an upper bound
   * @param states that a graph of this step may have; the last step takes as many as there may be
   */
  public record Step(int depth, int longest, int states) {
    /** From the most generous to the least. */
    public static final List<Step> ALL = List.of(new Step(5, 1000, 8_000), new Step(4, 1000, 30_000), new Step(3, 500, 80_000),
        new Step(2, 500, 120_000), new Step(1, 250, 200_000), new Step(0, 100, Integer.MAX_VALUE));
  }

  private static final int STRING_STATES = 20_000;

  private final Terms terms;
  private final Term whole;
  private final SchemaOptions options;
  private final String mark;

  /**
   * Reads a schema.
   *
   * @param root the schema
   * @param options which texts are wanted
   * @param mark how the token is spelled that frames strings; null: they are JSON's
   */
  public SchemaTexts(JsonNode root, SchemaOptions options, String mark) {
    this.terms = new Terms(new SchemaDocument(root), Math.min(STRING_STATES, options.maxStates()));
    this.whole = terms.of(root, false);
    this.options = options;
    this.mark = mark;
  }

  /**
   * Puts them into a graph over bytes.
   *
   * @param graph where to
   * @param step how much of what is left open
   * @param to the state behind the text
   * @return the state before it
   * @throws RefusedSchemaException if the schema is not held, or no value fits it
   */
  public int before(Graph graph, Step step, int to) {
    terms.languages.limitLengths(step.longest);
    try {
      SchemaGraph texts = new SchemaGraph(terms, options, mark, graph, step.depth);
      int start = texts.value(whole, to);
      if (start == Graph.NONE) {
        throw texts.leftOut() != null ? texts.leftOut() : new RefusedSchemaException("#", "no value fits the schema");
      }
      return start;
    } catch (StackOverflowError deep) {
      throw new RefusedSchemaException("#", "nests too deep");
    }
  }
}
