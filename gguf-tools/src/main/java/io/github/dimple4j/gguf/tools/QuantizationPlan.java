package io.github.dimple4j.gguf.tools;

import io.github.dimple4j.gguf.GgufException;
import io.github.dimple4j.gguf.GgufParts;
import io.github.dimple4j.gguf.GgufWriter;
import io.github.dimple4j.gguf.TensorInfo;
import io.github.dimple4j.gguf.TensorType;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Set;

/** What each tensor of a file becomes when it is quantized. Immutable once made. */
final class QuantizationPlan {
  private static final Set<TensorType> READABLE = Set.of(TensorType.F32, TensorType.F16, TensorType.BF16, TensorType.Q8_0);

  private final Path source;
  private final GgufParts model;
  private final List<GgufWriter.Plan> targets = new ArrayList<>();
  private final List<TypeFallback> fallbacks = new ArrayList<>();

  /**
   * Plans.
   *
   * @param source the model's path, for messages
   * @throws GgufException if a tensor's type is not known or cannot be read or written, or an exception of the rule says nothing
   */
  QuantizationPlan(Path source, GgufParts model, TypeRule rule) {
    this.source = source;
    this.model = model;
    for (TensorInfo tensor : model.tensors()) {
      targets.add(new GgufWriter.Plan(tensor.name(), choose(tensor, rule), tensor.dimensions()));
    }
    rule.requireUsed(source, model.tensors());
    targets.stream().map(GgufWriter.Plan::type).distinct().forEach(ModelWriter::requireEncodable);
  }

  /** The tensors to write, in the source's order. */
  List<GgufWriter.Plan> targets() {
    return targets;
  }

  /** Whether a tensor becomes of a type that is rounded with an importance matrix. */
  boolean heedsImportance() {
    return targets.stream().anyMatch(target -> target.type().isQuantized() && target.type() != TensorType.Q8_0);
  }

  /** What is made of the file; with errors if they were measured. */
  QuantizedFile report(Optional<RoundingErrors> errors) {
    long before = 0;
    long after = 0;
    long parameters = 0;
    Map<TensorType, long[]> totals = new EnumMap<>(TensorType.class); // tensors, weights, bytes
    for (int i = 0; i < targets.size(); i++) {
      TensorInfo from = model.tensors().get(i);
      TensorType type = targets.get(i).type();
      long size = type.rowSize(from.columns()) * from.rows();
      before += from.size();
      after += size;
      parameters += from.elements();
      long[] total = totals.computeIfAbsent(type, each -> new long[3]);
      total[0]++;
      total[1] += from.elements();
      total[2] += size;
    }
    List<QuantizedFile.TypeTotal> types = new ArrayList<>();
    totals.forEach((type, total) -> types.add(new QuantizedFile.TypeTotal(type, (int) total[0], total[1], total[2],
        errors.map(measured -> OptionalDouble.of(measured.rmse(type))).orElse(OptionalDouble.empty()),
        errors.map(measured -> OptionalDouble.of(measured.relative(type))).orElse(OptionalDouble.empty()))));
    return new QuantizedFile(model.architecture(), targets.size(), parameters, before, after, types, fallbacks);
  }

  private TensorType choose(TensorInfo tensor, TypeRule rule) {
    TensorType current = tensor.type()
        .orElseThrow(() -> new GgufException(source + ": tensor " + tensor.name() + " is of unknown " + tensor.typeName()));
    TypeRule.Choice choice = rule.choose(tensor);
    if (choice.used() != choice.wanted()) {
      fallbacks.add(new TypeFallback(tensor.name(), choice.wanted(), choice.used()));
    }
    if (choice.used() != current && !READABLE.contains(current)) {
      throw new GgufException(source + ": tensor " + tensor.name() + " is " + current
          + " already; expected f32, f16, bf16 or q8_0, since quantizing twice adds up the errors");
    }
    return choice.used();
  }
}
