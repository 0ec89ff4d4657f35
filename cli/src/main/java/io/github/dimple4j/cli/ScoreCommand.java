package io.github.dimple4j.cli;

import io.github.dimple4j.DimpleModel;
import io.github.dimple4j.Image;
import io.github.dimple4j.InvalidArgumentException;
import io.github.dimple4j.Score;
import io.github.dimple4j.Scoring;
import io.github.dimple4j.Session;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import tools.jackson.core.JsonGenerator;

/** {@code dimple score}: how likely a model finds given answers. */
@Command(name = "score", mixinStandardHelpOptions = true, description = "Write how likely the model finds given answers, as JSON.",
    footer = {"", "The file holds prompt_tokens, settings and answers: of each its text (null for token ids), tokens, log_probabilities "
    + "(one per token, which add up to log_likelihood), "
    + "log_likelihood (natural logarithm), probability (its share among the answers given) and forward_passes."})
final class ScoreCommand implements Callable<Integer> {
  private static final int SAMPLES = 128; // as in LLaDA's evaluation

  @Spec private CommandSpec spec;

  @Parameters(paramLabel = "MODEL.gguf", description = "The model.")
  private Path model;

  @Mixin private PromptOptions.OfAnswers promptOptions;

  @ArgGroup(multiplicity = "1")
  private Answers answers;

  /** What is scored. */
  private static final class Answers {
    @Option(names = "--answer", paramLabel = "TEXT", arity = "1", description = "An answer; may be given several times.")
    private List<String> texts;

    @Option(names = "--answer-ids-file", paramLabel = "IDS.json", arity = "1",
        description = "An answer as a JSON list of token ids; may be given several times.")
    private List<Path> ids;
  }

  @Option(names = "--method", paramLabel = "NAME", defaultValue = "monte-carlo", converter = Methods.class,
      completionCandidates = Methods.class, description = "What is computed: ${COMPLETION-CANDIDATES} (default: ${DEFAULT-VALUE}).")
  private Scoring.Method method;

  @Option(names = "--samples", paramLabel = "N", description = "Monte Carlo: sets of masked tokens (default: " + SAMPLES + ").")
  private Integer samples;

  @Option(names = "--rows", paramLabel = "N", description = "Monte Carlo: samples of a round (default: 16).")
  private Integer rows;

  @Option(names = "--seed", paramLabel = "S", converter = DecodingOptions.Seed.class,
      description = "Monte Carlo: seed of the draws (default: 0).")
  private Long seed;

  @Option(names = "--guidance-scale", paramLabel = "W", defaultValue = "0",
      description = "Classifier-free guidance: logits = u + (W + 1) (c - u); 0 is off (default: ${DEFAULT-VALUE}).")
  private float guidanceScale;

  @Mixin private EngineOptions engine;

  @Mixin private JsonOutput output;

  @Override
  public Integer call() throws IOException {
    Scoring scoring = scoring();
    engine.check();
    promptOptions.check();
    output.check(spec.commandLine().getErr());
    Prompt prompt = promptOptions.prompt();
    Image[] images = prompt.readImages(promptOptions.imageOptions());
    List<int[]> ids = answers.ids == null ? null : readIds(answers.ids);
    try (DimpleModel loaded = engine.load(model);
        Session session = prompt.session(loaded, images).withoutResponse().threads(engine.threads())
            .kvType(engine.kvType()).open()) {
      List<Score> scores = ids == null ? answers.texts.stream().map(text -> session.score(text, scoring)).toList()
          : ids.stream().map(tokens -> session.score(tokens, scoring)).toList();
      output.write(spec.commandLine().getOut(), json -> write(json, session, scoring, scores));
    }
    return 0;
  }

  private static List<int[]> readIds(List<Path> files) throws IOException {
    int[][] ids = new int[files.size()][];
    for (int i = 0; i < ids.length; i++) {
      ids[i] = TokenIdFile.read(files.get(i));
    }
    return List.of(ids);
  }

  private Scoring scoring() {
    try {
      Scoring scoring = method == Scoring.Method.LEFT_TO_RIGHT ? Scoring.leftToRight()
          : Scoring.monteCarlo(samples == null ? SAMPLES : samples);
      refuseLeftToRight("--samples", samples);
      refuseLeftToRight("--rows", rows);
      refuseLeftToRight("--seed", seed);
      scoring = rows == null ? scoring : scoring.withRows(rows);
      return (seed == null ? scoring : scoring.withSeed(seed)).withGuidanceScale(guidanceScale);
    } catch (InvalidArgumentException e) {
      throw new ParameterException(spec.commandLine(), e.getMessage());
    }
  }

  private void refuseLeftToRight(String option, Object value) {
    if (value != null && method == Scoring.Method.LEFT_TO_RIGHT) {
      throw new ParameterException(spec.commandLine(), option + " goes with --method monte-carlo");
    }
  }

  private void write(JsonGenerator json, Session session, Scoring scoring, List<Score> scores) {
    List<Double> probabilities = Score.probabilities(scores);
    json.writeStartObject();
    json.writeName("prompt_tokens");
    JsonOutput.array(json, session.promptTokens());
    writeSettings(json, scoring);
    json.writeName("answers");
    json.writeStartArray();
    for (int i = 0; i < scores.size(); i++) {
      write(json, answers.texts == null ? null : answers.texts.get(i), scores.get(i), probabilities.get(i));
    }
    json.writeEndArray();
    json.writeEndObject();
  }

  private static void writeSettings(JsonGenerator json, Scoring scoring) {
    json.writeName("settings");
    json.writeStartObject();
    json.writeStringProperty("method", label(scoring.method()));
    if (scoring.method() == Scoring.Method.MONTE_CARLO) {
      json.writeNumberProperty("samples", scoring.samples());
      json.writeNumberProperty("rows", scoring.rows());
      json.writeName("seed");
      json.writeNumber(Long.toUnsignedString(scoring.seed()));
    }
    json.writeNumberProperty("guidance_scale", scoring.guidanceScale());
    json.writeEndObject();
  }

  private static void write(JsonGenerator json, String text, Score score, double probability) {
    json.writeStartObject();
    json.writeStringProperty("text", text);
    json.writeName("tokens");
    JsonOutput.array(json, score.tokens().stream().mapToInt(Integer::intValue).toArray());
    json.writeName("log_probabilities");
    json.writeStartArray();
    score.logProbabilities().forEach(json::writeNumber);
    json.writeEndArray();
    json.writeNumberProperty("log_likelihood", score.logLikelihood());
    json.writeNumberProperty("probability", probability);
    json.writeNumberProperty("forward_passes", score.forwardPasses());
    json.writeEndObject();
  }

  private static String label(Scoring.Method method) {
    return method.name().toLowerCase(Locale.ROOT).replace('_', '-');
  }

  /** The names of the methods. */
  static final class Methods extends DecodingOptions.Names<Scoring.Method> {
    Methods() {
      super(Scoring.Method.values(), ScoreCommand::label);
    }
  }
}
