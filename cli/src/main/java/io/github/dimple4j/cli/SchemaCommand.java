package io.github.dimple4j.cli;

import io.github.dimple4j.DimpleException;
import io.github.dimple4j.UnsupportedException;
import io.github.dimple4j.structure.ByteAutomaton;
import io.github.dimple4j.structure.JsonSchema;
import io.github.dimple4j.structure.Piece;
import io.github.dimple4j.structure.SchemaOptions;
import io.github.dimple4j.structure.Spacing;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** {@code dimple schema}: whether a JSON Schema is held, and which texts it accepts. */
@Command(name = "schema", mixinStandardHelpOptions = true,
    description = "Show whether a JSON Schema is held: how many states its automaton has and its shortest answer, or what is refused.")
final class SchemaCommand implements Callable<Integer> {
  private static final JsonMapper MAPPER = JsonMapper.builder().enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS).build();

  @Spec private CommandSpec spec;

  @ArgGroup(multiplicity = "1")
  private Input input;

  /** What to read. */
  static final class Input {
    @Parameters(paramLabel = "FILE|TEXT", converter = SchemaText.Converter.class,
        description = "A JSON Schema: a file, or the text itself, which begins with {.")
    private SchemaText schema;

    @Option(names = "--lines", paramLabel = "FILE|-", description = {"Read a line of JSON for each schema,",
        "  {\"schema\":..., \"texts\":[\"...\", ...]}, and write a line for each,",
        "  {\"compiled\":true,\"states\":...,\"shortest\":...,\"millis\":...,\"accepts\":[true, ...]} or",
        "  {\"compiled\":false,\"refused\":\"...\",\"millis\":...}. Texts are judged: objects are open, and each blank",
        "  behind a comma or colon may be there or not, unless the options say otherwise."})
    private String lines;
  }

  @Option(names = "--objects", paramLabel = "open|closed", converter = ObjectsConverter.class,
      description = "Whether objects take properties that the schema does not "
      + "mention where it is silent about them. Default: closed; open with --lines.")
  private Objects objects;

  @Option(names = "--spacing", paramLabel = "compact|blank|either", converter = SpacingConverter.class,
      description = "White space behind commas and colons. Default: either.")
  private Spacing spacing;

  @Option(names = "--key-order", paramLabel = "schema|alphabetical", defaultValue = "schema", converter = KeyOrderConverter.class,
      description = "The order of keys. Default: ${DEFAULT-VALUE}.")
  private SchemaOptions.KeyOrder keyOrder;

  @Option(names = "--max-states", paramLabel = "N",
      description = "States that the automaton may have. Default: 65536; 250000 with --lines.")
  private Integer maxStates;

  /** Objects with or without properties that the schema does not mention. */
  enum Objects {
    OPEN, CLOSED
  }

  /** A constant by its name in small letters. */
  private static <E extends Enum<E>> E constant(Class<E> type, String name) {
    for (E constant : type.getEnumConstants()) {
      if (constant.name().toLowerCase(Locale.ROOT).equals(name)) {
        return constant;
      }
    }
    String names = Arrays.stream(type.getEnumConstants()).map(constant -> constant.name().toLowerCase(Locale.ROOT)).toList().toString();
    throw new TypeConversionException("expected one of " + names + " but was '" + name + "'");
  }

  static final class ObjectsConverter implements ITypeConverter<Objects> {
    @Override
    public Objects convert(String name) {
      return constant(Objects.class, name);
    }
  }

  static final class SpacingConverter implements ITypeConverter<Spacing> {
    @Override
    public Spacing convert(String name) {
      return constant(Spacing.class, name);
    }
  }

  static final class KeyOrderConverter implements ITypeConverter<SchemaOptions.KeyOrder> {
    @Override
    public SchemaOptions.KeyOrder convert(String name) {
      return constant(SchemaOptions.KeyOrder.class, name);
    }
  }

  @Override
  public Integer call() throws IOException {
    PrintWriter out = spec.commandLine().getOut();
    if (input.lines != null) {
      lines(out);
      return 0;
    }
    JsonSchema schema = JsonSchema.of(input.schema.read());
    long start = System.nanoTime();
    ByteAutomaton automaton;
    try {
      SchemaOptions options = options(SchemaOptions.PRODUCING);
      automaton = Piece.json(schema, options).compile(options.maxStates()); // as run has it
    } catch (UnsupportedException refused) {
      out.println("refused: " + refused.getMessage());
      out.flush();
      return DimpleCommand.FAILED;
    }
    double millis = (System.nanoTime() - start) / 1e6;
    out.printf("held: %d states, %d classes of bytes, compiled in %.1f ms%n", automaton.stateCount(), automaton.classCount(), millis);
    byte[] shortest = automaton.shortest();
    out.printf("shortest answer, %d bytes: %s%n", shortest.length, new String(shortest, StandardCharsets.UTF_8));
    out.flush();
    return 0;
  }

  private SchemaOptions options(SchemaOptions defaults) {
    SchemaOptions options = defaults.withKeyOrder(keyOrder);
    options = objects == null ? options : options.withOpenObjects(objects == Objects.OPEN);
    options = spacing == null ? options : options.withSpacing(spacing);
    return maxStates == null ? options : options.withMaxStates(maxStates);
  }

  private void lines(PrintWriter out) throws IOException {
    TextSource source = new TextSource(input.lines);
    try (BufferedReader reader = new BufferedReader(new InputStreamReader(source.open(), StandardCharsets.UTF_8.newDecoder()))) {
      SchemaOptions options = options(SchemaOptions.JUDGING);
      for (String line = reader.readLine(); line != null; line = reader.readLine()) {
        if (!line.isBlank()) {
          out.println(answer(line, options));
          out.flush();
        }
      }
    } catch (CharacterCodingException e) {
      throw new IOException(source.title() + ": is no UTF-8 text", e);
    }
  }

  private static ObjectNode answer(String line, SchemaOptions options) {
    ObjectNode answer = MAPPER.createObjectNode();
    long start = System.nanoTime();
    try {
      JsonNode request = MAPPER.readTree(line);
      if (!request.has("schema") || !request.path("texts").isArray()) {
        return answer.put("compiled", false).put("refused", "a line is {\"schema\":..., \"texts\":[...]}");
      }
      start = System.nanoTime();
      ByteAutomaton automaton = JsonSchema.of(request.get("schema")).compile(options);
      double millis = (System.nanoTime() - start) / 1e6;
      answer.put("compiled", true).put("states", automaton.stateCount());
      answer.put("shortest", new String(automaton.shortest(), StandardCharsets.UTF_8)).put("millis", millis);
      ArrayNode accepts = answer.putArray("accepts");
      request.get("texts").forEach(text -> accepts.add(text.isString() && accepts(automaton, text.stringValue())));
      return answer;
    } catch (DimpleException refused) {
      double millis = (System.nanoTime() - start) / 1e6;
      return answer.put("compiled", false).put("refused", refused.getMessage()).put("millis", millis);
    } catch (JacksonException wrong) {
      return answer.put("compiled", false).put("refused", "the line is not JSON: " + wrong.getOriginalMessage());
    }
  }

  private static boolean accepts(ByteAutomaton automaton, String text) {
    try {
      ByteBuffer bytes = StandardCharsets.UTF_8.newEncoder().encode(CharBuffer.wrap(text));
      byte[] array = new byte[bytes.remaining()];
      bytes.get(array);
      return automaton.accepts(array);
    } catch (CharacterCodingException halfOfAPair) {
      return false; // no text, so no bytes
    }
  }
}
