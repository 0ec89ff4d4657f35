package io.github.dimple4j.gguf;

/** Hears how far a file has been written. Called by the thread that started the work, several times a second. */
@FunctionalInterface
public interface ProgressListener {
  /** Ignores everything. */
  ProgressListener NONE = (tensor, done, total) -> {};

  /**
   * Some bytes more have been written.
   *
   * @param tensor the tensor being written
   * @param done bytes of tensor data written so far
   * @param total bytes of tensor data in all
   */
  void progress(String tensor, long done, long total);
}
