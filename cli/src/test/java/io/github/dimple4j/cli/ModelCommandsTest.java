package io.github.dimple4j.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.github.dimple4j.DimpleModel;
import java.awt.image.BufferedImage;
import java.io.File;
import java.io.ByteArrayInputStream;
import io.github.dimple4j.gguf.GgufFile;
import io.github.dimple4j.gguf.TensorInfo;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What the commands write about a model with random weights. */
class ModelCommandsTest {
  private static final int LENGTH = 12;

  @TempDir private static Path folder;
  private static String model;
  private static String ids;

  @BeforeAll
  static void makeModel() throws IOException {
    model = folder.resolve("model.gguf").toString();
    assertThat(Output.of("gguf", "synth", "--preset", "dimple-mini", "--type", "f32", "-o", model).status()).isZero();
    ids = Files.writeString(folder.resolve("ids.json"), "[5, 6, 7, 8]").toString();
  }

  private static Map<?, ?> trace(String... options) throws IOException {
    return traceOf(ids, LENGTH, options);
  }

  private static Map<?, ?> traceOf(String ids, int length, String... options) throws IOException {
    Path json = folder.resolve("trace.json");
    String[] fixed = {"trace", model, "--ids-file", ids, "--max-new-tokens", String.valueOf(length), "--json", json.toString()};
    Output output = Output.of(Stream.concat(Stream.of(fixed), Stream.of(options)).toArray(String[]::new));
    assertThat(output.err()).isEmpty();
    assertThat(output.status()).isZero();
    return Json.read(json);
  }

  /** The bundled model sees white another way than black, and a small picture is refused as it is. */
  @Test
  void picturesAreEnlargedAndBlendedIfAskedFor() throws IOException {
    String bundled = "../models/mini/dimple-mini-f16.gguf";
    String clear = folder.resolve("clear.png").toString();
    assertThat(ImageIO.write(new BufferedImage(9, 5, BufferedImage.TYPE_INT_ARGB), "png", new File(clear))).isTrue();
    String[] run = {"run", bundled, "--quiet", "--max-new-tokens", "4", "--prompt", "Describe this image.", "--image", clear};
    Output small = Output.of(run);
    assertThat(small.status()).isEqualTo(1);
    assertThat(small.err()).contains("a side is below 28");
    List<String> answers = new ArrayList<>();
    for (String color : new String[] {"black", "white", "#FFffFF"}) {
      String file = folder.resolve("logits.json").toString();
      Output output = Output.of("logits", bundled, "--ids-file", placeholders(), "--vision", "--json", file, "--image", clear, "--min-side", "28",
          "--background", color);
      assertThat(output.status()).as(output.err()).isZero();
      answers.add(Files.readString(Path.of(file)));
    }
    assertThat(answers.get(1)).isNotEqualTo(answers.get(0)).isEqualTo(answers.get(2));
  }

  @Test
  void tokenizersAreForFilesWithoutOne() {
    String bundled = "../models/mini/dimple-mini-f16.gguf";
    Output given = Output.of("run", bundled, "--quiet", "--max-new-tokens", "4", "--prompt", "a", "--tokenizer", bundled);
    assertThat(given.status()).isEqualTo(1);
    assertThat(given.err()).contains("has a tokenizer of its own, so that none can be given");
    Output none = Output.of("run", bundled, "--prompt", "a", "--tokenizer", folder.toString());
    assertThat(none.status()).isEqualTo(1);
    assertThat(none.err()).contains("has neither tokenizer.json nor vocab.json");
  }

  @Test
  void thinkingIsTheTemplates() {
    String bundled = "../models/mini/dimple-mini-f16.gguf";
    Output thinking = Output.of("run", bundled, "--quiet", "--max-new-tokens", "4", "--prompt", "a", "--think"); // of which its template knows nothing
    assertThat(thinking.status()).as(thinking.err()).isZero();
    Output raw = Output.of("run", bundled, "--prompt", "a", "--raw", "--think");
    assertThat(raw.status()).isEqualTo(2);
    assertThat(raw.err()).contains("--think goes with a chat template, not with --raw");
  }

