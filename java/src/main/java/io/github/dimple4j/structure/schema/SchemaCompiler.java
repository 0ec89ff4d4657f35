package io.github.dimple4j.structure.schema;

import io.github.dimple4j.structure.ByteAutomaton;
import io.github.dimple4j.structure.RefusedSchemaException;
import io.github.dimple4j.structure.SchemaOptions;
import io.github.dimple4j.structure.automaton.Dfa;
import io.github.dimple4j.structure.automaton.Graph;
import io.github.dimple4j.structure.automaton.TooManyStatesException;
import java.util.List;
import tools.jackson.databind.JsonNode;

/** From a schema to its automaton. */
public final class SchemaCompiler {
  /**
   * What a schema leaves open is held as far as the states suffice: the first of these steps whose graph is small enough is taken.
   *
   * @param depth how deep values nest of which the schema says nothing
   * @param longest code points of a string whose length has an upper bound
   * @param graphStates states of the graph; the last step takes as many as there may be
   */
  private record Step(int depth, int longest, int graphStates) {}

  private static final List<Step> STEPS = List.of(new Step(5, 1000, 8_000), new Step(4, 1000, 30_000), new Step(3, 500, 80_000),
      new Step(2, 500, 160_000), new Step(1, 250, 240_000), new Step(0, 100, Integer.MAX_VALUE));

  private static final int STRING_STATES = 20_000;

  private SchemaCompiler() {}

  /**
   * Makes the automaton of a schema.
   *
   * @param root the schema
   * @param options which texts are wanted
   * @return the automaton
   * @throws RefusedSchemaException if the schema is not held
   */
  public static ByteAutomaton compile(JsonNode root, SchemaOptions options) {
    Terms terms = new Terms(new SchemaDocument(root), Math.min(STRING_STATES, options.maxStates()));
    Term whole = terms.of(root, false);
    try {
      for (Step step : STEPS) {
        ByteAutomaton automaton = compile(terms, whole, step, options);
        if (automaton != null) {
          return automaton;
        }
      }
    } catch (StackOverflowError deep) {
      throw new RefusedSchemaException("#", "nests too deep");
    }
    throw new RefusedSchemaException("#", "needs more than " + options.maxStates() + " states");
  }

  /** The automaton, or null if it is too large. */
  private static ByteAutomaton compile(Terms terms, Term whole, Step step, SchemaOptions options) {
    terms.languages.limitLengths(step.longest);
    SchemaGraph graph = new SchemaGraph(terms, options, step.depth, Math.min(step.graphStates, 2 * options.maxStates()));
    try {
      int start = graph.response(whole);
      if (start == Graph.NONE) {
        throw new RefusedSchemaException("#", "no value fits the schema");
      }
      return Automata.overBytes(Dfa.of(graph.graph(), start, Dfa.BYTES, options.maxStates()));
    } catch (TooManyStatesException tooMany) {
      return null;
    }
  }
}
