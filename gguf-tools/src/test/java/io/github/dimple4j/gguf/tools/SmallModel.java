package io.github.dimple4j.gguf.tools;

import io.github.dimple4j.gguf.GgufWriter;
import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.TensorInfo;
import io.github.dimple4j.gguf.TensorType;
import io.github.dimple4j.gguf.core.BlockCodec;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;

/** Tensors with random weights in memory, to be changed and written as a GGUF file. */
final class SmallModel {
  /** A tensor's dimensions, fastest first, and weights. */
  record Weights(List<Long> dimensions, float[] values) {}

  final Map<String, MetadataValue> metadata = new LinkedHashMap<>();
  final LinkedHashMap<String, Weights> tensors = new LinkedHashMap<>();
  private final Random random = new Random(7);

  /** One of each kind that quantizing tells apart: embedding, attention, experts, a norm, odd rows, a vision tower. */
  static SmallModel ofAllKinds() {
    SmallModel model = new SmallModel();
    model.metadata.put("general.architecture", MetadataValue.string("dream"));
    model.metadata.put("general.name", MetadataValue.string("all kinds"));
    model.metadata.put("general.file_type", MetadataValue.uint32(0));
    model.metadata.put("dream.block_count", MetadataValue.uint32(1));
    model.add("token_embd.weight", 256, 40);
    model.add("output.weight", 256, 40);
    model.add("output_norm.weight", 256);
    model.add("blk.0.attn_norm.weight", 256);
    model.add("blk.0.attn_q.weight", 256, 64);
    model.add("blk.0.attn_q.bias", 64);
    model.add("blk.0.attn_v.weight", 256, 32);
    model.add("blk.0.ffn_gate.weight", 256, 96);
    model.add("blk.0.ffn_down.weight", 96, 256);
    model.add("blk.0.ffn_gate_inp.weight", 256, 3);
    model.add("blk.0.ffn_down_exps.weight", 256, 5, 3);
    model.add("v.patch_embd.weight", 14, 14, 3, 8);
    model.add("v.blk.0.attn_q.weight", 64, 64);
    model.add("mm.0.bias", 64);
    return model;
  }

  void add(String name, long... dimensions) {
    List<Long> list = new ArrayList<>();
    int count = 1;
    for (long dimension : dimensions) {
      list.add(dimension);
      count *= (int) dimension;
    }
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) (0.1 * random.nextGaussian());
    }
    tensors.put(name, new Weights(list, values));
  }

  /** Writes a file whose matrices have a type, where their rows divide into its blocks, and whose vectors are F32. */
  Path write(Path path, TensorType type) throws IOException {
    return write(path, type, tensors.keySet().stream().toList());
  }

  Path write(Path path, TensorType type, List<String> names) throws IOException {
    List<GgufWriter.Plan> plans = new ArrayList<>();
    for (String name : names) {
      List<Long> dimensions = tensors.get(name).dimensions();
      boolean fits = dimensions.size() > 1 && dimensions.getFirst() % type.blockLength() == 0;
      plans.add(new GgufWriter.Plan(name, fits ? type : TensorType.F32, dimensions));
    }
    try (GgufWriter writer = new GgufWriter(path, metadata, plans, true); Arena arena = Arena.ofConfined()) {
      for (TensorInfo tensor : writer.tensors()) {
        MemorySegment encoded = arena.allocate(tensor.size());
        MemorySegment floats = arena.allocateFrom(ValueLayout.JAVA_FLOAT, tensors.get(tensor.name()).values());
        if (tensor.type().orElseThrow() == TensorType.F32) {
          encoded.copyFrom(floats); // not through the codec, which refuses what is not finite
        } else {
          BlockCodec.encode(tensor.type().orElseThrow(), floats, 0, tensor.rows(), tensor.columns(), encoded);
        }
        writer.write(encoded.asByteBuffer());
      }
      writer.commit();
    }
    return path;
  }
}
