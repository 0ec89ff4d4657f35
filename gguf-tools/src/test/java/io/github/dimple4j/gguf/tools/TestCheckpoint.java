package io.github.dimple4j.gguf.tools;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
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

  /** Another value of a setting; its path has dots between sections. */
  void set(String path, String json) {
    String[] names = path.split("\\.");
    ObjectNode at = config;
    for (int i = 0; i + 1 < names.length; i++) {
      at = (ObjectNode) at.get(names[i]);
    }
    at.set(names[names.length - 1], JSON.readTree(json));
  }

  /** The text model as Dream's. */
  void makeDream() {
    config.put("model_type", "Dream").remove("vision_config");
    tensors.keySet().removeIf(name -> name.startsWith("visual.") || name.startsWith("img_projector."));
  }

  /** The text model as LLaDA's: its names, and no biases. */
  void makeLlada() {
    ObjectNode changed = JSON.createObjectNode().put("model_type", "llada").put("rope_theta", 5e5)
        .put("max_sequence_length", 128).put("mask_token_id", 299);
    changed.put("d_model", config.path("hidden_size").intValue()).put("n_heads", config.path("num_attention_heads").intValue());
    changed.put("n_layers", config.path("num_hidden_layers").intValue()).put("mlp_hidden_size", config.path("intermediate_size").intValue());
    changed.put("vocab_size", config.path("vocab_size").intValue()).put("n_kv_heads", config.path("num_key_value_heads").intValue());
    makeDream();
    Map<String, Tensor> renamed = new LinkedHashMap<>();
    tensors.forEach((name, tensor) -> {
      if (!name.endsWith(".bias")) {
        renamed.put(name.replace("model.embed_tokens", "model.transformer.wte").replace("model.norm", "model.transformer.ln_f")
            .replace("lm_head", "model.transformer.ff_out").replace("model.layers", "model.transformer.blocks").replace("self_attn.", "")
            .replace("mlp.", "").replace("input_layernorm", "attn_norm").replace("post_attention_layernorm", "ff_norm")
            .replace("o_proj", "attn_out").replace("gate_proj", "ff_proj").replace("down_proj", "ff_out"), tensor);
      }
    });
    tensors.clear();
    tensors.putAll(renamed);
    config.removeAll();
    config.setAll(changed);
  }

  /** The text model as LLaDA-MoE's, whose experts have parts of its feed-forward layers. */
  void makeMixture(int experts) {
    makeDream();
    int inner = config.path("intermediate_size").intValue() / 2;
    config.put("model_type", "llada").put("mask_token_id", 299).remove("full_attn_mask");
    config.put("num_experts", experts).put("num_experts_per_tok", 2).put("expert_intermediate_size", inner).put("dense_intermediate_size", 4096);
    config.putNull("norm_topk_prob").putNull("router_num_group").putNull("shared_expert_intermediate_size").putNull("clip_qkv")
        .put("moe_router_score_function", "softmax").put("qk_layernorm", true).put("routed_scaling_factor", 1);
    for (int i = 0; i < config.path("num_hidden_layers").intValue(); i++) {
      config.withArray("moe_layer_freq").add(1);
    }
    Map<String, Tensor> changed = new LinkedHashMap<>();
    tensors.forEach((name, tensor) -> {
      if (name.contains(".mlp.")) {
        int width = config.path("hidden_size").intValue();
        List<Long> shape = name.contains("down") ? List.of((long) width, (long) inner) : List.of((long) inner, (long) width);
        for (int expert = 0; expert < experts; expert++) {
          byte[] data = Arrays.copyOfRange(tensor.data(), expert * 64, expert * 64 + tensor.data().length / 2);
          changed.put(name.replace(".mlp.", ".mlp.experts." + expert + "."), new Tensor(tensor.type(), shape, data));
        }
        changed.put(name.replaceFirst("mlp.*", "mlp.gate.weight"), vector(tensor, experts, width));
      } else if (!name.endsWith(".bias")) {
        changed.put(name, tensor);
      }
      if (name.endsWith("input_layernorm.weight")) {
        int headSize = config.path("hidden_size").intValue() / config.path("num_attention_heads").intValue();
        changed.put(name.replace("input_layernorm", "self_attn.q_norm"), vector(tensor, headSize));
        changed.put(name.replace("input_layernorm", "self_attn.k_norm"), vector(tensor, headSize));
      }
    });
    tensors.clear();
    tensors.putAll(changed);
  }

  /** The first elements of a tensor in another shape. */
  private static Tensor vector(Tensor tensor, long... shape) {
    long count = Arrays.stream(shape).reduce(1, (a, b) -> a * b);
    byte[] data = Arrays.copyOf(tensor.data(), (int) (count * tensor.data().length / tensor.count()));
    return new Tensor(tensor.type(), Arrays.stream(shape).boxed().toList(), data);
  }
}
