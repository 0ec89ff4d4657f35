package io.github.dimple4j.gguf.architecture;

import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.checkpoint.JsonSettings;
import io.github.dimple4j.gguf.checkpoint.PreTokenizer;
import io.github.dimple4j.gguf.checkpoint.SpecialTokens;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * LLaDA, text only. Its configuration and tensor names are those of OLMo; its shape is LLaMA's: no biases, and rotary embeddings of
 * neighbouring elements in the GGUF file.
 */
public final class Llada implements Architecture {
  private static final String NAME = "llada";
  /** The mask token that the authors' configuration class names. */
  private static final int MASK = 126336;
  private static final String ROOT = "model.transformer.";

  /** The output matrix. */
  private static final String OUTPUT = ROOT + "ff_out.weight";

  @Override
  public String name() {
    return NAME;
  }

  @Override
  public List<String> modelTypes() {
    return List.of("llada");
  }

  @Override
  public boolean describes(JsonSettings config) {
    return Architecture.super.describes(config) && !config.has("num_experts");
  }

  /** Each row of the logits scores its own position. */
  @Override
  public ModelLayout layout(JsonSettings config, JsonSettings preprocessor, Set<String> tensors) {
    TextShape text = read(config, tensors);
    Map<String, MetadataValue> metadata = new LinkedHashMap<>(text.metadata(NAME));
    metadata.put("diffusion.shift_logits", MetadataValue.bool(false));
    return new ModelLayout(NAME, text.vocabulary(), metadata, tensors(text), PreTokenizer.LING, SpecialTokens.read(config).withMask(MASK));
  }

  static TextShape read(JsonSettings config, Set<String> tensors) {
    config.requireText("activation_type", "silu");
    config.requireText("layer_norm_type", "rms");
    config.requireText("block_type", "llama");
    config.requireFlag("rope", true);
    for (String key : List.of("alibi", "attention_layer_norm", "bias_for_layer_norm", "include_bias", "include_qkv_bias", "input_emb_norm", "scale_logits")) {
      config.requireFlag(key, false);
    }
    if (config.flag("multi_query_attention", false)) {
      throw config.wrong("multi_query_attention", "null or false: n_kv_heads says how many there are");
    }
    config.requireFlag("layer_norm_with_affine", true);
    config.passOver(List.of("alibi_bias_max", "attention_layer_norm_with_affine", "mlp_ratio"));
    RotaryScaling.requireWholeHeads(config);
    int width = config.size("d_model");
    Heads heads = Heads.sharing(config, "d_model", "n_heads", "n_kv_heads");
    int context = config.size("max_sequence_length");
    return new TextShape(config.size("embedding_size", config.size("vocab_size")), context, width,
        config.count("n_layers"), config.size("mlp_hidden_size"), heads.queries(), heads.keyValues(), heads.size(),
        config.positive("rms_norm_eps", 1e-5), RotaryScaling.base(config, 1e4), RotaryScaling.read(config, context), false,
        config.flag("weight_tying", false) && !tensors.contains(OUTPUT));
  }

  /** llama.cpp's tensors of {@code llada}, whose rotary pairs are neighbours. */
  private static List<TensorSource> tensors(TextShape text) {
    return tensors(text, (to, from, rows) -> TensorSource.interleaved(to, from, text.headSize(), rows, text.width()));
  }

  /** The same with rotary pairs half a head apart, as in the checkpoint. */
  static List<TensorSource> plainTensors(TextShape text) {
    return tensors(text, (to, from, rows) -> TensorSource.whole(to, from, rows, text.width()));
  }

  /** A matrix of queries or keys. */
  @FunctionalInterface
  private interface Paired {
    TensorSource of(String to, String from, long rows);
  }

  private static List<TensorSource> tensors(TextShape text, Paired paired) {
    long width = text.width();
    long keyValueWidth = text.keyValueWidth();
    List<TensorSource> list = new ArrayList<>();
    list.add(TensorSource.whole("token_embd.weight", ROOT + "wte.weight", text.vocabulary(), width));
    for (int i = 0; i < text.layers(); i++) {
      String to = "blk." + i + ".";
      String from = ROOT + "blocks." + i + ".";
      list.add(TensorSource.whole(to + "attn_norm.weight", from + "attn_norm.weight", width));
      list.add(paired.of(to + "attn_q.weight", from + "q_proj.weight", width));
      list.add(paired.of(to + "attn_k.weight", from + "k_proj.weight", keyValueWidth));
      list.add(TensorSource.whole(to + "attn_v.weight", from + "v_proj.weight", keyValueWidth, width));
      list.add(TensorSource.whole(to + "attn_output.weight", from + "attn_out.weight", width, width));
      list.add(TensorSource.whole(to + "ffn_norm.weight", from + "ff_norm.weight", width));
      list.add(TensorSource.whole(to + "ffn_gate.weight", from + "ff_proj.weight", text.feedForward(), width));
      list.add(TensorSource.whole(to + "ffn_up.weight", from + "up_proj.weight", text.feedForward(), width));
      list.add(TensorSource.whole(to + "ffn_down.weight", from + "ff_out.weight", width, text.feedForward()));
    }
    list.add(TensorSource.whole("output_norm.weight", ROOT + "ln_f.weight", width));
    if (!text.tied()) {
      list.add(TensorSource.whole("output.weight", OUTPUT, text.vocabulary(), width));
    }
    return list;
  }
}
