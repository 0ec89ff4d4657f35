package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.github.dimple4j.bindings.Dimple;
import io.github.dimple4j.chat.ChatMessage;
import io.github.dimple4j.chat.Tool;
import io.github.dimple4j.core.Core;
import io.github.dimple4j.tokenizer.TokenizerException;
import java.io.File;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

class DimpleModelTest {
  @TempDir Path folder;

  private DimpleModel load(TinyModel model) throws IOException {
    return DimpleModel.load(model.write(folder.resolve("model.gguf")));
  }

  /** As in files of LLaDA, which name one end and are taught to write another, and of checkpoints whose configuration lists several. */
  @Test
  void allEndsOfAFileEndAText() throws IOException {
    try (var model = load(TinyModel.ofText().put("tokenizer.ggml.eos_token_id", TinyModel.PAD))) {
      assertThat(model.endTokenIds()).containsExactly(TinyModel.PAD, TinyModel.IM_END); // by key, by spelling
    }
    try (var model = load(TinyModel.ofTokens().put("tokenizer.ggml.eot_token_id", 5).put("tokenizer.ggml.eos_token_ids", new int[] {4, 7}))) {
      assertThat(model.endTokenIds()).containsExactly(4, 5, 7, TinyModel.PAD, TinyModel.IM_END);
    }
  }

  private static int[] tokens(DimpleModel model) {
    try (var session = model.session().tokens(new int[] {5, 6, 7}).responseLength(8).prefill()) {
      return session.decode(Decoding.defaults()).tokens();
    }
  }

  /** Packed once, mapped after that; what cannot be kept is packed. */
  @Test
  void packedWeightsAreKeptBesideTheFile() throws IOException {
    Path file = TinyModel.ofText().write(folder.resolve("kept.gguf"));
    ModelOptions kept = ModelOptions.builder().packCache(true).build();
    int[] expected;
    try (var model = DimpleModel.load(file)) {
      expected = tokens(model);
    }
    long own = 0;
    for (int i = 0; i < 2; i++) {
      try (var model = DimpleModel.load(file, kept)) {
        assertThat(tokens(model)).isEqualTo(expected);
        boolean here = model.info().backend().startsWith("cpu-");
        assertThat(Files.exists(folder.resolve("kept.gguf." + model.info().backend() + ".packed"))).isEqualTo(here);
        if (here && i > 0) {
          assertThat(model.info().weightSize()).isLessThan(own);
        }
        own = model.info().weightSize();
      }
    }
  }

  @Test
  void infoIsTheFiles() throws IOException {
    try (var model = load(TinyModel.ofText().withVision())) {
      ModelInfo info = model.info();
      assertThat(info.architecture()).isEqualTo(TinyModel.ARCHITECTURE);
      assertThat(info.backend()).isNotEmpty();
      assertThat(info.vocabSize()).isEqualTo(272);
      assertThat(info.contextLength()).isEqualTo(2048);
      assertThat(info.layerCount()).isEqualTo(2);
      assertThat(info.embeddingLength()).isEqualTo(32);
      assertThat(info.headCount()).isEqualTo(2);
      assertThat(info.headCountKv()).isEqualTo(1);
      assertThat(info.headSize()).isEqualTo(16);
      assertThat(info.bidirectional()).isTrue();
      assertThat(info.shiftLogits()).isTrue();
      assertThat(info.maskTokenId()).hasValue(TinyModel.MASK);
      assertThat(info.bosTokenId()).hasValue(TinyModel.IM_START);
      assertThat(info.eosTokenId()).hasValue(TinyModel.IM_END);
      assertThat(info.padTokenId()).hasValue(TinyModel.PAD);
      assertThat(info.imageTokenId()).hasValue(TinyModel.IMAGE);
      assertThat(info.hasVision()).isTrue();
      assertThat(info.patchSize()).isEqualTo(14);
      assertThat(info.mergeSize()).isEqualTo(2);
      assertThat(info.minPixels()).isLessThan(info.maxPixels());
      assertThat(info.fileSize()).isEqualTo(Files.size(folder.resolve("model.gguf")));
      assertThat(info.parameterCount()).isPositive();
      assertThat(info.weightSize()).isPositive();
      assertThat(info.kvBytesPerToken()).isPositive();
    }
    try (var model = load(TinyModel.ofTokens().remove("tokenizer.ggml.bos_token_id"))) {
      assertThat(model.info().bosTokenId()).isEqualTo(OptionalInt.empty());
      assertThat(model.info().hasVision()).isFalse();
      assertThat(model.info().patchSize()).isZero();
    }
  }

