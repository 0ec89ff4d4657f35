package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.github.dimple4j.structure.ByteAutomaton;
import io.github.dimple4j.structure.JsonSchema;
import io.github.dimple4j.structure.Piece;
import io.github.dimple4j.structure.SchemaOptions;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Responses of a random model that are held to automata. */
@Timeout(60)
class ConstrainedSessionTest {
  private static final List<Algorithm> ALGORITHMS =
      List.of(Algorithm.ORIGIN, Algorithm.ORIGIN_RATIO, Algorithm.AUTOREGRESSIVE, Algorithm.MASKGIT_PLUS, Algorithm.ENTROPY);

  @TempDir static Path folder;
  private static DimpleModel model;

  @BeforeAll
  static void load() throws IOException {
    model = DimpleModel.load(TinyModel.ofText().write(folder.resolve("model.gguf")));
  }

  @AfterAll
  static void close() {
    model.close();
  }

  /** A text, then lower-case letters, a number of them or more, then another text; the letters are a slot of that many tokens, 0: none. */
  private static ByteAutomaton letters(String before, int atLeast, String after, int slotTokens) {
    int inside = before.length() + atLeast;
    int states = inside + after.length() + 1;
    int[] next = new int[states * 256];
    Arrays.fill(next, ByteAutomaton.NONE);
    byte[] classes = new byte[256];
    for (int value = 0; value < 256; value++) {
      classes[value] = (byte) value;
    }
    for (int i = 0; i < before.length(); i++) {
      next[i * 256 + before.charAt(i)] = i + 1;
    }
    for (int i = before.length(); i <= inside; i++) {
      for (int letter = 'a'; letter <= 'z'; letter++) {
        next[i * 256 + letter] = Math.min(i + 1, inside);
      }
    }
    for (int i = 0; i < after.length(); i++) {
      next[(inside + i) * 256 + after.charAt(i)] = inside + i + 1;
    }
    boolean[] accepting = new boolean[states];
    accepting[states - 1] = true;
    if (slotTokens == 0) {
      return new ByteAutomaton(states, 256, classes, next, accepting);
    }
    int[] slots = IntStream.range(0, states).map(i -> i >= before.length() && i <= inside ? 0 : ByteAutomaton.NONE).toArray();
    return new ByteAutomaton(states, 256, classes, next, accepting, slots, new int[] {slotTokens});
  }

  private static Session session(ByteAutomaton automaton, int length) {
    return model.session().prompt("hello").response(automaton).responseLength(length).prefill();
  }

  @Test
  void everyAnswerIsAccepted() {
    ByteAutomaton automaton = letters("{\"name\": \"", 1, "\"}", 0);
    try (var session = session(automaton, 24)) {
      for (Pipeline pipeline : Pipeline.values()) {
        if (pipeline == Pipeline.DREAMON) {
          continue; // a response that changes its length is held to nothing
        }
        for (Algorithm algorithm : ALGORITHMS) {
          for (int seed = 0; seed < 6; seed++) {
            Decoding.Builder builder = Decoding.builder().pipeline(pipeline).seed(seed).temperature(seed % 2 * 1.5f)
                .steps(seed < 3 ? 24 : 5).threshold(pipeline == Pipeline.DIM ? 0.3f : 0);
            Decoding decoding;
            try {
              decoding = builder.algorithm(algorithm).build();
            } catch (InvalidArgumentException e) {
              continue; // not every pipeline has every algorithm
            }
            Generation answer = session.decode(decoding);
            assertThat(answer.text()).as("%s %s %d", pipeline, algorithm, seed)
                .matches(text -> automaton.accepts(text.getBytes(StandardCharsets.UTF_8)));
          }
        }
      }
    }
  }

  @Test
  void theLastStepCompletesWhatIsMasked() {
    try (var session = session(letters("ab", 3, "c", 0), 12)) {
      Decoding decoding = Decoding.builder().pipeline(Pipeline.DREAM).algorithm(Algorithm.AUTOREGRESSIVE).steps(2).build();
      var steps = session.steps(decoding).iterator();
      assertThat(steps.next().remaining()).isPositive();
      Step last = steps.next();
      assertThat(last.done()).isTrue();
      assertThat(last.remaining()).isZero();
      assertThat(last.revealed()).isSortedAccordingTo((a, b) -> Integer.compare(a.position(), b.position())).hasSizeGreaterThan(1);
      assertThat(session.generation().text()).matches("ab[a-z]{3,}c");
    }
  }

