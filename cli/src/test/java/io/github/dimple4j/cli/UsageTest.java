package io.github.dimple4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.dimple4j.Algorithm;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Wrong usage ends with status 2 and one line that names what is wrong and where help is; nothing is loaded before. */
class UsageTest {
  private static void assertWrong(String message, String command, String... arguments) {
    Output output = Output.of(arguments);
    assertThat(output.err()).isEqualTo("dimple: " + message + " (see " + command + " --help)" + System.lineSeparator());
    assertThat(output.out()).isEmpty();
    assertThat(output.status()).isEqualTo(2);
  }

  @Test
  void missingAndUnknownParts() {
    assertWrong("Missing command: one of run, chat, trace, logits, eval, score, batch, bench, serve, devices, schema, pull, gguf", "dimple");
    assertWrong("Unmatched argument at index 0: 'walk'", "dimple", "walk");
    assertWrong("Missing required argument (specify one of these): (--prompt=TEXT | --prompt-file=FILE)", "dimple run", "run", "x.gguf");
    assertWrong("--prompt=TEXT, --prompt-file=FILE are mutually exclusive (specify only one)", "dimple run",
        "run", "x.gguf", "--prompt", "x", "--prompt-file", "y");
    assertWrong("Missing required parameter for option '--prompt' (TEXT)", "dimple run", "run", "--prompt");
    assertWrong("Unknown option: '--fast'", "dimple run", "run", "--prompt", "x", "--fast");
    assertWrong("Missing required option: '--json=OUT' or '--html=OUT'", "dimple trace", "trace", "x.gguf", "--prompt", "x");
    assertWrong("Missing required parameter: 'MODEL.gguf'", "dimple trace", "trace", "--prompt", "x", "--json", "-");
    assertWrong("Missing required option: '--ids-file=IDS.json'", "dimple logits", "logits", "x.gguf", "--json", "-");
    assertWrong("Missing required argument (specify one of these): (--prompt=TEXT | --prompt-file=FILE | --ids-file=IDS.json)", "dimple trace",
        "trace", "x.gguf", "--json", "-");
    assertWrong("--prompt=TEXT, --ids-file=IDS.json are mutually exclusive (specify only one)", "dimple trace",
        "trace", "x.gguf", "--json", "-", "--prompt", "x", "--ids-file", "y");
    assertWrong("--system goes with --prompt, not with --ids-file", "dimple trace",
        "trace", "x.gguf", "--json", "-", "--ids-file", "y", "--system", "z");
    assertWrong("--raw goes with --prompt, not with --ids-file", "dimple trace", "trace", "x.gguf", "--json", "-", "--ids-file", "y", "--raw");
    assertWrong("--raw goes without a chat template, and --chat-template names one", "dimple run",
        "run", "--prompt", "x", "--raw", "--chat-template", "y");
    assertWrong("--json and --html cannot both be standard output", "dimple trace",
        "trace", "x", "--prompt", "x", "--json", "-", "--html", "-");
    assertWrong("Invalid value for option '--tensor-type' (NAME=TYPE): '' is no part of a name", "dimple gguf quantize",
        "gguf", "quantize", "x", "y", "q8_0", "--tensor-type", "=q4_0");
    assertWrong("--spacing goes with --json-schema", "dimple run", "run", "--prompt", "x", "--spacing", "compact");
    assertWrong("--key-order goes with --json-schema", "dimple eval", "eval", "x", "--key-order", "alphabetical");
    assertWrong("Invalid value for option '--json-schema': '' is neither a file name nor a schema", "dimple run",
        "run", "--prompt", "x", "--json-schema", "");
    assertWrong("--block-length goes with --pipeline llada, mdlm, bd3lm, sdar, fast-dllm-v2, llada2, stable-diffcoder, llada-v, lavida or llada22, or dream "
        + "with --cache prefix or dual", "dimple run", "run", "--prompt", "x", "--block-length", "8");
    assertWrong("--guidance-scale goes with --pipeline llada, mdlm or llada-v", "dimple run", "run", "--prompt", "x", "--guidance-scale", "1");
    assertWrong("--sub-block-length goes with --pipeline fast-dllm-v2", "dimple run",
        "run", "--prompt", "x", "--pipeline", "llada", "--sub-block-length", "8");
    assertWrong("--temperature does not go with --pipeline diffusion-gemma", "dimple run",
        "run", "--prompt", "x", "--pipeline", "diffusion-gemma", "--temperature", "1");
    assertWrong("--schedule-shift goes with --pipeline lavida or lavida-dream", "dimple run",
        "run", "--prompt", "x", "--pipeline", "llada", "--schedule-shift", "0.33");
    assertWrong("--schedule-shift does not go with --alg origin in pipeline lavida-dream", "dimple run",
        "run", "--prompt", "x", "--pipeline", "lavida-dream", "--alg", "origin", "--schedule-shift", "0.33");
    assertWrong("--eps does not go with --schedule-shift, whose schedule has no noise levels", "dimple run",
        "run", "--prompt", "x", "--pipeline", "lavida-dream", "--schedule-shift", "0.33", "--eps", "0.5");
    assertWrong("--block-length does not go with --pipeline lavida-dream", "dimple run",
        "run", "--prompt", "x", "--pipeline", "lavida-dream", "--block-length", "8");
    assertWrong("--t-min goes with --pipeline diffusion-gemma", "dimple run", "run", "--prompt", "x", "--pipeline", "llada", "--t-min", "0.5");
    assertWrong("Invalid value for option '--sub-block-length': -8, expected 0 or more", "dimple run", "run", "--prompt", "x", "--sub-block-length", "-8");
    assertWrong("--factor goes with --pipeline llada", "dimple run", "run", "--prompt", "x", "--factor", "1");
    assertWrong("--guidance-scale does not go with --cache", "dimple trace", "trace", "x", "--prompt", "x", "--json", "-",
        "--pipeline", "llada", "--guidance-scale", "1", "--cache", "dual");
    assertWrong("--cache does not go with --alg klass", "dimple eval",
        "eval", "x", "--pipeline", "llada", "--alg", "klass", "--cache", "dual");
    assertWrong("--weight-memory does not go with --unpacked, which leaves no weights to pack", "dimple run",
        "run", "--prompt", "x", "--unpacked", "--weight-memory", "100");
    assertWrong("--pack-cache does not go with --unpacked, which leaves no weights to pack", "dimple bench", "bench", "x", "--unpacked", "--pack-cache");
    assertWrong("--gpu-layers goes with devices of --device or --rpc", "dimple serve", "serve", "x", "--device", "cpu", "--gpu-layers", "2");
    assertWrong("--min-side goes with --image", "dimple run", "run", "--prompt", "x", "--min-side", "28");
    assertWrong("--background goes with --image", "dimple logits", "logits", "x", "--ids-file", "y", "--json", "-", "--background", "white");
    assertWrong("--live does not go with --quiet", "dimple run", "run", "--prompt", "x", "--quiet", "--live");
    assertWrong("--gamma goes with --alg entropy_bound", "dimple run", "run", "--prompt", "x", "--gamma", "1");
    assertWrong("--threshold does not go with --alg maskgit_plus in pipeline dream", "dimple run",
        "run", "--prompt", "x", "--pipeline", "dream", "--threshold", "0.5");
    assertWrong("--alg-temp does not go with --alg autoregressive in pipeline dim", "dimple run",
        "run", "--prompt", "x", "--alg", "autoregressive", "--alg-temp", "0.5");
    assertWrong("--expected-tpf goes with trace only", "dimple run",
        "run", "--prompt", "x", "--pipeline", "llada", "--alg", "credit", "--expected-tpf", "4");
    assertWrong("--no-allowed-confidence goes with --json-schema", "dimple run", "run", "--prompt", "x", "--no-allowed-confidence");
    assertWrong("--expected-tpf goes with --alg credit or hierarchy", "dimple eval", "eval", "x", "--expected-tpf", "1");
    for (String command : new String[] {"trace x.gguf --prompt x --json -", "eval x.jsonl", "batch x.jsonl -o -"}) {
      String name = "dimple " + command.substring(0, command.indexOf(' '));
      assertWrong("Invalid value for option '--canvas-length': 0, expected 1 or more", name, (command + " --canvas-length 0").split(" "));
    }
    assertWrong("Invalid value for option '--canvas-length': 0, expected 1 or more", "dimple chat", "chat", "--canvas-length", "0");
    assertWrong("--system goes with a chat template, not with --raw", "dimple run", "run", "--prompt", "x", "--raw", "--system", "y");
    assertWrong("Missing required argument (specify one of these): (--answer=TEXT [--answer=TEXT]... | --answer-ids-file=IDS.json "
        + "[--answer-ids-file=IDS.json]...)", "dimple score", "score", "x.gguf", "--prompt", "x", "--json", "-");
    assertWrong("--samples goes with --method monte-carlo", "dimple score",
        "score", "x.gguf", "--prompt", "x", "--answer", "y", "--method", "left-to-right", "--samples", "4", "--json", "-");
    assertWrong("samples is 0, expected at least 1", "dimple score",
        "score", "x.gguf", "--prompt", "x", "--answer", "y", "--samples", "0", "--json", "-");
    assertWrong("--prune does not go with --alg wino, which may mask the end of the text again", "dimple run",
        "run", "--prompt", "x", "--prune", "--pipeline", "llada", "--alg", "wino");
    assertWrong("--prune does not go with --guidance-scale, whose second pass takes the place of what the others go on to see", "dimple run",
        "run", "--prompt", "x", "--prune", "--pipeline", "llada", "--guidance-scale", "1");
    assertWrong("--alg origin-ratio goes with --pipeline dim only", "dimple run",
        "run", "--prompt", "x", "--alg", "origin-ratio", "--pipeline", "dream");
  }

