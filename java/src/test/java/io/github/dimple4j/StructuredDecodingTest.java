package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;

import io.github.dimple4j.structure.ByteAutomaton;
import io.github.dimple4j.structure.Completions;
import io.github.dimple4j.structure.JsonSchema;
import io.github.dimple4j.structure.Piece;
import io.github.dimple4j.structure.RandomSchemas;
import io.github.dimple4j.structure.RefusedSchemaException;
import io.github.dimple4j.structure.SchemaOptions;
import io.github.dimple4j.structure.Validator;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * Answers under random schemas, by a random model and by the bundled one, under random settings: each is JSON, fits its schema in the
 * judgement of another's validator, and could be completed after every iteration. {@code -Ddimple.structure.schemas=500} is the long run.
 */
class StructuredDecodingTest {
  private static final int SCHEMAS = Integer.getInteger("dimple.structure.schemas", 20);
  private static final int DECODINGS = 6; // under a schema with a model
  private static final JsonMapper STRICT = JsonMapper.builder().enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS).build();
  private static final List<Algorithm> ALGORITHMS =
      List.of(Algorithm.MASKGIT_PLUS, Algorithm.TOPK_MARGIN, Algorithm.ENTROPY, Algorithm.ORIGIN, Algorithm.AUTOREGRESSIVE,
          Algorithm.ORIGIN_RATIO, Algorithm.ENTROPY_BOUND, Algorithm.KLASS, Algorithm.CREDIT, Algorithm.HIERARCHY, Algorithm.WINO);

  @TempDir static Path folder;
  private static List<DimpleModel> models;

  private final Random random = new Random(10);
  private final Map<String, Integer> counts = new TreeMap<>();

  @BeforeAll
  static void load() throws IOException {
    models = List.of(DimpleModel.load(TinyModel.ofText().write(folder.resolve("model.gguf"))),
        DimpleModel.load(TinyModel.ofText().put("diffusion.shift_logits", false).write(folder.resolve("unshifted.gguf"))), // WINO needs it
        DimpleModel.load(Path.of("../models/mini/dimple-mini-f16.gguf")));
  }

  @AfterAll
  static void close() {
    models.forEach(DimpleModel::close);
  }

  @Test
  void everyAnswerFitsItsSchema() {
    RandomSchemas schemas = new RandomSchemas(11);
    for (int i = 0; i < SCHEMAS; i++) {
      ObjectNode schema = schemas.nextObject();
      ByteAutomaton automaton;
      try {
        automaton = Piece.json(JsonSchema.of(schema), SchemaOptions.PRODUCING).compile();
      } catch (RefusedSchemaException refused) {
        assertThat(refused).as("%s", schema).hasMessageContaining("no value fits the schema"); // its alternatives contradict each other
        count("fits nothing");
        continue;
      }
      Validator validator = new Validator(schema.toString());
      for (DimpleModel model : models) {
        decode(model, schema, automaton, validator);
      }
      count("schemas");
    }
    for (String keyword : RandomSchemas.KEYWORDS) {
      assertThat(schemas.uses(keyword)).as(keyword).isGreaterThanOrEqualTo(SCHEMAS / 10);
    }
    assertThat(counts.getOrDefault("fits nothing", 0)).isLessThanOrEqualTo(1 + SCHEMAS / 5);
    System.out.println("StructuredDecodingTest: " + counts);
  }

  private void decode(DimpleModel model, ObjectNode schema, ByteAutomaton automaton, Validator validator) {
    int length = automaton.shortest().length + random.nextInt(60); // a token is a byte or more
    Completions completions = new Completions(automaton, model);
    try (Session session = model.session().prompt("Say something.").response(automaton).responseLength(length).open()) {
      for (int i = 0; i < DECODINGS; i++) {
        Decoding decoding = decoding(length, !model.info().shiftLogits());
        String what = decoding + " of " + length + " tokens, schema " + schema;
        for (Step step : session.steps(decoding)) {
          if (!completions.exists(step.canvas().tokens())) {
            fail("no completion after iteration %d: %s, %s", step.iteration(), step.canvas().text(), what);
          }
          count("iterations");
        }
        Generation answer = session.generation();
        assertThat(answer.finish()).as(what).isIn(Finish.END_OF_TEXT, Finish.LENGTH);
        assertThat(answer.canvas().remaining()).as(what).isLessThanOrEqualTo(decoding.earlyStop() ? length - answer.textTokens().length : 0);
        assertThat(answer.textTokens()).as(what).doesNotContain(model.info().maskTokenId().orElseThrow());
        byte[] text = completions.text(answer.textTokens());
        assertThat(answer.text()).as(what).isEqualTo(new String(text, StandardCharsets.UTF_8));
        assertThat(STRICT.readTree(text).isObject()).as(what).isTrue();
        assertThat(validator.errors(text)).as("%s, %s", answer.text(), what).isEmpty();
        count("answers");
      }
    }
  }

  private void count(String what) {
    counts.merge(what, 1, Integer::sum);
  }

  /** Settings drawn at random until some go together. */
  private Decoding decoding(int length, boolean wino) {
    while (true) {
      Decoding.Builder builder = Decoding.builder().seed(random.nextInt(1000)).temperature(oneOf(0f, 1.5f))
          .pipeline(oneOf(Pipeline.DIM, Pipeline.DIM, Pipeline.LLADA, Pipeline.LLADA, Pipeline.DREAM)).algorithm(oneOf(ALGORITHMS.toArray(Algorithm[]::new)));
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
      builder.allowedConfidence(random.nextBoolean()).earlyStop(random.nextBoolean());
      try {
        Decoding decoding = builder.build();
        if (wino || decoding.algorithm() != Algorithm.WINO) {
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