  /** A prompt of as many placeholders as a picture of 50 x 28 pixels has tokens. */
  private static String placeholders() throws IOException {
    try (DimpleModel bundled = DimpleModel.load(Path.of("../models/mini/dimple-mini-f16.gguf"))) {
      int[] all = new int[bundled.imageGrid(50, 28).tokens()];
      Arrays.fill(all, bundled.info().imageTokenId().orElseThrow());
      return Files.writeString(folder.resolve("placeholders.json"), Arrays.toString(all)).toString();
    }
  }

  @Test
  void traceHasTheFieldsThatOtherProgramsRead() throws IOException {
    Map<?, ?> trace = trace("--threshold", "0.5", "--seed", "18446744073709551615", "--threads", "1", "--prior", "2=9,7=11");
    assertThat(trace.keySet().stream().map(Object::toString))
        .containsExactly("prompt_tokens", "settings", "iterations", "tokens", "text", "timings");
    assertThat(Json.integers(trace.get("prompt_tokens"))).containsExactly(5, 6, 7, 8);
    assertThat(trace.get("text")).isInstanceOf(String.class);
    Map<?, ?> settings = (Map<?, ?>) trace.get("settings");
    assertThat(settings.get("backend").toString()).startsWith("cpu-");
    assertThat(settings.toString()).startsWith("{max_new_tokens=Number[text=12], steps=Number[text=12], pipeline=dim, alg=maskgit_plus, "
        + "threshold=Number[text=0.5], temperature=Number[text=0.0], top_p=Number[text=1.0], top_k=Number[text=0], alg_temp=Number[text=0.0], "
        + "seed=Number[text=18446744073709551615], threads=Number[text=1], prefill=true, original_confidence=true, "
        + "prior={2=Number[text=9], 7=Number[text=11]}, backend=");
  }

  @Test
  void traceIterationsRevealTheResponse() throws IOException {
    Map<?, ?> trace = trace("--prior", "2=9");
    List<Integer> revealed = new ArrayList<>();
    List<Integer> tokens = List.of();
    int step = 0;
    for (Object entry : (List<?>) trace.get("iterations")) {
      Map<?, ?> iteration = (Map<?, ?>) entry;
      assertThat(iteration.keySet().stream().map(Object::toString)).containsExactly("step", "tokens", "revealed", "confidence", "millis");
      assertThat(((Json.Number) iteration.get("step")).integer()).isEqualTo(step++);
      tokens = Json.integers(iteration.get("tokens"));
      assertThat(tokens).hasSize(LENGTH).element(2).isEqualTo(9);
      assertThat((List<?>) iteration.get("confidence")).hasSameSizeAs((List<?>) iteration.get("revealed"))
          .allSatisfy(c -> assertThat(((Json.Number) c).real()).isBetween(0f, 1f));
      revealed.addAll(Json.integers(iteration.get("revealed")));
      assertThat(((Json.Number) iteration.get("millis")).real()).isPositive();
    }
    assertThat(revealed).doesNotHaveDuplicates().hasSize(LENGTH - 1).doesNotContain(2);
    assertThat(Json.integers(trace.get("tokens"))).isEqualTo(tokens);
    Map<?, ?> timings = (Map<?, ?>) trace.get("timings");
    assertThat(((Json.Number) timings.get("iterations")).integer()).isEqualTo(step);
  }

  @Test
  void traceIsReproducible() throws IOException {
    String[] drawn = {"--temperature", "0.7", "--alg", "origin", "--threshold", "0", "--seed"};
    Object first = trace(Stream.concat(Stream.of(drawn), Stream.of("1")).toArray(String[]::new)).get("tokens");
    assertThat(trace(Stream.concat(Stream.of(drawn), Stream.of("1", "--threads", "3")).toArray(String[]::new)).get("tokens")).isEqualTo(first);
    assertThat(trace(Stream.concat(Stream.of(drawn), Stream.of("2")).toArray(String[]::new)).get("tokens")).isNotEqualTo(first);
  }