  /** The name of an option is no value, unless it says so: the value was forgotten. */
  @Test
  void anOptionDoesNotSwallowTheNextOne() {
    assertWrong("Option '--prompt' needs a value and is followed by '--image'; --prompt=--image makes that its value", "dimple run",
        "run", "--prompt", "--image", "x.png");
    assertWrong("Option '-o' needs a value and is followed by '--force'; -o=--force makes that its value", "dimple gguf synth",
        "gguf", "synth", "-o", "--force");
    assertThat(Output.of("run", "missing.gguf", "--prompt=--image").err()).isEqualTo("dimple: missing.gguf: cannot open: No such file or directory\n");
    assertThat(Output.of("run", "missing.gguf", "--prompt", "-5 degrees").err()).contains("missing.gguf");
    assertThat(Output.of("run", "missing.gguf", "--prompt", "seed").err()).contains("missing.gguf"); // --seed has the name, a word has not
    assertWrong("Option '--threads' needs a value and is followed by '--no-prefill'; --threads=--no-prefill makes that its value", "dimple run", "run", "--threads", "--no-prefill", "--prompt", "x");
  }

  @Test
  void anEmptyNameIsNoFile() {
    assertWrong("Invalid value for option '--image' (FILE): '' is not a file name", "dimple run", "run", "--prompt", "x", "--image", "");
    assertWrong("Invalid value for positional parameter at index 0 (FILE): '' is not a file name", "dimple gguf inspect", "gguf", "inspect", "");
    assertThat(Output.of("trace", "x.gguf", "--prompt", "x", "--json", "").err()).contains("'' is not a file name");
  }

