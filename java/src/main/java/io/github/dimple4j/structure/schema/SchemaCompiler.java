package io.github.dimple4j.structure.schema;

import io.github.dimple4j.structure.ByteAutomaton;
import io.github.dimple4j.structure.RefusedSchemaException;
import io.github.dimple4j.structure.SchemaOptions;
import io.github.dimple4j.structure.automaton.Dfa;
import io.github.dimple4j.structure.automaton.Graph;
import io.github.dimple4j.structure.automaton.TooManyStatesException;
import tools.jackson.databind.JsonNode;

/** From a schema to its automaton. */
public final class SchemaCompiler {
  /** Values of which a schema says nothing nest this deep, or less where the states would not suffice. */
  private static final int DEPTH = 3;

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
    for (int depth = DEPTH;; depth--) {
      try {
        SchemaGraph graph = new SchemaGraph(terms, options, depth);
        int start = graph.response(whole);
        if (start == Graph.NONE) {
          throw new RefusedSchemaException("#", "no value fits the schema");
        }
        return Automata.overBytes(Dfa.of(graph.graph(), start, Dfa.BYTES, options.maxStates()));
      } catch (TooManyStatesException tooMany) {
        if (depth == 0) {
          throw new RefusedSchemaException("#", "needs more than " + options.maxStates() + " states");
        }
      } catch (StackOverflowError deep) {
        throw new RefusedSchemaException("#", "nests too deep");
      }
    }
  }
}
