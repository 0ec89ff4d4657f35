package io.github.dimple4j.gguf.architecture;

import io.github.dimple4j.gguf.MetadataValue;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The shape of a text model.
 *
 * @param vocabulary rows of the embedding matrix
 * @param context positions at most
 * @param width elements of a position's state
 * @param feedForward inner width of a feed-forward block
 * @param heads query heads
 * @param keyValueHeads heads of keys and values, a divisor of {@code heads}
 * @param headSize width of a query or key head
 * @param ropeBase base of the rotary embedding's frequencies
 * @param scaling how it is stretched
 * @param tied whether the output matrix is the embedding matrix
 */
public record TextShape(int vocabulary, int context, int width, int layers, int feedForward, int heads, int keyValueHeads,
    int headSize, double normEpsilon, double ropeBase, RotaryScaling scaling, boolean causal, boolean tied) {

  /** One whose heads share the width evenly. */
  public TextShape(int vocabulary, int context, int width, int layers, int feedForward, int heads, int keyValueHeads,
      double normEpsilon, double ropeBase, RotaryScaling scaling, boolean causal, boolean tied) {
    this(vocabulary, context, width, layers, feedForward, heads, keyValueHeads, width / heads, normEpsilon, ropeBase, scaling, causal, tied);
  }

  /** The same with another number of layers. */
  public TextShape withLayers(int other) {
    return new TextShape(vocabulary, context, width, other, feedForward, heads, keyValueHeads, headSize, normEpsilon, ropeBase, scaling, causal,
        tied);
  }

  /** Width of all heads' queries. */
  public long queryWidth() {
    return (long) heads * headSize;
  }

  /** Width of all heads' keys, or of their values. */
  public long keyValueWidth() {
    return (long) keyValueHeads * headSize;
  }

  /** llama.cpp's keys of a text model. */
  public Map<String, MetadataValue> metadata(String architecture) {
    Map<String, MetadataValue> keys = new LinkedHashMap<>();
    keys.put("context_length", MetadataValue.uint32(context));
    keys.put("embedding_length", MetadataValue.uint32(width));
    keys.put("block_count", MetadataValue.uint32(layers));
    keys.put("feed_forward_length", MetadataValue.uint32(feedForward));
    keys.put("vocab_size", MetadataValue.uint32(vocabulary));
    keys.put("attention.head_count", MetadataValue.uint32(heads));
    keys.put("attention.head_count_kv", MetadataValue.uint32(keyValueHeads));
    if (headSize != width / heads) { // llama.cpp's default otherwise
      keys.put("attention.key_length", MetadataValue.uint32(headSize));
      keys.put("attention.value_length", MetadataValue.uint32(headSize));
    }
    keys.put("attention.layer_norm_rms_epsilon", MetadataValue.float32(normEpsilon));
    keys.put("attention.causal", MetadataValue.bool(causal));
    keys.put("rope.freq_base", MetadataValue.float32(ropeBase));
    keys.put("rope.dimension_count", MetadataValue.uint32(headSize));
    scaling.metadata().forEach((key, value) -> keys.put("rope.scaling." + key, value));
    Map<String, MetadataValue> metadata = new LinkedHashMap<>();
    keys.forEach((key, value) -> metadata.put(architecture + "." + key, value));
    return metadata;
  }
}
