package io.github.dimple4j.json;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class StrictJsonTest {
  /** Whatever is wrong is named with its place, as no library would; \n and \t stand for what they do. */
  @ParameterizedTest
  @CsvSource(delimiter = '|', quoteCharacter = '`', value = {
      "{\"a\": 1             | line 1, column 8: ends too early, expected ',' or '}'",
      "{\"a\"               | line 1, column 5: ends too early, expected ':'",
      "[1, 2                | line 1, column 6: ends too early, expected ',' or ']'",
      "{\"a\": \"bc         | line 1, column 7: the text that begins here does not end",
      "[NaN]                | line 1, column 2: 'NaN', expected a value",
      "[-Infinity]          | line 1, column 3: 'Infinity', expected a digit",
      "[True]               | line 1, column 2: 'True', expected a value",
      "[truely]             | line 1, column 2: 'truely', expected a value",
      "[1,]                 | line 1, column 4: ']', expected a value",
      "{\"a\": 1,}          | line 1, column 9: '}', expected a key in double quotation marks",
      "{'a': 1}             | line 1, column 2: ''', expected a key in double quotation marks",
      "{a: 1}               | line 1, column 2: 'a', expected a key in double quotation marks",
      "[1] // what          | line 1, column 5: goes on with '/' behind the value",
      "1\\n\\n 2            | line 3, column 2: goes on with '2' behind the value",
      "[1 2]                | line 1, column 4: '2', expected ',' or ']'",
      "[01]                 | line 1, column 2: the number '01]' begins with 0",
      "[1.]                 | line 1, column 4: ']', expected a digit",
      "[.5]                 | line 1, column 2: '.5', expected a value",
      "[+1]                 | line 1, column 2: '+1', expected a value",
      "[0x10]               | line 1, column 3: 'x10', expected the end of the number",
      "[\"a\\tb\"]          | line 1, column 4: the control character U+0009 within a text, expected \\u0009",
      "[\"\\x\"]            | line 1, column 4: 'x', expected behind a backslash one of \" \\ / b f n r t u",
      "[\"\\u12g4\"]        | line 1, column 7: 'g4', expected four hexadecimal digits behind \\u",
      "{\"ä\": 1, \"ä\": 2} | line 1, column 10: the key 'ä' is given twice",
      "{\"\\u0061\":1,\"a\":2} | line 1, column 13: the key 'a' is given twice",
      "[\u00a0]             | line 1, column 2: 'U+00A0', expected a value",
      "[\u201ca\u201d]      | line 1, column 2: '\u201c', expected a value",
      "<html>               | line 1, column 1: '<', expected a value"})
  void whatIsWrongIsNamedWithItsPlace(String text, String message) {
    String json = text.contains("\\x") || text.contains("\\u") ? text : text.replace("\\n", "\n").replace("\\t", "\t");
    assertThatThrownBy(() -> StrictJson.DECIMALS.read(json)).isInstanceOf(MalformedJsonException.class).hasMessage(message);
    assertThatThrownBy(() -> StrictJson.DOUBLES.read(json.getBytes(StandardCharsets.UTF_8))).hasMessage(message);
  }

  @Test
  void limitsAreNamed() {
    for (String beyond : List.of("1e99999999999", "-1.5E+3000000000", "1e-3000000000")) {
      assertThatThrownBy(() -> StrictJson.DECIMALS.read("[" + beyond + "]"))
          .hasMessage("line 1, column 2: the number '" + beyond + "' has an exponent beyond all bounds");
    }
    assertThatThrownBy(() -> StrictJson.DOUBLES.read("[".repeat(100_000)))
        .hasMessage("line 1, column 201: objects and lists lie within each other more than 200 deep");
    assertThatThrownBy(() -> StrictJson.DOUBLES.read("9".repeat(1001)))
        .hasMessage("line 1, column 1: a number of 1001 characters, more than the 1000 that are read");
    assertThatThrownBy(() -> StrictJson.DOUBLES.read(new byte[] {'[', '"', (byte) 0xc3, '"', ']'})).hasMessage("byte 2 is no UTF-8");
  }

  @Test
  void whatIsRightIsRead() throws MalformedJsonException {
    String longest = "x".repeat(60_000);
    assertThat(StrictJson.DOUBLES.read("\ufeff{\"" + longest + "\": 1}").has(longest)).isTrue();
    assertThat(StrictJson.DECIMALS.read("\ufeff[0.10]".getBytes(StandardCharsets.UTF_8)).get(0).decimalValue()).hasToString("0.10");
    assertThat(StrictJson.DOUBLES.read("[".repeat(200) + "]".repeat(200)).isArray()).isTrue();
    assertThat(StrictJson.DOUBLES.read(" \n").isMissingNode()).isTrue();
  }

  /** The grammar finds a fault wherever the reader does, and the other way round: of texts with a few bytes changed. */
  @Test
  void readerAndGrammarAgree() {
    String[] pieces = {"{", "}", "[", "]", ",", ":", "\"a\"", "\"b\\n\"", "1", "-0.5e+3", "true", "null", " ", "\n", "\\", "\"", "0", ".", "e",
        "\u00e9"};
    Random random = new Random(11);
    int read = 0;
    for (int i = 0; i < 5_000; i++) {
      StringBuilder text = new StringBuilder();
      for (int j = random.nextInt(9); j >= 0; j--) {
        text.append(pieces[random.nextInt(pieces.length)]);
      }
      String message;
      try {
        read += StrictJson.DECIMALS.read(text.toString()).isMissingNode() ? 0 : 1;
        continue;
      } catch (MalformedJsonException malformed) {
        message = malformed.getMessage();
      }
      assertThat(message).as(text.toString()).startsWith("line ").doesNotContain("\n");
    }
    assertThat(read).isGreaterThan(100);
  }
}