  /** Arguments as Java decodes them: by the locale, whose encoding may have no such character, or take each byte for one. */
  @Test
  void argumentsThatAreNotAsGiven() {
    byte[] given = "Größe".getBytes(StandardCharsets.UTF_8);
    for (Charset locale : List.of(StandardCharsets.US_ASCII, StandardCharsets.ISO_8859_1)) {
      String[] arguments = {"run", new String(given, locale)};
      assertThat(Arguments.problem(arguments, locale)).hasValueSatisfying(problem -> assertThat(problem).contains("argument 2", locale.name()));
    }
    assertThat(Arguments.problem(new String[] {"Größe"}, StandardCharsets.UTF_8)).isEmpty();
    assertThat(Arguments.problem(new String[] {"plain"}, StandardCharsets.US_ASCII)).isEmpty();
    String[] broken = {new String("Größe".getBytes(StandardCharsets.ISO_8859_1), StandardCharsets.UTF_8)};
    assertThat(Arguments.problem(broken, StandardCharsets.UTF_8)).hasValueSatisfying(problem -> assertThat(problem).contains("no UTF-8"));
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', quoteCharacter = '`', value = {
      "--steps          | 0            | 0, expected 1 to 1048576",
      "--steps          | 1048577      | 1048577, expected 1 to 1048576",
      "--steps          | many         | 'many' is not an int",
      "--threshold      | NaN          | NaN, expected a finite number of 0 or more",
      "--threshold      | Infinity     | Infinity, expected a finite number of 0 or more",
      "--threshold      | -0.1         | -0.1, expected a finite number of 0 or more",
      "--temperature    | -1           | -1.0, expected a finite number of 0 or more",
      "--temperature    | 1e-7         | 1.0E-7, expected 0 (the most likely token) or at least 1e-06",
      "--top-p          | 1.1          | 1.1, expected 0 to 1",
      "--top-p          | NaN          | NaN, expected 0 to 1",
      "--top-k          | -1           | -1, expected 0 or more",
      "--early-stop     | maybe        | 'maybe' is neither on nor off",
      "--alg-temp       | -1           | -1.0, expected a finite number of 0 or more",
      "--max-new-tokens | 0            | 0, expected 1 or more",
      "--max-new-tokens | 3000000000   | '3000000000' is not an int",
      "--min-side       | -1           | -1, expected 0 to 4096",
      "--background     | grey         | 'grey' is not a colour: white, black or #RRGGBB",
      "--threads        | -1           | -1, expected 0 (one per processor) to 1024",
      "--threads        | 1025         | 1025, expected 0 (one per processor) to 1024",
      "--pipeline       | dimm         | 'dimm' is not one of dim, dream, llada, mdlm, bd3lm, sdar, fast-dllm-v2, llada2, diffusion-gemma, rnd1, stable-diffcoder, dreamon, llada-v, lavida, lavida-dream, llada22",
      "--cache          | all          | 'all' is not one of model, none, prefix, dual",
      "--order          | size         | 'size' is not one of entropy, confidence, margin",
      "--unmask         | most         | 'most' is not one of all, max_conf, min_kl",
      "--block-length   | -1           | -1, expected 0 or more",
      "--eps            | 1            | 1.0, expected more than 0 and less than 1",
      "--kl-history     | 65           | 65, expected 1 to 64",
      "--threshold-back | 1.5          | 1.5, expected 0 to 1",
      "--seed           | 1.5          | '1.5' is not a whole number of 64 bits",
  })
  void valuesOutOfRange(String option, String value, String message) {
    for (String command : new String[] {"run", "trace"}) {
      String[] arguments = Stream.of(command, "x.gguf", "--prompt", "x", option, value).toArray(String[]::new);
      String[] withJson = Stream.concat(Stream.of(arguments), Stream.of("--json", "-")).toArray(String[]::new);
      assertWrong("Invalid value for option '" + option + "': " + message, "dimple " + command, command.equals("run") ? arguments : withJson);
    }
  }

  @Test
  void unknownAlgorithm() {
    assertThat(algorithms()).startsWith("origin, origin-ratio, autoregressive, maskgit_plus, topk_margin, entropy");
    assertWrong("Invalid value for option '--alg': 'best' is not one of " + algorithms(), "dimple run", "run", "--prompt", "x", "--alg", "best");
  }

  private static String algorithms() {
    return Stream.of(Algorithm.values()).map(Algorithm::label).collect(Collectors.joining(", "));
  }

  @ParameterizedTest
  @ValueSource(strings = {"5", "5=", "=5", "5=x", "", "-1=3", "5=-1", "5=3=1", "5=1,5=2", "5=1,"})
  void malformedPriors(String prior) {
    Output output = Output.of("trace", "x.gguf", "--prompt", "x", "--json", "-", "--prior", prior);
    assertThat(output.status()).isEqualTo(2);
    assertThat(output.err()).startsWith("dimple: Invalid value for option '--prior': ").hasLineCount(1);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "run", "trace", "logits", "score", "gguf"})
  void helpGoesToStandardOutput(String command) {
    Output output = command.isEmpty() ? Output.of("--help") : Output.of(command, "--help");
    assertThat(output.status()).isZero();
    assertThat(output.out()).startsWith(("Usage: dimple " + command).strip());
    assertThat(output.err()).isEmpty();
  }

  /** Of the options that make a prompt each command has those that it serves, and no other. */
  @ParameterizedTest
  @CsvSource(delimiter = '|', value = {
      "run    | background chat-template image max-new-tokens min-side prompt prompt-file raw response-template system",
      "trace  | background chat-template ids-file image max-new-tokens min-side prior prompt prompt-file raw system",
      "logits | background ids-file image min-side",
      "eval   | background chat-template image min-side prompt-file raw",
      "score  | background chat-template ids-file image min-side prompt prompt-file raw system",
  })
  void promptOptionsOfEachCommand(String command, String options) {
    String help = Output.of(command, "--help").out();
    Stream<String> all = Stream.of("background", "chat-template", "ids-file", "image", "max-new-tokens", "min-side", "prior", "prompt", "prompt-file", "raw",
        "response-template", "system");
    assertThat(all.filter(option -> Pattern.compile("^ +--" + option + "[= ]", Pattern.MULTILINE).matcher(help).find()))
        .containsExactly(options.split(" "));
  }

  @Test
  void versionIsOneLine() {
    assertThat(Output.of("--version").out()).startsWith("dimple ").hasLineCount(1);
  }

  @Test
  void helpNamesTheDefaults() {
    assertThat(Output.of("trace", "--help").out().replaceAll("\\s+", " "))
        .contains(algorithms() + " (default: low_confidence_static with pipelines mdlm, bd3lm and stable-diffcoder, low_confidence_dynamic with sdar, "
            + "fast-dllm-v2 and llada2, entropy_bound with diffusion-gemma, entropy with rnd1 and dreamon, topk_margin with lavida-dream, token_editing with llada22, otherwise maskgit_plus)")
        .contains("(default: 0.95 with pipeline dim").contains("Length of the response (default: 64)").contains("--[no-]prefill").contains("--[no-]original-confidence");
  }
}