  @Test
  void weightsAreLimitedAndSayWhatStaysInTheFile() throws IOException {
    Path file = TinyModel.ofText().write(folder.resolve("model.gguf"));
    try (var model = DimpleModel.load(file, ModelOptions.builder().weightMemory(1).build())) {
      assertThat(model.info().unpackedSize()).isZero(); // it has no experts
    }
    try (var model = DimpleModel.load(file, ModelOptions.builder().unpacked(true).build())) {
      assertThat(model.info().unpackedSize()).isPositive().isLessThan(model.info().fileSize());
    }
    ModelOptions onDevices = ModelOptions.builder().backend("cpu").deviceLayers(1).build();
    assertThatExceptionOfType(InvalidArgumentException.class).isThrownBy(() -> DimpleModel.load(file, onDevices))
        .withMessageMatching("deviceLayers is 1, but backend cpu-\\S+ is no device");
    ModelOptions.Builder options = ModelOptions.builder().weightMemory(-1);
    assertThatExceptionOfType(InvalidArgumentException.class).isThrownBy(options::build).withMessageStartingWith("weightMemory is -1");
    assertThatExceptionOfType(InvalidArgumentException.class).isThrownBy(options.weightMemory(1).unpacked(true)::build)
        .withMessage("weightMemory does not go with unpacked, which leaves no weights to pack");
    assertThatExceptionOfType(InvalidArgumentException.class).isThrownBy(options.weightMemory(0).packCache(true)::build)
        .withMessage("packCache does not go with unpacked, which leaves no weights to pack");
  }

  @Test
  void unpackedWeightsTakeNoMemoryAndGiveTheSame() throws IOException {
    Path file = TinyModel.ofText().write(folder.resolve("model.gguf"));
    try (var packed = DimpleModel.load(file); var unpacked = DimpleModel.load(file, ModelOptions.builder().unpacked(true).build());
        var expected = packed.session().user("cat").responseLength(16).open(); var found = unpacked.session().user("cat").responseLength(16).open()) {
      assertThat(unpacked.info().weightSize()).isLessThan(packed.info().weightSize() / 2);
      assertThat(found.decode(Decoding.defaults()).canvas()).isEqualTo(expected.decode(Decoding.defaults()).canvas());
    }
  }

  @Test
  void metadataHasEveryType() throws IOException {
    TinyModel tiny = TinyModel.ofTokens().put("t.i8", (byte) -3).put("t.i16", (short) -300).put("t.u32", -1).put("t.f32", 0.5f)
        .put("t.bool", true).put("t.string", "grün").put("t.i64", -5L).put("t.f64", 0.1).put("t.integers", new int[] {-1, 2})
        .put("t.floats", new float[] {0.25f}).put("t.strings", new String[] {"a", "", "ü"});
    try (var model = load(tiny)) {
      Map<String, Object> expected = Map.ofEntries(Map.entry("t.i8", -3L), Map.entry("t.i16", -300L), Map.entry("t.u32", 0xFFFFFFFFL),
          Map.entry("t.f32", 0.5), Map.entry("t.bool", true), Map.entry("t.string", "grün"), Map.entry("t.i64", -5L), Map.entry("t.f64", 0.1),
          Map.entry("t.integers", List.of(-1L, 2L)), Map.entry("t.floats", List.of(0.25)), Map.entry("t.strings", List.of("a", "", "ü")));
      expected.forEach((key, value) -> assertThat(model.metadata(key)).as(key).contains(value));
      assertThat(model.metadata("t.none")).isEmpty();
      assertThat(model.metadataKeys()).startsWith("general.architecture").containsAll(expected.keySet());
    }
  }