  @Test
  void theLastStepFillsWhatIsBehindTheEndToo() {
    try (var session = session(Piece.literal("ab").compile(), 12)) {
      Decoding.Builder few = Decoding.builder().pipeline(Pipeline.DREAM).algorithm(Algorithm.AUTOREGRESSIVE).steps(4);
      assertThat(session.decode(few.earlyStop(true).build()).canvas().remaining()).isPositive();
      Generation whole = session.decode(few.earlyStop(false).build());
      assertThat(whole.canvas().remaining()).isZero();
      assertThat(whole.text()).isEqualTo("ab");
      assertThat(whole.finish()).isEqualTo(Finish.END_OF_TEXT);
    }
  }

  @Test
  void aDecodingThatIsNotGoneOnWithCanBeCompleted() {
    try (var session = session(letters("ab", 3, "c", 0), 12)) {
      assertThatExceptionOfType(SessionStateException.class).isThrownBy(session::complete);
      session.steps(Decoding.builder().build()).iterator();
      Generation shortest = session.complete();
      assertThat(shortest.text()).matches("ab[a-z]{3}c");
      assertThat(shortest.iterations()).isZero();
      var steps = session.steps(Decoding.builder().threshold(0).build()).iterator();
      steps.next();
      assertThat(session.complete().text()).matches("ab[a-z]{3,}c");
    }
    try (var session = model.session().prompt("hello").prefill()) {
      session.steps(Decoding.builder().build()).iterator();
      assertThatExceptionOfType(SessionStateException.class).isThrownBy(session::complete).withMessageContaining("no structure");
    }
  }

  @Test
  void aRandomModelYieldsEveryLengthAndBothStatesOfAnOption() {
    String schema = """
        {"type": "object", "properties": {"a": {"type": "boolean"}, "b": {"type": "array", "items": {"enum": ["red", "green"]},
         "maxItems": 2}}, "required": ["b"], "additionalProperties": false}""";
    Set<String> seen = new TreeSet<>();
    try (var session = session(JsonSchema.of(schema).compile(SchemaOptions.PRODUCING), 40)) {
      for (int seed = 0; seed < 100; seed++) {
        String text = session.decode(Decoding.builder().temperature(1.5f).threshold(0.3f).seed(seed).build()).text();
        assertThat(text).matches("\\{(\"a\": ?(true|false), ?)?\"b\": ?\\[(\"(red|green)\"(, ?)?){0,2}]}");
        seen.add(text.contains("\"a\"") ? "a" : "no a");
        seen.add(text.split("re").length - 1 + " items"); // in both words
      }
    }
    assertThat(seen).containsExactly("0 items", "1 items", "2 items", "a", "no a");
  }

  /**
   * Above temperature 0 every way is taken now and then, whatever the pipeline: of lengths of texts, lists and numbers, options and
   * choices. Hot, so that all tokens have about the same probability.
   */
  @Test
  void aRandomModelYieldsEveryLengthOfEverything() {
    Template template = Template.of(Template.optional("<", Template.pattern("[ab]{0,3}"), ">"),
        Template.list(0, 3, ",", Template.choice("x", "yy", "zzz")), Template.optional("#"), Template.integer(1, 999));
    List<Decoding.Builder> ways = List.of(Decoding.builder().threshold(0.3f),
        Decoding.builder().pipeline(Pipeline.DREAM).threshold(0).steps(8),
        Decoding.builder().pipeline(Pipeline.LLADA).threshold(0.3f).blockLength(5), Decoding.builder().pipeline(Pipeline.LLADA).threshold(0)
        .algorithm(Algorithm.ENTROPY_BOUND).blockLength(7).cache(BlockCache.DUAL));
    for (Decoding.Builder way : ways) {
      Set<String> seen = new TreeSet<>();
      try (var session = model.session().prompt("hello").response(template).responseLength(24).prefill()) {
        for (int seed = 0; seed < 300; seed++) {
          String text = session.decode(way.temperature(6).seed(seed).build()).text();
          Matcher parts = Pattern.compile("(<[ab]*>)?((?:x|yy|zzz)(?:,(?:x|yy|zzz))*)?(#?)([1-9][0-9]*)").matcher(text);
          assertThat(parts.matches()).as(text).isTrue();
          seen.add(parts.group(1) == null ? "no text" : "text of " + (parts.group(1).length() - 2));
          List<String> members = parts.group(2) == null ? List.of() : List.of(parts.group(2).split(","));
          seen.addAll(members);
          seen.add("list of " + members.size());
          seen.add(parts.group(3).isEmpty() ? "no sign" : "sign");
          seen.add("digits: " + parts.group(4).length());
        }
      }
      assertThat(seen).as("%s", way.build()).containsExactly("digits: 1", "digits: 2", "digits: 3", "list of 0", "list of 1", "list of 2",
          "list of 3", "no sign", "no text", "sign", "text of 0", "text of 1", "text of 2", "text of 3", "x", "yy", "zzz");
    }
  }

