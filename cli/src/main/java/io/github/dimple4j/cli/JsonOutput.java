package io.github.dimple4j.cli;

import java.io.BufferedWriter;
import java.io.IOException;
import java.io.OutputStream;
import java.io.OutputStreamWriter;
import java.io.PrintWriter;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.Files;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import picocli.CommandLine.Option;
import tools.jackson.core.JsonGenerator;
import tools.jackson.core.ObjectWriteContext;
import tools.jackson.core.StreamWriteFeature;
import tools.jackson.core.json.JsonFactory;

/** The option for a JSON file, and its writing: into a file beside it that takes its place when it is whole. */
final class JsonOutput {
  private static final int BUFFER = 1 << 16;

  @Option(names = "--json", required = true, paramLabel = "OUT", description = "The JSON file to write; - is standard output.")
  private String target;

  /** Writes the document. */
  @FunctionalInterface
  interface Document {
    void write(JsonGenerator json);
  }

  /** Fails early where the file cannot be written anyway. */
  void check() throws IOException {
    if (!target.equals("-")) {
      Path folder = folder();
      if (!Files.isDirectory(folder)) {
        throw new NotDirectoryException(folder + ": no such directory, cannot write " + target);
      }
      if (Files.isDirectory(Path.of(target))) {
        throw new IOException(target + ": is a directory");
      }
    }
  }

  private Path folder() {
    Path parent = Path.of(target).toAbsolutePath().getParent();
    return parent == null ? Path.of("/") : parent;
  }

  void write(PrintWriter standardOutput, Document document) throws IOException {
    if (target.equals("-")) {
      generate(standardOutput, document);
      standardOutput.println();
      standardOutput.flush();
      return;
    }
    Path file = Path.of(target);
    Path unfinished = Files.createTempFile(folder(), "." + file.getFileName() + "-", ".tmp");
    try {
      try (OutputStream bytes = Files.newOutputStream(unfinished);
          Writer text = new BufferedWriter(new OutputStreamWriter(bytes, StandardCharsets.UTF_8), BUFFER)) {
        generate(text, document);
        text.write('\n');
      }
      try {
        Files.move(unfinished, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
      } catch (AtomicMoveNotSupportedException e) {
        Files.move(unfinished, file, StandardCopyOption.REPLACE_EXISTING);
      }
    } finally {
      Files.deleteIfExists(unfinished);
    }
  }

  private static void generate(Writer text, Document document) {
    JsonFactory factory = JsonFactory.builder().disable(StreamWriteFeature.AUTO_CLOSE_TARGET).build();
    try (JsonGenerator json = factory.createGenerator(ObjectWriteContext.empty(), text)) {
      document.write(json);
    }
  }

  static void array(JsonGenerator json, int[] values) {
    json.writeArray(values, 0, values.length);
  }

  static void array(JsonGenerator json, float[] values) {
    json.writeStartArray();
    for (float value : values) {
      json.writeNumber(value); // the shortest decimal that reads back as the same float
    }
    json.writeEndArray();
  }
}