  private static List<Float> confidences(Map<?, ?> trace) {
    return ((List<?>) trace.get("iterations")).stream().flatMap(each -> ((List<?>) ((Map<?, ?>) each).get("confidence")).stream())
        .map(number -> ((Json.Number) number).real()).toList();
  }

  /** Weights that stay in the file change nothing; keys and values in 16 bits change the last digits. */
  @Test
  void memoryIsSavedForTheSameAnswer() throws IOException {
    Map<?, ?> usual = trace("--threshold", "0");
    Map<?, ?> unpacked = trace("--threshold", "0", "--unpacked");
    assertThat(unpacked.get("tokens")).isEqualTo(usual.get("tokens"));
    assertThat(confidences(unpacked)).isEqualTo(confidences(usual));
    List<Float> rounded = confidences(trace("--threshold", "0", "--kv-type", "f16"));
    assertThat(rounded).hasSameSizeAs(confidences(usual)).isNotEqualTo(confidences(usual));
    assertThat(rounded.get(0)).isCloseTo(confidences(usual).get(0), within(0.01f));
    assertThat(confidences(trace("--threshold", "0", "--kv-type", "f16", "--unpacked"))).isEqualTo(rounded);
  }

  @Test
  void settingsAreThoseInEffect() throws IOException {
    Map<?, ?> settings = (Map<?, ?>) trace("--pipeline", "dream", "--steps", "3", "--no-prefill", "--alg", "entropy").get("settings");
    assertThat(settings.get("original_confidence")).isEqualTo(false);
    assertThat(settings.get("complete")).isEqualTo(false);
    assertThat(settings.containsKey("allowed_confidence")).isFalse(); // nothing holds the answer
    assertThat(settings.get("early_stop")).isEqualTo(false);
    assertThat(settings.get("prefill")).isEqualTo(false);
    assertThat(settings.get("threshold")).isEqualTo(new Json.Number("0.0"));
    assertThat(settings.get("steps")).isEqualTo(new Json.Number("3"));
    Map<?, ?> dim = (Map<?, ?>) trace("--no-original-confidence").get("settings");
    assertThat(dim.get("original_confidence")).isEqualTo(false);
  }

  private static List<Integer> tokens(Map<?, ?> from) {
    return ((List<?>) from.get("tokens")).stream().map(number -> ((Json.Number) number).integer()).toList();
  }

  /** A canvas of a long answer is what comes behind the prompt and the canvases before it, with the next seed. */
  @Test
  void aTraceOfSeveralCanvases() throws IOException {
    String[] decoding = {"--threshold", "0", "--temperature", "0.7"};
    Map<?, ?> whole = trace(Stream.concat(Stream.of(decoding), Stream.of("--canvas-length", "5", "--seed", "3")).toArray(String[]::new));
    List<Integer> answer = tokens(whole);
    assertThat(answer).hasSize(LENGTH);
    assertThat(((Map<?, ?>) whole.get("settings")).toString()).contains("steps=Number[text=5]", "canvas_length=Number[text=5]");
    List<Map<?, ?>> iterations = ((List<?>) whole.get("iterations")).stream().<Map<?, ?>>map(each -> (Map<?, ?>) each).toList();
    assertThat(iterations).extracting(each -> tokens(each).size()).containsSubsequence(5, 10, 12).isSorted();
    String second = Files.writeString(folder.resolve("second.json"), Stream.concat(Stream.of(5, 6, 7, 8), answer.stream().limit(5)).toList().toString())
        .toString();
    Map<?, ?> behind = traceOf(second, 5, Stream.concat(Stream.of(decoding), Stream.of("--seed", "4")).toArray(String[]::new));
    assertThat(tokens(behind)).isEqualTo(answer.subList(5, 10));
    assertThat(trace("--canvas-length", "99").get("tokens")).isEqualTo(trace().get("tokens"));
  }

