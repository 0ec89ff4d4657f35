package io.github.dimple4j.fuzz;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.dimple4j.DimpleException;
import io.github.dimple4j.Image;
import io.github.dimple4j.chat.ChatMessage;
import io.github.dimple4j.chat.ChatTemplate;
import io.github.dimple4j.cli.BatchLines;
import io.github.dimple4j.gguf.GgufException;
import io.github.dimple4j.gguf.GgufFile;
import io.github.dimple4j.gguf.ProgressListener;
import io.github.dimple4j.gguf.architecture.Architectures;
import io.github.dimple4j.gguf.checkpoint.JsonSettings;
import io.github.dimple4j.gguf.checkpoint.PreTokenizer;
import io.github.dimple4j.gguf.checkpoint.SafetensorsFile;
import io.github.dimple4j.gguf.checkpoint.SpecialTokens;
import io.github.dimple4j.gguf.checkpoint.TokenizerFiles;
import io.github.dimple4j.gguf.tools.Converter;
import io.github.dimple4j.gguf.tools.Validator;
import io.github.dimple4j.structure.ByteAutomaton;
import io.github.dimple4j.structure.JsonSchema;
import io.github.dimple4j.structure.SchemaOptions;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Mutations of good inputs of everything that Java reads: each is taken or refused by an exception of ours or an IOException with a
 * message, and within seconds. {@code -Ddimple.fuzz.runs=N} for more of each, {@code -Ddimple.fuzz.seed=N} for others,
 * {@code -Ddimple.fuzz.targets=NAME,NAME} for some of the targets.
 */
class FuzzTest {
  private static final int RUNS = Integer.getInteger("dimple.fuzz.runs", 300);
  private static final long SEED = Long.getLong("dimple.fuzz.seed", 1);
  private static final String TARGETS = System.getProperty("dimple.fuzz.targets", "");
  private static final long SLOW_NANOS = 10_000_000_000L;

  /** A whole conversion or check takes hundreds of times as long as reading a file, and so is done for one mutation of so many. */
  private static final int THOROUGH = 250;
  private static final SchemaOptions FEW_STATES = SchemaOptions.PRODUCING.withMaxStates(2000);
  private static final int VOCABULARY = 640;

  /** After so much time of the processor an input will not come to an end. */
  private static final long HANGING_NANOS = 60_000_000_000L;

  private static final Path CORPUS = Path.of("src/test/resources/io/github/dimple4j/fuzz");

  @TempDir(factory = MemoryFolder.class) private Path folder;

  private volatile byte[] underWay;

  /** What is read. */
  enum Target {
    PICTURE,
    CHAT_TEMPLATE,
    JSON_SCHEMA,
    JSON_LINES,
    SAFETENSORS,
    TOKENIZER_JSON,
    CONFIG_JSON,
    GGUF
  }

  @ParameterizedTest
  @EnumSource(Target.class)
  void everyInputIsReadOrRefused(Target target) throws IOException {
    assumeTrue(TARGETS.isEmpty() || List.of(TARGETS.split(",")).contains(target.name()), "not asked for");
    List<byte[]> seeds = new ArrayList<>(seeds(target));
    seeds.addAll(found(target));
    assertThat(seeds).isNotEmpty();
    Mutator mutator = new Mutator(seeds, words(target), SEED);
    Mutator wholeMutator = new Mutator(wholeSeeds(target), words(target), SEED);
    List<byte[]> found = found(target);
    int taken = 0;
    long start = System.nanoTime();
    Thread watch = watch(target, Thread.currentThread().threadId());
    try {
      for (byte[] input : found) {
        isTaken(target, input, false);
        isTaken(target, input, true);
      }
      for (int i = 0; i < RUNS; i++) {
        boolean thorough = i % THOROUGH == THOROUGH - 1;
        taken += isTaken(target, (thorough ? wholeMutator : mutator).next(), thorough) ? 1 : 0;
      }
    } finally {
      watch.interrupt();
    }
    System.out.printf("%s: %d mutations in %d s, %d of them taken%n", target, RUNS, (System.nanoTime() - start) / 1_000_000_000, taken);
  }

