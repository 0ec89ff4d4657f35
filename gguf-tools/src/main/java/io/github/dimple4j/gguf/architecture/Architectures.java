package io.github.dimple4j.gguf.architecture;

import io.github.dimple4j.gguf.GgufException;
import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.checkpoint.JsonSettings;
import io.github.dimple4j.gguf.checkpoint.PreTokenizer;
import io.github.dimple4j.gguf.checkpoint.SpecialTokens;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;
import java.util.function.Supplier;

/** All families whose checkpoints are converted. */
public final class Architectures {
  /** A new family is a class beside this one and a line here. */
  public static final List<Architecture> ALL = List.of(
      new Dimple(),
      new DimpleBlock(),
      new Dream(),
      new DreamVl(),
      new Llada(),
      new LladaMoe(),
      new LladaV(),
      new LavidaDream(),
      new A2dQwen2(),
      new A2dQwen3(),
      new Sdar(),
      new SdarMoe(),
      new SdarVl(),
      new Rnd1(),
      new FastDllmV2(),
      new StableDiffcoder(),
      new Llada2(),
      new Llada22(),
      new DiffusionGemma());

  private Architectures() {}

  /**
   * What the file of a checkpoint holds; parameters as {@link Architecture#layout}.
   *
   * @throws GgufException if no family knows the configuration's {@code model_type}, or its family refuses a setting
   */
  public static ModelLayout layout(JsonSettings config, JsonSettings preprocessor, Set<String> tensors) {
    Architecture architecture = of(config);
    return bounded(config, () -> architecture.layout(config, preprocessor, tensors));
  }

  private static ModelLayout bounded(JsonSettings config, Supplier<ModelLayout> layout) {
    try {
      return layout.get();
    } catch (ArithmeticException e) {
      throw new GgufException(config + ": its sizes make a tensor of more elements than 64 bits count");
    }
  }

  /** Keys that say how the authors decode a checkpoint; parameters as {@link Architecture#decoding}. */
  public static Map<String, MetadataValue> decoding(JsonSettings config, JsonSettings generation) {
    return of(config).decoding(generation);
  }

  /** What a checkpoint holds twice; parameters as {@link Architecture#twins}. */
  public static Map<String, String> twins(JsonSettings config, Set<String> tensors) {
    return of(config).twins(tensors);
  }

  private static Architecture of(JsonSettings config) {
    return ALL.stream().filter(architecture -> architecture.describes(config)).findFirst().orElseThrow(() -> config.wrong("model_type", modelTypes()));
  }

  /** Whether a model's vision tower goes into a file of its own. */
  public static boolean hasSeparateTower(JsonSettings config) {
    return GemmaVision.describes(config);
  }

  /**
   * What a file of a checkpoint's vision tower alone holds, llama.cpp's "mmproj"; parameters as {@link Architecture#layout}.
   *
   * @throws GgufException if the checkpoint has none that goes into a file of its own
   */
  public static ModelLayout tower(JsonSettings config, JsonSettings preprocessor, Set<String> tensors) {
    if (!GemmaVision.describes(config)) {
      throw config.wrong("vision_config", "one of model_type \"gemma4_vision\": others do not go into a file of their own");
    }
    return bounded(config, () -> {
      GemmaVision vision = GemmaVision.read(config, preprocessor, tensors);
      return new ModelLayout("clip", 0, vision.metadata(), vision.tensors(), PreTokenizer.QWEN2,
          new SpecialTokens(OptionalInt.empty(), OptionalInt.empty(), OptionalInt.empty(), OptionalInt.empty()));
    });
  }

  /** E.g. {@code "a", "b" or "c"}. */
  private static String modelTypes() {
    List<String> quoted = ALL.stream().map(architecture -> "\"" + architecture.modelTypes().getFirst() + "\"").distinct().toList();
    return String.join(", ", quoted.subList(0, quoted.size() - 1)) + " or " + quoted.getLast();
  }
}
