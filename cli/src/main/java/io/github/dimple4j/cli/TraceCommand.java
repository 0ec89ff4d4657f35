package io.github.dimple4j.cli;

import io.github.dimple4j.Decoding;
import io.github.dimple4j.DimpleModel;
import io.github.dimple4j.Generation;
import io.github.dimple4j.Image;
import io.github.dimple4j.Pipeline;
import io.github.dimple4j.Reveal;
import io.github.dimple4j.Session;
import io.github.dimple4j.SessionBuilder;
import io.github.dimple4j.Step;
import io.github.dimple4j.Timings;
import io.github.dimple4j.tokenizer.TokenizerException;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import tools.jackson.core.JsonGenerator;

/** {@code dimple trace}: every iteration, for programs. */
@Command(name = "trace", mixinStandardHelpOptions = true,
    description = "Decode a response and write every iteration, as JSON or as a page that plays it.", footer = {"",
    "The file holds prompt_tokens, settings (every one as it was used), iterations (step from 0; tokens: the response after it, the mask token "
    + "where it is masked, with --canvas-length its canvases so far; revealed: positions; confidence: theirs; remasked: positions that are masked "
    + "again, if there are any; origins: where positions were before, if any moved; block: of a decoding in blocks; millis), "
    + "tokens (as the authors' code returns them), "
    + "text (up to the end of text; null if the model has no tokenizer) and timings (milliseconds)."})
final class TraceCommand implements Callable<Integer> {
  private static final String STANDARD_OUTPUT = "-";

  @Spec private CommandSpec spec;

  @Parameters(paramLabel = "MODEL.gguf", description = "The model.")
  private Path model;

  @Option(names = "--quiet", description = "As of run; trace never writes more than its file.")
  private boolean quiet;

  @Mixin private PromptOptions.OfTextOrTokens promptOptions;

  @Mixin private CanvasOption canvasOption;

  @Mixin private StructureOptions structureOptions;

  @Mixin private DecodingOptions decodingOptions;

  @Mixin private StopOptions stopOptions;

  @Mixin private EngineOptions engine;

  @Option(names = "--json", paramLabel = "OUT", converter = JsonOutput.Converter.class,
      description = "The JSON file to write; - is standard output.")
  private JsonOutput output;

  @Option(names = "--html", paramLabel = "OUT", description = "A page to write that plays the decoding in a browser, one file that needs "
      + "no other; - is standard output.")
  private String page;

  @Override
  public Integer call() throws IOException {
    decodingOptions.asTheAuthors();
    decodingOptions.check(model, structureOptions.isGiven());
    stopOptions.check();
    engine.check();
    promptOptions.check();
    canvasOption.check();
    checkOutputs();
    structureOptions.read();
    Prompt prompt = structureOptions.hold(promptOptions.prompt());
    Image[] images = prompt.readImages(promptOptions.imageOptions());
    long start = System.nanoTime();
    try (DimpleModel loaded = engine.load(model)) {
      Duration load = Duration.ofNanos(System.nanoTime() - start);
      decodingOptions.follow(loaded);
      Decoding asked = decodingOptions.authors(decodingOptions.decoding(), loaded, prompt.length().getAsInt());
      Decoding decoding = stopOptions.addTo(asked, false);
      SessionBuilder builder = decodingOptions.fitAuthors(prompt.session(loaded, images), loaded, prompt).threads(engine.threads())
          .kvType(engine.kvType());
      try (Session session = canvasOption.addTo(builder).open()) {
        session.prefill();
        List<Step> steps = new ArrayList<>();
        session.steps(decoding).forEach(steps::add);
        if (page != null) {
          var whole = new TracePage(model.getFileName().toString(), loaded, session, prompt.text(), images, steps);
          writePage(whole);
        }
        if (output != null) {
          output.write(spec.commandLine().getOut(), json -> write(json, loaded, prompt, session, decoding, steps, load));
        }
      }
    }
    return 0;
  }

  private void checkOutputs() throws IOException {
    if (output == null && page == null) {
      throw new ParameterException(spec.commandLine(), "Missing required option: '--json=OUT' or '--html=OUT'");
    }
    if (output != null) {
      output.check(spec.commandLine().getErr());
    }
    if (page == null) {
      return;
    }
    if (!page.equals(STANDARD_OUTPUT)) {
      new OutputFile("--html", page).check(spec.commandLine().getErr());
    } else if (output != null && output.isStandardOutput()) {
      throw new ParameterException(spec.commandLine(), "--json and --html cannot both be standard output");
    }
  }

  private void writePage(TracePage whole) throws IOException {
    if (page.equals(STANDARD_OUTPUT)) {
      whole.write(spec.commandLine().getOut());
      spec.commandLine().getOut().flush();
    } else {
      new OutputFile("--html", page).write(whole::write);
    }
  }

