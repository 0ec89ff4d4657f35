package io.github.dimple4j.gguf.architecture;

import io.github.dimple4j.gguf.GgufException;
import io.github.dimple4j.gguf.MetadataType;
import io.github.dimple4j.gguf.MetadataValue;
import java.util.List;
import java.util.Map;

/** A model's shape, from the metadata of its GGUF file. What is missing or wrong is said with the key. */
public final class ModelKeys {
  private final Map<String, MetadataValue> metadata;

  public ModelKeys(Map<String, MetadataValue> metadata) {
    this.metadata = metadata;
  }

  /** The text model; {@code tied} when the file has no output matrix of its own. */
  TextShape text(String architecture, boolean tied) {
    String prefix = architecture + ".";
    int width = size(prefix + "embedding_length");
    int heads = size(prefix + "attention.head_count");
    int keyValueHeads = has(prefix + "attention.head_count_kv") ? size(prefix + "attention.head_count_kv") : heads;
    if (width % heads != 0 || heads % keyValueHeads != 0) {
      throw new GgufException("key " + prefix + "attention.head_count: " + heads + " heads of " + keyValueHeads
          + " keys do not divide the width " + width);
    }
    return new TextShape(vocabulary(prefix), size(prefix + "context_length"), width, size(prefix + "block_count"),
        size(prefix + "feed_forward_length"), heads, keyValueHeads, positive(prefix + "attention.layer_norm_rms_epsilon", 1e-6),
        positive(prefix + "rope.freq_base", 1e4), !has(prefix + "attention.causal") || flag(prefix + "attention.causal"), tied);
  }

  /** The vision tower. */
  QwenVision vision() {
    String prefix = "clip.vision.";
    int layers = size(prefix + "block_count");
    int width = size(prefix + "embedding_length");
    int heads = size(prefix + "attention.head_count");
    if (width % heads != 0) {
      throw new GgufException("key clip.vision.attention.head_count: " + heads + " heads do not divide the width " + width);
    }
    return new QwenVision(layers, width, heads, size(prefix + "feed_forward_length"), size(prefix + "patch_size"),
        size(prefix + "temporal_patch_size", 2), size(prefix + "spatial_merge_size", 2), size(prefix + "window_size", 112), List.of(),
        size(prefix + "projection_dim"), size(prefix + "image_min_pixels", 3136), size(prefix + "image_max_pixels", 1003520),
        QwenVision.CLIP_MEAN, QwenVision.CLIP_DEVIATION);
  }

  public boolean has(String key) {
    return metadata.containsKey(key);
  }

  public boolean flag(String key) {
    return switch (value(key).value()) {
      case Boolean flag -> flag;
      default -> throw wrong(key, "a bool");
    };
  }

  public String text(String key) {
    return switch (value(key).value()) {
      case String text -> text;
      default -> throw wrong(key, "a string");
    };
  }

  /** An array of a type; empty when the key is absent. */
  public List<?> array(String key, MetadataType elementType) {
    MetadataValue value = metadata.get(key);
    if (value == null) {
      return List.of();
    }
    if (value.type() != MetadataType.ARRAY || value.elementType() != elementType) {
      throw wrong(key, "an array of " + elementType);
    }
    return value.elements();
  }

  /** An integer from {@code minimum} on that fits into 31 bits. */
  public int integer(String key, int minimum) {
    if (value(key).value() instanceof Long number && number >= minimum && number <= Integer.MAX_VALUE) {
      return number.intValue();
    }
    throw wrong(key, "an integer from " + minimum + " on");
  }

  private int vocabulary(String prefix) {
    int tokens = array("tokenizer.ggml.tokens", MetadataType.STRING).size();
    return tokens > 0 ? tokens : size(prefix + "vocab_size");
  }

  private int size(String key) {
    return integer(key, 1);
  }

  private int size(String key, int otherwise) {
    return has(key) ? size(key) : otherwise;
  }

  private double positive(String key, double otherwise) {
    if (!has(key)) {
      return otherwise;
    }
    if (value(key).value() instanceof Number number && number.doubleValue() > 0 && number.doubleValue() < Double.POSITIVE_INFINITY) {
      return number.doubleValue();
    }
    throw wrong(key, "a positive number");
  }

  private MetadataValue value(String key) {
    MetadataValue value = metadata.get(key);
    if (value == null) {
      throw new GgufException("key " + key + " is missing");
    }
    return value;
  }

  private GgufException wrong(String key, String expected) {
    MetadataValue value = metadata.get(key);
    String found = value.type() == MetadataType.ARRAY ? "" : " " + value.value();
    return new GgufException("key " + key + " is " + value.typeName() + found + "; expected " + expected);
  }
}
