package io.github.dimple4j.gguf.tools;

import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.TensorInfo;
import io.github.dimple4j.gguf.TensorType;
import io.github.dimple4j.gguf.architecture.ModelLayout;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Chooses the type of each matrix of a text model as llama.cpp does (its src/llama-quant.cpp), so that a name such as Q4_K_M
 * means the same here and there.
 */
final class Mixture {
  private static final Pattern LAYER = Pattern.compile("blk\\.(\\d+)\\.");
  /** llama.cpp's exceptions are for exactly this many experts: Mixtral's number. */
  private static final int SPECIAL_EXPERTS = 8;
  /** Query heads per key head from which on the value matrix is small enough to be given more bits. */
  private static final int MANY_QUERIES = 4;

  private enum Role { OUTPUT, VALUE, KEY, ATTENTION_OUTPUT, DOWN, OTHER }

  private final Quantization quantization;
  private final boolean important;
  private final int layers;
  private final long valueMatrices;
  private final long experts;
  private final boolean manyQueries;
  private final boolean tied;

  /** Facts that the choice depends on are those of the file's metadata and tensors; {@code important}: with an importance matrix. */
  Mixture(Quantization quantization, boolean important, Map<String, MetadataValue> metadata, List<TensorInfo> tensors) {
    this.quantization = quantization;
    this.important = important;
    String prefix = metadata.containsKey("general.architecture") ? metadata.get("general.architecture").value() + "." : "";
    this.layers = Math.toIntExact(number(metadata, prefix + "block_count", 0));
    this.experts = number(metadata, prefix + "expert_count", 0);
    long heads = number(metadata, prefix + "attention.head_count", 1);
    this.manyQueries = heads / Math.max(1, number(metadata, prefix + "attention.head_count_kv", heads)) >= MANY_QUERIES;
    this.valueMatrices = tensors.stream().filter(tensor -> role(tensor.name(), false) == Role.VALUE).count();
    this.tied = tensors.stream().noneMatch(tensor -> tensor.name().equals("output.weight"));
  }

  /** For a model that is still to be written. */
  static Mixture of(Quantization quantization, ModelLayout layout) {
    Map<String, MetadataValue> metadata = new LinkedHashMap<>(layout.metadata());
    metadata.put("general.architecture", MetadataValue.string(layout.architecture()));
    return new Mixture(quantization, false, metadata, layout.tensors().stream().map(TypeRule::unwritten).toList());
  }

  /** The type of most matrices. */
  TensorType base() {
    return quantization.base();
  }

  /** The type that a matrix is to have, whether or not its rows divide into blocks. */
  TensorType wanted(TensorInfo tensor) {
    TensorType base = quantization.base();
    if (!base.isQuantized()) {
      return base;
    }
    int layer = layer(tensor.name());
    return switch (role(tensor.name(), tied)) {
      case OUTPUT -> base == TensorType.Q8_0 || tensor.columns() % base.blockLength() != 0 ? TensorType.Q8_0 : TensorType.Q6_K;
      case VALUE -> experts == SPECIAL_EXPERTS ? TensorType.Q8_0 : value(layer);
      case KEY -> experts == SPECIAL_EXPERTS ? TensorType.Q8_0 : base;
      case ATTENTION_OUTPUT -> experts == SPECIAL_EXPERTS ? attentionOutputOfExperts() : attentionOutput();
      case DOWN -> down(layer);
      case OTHER -> base;
    };
  }

  private TensorType value(int layer) {
    return switch (quantization) {
      case Q2_K -> manyQueries ? TensorType.Q4_K : TensorType.Q3_K;
      case Q3_K_M -> layer < 2 ? TensorType.Q5_K : TensorType.Q4_K;
      case Q3_K_L -> TensorType.Q5_K;
      case Q4_K_S -> layer < 4 ? TensorType.Q5_K : TensorType.Q4_K;
      case Q4_K_M, Q5_K_M -> isSensitive(layer, valueMatrices) ? TensorType.Q6_K : quantization.base();
      case IQ4_NL, IQ4_XS -> manyQueries ? TensorType.Q5_K : quantization.base();
      default -> quantization.base();
    };
  }

  private TensorType down(int layer) {
    return switch (quantization) {
      case Q2_K -> TensorType.Q3_K;
      case Q3_K_M -> layer < layers / 16 ? TensorType.Q5_K : TensorType.Q4_K;
      case Q3_K_L -> TensorType.Q5_K;
      case Q4_K_S -> isEarly(layer) ? TensorType.Q5_K : TensorType.Q4_K;
      case Q4_K_M, Q5_K_M -> isSensitive(layer, layers) ? TensorType.Q6_K : quantization.base();
      case IQ4_NL, IQ4_XS -> isEarly(layer) && !important ? TensorType.Q5_K : quantization.base();
      case Q4_0 -> isEarly(layer) && important ? TensorType.Q4_1 : TensorType.Q4_0;
      case Q5_0 -> isEarly(layer) && important ? TensorType.Q5_1 : TensorType.Q5_0;
      default -> quantization.base();
    };
  }

  private TensorType attentionOutput() {
    return switch (quantization) {
      case Q2_K -> TensorType.Q3_K;
      case Q3_K_M -> TensorType.Q4_K;
      case Q3_K_L -> TensorType.Q5_K;
      default -> quantization.base();
    };
  }

  private TensorType attentionOutputOfExperts() {
    return switch (quantization) {
      case Q2_K, Q3_K_S, Q3_K_M, Q4_K_S, Q4_K_M, IQ4_NL, IQ4_XS -> TensorType.Q5_K;
      default -> quantization.base();
    };
  }

  private boolean isEarly(int layer) {
    return layer < layers / 8;
  }

  /** The first and last eighth of the layers and every third between. */
  private static boolean isSensitive(int layer, long layers) {
    return layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;
  }

  private static Role role(String name, boolean tied) {
    if (name.equals("output.weight") || tied && name.equals("token_embd.weight")) {
      return Role.OUTPUT;
    } else if (name.contains("attn_v.weight")) {
      return Role.VALUE;
    } else if (name.contains("attn_k.weight")) {
      return Role.KEY;
    } else if (name.contains("attn_output.weight")) {
      return Role.ATTENTION_OUTPUT;
    }
    return name.contains("ffn_down") ? Role.DOWN : Role.OTHER;
  }

  private static int layer(String name) {
    Matcher matcher = LAYER.matcher(name);
    return matcher.lookingAt() && matcher.group(1).length() < 9 ? Integer.parseInt(matcher.group(1)) : 0;
  }

  private static long number(Map<String, MetadataValue> metadata, String key, long otherwise) {
    MetadataValue value = metadata.get(key);
    return value != null && value.value() instanceof Long number && number >= 0 && number <= Integer.MAX_VALUE ? number : otherwise;
  }
}
