package io.github.dimple4j.cli;

import io.github.dimple4j.Decoding;
import io.github.dimple4j.DimpleException;
import io.github.dimple4j.DimpleModel;
import io.github.dimple4j.Generation;
import io.github.dimple4j.Image;
import io.github.dimple4j.Session;
import io.github.dimple4j.SessionBuilder;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import tools.jackson.core.JsonGenerator;
import tools.jackson.core.ObjectWriteContext;
import tools.jackson.core.json.JsonFactory;
import tools.jackson.databind.JsonNode;

/** {@code dimple batch}: many questions, a line each, and as many answers. */
@Command(name = "batch", mixinStandardHelpOptions = true, description = "Answer many questions: JSON Lines in, JSON Lines out.", footer = {"",
    "A line of IN.jsonl is {\"prompt\": TEXT} and may have \"id\" (text or whole number; default: the line's number), \"images\" (a file or a list, "
    + "relative to IN.jsonl), \"system\", \"length\" (of the response, in tokens), \"seed\", and \"template\" (a list of fixed texts and of numbers of "
    + "tokens to fill between them). A line of OUT.jsonl has id, text, slots (with a template), finish, figures and request, by which a later "
    + "run knows the answer; or id, line and error. The order is that of IN.jsonl.",
    "",
    "OUT.jsonl appears when it is whole; until then the answers stand in OUT.jsonl.part. The same command again goes on where an earlier one "
    + "was stopped, and answers anew what failed and what has changed; with all answers there it does nothing."})
final class BatchCommand implements Callable<Integer> {
  /** Options on which no answer hangs. */
  private static final Set<String> INDIFFERENT = Set.of("--output", "--force", "--threads", "--debug");

  private static final int SHOWN_FAILURES = 3;

  @Spec private CommandSpec spec;

  @Parameters(index = "0", paramLabel = "IN.jsonl", converter = TextSource.Converter.class,
      description = "The questions, a JSON object a line; - is standard input.")
  private TextSource input;

  @Parameters(index = "1", arity = "0..1", paramLabel = "MODEL.gguf", description = "The model; without one, the bundled dimple-mini.")
  private Path model;

  @Option(names = {"-o", "--output"}, required = true, paramLabel = "OUT.jsonl",
      description = "The file of answers; - is standard output, line by line as they come.")
  private Path output;

  @Option(names = "--max-new-tokens", paramLabel = "N", defaultValue = "64",
      description = "Length of the response of lines that say none (default: ${DEFAULT-VALUE}).")
  private int maxNewTokens;

  @Option(names = "--force", description = "Replace an OUT.jsonl with other answers, or that is none.")
  private boolean force;

  @Mixin private PromptOptions.OfQuestions promptOptions;

  @Mixin private CanvasOption canvasOption;

  @Mixin private StructureOptions structureOptions;

  @Mixin private DecodingOptions decodingOptions;

  @Mixin private StopOptions stopOptions;

  @Mixin private EngineOptions engine;

  private final SortedMap<Integer, String> failures = new TreeMap<>(); // by the lines' numbers
  private int answered;
  private int kept;

  @Override
  public Integer call() throws IOException {
    decodingOptions.check(model, structureOptions.isGiven());
    stopOptions.check();
    engine.check();
    promptOptions.check();
    promptOptions.checkLength(maxNewTokens);
    canvasOption.check();
    structureOptions.read();
    Path file = model != null ? model : BundledModel.find();
    long start = System.nanoTime();
    try (BatchInput lines = new BatchInput(input, promptOptions.format(), maxNewTokens, settings(file))) {
      if (output.toString().equals("-") || Files.exists(output) && !Files.isRegularFile(output) && !Files.isDirectory(output)) {
        answerAsTheyCome(lines, file);
      } else {
        answerInto(lines, file);
      }
    }
    report((System.nanoTime() - start) / 1e9);
    return failures.isEmpty() ? 0 : DimpleCommand.FAILED;
  }

