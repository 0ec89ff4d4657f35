package io.github.dimple4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SchemaCommandTest {
  private static final String SCHEMA = "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\",\"minimum\":3}},\"required\":[\"a\"]}";

  @TempDir private Path folder;

  @Test
  void saysWhatIsHeld() throws IOException {
    Path file = Files.writeString(folder.resolve("schema.json"), SCHEMA);
    for (String given : List.of(SCHEMA, file.toString())) {
      Output output = Output.of("schema", given);
      assertThat(output.out()).matches("held: \\d+ states, \\d+ classes of bytes, compiled in [0-9.]+ ms\\R"
          + "shortest answer, 7 bytes: \\{\"a\":3}\\R");
      assertThat(output.status()).isZero();
    }
    assertThat(Output.of("schema", "--spacing", "blank", SCHEMA).out()).contains("8 bytes: {\"a\": 3}");
  }

  @Test
  void saysWhatIsRefused() {
    Output output = Output.of("schema", "{\"properties\":{\"a/b\":{\"type\":\"array\",\"uniqueItems\":true}}}");
    assertThat(output.out()).isEqualTo("refused: #/properties/a~1b/uniqueItems: uniqueItems" + System.lineSeparator());
    assertThat(output.err()).isEmpty();
    assertThat(output.status()).isEqualTo(1);
    assertThat(Output.of("schema", "{\"a\"").err()).startsWith("dimple: the schema is not JSON: ");
    assertThat(Output.of("schema", "--max-states", "9", SCHEMA).out()).matches("refused: the structure needs \\d+ states, expected at most 9\\R");
  }

  @Test
  void judgesTexts() throws IOException {
    Path lines = folder.resolve("lines.jsonl");
    Files.writeString(lines, "{\"schema\":" + SCHEMA + ",\"texts\":[\"{\\\"a\\\":3}\",\"{\\\"a\\\": 30, \\\"b\\\": [1, {}]}\",\"{\\\"a\\\":2}\",\"\\ud800\"]}\n"
        + "{\"schema\":{\"multipleOf\":3},\"texts\":[\"3\"]}\n\n{\"schema\":true}\n{\n");
    String[] answers = Output.of("schema", "--lines", lines.toString()).out().split("\\R");
    assertThat(answers).hasSize(4);
    assertThat(answers[0]).startsWith("{\"compiled\":true,\"states\":").contains("\"shortest\":\"{\\\"a\\\":3}\"")
        .endsWith("\"accepts\":[true,true,false,false]}");
    assertThat(answers[1]).startsWith("{\"compiled\":false,\"refused\":\"#/multipleOf: multipleOf\"");
    assertThat(answers[2]).isEqualTo("{\"compiled\":false,\"refused\":\"a line is {\\\"schema\\\":..., \\\"texts\\\":[...]}\"}");
    assertThat(answers[3]).startsWith("{\"compiled\":false,\"refused\":\"the line is not JSON: ");
    String closed = Output.of("schema", "--lines", lines.toString(), "--objects", "closed").out();
    assertThat(closed).contains("\"accepts\":[true,false,false,false]");
  }

  /** Those before and behind it are judged. */
  @Test
  void aLineThatIsNoTextIsRefusedByItself() throws IOException {
    Path lines = folder.resolve("bytes.jsonl");
    String text = "{\"schema\":{\"enum\":[\"\u00fc\",1]},\"texts\":[\"\\\"\u00fc\\\"\",\"1\",\"2\"]}";
    byte[] broken = text.getBytes(StandardCharsets.ISO_8859_1);
    try (OutputStream out = Files.newOutputStream(lines)) {
      for (byte[] line : List.of(text.getBytes(StandardCharsets.UTF_8), broken, new byte[3], text.getBytes(StandardCharsets.UTF_8))) {
        out.write(line);
        out.write('\n');
      }
    }
    String[] answers = Output.of("schema", "--lines", lines.toString()).out().split("\\R");
    assertThat(answers).hasSize(4);
    assertThat(answers[0]).contains("\"compiled\":true").endsWith("\"accepts\":[true,true,false]}");
    assertThat(answers[1]).isEqualTo("{\"compiled\":false,\"refused\":\"the line is no UTF-8 text\"}");
    assertThat(answers[2]).startsWith("{\"compiled\":false,\"refused\":\"the line is not JSON: ");
    assertThat(answers[3]).contains("\"compiled\":true").endsWith("\"accepts\":[true,true,false]}");
  }

  @Test
  void readsOneInput() {
    assertThat(Output.of("schema").err()).contains("Missing required argument").contains("(see dimple schema --help)");
    assertThat(Output.of("schema", "--spacing", "wide", SCHEMA).err()).contains("expected one of [compact, blank, either] but was 'wide'");
  }
}