  /** A trace shows the whole decoding unless it is asked to end with the text. */
  @Test
  void aTraceEndsWithItsTextIfAsked() throws IOException {
    Map<?, ?> whole = trace("--threshold", "0", "--steps", "12");
    String text = (String) whole.get("text");
    String stop = text.substring(0, text.offsetByCodePoints(0, 1));
    Map<?, ?> early = trace("--threshold", "0", "--steps", "12", "--early-stop", "on", "--stop", stop);
    assertThat(early.get("text")).isEqualTo("");
    assertThat((List<?>) early.get("iterations")).hasSizeLessThan(((List<?>) whole.get("iterations")).size());
    assertThat(((Map<?, ?>) early.get("settings")).toString()).contains("early_stop=true", "stop=[" + stop + "]");
    assertThat(((Map<?, ?>) whole.get("settings")).toString()).contains("early_stop=false", "stop=[]");
    assertThat((List<?>) trace("--threshold", "0", "--steps", "12", "--early-stop", "off", "--stop", stop).get("iterations"))
        .hasSameSizeAs((List<?>) whole.get("iterations"));
  }

  @Test
  void logitsHaveOneRowPerPosition() throws IOException {
    Path json = folder.resolve("logits.json");
    assertThat(Output.of("logits", model, "--ids-file", ids, "--vision", "--json", json.toString()).status()).isZero();
    Map<?, ?> document = Json.read(json);
    assertThat(document.keySet().stream().map(Object::toString)).containsExactly("logits", "vision");
    List<?> rows = (List<?>) document.get("logits");
    assertThat(rows).hasSize(4).allSatisfy(row -> assertThat((List<?>) row).hasSameSizeAs((List<?>) rows.get(0)));
    assertThat((List<?>) document.get("vision")).isEmpty();
    assertThat(Output.of("logits", model, "--ids-file", ids, "--kv-type", "f16", "--json", json.toString()).status()).isZero();
    assertThat((List<?>) Json.read(json).get("logits")).hasSameSizeAs(rows).isNotEqualTo(rows);
    for (Object number : (List<?>) rows.get(0)) {
      String text = ((Json.Number) number).text();
      assertThat(Float.toString(Float.parseFloat(text))).isEqualTo(text);
    }
  }

  @Test
  void aHyphenIsStandardOutput() {
    Output output = Output.of("logits", model, "--ids-file", ids, "--json", "-");
    assertThat(output.out()).startsWith("{\"logits\":[[").endsWith("]]}" + System.lineSeparator());
  }

  @Test
  void runPrintsTheAnswerAndALineOfFiguresOnStandardError() {
    Output output = Output.of("run", model, "--prompt", "What is it?", "--max-new-tokens", "5", "--system", "Be brief.");
    assertThat(output.status()).isZero();
    assertThat(output.out()).doesNotContain("\u001b", "tokens");
    assertThat(output.err()).hasLineCount(1);
    assertThat(output.err().strip()).matches("5 tokens, (1 iteration|\\d+ iterations), [\\d.]+ tokens per iteration, [\\d.]+ tokens/s; "
        + "load [\\d.]+ m?s, vision 0.00 ms, prefill [\\d.]+ m?s, [\\d.]+ m?s per iteration; cpu-\\S+, \\d+ threads?");
  }

  private static Object promptTokens(String... options) throws IOException {
    Path json = folder.resolve("prompt.json");
    String[] fixed = {"trace", model, "--max-new-tokens", "2", "--json", json.toString()};
    Output output = Output.of(Stream.concat(Stream.of(fixed), Stream.of(options)).toArray(String[]::new));
    assertThat(output.err()).isEmpty();
    return Json.read(json).get("prompt_tokens");
  }

