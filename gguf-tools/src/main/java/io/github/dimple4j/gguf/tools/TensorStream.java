package io.github.dimple4j.gguf.tools;

import io.github.dimple4j.gguf.GgufException;
import io.github.dimple4j.gguf.GgufWriter;
import io.github.dimple4j.gguf.ProgressListener;
import io.github.dimple4j.gguf.TensorInfo;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;

/**
 * Makes tensors' data on all cores, a million elements at a time, and writes it in order. Memory: two work areas per thread
 * of some ten megabytes each, whatever the size of the tensors.
 */
final class TensorStream implements AutoCloseable {
  private static final long CHUNK_ELEMENTS = 1 << 20;
  private static final int MAX_THREADS = 16;

  /** Makes a part of a tensor. Called by several threads at once, each with a work area of its own. */
  @FunctionalInterface
  interface Producer {
    /**
     * Fills in encoded rows.
     *
     * @param firstRow the first row wanted
     * @param rows how many
     * @param target exactly their encoded bytes
     */
    void produce(long firstRow, long rows, MemorySegment target, WorkArea area) throws IOException;
  }

  /** Memory of one chunk under way. */
  static final class WorkArea {
    private final Arena arena;
    private MemorySegment floats = MemorySegment.NULL;
    private MemorySegment bytes = MemorySegment.NULL;
    private MemorySegment encoded = MemorySegment.NULL;

    private WorkArea(Arena arena) {
      this.arena = arena;
    }

    /** Room for {@code count} floats; contents undefined. */
    MemorySegment floats(long count) {
      floats = atLeast(floats, count * Float.BYTES);
      return floats.asSlice(0, count * Float.BYTES);
    }

    /** Room for {@code count} bytes; contents undefined. */
    MemorySegment bytes(long count) {
      bytes = atLeast(bytes, count);
      return bytes.asSlice(0, count);
    }

    private MemorySegment encoded(long count) {
      encoded = atLeast(encoded, count);
      return encoded.asSlice(0, count);
    }

    private MemorySegment atLeast(MemorySegment current, long size) {
      return current.byteSize() >= size ? current : arena.allocate(size, 64);
    }
  }

  private record Chunk(String tensor, WorkArea area, MemorySegment encoded, Future<?> made) {}

  private final GgufWriter writer;
  private final ProgressListener progress;
  private final Arena arena = Arena.ofShared();
  private final ExecutorService workers;
  private final Deque<WorkArea> free = new ArrayDeque<>();
  private final Deque<Chunk> underWay = new ArrayDeque<>();
  private final long total;
  private long done;

  TensorStream(GgufWriter writer, ProgressListener progress) {
    this.writer = writer;
    this.progress = progress;
    this.total = writer.tensors().stream().mapToLong(TensorInfo::size).sum();
    int threads = Math.min(MAX_THREADS, Runtime.getRuntime().availableProcessors());
    this.workers = Executors.newFixedThreadPool(threads, task -> Thread.ofPlatform().daemon().name("dimple-gguf").unstarted(task));
    for (int i = 0; i < 2 * threads; i++) {
      free.add(new WorkArea(arena));
    }
  }

  /** Makes and writes a tensor, the writer's next one; returns while its last parts are still under way. */
  void write(TensorInfo tensor, Producer producer) throws IOException {
    long columns = tensor.columns();
    long rowSize = tensor.type().orElseThrow().rowSize(columns);
    long step = Math.max(1, CHUNK_ELEMENTS / columns);
    for (long row = 0; row < tensor.rows(); row += step) {
      if (free.isEmpty()) {
        writeOldest();
      }
      long first = row;
      long rows = Math.min(step, tensor.rows() - row);
      WorkArea area = free.remove();
      MemorySegment encoded = area.encoded(rows * rowSize);
      Future<?> made = workers.submit(() -> {
        producer.produce(first, rows, encoded, area);
        return null;
      });
      underWay.add(new Chunk(tensor.name(), area, encoded, made));
    }
  }

  /** Writes what is still under way. */
  void finish() throws IOException {
    while (!underWay.isEmpty()) {
      writeOldest();
    }
  }

  /** Waits for the threads and releases the memory. */
  @Override
  public void close() {
    underWay.forEach(chunk -> chunk.made().cancel(false));
    workers.shutdown();
    boolean interrupted = false;
    while (true) {
      try {
        if (workers.awaitTermination(1, TimeUnit.HOURS)) {
          break;
        }
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    arena.close();
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private void writeOldest() throws IOException {
    Chunk chunk = underWay.remove();
    try {
      chunk.made().get();
    } catch (ExecutionException e) {
      throw failure(chunk.tensor(), e.getCause());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("interrupted while writing tensor " + chunk.tensor());
    }
    writer.write(chunk.encoded().asByteBuffer());
    done += chunk.encoded().byteSize();
    free.add(chunk.area());
    progress.progress(chunk.tensor(), done, total);
  }

  /** What the worker threw, in this thread; a refusal of the codec does not know the tensor's name. */
  private static IOException failure(String tensor, Throwable cause) {
    return switch (cause) {
      case GgufException e -> throw new GgufException("tensor " + tensor + ": " + e.getMessage(), e);
      case IOException e -> new IOException("tensor " + tensor + ": " + e.getMessage(), e);
      default -> throw new IllegalStateException("tensor " + tensor, cause);
    };
  }
}
