package io.github.dimple4j.gguf.architecture;

import java.util.ArrayList;
import java.util.List;

/** LLaDA-MoE's tensors: no biases, a norm on each query and key head, and in each layer a router and stacks of experts. */
final class LladaMoe {
  private LladaMoe() {}

  /** llama.cpp's tensors of {@code llada-moe}, which have no places in a checkpoint here. */
  static List<TensorSource> tensors(TextShape text, int experts, int expertWidth) {
    long width = text.width();
    long keyValueWidth = text.keyValueWidth();
    List<TensorSource> list = new ArrayList<>();
    add(list, "token_embd.weight", text.vocabulary(), width);
    for (int i = 0; i < text.layers(); i++) {
      String block = "blk." + i + ".";
      add(list, block + "attn_norm.weight", width);
      add(list, block + "attn_q.weight", width, width);
      add(list, block + "attn_q_norm.weight", text.headSize());
      add(list, block + "attn_k.weight", keyValueWidth, width);
      add(list, block + "attn_k_norm.weight", text.headSize());
      add(list, block + "attn_v.weight", keyValueWidth, width);
      add(list, block + "attn_output.weight", width, width);
      add(list, block + "ffn_norm.weight", width);
      add(list, block + "ffn_gate_inp.weight", experts, width);
      add(list, block + "ffn_gate_exps.weight", experts, expertWidth, width);
      add(list, block + "ffn_up_exps.weight", experts, expertWidth, width);
      add(list, block + "ffn_down_exps.weight", experts, width, expertWidth);
    }
    add(list, "output_norm.weight", width);
    if (!text.tied()) {
      add(list, "output.weight", text.vocabulary(), width);
    }
    return list;
  }

  private static void add(List<TensorSource> list, String name, long... shape) {
    list.add(TensorSource.whole(name, "", shape));
  }
}
