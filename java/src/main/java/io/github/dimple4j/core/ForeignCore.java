package io.github.dimple4j.core;

import io.github.dimple4j.bindings.Dimple;
import io.github.dimple4j.bindings.NativeLibrary;
import io.github.dimple4j.bindings.NativeLibraryException;
import io.github.dimple4j.bindings.dimple_decoding;
import io.github.dimple4j.bindings.dimple_device;
import io.github.dimple4j.bindings.dimple_finding;
import io.github.dimple4j.bindings.dimple_model_options;
import io.github.dimple4j.bindings.dimple_peaks;
import io.github.dimple4j.bindings.dimple_tensor_type_info;
import io.github.dimple4j.core.CoreException.Kind;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;

/** The core through the Foreign Function and Memory API. */
final class ForeignCore implements Core {
  /** Loads the library on first use; what fails is tried again by the next call. */
  static final Supplier<Core> INSTANCE = () -> {
    try {
      NativeLibrary.load();
    } catch (NativeLibraryException e) {
      throw new CoreException(Kind.LIBRARY, e.getMessage(), e);
    }
    return Holder.CORE;
  };

  /** Initialised when the library is there. */
  private static final class Holder {
    static final Core CORE = new ForeignCore();
  }

  /**
   * What frees is looked up now. Who forgot to close is seen to when the application may be gone, with the class loader that its classes would
   * come from.
   */
  private ForeignCore() {
    Dimple.dimple_session_free(MemorySegment.NULL);
    Dimple.dimple_batch_free(MemorySegment.NULL);
    Dimple.dimple_constraint_free(MemorySegment.NULL);
    Dimple.dimple_vocabulary_free(MemorySegment.NULL);
    Dimple.dimple_model_free(MemorySegment.NULL);
  }

  /**
   * Throws the exception of a failed call. The message is kept per native thread, so this must follow the call with nothing in
   * between that could block: a virtual thread may go on elsewhere after that.
   */
  static void check(int status) {
    if (status != Dimple.DIMPLE_OK()) {
      throw new CoreException(kind(status), Dimple.dimple_last_error().getString(0), null);
    }
  }

  static Kind kind(int status) {
    if (status == Dimple.DIMPLE_ERROR_ARGUMENT()) {
      return Kind.ARGUMENT;
    } else if (status == Dimple.DIMPLE_ERROR_IO()) {
      return Kind.IO;
    } else if (status == Dimple.DIMPLE_ERROR_FORMAT()) {
      return Kind.FORMAT;
    } else if (status == Dimple.DIMPLE_ERROR_UNSUPPORTED()) {
      return Kind.UNSUPPORTED;
    } else if (status == Dimple.DIMPLE_ERROR_STATE()) {
      return Kind.STATE;
    } else if (status == Dimple.DIMPLE_ERROR_LIMIT()) {
      return Kind.LIMIT;
    } else if (status == Dimple.DIMPLE_ERROR_CANCELLED()) {
      return Kind.CANCELLED;
    } else if (status == Dimple.DIMPLE_ERROR_MODEL()) {
      return Kind.MODEL;
    } else if (status == Dimple.DIMPLE_ERROR_NOT_FOUND()) {
      return Kind.NOT_FOUND;
    }
    return Kind.MEMORY;
  }

  @Override
  public String cpuDescription() {
    return Dimple.dimple_cpu_description().getString(0);
  }

