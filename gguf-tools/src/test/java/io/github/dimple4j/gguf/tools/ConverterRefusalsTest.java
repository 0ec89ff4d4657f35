package io.github.dimple4j.gguf.tools;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.dimple4j.gguf.GgufException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.node.ObjectNode;

/** Checkpoints whose files or tensors are not what they should be: each is refused by a message that names the thing, and nothing is left. */
class ConverterRefusalsTest extends ConverterFixture {
  @Test
  void missingTensorsAreNamed() {
    checkpoint.tensors.remove("model.layers.1.mlp.up_proj.weight");
    refuses("tensor model.layers.1.mlp.up_proj.weight is missing");
  }

  @Test
  void surplusTensorsAreNamed() {
    checkpoint.tensors.put("model.layers.7.mlp.up_proj.weight", f32(4));
    refuses("model.safetensors: tensor model.layers.7.mlp.up_proj.weight has no place");
  }

  @Test
  void wrongShapesAreNamed() {
    checkpoint.tensors.put("model.norm.weight", f32(63));
    refuses("tensor model.norm.weight has shape [63]; config.json asks for [64]");
  }

  @Test
  void weightsThatAreNotNumbersAreNamedAndNothingIsLeft() {
    ByteBuffer.wrap(checkpoint.tensors.get("lm_head.weight").data()).order(ByteOrder.LITTLE_ENDIAN).putFloat(400, Float.NaN);
    refuses("tensor output.weight: from lm_head.weight of " + folder.resolve("hf/model.safetensors")
        + ": the weight at row 1, column 36 is NaN");
  }

  @Test
  void weightsTooLargeForTheTypeAreNamed() {
    ByteBuffer.wrap(checkpoint.tensors.get("lm_head.weight").data()).order(ByteOrder.LITTLE_ENDIAN).putFloat(400, 1e6f);
    refuses("model.safetensors: row 1, column 36 is 1e+06");
  }

  @Test
  @Timeout(20)
  void aVocabularyThatNoTensorHasIsRefusedBeforeItIsMade() {
    checkpoint.config.put("vocab_size", Integer.MAX_VALUE);
    refuses("model.embed_tokens.weight");
  }

  /** The same weights, if they are there, would be read as other numbers. */
  @Test
  void quantizedCheckpointsAreRefused() throws IOException {
    checkpoint.config.putObject("quantization_config").put("quant_method", "gptq").put("bits", 4);
    Path source = checkpoint.write(folder.resolve("hf"));
    assertThatThrownBy(() -> Converter.of(source).write(target)).hasMessageContaining("\"quantization_config\" is {\"quant_method\":\"gptq\"");
    checkpoint.config.putNull("quantization_config").putObject("text_config").putObject("quantization_config").put("quant_method", "fp8");
    checkpoint.write(source);
    assertThatThrownBy(() -> Converter.of(source).write(target)).hasMessageContaining("\"text_config.quantization_config\" is {\"quant_method\":\"fp8\"");
    checkpoint.config.remove("text_config");
    checkpoint.config.putObject("quantization_config").put("quant_method", "bitsandbytes"); // beside plain tensors
    checkpoint.write(source);
    Converter.of(source).write(target);
    assertThat(target).exists();
  }

