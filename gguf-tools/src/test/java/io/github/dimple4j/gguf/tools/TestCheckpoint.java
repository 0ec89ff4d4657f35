package io.github.dimple4j.gguf.tools;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * A Hugging Face directory in memory, to be changed and written. Reads and writes safetensors on its own, so that a mistake
 * of the reader under test cannot hide itself.
 */
final class TestCheckpoint {
  static final JsonMapper JSON = new JsonMapper();
  static final Path GOLDENS = Path.of("..", "tests", "goldens");

  /** Raw little-endian data with its description. */
  record Tensor(String type, List<Long> shape, byte[] data) {
    int count() {
      return data.length / (type.equals("F64") ? 8 : type.equals("F32") ? 4 : 2);
    }

    float get(int index) {
      ByteBuffer bytes = ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN);
      return switch (type) {
        case "F64" -> (float) bytes.getDouble(8 * index);
        case "F32" -> bytes.getFloat(4 * index);
        case "F16" -> Float.float16ToFloat(bytes.getShort(2 * index));
        case "BF16" -> Float.intBitsToFloat(bytes.getShort(2 * index) << 16);
        default -> throw new IllegalArgumentException(type);
      };
    }
  }

  final ObjectNode config;
  final Map<String, Tensor> tensors;

  private TestCheckpoint(ObjectNode config, Map<String, Tensor> tensors) {
    this.config = config;
    this.tensors = tensors;
  }

  static TestCheckpoint golden(String name) throws IOException {
    Path directory = GOLDENS.resolve(name);
    return new TestCheckpoint((ObjectNode) JSON.readTree(Files.readAllBytes(directory.resolve("config.json"))),
        read(directory.resolve("model.safetensors")));
  }

  static Map<String, Tensor> read(Path path) throws IOException {
    ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(path)).order(ByteOrder.LITTLE_ENDIAN);
    int headerSize = Math.toIntExact(bytes.getLong());
    byte[] header = new byte[headerSize];
    bytes.get(header);
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    for (Map.Entry<String, JsonNode> entry : JSON.readTree(header).properties()) {
      JsonNode offsets = entry.getValue().path("data_offsets");
      if (offsets.isArray()) {
        byte[] data = new byte[offsets.get(1).intValue() - offsets.get(0).intValue()];
        bytes.get(8 + headerSize + offsets.get(0).intValue(), data);
        List<Long> shape = entry.getValue().path("shape").valueStream().map(JsonNode::longValue).toList();
        tensors.put(entry.getKey(), new Tensor(entry.getValue().path("dtype").stringValue(), shape, data));
      }
    }
    return tensors;
  }

  /** The bytes of a safetensors file. */
  static byte[] safetensors(Map<String, Tensor> tensors) {
    ObjectNode header = JSON.createObjectNode();
    header.putObject("__metadata__").put("format", "pt");
    ByteArrayOutputStream data = new ByteArrayOutputStream();
    tensors.forEach((name, tensor) -> {
      ObjectNode node = header.putObject(name).put("dtype", tensor.type());
      tensor.shape().forEach(node.putArray("shape")::add);
      node.putArray("data_offsets").add(data.size()).add(data.size() + tensor.data().length);
      data.writeBytes(tensor.data());
    });
    return safetensors(header.toString(), data.toByteArray());
  }

  static byte[] safetensors(String header, byte[] data) {
    byte[] text = header.getBytes(StandardCharsets.UTF_8);
    return ByteBuffer.allocate(8 + text.length + data.length).order(ByteOrder.LITTLE_ENDIAN).putLong(text.length).put(text).put(data)
        .array();
  }

  /** Writes the directory with one safetensors file. */
  Path write(Path directory) throws IOException {
    Files.createDirectories(directory);
    Files.write(directory.resolve("config.json"), JSON.writeValueAsBytes(config));
    Files.write(directory.resolve("model.safetensors"), safetensors(tensors));
    return directory;
  }

  /** Writes the directory with {@code count} shards and their index; the tensors go to the shards in turn. */
  Path writeShards(Path directory, int count) throws IOException {
    Files.createDirectories(directory);
    Files.write(directory.resolve("config.json"), JSON.writeValueAsBytes(config));
    ObjectNode map = JSON.createObjectNode();
    for (int shard = 0; shard < count; shard++) {
      Map<String, Tensor> part = new LinkedHashMap<>();
      int index = 0;
      for (Map.Entry<String, Tensor> entry : tensors.entrySet()) {
        if (index++ % count == shard) {
          part.put(entry.getKey(), entry.getValue());
          map.put(entry.getKey(), shardName(shard, count));
        }
      }
      Files.write(directory.resolve(shardName(shard, count)), safetensors(part));
    }
    writeIndex(directory, map);
    return directory;
  }

  static String shardName(int shard, int count) {
    return String.format("model-%05d-of-%05d.safetensors", shard + 1, count);
  }

  static void writeIndex(Path directory, ObjectNode weightMap) throws IOException {
    ObjectNode root = JSON.createObjectNode();
    root.set("weight_map", weightMap);
    Files.write(directory.resolve("model.safetensors.index.json"), JSON.writeValueAsBytes(root));
  }
}
