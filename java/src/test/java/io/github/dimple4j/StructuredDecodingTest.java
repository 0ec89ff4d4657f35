package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.fail;

import io.github.dimple4j.structure.ByteAutomaton;
import io.github.dimple4j.structure.Completions;
import io.github.dimple4j.structure.JsonSchema;
import io.github.dimple4j.structure.Piece;
import io.github.dimple4j.structure.RandomSchemas;
import io.github.dimple4j.structure.RefusedSchemaException;
import io.github.dimple4j.structure.SchemaOptions;
import io.github.dimple4j.structure.Spacing;
import io.github.dimple4j.structure.Validator;
import io.github.dimple4j.tokenizer.GoldenTokenizer;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Collection;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * Answers under random schemas, by random models with the tokenizers of the tests and by the bundled one, under random settings: each is
 * JSON, fits its schema in the judgement of another's validator, and could be completed after every iteration, whether the decoding goes
 * on to its end, runs into a budget or is cancelled. {@code -Ddimple.structure.schemas=500} is the long run.
 */
class StructuredDecodingTest {
  private static final int SCHEMAS = Integer.getInteger("dimple.structure.schemas", 20);
  private static final int DECODINGS = 4; // under a schema with a model
  private static final JsonMapper STRICT = JsonMapper.builder().enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS).build();
  private static final List<Algorithm> ALGORITHMS =
      List.of(Algorithm.MASKGIT_PLUS, Algorithm.TOPK_MARGIN, Algorithm.ENTROPY, Algorithm.ORIGIN, Algorithm.AUTOREGRESSIVE,
          Algorithm.ORIGIN_RATIO, Algorithm.ENTROPY_BOUND, Algorithm.KLASS, Algorithm.CREDIT, Algorithm.HIERARCHY, Algorithm.WINO,
          Algorithm.CONFIDENCE_THRESHOLD);

  @TempDir static Path folder;
  private static List<DimpleModel> models;
  private static List<DimpleModel> canvasModels;

  private final Random random = new Random(10);
  private final Map<String, Integer> counts = new TreeMap<>();

  @BeforeAll
  static void load() throws IOException {
    models = List.of(load("bytes", TinyModel.ofText()), // a token a byte
        load("trained", TinyModel.ofText(GoldenTokenizer.data("qwen2"))), // tokens of many bytes, some over the borders of characters
        load("llada", TinyModel.ofText(GoldenTokenizer.data("bailingmoe")).put("diffusion.shift_logits", false)), // WINO needs it
        load("untyped", TinyModel.ofText(GoldenTokenizer.untyped("gpt-2"))), // spelled control tokens are text
        load("gemma4", TinyModel.ofText(GoldenTokenizer.sentencePiece("gemma4", false))), // U+2581 is a blank, and bytes have tokens
        load("sentencepiece", TinyModel.ofText(GoldenTokenizer.sentencePiece("llama-prefix", true))),
        DimpleModel.load(Path.of("../models/mini/dimple-mini-f16.gguf")));
    canvasModels = List.of(load("canvases", TinyModel.ofCanvases(GoldenTokenizer.sentencePiece("gemma4", false), 12)),
        load("canvases-of-bytes", TinyModel.ofCanvases(GoldenTokenizer.data("qwen2"), 32)));
  }

  private static DimpleModel load(String name, TinyModel model) throws IOException {
    return DimpleModel.load(model.write(folder.resolve(name + ".gguf")));
  }

  @AfterAll
  static void close() {
    models.forEach(DimpleModel::close);
    canvasModels.forEach(DimpleModel::close);
  }

  @Test
  void everyAnswerFitsItsSchema() {
    RandomSchemas schemas = new RandomSchemas(11);
    for (int i = 0; i < SCHEMAS; i++) {
      ObjectNode schema = schemas.nextObject();
      Validator validator = new Validator(schema.toString());
      try {
        for (DimpleModel model : models) {
          decode(model, schema, SchemaOptions.PRODUCING.withSpacing(oneOf(Spacing.values()))
              .withKeyOrder(oneOf(SchemaOptions.KeyOrder.values())), validator);
        }
      } catch (RefusedSchemaException refused) {
        assertThat(refused).as("%s", schema).hasMessageContaining("no value fits the schema"); // its alternatives contradict each other
        count("fits nothing");
        continue;
      }
      count("schemas");
    }
    for (String keyword : RandomSchemas.KEYWORDS) {
      assertThat(schemas.uses(keyword)).as(keyword).isGreaterThanOrEqualTo(SCHEMAS / 10);
    }
    assertThat(counts.getOrDefault("fits nothing", 0)).isLessThanOrEqualTo(1 + SCHEMAS / 5);
    assertThat(counts.get("with canvases to come")).isGreaterThan(counts.get("in the last canvas") / 10);
    System.out.println("StructuredDecodingTest: " + counts);
  }

  /** All of the response in one canvas, or in several. */
  private Session session(DimpleModel model, ByteAutomaton automaton, int length) {
    SessionBuilder builder = model.session().prompt("Say something.").response(automaton).responseLength(length);
    return random.nextInt(3) > 0 ? builder.open() : builder.canvasLength(1 + random.nextInt(length)).open();
  }

  private void decode(DimpleModel model, ObjectNode schema, SchemaOptions options, Validator validator) {
    ByteAutomaton automaton = Piece.json(JsonSchema.of(schema), options).compile();
    int length = automaton.shortest().length + random.nextInt(60); // a token is a byte or more
    Completions completions = new Completions(automaton, model);
    try (Session session = session(model, automaton, length)) {
      for (int i = 0; i < DECODINGS; i++) {
        Decoding decoding = decoding(length, !model.info().shiftLogits());
        String what = decoding + " of " + length + " tokens, " + options + ", schema " + schema;
        boolean whole = run(session, decoding, completions, random.nextInt(4) == 0 ? random.nextInt(4) : Integer.MAX_VALUE, what);
        Generation answer = session.generation();
        assertThat(answer.finish()).as(what).isIn(Finish.END_OF_TEXT, Finish.LENGTH);
        assertThat(answer.canvas().remaining()).as(what).isLessThanOrEqualTo(whole ? 0 : length - answer.textTokens().length);
        assertThat(answer.textTokens()).as(what).doesNotContain(model.info().maskTokenId().orElseThrow());
        byte[] text = completions.text(answer.textTokens());
        assertThat(answer.text()).as(what).isEqualTo(new String(text, StandardCharsets.UTF_8));
        JsonNode value = STRICT.readTree(text);
        assertThat(value.isObject()).as(what).isTrue();
        assertThat(validator.errors(text)).as("%s, %s", answer.text(), what).isEmpty();
        assertThat(outsideStrings(answer.text())).as(what).matches(white(options.spacing()));
        assertKeysInOrder(value, schema, options.keyOrder(), what);
        count("answers");
      }
    }
  }

  /** Reveals some of the candidates, or one position as another token that can stand there. */
  private final class Whimsical implements Decoder {
    @Override
    public int alternatives() {
      return 5;
    }

    @Override
    public Collection<Candidate> decide(Candidates candidates) {
      if (random.nextInt(3) > 0) {
        return candidates.all().stream().filter(candidate -> random.nextInt(3) == 0).toList();
      }
      List<List<Candidate>> others = List.copyOf(candidates.alternatives().values());
      List<Candidate> those = others.get(random.nextInt(others.size()));
      return List.of(those.get(random.nextInt(those.size())));
    }
  }

  @Test
  void decodersOfOnesOwnAndPipelinesOfBlockDiffusionAreHeldToIt() {
    RandomSchemas schemas = new RandomSchemas(12);
    for (int i = 0; i < SCHEMAS / 4; i++) {
      ObjectNode schema = schemas.nextObject();
      Validator validator = new Validator(schema.toString());
      ByteAutomaton automaton;
      try {
        automaton = Piece.json(JsonSchema.of(schema), SchemaOptions.PRODUCING).compile();
      } catch (RefusedSchemaException nothingFits) {
        continue;
      }
      for (DimpleModel model : models) {
        int length = automaton.shortest().length + random.nextInt(30);
        Completions completions = new Completions(automaton, model);
        try (Session session = session(model, automaton, length)) {
          assertFits(session, session.steps(decoding(length, false), new Whimsical()), completions, validator, "own decoder, " + schema);
          for (Pipeline pipeline : List.of(Pipeline.MDLM, Pipeline.BD3LM, Pipeline.SDAR)) {
            Decoding decoding = decoding(pipeline);
            assertFits(session, session.steps(decoding), completions, validator, decoding + ", " + schema);
          }
        }
      }
    }
    assertThat(counts.get("answers")).isPositive();
  }

  private void assertFits(Session session, Steps steps, Completions completions, Validator validator, String what) {
    for (Step step : steps) {
      assertCanBeCompleted(session, step.canvas(), completions, what);
    }
    String answer = session.generation().text();
    assertThat(validator.errors(answer.getBytes(StandardCharsets.UTF_8))).as("%s, %s", answer, what).isEmpty();
    count("answers");
  }

  /** Answers that are filled in canvas after canvas, whose positions all change until one is settled: several canvases, also when they end early. */
  @Test
  void answersOfSeveralCanvasesFitToo() {
    RandomSchemas schemas = new RandomSchemas(13);
    for (int i = 0; i < SCHEMAS; i++) {
      ObjectNode schema = schemas.nextObject();
      Validator validator = new Validator(schema.toString());
      ByteAutomaton automaton;
      try {
        automaton = Piece.json(JsonSchema.of(schema), SchemaOptions.PRODUCING.withSpacing(oneOf(Spacing.values()))).compile();
      } catch (RefusedSchemaException nothingFits) {
        continue;
      }
      for (DimpleModel model : canvasModels) {
        int length = automaton.shortest().length + random.nextInt(60);
        Completions completions = new Completions(automaton, model);
        try (Session session = model.session().prompt("Say something.").response(automaton).responseLength(length).open()) {
          for (int k = 0; k < DECODINGS; k++) {
            denoise(session, completions, validator, length, schema.toString());
          }
        }
      }
    }
    assertThat(counts.get("canvases")).isGreaterThan(counts.get("answers"));
    assertThat(counts).containsKeys("cancelled", "with a budget");
  }

  private void denoise(Session session, Completions completions, Validator validator, int length, String schema) {
    Decoding.Builder builder = Decoding.builder().pipeline(Pipeline.DIFFUSION_GEMMA).algorithm(Algorithm.ENTROPY_BOUND).steps(1 + random.nextInt(5))
        .gamma(oneOf(0.1f, 1f, 30f)).blockLength(oneOf(0, 1, 5, 16, 300)).seed(random.nextInt(1000)).allowedConfidence(random.nextBoolean())
        .earlyStop(random.nextBoolean()).complete(random.nextBoolean()).stabilityThreshold(random.nextInt(3));
    boolean sharp = random.nextInt(4) == 0;
    boolean cut = random.nextInt(4) == 0;
    if (sharp) {
      builder.tMin(0).tMax(0);
    }
    if (cut) {
      builder.iterationBudget(1 + random.nextInt(4));
    }
    Decoding decoding = builder.build();
    String what = decoding + " of " + length + " tokens, schema " + schema;
    int most = random.nextInt(4) == 0 ? random.nextInt(4) : Integer.MAX_VALUE;
    int block = -1;
    Iterator<Step> steps = session.steps(decoding).iterator();
    for (int i = 0; i < most && steps.hasNext(); i++) {
      Step step = steps.next();
      if (step.block() != block) {
        block = step.block();
        count("canvases");
      }
    }
    if (steps.hasNext()) {
      session.cancel();
      assertThatExceptionOfType(CancelledException.class).as(what).isThrownBy(steps::next);
      assertCanBeCompleted(session, session.generation().canvas(), completions, what);
      assertThat(session.complete().canvas().remaining()).as(what).isZero();
      count("cancelled");
    }
    Generation answer = session.generation();
    assertThat(answer.finish()).as(what).isIn(Finish.END_OF_TEXT, Finish.LENGTH);
    assertCanBeCompleted(session, answer.canvas(), completions, what);
    String text = answer.text();
    assertThat(text).as(what).isEqualTo(new String(completions.text(answer.textTokens()), StandardCharsets.UTF_8));
    assertThat(validator.errors(text.getBytes(StandardCharsets.UTF_8))).as("%s, %s", text, what).isEmpty();
    count("answers");
    if (cut) {
      count("with a budget");
    }
  }

  private Decoding decoding(Pipeline pipeline) {
    while (true) {
      try {
        return Decoding.builder().pipeline(pipeline).algorithm(oneOf(Algorithm.values())).threshold(oneOf(0f, 0.3f, 0.9f))
            .blockLength(oneOf(1, 5, 16)).temperature(oneOf(0f, 1.5f)).seed(random.nextInt(1000)).build();
      } catch (InvalidArgumentException another) {
        continue;
      }
    }
  }

  /**
   * Decodes to the end, or cancels after some iterations and completes what there is.
   *
   * @return whether nothing is masked at the end
   */
  private boolean run(Session session, Decoding decoding, Completions completions, int mostIterations, String what) {
    Iterator<Step> steps = session.steps(decoding).iterator();
    Step last = null;
    for (int i = 0; i < mostIterations && steps.hasNext(); i++) {
      last = steps.next();
      assertCanBeCompleted(session, last.canvas(), completions, what);
      count("iterations");
    }
    if (!steps.hasNext()) {
      boolean inBudget = decoding.iterationBudget().isEmpty() && decoding.timeBudget().isEmpty();
      count(inBudget ? "to the end" : "with a budget");
      return !decoding.earlyStop();
    }
    session.cancel();
    assertThatExceptionOfType(CancelledException.class).as(what).isThrownBy(steps::next);
    Generation partial = session.generation();
    assertCanBeCompleted(session, partial.canvas(), completions, what);
    assertThat(partial.finish()).as(what).isEqualTo(partial.canvas().isComplete() ? partial.canvas().finish() : Finish.CANCELLED);
    assertThat(partial.canvas().tokens()).as(what).isEqualTo(last == null ? session.generation().tokens() : last.canvas().tokens());
    assertThat(session.complete().canvas().remaining()).as(what).isZero();
    count("cancelled");
    return true;
  }

  private void assertCanBeCompleted(Session session, Canvas canvas, Completions completions, String what) {
    count(canvas.length() < session.responseLength() ? "with canvases to come" : "in the last canvas");
    if (!completions.exists(canvas.tokens(), session.responseLength())) {
      fail("no completion: %s, %s", canvas.text(), what);
    }
  }

  private static String outsideStrings(String json) {
    return json.replaceAll("\"(\\\\.|[^\"\\\\])*\"", "s");
  }

  private static String white(Spacing spacing) {
    return switch (spacing) {
      case COMPACT -> "\\S+";
      case BLANK -> "([^\\s,:]|[,:] (?! ))+";
      case EITHER -> "([^\\s,:]|[,:] ?(?! ))+";
    };
  }

  /** The keys that the schema spells out come in its order, or by their code points, before all others. */
  private static void assertKeysInOrder(JsonNode value, ObjectNode schema, SchemaOptions.KeyOrder order, String what) {
    List<String> spelled = List.copyOf(schema.get("properties").propertyNames());
    if (order == SchemaOptions.KeyOrder.ALPHABETICAL) {
      spelled = spelled.stream().sorted().toList(); // all names are of the basic plane
    }
    List<String> there = value.propertyNames().stream().filter(spelled::contains).toList();
    assertThat(there).as(what).isEqualTo(spelled.stream().filter(there::contains).toList());
  }

  private void count(String what) {
    counts.merge(what, 1, Integer::sum);
  }

  /** Settings drawn at random until some go together. */
  private Decoding decoding(int length, boolean wino) {
    while (true) {
      Decoding.Builder builder = Decoding.builder().seed(random.nextInt(1000)).temperature(oneOf(0f, 1.5f))
          .pipeline(oneOf(Pipeline.DIM, Pipeline.DIM, Pipeline.LLADA, Pipeline.LLADA, Pipeline.DREAM))
          .algorithm(oneOf(ALGORITHMS.toArray(Algorithm[]::new)));
      builder.steps(oneOf(1, 3, 10, Math.max(1, length / 2), length));
      if (random.nextInt(4) > 0) {
        builder.threshold(oneOf(0.3f, 0.6f, 0.9f, 1f));
      }
      if (random.nextInt(2) == 0) {
        builder.blockLength(oneOf(1, 5, 16, 32, length)).cache(oneOf(BlockCache.NONE, BlockCache.PREFIX, BlockCache.DUAL));
      }
      if (random.nextInt(3) == 0) {
        builder.topK(oneOf(1, 5)).topP(oneOf(0.5f, 0.9f));
      }
      switch (random.nextInt(8)) {
        case 0 -> builder.iterationBudget(1 + random.nextInt(3));
        case 1 -> builder.timeBudget(Duration.ofNanos(oneOf(1, 2_000_000)));
        default -> { } // none
      }
      builder.allowedConfidence(random.nextBoolean()).earlyStop(random.nextBoolean()).prune(random.nextInt(4) == 0);
      try {
        Decoding decoding = builder.build();
        boolean canBe = switch (decoding.algorithm()) {
          case WINO -> wino;
          case CONFIDENCE_THRESHOLD -> decoding.cache() != BlockCache.MODEL; // these models ask for none
          default -> true;
        };
        if (canBe) {
          return decoding;
        }
      } catch (InvalidArgumentException another) {
        continue;
      }
    }
  }

  @SafeVarargs
  private <T> T oneOf(T... values) {
    return values[random.nextInt(values.length)];
  }
}
