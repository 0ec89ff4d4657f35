package io.github.dimple4j.cli;

import io.github.dimple4j.DimpleException;
import io.github.dimple4j.UnsupportedException;
import io.github.dimple4j.json.MalformedJsonException;
import io.github.dimple4j.json.StrictJson;
import io.github.dimple4j.structure.ByteAutomaton;
import io.github.dimple4j.structure.JsonSchema;
import io.github.dimple4j.structure.Piece;
import io.github.dimple4j.structure.SchemaOptions;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** {@code dimple schema}: whether a JSON Schema is held, and which texts it accepts. */
@Command(name = "schema", mixinStandardHelpOptions = true,
    description = "Show whether a JSON Schema is held: how many states its automaton has and its shortest answer, or what is refused.")
final class SchemaCommand implements Callable<Integer> {
  private static final JsonMapper MAPPER = JsonMapper.shared();

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

  @Mixin private SpellingOptions spelling;

  @Option(names = "--max-states", paramLabel = "N",
      description = "States that the automaton may have. Default: 65536; 250000 with --lines.")
  private Integer maxStates;

  @Override
  public Integer call() throws IOException {
    PrintWriter out = spec.commandLine().getOut();
    if (input.lines != null) {
      lines(out);
      return 0;
    }
    JsonSchema schema = input.schema.schema();
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
    out.printf(Locale.ROOT, "held: %d states, %d classes of bytes, compiled in %.1f ms%n", automaton.stateCount(), automaton.classCount(), millis);
    byte[] shortest = automaton.shortest();
    out.printf(Locale.ROOT, "shortest answer, %d bytes: %s%n", shortest.length, new String(shortest, StandardCharsets.UTF_8));
    out.flush();
    return 0;
  }

  private SchemaOptions options(SchemaOptions defaults) {
    SchemaOptions options = spelling.over(defaults);
    return maxStates == null ? options : options.withMaxStates(maxStates);
  }

  private void lines(PrintWriter out) throws IOException {
    // A character a byte, so that one line that is no text says nothing of the others.
    try (BufferedReader reader = new BufferedReader(new InputStreamReader(new TextSource(input.lines).open(), StandardCharsets.ISO_8859_1))) {
      SchemaOptions options = options(SchemaOptions.JUDGING);
      for (String line = reader.readLine(); line != null; line = reader.readLine()) {
        if (!line.isBlank()) {
          out.println(answer(line.getBytes(StandardCharsets.ISO_8859_1), options));
          out.flush();
        }
      }
    }
  }

  private static ObjectNode answer(byte[] line, SchemaOptions options) {
    try {
      return answer(StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(line)).toString(), options);
    } catch (CharacterCodingException e) {
      return MAPPER.createObjectNode().put("compiled", false).put("refused", "the line is no UTF-8 text");
    }
  }

  private static ObjectNode answer(String line, SchemaOptions options) {
    ObjectNode answer = MAPPER.createObjectNode();
    long start = System.nanoTime();
    try {
      JsonNode request = StrictJson.DECIMALS.read(line);
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
    } catch (MalformedJsonException wrong) {
      return answer.put("compiled", false).put("refused", "the line is not JSON: " + wrong.getMessage());
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
