package io.github.dimple4j.jni;

import io.github.dimple4j.core.Core;
import io.github.dimple4j.core.CoreException;
import io.github.dimple4j.core.CoreException.Kind;
import io.github.dimple4j.core.CoreModel;
import io.github.dimple4j.core.DeviceFacts;
import io.github.dimple4j.core.Finding;
import io.github.dimple4j.core.TensorFacts;
import io.github.dimple4j.jni.Structs.Decoding;
import io.github.dimple4j.jni.Structs.Device;
import io.github.dimple4j.jni.Structs.ModelOptions;
import io.github.dimple4j.jni.Structs.Peaks;
import io.github.dimple4j.jni.Structs.TensorTypeInfo;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** The core through JNI. */
final class JniCore implements Core {
  /**
   * Throws the exception of a failed call. The message is kept per native thread, so this must follow the call with nothing in
   * between that could block: a virtual thread may go on elsewhere after that.
   */
  static void check(int status) {
    if (status != Shim.DIMPLE_OK) {
      throw new CoreException(kind(status), Memory.text(Shim.dimple_last_error()), null);
    }
  }

  static Kind kind(int status) {
    return switch (status) {
      case Shim.DIMPLE_ERROR_ARGUMENT -> Kind.ARGUMENT;
      case Shim.DIMPLE_ERROR_IO -> Kind.IO;
      case Shim.DIMPLE_ERROR_FORMAT -> Kind.FORMAT;
      case Shim.DIMPLE_ERROR_UNSUPPORTED -> Kind.UNSUPPORTED;
      case Shim.DIMPLE_ERROR_STATE -> Kind.STATE;
      case Shim.DIMPLE_ERROR_LIMIT -> Kind.LIMIT;
      case Shim.DIMPLE_ERROR_CANCELLED -> Kind.CANCELLED;
      case Shim.DIMPLE_ERROR_MODEL -> Kind.MODEL;
      case Shim.DIMPLE_ERROR_NOT_FOUND -> Kind.NOT_FOUND;
      default -> Kind.MEMORY;
    };
  }

  @Override
  public String cpuDescription() {
    return Memory.text(Shim.dimple_cpu_description());
  }

  @Override
  public int resolveThreads(int wanted) {
    try (Memory memory = new Memory()) {
      ByteBuffer threads = memory.allocate(Integer.BYTES);
      check(Shim.dimple_resolve_threads(wanted, threads));
      return threads.getInt(0);
    }
  }

  @Override
  public long[] measurePeaks(String backend, int threads) {
    try (Memory memory = new Memory()) {
      ByteBuffer peaks = memory.allocate(Peaks.SIZEOF);
      check(Shim.dimple_measure_peaks(memory.of(backend), threads, peaks));
      return new long[] {Peaks.INT8_PRODUCTS.number(peaks), Peaks.F32_PRODUCTS.number(peaks), Peaks.MEMORY_BYTES.number(peaks)};
    }
  }

  @Override
  public CoreModel load(String file, String backend, String mmproj, int threads, boolean ignoreUnknown, boolean unpacked, int deviceLayers,
      long weightMemory, boolean packCache) {
    try (Memory memory = new Memory()) {
      ByteBuffer options = memory.allocate(ModelOptions.SIZEOF);
      ModelOptions.BACKEND.set(options, Shim.address(memory.of(backend)));
      ModelOptions.MMPROJ_PATH.set(options, Shim.address(memory.of(mmproj)));
      ModelOptions.THREADS.set(options, threads);
      ModelOptions.IGNORE_UNKNOWN.set(options, ignoreUnknown ? 1 : 0);
      ModelOptions.UNPACKED.set(options, unpacked ? 1 : 0);
      ModelOptions.DEVICE_LAYERS.set(options, deviceLayers);
      ModelOptions.WEIGHT_MEMORY.set(options, weightMemory);
      ModelOptions.PACK_CACHE.set(options, packCache ? 1 : 0);
      ByteBuffer model = memory.pointer();
      check(Shim.dimple_model_load(memory.of(file), options, model));
      return new JniModel(model.getLong(0));
    }
  }

  @Override
  public List<DeviceFacts> devices(String names) {
    var devices = new ArrayList<DeviceFacts>();
    try (Memory memory = new Memory()) {
      ByteBuffer device = memory.allocate(Device.SIZEOF), list = memory.of(names);
      for (;;) {
        int status = Shim.dimple_get_device(list, devices.size(), device);
        if (status == Shim.DIMPLE_ERROR_NOT_FOUND) {
          return devices;
        }
        check(status);
        devices.add(new DeviceFacts(Device.NAME.text(device), Device.DESCRIPTION.text(device), Device.PROBLEM.text(device),
            Device.MEMORY_FREE.number(device), Device.MEMORY_TOTAL.number(device)));
      }
    }
  }

