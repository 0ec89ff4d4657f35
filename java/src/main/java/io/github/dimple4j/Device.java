package io.github.dimple4j;

import io.github.dimple4j.core.Core;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Optional;

/**
 * What can run models beside this library's own kernels: GGML's devices of this machine, and of others that serve them. Immutable.
 *
 * @param name as {@link ModelOptions.Builder#devices} takes it; {@code "cpu"} for the kernels
 * @param description as its maker calls it
 * @param problem why it is not used: it gave wrong results in a few operations that are tried here, or no answer; empty: it is
 * @param memoryFree bytes, now; 0 where it does not say
 * @param memoryTotal bytes; 0 where it does not say
 */
public record Device(String name, String description, Optional<String> problem, long memoryFree, long memoryTotal) {
  /**
   * Checks that nothing is null.
   */
  public Device {
    Objects.requireNonNull(name, "name");
    Objects.requireNonNull(description, "description");
    Objects.requireNonNull(problem, "problem");
  }

  /**
   * Lists those of this machine: {@code "cpu"}, and GGML's where {@code libdimple-ggml} and a GGML are. Each is tried once in a process, in some
   * hundredths of a second.
   *
   * @return at least one
   * @throws LibraryException if the native library is not found
   */
  public static List<Device> list() {
    return find(null);
  }

  /**
   * Lists the devices that names stand for, of other machines too.
   *
   * @param names as for {@link ModelOptions.Builder#devices}
   * @return at least as many
   * @throws InvalidArgumentException if a name is none, or comes twice
   * @throws UnsupportedException if there is no such device, or its results are wrong
   * @throws DimpleException if a machine does not answer
   * @throws LibraryException if the native library is not found
   */
  public static List<Device> list(String... names) {
    return find(ModelOptions.builder().devices(names).build().backend().orElseThrow());
  }

  private static List<Device> find(String names) {
    return Engine.call(() -> Core.instance().devices(names)).stream()
        .map(d -> new Device(d.name(), d.description(), Optional.of(d.problem()).filter(problem -> !problem.isEmpty()), d.memoryFree(), d.memoryTotal()))
        .toList();
  }

  /**
   * A line for logs.
   *
   * @return for example {@code "ggml:Vulkan0 (AMD Radeon RX 7600), 7.4 of 8.0 GiB free"}
   */
  @Override
  public String toString() {
    String memory = memoryTotal > 0 ? String.format(Locale.ROOT, ", %.1f of %.1f GiB free", memoryFree / 0x1p30, memoryTotal / 0x1p30) : "";
    return name + " (" + description + ")" + memory + problem.map(p -> ", not used: " + p).orElse("");
  }
}
