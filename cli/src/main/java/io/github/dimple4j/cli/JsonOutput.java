package io.github.dimple4j.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.Writer;
import java.time.Duration;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Option;
import tools.jackson.core.JsonGenerator;
import tools.jackson.core.ObjectWriteContext;
import tools.jackson.core.StreamWriteFeature;
import tools.jackson.core.json.JsonFactory;

/** A JSON document that a command writes, into a file or to standard output. As a mixin, a required option. */
final class JsonOutput {
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

  /** Fails early where the file cannot be written anyway, and says so where it waits for somebody to read. */
  void check(PrintWriter err) throws IOException {
    if (!isStandardOutput()) {
      file().check(err);
    }
  }

  /** Whether standard output is to hold the document, and then nothing else. */
  boolean isStandardOutput() {
    return target.equals("-");
  }

  private OutputFile file() {
    return new OutputFile("--json", target);
  }

  void write(PrintWriter standardOutput, Document document) throws IOException {
    if (isStandardOutput()) {
      generate(standardOutput, document);
      standardOutput.println();
      standardOutput.flush();
    } else {
      file().write(text -> {
        generate(text, document);
        text.write('\n');
      });
    }
  }

  /** Writes the document as one line. */
  static void generate(Writer text, Document document) {
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
