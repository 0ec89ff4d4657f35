package io.github.dimple4j.gguf.architecture;

import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.checkpoint.JsonSettings;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;

/** The shape of a Qwen2-VL vision tower and its image preprocessing: no windows, layer norms, quick GELU. */
record Qwen2Vision(QwenTower tower) {
  /**
   * Reads {@code vision_config}.
   *
   * @param preprocessor {@code preprocessor_config.json}
   */
  static Qwen2Vision read(JsonSettings config, JsonSettings preprocessor) {
    if (!config.text("hidden_act", "quick_gelu").equals("quick_gelu")) {
      throw config.wrong("hidden_act", "\"quick_gelu\"");
    }
    int feedForward = (int) (config.size("embed_dim", 1280) * config.positive("mlp_ratio", 4));
    return new Qwen2Vision(QwenTower.read(config, preprocessor, "embed_dim", "hidden_size", feedForward, 3211264));
  }

  /** llama.cpp's keys of a {@code qwen2vl_merger} mmproj file, and those that it leaves to the program. */
  Map<String, MetadataValue> metadata() {
    return tower.metadata("qwen2vl_merger", false, UnaryOperator.identity());
  }

  /** llama.cpp's tensors of a {@code qwen2vl_merger}. */
  List<TensorSource> tensors() {
    return tower.tensors(this::addNorm, this::addFeedForward);
  }

  private void addNorm(List<TensorSource> list, String to, String from) {
    list.add(TensorSource.whole(to + ".weight", from + ".weight", tower.width()));
    list.add(TensorSource.whole(to + ".bias", from + ".bias", tower.width()));
  }

  private void addFeedForward(List<TensorSource> list, String to, String from) {
    TensorSource.addLinear(list, to + "ffn_up", from + "mlp.fc1", tower.feedForward(), tower.width());
    TensorSource.addLinear(list, to + "ffn_down", from + "mlp.fc2", tower.width(), tower.feedForward());
  }
}
