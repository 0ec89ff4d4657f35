package io.github.dimple4j.cli;

import java.io.IOException;
import java.nio.file.Path;

/** The lines of a batch's input, read as the command reads them. */
public final class BatchLines {
  private BatchLines() {}

  /** How many lines of a file in JSON Lines ask something; each of the others has to say what is wrong with it. */
  public static int readable(Path file) throws IOException {
    int readable = 0;
    try (BatchInput input = new BatchInput(new TextSource(file.toString()), PromptFormat.OF_MODEL, 8, "")) {
      for (BatchInput.Line line = input.next(); line != null; line = input.next()) {
        if (line.item() != null) {
          readable++;
        } else if (line.problem() == null || line.problem().isBlank()) {
          throw new AssertionError("line " + line.number() + " is refused without a word");
        }
      }
    }
    return readable;
  }
}