  @Test
  void promptsComeFromFilesToo() throws IOException {
    Object tokens = promptTokens("--prompt", "Größe?\n  ja");
    for (String content : new String[] {"Größe?\n  ja", "Größe?\n  ja\n", "\uFEFFGröße?\n  ja\r\n"}) {
      Path file = Files.writeString(folder.resolve("prompt.txt"), content);
      assertThat(promptTokens("--prompt-file", file.toString())).isEqualTo(tokens);
    }
    InputStream before = System.in;
    System.setIn(new ByteArrayInputStream("Größe?\n  ja".getBytes(StandardCharsets.UTF_8)));
    try {
      assertThat(promptTokens("--prompt-file", "-")).isEqualTo(tokens);
    } finally {
      System.setIn(before);
    }
  }

  @Test
  void aPromptIsWrittenByItsTemplate() throws IOException {
    String template = Files.writeString(folder.resolve("template.jinja"), "{% for m in messages %}{{ m.role }}> {{ m.content }}{% endfor %}").toString();
    assertThat(promptTokens("--prompt", "What?", "--chat-template", template)).isEqualTo(promptTokens("--prompt", "user> What?", "--raw"));
    assertThat(promptTokens("--prompt", "What?")).isNotEqualTo(promptTokens("--prompt", "What?", "--raw"));
    Files.writeString(Path.of(template), "{% endfor %}");
    Output output = Output.of("run", model, "--prompt", "x", "--chat-template", template);
    assertThat(output.err()).contains("template.jinja: ").hasLineCount(1);
    assertThat(output.status()).isEqualTo(1);
  }

  @Test
  void aPromptFileThatIsNoText() throws IOException {
    Path file = Files.write(folder.resolve("latin.txt"), "Größe".getBytes(StandardCharsets.ISO_8859_1));
    assertThat(Output.of("run", model, "--prompt-file", file.toString()).err()).contains("latin.txt: is no UTF-8 text from byte 2 on");
    assertThat(Output.of("run", model, "--prompt-file", folder.toString()).err()).contains(folder + ": is a directory, expected a text file");
    Path endless = Path.of("/dev/zero");
    if (Files.exists(endless)) {
      assertThat(Output.of("run", model, "--prompt-file", endless.toString()).err()).contains("/dev/zero: is longer than 64 MiB, too long for a text");
    }
  }

  @Test
  void runFillsTheSlotsOfATemplate() {
    Output output = Output.of("run", model, "--prompt", "x", "--response-template", "<a>{{slot:2}}</a>{{slot:3}}!");
    assertThat(output.out()).startsWith("<a>").contains("</a>");
    assertThat(output.err()).startsWith("5 tokens, ");
    Output tooShort = Output.of("run", model, "--prompt", "x", "--response-template", "<a>{{slot:2}}</a>", "--max-new-tokens", "3");
    assertThat(tooShort.status()).isEqualTo(1);
    assertThat(tooShort.err()).contains("more than the response length of 3").hasLineCount(1);
  }

  @Test
  void textNeedsATokenizer() throws IOException {
    String bytes = Files.readString(Path.of(model), StandardCharsets.ISO_8859_1);
    String key = "tokenizer.ggml.tokens";
    Path without = folder.resolve("without.gguf");
    Files.writeString(without, bytes.replace(key, key.replace("tokenizer", "unrelated")), StandardCharsets.ISO_8859_1);
    for (String command : new String[] {"run", "trace"}) {
      Output output = command.equals("run") ? Output.of("run", without.toString(), "--prompt", "x")
          : Output.of("trace", without.toString(), "--prompt", "x", "--json", "-");
      assertThat(output.status()).isEqualTo(1);
      assertThat(output.err()).contains("no tokenizer").hasLineCount(1);
    }
    Output byIds = Output.of("trace", without.toString(), "--ids-file", ids, "--max-new-tokens", "3", "--json", "-");
    assertThat(((Map<?, ?>) Json.parse(byIds.out())).get("text")).isNull();
  }