  private void write(JsonGenerator json, DimpleModel loaded, Prompt prompt, Session session, Decoding decoding, List<Step> steps, Duration load) {
    Generation answer = session.generation();
    json.writeStartObject();
    json.writeName("prompt_tokens");
    JsonOutput.array(json, session.promptTokens());
    writeSettings(json, loaded, prompt, decoding);
    json.writeName("iterations");
    json.writeStartArray();
    for (Step step : steps) {
      writeStep(json, step);
    }
    json.writeEndArray();
    json.writeName("tokens");
    JsonOutput.array(json, decodingOptions.returned(answer, loaded, prompt.length().getAsInt()));
    json.writeStringProperty("text", text(loaded, answer));
    writeTimings(json, answer, load);
    json.writeEndObject();
  }

  /** Null for a file without a tokenizer, or with one of a kind that is not known here: ids in, ids out needs none. */
  private static String text(DimpleModel loaded, Generation answer) {
    try {
      return loaded.hasTokenizer() ? answer.text() : null;
    } catch (TokenizerException e) {
      return null;
    }
  }

  /** In the order that the file has always had. */
  private void writeSettings(JsonGenerator json, DimpleModel loaded, Prompt prompt, Decoding decoding) {
    json.writeName("settings");
    json.writeStartObject();
    int length = prompt.length().getAsInt();
    json.writeNumberProperty("max_new_tokens", length);
    decodingOptions.write(json, decoding, canvasOption.of(length));
    json.writeNumberProperty("threads", engine.effectiveThreads());
    json.writeBooleanProperty("prefill", decodingOptions.prefill());
    json.writeBooleanProperty("original_confidence", decoding.originalConfidence() && decoding.pipeline() != Pipeline.DREAM
        && decoding.pipeline() != Pipeline.DREAMON);
    json.writeName("prior");
    json.writeStartObject();
    prompt.prior().forEach((position, token) -> json.writeNumberProperty(position.toString(), token.intValue()));
    json.writeEndObject();
    json.writeStringProperty("backend", loaded.info().backend());
    json.writeNumberProperty("eps", decoding.epsilon());
    if (decoding.pipeline() != Pipeline.DIM) {
      DecodingOptions.writeBlocks(json, decoding);
    }
    json.writeBooleanProperty("complete", decoding.complete());
    if (canvasOption.isGiven()) {
      json.writeNumberProperty("canvas_length", canvasOption.of(length));
    }
    if (structureOptions.isGiven()) {
      json.writeBooleanProperty("allowed_confidence", decoding.allowedConfidence());
    }
    StopOptions.write(json, decoding);
    json.writeEndObject();
  }

  private static void writeStep(JsonGenerator json, Step step) {
    json.writeStartObject();
    json.writeNumberProperty("step", step.iteration());
    json.writeName("tokens");
    JsonOutput.array(json, step.canvas().tokens());
    json.writeName("revealed");
    JsonOutput.array(json, step.revealed().stream().mapToInt(Reveal::position).toArray());
    json.writeName("confidence");
    json.writeStartArray();
    for (Reveal reveal : step.revealed()) {
      json.writeNumber(reveal.confidence());
    }
    json.writeEndArray();
    if (!step.remasked().isEmpty()) {
      json.writeName("remasked");
      JsonOutput.array(json, step.remasked().stream().mapToInt(Integer::intValue).toArray());
    }
    step.origins().ifPresent(origins -> {
      json.writeName("origins");
      JsonOutput.array(json, origins.stream().mapToInt(Integer::intValue).toArray());
    });
    if (step.block() >= 0) {
      json.writeNumberProperty("block", step.block());
    }
    json.writeNumberProperty("millis", JsonOutput.millis(step.time()));
    json.writeEndObject();
  }

  private static void writeTimings(JsonGenerator json, Generation answer, Duration load) {
    Timings timings = answer.timings();
    json.writeName("timings");
    json.writeStartObject();
    json.writeNumberProperty("load_ms", JsonOutput.millis(load));
    json.writeNumberProperty("vision_ms", JsonOutput.millis(timings.vision()));
    json.writeNumberProperty("prefill_ms", JsonOutput.millis(timings.prefill()));
    json.writeNumberProperty("steps_ms", JsonOutput.millis(timings.steps()));
    json.writeNumberProperty("total_ms", JsonOutput.millis(timings.total()));
    json.writeNumberProperty("ms_per_iteration", JsonOutput.millis(timings.steps()) / Math.max(1, answer.iterations()));
    json.writeNumberProperty("iterations", answer.iterations());
    json.writeNumberProperty("forward_passes", answer.forwardPasses());
    json.writeNumberProperty("tokens_per_iteration", answer.tokensPerIteration());
    json.writeNumberProperty("tokens_per_second", answer.tokensPerSecond());
    json.writeEndObject();
  }
}
