package io.github.dimple4j.chat;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.dimple4j.EscapedText;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.Map;
import org.assertj.core.api.SoftAssertions;
import org.junit.jupiter.api.Test;

/** Output equal to that of the real Jinja, and errors where it has errors; see make_goldens.py beside the golden file. */
class ChatTemplateGoldenTest {
  private static final Clock NOW = Clock.fixed(Instant.parse("2025-03-07T09:05:04Z"), ZoneOffset.UTC);

  @Test
  void rendersAsJinja() throws IOException {
    String[] lines;
    try (InputStream in = getClass().getResourceAsStream("templates.txt")) {
      lines = new String(in.readAllBytes(), StandardCharsets.US_ASCII).split("\n");
    }
    assertThat(lines).hasSizeGreaterThan(1000);
    SoftAssertions all = new SoftAssertions();
    for (String line : lines) {
      int tab = line.indexOf('\t');
      String source = EscapedText.read(line.substring(0, tab));
      String expected = line.substring(tab + 1);
      if (expected.equals("!")) {
        all.assertThatThrownBy(() -> ChatTemplate.parse(source).render(Map.of(), NOW)).as(source)
            .isInstanceOf(ChatTemplateException.class).hasMessageStartingWith("chat template, line ");
      } else {
        try {
          all.assertThat(ChatTemplate.parse(source).render(Map.of(), NOW)).as(source).isEqualTo(EscapedText.read(expected));
        } catch (RuntimeException e) {
          all.fail(source + ": " + e, e);
        }
      }
    }
    all.assertAll();
  }
}