  @Test
  void tokenizerAndTemplateAreTheFiles() throws IOException {
    try (var model = load(TinyModel.ofText().put("tokenizer.chat_template", "{{ messages[0].content }}!"))) {
      assertThat(model.hasTokenizer()).isTrue();
      assertThat(model.tokenizer()).isSameAs(model.tokenizer());
      assertThat(model.tokenizer().encode("cat<|im_end|>")).containsExactly(257, TinyModel.IM_END);
      assertThat(model.chatTemplate()).isSameAs(model.chatTemplate());
      try (var session = model.session().user("cat").open()) {
        assertThat(session.promptTokens()).containsExactly(257, '!');
      }
    }
  }

  /** The template of the name tool_use is the one where there are tools. */
  @Test
  void templateOfToolsIsTheFiles() throws IOException {
    try (var model = load(TinyModel.ofText().put("tokenizer.chat_template", "{{ messages[0].content }}!").put("tokenizer.chat_template.tool_use", "{{ tools[0].function.name }}?"))) {
      var question = List.of(ChatMessage.of("user", "cat"));
      assertThat(model.chatTemplate().ownPrompt(question, List.of(), true, Map.of()).text()).isEqualTo("cat!");
      assertThat(model.chatTemplate().ownPrompt(question, List.of(new Tool("see", "", "{}")), true, Map.of()).text()).isEqualTo("see?");
    }
  }

  @Test
  void fileWithoutTokenizerLoads() throws IOException {
    try (var model = load(TinyModel.ofTokens())) {
      assertThat(model.hasTokenizer()).isFalse();
      assertThatExceptionOfType(NoTokenizerException.class).isThrownBy(model::tokenizer).withMessageContaining("tokenizer.ggml.tokens");
      assertThatExceptionOfType(NoTokenizerException.class).isThrownBy(() -> model.session().user("cat").open());
    }
  }

  @Test
  void tokenizerOfAnotherKindFailsOnlyWhereTextIsNeeded() throws IOException {
    try (var model = load(TinyModel.ofText().put("tokenizer.ggml.model", "llama").put("tokenizer.ggml.tokens", new int[] {1}))) {
      assertThatExceptionOfType(TokenizerException.class).isThrownBy(model::tokenizer);
      try (var session = model.session().tokens(new int[] {1}).responseLength(2).open()) {
        assertThat(session.decode(Decoding.defaults()).tokens()).hasSize(2);
      }
    }
  }

  @Test
  void damagedFilesAreRefusedInOneLine() throws IOException {
    byte[] good = TinyModel.ofText().withVision().bytes();
    Path file = folder.resolve("damaged.gguf");
    for (int cut = 0; cut < 60; cut++) {
      Files.write(file, Arrays.copyOf(good, (int) ((long) good.length * cut / 60)));
      assertOneLine(ModelFileException.class, file);
    }
    Files.writeString(file, "This is not a model, although it is long enough to be a header of one.");
    assertOneLine(ModelFileException.class, file);
    TinyModel.ofText().remove("dimple.block_count").write(file);
    assertOneLine(ModelFileException.class, file);
    TinyModel.ofText().remove("blk.1.ffn_up.weight").write(file);
    assertOneLine(ModelFileException.class, file);
    TinyModel.ofText().tensor("blk.1.ffn_up.weight", 32, 47).write(file);
    assertOneLine(ModelFileException.class, file);
    TinyModel.ofText().put("general.architecture", "gpt5").write(file);
    assertOneLine(UnsupportedException.class, file);
    assertOneLine(ModelFileException.class, folder);
    assertOneLine(ModelFileException.class, folder.resolve("missing.gguf"));
  }

  private static void assertOneLine(Class<? extends DimpleException> type, Path file) {
    assertThatExceptionOfType(type).isThrownBy(() -> DimpleModel.load(file).close())
        .satisfies(e -> assertThat(e.getMessage()).contains(file.toString()).doesNotContain("\n"));
  }

