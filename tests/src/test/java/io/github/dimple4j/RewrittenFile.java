package io.github.dimple4j;

import io.github.dimple4j.gguf.GgufFile;
import io.github.dimple4j.gguf.GgufWriter;
import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.TensorType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** A GGUF file with keys and tensors changed, and with weights that are all zero. */
final class RewrittenFile {
  private static final String FORMER = "dimple.";

  private final Map<String, MetadataValue> metadata = new LinkedHashMap<>();
  private final Map<String, List<Long>> tensors = new LinkedHashMap<>();

  private RewrittenFile() {}

  static RewrittenFile of(Path good) throws IOException {
    RewrittenFile rewritten = new RewrittenFile();
    try (GgufFile file = GgufFile.open(good)) {
      rewritten.metadata.putAll(file.metadata());
      file.tensors().forEach(tensor -> rewritten.tensors.put(tensor.name(), tensor.dimensions()));
    }
    rewritten.metadata.remove("general.alignment"); // the writer's own
    return rewritten;
  }

  /** Makes a text model of another architecture of a {@code dimple} file: its keys, without the vision tower. */
  RewrittenFile text(String architecture) {
    Map<String, MetadataValue> former = new LinkedHashMap<>(metadata);
    metadata.clear();
    former.forEach((key, value) -> {
      if (!key.startsWith("clip.")) {
        metadata.put(key.startsWith(FORMER) ? architecture + "." + key.substring(FORMER.length()) : key, value);
      }
    });
    metadata.put("general.architecture", MetadataValue.string(architecture));
    tensors.keySet().removeIf(name -> name.startsWith("v.") || name.startsWith("mm."));
    return this;
  }

  RewrittenFile withoutBiases() {
    tensors.keySet().removeIf(name -> name.endsWith(".bias"));
    return this;
  }

  /** Turns feed-forward blocks into stacks of experts, and gives each head a norm; as {@code llada-moe} has it. */
  RewrittenFile withExperts(int layers, int headSize, int experts, int expertWidth, int width) {
    for (int i = 0; i < layers; i++) {
      String block = "blk." + i + ".";
      tensors.keySet().removeAll(List.of(block + "ffn_gate.weight", block + "ffn_up.weight", block + "ffn_down.weight"));
      tensor(block + "attn_q_norm.weight", headSize).tensor(block + "attn_k_norm.weight", headSize);
      tensor(block + "ffn_gate_inp.weight", width, experts).tensor(block + "ffn_gate_exps.weight", width, expertWidth, experts);
      tensor(block + "ffn_up_exps.weight", width, expertWidth, experts).tensor(block + "ffn_down_exps.weight", expertWidth, width, experts);
    }
    return this;
  }

  RewrittenFile key(String key, int value) {
    return key(key, MetadataValue.uint32(value));
  }

  RewrittenFile key(String key, MetadataValue value) {
    metadata.put(key, value);
    return this;
  }

  RewrittenFile without(String key) {
    if (metadata.remove(key) == null && tensors.remove(key) == null) {
      throw new IllegalArgumentException("there is no " + key);
    }
    return this;
  }

  /** Adds a tensor, or gives it another shape: fastest dimension first. */
  RewrittenFile tensor(String name, long... dimensions) {
    tensors.put(name, Arrays.stream(dimensions).boxed().toList());
    return this;
  }

  Path write(Path path) throws IOException {
    List<GgufWriter.Plan> plans = new ArrayList<>();
    tensors.forEach((name, dimensions) -> plans.add(new GgufWriter.Plan(name, TensorType.F32, dimensions)));
    try (GgufWriter writer = new GgufWriter(path, metadata, plans, true)) {
      for (var tensor : writer.tensors()) {
        writer.write(ByteBuffer.allocate(Math.toIntExact(tensor.size())));
      }
      writer.commit();
    }
    return path;
  }
}
