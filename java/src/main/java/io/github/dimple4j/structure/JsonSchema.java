package io.github.dimple4j.structure;

import io.github.dimple4j.InvalidArgumentException;
import io.github.dimple4j.json.MalformedJsonException;
import io.github.dimple4j.json.StrictJson;
import io.github.dimple4j.structure.automaton.Dfa;
import io.github.dimple4j.structure.automaton.Graph;
import io.github.dimple4j.structure.automaton.TooManyStatesException;
import io.github.dimple4j.structure.schema.SchemaTexts;
import java.util.Objects;
import tools.jackson.databind.JsonNode;

/**
 * A JSON Schema of which an automaton over the bytes of a response can be made: one that accepts JSON texts of values that the schema
 * admits, and no others. What cannot be held exactly is refused by name; docs/structure.md has the list.
 *
 * <p>Immutable; any thread.
 */
public final class JsonSchema {
  private final JsonNode root;

  private JsonSchema(JsonNode root) {
    this.root = root;
  }

  /**
   * Reads a schema.
   *
   * @param text JSON: an object, {@code true} or {@code false}
   * @return the schema
   * @throws InvalidArgumentException if the text is not JSON, has a key twice in an object, or is no schema
   */
  public static JsonSchema of(String text) {
    Objects.requireNonNull(text, "text");
    try {
      JsonNode read = StrictJson.DECIMALS.read(text);
      if (read.isMissingNode()) {
        throw new InvalidArgumentException("the schema is an empty text, expected an object, true or false");
      }
      return of(read);
    } catch (MalformedJsonException wrong) {
      throw new InvalidArgumentException("the schema is not JSON: " + wrong.getMessage());
    }
  }

  /**
   * A schema that was read already.
   *
   * @param root an object, {@code true} or {@code false}
   * @return the schema
   * @throws InvalidArgumentException if it is something else
   */
  public static JsonSchema of(JsonNode root) {
    if (!Objects.requireNonNull(root, "root").isObject() && !root.isBoolean()) {
      throw new InvalidArgumentException("a schema is an object, true or false, not " + root.getNodeType());
    }
    return new JsonSchema(root);
  }

  /**
   * Makes the automaton.
   *
   * @param options which texts are wanted
   * @return the automaton over the bytes of a text
   * @throws RefusedSchemaException if the schema is not held, admits nothing, or needs more states than the options allow
   */
  public ByteAutomaton compile(SchemaOptions options) {
    SchemaTexts texts = new SchemaTexts(root, Objects.requireNonNull(options, "options"), null);
    for (SchemaTexts.Step step : SchemaTexts.Step.ALL) {
      try {
        Graph graph = new Graph((int) Math.min(step.states(), 2L * options.maxStates()));
        int start = texts.before(graph, step, graph.acceptingState());
        return ByteTables.of(Dfa.of(graph, start, Dfa.BYTES, options.maxStates()));
      } catch (TooManyStatesException tooMany) {
        continue; // with less of what the schema leaves open
      }
    }
    throw new RefusedSchemaException("#", "needs more than " + options.maxStates() + " states");
  }

  JsonNode root() {
    return root;
  }

  @Override
  public String toString() {
    return root.toString();
  }
}