  /** Every answer goes out when it is there. */
  private void answerAsTheyCome(BatchInput lines, Path file) throws IOException {
    boolean standardOutput = output.toString().equals("-");
    NamedPipe.announce(output, spec.commandLine().getErr());
    try (DimpleModel loaded = load(file);
        PrintWriter opened = standardOutput ? null : new PrintWriter(Files.newBufferedWriter(output))) {
      PrintWriter out = standardOutput ? spec.commandLine().getOut() : opened;
      for (BatchInput.Line line = lines.next(); line != null && !out.checkError(); line = lines.next()) {
        String answer = answer(loaded, line);
        out.print((answer == null ? failure(line) : answer) + "\n");
      }
      if (out.checkError() && !standardOutput) { // that of standard output the program itself reports
        throw new IOException(output + ": cannot be written to");
      }
    }
  }

  /** The answers become a file when all of them are there. */
  private void answerInto(BatchInput input, Path file) throws IOException {
    Path folder = output.toAbsolutePath().getParent();
    if (!Files.isDirectory(folder) || Files.isDirectory(output)) {
      throw Files.isDirectory(output) ? new IOException(output + ": is a directory")
          : new NotDirectoryException(folder + ": no such directory, cannot write " + output);
    }
    List<BatchInput.Line> lines = new ArrayList<>();
    for (BatchInput.Line line = input.next(); line != null; line = input.next()) {
      lines.add(line);
    }
    Set<String> requests = new LinkedHashSet<>();
    lines.stream().filter(line -> line.item() != null).forEach(line -> requests.add(line.request()));
    try (BatchFile answers = BatchFile.open(output, requests, force)) {
      kept = (int) requests.stream().filter(request -> answers.answer(request) != null).count();
      if (requests.size() == lines.size() && answers.isComplete(List.copyOf(requests))) {
        return;
      }
      lines.stream().filter(line -> line.item() == null).forEach(line -> failures.put(line.number(), line.problem()));
      if (kept < requests.size()) {
        answerTheRest(lines, answers, file);
      }
      answers.finish(lines.stream().map(line -> failures.containsKey(line.number()) ? failure(line) : answers.answer(line.request())).toList());
    }
  }

  private void answerTheRest(List<BatchInput.Line> lines, BatchFile answers, Path file) throws IOException {
    List<BatchInput.Line> missing = lines.stream().filter(line -> line.item() != null && answers.answer(line.request()) == null).toList();
    try (DimpleModel loaded = load(file); ProgressBar bar = new ProgressBar(spec.commandLine().getErr(), ProgressBar.Unit.ITEMS)) {
      for (int i = 0; i < missing.size(); i++) {
        String answer = answer(loaded, missing.get(i));
        if (answer != null) {
          answers.add(missing.get(i).request(), answer);
        }
        bar.progress("", i + 1, missing.size());
      }
    }
  }

  /** A model that can answer: without a tokenizer all lines would fail alike. */
  private DimpleModel load(Path file) {
    DimpleModel loaded = engine.load(file);
    try {
      decodingOptions.follow(loaded);
      loaded.tokenizer();
      return loaded;
    } catch (RuntimeException e) {
      loaded.close();
      throw e;
    }
  }

  /** The output's line for an answer; null: it failed, which is noted. */
  private String answer(DimpleModel loaded, BatchInput.Line line) {
    BatchItem item = line.item();
    if (item == null) {
      failures.put(line.number(), line.problem());
      return null;
    }
    Decoding.Builder decoding = stopOptions.addTo(decodingOptions.decoding(), true).toBuilder();
    item.seed().ifPresent(decoding::seed);
    try {
      Prompt prompt = structureOptions.hold(item.prompt());
      Image[] images = prompt.readImages(promptOptions.imageOptions());
      SessionBuilder builder = decodingOptions.fit(prompt.session(loaded, images)).threads(engine.threads())
          .kvType(engine.kvType());
      try (Session session = canvasOption.addTo(builder).open()) {
        Generation answer = session.decode(decoding.build());
        String text = json(generator -> write(generator, line, session, answer));
        answered++;
        return text;
      }
    } catch (DimpleException | ParameterException e) {
      failures.put(line.number(), Failures.oneLine(e.getMessage()));
      return null;
    }
  }

