package io.github.dimple4j;

import java.io.IOException;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * A program that opens and closes a model and a session of it, again and again, and prints by how many kilobytes a hundred
 * rounds made the process grow, by the least of 25 rounds before and behind them. It wants a heap of fixed size whose pages are all touched, so that growth is native memory.
 */
final class HundredModels {
  private HundredModels() {}

  public static void main(String[] arguments) throws IOException {
    Path file = Path.of(arguments[0]);
    Image image = Image.rgb(new byte[3 * 140 * 140], 140, 140);
    long before = Long.MAX_VALUE;
    long after = Long.MAX_VALUE;
    for (int round = 0; round < 150; round++) {
      try (var model = DimpleModel.load(file);
          var session = model.session().user("cat", image).responseLength(16).prefill()) {
        session.decode(Decoding.defaults());
      }
      if (round >= 25 && round < 50) { // classes are loaded and compiled, pools have their size
        before = Math.min(before, residentKilobytes());
      } else if (round >= 125) {
        after = Math.min(after, residentKilobytes());
      }
    }
    System.out.print(after - before);
  }

  /** What is in use: what malloc keeps for later, as much as its arenas and the order of threads make of it, is handed back first. */
  private static long residentKilobytes() throws IOException {
    Linker.nativeLinker().defaultLookup().find("malloc_trim").ifPresent(HundredModels::trim); // glibc's
    return Files.readAllLines(Path.of("/proc/self/status")).stream().filter(line -> line.startsWith("VmRSS:"))
        .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", ""))).findFirst().orElseThrow();
  }

  @SuppressWarnings("restricted")
  private static void trim(MemorySegment function) {
    try {
      int trimmed = (int) Linker.nativeLinker().downcallHandle(function, FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.JAVA_LONG)).invokeExact(0L);
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }
}
