package io.github.dimple4j.gguf.architecture;

import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.checkpoint.JsonSettings;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * The shape of a Qwen2.5-VL vision tower and its image preprocessing: windows, RMS norms, SwiGLU.
 *
 * @param windowSize pixels of a window's side
 * @param fullAttentionLayers layers that attend to the whole image; the others attend within windows
 */
public record QwenVision(QwenTower tower, int windowSize, List<Integer> fullAttentionLayers) {
  /**
   * Reads {@code vision_config}; what it leaves out has the values of the authors' configuration class.
   *
   * @param preprocessor {@code preprocessor_config.json}
   */
  static QwenVision read(JsonSettings config, JsonSettings preprocessor) {
    config.requireText("hidden_act", "silu");
    QwenTower tower = QwenTower.read(config, preprocessor, "hidden_size", "out_hidden_size", config.size("intermediate_size", 3420), 1003520);
    int windowSize = config.size("window_size", 112);
    int token = tower.patchSize() * tower.mergeSize();
    if (windowSize % token != 0) {
      throw config.wrong("window_size", "a multiple of patch_size x spatial_merge_size, " + token);
    }
    List<Integer> full = config.integers("fullatt_block_indexes", List.of(7, 15, 23, 31)).stream().sorted().distinct().toList();
    if (!full.isEmpty() && full.getLast() >= tower.layers()) {
      throw config.wrong("fullatt_block_indexes", "indexes below the depth, " + tower.layers());
    }
    return new QwenVision(tower, windowSize, full);
  }

  /** llama.cpp's keys of a {@code qwen2.5vl_merger} mmproj file, and those that it leaves to the program. */
  Map<String, MetadataValue> metadata() {
    return tower.metadata("qwen2.5vl_merger", true, keys -> keys.windows(fullAttentionPeriod(), fullAttentionLayers, windowSize));
  }

  /** llama.cpp's tensors of a {@code qwen2.5vl_merger}. */
  public List<TensorSource> tensors() {
    return tower.tensors(this::addNorm, this::addFeedForward);
  }

  private void addNorm(List<TensorSource> list, String to, String from) {
    list.add(TensorSource.whole(to + ".weight", from + ".weight", tower.width()));
  }

  private void addFeedForward(List<TensorSource> list, String to, String from) {
    TensorSource.addLinear(list, to + "ffn_gate", from + "mlp.gate_proj", tower.feedForward(), tower.width());
    TensorSource.addLinear(list, to + "ffn_up", from + "mlp.up_proj", tower.feedForward(), tower.width());
    TensorSource.addLinear(list, to + "ffn_down", from + "mlp.down_proj", tower.width(), tower.feedForward());
  }

  /** n if the full-attention layers are exactly n-1, 2n-1, ..., which is all that llama.cpp can say; otherwise 0. */
  private int fullAttentionPeriod() {
    int period = fullAttentionLayers.isEmpty() ? 0 : fullAttentionLayers.getFirst() + 1;
    List<Integer> periodic = new ArrayList<>();
    for (int i = period - 1; period > 0 && i < tower.layers(); i += period) {
      periodic.add(i);
    }
    return periodic.equals(fullAttentionLayers) ? period : 0;
  }
}
