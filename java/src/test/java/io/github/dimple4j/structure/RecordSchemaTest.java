package io.github.dimple4j.structure;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.annotation.JsonAlias;
import com.fasterxml.jackson.annotation.JsonFormat;
import com.fasterxml.jackson.annotation.JsonIgnore;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.github.dimple4j.InvalidArgumentException;
import io.github.dimple4j.Template;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.LocalDate;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Random;
import java.util.Set;
import java.util.UUID;
import org.junit.jupiter.api.Test;

class RecordSchemaTest {
  public enum Kind { CAT, DOG }

  public record Animal(Kind kind, int count, Optional<String> colour) {}

  public record Everything(Animal animal, List<Animal> others, String name, char letter, boolean tame, byte small, long large, BigInteger huge,
      double weight, float height, BigDecimal price, OptionalInt age, Map<String, Integer> scores, int[] numbers, LocalDate day, Instant time,
      UUID id) {}

  public record Node(List<Node> children) {}

  public record WithSet(Set<String> tags) {}

  @Test
  void saysWhatTheComponentsAre() {
    assertThat(RecordSchema.of(Animal.class)).hasToString("{\"type\":\"object\",\"properties\":{\"kind\":{\"enum\":[\"CAT\",\"DOG\"]},"
        + "\"count\":{\"type\":\"integer\",\"minimum\":-2147483648,\"maximum\":2147483647},\"colour\":{\"type\":\"string\"}},"
        + "\"required\":[\"kind\",\"count\"],\"additionalProperties\":false}");
    ByteAutomaton automaton = Template.of(Animal.class).automaton().orElseThrow();
    assertThat(automaton.accepts("{\"kind\": \"DOG\", \"count\": -12}".getBytes(StandardCharsets.UTF_8))).isTrue();
    assertThat(automaton.accepts("{\"kind\": \"DOG\", \"count\": 2147483648}".getBytes(StandardCharsets.UTF_8))).isFalse();
    assertThat(automaton.accepts("{\"count\": 1, \"kind\": \"DOG\"}".getBytes(StandardCharsets.UTF_8))).isFalse();
  }

  @Test
  void whatTheAutomatonAcceptsIsAnInstance() {
    RandomTexts texts = new RandomTexts(Template.of(Everything.class).automaton().orElseThrow(), new Random(3));
    for (int i = 0; i < 100; i++) {
      String text = new String(texts.next(5 * i), StandardCharsets.UTF_8);
      assertThat(RecordSchema.read(text, Everything.class)).as(text).isNotNull();
    }
    Animal cat = RecordSchema.read("{\"kind\":\"CAT\",\"count\":3}", Animal.class);
    assertThat(cat).isEqualTo(new Animal(Kind.CAT, 3, Optional.empty()));
  }

  public record Renamed(@JsonProperty("n") int count, @JsonPropertyDescription("what it is called") @JsonAlias("title") String name) {}

  public record Ignoring(@JsonIgnore int count) {}

  public record ReadOnly(@JsonProperty(access = JsonProperty.Access.READ_ONLY) int count) {}

  @JsonFormat(shape = JsonFormat.Shape.ARRAY)
  public record AsArray(int count) {}

  /** What Jackson reads differently from what the components' names say: the name is taken over, all else refused. */
  @Test
  void annotationsCountOrAreRefused() {
    assertThat(RecordSchema.of(Renamed.class).toString()).contains("\"required\":[\"n\",\"name\"]");
    assertThat(RecordSchema.read("{\"n\":3,\"name\":\"x\"}", Renamed.class)).isEqualTo(new Renamed(3, "x"));
    assertThatThrownBy(() -> RecordSchema.of(Ignoring.class)).isInstanceOf(InvalidArgumentException.class)
        .hasMessage("Ignoring.count: @JsonIgnore changes how it is read, of which its schema knows nothing");
    assertThatThrownBy(() -> RecordSchema.of(ReadOnly.class)).hasMessageContaining("@JsonProperty keeps it from being read");
    assertThatThrownBy(() -> RecordSchema.of(AsArray.class)).hasMessageStartingWith("AsArray: @JsonFormat");
  }

  public sealed interface Shape permits Square {}

  public record Square(int side) implements Shape {}

  public record Drawing(Shape shape) {}

  @Test
  void refusesWhatHasNoSchema() {
    assertThatThrownBy(() -> RecordSchema.of(Drawing.class))
        .hasMessageMatching("Drawing.shape is of type .*Shape, of which no schema can be made");
    assertThatThrownBy(() -> RecordSchema.of(Node.class)).isInstanceOf(InvalidArgumentException.class)
        .hasMessage("Node.children: the record io.github.dimple4j.structure.RecordSchemaTest$Node lies within itself");
    assertThatThrownBy(() -> RecordSchema.of(WithSet.class)).hasMessageStartingWith("WithSet.tags is of type java.util.Set<");
    assertThatThrownBy(() -> RecordSchema.of(String.class)).hasMessage("java.lang.String is no record");
    assertThatThrownBy(() -> RecordSchema.read("{\"kind\":\"COW\"}", Animal.class)).hasMessageStartingWith("no Animal in the answer: ");
  }
}