  @Override
  public List<Finding> check(String file, boolean ignoreUnknown) {
    try (Memory memory = new Memory()) {
      ByteBuffer options = memory.allocate(ModelOptions.SIZEOF);
      ModelOptions.IGNORE_UNKNOWN.set(options, ignoreUnknown ? 1 : 0);
      ByteBuffer place = memory.pointer();
      check(Shim.dimple_model_check_create(memory.of(file), options, place));
      long check = place.getLong(0);
      try {
        return findings((index, finding) -> Shim.dimple_model_check_get_finding(check, index, finding));
      } finally {
        Shim.dimple_model_check_free(check);
      }
    }
  }

  /** A call that fills in a {@code dimple_finding}. */
  @FunctionalInterface
  interface FindingCall {
    int get(long index, ByteBuffer finding);
  }

  /** All findings that a call gives. */
  static List<Finding> findings(FindingCall call) {
    List<Finding> findings = new ArrayList<>();
    try (Memory memory = new Memory()) {
      ByteBuffer finding = memory.allocate(Structs.Finding.SIZEOF);
      int status = call.get(0, finding);
      while (status == Shim.DIMPLE_OK) {
        findings.add(new Finding(findingKind(Structs.Finding.KIND.integer(finding)), Memory.text(Structs.Finding.TEXT.number(finding))));
        status = call.get(findings.size(), finding);
      }
      if (status != Shim.DIMPLE_ERROR_NOT_FOUND) { // which is past the last one
        check(status);
      }
    }
    return findings;
  }

  private static Finding.Kind findingKind(int number) {
    return switch (number) {
      case Shim.DIMPLE_FINDING_PROBLEM -> Finding.Kind.PROBLEM;
      case Shim.DIMPLE_FINDING_UNKNOWN_KEY -> Finding.Kind.UNKNOWN_KEY;
      default -> Finding.Kind.UNKNOWN_TENSOR;
    };
  }

  @Override
  public Map<String, Number> decodingDefaults() {
    try (Memory memory = new Memory()) {
      ByteBuffer decoding = defaults(memory);
      Map<String, Number> settings = new LinkedHashMap<>();
      Decoding.FIELDS.forEach(field -> settings.put(field.name(), field.value(decoding)));
      return settings;
    }
  }

  private static ByteBuffer defaults(Memory memory) {
    ByteBuffer decoding = memory.allocate(Decoding.SIZEOF);
    Shim.dimple_decoding_defaults(decoding);
    return decoding;
  }

  /** A {@code dimple_decoding} with these settings over the defaults. */
  static ByteBuffer decoding(Map<String, Number> settings, Memory memory) {
    ByteBuffer decoding = defaults(memory);
    settings.forEach((name, value) -> Decoding.FIELDS.stream().filter(field -> field.name().equals(name)).findFirst()
        .orElseThrow(() -> new IllegalArgumentException("no number is called " + name)).set(decoding, value));
    return decoding;
  }

  @Override
  public void validate(Map<String, Number> settings) {
    try (Memory memory = new Memory()) {
      check(Shim.dimple_decoding_validate(decoding(settings, memory)));
    }
  }

  @Override
  public Optional<TensorFacts> tensorType(int type) {
    try (Memory memory = new Memory()) {
      ByteBuffer info = memory.allocate(TensorTypeInfo.SIZEOF);
      int status = Shim.dimple_tensor_type_get_info(type, info);
      if (status == Shim.DIMPLE_ERROR_UNSUPPORTED) {
        return Optional.empty();
      }
      check(status);
      return Optional.of(new TensorFacts(TensorTypeInfo.NAME.text(info), TensorTypeInfo.BLOCK_LENGTH.integer(info),
          TensorTypeInfo.BLOCK_SIZE.integer(info), TensorTypeInfo.CAN_QUANTIZE.flag(info)));
    }
  }

  @Override
  public void quantizeRows(int type, ByteBuffer floats, long rows, long columns, ByteBuffer importance, ByteBuffer target) {
    ByteBuffer weighed = importance == null ? null : direct(importance, columns * Float.BYTES);
    check(Shim.dimple_quantize_rows(type, direct(floats, rows * columns * Float.BYTES), rows, columns, weighed, direct(target, 0),
        target.remaining()));
  }

  @Override
  public void dequantizeRows(int type, ByteBuffer source, long rows, long columns, ByteBuffer floats) {
    check(Shim.dimple_dequantize_rows(type, direct(source, 0), source.remaining(), rows, columns,
        direct(floats, rows * columns * Float.BYTES)));
  }

  /** The remaining part of a buffer: C sees where a buffer begins, not its position. */
  private static ByteBuffer direct(ByteBuffer buffer, long size) {
    if (!buffer.isDirect() || buffer.remaining() < size) {
      throw new IllegalArgumentException((buffer.isDirect() ? "a direct" : "not a direct") + " buffer of " + buffer.remaining()
          + " bytes, expected a direct one of " + size);
    }
    return buffer.slice().order(ByteOrder.nativeOrder());
  }
}
