package io.github.dimple4j.gguf.architecture;

import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.checkpoint.JsonSettings;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** A family of models: how its checkpoints are recognised, and what a GGUF file of one holds. */
public interface Architecture {
  /** {@code general.architecture}. */
  String name();

  /** What {@code model_type} in the {@code config.json} of its checkpoints says; the usual spelling first. */
  List<String> modelTypes();

  /** Whether a {@code config.json} is of this family: of those that share a {@code model_type}, exactly one says so. */
  default boolean describes(JsonSettings config) {
    return modelTypes().contains(config.text("model_type", ""));
  }

  /**
   * What the file of a checkpoint holds.
   *
   * @param config {@code config.json}
   * @param preprocessor {@code preprocessor_config.json}, empty where there is none
   * @param tensors the names of the checkpoint's tensors
   * @throws io.github.dimple4j.gguf.GgufException if the configuration asks for what this family does not have
   */
  ModelLayout layout(JsonSettings config, JsonSettings preprocessor, Set<String> tensors);

  /**
   * Keys that say how its authors decode the checkpoint.
   *
   * @param generation {@code generation_config.json}, empty where there is none
   * @throws io.github.dimple4j.gguf.GgufException if it asks for what this family does not have
   */
  default Map<String, MetadataValue> decoding(JsonSettings generation) {
    return Map.of();
  }

  /**
   * What a checkpoint may hold twice, under the names of two parts that share it.
   *
   * @param tensors the names of the checkpoint's tensors
   * @return of those that the file does without, which one stands for it
   */
  default Map<String, String> twins(Set<String> tensors) {
    return Map.of();
  }
}
