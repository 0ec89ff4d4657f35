package io.github.dimple4j;

import io.github.dimple4j.tokenizer.Tokenizer;
import java.util.ArrayList;
import java.util.List;

/**
 * The tokens that keep parts of an answer apart from its text: what the model thinks, and calls of tools, each between two tokens of its own,
 * as Gemma 4 and DiffusionGemma have them.
 *
 * @param thoughtStart negative, as all of them: the vocabulary has no such token
 * @param thoughtEnd what ends it
 * @param callStart what a call begins with
 * @param callEnd what ends it
 */
record AnswerMarkup(int thoughtStart, int thoughtEnd, int callStart, int callEnd) {
  static final AnswerMarkup NONE = new AnswerMarkup(-1, -1, -1, -1);

  /** A part apart from the text: the positions between its tokens. */
  record Span(boolean thought, int start, int end) {}

  static AnswerMarkup of(Tokenizer tokenizer) {
    return new AnswerMarkup(control(tokenizer, "<|channel>"), control(tokenizer, "<channel|>"), control(tokenizer, "<|tool_call>"),
        control(tokenizer, "<tool_call|>"));
  }

  private static int control(Tokenizer tokenizer, String spelling) {
    int id = tokenizer.id(spelling).orElse(-1);
    return id >= 0 && tokenizer.isControl(id) ? id : -1;
  }

  private boolean starts(int token) {
    return token >= 0 && (token == thoughtStart || token == callStart);
  }

  private int end(int start) {
    return start == thoughtStart ? thoughtEnd : callEnd;
  }

  /** The parts in positions {@code from} to {@code to}; one that nothing ends goes to {@code to}. */
  List<Span> spans(int[] canvas, int from, int to) {
    List<Span> spans = new ArrayList<>();
    for (int i = from; i < to; i++) {
      if (starts(canvas[i])) {
        int end = i + 1;
        while (end < to && canvas[end] != end(canvas[i])) {
          end++;
        }
        spans.add(new Span(canvas[i] == thoughtStart, i + 1, end));
        i = end;
      }
    }
    return spans;
  }
}