  private boolean isTaken(Target target, byte[] input, boolean thorough) throws IOException {
    long start = processorTime();
    underWay = input;
    try {
      read(target, input, thorough);
      return true;
    } catch (DimpleException | GgufException | IOException | UncheckedIOException refusal) {
      if (refusal.getMessage() == null || refusal.getMessage().isBlank()) {
        throw finding(target, input, refusal);
      }
      return false;
    } catch (RuntimeException | Error finding) {
      throw finding(target, input, finding);
    } finally {
      if (processorTime() - start > SLOW_NANOS) {
        throw finding(target, input, new AssertionError("took " + (processorTime() - start) / 1_000_000 + " ms"));
      }
    }
  }

  /** Of this thread: on a machine that is busy with something else an input of nothing takes a minute. */
  private static long processorTime() {
    return ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime();
  }

  /** Nothing stops a thread that does not look up: the process ends with the input kept. */
  private Thread watch(Target target, long thread) {
    return Thread.ofPlatform().daemon().start(() -> {
      byte[] before = null;
      long since = 0;
      try {
        while (true) {
          Thread.sleep(1000);
          byte[] now = underWay;
          long time = ManagementFactory.getThreadMXBean().getThreadCpuTime(thread);
          if (now != before) {
            before = now;
            since = time;
          } else if (now != null && time - since > HANGING_NANOS) {
            System.err.println(finding(target, now, new AssertionError("no end after " + HANGING_NANOS / 1_000_000_000 + " s")).getMessage());
            Runtime.getRuntime().halt(1);
          }
        }
      } catch (InterruptedException e) {
        // all inputs came to their end
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    });
  }

  private static AssertionError finding(Target target, byte[] input, Throwable cause) throws IOException {
    Path kept = Files.createTempFile("finding-" + target, ".bin");
    Files.write(kept, input);
    return new AssertionError(target + ": " + cause + "; the input is in " + kept + ", " + input.length + " bytes: "
        + HexFormat.of().formatHex(input, 0, Math.min(input.length, 64)), cause);
  }

  private void read(Target target, byte[] input, boolean thorough) throws IOException {
    switch (target) {
      case PICTURE -> Image.decode(input, "mutation");
      case CHAT_TEMPLATE -> ChatTemplate.parse(text(input)).render(
          List.of(ChatMessage.of("system", "Be brief."), ChatMessage.of("user", "Hello"), ChatMessage.of("assistant", "Hi!")), true,
          Map.of("bos_token", "<s>", "eos_token", "</s>"));
      case JSON_SCHEMA -> {
        ByteAutomaton automaton = JsonSchema.of(text(input)).compile(thorough ? SchemaOptions.PRODUCING : FEW_STATES);
        assertThat(automaton.accepts(new byte[0])).as("the empty text").isFalse();
      }
      case JSON_LINES -> BatchLines.readable(file("lines.jsonl", input));
      case SAFETENSORS -> {
        new SafetensorsFile(file("mutation.safetensors", input)).close();
        if (thorough) {
          convert("model.safetensors", input);
        }
      }
      case TOKENIZER_JSON -> {
        Path directory = file("tokenizer.json", input).getParent();
        Optional<TokenizerFiles> files = TokenizerFiles.read(directory, VOCABULARY, PreTokenizer.QWEN2);
        assertThat(files).isPresent();
        files.get().metadata();
        if (thorough) {
          convert("tokenizer.json", input);
        }
      }
      case CONFIG_JSON -> {
        JsonSettings config = JsonSettings.read(file("config.json", input));
        Architectures.layout(config, JsonSettings.empty("preprocessor_config.json"), Set.of("model.embed_tokens.weight"));
        SpecialTokens.read(config);
        if (thorough) {
          convert("config.json", input);
        }
      }
      case GGUF -> {
        Path file = file("mutation.gguf", input);
        GgufFile.open(file).close();
        if (thorough) {
          Validator.check(file, ProgressListener.NONE);
        }
      }
    }
  }

  private Path file(String name, byte[] content) throws IOException {
    return Files.write(folder.resolve(name), content);
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

  /** Small ones, which are read at once. */
  private static List<byte[]> seeds(Target target) throws IOException {
    return switch (target) {
      case PICTURE -> files(Path.of("../java/src/test/resources/io/github/dimple4j/image/pictures"), 1500);
      case CHAT_TEMPLATE -> lines(Path.of("../java/src/test/resources/io/github/dimple4j/chat/templates.txt"));
      case JSON_SCHEMA -> texts("""
          {"type":"object","properties":{"name":{"type":"string","minLength":1,"maxLength":9,"pattern":"^[a-z]+$"},
          "age":{"type":"integer","minimum":0,"maximum":150}},"required":["name"],"additionalProperties":false}""", """
          {"type":"array","items":{"enum":["a","b",null,1.5]},"minItems":1,"maxItems":3}""", """
          {"$defs":{"p":{"type":["number","null"],"exclusiveMinimum":-2.5}},"anyOf":[{"$ref":"#/$defs/p"},{"const":{"k":[true,{}]}}]}""", """
          {"type":"string","format":"date"}""", """
          {"allOf":[{"type":"object","properties":{"a":{"type":"boolean"}}},{"properties":{"b":{"prefixItems":[{"type":"integer"}]}}}],
          "patternProperties":{"^x":{"oneOf":[{"type":"string"},{"type":"integer"}]}}}""");
      case JSON_LINES -> texts("""
          {"prompt":"Hello"}
          {"id":"b","prompt":"What is this?","images":["a.png"],"length":16,"seed":18446744073709551615}

          {"id":3,"prompt":"Grüße 👋 \\ud83d\\ude00","system":"Be brief.","template":["It is ",4,"."]}
          """, """
          {"prompt":"x","template":[4,"text"],"length":40}
          [1,2]
          {"prompt":7}""");
      case SAFETENSORS -> List.of(safetensors("""
          {"__metadata__":{"format":"pt"},"a":{"dtype":"BF16","shape":[2,3],"data_offsets":[0,12]},"b":{"dtype":"F32","shape":[],"data_offsets":[12,16]},\
          "c":{"dtype":"I64","shape":[0],"data_offsets":[16,16]}}""", 16));
      case TOKENIZER_JSON -> texts("""
          {"added_tokens":[{"id":5,"content":"<|end|>","single_word":false,"lstrip":true,"rstrip":false,"normalized":false,"special":true}],
          "normalizer":{"type":"NFC"},"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"use_regex":true},
          "model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2,"\\u0120a":3,"\\u0120":4},"merges":[["a","b"],"\\u0120 a"]}}""");
      case CONFIG_JSON -> Stream.concat(files(Path.of("goldens/dream/config.json"), 1 << 20).stream(), texts("""
          {"model_type":"llada","d_model":64,"n_heads":4,"n_layers":2,"mlp_hidden_size":96,"vocab_size":640,"embedding_size":640,
          "max_sequence_length":128,"eos_token_id":[1,2],"mask_token_id":5,"rope_theta":500000.0}""", """
          {"model_type":"dimple","hidden_size":64,"num_hidden_layers":2,"num_attention_heads":4,"vocab_size":640,"rope_scaling":{"type":"yarn","factor":4},
          "vision_config":{"depth":2,"hidden_size":32,"num_heads":2,"fullatt_block_indexes":[1]}}""").stream()).toList();
      case GGUF -> files(Path.of("../csrc/fuzz/corpus/gguf"), 1 << 20);
    };
  }

  /** What earlier runs have found, and was mended. */
  private static List<byte[]> found(Target target) throws IOException {
    Path place = CORPUS.resolve(target.name().toLowerCase(Locale.ROOT));
    return Files.isDirectory(place) ? files(place, 1 << 20) : List.of();
  }

  /** For the thorough way. */
  private static List<byte[]> wholeSeeds(Target target) throws IOException {
    return switch (target) {
      case SAFETENSORS -> files(Path.of("goldens/dream/model.safetensors"), 1 << 20);
      case TOKENIZER_JSON -> files(Path.of("goldens/dream/tokenizer.json"), 1 << 20);
      case GGUF -> files(Path.of("../csrc/fuzz/corpus/model"), 1 << 20);
      default -> seeds(target);
    };
  }

  private static byte[] safetensors(String header, int dataSize) {
    byte[] json = bytes(header);
    return ByteBuffer.allocate(Long.BYTES + json.length + dataSize).order(ByteOrder.LITTLE_ENDIAN).putLong(json.length).put(json).array();
  }

  private static List<byte[]> texts(String... texts) {
    return Arrays.stream(texts).map(FuzzTest::bytes).toList();
  }

  private static List<byte[]> words(Target target) {
    String words = switch (target) {
      case PICTURE, SAFETENSORS, GGUF -> "";
      case JSON_LINES -> "{ } [ ] : , true false null -1 1e999 0.1 99999999999 \"id\" \"prompt\" \"images\" \"system\" \"length\" \"template\" \"seed\" "
          + "\"\\ud800\" \"template\":[3] \"[\" \n \u0000";
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
