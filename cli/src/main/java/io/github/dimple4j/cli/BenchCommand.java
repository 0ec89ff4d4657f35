package io.github.dimple4j.cli;

import io.github.dimple4j.DimpleModel;
import io.github.dimple4j.MachinePeaks;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import tools.jackson.core.JsonGenerator;

/** {@code dimple bench}: how fast a model is here. */
@Command(name = "bench", mixinStandardHelpOptions = true, description = "Measure a model on this machine: loading, vision tower, prompts, steps, memory.",
    footer = {"", "Each time is the median of --repeat measurements behind a warm-up, with the least and the largest in the file. Prompts and pictures are made up: "
        + "what the model answers does not change its speed. docs/performance.md says what each figure holds."})
final class BenchCommand implements Callable<Integer> {
  private static final int LARGEST_PICTURE = 4096;

  @Spec private CommandSpec spec;

  @Parameters(paramLabel = "MODEL.gguf", description = "The model.")
  private Path model;

  @Option(names = "--prompt-tokens", paramLabel = "N", defaultValue = "256", description = "Tokens of the prompt (default: ${DEFAULT-VALUE}).")
  private int promptTokens;

  @Option(names = "--rows", paramLabel = "N", split = ",", defaultValue = "2,8,16,32,64,128",
      description = "Positions of the responses whose steps are measured (default: ${DEFAULT-VALUE}).")
  private List<Integer> rows;

  @Option(names = "--picture", paramLabel = "N", defaultValue = "448", description = "Pixels of the picture's sides; 0: none (default: ${DEFAULT-VALUE}).")
  private int picture;

  @Option(names = "--repeat", paramLabel = "N", defaultValue = "5", description = "Measurements of each time (default: ${DEFAULT-VALUE}).")
  private int repeat;

  @Mixin private EngineOptions engine;

  @Option(names = "--json", paramLabel = "OUT", converter = JsonOutput.Converter.class, description = "A JSON file to write, too; - is standard output, which "
      + "then holds nothing else.")
  private JsonOutput output;

  @Override
  public Integer call() throws IOException {
    engine.check();
    atLeast("--prompt-tokens", promptTokens, 1);
    atLeast("--repeat", repeat, 1);
    for (int count : rows) {
      atLeast("--rows", count, 2);
    }
    atLeast("--picture", picture, 0);
    if (picture > LARGEST_PICTURE) {
      throw Failures.invalidValue(spec, "--picture", picture + ", expected at most " + LARGEST_PICTURE);
    }
    if (output != null) {
      output.check(spec.commandLine().getErr());
    }
    Bench bench = new Bench(engine, model, repeat);
    PrintWriter out = spec.commandLine().getOut();
    boolean table = output == null || !output.isStandardOutput();
    Bench.Result result = bench.run(promptTokens, rows, picture);
    if (table) {
      print(out, result);
      out.flush();
    }
    if (output != null) {
      output.write(out, json -> write(json, result));
    }
    return 0;
  }

  private void atLeast(String option, int value, int least) {
    if (value < least) {
      throw Failures.invalidValue(spec, option, value + ", expected " + least + " or more");
    }
  }

  // ---------------------------------------------------------------------------------------------------------------------- for people

  private void print(PrintWriter out, Bench.Result result) {
    out.printf(Locale.ROOT, "%s, %d thread%s, %s%n", Bench.processor(), engine.effectiveThreads(), engine.effectiveThreads() == 1 ? "" : "s", result.info().backend());
    result.peaks().ifPresent(peaks -> out.println("at most   " + peaks));
    out.printf(Locale.ROOT, "%s, %s, %d layers, width %d%n", model.getFileName(), result.info().architecture(), result.info().layerCount(),
        result.info().embeddingLength());
    out.printf("load      %s the first time, %s again%n", time(result.firstLoad()), time(result.load().median()));
    if (result.vision() != null) {
      out.printf(Locale.ROOT, "vision    %s for %d x %d pixels, %d tokens%n", time(result.vision().median()), picture, picture, result.imageTokens());
    }
    out.printf(Locale.ROOT, "prefill   %s for %d tokens, %.0f a second%n", time(result.prefill().median()), promptTokens,
        promptTokens / seconds(result.prefill()));
    out.printf("%8s %12s %10s %12s%n", "rows", "step", "rows/s", "of it head");
    for (Bench.StepTimes step : result.steps()) {
      out.printf(Locale.ROOT, "%8d %12s %10.0f %12s%n", step.rows(), time(step.allMasked().median()), step.rows() / seconds(step.allMasked()),
          time(step.head()));
    }
    out.printf(Locale.ROOT, "memory    weights %s%s, keys and values %s, intermediates %s%s%n", size(result.info().weightSize()),
        result.info().unpackedSize() == 0 ? "" : " and " + size(result.info().unpackedSize()) + " in the file",
        size(result.memory().kvBytes()), size(result.memory().scratchBytes()),
        result.residentPeak() < 0 ? "" : "; the process at most " + size(result.residentPeak()));
  }

