package io.github.dimple4j.gguf.tools;

import io.github.dimple4j.gguf.GgufException;
import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.ProgressListener;
import io.github.dimple4j.gguf.TensorInfo;
import io.github.dimple4j.gguf.TensorType;
import io.github.dimple4j.gguf.architecture.DiffusionGemma;
import io.github.dimple4j.gguf.architecture.Dimple;
import io.github.dimple4j.gguf.architecture.ModelLayout;
import io.github.dimple4j.gguf.architecture.QwenTower;
import io.github.dimple4j.gguf.architecture.QwenVision;
import io.github.dimple4j.gguf.architecture.TensorSource;
import io.github.dimple4j.gguf.architecture.RotaryScaling;
import io.github.dimple4j.gguf.architecture.TextShape;
import io.github.dimple4j.gguf.checkpoint.SpecialTokens;
import io.github.dimple4j.gguf.core.BlockCodec;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.IntFunction;
import java.util.stream.Stream;

/**
 * Makes a file with random weights in a real model's exact shape, to measure speed, memory and limits without the real
 * weights. The weights are scaled so that activations stay of order one: logits are finite and differ. The tokenizer is
 * synthetic, with the real special tokens, so that text prompts work; what the model answers means nothing. The same preset,
 * type and seed give the same file, byte for byte.
 *
 * <p>One thread at a time; the work itself uses all cores.
 */
public final class Synth {
  /** A shape: what a file of so many layers holds. */
  private record Preset(String name, int layers, IntFunction<ModelLayout> layout, SyntheticVocabulary vocabulary) {
    static Preset of(ReleasedShapes shape) {
      return new Preset(shape.name(), shape.layers(), shape::layout, shape.vocabulary());
    }

    /** Dimple's, with its tower. */
    static Preset of(String name, TextShape text, QwenVision vision, List<Integer> sections, SyntheticVocabulary vocabulary) {
      Dimple.ImageTokens images = new Dimple.ImageTokens(vocabulary.id("<|image_pad|>"), vocabulary.id("<|video_pad|>"),
          vocabulary.id("<|vision_start|>"), vocabulary.id("<|vision_end|>"));
      SpecialTokens special = new SpecialTokens(OptionalInt.of(vocabulary.id("<|im_start|>")),
          OptionalInt.of(vocabulary.id("<|im_end|>")), OptionalInt.of(vocabulary.id("<|endoftext|>")),
          OptionalInt.of(vocabulary.id("<|mask|>")));
      return new Preset(name, text.layers(), layers -> Dimple.layout(text.withLayers(layers), vision, sections, images, special), vocabulary);
    }
  }

  private static final List<Preset> PRESETS =
      Stream.concat(Stream.of(dimple7b(), dimpleMini(), diffusionGemma()), ReleasedShapes.ALL.stream().map(Preset::of)).toList();

  private final Preset preset;
  private int layers;
  private TensorType type = TensorType.Q4_0;
  private Optional<Quantization> mixture = Optional.empty(); // instead of the type
  private long seed;
  private boolean overwrite;
  private ProgressListener progress = ProgressListener.NONE;

  private Synth(Preset preset) {
    this.preset = preset;
    this.layers = preset.layers();
  }

  /**
   * The shapes there are.
   *
   * @return names
   */
  public static List<String> presets() {
    return PRESETS.stream().map(Preset::name).toList();
  }

  /**
   * Starts the description of a file.
   *
   * @param preset one of {@link #presets()}
   * @return a maker of a Q4_0 file with seed 0 that refuses to replace a file
   * @throws GgufException if there is no such preset
   */
  public static Synth of(String preset) {
    Objects.requireNonNull(preset, "preset");
    for (Preset candidate : PRESETS) {
      if (candidate.name().equals(preset)) {
        return new Synth(candidate);
      }
    }
    throw new GgufException("there is no preset \"" + preset + "\"; expected one of " + String.join(", ", presets()));
  }

  /**
   * Sets the number of the text's layers: a model with fewer than the preset is as wide, in less time and memory.
   *
   * @param layers at least 1
   * @return this
   * @throws GgufException if it is less
   */
  public Synth layers(int layers) {
    if (layers < 1) {
      throw new GgufException("layers is " + layers + "; expected at least 1");
    }
    this.layers = layers;
    return this;
  }

  /**
   * Sets the type of the matrices, all of the text's alike; the vision tower of a quantized file is F16.
   *
   * @param type one that the C core can encode
   * @return this
   */
  public Synth type(TensorType type) {
    this.type = Objects.requireNonNull(type, "type");
    mixture = Optional.empty();
    return this;
  }

  /**
   * Sets the types of the matrices to those that {@link Quantizer} gives them.
   *
   * @param mixture for example {@link Quantization#Q4_K_M}
   * @return this
   */
  public Synth mixture(Quantization mixture) {
    this.mixture = Optional.of(mixture);
    return this;
  }

  /**
   * Sets the seed of the weights.
   *
   * @param seed any number
   * @return this
   */
  public Synth seed(long seed) {
    this.seed = seed;
    return this;
  }

  /**
   * Allows or forbids to replace an existing file.
   *
   * @param overwrite true to allow it
   * @return this
   */
  public Synth overwrite(boolean overwrite) {
    this.overwrite = overwrite;
    return this;
  }

  /**
   * Sets who hears of the progress.
   *
   * @param progress called from the thread that calls {@link #write}
   * @return this
   */
  public Synth progress(ProgressListener progress) {
    Objects.requireNonNull(progress, "progress");
    this.progress = progress;
    return this;
  }

