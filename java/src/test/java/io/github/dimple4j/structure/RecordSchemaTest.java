package io.github.dimple4j.structure;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.annotation.JsonAlias;
import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonFormat;
import com.fasterxml.jackson.annotation.JsonIgnore;
import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import com.fasterxml.jackson.annotation.JsonValue;
import io.github.dimple4j.InvalidArgumentException;
import io.github.dimple4j.Template;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.OffsetDateTime;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.Random;
import java.util.Set;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

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

  @JsonIgnoreProperties(ignoreUnknown = true)
  public record Lenient(int count) {}

  @JsonIgnoreProperties("count")
  public record Blind(int count) {}

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
    assertThat(RecordSchema.of(Lenient.class).toString()).contains("\"required\":[\"count\"]");
    assertThatThrownBy(() -> RecordSchema.of(Blind.class)).hasMessageStartingWith("Blind: @JsonIgnoreProperties changes how it is read");
    assertThatThrownBy(() -> RecordSchema.of(ReadOnly.class)).hasMessageContaining("@JsonProperty keeps it from being read");
    assertThatThrownBy(() -> RecordSchema.of(AsArray.class)).hasMessageStartingWith("AsArray: @JsonFormat");
  }

  public record Page<T>(List<T> items, Optional<T> best, Map<Kind, ? extends List<T>> byKind, T[] more) {}

  public record Box<T>(T inside) {}

  public record Answer(Page<Animal> animals, Box<Box<Integer>> box, LocalDateTime start, LocalTime end, Optional<List<? extends Shape>> shapes,
      Square square) {}

  public sealed interface Shape permits Square, Round, Nothing {}

  public sealed interface Round extends Shape permits Circle, Ellipse {}

  public record Square(int side) implements Shape {}

  public record Circle(double radius, Optional<String> name) implements Round {}

  public record Ellipse(double width, double height) implements Round {}

  public record Nothing() implements Shape {}

  public record Drawing(Shape shape) {}

  @Test
  void genericRecordsAndSealedInterfaces() {
    for (Class<? extends Record> type : List.of(Answer.class, Drawing.class)) {
      RandomTexts texts = new RandomTexts(Template.of(type).automaton().orElseThrow(), new Random(5));
      for (int i = 0; i < 200; i++) {
        String text = new String(texts.next(5 * i), StandardCharsets.UTF_8);
        assertThat(RecordSchema.read(text, type)).as(text).isNotNull();
      }
    }
    assertThat(RecordSchema.of(Drawing.class).toString()).contains("{\"const\":\"Ellipse\"}", "\"required\":[\"type\",\"width\",\"height\"]");
    assertThat(RecordSchema.read("{\"shape\":{\"type\":\"Circle\",\"radius\":2.5}}", Drawing.class))
        .isEqualTo(new Drawing(new Circle(2.5, Optional.empty())));
    Answer answer = RecordSchema.read("{\"animals\":{\"items\":[{\"kind\":\"CAT\",\"count\":3}],\"byKind\":{\"DOG\":[]},\"more\":[]},"
        + "\"box\":{\"inside\":{\"inside\":7}},\"start\":\"2024-02-28T23:59:59\",\"end\":\"00:00:00\",\"square\":{\"side\":1},"
        + "\"shapes\":[{\"type\":\"Square\",\"side\":2},{\"type\":\"Nothing\"}]}", Answer.class);
    assertThat(answer.animals().items()).containsExactly(new Animal(Kind.CAT, 3, Optional.empty()));
    assertThat(answer.animals().byKind()).containsOnlyKeys(Kind.DOG);
    assertThat(answer.box().inside().inside()).isEqualTo(7);
    assertThat(answer.shapes().orElseThrow()).isEqualTo(List.of(new Square(2), new Nothing()));
    assertThat(answer.square()).isEqualTo(new Square(1));
  }

  public record Huge(BigInteger whole, Optional<BigDecimal> part) {}

  /** Jackson would stop at 1,000 digits, which a schema of numbers without bounds admits. */
  @Test
  void numbersAreAsLongAsAnAnswer() {
    String digits = "7".repeat(1500);
    String text = "{\"whole\":" + digits + ",\"part\":0." + digits + "}";
    assertThat(Template.of(Huge.class).automaton().orElseThrow().accepts(text.getBytes(StandardCharsets.UTF_8))).isTrue();
    assertThat(RecordSchema.read(text, Huge.class)).isEqualTo(new Huge(new BigInteger(digits), Optional.of(new BigDecimal("0." + digits))));
  }

  public record Measures(double a, Double b, OptionalDouble c, double[] d, List<Double> e, float f, Float g, float[] h) {}

  /** Nothing comes back infinite, and all that comes back is the nearest value to the text: what the automaton admits, and what other schemas do. */
  @Test
  void numbersAreFiniteOrRefused() {
    ByteAutomaton automaton = Template.of(Measures.class).automaton().orElseThrow();
    int held = 0;
    for (String number : List.of("7".repeat(30), "9".repeat(40), "9".repeat(41), "9".repeat(308), "1" + "0".repeat(308), "9".repeat(309), "9".repeat(400), "1e199",
        "9".repeat(40) + "e199", "9".repeat(39) + "." + "9".repeat(400) + "E+199", "1e200", "1e308", "1e309", "1e-199", "0." + "0".repeat(400) + "1", "0.1")) {
      for (String sign : List.of("", "-")) {
        double value = Double.parseDouble(sign + number);
        String text = "{\"a\":N,\"b\":N,\"c\":N,\"d\":[N],\"e\":[N],\"f\":0,\"g\":0,\"h\":[0]}".replace("N", sign + number);
        boolean accepted = automaton.accepts(text.getBytes(StandardCharsets.UTF_8));
        assertThat(accepted && Double.isInfinite(value)).as(text).isFalse();
        held += accepted ? 1 : 0;
        if (Double.isInfinite(value)) {
          for (String place : List.of("\"a\":", "\"b\":", "\"c\":", "\"d\":[", "\"e\":[", "\"f\":", "\"g\":", "\"h\":[")) {
            String one = "{\"a\":0,\"b\":0,\"c\":0,\"d\":[0],\"e\":[0],\"f\":0,\"g\":0,\"h\":[0]}".replace(place + "0", place + sign + number);
            assertThatThrownBy(() -> RecordSchema.read(one, Measures.class)).as(place).isInstanceOf(InvalidArgumentException.class)
                .hasMessageContaining("infinite");
          }
        } else {
          Measures read = RecordSchema.read(text, Measures.class);
          assertThat(new double[] {read.a(), read.b(), read.c().orElseThrow(), read.d()[0], read.e().getFirst()}).as(text).containsOnly(value);
        }
      }
    }
    assertThat(held).isEqualTo(16);
    assertThatThrownBy(() -> RecordSchema.read("{\"a\":0,\"b\":0,\"c\":0,\"d\":[0],\"e\":[0],\"f\":1e39,\"g\":0,\"h\":[0]}", Measures.class))
        .hasMessage("no Measures in the answer: f: a number that is infinite for a float");
  }

  public record Times(Instant a, OffsetDateTime b, LocalDate c, LocalDateTime d, LocalTime e, char f, long g, short h, BigDecimal i) {}

  /** What is read is what the text says: no time in another zone, no letter that is half of one. */
  @Test
  void valuesAreThoseOfTheText() {
    RandomTexts texts = new RandomTexts(Template.of(Times.class).automaton().orElseThrow(), new Random(8));
    for (int i = 0; i < 60; i++) {
      String text = new String(texts.next(6 * i), StandardCharsets.UTF_8);
      JsonNode said = JsonMapper.shared().readTree(text);
      Times read = RecordSchema.read(text, Times.class);
      assertThat(read.a()).as(text).isEqualTo(OffsetDateTime.parse(said.get("a").stringValue()).toInstant());
      assertThat(read.b()).as(text).isEqualTo(OffsetDateTime.parse(said.get("b").stringValue())).hasToString(
          OffsetDateTime.parse(said.get("b").stringValue()).toString());
      assertThat(read.c()).as(text).isEqualTo(LocalDate.parse(said.get("c").stringValue()));
      assertThat(read.d()).as(text).isEqualTo(LocalDateTime.parse(said.get("d").stringValue()));
      assertThat(read.e()).as(text).isEqualTo(LocalTime.parse(said.get("e").stringValue()));
      assertThat(String.valueOf(read.f())).as(text).isEqualTo(said.get("f").stringValue());
      assertThat(read.g()).as(text).isEqualTo(said.get("g").longValue());
      assertThat(read.h()).as(text).isEqualTo(said.get("h").shortValue());
    }
  }

  public record WrittenOut(@JsonProperty("n") int count) {
    public int count() {
      return count;
    }
  }

  public record HiddenAnnotation(@JsonIgnore int count) {
    public int count() {
      return count;
    }
  }

  public record Twice(@JsonProperty("b") int a, int b) {}

  public record Made(int a) {
    @JsonCreator
    public static Made of(String text) {
      return new Made(text.length());
    }
  }

  public record Value(int a) {
    @JsonValue
    public String text() {
      return "" + a;
    }
  }

  public record Growing<T>(Optional<Growing<List<T>>> next, T value) {}

  public record Grown(Growing<String> start) {}

  public sealed interface Tagged permits Typed {}

  public record Typed(String type) implements Tagged {}

  public record OfTagged(Tagged tagged) {}

  public sealed interface Half permits Open {}

  public static non-sealed class Open implements Half {}

  public record OfHalf(Half half) {}

  public record Raw<T>(T value) {}

  /** Where Jackson looks for annotations and the accessor has none. */
  @Test
  void nothingIsReadOtherwiseThanTheSchemaSays() {
    assertThat(RecordSchema.of(WrittenOut.class).toString()).contains("\"required\":[\"n\"]");
    assertThat(RecordSchema.read("{\"n\":3}", WrittenOut.class)).isEqualTo(new WrittenOut(3));
    Map.of(HiddenAnnotation.class, "HiddenAnnotation.count: @JsonIgnore changes how it is read, of which its schema knows nothing",
        Twice.class, "Twice has two components of the name b",
        Made.class, "Made.of: @JsonCreator changes how it is read, of which its schema knows nothing",
        Value.class, "Value.text: @JsonValue changes how it is read, of which its schema knows nothing",
        OfTagged.class, "OfTagged.tagged: " + Typed.class.getName() + " has a component type, which tells the records of " + Tagged.class.getName()
            + " apart",
        OfHalf.class, "OfHalf.half is of type " + Half.class.getName() + ", which permits " + Open.class.getName() + ", of which no schema can be made",
        Raw.class, "Raw.value is of type T, of which no schema can be made").forEach((type, message) ->
            assertThatThrownBy(() -> RecordSchema.of(type)).isInstanceOf(InvalidArgumentException.class).hasMessage(message));
    assertThatThrownBy(() -> RecordSchema.of(Grown.class)).isInstanceOf(InvalidArgumentException.class)
        .hasMessageEndingWith("the record " + Growing.class.getName() + " lies within itself");
  }

  @Test
  void refusesWhatHasNoSchema() {
    assertThatThrownBy(() -> RecordSchema.of(Node.class)).isInstanceOf(InvalidArgumentException.class)
        .hasMessage("Node.children: the record io.github.dimple4j.structure.RecordSchemaTest$Node lies within itself");
    assertThatThrownBy(() -> RecordSchema.of(WithSet.class)).hasMessageStartingWith("WithSet.tags is of type java.util.Set<");
    assertThatThrownBy(() -> RecordSchema.of(String.class)).hasMessage("java.lang.String is no record");
    assertThatThrownBy(() -> RecordSchema.read("{\"kind\":\"COW\"}", Animal.class)).hasMessageStartingWith("no Animal in the answer: kind: ");
  }
}