  /** The output's line for a failure. */
  private String failure(BatchInput.Line line) {
    return json(generator -> {
      if (line.item() != null) {
        writeId(generator, line.item().id());
      }
      generator.writeNumberProperty("line", line.number());
      generator.writeStringProperty("error", failures.get(line.number()));
    });
  }

  private static String json(JsonOutput.Document fields) {
    StringWriter text = new StringWriter();
    try (JsonGenerator json = new JsonFactory().createGenerator(ObjectWriteContext.empty(), text)) {
      json.writeStartObject();
      fields.write(json);
      json.writeEndObject();
    }
    return text.toString();
  }

  private static void writeId(JsonGenerator json, JsonNode id) {
    if (id.isString()) {
      json.writeStringProperty("id", id.stringValue());
    } else {
      json.writeName("id");
      json.writeNumber(id.bigIntegerValue());
    }
  }

  private static void write(JsonGenerator json, BatchInput.Line line, Session session, Generation answer) {
    writeId(json, line.item().id());
    json.writeStringProperty("text", answer.text());
    if (line.item().prompt().template() != null) {
      json.writeName("slots");
      json.writeStartArray();
      answer.slots().forEach(json::writeString);
      json.writeEndArray();
    }
    json.writeStringProperty("finish", answer.finish().name().toLowerCase(Locale.ROOT));
    json.writeName("figures");
    json.writeStartObject();
    json.writeNumberProperty("prompt_tokens", session.promptTokens().length);
    json.writeNumberProperty("tokens", answer.canvas().length());
    json.writeNumberProperty("revealed", answer.revealed());
    json.writeNumberProperty("iterations", answer.iterations());
    json.writeNumberProperty("forward_passes", answer.forwardPasses());
    json.writeNumberProperty("vision_ms", JsonOutput.millis(answer.timings().vision()));
    json.writeNumberProperty("prefill_ms", JsonOutput.millis(answer.timings().prefill()));
    json.writeNumberProperty("steps_ms", JsonOutput.millis(answer.timings().steps()));
    json.writeEndObject();
    json.writeStringProperty("request", line.request());
  }

  private void report(double seconds) {
    PrintWriter err = spec.commandLine().getErr();
    int items = answered + kept + failures.size();
    err.printf(Locale.ROOT, "%d item%s: %d answered, %d kept from an earlier run, %d failed; %.2f s%n", items, items == 1 ? "" : "s", answered, kept,
        failures.size(), seconds);
    if (!failures.isEmpty()) {
      String shown = failures.entrySet().stream().limit(SHOWN_FAILURES).map(failure -> "line " + failure.getKey() + ": " + failure.getValue())
          .collect(Collectors.joining("; "));
      String more = failures.size() > SHOWN_FAILURES ? "; and " + (failures.size() - SHOWN_FAILURES) + " more" : "";
      err.println("dimple: " + failures.size() + " of " + items + " items failed: " + shown + more);
    }
  }

  /** All that answers hang on and that is not in their lines: every option but a few, and which files they name. */
  private String settings(Path file) throws IOException {
    StringBuilder all = new StringBuilder(BatchItem.fingerprint(EngineOptions.file(file).toAbsolutePath())).append('\n');
    for (OptionSpec option : spec.commandLine().getParseResult().matchedOptions()) {
      if (!INDIFFERENT.contains(option.longestName())) {
        all.append(option.longestName()).append(option.originalStringValues()).append('\n');
        for (String value : option.originalStringValues()) {
          all.append(namedFile(value)).append('\n');
        }
      }
    }
    return all.toString();
  }

  /** What tells a file from another of its name, if there is one called as the value of an option. */
  private static String namedFile(String value) throws IOException {
    try {
      return BatchItem.fingerprint(Path.of(value));
    } catch (InvalidPathException e) {
      return "";
    }
  }
}
