package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.dimple4j.chat.ChatMessage;
import io.github.dimple4j.chat.ChatTemplate;
import io.github.dimple4j.chat.ToolCall;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * Numbers and letters are written in the same way wherever a program runs: in Arabic, Persian or Bengali surroundings Java writes other digits, in
 * Turkish ones the capital of i is another letter, and so prompts, names of files and JSON would be.
 */
class LocaleTest {
  private static final Pattern CALL = Pattern.compile("printf\\(|String\\.format\\(|\\.formatted\\(|\\.to(?:Lower|Upper)Case\\(");
  private static final Pattern NUMBER = Pattern.compile("%[-#+ 0,(]*\\d*(?:\\.\\d+)?[dfeEgG]");

  @Test
  void whatWritesNumbersOrTurnsLettersNamesALocale() throws IOException {
    List<String> found = new ArrayList<>();
    int calls = 0;
    for (String module : List.of("java", "gguf-tools", "cli", "server", "langchain4j", "bindings-jni")) {
      try (Stream<Path> files = Files.walk(Path.of("..", module, "src", "main"))) {
        for (Path file : files.filter(path -> path.toString().endsWith(".java")).toList()) {
          String source = Files.readString(file);
          Matcher call = CALL.matcher(source);
          while (call.find()) {
            calls++;
            String behind = source.substring(call.end(), Math.max(call.end(), source.indexOf(';', call.end())));
            String statement = source.substring(source.lastIndexOf(';', call.start()) + 1, call.start()) + behind;
            boolean letters = call.group().contains("Case");
            if (letters ? behind.startsWith(")") : NUMBER.matcher(statement).find() && !behind.stripLeading().startsWith("Locale.")) {
              found.add(file + ": " + call.group() + behind.lines().findFirst().orElse(""));
            }
          }
        }
      }
    }
    assertThat(calls).isGreaterThan(50);
    assertThat(found).isEmpty();
  }

  @Test
  void promptsAreTheSameInEveryLocale() {
    Locale before = Locale.getDefault();
    List<String> seen = new ArrayList<>();
    try {
      for (Locale locale : List.of(Locale.US, Locale.forLanguageTag("ar-EG-u-nu-arab"), Locale.forLanguageTag("tr-TR"))) {
        Locale.setDefault(locale);
        List<ChatMessage> messages = List.of(ChatMessage.of("user", "x"), ChatMessage.calling("", List.of(new ToolCall("f", "{\"i\": 12}"))),
            ChatMessage.result("f", "1"), ChatMessage.result("g", "2"));
        seen.add(ChatTemplate.parse("{{ messages | tojson }}").ownPrompt(messages, List.of(), true, Map.of()).text());
      }
    } finally {
      Locale.setDefault(before);
    }
    assertThat(seen.getFirst()).contains("call00000");
    assertThat(seen).containsOnly(seen.getFirst());
  }
}
