package io.github.dimple4j.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * A line of a file of questions.
 *
 * @param place file and line, for messages
 * @param task the kind of question, under which it is counted
 * @param prompt the question; its pictures lie beside the file unless their paths are absolute, its length may be left to the task
 * @param answer the one right answer
 */
record EvalQuestion(String place, String task, Prompt prompt, String answer) {
  private static final Set<String> KEYS = Set.of("id", "image", "task", "question", "answer", "system", "length", "template");

  /**
   * Reads the first {@code limit} questions of a file.
   *
   * @param asked in the place of each line's question; null: that
   */
  static List<EvalQuestion> read(TextSource source, int limit, PromptFormat format, String asked) throws IOException {
    List<String> lines = source.read().lines().toList();
    List<EvalQuestion> questions = new ArrayList<>();
    for (int number = 1; number <= lines.size() && questions.size() < limit; number++) {
      String line = lines.get(number - 1);
      if (!line.isBlank()) {
        questions.add(question(source.title() + ", line " + number + ": ", line, source, format, asked));
      }
    }
    if (questions.isEmpty()) {
      throw new IOException(source.title() + ": has no questions");
    }
    return questions;
  }

  private static EvalQuestion question(String place, String text, TextSource source, PromptFormat format, String asked) throws IOException {
    JsonLine line = JsonLine.parse(place, text, KEYS);
    List<Path> pictures = line.images("image", source);
    String question = asked != null ? asked : line.text("question");
    Prompt prompt = new Prompt(question, null, line.system(format), pictures, line.template(), line.length(), Map.of(), format);
    return new EvalQuestion(place, line.text("task"), prompt, line.text("answer"));
  }
}