  private static String time(double nanos) {
    return Figures.time(Math.round(nanos));
  }

  private static double seconds(Bench.Times times) {
    return times.median() / 1e9;
  }

  private static String size(long bytes) {
    return String.format(Locale.ROOT, "%.1f MiB", bytes / 1048576.0);
  }

  // -------------------------------------------------------------------------------------------------------------------- for programs

  private void write(JsonGenerator json, Bench.Result result) {
    json.writeStartObject();
    json.writeName("machine");
    json.writeStartObject();
    json.writeStringProperty("processor", Bench.processor());
    json.writeStringProperty("kernels", DimpleModel.cpuDescription());
    json.writeStringProperty("system", System.getProperty("os.name") + " " + System.getProperty("os.arch"));
    json.writeStringProperty("java", System.getProperty("java.vm.version"));
    json.writeNumberProperty("processors", Runtime.getRuntime().availableProcessors());
    json.writeNumberProperty("threads", engine.effectiveThreads());
    json.writeName("peaks");
    if (result.peaks().isPresent()) {
      MachinePeaks peaks = result.peaks().get();
      json.writeStartObject();
      json.writeNumberProperty("int8_products_per_second", peaks.int8Products());
      json.writeNumberProperty("f32_products_per_second", peaks.f32Products());
      json.writeNumberProperty("memory_bytes_per_second", peaks.memoryBytes());
      json.writeEndObject();
    } else {
      json.writeNull();
    }
    json.writeEndObject();
    json.writeName("model");
    json.writeStartObject();
    json.writeStringProperty("file", model.getFileName().toString());
    json.writeStringProperty("architecture", result.info().architecture());
    json.writeNumberProperty("layers", result.info().layerCount());
    json.writeNumberProperty("width", result.info().embeddingLength());
    json.writeNumberProperty("parameters", result.info().parameterCount());
    json.writeNumberProperty("file_bytes", result.info().fileSize());
    json.writeStringProperty("backend", result.info().backend());
    json.writeEndObject();
    json.writeNumberProperty("repeat", repeat);
    json.writeName("load");
    json.writeStartObject();
    json.writeNumberProperty("first_ms", result.firstLoad() / 1e6);
    writeTimes(json, "again", result.load());
    json.writeEndObject();
    json.writeName("vision");
    if (result.vision() == null) {
      json.writeNull();
    } else {
      json.writeStartObject();
      json.writeNumberProperty("pixels", picture);
      json.writeNumberProperty("tokens", result.imageTokens());
      writeTimes(json, "time", result.vision());
      json.writeEndObject();
    }
    json.writeName("prefill");
    json.writeStartObject();
    json.writeNumberProperty("tokens", promptTokens);
    writeTimes(json, "time", result.prefill());
    json.writeEndObject();
    json.writeName("steps");
    json.writeStartArray();
    for (Bench.StepTimes step : result.steps()) {
      json.writeStartObject();
      json.writeNumberProperty("rows", step.rows());
      writeTimes(json, "all_masked", step.allMasked());
      writeTimes(json, "one_masked", step.oneMasked());
      json.writeNumberProperty("head_ms", step.head() / 1e6);
      json.writeEndObject();
    }
    json.writeEndArray();
    json.writeName("memory");
    json.writeStartObject();
    json.writeNumberProperty("weights", result.info().weightSize());
    json.writeNumberProperty("unpacked", result.info().unpackedSize());
    json.writeNumberProperty("keys_and_values", result.memory().kvBytes());
    json.writeNumberProperty("intermediates", result.memory().scratchBytes());
    if (result.residentPeak() >= 0) {
      json.writeNumberProperty("resident_peak", result.residentPeak());
    }
    json.writeEndObject();
    json.writeEndObject();
  }

  private static void writeTimes(JsonGenerator json, String name, Bench.Times times) {
    json.writeName(name);
    json.writeStartObject();
    json.writeNumberProperty("median_ms", times.median() / 1e6);
    json.writeNumberProperty("least_ms", times.least() / 1e6);
    json.writeNumberProperty("largest_ms", times.largest() / 1e6);
    json.writeEndObject();
  }
}