  @Test
  void slotsCountTokens() {
    try (var session = session(letters("<", 0, ">", 2), 24)) {
      for (int seed = 0; seed < 20; seed++) {
        Generation answer = session.decode(Decoding.builder().seed(seed).temperature(2).build());
        long inside = Arrays.stream(answer.tokens()).filter(id -> id < 261 && model.tokenizer().token(id).matches("[a-z]+")).count();
        assertThat(answer.text()).matches("<[a-z]*>");
        assertThat(inside).isLessThanOrEqualTo(2);
      }
    }
  }

  @Test
  void fixedTokensTakePart() {
    ByteAutomaton automaton = letters("ab", 3, "c", 0);
    int z = model.tokenizer().id("z").orElseThrow();
    try (var session = model.session().prompt("hello").response(automaton).responseLength(12).prior(4, z).prefill()) {
      assertThat(session.decode(Decoding.builder().build()).tokens()[4]).isEqualTo(z);
    }
    SessionBuilder wrong = model.session().prompt("hello").response(automaton).responseLength(12).prior(0, z);
    assertThatExceptionOfType(InvalidArgumentException.class).isThrownBy(wrong::open)
        .withMessageContaining("token " + z + " at position 0");
  }

  @Test
  void whatCannotBeIsRefused() {
    ByteAutomaton automaton = letters("ab", 3, "c", 0);
    assertThatExceptionOfType(ContextLimitException.class).isThrownBy(() -> session(automaton, 3))
        .withMessageContaining("has 4 tokens, but the response has 3");
    SessionBuilder both = model.session().prompt("hello").response(automaton).response(Template.of("a"));
    assertThatExceptionOfType(InvalidArgumentException.class).isThrownBy(both::open).withMessageContaining("expected one of them");
    ByteAutomaton nothing = new ByteAutomaton(1, 1, new byte[256], new int[] {0}, new boolean[] {false});
    assertThatExceptionOfType(InvalidArgumentException.class).isThrownBy(() -> session(nothing, 5))
        .withMessageContaining("accepts nothing");
  }

  @Test
  void sessionsShareAConstraint() {
    ByteAutomaton automaton = letters("{\"name\": \"", 1, "\"}", 0);
    Decoding decoding = Decoding.builder().temperature(1).seed(3).build();
    List<String> answers = IntStream.range(0, 8).parallel().mapToObj(i -> {
      try (var session = session(automaton, 24)) {
        return session.decode(decoding).text();
      }
    }).toList();
    assertThat(answers).allMatch(answers.getFirst()::equals);
  }

  @Test
  void constraintsAreKeptAndFreedWithTheModel() throws IOException {
    var other = DimpleModel.load(folder.resolve("model.gguf"));
    var session = other.session().prompt("hello").response(letters("a", 1, "", 0)).responseLength(8).prefill();
    for (int i = 0; i < 40; i++) { // more than are kept
      other.session().prompt("hello").response(letters("b", i % 35, "", 0)).responseLength(40).open().close();
    }
    other.close();
    assertThat(session.decode(Decoding.builder().build()).text()).matches("a[a-z]+");
    session.close();
  }
}
