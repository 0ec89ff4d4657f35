package io.github.dimple4j.gguf.tools;

import io.github.dimple4j.gguf.GgufException;
import io.github.dimple4j.gguf.GgufParts;
import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.ProgressListener;
import io.github.dimple4j.gguf.TensorInfo;
import io.github.dimple4j.gguf.core.BlockCodec;
import io.github.dimple4j.gguf.core.FloatDifference;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.stream.LongStream;

/**
 * In what two GGUF files differ. Where tensors and keys stand in the files, and whether a file is cut into parts, does not count.
 *
 * @param keys metadata that only one file has, or that differs
 * @param tensors those that only one file has, or that differ in shape, type or weights
 * @param equalTensors how many are the same in both files, to the bit
 */
public record FileDifference(List<Key> keys, List<Tensor> tensors, int equalTensors) {
  private static final long CHUNK_ELEMENTS = 1 << 20;

  /** Copies the lists. */
  public FileDifference {
    keys = List.copyOf(keys);
    tensors = List.copyOf(tensors);
  }

  /**
   * A metadata key.
   *
   * @param name e.g. {@code general.file_type}
   * @param first its value in the first file, if it is there
   * @param second its value in the second file, if it is there
   */
  public record Key(String name, Optional<MetadataValue> first, Optional<MetadataValue> second) {}

  /**
   * A tensor.
   *
   * @param name e.g. {@code token_embd.weight}
   * @param first as the first file has it, if it is there
   * @param second as the second file has it, if it is there
   * @param weights how far apart the weights are; empty unless both files have the tensor with the same shape in known types
   */
  public record Tensor(String name, Optional<TensorInfo> first, Optional<TensorInfo> second, Optional<Weights> weights) {}

  /**
   * How far apart the weights of two tensors are; NaN where one of them is not a number.
   *
   * @param rmse root of the mean squared difference
   * @param relative {@code rmse} over the root mean square of the first file's weights
   * @param largest the largest difference
   */
  public record Weights(double rmse, double relative, double largest) {}

  /**
   * Compares two files, of each of which only some megabytes are in memory at a time.
   *
   * @param first a GGUF file, or the first of its parts
   * @param second another one
   * @param progress called from this thread
   * @return in what they differ
   * @throws GgufException if one of them is not a well-formed GGUF file
   * @throws IOException if reading fails
   */
  public static FileDifference between(Path first, Path second, ProgressListener progress) throws IOException {
    Objects.requireNonNull(first, "first");
    Objects.requireNonNull(second, "second");
    Objects.requireNonNull(progress, "progress");
    try (GgufParts a = GgufParts.open(first); GgufParts b = GgufParts.open(second)) {
      List<Tensor> tensors = new ArrayList<>();
      long total = a.tensors().stream().mapToLong(TensorInfo::size).sum();
      long done = 0;
      Set<String> names = new LinkedHashSet<>();
      a.tensors().forEach(tensor -> names.add(tensor.name()));
      b.tensors().forEach(tensor -> names.add(tensor.name()));
      for (String name : names) {
        compare(name, a, b).ifPresent(tensors::add);
        done += a.tensor(name).map(TensorInfo::size).orElse(0L);
        progress.progress(name, done, Math.max(1, total));
      }
      return new FileDifference(keys(a, b), tensors, names.size() - tensors.size());
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
  }

  /**
   * Whether there is no difference.
   *
   * @return true for equal metadata and equal tensors
   */
  public boolean isEmpty() {
    return keys.isEmpty() && tensors.isEmpty();
  }

  private static List<Key> keys(GgufParts a, GgufParts b) {
    Set<String> names = new LinkedHashSet<>(a.metadata().keySet());
    names.addAll(b.metadata().keySet());
    return names.stream().map(name -> new Key(name, Optional.ofNullable(a.metadata().get(name)), Optional.ofNullable(b.metadata().get(name))))
        .filter(key -> !key.first().equals(key.second())).toList();
  }

  private static Optional<Tensor> compare(String name, GgufParts a, GgufParts b) {
    Optional<TensorInfo> first = a.tensor(name);
    Optional<TensorInfo> second = b.tensor(name);
    if (first.isEmpty() || second.isEmpty() || !first.get().dimensions().equals(second.get().dimensions())
        || first.get().type().isEmpty() || second.get().type().isEmpty()) {
      return Optional.of(new Tensor(name, first, second, Optional.empty()));
    }
    TensorInfo one = first.get();
    TensorInfo other = second.get();
    long step = Math.max(1, CHUNK_ELEMENTS / one.columns());
    Optional<FloatDifference> distance = LongStream.range(0, (one.rows() + step - 1) / step).parallel()
        .mapToObj(chunk -> distance(a, one, b, other, chunk * step, Math.min(step, one.rows() - chunk * step)))
        .flatMap(Optional::stream).reduce(FloatDifference::plus);
    return distance.map(sums -> new Tensor(name, first, second,
        Optional.of(new Weights(sums.rmse(one.elements()), sums.relative(), sums.largest()))));
  }

  /** Nothing if rows are of the same type and equal to the bit. */
  private static Optional<FloatDifference> distance(GgufParts a, TensorInfo one, GgufParts b, TensorInfo other, long row, long rows) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment oneEncoded = read(a, one, row, rows, arena);
      MemorySegment otherEncoded = read(b, other, row, rows, arena);
      boolean same = one.typeNumber() == other.typeNumber() && oneEncoded.mismatch(otherEncoded) < 0;
      return same ? Optional.empty()
          : Optional.of(FloatDifference.of(decode(one, oneEncoded, rows, arena), decode(other, otherEncoded, rows, arena)));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static MemorySegment read(GgufParts file, TensorInfo tensor, long row, long rows, Arena arena) throws IOException {
    MemorySegment encoded = arena.allocate(rows * (tensor.size() / tensor.rows()));
    file.part(tensor).read(tensor, row, encoded.asByteBuffer());
    return encoded;
  }

  private static MemorySegment decode(TensorInfo tensor, MemorySegment encoded, long rows, Arena arena) {
    MemorySegment floats = arena.allocate(ValueLayout.JAVA_FLOAT, rows * tensor.columns());
    BlockCodec.decode(tensor.type().orElseThrow(), encoded, rows, tensor.columns(), floats);
    return floats;
  }
}
