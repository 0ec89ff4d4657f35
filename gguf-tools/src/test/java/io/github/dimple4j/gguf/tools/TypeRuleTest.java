package io.github.dimple4j.gguf.tools;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.dimple4j.gguf.GgufFile;
import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.TensorInfo;
import io.github.dimple4j.gguf.TensorType;
import io.github.dimple4j.gguf.architecture.ModelLayout;
import io.github.dimple4j.gguf.architecture.TensorSource;
import io.github.dimple4j.gguf.checkpoint.PreTokenizer;
import io.github.dimple4j.gguf.checkpoint.SpecialTokens;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** A file converted to a type and one quantized to it afterwards have the same types, and say the same of themselves. */
class TypeRuleTest {
  @TempDir private static Path sources;
  private static final Map<String, Path> SOURCES = new HashMap<>(); // by layout: the same for every type

  @TempDir private Path folder;

  /** Text matrices with rows of 64 and 96 elements, a vision tower with rows of 14, 32 and 48. */
  @ParameterizedTest
  @EnumSource
  void checkpointsWithOddShapes(Quantization quantization) throws IOException {
    Path direct = folder.resolve("direct.gguf");
    List<TypeFallback> fallbacks = convert("gamma", quantization, direct);
    for (Quantization first : List.of(Quantization.F32, Quantization.F16, Quantization.BF16)) {
      Path source = folder.resolve(first + ".gguf");
      convert("gamma", first, source);
      Path quantized = folder.resolve(first + "-quantized.gguf");
      QuantizedFile report = Quantizer.of(source).to(quantization).write(quantized);
      assertThat(types(quantized)).isEqualTo(types(direct));
      assertThat(fileType(quantized)).isEqualTo(fileType(direct)).isEqualTo(MetadataValue.uint32(quantization.fileType()));
      assertThat(report.fallbacks()).isEqualTo(fallbacks);
    }
  }

  private static List<TypeFallback> convert(String golden, Quantization quantization, Path target) throws IOException {
    return Converter.of(TestCheckpoint.GOLDENS.resolve(golden)).to(quantization).write(target).fallbacks();
  }

  /** Every kind of matrix at a depth, width and number of query and key heads, with no, few and Mixtral's number of experts; at one width tied, too. */
  @ParameterizedTest
  @EnumSource
  void layoutsOfAllKinds(Quantization quantization) throws IOException {
    for (int experts : new int[] {0, 3, 8}) {
      for (int width : new int[] {256, 96, 40}) {
        for (boolean tied : width == 256 ? new boolean[] {false, true} : new boolean[] {false}) {
          ModelLayout layout = layout(width, experts, tied);
          Path direct = write(layout, quantization, folder.resolve("zeros.gguf"));
          Path source = SOURCES.get(experts + "-" + width + "-" + tied);
          if (source == null) {
            source = write(layout, Quantization.F16, sources.resolve(experts + "-" + width + "-" + tied + ".gguf"));
            SOURCES.put(experts + "-" + width + "-" + tied, source);
          }
          Path quantized = folder.resolve("quantized.gguf");
          Quantizer.of(source).to(quantization).overwrite(true).write(quantized);
          assertThat(types(quantized)).as("%s, width %d, %d experts, tied: %s", quantization, width, experts, tied).isEqualTo(types(direct));
          assertThat(fileType(quantized)).isEqualTo(fileType(direct));
        }
      }
    }
  }

  @Test
  void theMixtureIsTheSameUnderItsShortName() throws IOException {
    ModelLayout layout = layout(256, 0, false);
    Map<String, TensorType> types = types(write(layout, Quantization.of("q4_k").orElseThrow(), folder.resolve("zeros.gguf")));
    assertThat(types).containsEntry("output.weight", TensorType.Q6_K).containsEntry("blk.0.attn_q.weight", TensorType.Q4_K)
        .containsEntry("blk.8.ffn_down.weight", TensorType.Q6_K).containsEntry("blk.0.attn_norm.weight", TensorType.F32);
  }

