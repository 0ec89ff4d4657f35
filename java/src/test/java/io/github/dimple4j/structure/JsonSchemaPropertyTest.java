package io.github.dimple4j.structure;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.node.ObjectNode;

/**
 * Automata of random schemas against another's validator: what they accept is valid. {@code -Ddimple.schemas=N} takes N schemas, for the
 * long run.
 */
class JsonSchemaPropertyTest {
  private static final int SCHEMAS = Integer.getInteger("dimple.schemas", 150);

  @Test
  void whatIsAcceptedIsValid() {
    RandomSchemas schemas = new RandomSchemas(7);
    Random random = new Random(8);
    List<String> refused = new ArrayList<>();
    for (int i = 0; i < SCHEMAS; i++) {
      ObjectNode schema = schemas.next();
      Validator validator = new Validator(schema.toString());
      for (SchemaOptions options : List.of(SchemaOptions.PRODUCING, SchemaOptions.JUDGING.withMaxStates(60_000))) {
        ByteAutomaton automaton;
        try {
          JsonSchema compiled = JsonSchema.of(schema);
          boolean produced = options.equals(SchemaOptions.PRODUCING); // then as templates have it, the least automaton
          automaton = produced ? Piece.json(compiled, options).compile() : compiled.compile(options);
        } catch (RefusedSchemaException e) {
          refused.add(e.getMessage() + " in " + schema);
          continue;
        }
        RandomTexts texts = new RandomTexts(automaton, random);
        assertThat(texts.hasDeadEnds()).as("%s", schema).isFalse();
        for (int length = 0; length <= 160; length += 40) {
          byte[] text = texts.next(length);
          assertThat(automaton.accepts(text)).isTrue();
          assertThat(validator.errors(text)).as("%s%n%s", schema, new String(text, StandardCharsets.UTF_8)).isEmpty();
          byte[] changed = changed(text, random);
          if (automaton.accepts(changed)) {
            assertThat(validator.errors(changed)).as("%s%n%s", schema, new String(changed, StandardCharsets.UTF_8)).isEmpty();
          }
        }
        byte[] shortest = automaton.shortest();
        assertThat(validator.errors(shortest)).as("%s%n%s", schema, new String(shortest, StandardCharsets.UTF_8)).isEmpty();
      }
    }
    // Alternatives that contradict each other fit nothing; of names that are not spelled out several cannot be asked for; all else is held.
    assertThat(refused).allMatch(message -> message.contains("no value fits the schema") || message.contains("names of others may repeat each other"));
    assertThat(refused).hasSizeLessThan(SCHEMAS / 5);
  }

  /** A text that most often is wrong: a byte changed, left out or doubled. */
  private static byte[] changed(byte[] text, Random random) {
    if (text.length == 0) {
      return text;
    }
    int at = random.nextInt(text.length);
    byte[] changed = text.clone();
    switch (random.nextInt(3)) {
      case 0 -> changed[at] = text[random.nextInt(text.length)];
      case 1 -> {
        changed = new byte[text.length - 1];
        System.arraycopy(text, 0, changed, 0, at);
        System.arraycopy(text, at + 1, changed, at, text.length - at - 1);
      }
      default -> changed[at] = (byte) "0123456789,.-{}[]\"".charAt(random.nextInt(18));
    }
    return changed;
  }
}
