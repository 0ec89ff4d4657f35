package io.github.dimple4j.gguf.tools;

import io.github.dimple4j.gguf.GgufException;
import io.github.dimple4j.gguf.TensorInfo;
import io.github.dimple4j.gguf.TensorType;
import io.github.dimple4j.gguf.architecture.TensorSource;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.regex.Pattern;

/**
 * The type that each tensor of a written file has, however the file is made; docs/quantization.md says it in words. A tensor that is
 * no matrix keeps the type of its source, which for a checkpoint counts as F32. A matrix of the vision tower is F16 in a quantized file,
 * one of the text model has what a mixture gives it, and where rows do not divide into blocks the next larger type is taken.
 */
final class TypeRule {
  /**
   * What a tensor becomes.
   *
   * @param wanted the type that it is to have
   * @param used the type that it has, another one if its rows do not divide into blocks of {@code wanted}
   */
  record Choice(TensorType wanted, TensorType used) {}

  private final TensorType base;
  private final Function<TensorInfo, TensorType> text;
  private final Optional<TensorType> vision;
  private final Map<Pattern, TensorType> overrides;

  private TypeRule(TensorType base, Function<TensorInfo, TensorType> text, Optional<TensorType> vision,
      Map<Pattern, TensorType> overrides) {
    this.base = base;
    this.text = text;
    this.vision = vision;
    this.overrides = overrides;
  }

  /** Text matrices as a mixture says. */
  static TypeRule of(Mixture mixture) {
    return new TypeRule(mixture.base(), mixture::wanted, Optional.empty(), Map.of());
  }

  /** All text matrices of one type. */
  static TypeRule pure(TensorType type) {
    return new TypeRule(type, tensor -> type, Optional.empty(), Map.of());
  }

  /**
   * The same with exceptions.
   *
   * @param vision the vision tower's type
   * @param overrides types of the matrices in whose name a pattern is found; the first that finds a name counts
   */
  TypeRule with(Optional<TensorType> vision, Map<Pattern, TensorType> overrides) {
    return new TypeRule(base, text, vision, overrides);
  }

  /** Whether a tensor is a matrix that may be quantized: no vector, no norm, and not what chooses the experts. */
  static boolean isMatrix(TensorInfo tensor) {
    String name = tensor.name();
    return tensor.dimensions().size() > 1
        && !name.equals("v.position_embd.weight") // a table of positions is looked up
        && (isVision(tensor) || name.endsWith("weight") && !name.endsWith("_norm.weight") && !name.endsWith("ffn_gate_inp.weight"));
  }

  /** What a tensor of a known type becomes. */
  Choice choose(TensorInfo tensor) {
    if (!isMatrix(tensor)) {
      TensorType kept = tensor.type().orElseThrow();
      return new Choice(kept, kept);
    }
    TensorType wanted = wanted(tensor);
    return new Choice(wanted, fitting(wanted, tensor.columns()));
  }

  /** What a tensor of a checkpoint becomes. */
  Choice choose(TensorSource source) {
    return choose(unwritten(source));
  }

  /** A checkpoint's tensor as a file of F32 would have it. */
  static TensorInfo unwritten(TensorSource source) {
    return new TensorInfo(source.name(), TensorType.F32.number(), source.dimensions(), 0);
  }

  /**
   * Holds the exceptions to a model's tensors: none says nothing.
   *
   * @param source the model's path, for messages
   * @throws GgufException if a pattern finds no matrix, or none that the patterns before it leave, or there is no vision tower whose type is said
   */
  void requireUsed(Path source, List<TensorInfo> tensors) {
    List<TensorInfo> matrices = tensors.stream().filter(TypeRule::isMatrix).toList();
    for (Pattern name : overrides.keySet()) {
      List<TensorInfo> found = matrices.stream().filter(tensor -> name.matcher(tensor.name()).find()).toList();
      if (found.stream().noneMatch(tensor -> override(tensor).orElseThrow() == name)) {
        throw new GgufException(source + (found.isEmpty() ? " has no matrix whose name contains " + name
            : ": every matrix whose name contains " + name + " has the type of a pattern before it"));
      }
    }
    if (vision.isPresent() && matrices.stream().noneMatch(tensor -> isVision(tensor) && override(tensor).isEmpty())) {
      throw new GgufException(source + " has no matrix of a vision tower that could be " + vision.get());
    }
  }

  /** The first that finds a matrix. */
  private Optional<Pattern> override(TensorInfo tensor) {
    return overrides.keySet().stream().filter(name -> name.matcher(tensor.name()).find()).findFirst();
  }

  private TensorType wanted(TensorInfo tensor) {
    Optional<Pattern> override = override(tensor);
    if (override.isPresent()) {
      return overrides.get(override.get());
    }
    return isVision(tensor) ? vision.orElse(base.isQuantized() ? TensorType.F16 : base) : text.apply(tensor);
  }

  /** The type, or where rows of {@code columns} do not divide into its blocks the next larger one that they divide into. */
  private static TensorType fitting(TensorType type, long columns) {
    if (columns % type.blockLength() == 0) {
      return type;
    }
    TensorType larger = switch (type) {
      case IQ4_XS -> TensorType.IQ4_NL;
      case Q2_K, Q3_K -> TensorType.Q4_0;
      case Q4_K -> TensorType.Q5_0;
      case Q5_K -> TensorType.Q5_1;
      case Q6_K -> TensorType.Q8_0;
      default -> TensorType.F16;
    };
    return columns % larger.blockLength() == 0 ? larger : TensorType.F16;
  }

  private static boolean isVision(TensorInfo tensor) {
    return tensor.name().startsWith("v.") || tensor.name().startsWith("mm.");
  }
}
