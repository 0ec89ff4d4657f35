package io.github.dimple4j.tokenizer;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Finds the tokens that are matched as they are written, before text is split: the leftmost one, of several there the longest. */
final class AddedTokens {
  private record Entry(String spelling, int id, boolean control) {}

  /** Where a match lies. */
  record Match(int start, int end, int id) {}

  /** By first character, longest first. */
  private final Map<Character, List<Entry>> byFirst = new HashMap<>();

  void add(String spelling, int id, boolean control) {
    if (!spelling.isEmpty()) {
      byFirst.computeIfAbsent(spelling.charAt(0), c -> new ArrayList<>()).add(new Entry(spelling, id, control));
    }
  }

  void seal() {
    for (List<Entry> entries : byFirst.values()) {
      entries.sort(Comparator.comparingInt((Entry e) -> -e.spelling.length()));
    }
  }

  /** The first match at or after {@code from}, or null. Control tokens count only where {@code control} is set. */
  Match find(String text, int from, boolean control) {
    for (int at = from; at < text.length(); at++) {
      for (Entry e : byFirst.getOrDefault(text.charAt(at), List.of())) {
        if ((control || !e.control) && text.startsWith(e.spelling, at)) {
          return new Match(at, at + e.spelling.length(), e.id);
        }
      }
    }
    return null;
  }
}
