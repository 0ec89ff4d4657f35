package io.github.dimple4j.cli;

import java.io.BufferedWriter;
import java.io.IOException;
import java.io.OutputStream;
import java.io.OutputStreamWriter;
import java.io.PrintWriter;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Option;
import tools.jackson.core.JsonGenerator;
import tools.jackson.core.ObjectWriteContext;
import tools.jackson.core.StreamWriteFeature;
import tools.jackson.core.exc.JacksonIOException;
import tools.jackson.core.json.JsonFactory;

/** A JSON file that a command writes: into a file beside it that takes its place when it is whole. As a mixin, a required option. */
final class JsonOutput {
  private static final int BUFFER = 1 << 16;

  @Option(names = "--json", required = true, paramLabel = "OUT", description = "The JSON file to write; - is standard output.")
  private String target;

  /** For commands that can do without. */
  static final class Converter implements ITypeConverter<JsonOutput> {
    @Override
    public JsonOutput convert(String target) {
      JsonOutput output = new JsonOutput();
      output.target = target;
      return output;
    }
  }

  /** Writes the document. */
  @FunctionalInterface
  interface Document {
    void write(JsonGenerator json);
  }

  /** Fails early where the file cannot be written anyway. */
  void check() throws IOException {
    if (target.isEmpty()) {
      throw new NoSuchFileException("--json: '' is not a file name");
    }
    if (!isStandardOutput()) {
      Path folder = folder();
      if (!Files.isDirectory(folder)) {
        throw new NotDirectoryException(folder + ": no such directory, cannot write " + target);
      }
      if (Files.isDirectory(Path.of(target))) {
        throw new IOException(target + ": is a directory");
      }
    }
  }

  /** Whether standard output is to hold the document, and then nothing else. */
  boolean isStandardOutput() {
    return target.equals("-");
  }

  private Path folder() {
    Path parent = Path.of(target).toAbsolutePath().getParent();
    return parent == null ? Path.of("/") : parent;
  }

  void write(PrintWriter standardOutput, Document document) throws IOException {
    if (isStandardOutput()) {
      generate(standardOutput, document);
      standardOutput.println();
      standardOutput.flush();
      return;
    }
    Path file = Path.of(target);
    if (Files.exists(file) && !Files.isRegularFile(file)) { // a device or a pipe, /dev/stdout for example, which must stay what it is
      write(file, document);
      return;
    }
    Path place = Files.exists(file) ? file.toRealPath() : file; // behind a symbolic link
    Path unfinished = place.resolveSibling("." + place.getFileName() + "-" + ProcessHandle.current().pid() + ".tmp");
    try {
      write(unfinished, document);
      try {
        Files.move(unfinished, place, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
      } catch (AtomicMoveNotSupportedException e) {
        Files.move(unfinished, place, StandardCopyOption.REPLACE_EXISTING);
      }
    } finally {
      Files.deleteIfExists(unfinished);
    }
  }

  private static void write(Path file, Document document) throws IOException {
    try (OutputStream bytes = Files.newOutputStream(file);
        Writer text = new BufferedWriter(new OutputStreamWriter(bytes, StandardCharsets.UTF_8), BUFFER)) {
      generate(text, document);
      text.write('\n');
    } catch (FileSystemException e) { // names its file
      throw e;
    } catch (JacksonIOException e) {
      throw new IOException(file + ": " + e.getCause().getMessage(), e);
    } catch (IOException e) {
      throw new IOException(file + ": " + e.getMessage(), e);
    }
  }

  private static void generate(Writer text, Document document) {
    JsonFactory factory = JsonFactory.builder().disable(StreamWriteFeature.AUTO_CLOSE_TARGET).build();
    try (JsonGenerator json = factory.createGenerator(ObjectWriteContext.empty(), text)) {
      document.write(json);
    }
  }

  /** A time as the files have it. */
  static double millis(Duration time) {
    return time.toNanos() / 1e6;
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