  /**
   * Makes the file.
   *
   * @param target the file to write
   * @return what was written
   * @throws GgufException if the type cannot be written or the target exists
   * @throws IOException if writing fails; nothing is left of the target then
   */
  public WrittenFile write(Path target) throws IOException {
    Objects.requireNonNull(target, "target");
    if (mixture.isEmpty()) {
      ModelWriter.requireEncodable(type);
    }
    Map<String, MetadataValue> metadata = new LinkedHashMap<>();
    ModelLayout layout = preset.layout().apply(layers);
    metadata.put("general.name", MetadataValue.string(preset.name() + " with random weights, seed " + seed));
    metadata.putAll(layout.metadata());
    metadata.putAll(preset.vocabulary().metadata());
    metadata.putAll(layout.special().metadata());
    return new ModelWriter(target, overwrite, progress).checked().write(layout.architecture(), mixture.orElseGet(() -> Quantization.ofPure(type)),
        metadata, layout.tensors(), mixture.map(each -> TypeRule.of(Mixture.of(each, layout))).orElseGet(() -> TypeRule.pure(type)), List.of(), List.of(),
        this::weights);
  }

  private TensorStream.Producer weights(TensorInfo tensor, TensorSource source) {
    if (source.isConstant()) {
      return new CheckpointRows(tensor, source, List.of(), Optional.empty());
    }
    CounterRandom random = new CounterRandom(seed, source.name());
    TensorType stored = tensor.type().orElseThrow();
    float center = isNorm(source) ? 1 : 0;
    float deviation = deviation(source);
    RandomBlocks blocks = RandomBlocks.of(stored, deviation);
    long columns = tensor.columns();
    return (row, rows, encoded, area) -> {
      if (blocks != null) {
        blocks.fill(random, row * columns / stored.blockLength(), encoded);
      } else {
        MemorySegment floats = area.floats(rows * columns);
        random.uniform(row * columns, rows * columns, center, deviation, floats);
        BlockCodec.encode(stored, floats, row, rows, columns, encoded);
      }
    };
  }

  /**
   * The standard deviation of a tensor's weights: one over the square root of what a row sums over, so that a sum over inputs
   * of order one is of order one. The logits spread four times as wide, to have favourites.
   */
  private static float deviation(TensorSource source) {
    if (source.dimensions().size() == 1) {
      return 0.05f;
    }
    if (source.name().equals("token_embd.weight")) {
      return 1;
    }
    long sum = source.elements() / source.dimensions().getLast();
    return (float) ((source.name().equals("output.weight") ? 4 : 1) / Math.sqrt(sum));
  }

  private static boolean isNorm(TensorSource source) {
    return source.name().endsWith("norm.weight") || source.name().matches("(blk\\.\\d+\\.)?(post|pre)_ffw_norm_[12]\\.weight|.*\\.scale|.*output_scale\\.weight") || source.name().matches("v\\.blk\\.\\d+\\.ln[12]\\.weight")
        || source.name().equals("output_norm.weight") || source.name().equals("v.post_ln.weight");
  }

  /** Dimple-7B: Qwen2.5-7B's decoder and Qwen2.5-VL's vision tower. */
  private static Preset dimple7b() {
    SyntheticVocabulary vocabulary = SyntheticVocabulary.QWEN;
    TextShape text = new TextShape(vocabulary.size(), 131072, 3584, 28, 18944, 28, 4, 1e-6, 1e6, RotaryScaling.NONE, false, false);
    QwenTower tower = new QwenTower(32, 1280, 16, 3420, 14, 2, 3584, 3136, 1003520, QwenTower.CLIP_MEAN, QwenTower.CLIP_DEVIATION);
    QwenVision vision = new QwenVision(tower, 112, List.of(7, 15, 23, 31));
    return Preset.of("dimple-7b", text, vision, List.of(16, 24, 24), vocabulary);
  }

  /** The shape of dimple-mini, the bundled model. */
  private static Preset dimpleMini() {
    SyntheticVocabulary vocabulary = SyntheticVocabulary.mini(1024);
    TextShape text = new TextShape(vocabulary.size(), 1024, 256, 4, 512, 4, 2, 1e-6, 100, RotaryScaling.NONE, false, false);
    QwenTower tower = new QwenTower(4, 128, 4, 160, 14, 2, 256, 3136, 50176, QwenTower.CLIP_MEAN, QwenTower.CLIP_DEVIATION);
    QwenVision vision = new QwenVision(tower, 112, List.of(1, 3));
    return Preset.of("dimple-mini", text, vision, List.of(8, 12, 12), vocabulary);
  }

  /** DiffusionGemma 26B-A4B, the text model. */
  private static Preset diffusionGemma() {
    SyntheticVocabulary vocabulary = SyntheticVocabulary.GEMMA;
    SpecialTokens special = new SpecialTokens(OptionalInt.of(vocabulary.id("<bos>")), OptionalInt.of(vocabulary.id("<eos>")),
        OptionalInt.of(vocabulary.id("<pad>")), OptionalInt.of(vocabulary.id("<mask>")));
    return new Preset("diffusion-gemma-26b-a4b", 30, layers -> DiffusionGemma.released(layers, special), vocabulary);
  }

  /**
   * What is made, for logs.
   *
   * @return for example {@code "Synth[dimple-7b, q4_k_m, seed 0]"}
   */
  @Override
  public String toString() {
    return "Synth[" + preset.name() + ", " + mixture.map(Object::toString).orElse(type.toString()) + ", seed " + seed + "]";
  }
}
