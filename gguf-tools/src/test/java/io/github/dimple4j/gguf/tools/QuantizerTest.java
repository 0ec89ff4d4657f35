package io.github.dimple4j.gguf.tools;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.github.dimple4j.gguf.GgufException;
import io.github.dimple4j.gguf.GgufFile;
import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.TensorInfo;
import io.github.dimple4j.gguf.TensorType;
import io.github.dimple4j.gguf.core.TensorRows;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class QuantizerTest {
  private static final String Q = "blk.0.attn_q.weight";
  private static final String EXPERTS = "blk.0.ffn_down_exps.weight";

  @TempDir private Path folder;
  private final SmallModel model = SmallModel.ofAllKinds();
  private Path target;

  @BeforeEach
  void nameTarget() {
    target = folder.resolve("out.gguf");
  }

  private Path source(TensorType type) throws IOException {
    return model.write(folder.resolve("in.gguf"), type);
  }

  private Map<String, TensorType> types(UnaryOperator<Quantizer> settings) throws IOException {
    settings.apply(Quantizer.of(source(TensorType.F32)).overwrite(true)).write(target);
    try (GgufFile file = GgufFile.open(target)) {
      return file.tensors().stream()
          .collect(Collectors.toMap(TensorInfo::name, tensor -> tensor.type().orElseThrow()));
    }
  }

  /** Relative errors of normally distributed weights; llama-quantize's are a little larger. */
  @ParameterizedTest
  @CsvSource({"F32, 0", "F16, 3e-4", "BF16, 2e-3", "Q8_0, 0.006", "Q6_K, 0.017", "Q5_K_S, 0.037", "Q5_K_M, 0.037", "Q5_1, 0.039",
      "Q5_0, 0.041", "Q4_1, 0.076", "Q4_K_S, 0.075", "Q4_K_M, 0.075", "IQ4_NL, 0.08", "IQ4_XS, 0.08", "Q4_0, 0.083", "Q3_K_S, 0.16",
      "Q3_K_M, 0.16", "Q3_K_L, 0.16", "Q2_K, 0.3"})
  void weightsAreKeptAsWellAsTheTypeCan(Quantization quantization, double error) throws IOException {
    QuantizedFile report = Quantizer.of(source(TensorType.F32)).to(quantization).write(target);
    try (GgufFile file = GgufFile.open(target)) {
      float[] expected = model.tensors.get(Q).values();
      TensorInfo tensor = file.tensor(Q).orElseThrow();
      assertThat(tensor.type()).contains(quantization.base());
      float[] actual = TensorRows.read(file, tensor, 0, (int) tensor.rows());
      assertThat(relativeError(expected, actual)).isLessThanOrEqualTo(error).isGreaterThanOrEqualTo(error / 3);
      assertThat(file.metadata()).containsEntry("general.file_type", MetadataValue.uint32(quantization.fileType()))
          .containsEntry("general.quantization_version", MetadataValue.uint32(2))
          .containsEntry("general.name", MetadataValue.string("all kinds"));
      assertThat(file.tensors()).hasSize(model.tensors.size());
      assertThat(report.sizeAfter()).isEqualTo(file.tensors().stream().mapToLong(TensorInfo::size).sum());
      assertThat(report.types().stream().mapToLong(QuantizedFile.TypeTotal::bytes).sum()).isEqualTo(report.sizeAfter());
      assertThat(report.parameters()).isEqualTo(model.tensors.values().stream().mapToLong(weights -> weights.values().length).sum());
    }
  }

  private static double relativeError(float[] expected, float[] actual) {
    assertThat(actual).hasSameSizeAs(expected);
    double differences = 0;
    double squares = 0;
    for (int i = 0; i < expected.length; i++) {
      differences += Math.pow(expected[i] - (double) actual[i], 2);
      squares += Math.pow(expected[i], 2);
    }
    return Math.sqrt(differences / squares);
  }

  @Test
  void theReportedErrorIsThatOfTheFile() throws IOException {
    QuantizedFile report = Quantizer.of(source(TensorType.F32)).to(Quantization.Q4_0).tensorType(Pattern.compile("attn_q"),
        TensorType.Q2_K).write(target);
    QuantizedFile.TypeTotal total = report.types().stream().filter(each -> each.type() == TensorType.Q2_K).findFirst().orElseThrow();
    try (GgufFile file = GgufFile.open(target)) {
      float[] actual = TensorRows.read(file, file.tensor(Q).orElseThrow(), 0, 64);
      double relative = relativeError(model.tensors.get(Q).values(), actual);
      assertThat(total.relativeError().orElseThrow()).isCloseTo(relative, within(0.3 * relative)); // the vision tower's is in it
    }
    assertThat(report.types().getFirst().type()).isEqualTo(TensorType.F32);
    assertThat(report.types().getFirst().rmse()).hasValue(0);
  }

  @Test
  void sourcesMayHaveHalfOrEightBits() throws IOException {
    for (TensorType type : List.of(TensorType.F16, TensorType.BF16, TensorType.Q8_0)) {
      QuantizedFile report = Quantizer.of(source(type)).to(Quantization.Q6_K).overwrite(true).write(target);
      assertThat(report.sizeAfter()).isLessThan(report.sizeBefore());
      try (GgufFile file = GgufFile.open(target)) {
        assertThat(relativeError(model.tensors.get(Q).values(), TensorRows.read(file, file.tensor(Q).orElseThrow(), 0, 64))).isLessThan(0.018);
      }
    }
  }

  @Test
  void vectorsRoutersAndTheVisionTowerAreNotQuantized() throws IOException {
    Map<String, TensorType> types = types(quantizer -> quantizer.to(Quantization.Q4_K_S));
    assertThat(types).containsEntry("output_norm.weight", TensorType.F32).containsEntry("blk.0.attn_q.bias", TensorType.F32)
        .containsEntry("blk.0.ffn_gate_inp.weight", TensorType.F32).containsEntry("mm.0.bias", TensorType.F32)
        .containsEntry("v.blk.0.attn_q.weight", TensorType.F16).containsEntry("v.patch_embd.weight", TensorType.F16)
        .containsEntry("output.weight", TensorType.Q6_K).containsEntry(EXPERTS, TensorType.Q4_K)
        .containsEntry("blk.0.ffn_down.weight", TensorType.Q5_0); // 96 columns
    assertThat(types(quantizer -> quantizer.to(Quantization.Q4_K_S).visionType(TensorType.Q8_0)))
        .containsEntry("v.blk.0.attn_q.weight", TensorType.Q8_0).containsEntry("v.patch_embd.weight", TensorType.F16);
  }

  @Test
  void theFirstPatternThatFindsANameCounts() throws IOException {
    Map<String, TensorType> types = types(quantizer -> quantizer.to(Quantization.Q4_0)
        .tensorType(Pattern.compile("^blk\\.0\\.attn_q"), TensorType.F16).tensorType(Pattern.compile("attn_"), TensorType.Q8_0));
    assertThat(types).containsEntry(Q, TensorType.F16).containsEntry("blk.0.attn_v.weight", TensorType.Q8_0)
        .containsEntry("v.blk.0.attn_q.weight", TensorType.Q8_0).containsEntry("blk.0.attn_norm.weight", TensorType.F32);
  }

  @ParameterizedTest
  @EnumSource(names = {"Q4_K_M", "IQ4_XS", "F16"})
  void dryRunsSayWhatIsWritten(Quantization quantization) throws IOException {
    Quantizer quantizer = Quantizer.of(source(TensorType.F32)).to(quantization);
    QuantizedFile dry = quantizer.dryRun();
    assertThat(target).doesNotExist();
    QuantizedFile written = quantizer.write(target);
    assertThat(dry.sizeAfter()).isEqualTo(written.sizeAfter());
    assertThat(dry.fallbacks()).isEqualTo(written.fallbacks());
    assertThat(dry.types()).allMatch(total -> total.rmse().isEmpty()).hasSameSizeAs(written.types());
  }

  @Test
  void partsBecomeOneFile() throws IOException {
    List<String> names = List.copyOf(model.tensors.keySet());
    model.metadata.put("split.count", MetadataValue.uint32(2));
    model.metadata.put("split.tensors.count", MetadataValue.uint32(names.size()));
    model.metadata.put("split.no", MetadataValue.uint32(1));
    Path second = model.write(folder.resolve("in-00002-of-00002.gguf"), TensorType.F32, names.subList(5, names.size()));
    model.metadata.put("split.no", MetadataValue.uint32(0));
    Path first = model.write(folder.resolve("in-00001-of-00002.gguf"), TensorType.F32, names.subList(0, 5));
    refuses(Quantizer.of(second), "expected the first");
    Quantizer.of(first).to(Quantization.Q5_0).write(target);
    model.metadata.keySet().removeIf(key -> key.startsWith("split."));
    Path whole = folder.resolve("whole.gguf");
    Quantizer.of(source(TensorType.F32)).to(Quantization.Q5_0).write(whole);
    assertThat(target).hasSameBinaryContentAs(whole);
    Files.delete(second);
    assertThatThrownBy(() -> Quantizer.of(first).overwrite(true).write(target)).isInstanceOf(IOException.class)
        .hasMessageContaining("in-00002-of-00002.gguf");
  }

  @Test
  void partsOfOtherModelsAreRefused() throws IOException {
    List<String> names = List.copyOf(model.tensors.keySet());
    MetadataValue architecture = model.metadata.get("general.architecture");
    model.metadata.put("split.count", MetadataValue.uint32(2));
    model.metadata.put("split.tensors.count", MetadataValue.uint32(names.size()));
    model.metadata.put("split.no", MetadataValue.uint32(0));
    Path first = model.write(folder.resolve("in-00001-of-00002.gguf"), TensorType.F32, names.subList(0, 5));
    model.metadata.put("split.no", MetadataValue.uint32(1));
    model.metadata.put("general.architecture", MetadataValue.string("another"));
    Path second = folder.resolve("in-00002-of-00002.gguf");
    model.write(second, TensorType.F32, names.subList(5, names.size()));
    refuses(Quantizer.of(first), second + " is a part of another model");
    model.metadata.put("general.architecture", architecture);
    model.metadata.put("split.tensors.count", MetadataValue.uint32(names.size() + 1));
    model.write(second, TensorType.F32, names.subList(5, names.size()));
    refuses(Quantizer.of(first), second + ": the parts have " + names.size() + " tensors, split.tensors.count says " + (names.size() + 1));
  }

  /** {@code columns} of every row matter {@code weight} times as much as the others. */
  private static float[] importance(int length, int columns, float weight) {
    float[] values = new float[length];
    Arrays.fill(values, 1);
    Arrays.fill(values, 0, columns, weight);
    return values;
  }

  private Path legacy(Map<String, float[]> entries, int calls) throws IOException {
    ByteBuffer bytes = ByteBuffer.allocate(1 << 16).order(ByteOrder.LITTLE_ENDIAN).putInt(entries.size());
    entries.forEach((name, values) -> {
      bytes.putInt(name.length()).put(name.getBytes(StandardCharsets.UTF_8)).putInt(calls).putInt(values.length);
      for (float value : values) {
        bytes.putFloat(value * calls);
      }
    });
    bytes.putInt(12).putInt(8).put("calm.txt".getBytes(StandardCharsets.UTF_8));
    return Files.write(folder.resolve("imatrix.dat"), Arrays.copyOf(bytes.array(), bytes.position()));
  }

  private double errorOfColumns(String name, int from, int to) throws IOException {
    SmallModel.Weights weights = model.tensors.get(name);
    try (GgufFile file = GgufFile.open(target)) {
      TensorInfo tensor = file.tensor(name).orElseThrow();
      float[] actual = TensorRows.read(file, tensor, 0, (int) tensor.rows());
      double sum = 0;
      for (int i = 0; i < actual.length; i++) {
        int column = i % (int) tensor.columns();
        if (column >= from && column < to) {
          sum += Math.pow(actual[i] - (double) weights.values()[i], 2);
        }
      }
      return sum;
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q2_K", "Q3_K_S", "Q4_K_S", "Q5_K_S", "Q6_K", "IQ4_NL", "IQ4_XS"})
  void columnsThatMatterAreKeptBetter(Quantization quantization) throws IOException {
    Quantizer quantizer = Quantizer.of(source(TensorType.F32)).to(quantization).overwrite(true);
    quantizer.write(target);
    double before = errorOfColumns(Q, 0, 8);
    quantizer.importance(legacy(Map.of(Q, importance(256, 8, 1000)), 3)).write(target);
    assertThat(errorOfColumns(Q, 0, 8)).isLessThan(0.8 * before);
    try (GgufFile file = GgufFile.open(target)) {
      assertThat(file.metadata()).containsEntry("quantize.imatrix.dataset", MetadataValue.string("calm.txt"))
          .containsEntry("quantize.imatrix.entries_count", MetadataValue.uint32(1))
          .containsEntry("quantize.imatrix.chunks_count", MetadataValue.uint32(12));
    }
  }

  @Test
  void bothFormatsOfImportanceGiveTheSameFile() throws IOException {
    float[] values = importance(3 * 256, 300, 50); // the first expert and a part of the second
    Path dat = legacy(Map.of(EXPERTS, values), 1);
    Quantizer.of(source(TensorType.F32)).to(Quantization.Q4_K_S).importance(dat).write(target);
    SmallModel statistics = new SmallModel();
    statistics.metadata.put("general.type", MetadataValue.string("imatrix"));
    statistics.metadata.put("imatrix.datasets", MetadataValue.strings(List.of("calm.txt")));
    statistics.metadata.put("imatrix.chunk_count", MetadataValue.uint32(12));
    float[] sums = values.clone();
    for (int i = 0; i < 256; i++) {
      sums[i] *= 4;
      sums[512 + i] = 0; // the third expert never ran: all of its columns matter the same
    }
    statistics.tensors.put(EXPERTS + ".in_sum2", new SmallModel.Weights(List.of(256L, 3L), sums));
    statistics.tensors.put(EXPERTS + ".counts", new SmallModel.Weights(List.of(1L, 3L), new float[] {4, 1, 0}));
    Path gguf = statistics.write(folder.resolve("imatrix.gguf"), TensorType.F32);
    Path other = folder.resolve("other.gguf");
    Quantizer.of(folder.resolve("in.gguf")).to(Quantization.Q4_K_S).importance(gguf).write(other);
    try (GgufFile a = GgufFile.open(target); GgufFile b = GgufFile.open(other)) {
      TensorInfo tensor = a.tensor(EXPERTS).orElseThrow();
      assertThat(TensorRows.read(a, tensor, 0, 15)).isEqualTo(TensorRows.read(b, b.tensor(EXPERTS).orElseThrow(), 0, 15));
    }
    double weighted = errorOfColumns(EXPERTS, 0, 44);
    Quantizer.of(folder.resolve("in.gguf")).to(Quantization.Q4_K_S).overwrite(true).write(target);
    assertThat(weighted).isNotEqualTo(errorOfColumns(EXPERTS, 0, 44));
  }

  @Test
  void importanceThatDoesNotFitIsRefused() throws IOException {
    Quantizer quantizer = Quantizer.of(source(TensorType.F32));
    refuses(quantizer.importance(legacy(Map.of(Q, new float[255]), 1)), "has 255 values; expected 256");
    refuses(quantizer.importance(legacy(Map.of("blk.7.attn_q.weight", new float[256]), 1)), "it is of another model");
    refuses(quantizer.importance(legacy(Map.of(Q, importance(256, 2, Float.NaN)), 1)), "column 0 of tensor " + Q + " is NaN");
    refuses(quantizer.importance(legacy(Map.of(Q, importance(256, 2, -1)), 1)), "column 0 of tensor " + Q + " is -1.0");
    refuses(quantizer.importance(legacy(Map.of(), 1)), "holds no importance");
    refuses(quantizer.importance(source(TensorType.F32)), "holds no importance");
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 3, 4, 7, 20, 31, 40, 600, 1063, 1067, 1072})
  void cutImportanceIsRefused(int length) throws IOException {
    Path path = legacy(Map.of(Q, importance(256, 2, 3)), 1);
    byte[] bytes = Files.readAllBytes(path);
    assertThat(bytes.length).isGreaterThan(length);
    Files.write(path, Arrays.copyOf(bytes, length));
    refuses(Quantizer.of(source(TensorType.F32)).importance(path), "cut");
  }

  @ParameterizedTest
  @CsvSource({"blk.0.attn_q.weight, 1000, row 3, 232", "output_norm.weight, 5, row 0, 5", "v.blk.0.attn_q.weight, 64, row 1, 0"})
  void weightsThatAreNotNumbersAreNamed(String name, int at, String row, int column) throws IOException {
    model.tensors.get(name).values()[at] = Float.NaN;
    refuses(Quantizer.of(source(TensorType.F32)), "tensor " + name + ": the weight at " + row + ", column " + column + " is NaN");
    model.tensors.get(name).values()[at] = Float.NEGATIVE_INFINITY;
    refuses(Quantizer.of(source(TensorType.F32)), "is -Infinity");
  }

  @Test
  void quantizedSourcesAreRefused() throws IOException {
    refuses(Quantizer.of(source(TensorType.Q4_0)), "is q4_0 already; expected f32, f16, bf16 or q8_0");
  }

  @Test
  void settingsThatSayNothingAreRefused() throws IOException {
    refuses(Quantizer.of(source(TensorType.F32)).tensorType(Pattern.compile("attn"), TensorType.F16).tensorType(Pattern.compile("attn_q"), TensorType.Q8_0),
        "every matrix whose name contains attn_q has the type of a pattern before it");
    Path matrix = legacy(Map.of(Q, importance(256, 2, 3)), 1);
    refuses(Quantizer.of(source(TensorType.F32)).to(Quantization.Q8_0).importance(matrix), "says nothing here");
    model.tensors.keySet().removeIf(name -> name.startsWith("v.") || name.startsWith("mm."));
    refuses(Quantizer.of(source(TensorType.F32)).visionType(TensorType.Q8_0), "has no matrix of a vision tower that could be q8_0");
  }

  @Test
  void patternsThatFindNothingAreRefused() throws IOException {
    refuses(Quantizer.of(source(TensorType.F32)).tensorType(Pattern.compile("attn_z"), TensorType.Q8_0), "contains attn_z");
    refuses(Quantizer.of(source(TensorType.F32)).tensorType(Pattern.compile("output_norm"), TensorType.Q8_0), "contains output_norm");
  }

  @Test
  void existingFilesAreKept() throws IOException {
    Files.writeString(target, "mine");
    Quantizer quantizer = Quantizer.of(source(TensorType.F32));
    assertThatThrownBy(() -> quantizer.write(target)).isInstanceOf(GgufException.class).hasMessage(target + " exists already");
    assertThat(target).hasContent("mine");
    quantizer.overwrite(true).write(target);
    Path source = folder.resolve("in.gguf");
    Quantizer.of(source).to(Quantization.Q8_0).overwrite(true).write(source); // in place
    try (GgufFile file = GgufFile.open(source)) {
      assertThat(file.tensor(Q).orElseThrow().type()).contains(TensorType.Q8_0);
    }
  }

  @Test
  void cutSourcesAreRefused() throws IOException {
    Path source = source(TensorType.F32);
    byte[] bytes = Files.readAllBytes(source);
    Files.write(source, Arrays.copyOf(bytes, bytes.length - 100));
    refuses(Quantizer.of(source), "is the file cut?");
  }

  @Test
  void namesAreLlamaCpps() {
    assertThat(Quantization.of("q4_k_m")).contains(Quantization.Q4_K_M);
    assertThat(Quantization.of("Q5_K")).contains(Quantization.Q5_K_M);
    assertThat(Quantization.of("iq2_xxs")).isEmpty();
    assertThat(Quantization.Q3_K_L).hasToString("q3_k_l");
  }

  private void refuses(Quantizer quantizer, String message) throws IOException {
    assertThatThrownBy(() -> quantizer.write(target)).isInstanceOf(GgufException.class).hasMessageContaining(message)
        .hasMessageNotContaining("\n");
    try (Stream<Path> files = Files.list(folder)) {
      assertThat(files).noneMatch(path -> path.equals(target) || path.toString().endsWith(".partial"));
    }
  }
}
