package io.github.dimple4j.core;

import java.nio.ByteBuffer;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;

/**
 * The engine. Thread-safe. Every call may throw {@link CoreException}, whose message is the core's own line.
 *
 * <p>A method of a native object must not run after or while {@code free} runs: callers count who uses it.
 */
public interface Core {
  /**
   * The implementation that {@link CoreProvider} chooses, loaded by the first call.
   *
   * @return the engine
   * @throws CoreException of kind {@link CoreException.Kind#LIBRARY} if it cannot be loaded
   */
  static Core instance() {
    return CoreChoice.provider().core();
  }

  /**
   * Says something in the platform's log.
   *
   * @param level how important it is
   * @param message made only if it is heard
   * @param failure what it is about; null: none
   */
  static void log(CoreProvider.Level level, Supplier<String> message, Throwable failure) {
    CoreChoice.provider().log(level, message, failure);
  }

  /** One line on the processor and the kernels for it. */
  String cpuDescription();

  /**
   * How many threads a setting stands for.
   *
   * @param wanted 0: one per processor
   */
  int resolveThreads(int wanted);

  /**
   * Measures what the machine does at most.
   *
   * @param backend a backend's name; null: the best one
   * @param threads 0: one per processor
   * @return a second: products of 8-bit integers, of floats, bytes read from memory
   */
  long[] measurePeaks(String backend, int threads);

  /**
   * Loads a model.
   *
   * @param file the path of a GGUF file
   * @param backend a backend's name; null: the best one
   * @param mmproj the path of a second file with the vision tower; null: none
   * @param threads for packing weights; 0: one per processor
   * @param ignoreUnknown whether a file with unknown keys or tensors loads
   * @param unpacked whether weights stay in the mapped file
   * @param deviceLayers how many layers the devices among the backends take; 0: as many as fit
   * @param weightMemory bytes that packed weights may take; 0: by what the machine has available
   * @param packCache whether packed weights are kept in a file beside the model's
   */
  CoreModel load(String file, String backend, String mmproj, int threads, boolean ignoreUnknown, boolean unpacked, int deviceLayers,
      long weightMemory, boolean packCache);

  /**
   * The devices that can run models.
   *
   * @param names backends' names with commas between them; null: those of this machine
   */
  List<DeviceFacts> devices(String names);

  /**
   * Checks what {@link #load} checks, of keys and tensors, without reading weights. Fails only if the file cannot be read as GGUF.
   *
   * @param file the path of a GGUF file, of a text model or of a vision tower alone
   * @param ignoreUnknown whether a file with unknown keys or tensors is sound
   * @return problems first; with none of them the model loads
   */
  List<Finding> check(String file, boolean ignoreUnknown);

  /**
   * The settings of a decoding by the names that {@code dimple.h} gives them, at their defaults.
   *
   * @return a new map in the header's order: Integer, Long or Float by the setting's type
   */
  Map<String, Number> decodingDefaults();

  /**
   * Checks the settings of a decoding.
   *
   * @param settings by name; what is missing has its default
   */
  void validate(Map<String, Number> settings);

  /**
   * Facts about a tensor type; empty for one that the core does not know.
   *
   * @param type the type's number in GGUF files
   */
  Optional<TensorFacts> tensorType(int type);

  /**
   * Encodes rows.
   *
   * @param type the type's number in GGUF files
   * @param floats {@code [rows x columns]}; direct, in native order
   * @param importance {@code [columns]}, direct; null: all columns count alike
   * @param target direct; exactly the encoded rows' bytes
   */
  void quantizeRows(int type, ByteBuffer floats, long rows, long columns, ByteBuffer importance, ByteBuffer target);

  /**
   * Decodes rows.
   *
   * @param type the type's number in GGUF files
   * @param source direct; exactly the encoded rows' bytes
   * @param floats {@code [rows x columns]}; direct, in native order
   */
  void dequantizeRows(int type, ByteBuffer source, long rows, long columns, ByteBuffer floats);
}
