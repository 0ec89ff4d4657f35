package io.github.dimple4j.fuzz;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.dimple4j.DimpleException;
import io.github.dimple4j.Image;
import io.github.dimple4j.chat.ChatMessage;
import io.github.dimple4j.chat.ChatTemplate;
import io.github.dimple4j.gguf.GgufException;
import io.github.dimple4j.gguf.GgufFile;
import io.github.dimple4j.gguf.ProgressListener;
import io.github.dimple4j.gguf.tools.Converter;
import io.github.dimple4j.gguf.tools.Validator;
import io.github.dimple4j.structure.ByteAutomaton;
import io.github.dimple4j.structure.JsonSchema;
import io.github.dimple4j.structure.SchemaOptions;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Mutations of good inputs of everything that Java reads: each is taken or refused by an exception of ours or an IOException with a
 * message, and within seconds. {@code -Ddimple.fuzz.runs=N} for more of each, {@code -Ddimple.fuzz.seed=N} for others.
 */
class FuzzTest {
  private static final int RUNS = Integer.getInteger("dimple.fuzz.runs", 300);
  private static final long SEED = Long.getLong("dimple.fuzz.seed", 1);
  private static final long SLOW_NANOS = 10_000_000_000L;

  @TempDir private Path folder;

  /** What is read. */
  enum Target {
    PICTURE(1),
    CHAT_TEMPLATE(1),
    JSON_SCHEMA(1),
    SAFETENSORS(8),
    TOKENIZER_JSON(8),
    CONFIG_JSON(8),
    GGUF(4);

    /** A mutation of a file on disk takes so many times as long. */
    private final int cost;

    Target(int cost) {
      this.cost = cost;
    }
  }

  @ParameterizedTest
  @EnumSource(Target.class)
  void everyInputIsReadOrRefused(Target target) throws IOException {
    List<byte[]> seeds = seeds(target);
    assertThat(seeds).isNotEmpty();
    Mutator mutator = new Mutator(seeds, words(target), SEED);
    int taken = 0;
    int runs = Math.max(1, RUNS / target.cost);
    for (int i = 0; i < runs; i++) {
      byte[] input = mutator.next();
      taken += isTaken(target, input) ? 1 : 0;
    }
    System.out.printf("%s: %d mutations, %d of them taken%n", target, runs, taken);
  }

  private boolean isTaken(Target target, byte[] input) throws IOException {
    long start = System.nanoTime();
    try {
      read(target, input);
      return true;
    } catch (DimpleException | GgufException | IOException | UncheckedIOException refusal) {
      if (refusal.getMessage() == null || refusal.getMessage().isBlank()) {
        throw finding(target, input, refusal);
      }
      return false;
    } catch (RuntimeException | Error finding) {
      throw finding(target, input, finding);
    } finally {
      if (System.nanoTime() - start > SLOW_NANOS) {
        throw finding(target, input, new AssertionError("took " + (System.nanoTime() - start) / 1_000_000 + " ms"));
      }
    }
  }

  private static AssertionError finding(Target target, byte[] input, Throwable cause) throws IOException {
    Path kept = Files.createTempFile("finding-" + target, ".bin");
    Files.write(kept, input);
    return new AssertionError(target + ": " + cause + "; the input is in " + kept + ", " + input.length + " bytes: "
        + HexFormat.of().formatHex(input, 0, Math.min(input.length, 64)), cause);
  }

  private void read(Target target, byte[] input) throws IOException {
    switch (target) {
      case PICTURE -> Image.decode(input, "mutation");
      case CHAT_TEMPLATE -> ChatTemplate.parse(text(input)).render(
          List.of(ChatMessage.of("system", "Be brief."), ChatMessage.of("user", "Hello"), ChatMessage.of("assistant", "Hi!")), true,
          Map.of("bos_token", "<s>", "eos_token", "</s>"));
      case JSON_SCHEMA -> {
        ByteAutomaton automaton = JsonSchema.of(text(input)).compile(SchemaOptions.PRODUCING);
        assertThat(automaton.accepts(new byte[0])).as("the empty text").isFalse();
      }
      case SAFETENSORS -> convert("model.safetensors", input);
      case TOKENIZER_JSON -> convert("tokenizer.json", input);
      case CONFIG_JSON -> convert("config.json", input);
      case GGUF -> {
        Path file = Files.write(folder.resolve("mutation.gguf"), input);
        GgufFile.open(file).close();
        Validator.check(file, ProgressListener.NONE);
      }
    }
  }

