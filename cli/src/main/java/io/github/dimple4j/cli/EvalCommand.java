package io.github.dimple4j.cli;

import io.github.dimple4j.DimpleException;
import io.github.dimple4j.DimpleModel;
import io.github.dimple4j.Generation;
import io.github.dimple4j.Image;
import io.github.dimple4j.Session;
import io.github.dimple4j.SessionBuilder;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
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

/** {@code dimple eval}: how many questions a model answers exactly, per task. */
@Command(name = "eval", mixinStandardHelpOptions = true, description = "Ask many questions and count the exact answers.", footer = {"",
    "QUESTIONS.jsonl has a line per question: {\"image\": FILE beside it, or a list of files, \"task\": NAME, \"question\": TEXT, "
    + "\"answer\": TEXT}, and may have \"system\": TEXT, \"length\": response length, and \"template\": a list of fixed texts and of numbers "
    + "of tokens to fill between them. models/mini/scenes.py writes such files."})
final class EvalCommand implements Callable<Integer> {
  private static final int SHORT_LENGTH = 16;

  @Spec private CommandSpec spec;

  @Parameters(index = "0", paramLabel = "QUESTIONS.jsonl", converter = TextSource.Converter.class,
      description = "The questions and their answers; - is standard input.")
  private TextSource questionFile;

  @Parameters(index = "1", arity = "0..1", paramLabel = "MODEL.gguf", description = "The model; without one, the bundled dimple-mini.")
  private Path model;

  @Option(names = "--prompt-file", paramLabel = "FILE", converter = TextSource.Converter.class,
      description = "Ask this text, a file in UTF-8, of all pictures in the place of each line's \"question\"; - is standard input. A line end "
      + "at its end is left out.")
  private TextSource promptFile;

  @Option(names = "--length", paramLabel = "TASK=N", description = "Response length of a task (default: describe 64, json 32, others 16).")
  private Map<String, Integer> lengths = Map.of();

  @Option(names = "--limit", paramLabel = "N", description = "Ask the first N questions only.")
  private Integer limit;

  @Option(names = "--show-wrong", description = "Print the questions that were answered wrong.")
  private boolean showWrong;

  @Option(names = "--json", paramLabel = "OUT", converter = JsonOutput.Converter.class,
      description = "Also write every answer, its iterations and its times to a JSON file; - is standard output, and the table then goes to standard error.")
  private JsonOutput output;

  @Option(names = "--quiet", description = "Only the answers on standard output, as run prints them; the table goes to standard error.")
  private boolean quiet;

  @Mixin private PromptOptions.OfQuestions promptOptions;

  @Mixin private CanvasOption canvasOption;

  @Mixin private StructureOptions structureOptions;

  @Mixin private DecodingOptions decodingOptions;

  @Mixin private StopOptions stopOptions;

  @Mixin private EngineOptions engine;

  /** What became of a question. */
  private record Answered(EvalQuestion question, String text, Generation generation) {
    boolean exact() {
      return text.equals(question.answer());
    }

    void write(JsonGenerator json) {
      json.writeStartObject();
      json.writeStringProperty("task", question.task());
      json.writeStringProperty("question", question.prompt().text());
      json.writeStringProperty("expected", question.answer());
      json.writeStringProperty("answered", text);
      json.writeBooleanProperty("exact", exact());
      json.writeNumberProperty("length", generation.canvas().length());
      json.writeNumberProperty("iterations", generation.iterations());
      json.writeNumberProperty("revealed", generation.revealed());
      json.writeNumberProperty("vision_ms", JsonOutput.millis(generation.timings().vision()));
      json.writeNumberProperty("prefill_ms", JsonOutput.millis(generation.timings().prefill()));
      json.writeNumberProperty("steps_ms", JsonOutput.millis(generation.timings().steps()));
      json.writeEndObject();
    }
  }

  /** What became of a task's questions. */
  private static final class Tally {
    private int asked;
    private int exact;
    private long iterations;
    private long tokens;
    private long nanos;

    private void add(Answered answer) {
      asked++;
      exact += answer.exact() ? 1 : 0;
      iterations += answer.generation().iterations();
      tokens += answer.generation().canvas().length();
      nanos += answer.generation().timings().total().toNanos();
    }

    private String row(String task) {
      return String.format(Locale.ROOT, "%-10s %9d %6.1f %% %17.3f %12.1f", task, asked, 100.0 * exact / asked,
          (double) iterations / tokens, nanos / 1e6 / asked);
    }
  }

