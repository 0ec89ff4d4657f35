package io.github.dimple4j.gguf.architecture;

import io.github.dimple4j.gguf.GgufException;
import java.util.ArrayList;
import java.util.List;

/** The tensors that a GGUF file's keys ask for. */
public final class ExpectedTensors {
  private ExpectedTensors() {}

  /**
   * The tensors, without places in a checkpoint.
   *
   * @param tied whether the file has no output matrix of its own
   * @throws GgufException if a key is missing or wrong
   */
  public static List<TensorSource> of(ModelKeys keys, boolean tied) {
    String architecture = keys.text("general.architecture");
    List<TensorSource> expected = new ArrayList<>();
    switch (architecture) {
      case "dimple", "dream" -> expected.addAll(QwenText.tensors(keys.text(architecture, tied)));
      case "llada" -> expected.addAll(Llada.tensors(keys.text(architecture, tied)));
      case "clip" -> { } // a vision tower alone
      case "llada-moe" -> expected.addAll(LladaMoe.tensors(keys.text(architecture, tied), keys.integer("llada-moe.expert_count", 1),
          expertWidth(keys)));
      default -> throw new GgufException("key general.architecture is \"" + architecture
          + "\"; expected dimple, dream, llada, llada-moe or clip");
    }
    if (keys.has("clip.has_vision_encoder") && keys.flag("clip.has_vision_encoder")) {
      expected.addAll(keys.vision().tensors());
    }
    if (architecture.equals("dimple")) {
      TensorSource.addLinear(expected, "mm.img_projector.0", "", keys.integer("dimple.embedding_length", 1),
          keys.integer("clip.vision.projection_dim", 1));
      TensorSource.addLinear(expected, "mm.img_projector.2", "", keys.integer("dimple.embedding_length", 1),
          keys.integer("dimple.embedding_length", 1));
    }
    return expected;
  }

  /** Without a key of its own an expert's width is an equal share of the whole. */
  private static int expertWidth(ModelKeys keys) {
    return keys.has("llada-moe.expert_feed_forward_length") ? keys.integer("llada-moe.expert_feed_forward_length", 1)
        : keys.integer("llada-moe.feed_forward_length", 1) / keys.integer("llada-moe.expert_used_count", 1);
  }
}
