package io.github.dimple4j.gguf.tools;

import io.github.dimple4j.gguf.GgufException;
import io.github.dimple4j.gguf.GgufParts;
import io.github.dimple4j.gguf.GgufWriter;
import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.ProgressListener;
import io.github.dimple4j.gguf.TensorInfo;
import io.github.dimple4j.gguf.TensorType;
import io.github.dimple4j.gguf.codec.BlockCodec;
import io.github.dimple4j.gguf.codec.FloatDifference;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Set;
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
  private static final int QUANTIZATION_VERSION = 2;
  private static final Set<TensorType> READABLE = Set.of(TensorType.F32, TensorType.F16, TensorType.BF16, TensorType.Q8_0);

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
    return new Quantizer(source);
  }

  /**
   * Sets what the matrices become.
   *
   * @param quantization a type or mixture
   * @return this
   */
  public Quantizer to(Quantization quantization) {
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
      return new Job(model, readImportance(model)).report(false);
    }
  }

  /**
   * Quantizes.
   *
   * @param target the file to write; may be the source if {@link #overwrite} allows it
   * @return what was written
   * @throws GgufException if the source is damaged or of another type, a weight is not finite, the importance matrix does not fit,
   *     a pattern finds no matrix, or the target exists; nothing is left of the target then
   * @throws IOException if reading or writing fails; nothing is left of the target then
   */
  public QuantizedFile write(Path target) throws IOException {
    GgufWriter.requireWritable(target, overwrite);
    try (GgufParts model = GgufParts.open(source)) {
      Job job = new Job(model, readImportance(model));
      job.write(target);
      return job.report(true);
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

  private static boolean isVision(TensorInfo tensor) {
    return tensor.name().startsWith("v.") || tensor.name().startsWith("mm.");
  }

  /** One file on its way. */
  private final class Job {
    private final GgufParts model;
    private final Optional<ImportanceMatrix> matrix;
    private final Mixture mixture;
    private final List<GgufWriter.Plan> plans = new ArrayList<>();
    private final List<QuantizedFile.Fallback> fallbacks = new ArrayList<>();
    private final Map<TensorType, Errors> errors = new EnumMap<>(TensorType.class);

    Job(GgufParts model, Optional<ImportanceMatrix> matrix) {
      this.model = model;
      this.matrix = matrix;
      this.mixture = new Mixture(quantization, matrix.isPresent(), model.metadata(), model.tensors());
      for (TensorInfo tensor : model.tensors()) {
        TensorType type = choose(tensor);
        plans.add(new GgufWriter.Plan(tensor.name(), type, tensor.dimensions()));
        errors.computeIfAbsent(type, each -> new Errors());
      }
      for (Pattern name : overrides.keySet()) {
        if (model.tensors().stream().noneMatch(tensor -> isMatrix(tensor) && name.matcher(tensor.name()).find())) {
          throw new GgufException(source + " has no matrix whose name contains " + name);
        }
      }
      plans.stream().map(GgufWriter.Plan::type).distinct().forEach(ModelWriter::requireEncodable);
    }

    private TensorType choose(TensorInfo tensor) {
      TensorType current = tensor.type()
          .orElseThrow(() -> new GgufException(source + ": tensor " + tensor.name() + " is of unknown " + tensor.typeName()));
      if (!isMatrix(tensor)) {
        return current;
      }
      TensorType wanted = wanted(tensor);
      TensorType used = Mixture.fitting(wanted, tensor.columns());
      if (used != wanted) {
        fallbacks.add(new QuantizedFile.Fallback(tensor.name(), wanted, used));
      }
      if (used != current && !READABLE.contains(current)) {
        throw new GgufException(source + ": tensor " + tensor.name() + " is " + current
            + " already; expected f32, f16, bf16 or q8_0, since quantizing twice adds up the errors");
      }
      return used;
    }

    private TensorType wanted(TensorInfo tensor) {
      for (Map.Entry<Pattern, TensorType> override : overrides.entrySet()) {
        if (override.getKey().matcher(tensor.name()).find()) {
          return override.getValue();
        }
      }
      if (isVision(tensor)) {
        return visionType.orElse(quantization.base().isQuantized() ? TensorType.F16 : quantization.base());
      }
      return mixture.wanted(tensor);
    }

    private boolean isMatrix(TensorInfo tensor) {
      return isVision(tensor) ? tensor.dimensions().size() > 1 : Mixture.covers(tensor);
    }

    void write(Path target) throws IOException {
      try (GgufWriter writer = new GgufWriter(target, metadata(), plans, overwrite);
          Arena importanceArena = Arena.ofShared();
          TensorStream stream = new TensorStream(writer, progress)) {
        for (int i = 0; i < plans.size(); i++) {
          TensorInfo from = model.tensors().get(i);
          TensorInfo to = writer.tensors().get(i);
          MemorySegment weights = importance(from, to, importanceArena);
          stream.write(to, (row, rows, encoded, area) -> produce(from, to, weights, row, rows, encoded, area));
        }
        stream.finish();
        writer.commit();
      }
    }

    private MemorySegment importance(TensorInfo from, TensorInfo to, Arena arena) {
      if (matrix.isEmpty() || !to.type().orElseThrow().isQuantized()) {
        return MemorySegment.NULL;
      }
      return matrix.get().of(from).map(values -> arena.allocateFrom(ValueLayout.JAVA_FLOAT, values)).orElse(MemorySegment.NULL);
    }

    private void produce(TensorInfo from, TensorInfo to, MemorySegment importance, long row, long rows, MemorySegment encoded,
        TensorStream.WorkArea area) throws IOException {
      TensorType type = to.type().orElseThrow();
      boolean copy = from.typeNumber() == to.typeNumber();
      long columns = from.columns();
      long count = rows * columns;
      MemorySegment bytes = copy ? encoded : area.bytes(from.type().orElseThrow().rowSize(columns) * rows);
      model.part(from).read(from, row, bytes.asByteBuffer());
      MemorySegment floats = area.floats(2 * count); // the source's weights, then the target's
      MemorySegment original = floats.asSlice(0, count * Float.BYTES);
      MemorySegment decoded = floats.asSlice(count * Float.BYTES);
      BlockCodec.decode(from.type().orElseThrow(), bytes, rows, columns, original);
      if (copy) {
        BlockCodec.requireFinite(original, row, columns);
        errors.get(type).add(original, original);
        return;
      }
      long matrixRows = from.dimensions().get(1);
      for (long done = 0; done < rows;) { // one matrix of a stack at a time: each has an importance of its own
        long index = (row + done) / matrixRows;
        long part = Math.min(rows - done, (index + 1) * matrixRows - row - done);
        MemorySegment weights = importance.equals(MemorySegment.NULL) ? importance
            : importance.asSlice(index * columns * Float.BYTES, columns * Float.BYTES);
        BlockCodec.encode(type, original.asSlice(done * columns * Float.BYTES), row + done, part, columns, weights,
            encoded.asSlice(done * type.rowSize(columns), part * type.rowSize(columns)));
        done += part;
      }
      BlockCodec.decode(type, encoded, rows, columns, decoded);
      errors.get(type).add(original, decoded);
    }

    private Map<String, MetadataValue> metadata() {
      Map<String, MetadataValue> metadata = new LinkedHashMap<>(model.metadata());
      metadata.remove("general.alignment"); // the writer's own
      metadata.put("general.file_type", MetadataValue.uint32(quantization.fileType()));
      metadata.put("general.quantization_version", MetadataValue.uint32(QUANTIZATION_VERSION));
      matrix.ifPresent(m -> metadata.putAll(m.metadata()));
      return metadata;
    }

    QuantizedFile report(boolean measured) {
      long before = 0;
      long after = 0;
      long parameters = 0;
      Map<TensorType, long[]> totals = new EnumMap<>(TensorType.class); // tensors, weights, bytes
      for (int i = 0; i < plans.size(); i++) {
        TensorInfo from = model.tensors().get(i);
        TensorType type = plans.get(i).type();
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
          measured ? OptionalDouble.of(errors.get(type).rmse()) : OptionalDouble.empty(),
          measured ? OptionalDouble.of(errors.get(type).relative()) : OptionalDouble.empty())));
      return new QuantizedFile(model.architecture(), plans.size(), parameters, before, after, types, fallbacks);
    }
  }

  /** Rounding errors of the weights of a type. */
  private static final class Errors {
    private FloatDifference sums = FloatDifference.NONE;
    private long count;

    void add(MemorySegment original, MemorySegment decoded) {
      FloatDifference chunk = FloatDifference.of(original, decoded);
      synchronized (this) {
        sums = sums.plus(chunk);
        count += original.byteSize() / Float.BYTES;
      }
    }

    synchronized double rmse() {
      return sums.rmse(count);
    }

    synchronized double relative() {
      return sums.relative();
    }
  }
}