  /** Refused by every command that runs a model, and run by them, with a note, where that is asked for. */
  @Test
  void unknownKeysAreRefusedOrIgnored() throws IOException {
    String bytes = Files.readString(Path.of(model), StandardCharsets.ISO_8859_1);
    Path unknown = folder.resolve("unknown.gguf");
    Files.writeString(unknown, bytes.replace("dimple.vocab_size", "dimple.swin_norms"), StandardCharsets.ISO_8859_1);
    List<List<String>> commands = List.of(List.of("logits", unknown.toString(), "--ids-file", ids, "--json", "-"),
        List.of("trace", unknown.toString(), "--ids-file", ids, "--max-new-tokens", "3", "--json", "-"),
        List.of("run", unknown.toString(), "--prompt", "x", "--max-new-tokens", "3"), List.of("gguf", "validate", unknown.toString()));
    for (List<String> command : commands) {
      Output refused = Output.of(command.toArray(String[]::new));
      assertThat(refused.status()).as("%s", command).isEqualTo(1);
      assertThat(refused.out() + refused.err()).contains(unknown + ": key dimple.swin_norms is unknown");
      Output ignored = Output.of(Stream.concat(command.stream(), Stream.of("--ignore-unknown")).toArray(String[]::new));
      assertThat(ignored.status()).as("%s", command).isZero();
      assertThat(ignored.out() + ignored.err()).contains("note: ").contains("key dimple.swin_norms");
    }
    assertThat(Output.of("gguf", "inspect", unknown.toString()).out()).containsPattern("Unknown: .*\\R  key dimple.swin_norms\\R$");
    assertThat(((Map<?, ?>) Json.parse(Output.of("gguf", "inspect", unknown.toString(), "--json").out())).get("unknown"))
        .isEqualTo(List.of("key dimple.swin_norms"));
  }

  /** One line, and status 1; no text of what a choice among such numbers would be. */
  @Test
  void logitsThatAreNoNumbersAreAFailure() throws IOException {
    Path spoilt = Files.copy(Path.of(model), folder.resolve("spoilt.gguf"));
    try (GgufFile file = GgufFile.open(spoilt); FileChannel channel = FileChannel.open(spoilt, StandardOpenOption.WRITE)) {
      TensorInfo norm = file.tensors().stream().filter(tensor -> tensor.name().equals("blk.0.ffn_norm.weight")).findFirst().orElseThrow();
      channel.write(ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putFloat(0, Float.NaN), file.dataStart() + norm.offset());
    }
    for (String[] command : new String[][] {{"run", spoilt.toString(), "--prompt", "x", "--max-new-tokens", "3"},
        {"trace", spoilt.toString(), "--ids-file", ids, "--max-new-tokens", "3", "--json", "-"},
        {"logits", spoilt.toString(), "--ids-file", ids, "--json", "-"}}) {
      Output output = Output.of(command);
      assertThat(output.status()).as(command[0]).isEqualTo(1);
      assertThat(output.err()).contains(spoilt + ": the model gives logits that are NaN or infinite").hasLineCount(1);
      assertThat(output.out()).as(command[0]).isEmpty();
    }
  }

  @Test
  void aFailureLeavesNoFileBehind() throws IOException {
    Path target = Files.createDirectory(folder.resolve("target"));
    Path bad = Files.writeString(folder.resolve("bad.json"), "[123456789]");
    assertThat(Output.of("logits", model, "--ids-file", bad.toString(), "--json", target.resolve("out.json").toString()).status()).isEqualTo(1);
    assertThat(Output.of("trace", model, "--ids-file", ids, "--prior", "64=1", "--json", target.resolve("out.json").toString()).status()).isEqualTo(1);
    try (Stream<Path> files = Files.list(target)) {
      assertThat(files).isEmpty();
    }
  }
}
