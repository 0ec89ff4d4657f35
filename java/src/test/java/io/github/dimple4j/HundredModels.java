package io.github.dimple4j;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * A program that opens and closes a model and a session of it, again and again, and prints by how many kilobytes the last hundred
 * rounds made the process grow. It wants a heap of fixed size whose pages are all touched, so that growth is native memory.
 */
final class HundredModels {
  private HundredModels() {}

  public static void main(String[] arguments) throws IOException {
    Path file = Path.of(arguments[0]);
    Image image = Image.rgb(new byte[3 * 140 * 140], 140, 140);
    long before = 0;
    for (int round = 0; round < 150; round++) {
      if (round == 50) { // classes are loaded and compiled, pools have their size
        before = residentKilobytes();
      }
      try (var model = DimpleModel.load(file);
          var session = model.session().user("cat", image).responseLength(16).prefill()) {
        session.decode(Decoding.defaults());
      }
    }
    System.out.print(residentKilobytes() - before);
  }

  private static long residentKilobytes() throws IOException {
    return Files.readAllLines(Path.of("/proc/self/status")).stream().filter(line -> line.startsWith("VmRSS:"))
        .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", ""))).findFirst().orElseThrow();
  }
}
