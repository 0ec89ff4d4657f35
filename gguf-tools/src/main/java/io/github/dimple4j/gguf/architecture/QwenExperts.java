package io.github.dimple4j.gguf.architecture;

import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.checkpoint.JsonSettings;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The mixture of experts in every layer of a text model in Hugging Face's Qwen3-MoE keys and names.
 *
 * @param used experts that a row goes to
 * @param inner width of one
 * @param normed whether the shares of those used are divided by their sum
 */
record QwenExperts(int count, int used, int inner, boolean normed) {
  /** Refuses what the architecture has no place for. */
  static QwenExperts read(JsonSettings config) {
    int count = config.count("num_experts");
    int used = config.size("num_experts_per_tok");
    if (used > count) {
      throw config.wrong("num_experts_per_tok", "at most num_experts " + count);
    }
    if (config.size("decoder_sparse_step", 1) != 1) {
      throw config.wrong("decoder_sparse_step", "1: experts in every layer");
    }
    if (!config.integers("mlp_only_layers", List.of()).isEmpty()) {
      throw config.wrong("mlp_only_layers", "[]: experts in every layer");
    }
    return new QwenExperts(count, used, config.size("moe_intermediate_size"), config.flag("norm_topk_prob", false));
  }

  /** llama.cpp's keys. */
  Map<String, MetadataValue> metadata(String architecture) {
    Map<String, MetadataValue> keys = new LinkedHashMap<>();
    keys.put(architecture + ".expert_count", MetadataValue.uint32(count));
    keys.put(architecture + ".expert_used_count", MetadataValue.uint32(used));
    keys.put(architecture + ".expert_feed_forward_length", MetadataValue.uint32(inner));
    keys.put(architecture + ".expert_weights_norm", MetadataValue.bool(normed));
    return keys;
  }

  /** llama.cpp's tensors of a layer, e.g. to {@code blk.0.} from {@code model.layers.0.mlp.}. */
  void addTo(List<TensorSource> list, String to, String from, long width) {
    String expert = from + "experts.%d.";
    list.add(TensorSource.whole(to + "ffn_gate_inp.weight", from + "gate.weight", count, width));
    list.add(TensorSource.bank(to + "ffn_gate_exps.weight", expert + "gate_proj.weight", count, inner, width));
    list.add(TensorSource.bank(to + "ffn_up_exps.weight", expert + "up_proj.weight", count, inner, width));
    list.add(TensorSource.bank(to + "ffn_down_exps.weight", expert + "down_proj.weight", count, width, inner));
  }
}
