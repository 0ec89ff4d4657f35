package io.github.dimple4j;

import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;

/**
 * The backends that this machine runs: the reference and the kernels of every instruction set it has; or those that the property
 * {@code dimple.backends} names, separated by commas; by semicolons where a name is a list of devices, and one behind the last.
 */
final class Backends {
  private Backends() {}

  static List<String> all() {
    String chosen = System.getProperty("dimple.backends");
    return chosen == null ? ofThisMachine() : List.of(chosen.split(chosen.indexOf(';') < 0 ? "," : ";"));
  }

  static List<String> ofThisMachine() {
    String description = DimpleModel.cpuDescription(); // e.g. "x86-64: avx512-vnni (selected), avx2, plain"
    String kernels = description.substring(description.indexOf(':') + 1);
    return Stream.concat(Stream.of("ref"),
        Arrays.stream(kernels.split(",")).map(name -> "cpu-" + name.replace("(selected)", "").strip())).toList();
  }
}