  @Test
  void optionsReachTheLibrary() throws IOException {
    Path file = TinyModel.ofTokens().write(folder.resolve("model.gguf"));
    try (var model = DimpleModel.load(file, ModelOptions.builder().backend("ref").threads(1).build())) {
      assertThat(model.info().backend()).isEqualTo("ref");
    }
    assertThatExceptionOfType(DimpleException.class).isThrownBy(() -> DimpleModel.load(file, ModelOptions.builder().backend("abacus").build()))
        .withMessageContaining("abacus");
    assertThatExceptionOfType(InvalidArgumentException.class).isThrownBy(() -> DimpleModel.load(file, ModelOptions.builder().threads(-1).build()));
    Path none = folder.resolve("none.gguf");
    assertThatExceptionOfType(ModelFileException.class).isThrownBy(() -> DimpleModel.load(file, ModelOptions.builder().mmproj(none).build()))
        .withMessageContaining("none.gguf");
  }

  @Test
  void modelInsideAnArchiveIsRefused() throws IOException {
    Path zip = folder.resolve("models.zip");
    try (var archive = FileSystems.newFileSystem(URI.create("jar:" + zip.toUri()), Map.of("create", "true"))) {
      Path inside = TinyModel.ofTokens().write(archive.getPath("/model.gguf"));
      assertThatExceptionOfType(InvalidArgumentException.class).isThrownBy(() -> DimpleModel.load(inside)).withMessageContaining("models.zip");
    }
  }

  @Test
  void imageGridNeedsVision() throws IOException {
    try (var model = load(TinyModel.ofTokens().withVision())) {
      assertThat(model.imageGrid(140, 84)).isEqualTo(new ImageGrid(140, 84, 6, 10, 15));
      assertThatExceptionOfType(InvalidArgumentException.class).isThrownBy(() -> model.imageGrid(1, 1));
      assertThatExceptionOfType(InvalidArgumentException.class).isThrownBy(() -> model.imageGrid(20000, 10));
    }
    try (var model = load(TinyModel.ofTokens())) {
      assertThatExceptionOfType(UnsupportedException.class).isThrownBy(() -> model.imageGrid(140, 84));
    }
  }

  @Test
  void closedModelThrowsEverywhere() throws IOException {
    var model = load(TinyModel.ofText());
    var builder = model.session().tokens(new int[] {1});
    model.close();
    model.close();
    assertThat(List.<Runnable>of(model::info, model::hasTokenizer, model::tokenizer, model::chatTemplate, model::metadataKeys, model::session,
        () -> model.metadata("general.architecture"), () -> model.imageGrid(28, 28), builder::open, builder::prefill))
        .allSatisfy(call -> assertThatExceptionOfType(ClosedException.class).isThrownBy(call::run));
  }

  @Test
  void sessionsOutliveTheirModel() throws IOException {
    Session session;
    try (var model = load(TinyModel.ofText())) {
      session = model.session().tokens(new int[] {1, 2}).responseLength(4).open();
    }
    try (session) {
      assertThat(session.decode(Decoding.defaults()).text()).isNotNull();
    }
  }

  @Test
  void processorIsDescribed() {
    assertThat(DimpleModel.cpuDescription()).isNotBlank().doesNotContain("\n");
  }

  /** A model of this kind takes half a megabyte, its session as much: a hundred forgotten ones would show. */
  @Test
  @EnabledOnOs(OS.LINUX)
  void hundredModelsLeaveMemoryFlat() throws Exception {
    Path file = TinyModel.ofText().withVision().write(folder.resolve("model.gguf"));
    String classes = String.join(File.pathSeparator, location(Dimple.class), location(DimpleModel.class),
        location(Core.instance().getClass()), "target/test-classes");
    var process = new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-Xms48m", "-Xmx48m",
        "-XX:+AlwaysPreTouch", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "--enable-native-access=ALL-UNNAMED",
        "-Ddimple.library=" + System.getProperty("dimple.library"), "-Ddimple.core=" + System.getProperty("dimple.core", ""), "-cp", classes,
        HundredModels.class.getName(), file.toString())
        .redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(output).as("growth in kB").matches("-?\\d+");
    assertThat(Long.parseLong(output)).isLessThan(10_000);
  }

  private static String location(Class<?> type) {
    return Path.of(type.getProtectionDomain().getCodeSource().getLocation().getPath()).toString();
  }
}