  @Override
  public Integer call() throws IOException {
    decodingOptions.check(model, structureOptions.isGiven());
    stopOptions.check();
    engine.check();
    check();
    structureOptions.read();
    String asked = promptFile == null ? null : promptFile.readWithoutLastLineEnd();
    int most = limit == null ? Integer.MAX_VALUE : limit;
    List<EvalQuestion> questions = EvalQuestion.read(questionFile, most, promptOptions.format(), asked);
    if (limit == null) { // of a part of the questions a task may be missing
      checkLengths(questions);
    }
    List<Answered> answers = new ArrayList<>();
    boolean jsonOut = output != null && output.isStandardOutput();
    PrintWriter out = quiet || jsonOut ? spec.commandLine().getErr() : spec.commandLine().getOut();
    try (DimpleModel loaded = engine.load(model != null ? model : BundledModel.find())) {
      decodingOptions.follow(loaded);
      for (EvalQuestion question : questions) {
        Answered answer = ask(loaded, question);
        answers.add(answer);
        if (quiet && !jsonOut) {
          spec.commandLine().getOut().println(answer.text());
        }
        if (showWrong && !answer.exact()) {
          out.println(question.prompt().pictures() + ": " + question.prompt().text());
          out.println("  expected: " + question.answer());
          out.println("  answered: " + answer.text());
        }
      }
    }
    if (output != null) {
      output.write(spec.commandLine().getOut(), json -> write(json, answers));
    }
    print(out, answers);
    return 0;
  }

  private void check() throws IOException {
    if (limit != null && limit < 1) {
      throw Failures.invalidValue(spec, "--limit", limit + ", expected 1 or more");
    }
    OptionSpec option = spec.commandLine().getParseResult().matchedOption("--length");
    if (option != null && option.originalStringValues().size() > lengths.size()) {
      throw Failures.invalidValue(spec, "--length", "a task is given twice");
    }
    lengths.forEach((task, length) -> {
      if (length < 1) {
        throw Failures.invalidValue(spec, "--length", task + "=" + length + ", expected 1 or more");
      }
    });
    promptOptions.check();
    canvasOption.check();
    if (promptFile != null && promptFile.isStandardInput() && questionFile.isStandardInput()) {
      throw new ParameterException(spec.commandLine(), "the questions and --prompt-file cannot both be standard input");
    }
    if (output != null) {
      output.check(spec.commandLine().getErr());
    }
  }

  /** A length of a task that no question is of would be without effect. */
  private void checkLengths(List<EvalQuestion> questions) throws IOException {
    Set<String> tasks = questions.stream().map(EvalQuestion::task).collect(Collectors.toCollection(TreeSet::new));
    for (String task : lengths.keySet()) {
      if (!tasks.contains(task)) {
        throw new IOException(questionFile.title() + ": no question is of the task '" + task + "', which --length names; there are "
            + String.join(", ", tasks));
      }
    }
  }

  /** Fails with the question's place, for there may be many. */
  private Answered ask(DimpleModel loaded, EvalQuestion question) throws IOException {
    try {
      return answer(loaded, question);
    } catch (DimpleException e) {
      throw new IOException(question.place() + e.getMessage(), e);
    }
  }

  private Answered answer(DimpleModel loaded, EvalQuestion question) {
    Prompt prompt = structureOptions.hold(question.prompt().orLength(length(question.task())));
    Image[] images = prompt.readImages(promptOptions.imageOptions());
    SessionBuilder builder = decodingOptions.fit(prompt.session(loaded, images)).threads(engine.threads())
        .kvType(engine.kvType());
    try (Session session = canvasOption.addTo(builder).open()) {
      Generation generation = session.decode(stopOptions.addTo(decodingOptions.decoding(), false));
      return new Answered(question, generation.text().strip(), generation);
    }
  }

  private int length(String task) {
    int standard = switch (task) {
      case "describe" -> 64;
      case "json" -> 32;
      default -> SHORT_LENGTH;
    };
    return lengths.getOrDefault(task, standard);
  }

  private static void print(PrintWriter out, List<Answered> answers) {
    Map<String, Tally> tallies = new LinkedHashMap<>();
    Tally all = new Tally();
    for (Answered answer : answers) {
      tallies.computeIfAbsent(answer.question().task(), task -> new Tally()).add(answer);
      all.add(answer);
    }
    out.println("task       questions    exact iterations/length ms per answer");
    tallies.forEach((task, tally) -> out.println(tally.row(task)));
    out.println(all.row("all"));
    out.flush();
  }

  private static void write(JsonGenerator json, List<Answered> answers) {
    json.writeStartArray();
    answers.forEach(answer -> answer.write(json));
    json.writeEndArray();
  }
}