  /** Of files whose matrices are all one K-type, the number that llama.cpp gives to the mixture nearest to it. */
  @Test
  void pureFilesSayWhatTheyAre() throws IOException {
    Path path = folder.resolve("pure.gguf");
    Synth.of("dimple-mini").type(TensorType.Q4_K).write(path);
    assertThat(fileType(path)).isEqualTo(MetadataValue.uint32(14));
    assertThat(types(path)).containsEntry("output.weight", TensorType.Q4_K).containsEntry("blk.0.attn_v.weight", TensorType.Q4_K);
  }

  /** A model's file of zeros, made as a conversion makes it. */
  private static Path write(ModelLayout layout, Quantization quantization, Path path) throws IOException {
    TypeRule rule = TypeRule.of(Mixture.of(quantization, layout));
    new ModelWriter(path, true, (tensor, done, total) -> { }).write(layout.architecture(), quantization, layout.metadata(), layout.tensors(),
        rule, List.of(), List.of(), (tensor, source) -> (row, rows, encoded, area) -> encoded.copyFrom(MemorySegment.ofArray(
            new byte[Math.toIntExact(encoded.byteSize())])));
    return path;
  }

  private static ModelLayout layout(int width, int experts, boolean tied) {
    int layers = 9;
    Map<String, MetadataValue> metadata = new LinkedHashMap<>();
    metadata.put("any.block_count", MetadataValue.uint32(layers));
    metadata.put("any.attention.head_count", MetadataValue.uint32(8));
    metadata.put("any.attention.head_count_kv", MetadataValue.uint32(2));
    if (experts > 0) {
      metadata.put("any.expert_count", MetadataValue.uint32(experts));
    }
    List<TensorSource> tensors = new ArrayList<>();
    add(tensors, "token_embd.weight", 24, width);
    for (int i = 0; i < layers; i++) {
      String block = "blk." + i + ".";
      add(tensors, block + "attn_norm.weight", width);
      add(tensors, block + "attn_q.weight", width, width);
      add(tensors, block + "attn_q.bias", width);
      add(tensors, block + "attn_q_norm.weight", width / 8);
      add(tensors, block + "attn_k.weight", width / 4, width);
      add(tensors, block + "attn_v.weight", width / 4, width);
      add(tensors, block + "attn_output.weight", width, width);
      if (experts > 0) {
        add(tensors, block + "ffn_gate_inp.weight", experts, width);
        add(tensors, block + "ffn_gate_exps.weight", experts, 32, width);
        add(tensors, block + "ffn_down_exps.weight", experts, width, 32);
      } else {
        add(tensors, block + "ffn_gate.weight", 2 * width, width);
        add(tensors, block + "ffn_down.weight", width, 2 * width);
      }
    }
    add(tensors, "output_norm.weight", width);
    if (!tied) {
      add(tensors, "output.weight", 24, width);
    }
    add(tensors, "v.blk.0.attn_q.weight", 64, 64);
    add(tensors, "v.patch_embd.weight", 8, 3, 14, 14);
    SpecialTokens special = new SpecialTokens(OptionalInt.empty(), OptionalInt.empty(), OptionalInt.empty(), OptionalInt.empty());
    return new ModelLayout("any", 24, metadata, tensors, PreTokenizer.QWEN2, special);
  }

  private static void add(List<TensorSource> list, String name, long... shape) {
    List<Long> dimensions = new ArrayList<>();
    for (long size : shape) {
      dimensions.addFirst(size);
    }
    list.add(new TensorSource(name, dimensions, List.of(""), List.of(), 1, n -> n));
  }

  private static Map<String, TensorType> types(Path path) throws IOException {
    try (GgufFile file = GgufFile.open(path)) {
      Map<String, TensorType> types = new LinkedHashMap<>();
      file.tensors().forEach((TensorInfo tensor) -> types.put(tensor.name(), tensor.type().orElseThrow()));
      return types;
    }
  }

  private static MetadataValue fileType(Path path) throws IOException {
    try (GgufFile file = GgufFile.open(path)) {
      return file.metadata().get("general.file_type");
    }
  }
}
