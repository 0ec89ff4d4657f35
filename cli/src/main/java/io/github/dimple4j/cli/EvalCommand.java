package io.github.dimple4j.cli;

import io.github.dimple4j.Decoding;
import io.github.dimple4j.DimpleModel;
import io.github.dimple4j.Generation;
import io.github.dimple4j.Image;
import io.github.dimple4j.Session;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** {@code dimple eval}: how many questions a model answers exactly, per task. */
@Command(name = "eval", mixinStandardHelpOptions = true, description = "Ask many questions and count the exact answers.", footer = {"",
    "QUESTIONS.jsonl has a line per question: {\"image\": FILE beside it, \"task\": NAME, \"question\": TEXT, \"answer\": TEXT}; "
    + "models/mini/scenes.py writes such files."})
final class EvalCommand implements Callable<Integer> {
  private static final int SHORT_LENGTH = 16;

  @Spec private CommandSpec spec;

  @Parameters(index = "0", paramLabel = "QUESTIONS.jsonl", description = "The questions and their answers.")
  private Path questionFile;

  @Parameters(index = "1", arity = "0..1", paramLabel = "MODEL.gguf", description = "The model; without one, the bundled dimple-mini.")
  private Path model;

  @Option(names = "--length", paramLabel = "TASK=N", description = "Response length of a task (default: describe 64, json 32, others 16).")
  private Map<String, Integer> lengths = Map.of();

  @Option(names = "--limit", paramLabel = "N", description = "Ask the first N questions only.")
  private Integer limit;

  @Option(names = "--show-wrong", description = "Print the questions that were answered wrong.")
  private boolean showWrong;

  @Mixin private DecodingOptions decodingOptions;

  @Mixin private EngineOptions engine;

  /** One line of the file. */
  private record Question(Path image, String task, String question, String answer) {}

  /** What became of a task's questions. */
  private static final class Tally {
    private int asked;
    private int exact;
    private long iterations;
    private long tokens;
    private long nanos;

    private void add(Generation generation, boolean right) {
      asked++;
      exact += right ? 1 : 0;
      iterations += generation.iterations();
      tokens += generation.canvas().length();
      nanos += generation.timings().total().toNanos();
    }

    private String row(String task) {
      return String.format(Locale.ROOT, "%-10s %9d %6.1f %% %17.3f %12.1f", task, asked, 100.0 * exact / asked,
          (double) iterations / tokens, nanos / 1e6 / asked);
    }
  }

  @Override
  public Integer call() throws IOException {
    decodingOptions.check();
    engine.check();
    check();
    List<Question> questions = read();
    PrintWriter out = spec.commandLine().getOut();
    Map<String, Tally> tallies = new LinkedHashMap<>();
    Tally all = new Tally();
    try (DimpleModel loaded = engine.load(model != null ? model : BundledModel.find())) {
      for (Question question : questions) {
        Generation generation = ask(loaded, question);
        boolean right = generation.text().strip().equals(question.answer());
        tallies.computeIfAbsent(question.task(), task -> new Tally()).add(generation, right);
        all.add(generation, right);
        if (showWrong && !right) {
          out.println(question.image() + ": " + question.question());
          out.println("  expected: " + question.answer());
          out.println("  answered: " + generation.text().strip());
        }
      }
    }
    out.println("task       questions    exact iterations/length ms per answer");
    tallies.forEach((task, tally) -> out.println(tally.row(task)));
    out.println(all.row("all"));
    out.flush();
    return 0;
  }

  private void check() {
    if (limit != null && limit < 1) {
      throw new ParameterException(spec.commandLine(), "Invalid value for option '--limit': " + limit + ", expected 1 or more");
    }
    lengths.forEach((task, length) -> {
      if (length < 1) {
        throw new ParameterException(spec.commandLine(),
            "Invalid value for option '--length': " + task + "=" + length + ", expected 1 or more");
      }
    });
    if (engine.readImages().length > 0) {
      throw new ParameterException(spec.commandLine(), "--image does not go with eval: the questions name their pictures");
    }
  }

  private Generation ask(DimpleModel loaded, Question question) {
    Decoding decoding = decodingOptions.decoding();
    try (Session session = loaded.session().user(question.question(), Image.read(question.image())).responseLength(length(question.task()))
        .prefillCache(decodingOptions.prefill()).threads(engine.threads()).open()) {
      return session.decode(decoding);
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

  private List<Question> read() throws IOException {
    List<String> lines = Files.readAllLines(questionFile, StandardCharsets.UTF_8);
    JsonMapper json = JsonMapper.shared();
    List<Question> questions = new ArrayList<>();
    for (int number = 1; number <= lines.size() && (limit == null || questions.size() < limit); number++) {
      String line = lines.get(number - 1);
      if (line.isBlank()) {
        continue;
      }
      try {
        JsonNode node = json.readTree(line);
        questions.add(new Question(questionFile.resolveSibling(text(node, "image", number)), text(node, "task", number),
            text(node, "question", number), text(node, "answer", number)));
      } catch (JacksonException e) {
        throw new IOException(questionFile + ", line " + number + ": is not JSON: " + e.getOriginalMessage(), e);
      }
    }
    if (questions.isEmpty()) {
      throw new IOException(questionFile + ": has no questions");
    }
    return questions;
  }

  private String text(JsonNode node, String name, int line) throws IOException {
    JsonNode value = node.get(name);
    if (value == null || !value.isString()) {
      throw new IOException(questionFile + ", line " + line + ": has no text named \"" + name + "\"");
    }
    return value.stringValue();
  }
}
