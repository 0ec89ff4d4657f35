package io.github.dimple4j.structure.regex;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.dimple4j.structure.automaton.Dfa;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The dialect: what ECMA-262 refuses with {@code u} is refused, and what is accepted matches the same texts. */
class RegexTest {
  private static final int STATES = 20_000;

  /** What is refused beside that: no automaton holds it, or implementations read it differently. */
  private static final Pattern ALSO_REFUSED = Pattern.compile("(?:lookaround|a word boundary|a back reference|a class of POSIX|&& in brackets"
      + "|--\\[ in brackets|half of a surrogate pair)\\b.*", Pattern.DOTALL);

  private static Dfa search(String expression) {
    return Regex.search(expression, false, STATES);
  }

  @Test
  void backslashesBeforeHarmlessPunctuationSayNothing() {
    String punctuation = " !\"#%&,-:;=@~";
    String all = punctuation.chars().mapToObj(c -> "\\" + (char) c).collect(Collectors.joining());
    assertThat(search("^" + all + "$").accepts(punctuation)).isTrue();
    assertThat(search("^[" + all + "]{13}$").accepts(punctuation)).isTrue();
    assertThat(search("^[" + all + "]$").accepts("\\")).isFalse();
    assertThat(search("^[\\,-\\:]$").accepts("5")).isTrue();
  }

  @ParameterizedTest
  @CsvSource(quoteCharacter = '"', delimiterString = " => ", value = {
      "[a-\\d] => a range from or to a class of characters, which implementations read differently, at character 5",
      "[\\w-.] => a range from or to a class of characters",
      "[\\p{L}-z] => a range from or to a class of characters",
      "[z-a] => a range out of order at character 4",
      "\\_ => the unknown escape \\_ at character 2",
      "\\< => the unknown escape \\< at character 2",
      "[\\`] => the unknown escape \\` at character 3",
      "\\é => the unknown escape \\é at character 2",
      "[\\B] => the unknown escape \\B at character 3",
      "\\8 => a back reference at character 2",
      "\\07 => an octal escape, which implementations read differently, at character 2",
      "\\c => an unexpected end at character 2",
      "\\c1 => an escape \\c without its letter at character 3",
      "\\u{} => a code point that is none at character 3",
      "\\u{110000} => a code point that is none at character 9",
      "\\u{ => an unexpected end at character 3",
      "\\p{Unknown} => the unknown property Unknown at character 11",
      "\\p{foo=L} => the unknown property foo=L at character 9",
      "\\p{=L} => the unknown property =L at character 6",
      "\\p{sc=greek} => the unknown property sc=greek at character 12",
      "\\p{Greek} => the unknown property Greek at character 9",
      "\\pL => \\p without {name} at character 2",
      "a{ => a { without its bounds at character 2",
      "a{x} => a { without its bounds at character 2",
      "a{2 => a { without its bounds at character 3",
      "{ => nothing to repeat at character 0",
      "a} => a } without what it closes at character 1",
      "a] => a ] without what it closes at character 1",
      "a{2,1} => bounds out of order at character 5",
      "(?=a)* => lookaround at character 0",
      "^* => nothing to repeat at character 1",
      "a?{2} => nothing to repeat at character 2",
      "(?<n>a)(?<n>b) => a second group of the name n at character 12",
      "(?<n>a)|(?<\\u006e>b) => a second group of the name n at character 18",
      "(?<>a) => a group's name that is none at character 4",
      "(?<1>a) => a group's name that is none at character 4",
      "(?<a b>c) => a group's name that is none at character 5",
      "(?<a\\x41>c) => an escape in a group's name at character 5",
      "(?a) => a group of an unknown kind at character 2"})
  void whatUnicodeModeRefusesIsRefusedByName(String expression, String message) {
    assertThatThrownBy(() -> search(expression)).isInstanceOf(RegexException.class).hasMessageStartingWith(message);
  }

  @ParameterizedTest
  @ValueSource(strings = {"^(?<n>a)(?<ñ\\u{31}>b)$", "^[a\\-c]b$", "^a\\u{62}$", "^a{1}b{01,}$", "^\\p{gc=Lowercase_Letter}\\p{Script=Latin}$", "^[[a]b$", "^[--a][{}()*b]$"})
  void whatItAcceptsIsHeld(String expression) {
    assertThat(search(expression).accepts("ab")).isTrue();
    assertThat(search(expression).accepts("a-")).isFalse();
  }

  /** Beside JavaScript's verdicts; {@code -Ddimple.expressions=FILE} takes those of another run of {@code make_expressions.js}. */
  @Test
  void expressionsAtRandomAreReadAsJavaScriptReadsThem() throws IOException {
    int refused = 0;
    int held = 0;
    int found = 0;
    for (String line : lines()) {
      JsonNode row = JsonMapper.shared().readTree(line);
      String expression = row.get("expression").stringValue();
      if (!row.has("found")) {
        assertThatThrownBy(() -> search(expression)).as(expression).isInstanceOf(RegexException.class);
        refused++;
        continue;
      }
      Dfa narrow;
      Dfa wide;
      try {
        narrow = search(expression);
        wide = held % 8 == 0 ? Regex.search(expression, true, STATES) : narrow;
      } catch (RegexException e) {
        assertThat(e.getMessage()).as(expression).matches(ALSO_REFUSED);
        continue;
      }
      held++;
      for (int i = 0; i < row.get("texts").size(); i++) {
        String text = row.get("texts").get(i).stringValue();
        boolean expected = row.get("found").stringValue().charAt(i) == '1';
        assertThat(narrow.accepts(text)).as("%s in %s", expression, text).isEqualTo(expected);
        assertThat(wide.accepts(text)).as("%s in %s, read widely", expression, text).isEqualTo(expected);
        found += expected ? 1 : 0;
      }
    }
    assertThat(refused).isGreaterThan(150);
    assertThat(held).isGreaterThan(350);
    assertThat(found).isBetween(held, 5 * held);
  }

  private static List<String> lines() throws IOException {
    String other = System.getProperty("dimple.expressions");
    if (other != null) {
      return Files.readAllLines(Path.of(other));
    }
    try (InputStream in = RegexTest.class.getResourceAsStream("expressions.jsonl")) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8).lines().toList();
    }
  }

  /** Categories hold what Java counts to them; names of scripts are those of Unicode, letter by letter. */
  @Test
  void propertiesAreThoseOfUnicode() {
    assertThat(CharacterClasses.property("Lu").contains('A')).isTrue();
    assertThat(CharacterClasses.property("General_Category=Cased_Letter").contains('a')).isTrue();
    assertThat(CharacterClasses.property("C").contains(0x10FFFF)).isTrue();
    for (Character.UnicodeScript script : Character.UnicodeScript.values()) {
      assertThat(CharacterClasses.property("Script=" + script.name())).as(script.name()).isNull();
    }
    assertThat(CharacterClasses.property("Script=SignWriting")).isNotNull();
  }
}