  @Test
  void directoriesWithoutAModelAreRefused() throws IOException {
    assertThatThrownBy(() -> Converter.of(folder.resolve("none")).write(target)).hasMessageContaining("is not a directory");
    assertThatThrownBy(() -> Converter.of(folder).write(target)).hasMessageContaining("has no config.json");
    Path source = checkpoint.write(folder.resolve("hf"));
    Files.delete(source.resolve("model.safetensors"));
    assertThatThrownBy(() -> Converter.of(source).write(target)).hasMessageContaining("has neither model.safetensors nor");
    Files.writeString(source.resolve("config.json"), "{\"a\": ");
    assertThatThrownBy(() -> Converter.of(source).write(target)).isInstanceOf(GgufException.class).hasMessageContaining("is not JSON");
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 7, 100, 50_000})
  void cutShardsAreNamed(int missing) throws IOException {
    Path source = checkpoint.writeShards(folder.resolve("hf"), 2);
    Path shard = source.resolve(TestCheckpoint.shardName(1, 2));
    byte[] bytes = Files.readAllBytes(shard);
    Files.write(shard, Arrays.copyOf(bytes, bytes.length - missing));
    refuses(source, shard.getFileName().toString());
  }

  @Test
  void missingShardsAreNamed() throws IOException {
    Path source = checkpoint.writeShards(folder.resolve("hf"), 2);
    Files.delete(source.resolve(TestCheckpoint.shardName(1, 2)));
    refuses(source, "model-00002-of-00002.safetensors is missing");
  }

  @Test
  void anIndexThatDisagreesWithTheShardsIsNamed() throws IOException {
    Path source = checkpoint.writeShards(folder.resolve("hf"), 2);
    ObjectNode map = (ObjectNode) TestCheckpoint.JSON.readTree(Files.readAllBytes(source.resolve("model.safetensors.index.json")))
        .path("weight_map");
    String name = map.propertyNames().iterator().next();
    map.put(name, TestCheckpoint.shardName(1, 2));
    TestCheckpoint.writeIndex(source, map);
    refuses(source, "tensor " + name + " is not in " + TestCheckpoint.shardName(1, 2));
    map.remove(name);
    TestCheckpoint.writeIndex(source, map);
    refuses(source, "tensor " + name + " is not listed for this file");
    map.put(name, "../elsewhere.safetensors");
    TestCheckpoint.writeIndex(source, map);
    refuses(source, "\"../elsewhere.safetensors\" is not the name of a file beside it");
  }

  @Test
  void damagedSafetensorsHeadersAreNamed() throws IOException {
    Path source = checkpoint.write(folder.resolve("hf"));
    Path weights = source.resolve("model.safetensors");
    Map<String, byte[]> cases = new LinkedHashMap<>();
    cases.put("3 bytes are too few", new byte[3]);
    cases.put("a header of 9223372036854775807 bytes", length(Long.MAX_VALUE));
    cases.put("a header of 18446744073709551615 bytes", length(-1));
    cases.put("is not a JSON object", header("[1, 2]"));
    cases.put("element type \"F8_E4M3\"", header("{'a': {'dtype': 'F8_E4M3', 'shape': [8], 'data_offsets': [0, 8]}}"));
    cases.put("8 bytes do not hold shape [3]", header("{'a': {'dtype': 'F32', 'shape': [3], 'data_offsets': [0, 8]}}"));
    cases.put("bytes 4 to 12 lie outside the 8", header("{'a': {'dtype': 'F32', 'shape': [2], 'data_offsets': [4, 12]}}"));
    cases.put("bytes 8 to 0 lie outside", header("{'a': {'dtype': 'F32', 'shape': [2], 'data_offsets': [8, 0]}}"));
    cases.put("\"data_offsets\" are not two numbers", header("{'a': {'dtype': 'F32', 'shape': [2], 'data_offsets': [0, 8.5]}}"));
    cases.put("the key 'a' is given twice", header("{'a': {'dtype': 'F32', 'shape': [2], 'data_offsets': [0, 8]}, 'a': {}}"));
    cases.put("is not a list of sizes", header("{'a': {'dtype': 'F32', 'shape': [-2], 'data_offsets': [0, 8]}}"));
    cases.put("is too large", header("{'a': {'dtype': 'F32', 'shape': [4294967296, 4294967296], 'data_offsets': [0, 8]}}"));
    cases.put("overlaps", header("{'a': {'dtype': 'F32', 'shape': [1], 'data_offsets': [0, 4]}, "
        + "'b': {'dtype': 'F32', 'shape': [1], 'data_offsets': [2, 6]}}"));
    cases.put("it has no \"shape\"", header("{'a': {'dtype': 'F32', 'data_offsets': [0, 4]}}"));
    cases.put("bytes 0 to 4 of the data are no tensor's", header("{'a': {'dtype': 'F32', 'shape': [1], 'data_offsets': [4, 8]}}"));
    cases.put("bytes 4 to 8 of the data are no tensor's", header("{'a': {'dtype': 'F32', 'shape': [1], 'data_offsets': [0, 4]}}"));
    cases.put("laid out for \"tf\"", header("{'__metadata__': {'format': 'tf'}, 'a': {'dtype': 'F32', 'shape': [2], 'data_offsets': [0, 8]}}"));
    for (Map.Entry<String, byte[]> bad : cases.entrySet()) {
      Files.write(weights, bad.getValue());
      refuses(source, bad.getKey());
    }
    Files.writeString(weights.resolveSibling("model.safetensors.index.json"), "{\"weight_map\": {}}");
    refuses(source, "has model.safetensors and model.safetensors.index.json, which does not name it");
  }

  private static byte[] length(long length) {
    return ByteBuffer.allocate(64).order(ByteOrder.LITTLE_ENDIAN).putLong(length).array();
  }

  /** A file of a header, with single quotes for double ones, and eight bytes of data. */
  private static byte[] header(String json) {
    return TestCheckpoint.safetensors(json.replace('\'', '"'), new byte[8]);
  }
}