  private static String text(byte[] input) {
    return new String(input, StandardCharsets.UTF_8);
  }

  /** A checkpoint one of whose files is another. */
  private void convert(String name, byte[] content) throws IOException {
    Path checkpoint = Files.createDirectories(folder.resolve("checkpoint"));
    for (String file : List.of("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")) {
      Files.copy(Path.of("goldens/dream", file), checkpoint.resolve(file), StandardCopyOption.REPLACE_EXISTING);
    }
    Files.write(checkpoint.resolve(name), content);
    Converter.of(checkpoint).overwrite(true).write(folder.resolve("converted.gguf"));
  }

  private static List<byte[]> seeds(Target target) throws IOException {
    return switch (target) {
      case PICTURE -> files(Path.of("../java/src/test/resources/io/github/dimple4j/image/pictures"), 8000);
      case CHAT_TEMPLATE -> lines(Path.of("../java/src/test/resources/io/github/dimple4j/chat/templates.txt"));
      case JSON_SCHEMA -> Stream.of("""
          {"type":"object","properties":{"name":{"type":"string","minLength":1,"maxLength":9,"pattern":"^[a-z]+$"},
          "age":{"type":"integer","minimum":0,"maximum":150},"tags":{"type":"array","items":{"enum":["a","b",null,1.5]},"minItems":1,"maxItems":3}},
          "required":["name"],"additionalProperties":false}""", """
          {"$defs":{"p":{"type":["number","null"],"exclusiveMinimum":-2.5}},"anyOf":[{"$ref":"#/$defs/p"},{"const":{"k":[true,{}]}},
          {"type":"string","format":"date"}]}""", """
          {"allOf":[{"type":"object","properties":{"a":{"type":"boolean"}}},{"properties":{"b":{"prefixItems":[{"type":"integer"}]}}}],
          "patternProperties":{"^x":{"oneOf":[{"type":"string"},{"type":"integer"}]}}}""").map(FuzzTest::bytes).toList();
      case SAFETENSORS -> files(Path.of("goldens/dream/model.safetensors"), 1 << 20);
      case TOKENIZER_JSON -> files(Path.of("goldens/dream/tokenizer.json"), 1 << 20);
      case CONFIG_JSON -> files(Path.of("goldens/dream/config.json"), 1 << 20);
      case GGUF -> files(Path.of("../csrc/fuzz/corpus/model"), 1 << 20);
    };
  }

  private static List<byte[]> words(Target target) {
    String words = switch (target) {
      case PICTURE, SAFETENSORS, GGUF -> "";
      case CHAT_TEMPLATE -> "{% {%- %} -%} {{ }} {# for endfor if else endif set macro endmacro call endcall messages loop.index | ~ [ ] ( ) "
          + "** // == namespace() tojson join trim replace range(9999999999) is defined not ' \" {% raw %} [::-1] * 99999";
      case JSON_SCHEMA -> "{ } [ ] : , true false null -1 1e999 0.1 99999999999 \"type\" \"items\" \"not\" \"$ref\":\"#\" \"minLength\":100000 \"pattern\":\"(a*)*b\" "
          + "\"maxItems\":9 \"enum\" \"anyOf\" \"required\" \"additionalProperties\" \"\\ud800\" \"pattern\":\"[\" \"multipleOf\":3";
      case TOKENIZER_JSON, CONFIG_JSON -> "{ } [ ] : , true false null -1 1e999 0.1 99999999999 \"vocab\" \"merges\" \"\\ud800\" \"type\" \"\"";
    };
    return Arrays.stream(words.split(" ")).filter(word -> !word.isEmpty()).map(FuzzTest::bytes).toList();
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  /** The files of a folder, or a file, of at most so many bytes. */
  private static List<byte[]> files(Path place, long most) throws IOException {
    List<byte[]> contents = new ArrayList<>();
    try (Stream<Path> files = Files.walk(place)) {
      for (Path file : files.filter(Files::isRegularFile).sorted().toList()) {
        if (Files.size(file) <= most) {
          contents.add(Files.readAllBytes(file));
        }
      }
    }
    return contents;
  }

  /** The templates of a table of goldens: the first column, line ends as escapes. */
  private static List<byte[]> lines(Path table) throws IOException {
    return Files.readAllLines(table).stream().map(line -> line.split("\t", 2)[0].replace("\\u000a", "\n")).filter(line -> !line.isBlank())
        .distinct().map(FuzzTest::bytes).toList();
  }
}
