package io.github.dimple4j.gguf.tools;

import io.github.dimple4j.gguf.GgufException;
import io.github.dimple4j.gguf.GgufParts;
import io.github.dimple4j.gguf.GgufWriter;
import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.ProgressListener;
import io.github.dimple4j.gguf.TensorInfo;
import io.github.dimple4j.gguf.TensorType;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * Makes a smaller GGUF file of one whose matrices are F32, F16, BF16 or Q8_0, with llama.cpp's choice of types for the names that
 * it shares. The weights are streamed: memory does not grow with the model. The output takes its name only when it is complete.
 *
 * <pre>{@code
 * QuantizedFile report = Quantizer.of(Path.of("dimple-7b-f16.gguf")).to(Quantization.Q4_K_M).write(Path.of("dimple-7b-q4_k_m.gguf"));
 * }</pre>
 *
 * <p>Vectors, norms and the matrices that choose experts stay as they are. The vision tower ({@code v.*}, {@code mm.*}) of a
 * quantized file is F16 unless {@link #visionType} says otherwise. A matrix whose rows do not divide into the blocks of its
 * type takes the next larger type that they divide into, which the report names. A source that is cut into parts is read by its
 * first part and becomes one file.
 *
 * <p>One thread at a time; the work itself uses all cores.
 */
public final class Quantizer {
  private final Path source;
  private final Map<Pattern, TensorType> overrides = new LinkedHashMap<>();
  private Quantization quantization = Quantization.Q4_K_M;
  private Optional<TensorType> visionType = Optional.empty();
  private Optional<Path> importance = Optional.empty();
  private boolean overwrite;
  private ProgressListener progress = ProgressListener.NONE;

  private Quantizer(Path source) {
    this.source = source;
  }

  /**
   * Starts the description of a quantization.
   *
   * @param source a GGUF file, or the first of its parts
   * @return a quantizer to Q4_K_M that refuses to replace a file
   */
  public static Quantizer of(Path source) {
    Objects.requireNonNull(source, "source");
    return new Quantizer(source);
  }

  /**
   * Sets what the matrices become.
   *
   * @param quantization a type or mixture
   * @return this
   */
  public Quantizer to(Quantization quantization) {
    Objects.requireNonNull(quantization, "quantization");
    this.quantization = quantization;
    return this;
  }

  /**
   * Sets the type of the vision tower's matrices.
   *
   * @param type instead of F16
   * @return this
   */
  public Quantizer visionType(TensorType type) {
    Objects.requireNonNull(type, "type");
    this.visionType = Optional.of(type);
    return this;
  }

  /**
   * Sets the type of some matrices, whatever the mixture says. Of several patterns that find a name the first one counts.
   *
   * @param name a regular expression that is found anywhere in the tensor's name, e.g. {@code attn_v} or {@code blk\.0\.ffn_.*}
   * @param type their type
   * @return this
   */
  public Quantizer tensorType(Pattern name, TensorType type) {
    Objects.requireNonNull(name, "name");
    Objects.requireNonNull(type, "type");
    overrides.put(name, type);
    return this;
  }

  /**
   * Sets an importance matrix, which weighs the errors of the columns.
   *
   * @param file of llama.cpp's llama-imatrix, GGUF or the older .dat
   * @return this
   */
  public Quantizer importance(Path file) {
    Objects.requireNonNull(file, "file");
    this.importance = Optional.of(file);
    return this;
  }

  /**
   * Allows or forbids to replace an existing file.
   *
   * @param overwrite true to allow it
   * @return this
   */
  public Quantizer overwrite(boolean overwrite) {
    this.overwrite = overwrite;
    return this;
  }

  /**
   * Sets who hears of the progress.
   *
   * @param progress called from the thread that calls {@link #write}
   * @return this
   */
  public Quantizer progress(ProgressListener progress) {
    Objects.requireNonNull(progress, "progress");
    this.progress = progress;
    return this;
  }

  /**
   * Says what would be written.
   *
   * @return the report without errors
   * @throws GgufException as {@link #write}, as far as the weights need not be read for it
   * @throws IOException if reading fails
   */
  public QuantizedFile dryRun() throws IOException {
    try (GgufParts model = GgufParts.open(source)) {
      return plan(model, readImportance(model)).report(Optional.empty());
    }
  }

  /**
   * Quantizes.
   *
   * @param target the file to write; may be the source if {@link #overwrite} allows it
   * @return what was written
   * @throws GgufException if the source is damaged or of another type, a weight is not finite, the importance matrix does not fit,
   *     a pattern, a vision tower's type or the importance matrix says nothing, or the target exists; nothing is left of the target then
   * @throws IOException if reading or writing fails; nothing is left of the target then
   */
  public QuantizedFile write(Path target) throws IOException {
    Objects.requireNonNull(target, "target");
    GgufWriter.requireWritable(target, overwrite);
    try (GgufParts model = GgufParts.open(source)) {
      Optional<ImportanceMatrix> matrix = readImportance(model);
      QuantizationPlan plan = plan(model, matrix);
      return plan.report(Optional.of(write(target, model, plan, matrix)));
    }
  }

  private Optional<ImportanceMatrix> readImportance(GgufParts model) throws IOException {
    if (importance.isEmpty()) {
      return Optional.empty();
    }
    ImportanceMatrix matrix = ImportanceMatrix.read(importance.get());
    if (!matrix.knowsAny(model.tensors())) {
      throw new GgufException(importance.get() + " knows no tensor of " + source + ": it is of another model");
    }
    return Optional.of(matrix);
  }

  private QuantizationPlan plan(GgufParts model, Optional<ImportanceMatrix> matrix) {
    Mixture mixture = new Mixture(quantization, matrix.isPresent(), model.metadata(), model.tensors());
    QuantizationPlan plan = new QuantizationPlan(source, model, TypeRule.of(mixture).with(visionType, overrides));
    if (matrix.isPresent() && !plan.heedsImportance()) {
      throw new GgufException(importance.orElseThrow() + " says nothing here: no tensor of " + source + " becomes of a type that heeds importance, as all do but "
          + "q8_0, f16, bf16 and f32");
    }
    return plan;
  }

  private RoundingErrors write(Path target, GgufParts model, QuantizationPlan plan, Optional<ImportanceMatrix> matrix) throws IOException {
    RoundingErrors errors = new RoundingErrors();
    try (GgufWriter writer = new GgufWriter(target, metadata(model, matrix), plan.targets(), overwrite);
        Arena importanceArena = Arena.ofShared();
        TensorStream stream = new TensorStream(writer, progress)) {
      for (int i = 0; i < plan.targets().size(); i++) {
        TensorInfo from = model.tensors().get(i);
        TensorInfo to = writer.tensors().get(i);
        TensorType type = to.type().orElseThrow();
        stream.write(to, new RowQuantizer(model.part(from), from, type, importance(from, type, matrix, importanceArena), errors));
      }
      stream.finish();
      writer.commit();
    }
    return errors;
  }

  private static MemorySegment importance(TensorInfo from, TensorType type, Optional<ImportanceMatrix> matrix, Arena arena) {
    if (matrix.isEmpty() || !type.isQuantized()) {
      return MemorySegment.NULL;
    }
    return matrix.get().of(from).map(values -> arena.allocateFrom(ValueLayout.JAVA_FLOAT, values)).orElse(MemorySegment.NULL);
  }

  private Map<String, MetadataValue> metadata(GgufParts model, Optional<ImportanceMatrix> matrix) {
    Map<String, MetadataValue> metadata = new LinkedHashMap<>(model.metadata());
    metadata.remove("general.alignment"); // the writer's own
    metadata.putAll(quantization.metadata());
    metadata.put(Quantization.VERSION_KEY, MetadataValue.uint32(Quantization.VERSION)); // also for F16: what has been quantized says so
    matrix.ifPresent(m -> metadata.putAll(m.metadata()));
    return metadata;
  }

  /**
   * What is quantized to what, for logs.
   *
   * @return for example {@code "Quantizer[model.gguf to Q4_K_M]"}
   */
  @Override
  public String toString() {
    return "Quantizer[" + source + " to " + quantization + "]";
  }
}
