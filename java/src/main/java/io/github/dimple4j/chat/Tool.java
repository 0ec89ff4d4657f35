package io.github.dimple4j.chat;

import io.github.dimple4j.InvalidArgumentException;
import io.github.dimple4j.structure.JsonSchema;
import io.github.dimple4j.structure.Piece;
import io.github.dimple4j.structure.RecordSchema;
import io.github.dimple4j.structure.SchemaOptions;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Objects;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * A function that the model may call instead of answering. Immutable; any thread.
 *
 * @param name how the model calls it: 1 to 64 letters, digits and any of {@code _ - . $}
 * @param description what it does, told to the model; may be empty
 * @param parameters a JSON Schema of its arguments, which are an object; {@code "{}"} is any object
 */
public record Tool(String name, String description, String parameters) {
  private static final Pattern ESCAPE = Pattern.compile("\\\\(?:(u00..)|.)"); // of control characters, which automata spell with small digits
  private static final Pattern NAME = Pattern.compile("[\\p{L}\\p{N}_.$-]{1,64}");

  /**
   * Checks the values.
   *
   * @throws InvalidArgumentException if the name is none, or the parameters are no JSON Schema of objects
   */
  public Tool {
    checkName(name);
    Objects.requireNonNull(description, "description");
    schema(name, Objects.requireNonNull(parameters, "parameters"));
  }

  /**
   * A tool whose arguments are an instance of a record.
   *
   * @param name how the model calls it
   * @param description what it does
   * @param type the record of its arguments; see {@link RecordSchema}
   * @return the tool
   * @throws InvalidArgumentException if the name is none, or no schema can be made of the record
   */
  public static Tool of(String name, String description, Class<? extends Record> type) {
    return new Tool(name, description, RecordSchema.of(Objects.requireNonNull(type, "type")).toString());
  }

  /**
   * Judges a call that nothing has held to the schema, such as one in a notation of the model's own.
   *
   * @param call a call
   * @return whether it is one of this tool and its arguments, in whatever order, fit
   * @throws InvalidArgumentException if the schema has keywords that are not supported
   */
  public boolean admits(ToolCall call) {
    Objects.requireNonNull(call, "call");
    if (!call.name().equals(name)) {
      return false;
    }
    SchemaOptions judging = SchemaOptions.JUDGING.withKeyOrder(SchemaOptions.KeyOrder.ALPHABETICAL);
    String sorted = JsonText.sorted(JsonText.read(call.arguments(), "arguments")).toString();
    String spelled = ESCAPE.matcher(sorted).replaceAll(escape ->
        Matcher.quoteReplacement(escape.group(1) == null ? escape.group() : escape.group().toLowerCase(Locale.ROOT)));
    return Piece.json(JsonSchema.of(schema(name, parameters)), judging).compile().accepts(spelled.getBytes(StandardCharsets.UTF_8));
  }

  static String checkName(String name) {
    if (!NAME.matcher(Objects.requireNonNull(name, "name")).matches()) {
      throw new InvalidArgumentException("a tool is called \"" + name + "\", expected 1 to 64 letters, digits, _ - . or $");
    }
    return name;
  }

  private static ObjectNode schema(String name, String parameters) {
    String what = "the parameters of the tool " + name;
    JsonNode root = JsonText.read(parameters, what);
    if (!(root instanceof ObjectNode given)) {
      throw new InvalidArgumentException(what + " are " + root + ", expected a JSON Schema");
    }
    ObjectNode schema = given.deepCopy();
    if (!schema.has("type")) {
      schema.put("type", "object");
    } else if (!schema.get("type").equals(JsonNodeFactory.instance.stringNode("object"))) {
      throw new InvalidArgumentException(what + " have the type " + schema.get("type") + ", expected \"object\"");
    }
    // Clients write a function without parameters so, and mean it.
    if (schema.has("properties") && schema.get("properties").isEmpty() && !schema.has("additionalProperties")
        && !schema.has("patternProperties")) {
      schema.put("additionalProperties", false);
    }
    return schema;
  }

  /** The JSON text of arguments that fit. */
  Piece arguments() {
    return Piece.json(JsonSchema.of(schema(name, parameters)), SchemaOptions.PRODUCING);
  }

  /** Arguments that fit, as {@link CallNotation} writes them. */
  Piece markedArguments(SchemaOptions.KeyOrder order) {
    return Piece.marked(JsonSchema.of(schema(name, parameters)), SchemaOptions.PRODUCING.withKeyOrder(order), CallNotation.QUOTE);
  }

  ObjectNode toJson() {
    ObjectNode function = JsonNodeFactory.instance.objectNode().put("name", name);
    if (!description.isEmpty()) {
      function.put("description", description);
    }
    return function.set("parameters", schema(name, parameters));
  }

  /** As templates know a tool: its parameters as they were given, for models were trained with such. */
  Object toTemplateValue() {
    ObjectNode function = toJson();
    function.set("parameters", JsonText.read(parameters, "parameters"));
    return JsonText.value(JsonNodeFactory.instance.objectNode().put("type", "function").set("function", function));
  }
}
