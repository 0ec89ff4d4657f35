package io.github.dimple4j.gguf.tools;

import io.github.dimple4j.gguf.TensorType;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * What was written.
 *
 * @param file the finished file
 * @param architecture {@code general.architecture}
 * @param tensors how many tensors it has
 * @param parameters elements of all of them
 * @param fileSize bytes
 * @param bytesPerType bytes of tensor data of each type, in the order of {@link TensorType}
 * @param leftOut checkpoint tensors that the file deliberately does without; none when there was no checkpoint
 * @param unread settings of the checkpoint that the file deliberately does without, each behind its file's name: how a decoding is asked for, and what is
 *     unknown where {@link Converter#ignoreUnknown} allowed it, and what an adapter says it was trained on; none when there was no checkpoint
 * @param fallbacks matrices whose rows do not divide into the blocks of the type wanted, and what they are instead
 */
public record WrittenFile(Path file, String architecture, int tensors, long parameters, long fileSize,
    Map<TensorType, Long> bytesPerType, List<String> leftOut, List<String> unread, List<TypeFallback> fallbacks) {

  /** Copies the collections. */
  public WrittenFile {
    bytesPerType = Collections.unmodifiableMap(new TreeMap<>(bytesPerType));
    leftOut = List.copyOf(leftOut);
    unread = List.copyOf(unread);
    fallbacks = List.copyOf(fallbacks);
  }
}