  @Override
  public int resolveThreads(int wanted) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment threads = arena.allocate(ValueLayout.JAVA_INT);
      check(Dimple.dimple_resolve_threads(wanted, threads));
      return threads.get(ValueLayout.JAVA_INT, 0);
    }
  }

  @Override
  public long[] measurePeaks(String backend, int threads) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment peaks = dimple_peaks.allocate(arena);
      check(Dimple.dimple_measure_peaks(text(backend, arena), threads, peaks));
      return new long[] {dimple_peaks.int8_products(peaks), dimple_peaks.f32_products(peaks), dimple_peaks.memory_bytes(peaks)};
    }
  }

  @Override
  public CoreModel load(String file, String backend, String mmproj, int threads, boolean ignoreUnknown, boolean unpacked, int deviceLayers,
      long weightMemory, boolean packCache) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment options = dimple_model_options.allocate(arena);
      dimple_model_options.backend(options, text(backend, arena));
      dimple_model_options.mmproj_path(options, text(mmproj, arena));
      dimple_model_options.threads(options, threads);
      dimple_model_options.ignore_unknown(options, ignoreUnknown ? 1 : 0);
      dimple_model_options.unpacked(options, unpacked ? 1 : 0);
      dimple_model_options.device_layers(options, deviceLayers);
      dimple_model_options.weight_memory(options, weightMemory);
      dimple_model_options.pack_cache(options, packCache ? 1 : 0);
      MemorySegment model = arena.allocate(ValueLayout.ADDRESS);
      check(Dimple.dimple_model_load(arena.allocateFrom(file), options, model));
      return new ForeignModel(model.get(ValueLayout.ADDRESS, 0));
    }
  }

  @Override
  public List<DeviceFacts> devices(String names) {
    var devices = new ArrayList<DeviceFacts>();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment device = dimple_device.allocate(arena);
      MemorySegment list = text(names, arena);
      for (;;) {
        int status = Dimple.dimple_get_device(list, devices.size(), device);
        if (status == Dimple.DIMPLE_ERROR_NOT_FOUND()) {
          return devices;
        }
        check(status);
        devices.add(new DeviceFacts(dimple_device.name(device).getString(0), dimple_device.description(device).getString(0),
            dimple_device.problem(device).getString(0), dimple_device.memory_free(device), dimple_device.memory_total(device)));
      }
    }
  }

  private static MemorySegment text(String text, Arena arena) {
    return text == null ? MemorySegment.NULL : arena.allocateFrom(text);
  }

  @Override
  public List<Finding> check(String file, boolean ignoreUnknown) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment options = dimple_model_options.allocate(arena);
      dimple_model_options.ignore_unknown(options, ignoreUnknown ? 1 : 0);
      MemorySegment place = arena.allocate(ValueLayout.ADDRESS);
      check(Dimple.dimple_model_check_create(arena.allocateFrom(file), options, place));
      MemorySegment check = place.get(ValueLayout.ADDRESS, 0);
      try {
        return findings((index, finding) -> Dimple.dimple_model_check_get_finding(check, index, finding));
      } finally {
        Dimple.dimple_model_check_free(check);
      }
    }
  }

  /** A call that fills in a {@code dimple_finding}. */
  @FunctionalInterface
  interface FindingCall {
    int get(long index, MemorySegment finding);
  }

  /** All findings that a call gives. */
  static List<Finding> findings(FindingCall call) {
    List<Finding> findings = new ArrayList<>();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment finding = dimple_finding.allocate(arena);
      int status = call.get(0, finding);
      while (status == Dimple.DIMPLE_OK()) {
        findings.add(new Finding(findingKind(dimple_finding.kind(finding)), dimple_finding.text(finding).getString(0)));
        status = call.get(findings.size(), finding);
      }
      if (status != Dimple.DIMPLE_ERROR_NOT_FOUND()) { // which is past the last one
        check(status);
      }
    }
    return findings;
  }

  private static Finding.Kind findingKind(int number) {
    if (number == Dimple.DIMPLE_FINDING_PROBLEM()) {
      return Finding.Kind.PROBLEM;
    }
    return number == Dimple.DIMPLE_FINDING_UNKNOWN_KEY() ? Finding.Kind.UNKNOWN_KEY : Finding.Kind.UNKNOWN_TENSOR;
  }

  @Override
  public Map<String, Number> decodingDefaults() {
    try (Arena arena = Arena.ofConfined()) {
      Map<String, Number> settings = new LinkedHashMap<>();
      StructFields.of(dimple_decoding.layout()).read(defaults(arena), settings);
      return settings;
    }
  }

  private static MemorySegment defaults(Arena arena) {
    MemorySegment decoding = dimple_decoding.allocate(arena);
    Dimple.dimple_decoding_defaults(decoding);
    return decoding;
  }

  /** A {@code dimple_decoding} with these settings over the defaults. */
  static MemorySegment decoding(Map<String, Number> settings, Arena arena) {
    MemorySegment decoding = defaults(arena);
    StructFields.of(dimple_decoding.layout()).write(settings, decoding);
    return decoding;
  }

  @Override
  public void validate(Map<String, Number> settings) {
    try (Arena arena = Arena.ofConfined()) {
      check(Dimple.dimple_decoding_validate(decoding(settings, arena)));
    }
  }

  @Override
  public Optional<TensorFacts> tensorType(int type) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment info = dimple_tensor_type_info.allocate(arena);
      int status = Dimple.dimple_tensor_type_get_info(type, info);
      if (status == Dimple.DIMPLE_ERROR_UNSUPPORTED()) {
        return Optional.empty();
      }
      check(status);
      return Optional.of(new TensorFacts(dimple_tensor_type_info.name(info).getString(0), dimple_tensor_type_info.block_length(info),
          dimple_tensor_type_info.block_size(info), dimple_tensor_type_info.can_quantize(info) != 0));
    }
  }

  @Override
  public void quantizeRows(int type, ByteBuffer floats, long rows, long columns, ByteBuffer importance, ByteBuffer target) {
    MemorySegment weighed = importance == null ? MemorySegment.NULL : direct(importance, columns * Float.BYTES);
    check(Dimple.dimple_quantize_rows(type, direct(floats, rows * columns * Float.BYTES), rows, columns, weighed, direct(target, 0),
        target.remaining()));
  }

  @Override
  public void dequantizeRows(int type, ByteBuffer source, long rows, long columns, ByteBuffer floats) {
    check(Dimple.dimple_dequantize_rows(type, direct(source, 0), source.remaining(), rows, columns,
        direct(floats, rows * columns * Float.BYTES)));
  }

  private static MemorySegment direct(ByteBuffer buffer, long size) {
    if (!buffer.isDirect() || buffer.remaining() < size) {
      throw new IllegalArgumentException((buffer.isDirect() ? "a direct" : "not a direct") + " buffer of " + buffer.remaining()
          + " bytes, expected a direct one of " + size);
    }
    return MemorySegment.ofBuffer(buffer);
  }
}
