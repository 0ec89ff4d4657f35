package io.github.dimple4j.chat;

import io.github.dimple4j.chat.Expression.Binary;
import io.github.dimple4j.chat.Expression.Filter;
import io.github.dimple4j.chat.Expression.MethodCall;
import io.github.dimple4j.chat.Expression.Slice;
import io.github.dimple4j.chat.Values.Iteration;
import io.github.dimple4j.chat.Values.Markup;
import io.github.dimple4j.chat.Values.Namespace;
import io.github.dimple4j.chat.Values.View;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Which characters of a rendering's texts were said by somebody, and which are the template's own: what is said cannot spell a control
 * token. Texts are told apart by identity, so that one which passes through a template untouched keeps its marks, and one that an
 * operation makes gets them from what it was made of. Where that is not worked out here, everything in the new text counts as said, and so
 * does a text that is not known: a mistake costs a template's control token and never makes one. For one thread.
 */
final class Origins {
  private static final BitSet NOTHING = new BitSet();
  private static final int DEEPEST = 100;
  private static final int MOST_LOOKED_AT = 1 << 16; // lists that hold another one twice, again and again, have more parts than can be counted

  private final Map<String, BitSet> known = new IdentityHashMap<>();
  private int left; // parts of a value to look at

  /** A text that somebody said; what is marked in {@code said}. It is another object than any text of the template's. */
  String said(String text, BitSet said) {
    String copy = new String(text);
    known.put(copy, said);
    return copy;
  }

  /** The same value, every text in it said by somebody. */
  Object allSaid(Object value) {
    return switch (value) {
      case String text -> said(text, all(text));
      case List<?> list -> {
        List<Object> copy = new ArrayList<>();
        list.forEach(element -> copy.add(allSaid(element)));
        yield copy;
      }
      case Map<?, ?> map -> {
        Map<Object, Object> copy = new LinkedHashMap<>();
        map.forEach((key, element) -> copy.put(allSaid(key), allSaid(element)));
        yield copy;
      }
      case null, default -> value;
    };
  }

  /** A text of the template's. */
  void own(String text) {
    known.putIfAbsent(text, NOTHING);
  }

  /** Whether it is known who said the text. */
  boolean knows(String text) {
    return known.containsKey(text);
  }

  /** Every text in a value that is not known yet is the template's. */
  void ownAll(Object value) {
    switch (value) {
      case String text -> own(text);
      case List<?> list -> list.forEach(this::ownAll);
      case Map<?, ?> map -> map.forEach((key, element) -> {
        ownAll(key);
        ownAll(element);
      });
      case null, default -> { }
    }
  }

  /** The characters of a value's text that were said. */
  BitSet marks(Object value, String text) {
    if (value instanceof String || value instanceof Markup) {
      BitSet marks = known.get(text);
      return marks == null ? all(text) : marks;
    }
    return holdsSaid(value) ? all(text) : NOTHING;
  }

  /** Learns the texts in the value of an expression from the values of the expressions that it consists of. */
  void learn(Expression expression, List<Object> operands, Object value) {
    if (expression instanceof Expression.Name) {
      return; // what an operation here does not know, such as the characters that a loop visits, stays unknown
    }
    if (Values.plain(value) instanceof String text && !known.containsKey(text)) {
      known.put(text, operands.stream().anyMatch(operand -> holdsSaid(operand)) ? marksOfNew(expression, operands, text) : NOTHING);
    } else if (elements(value) instanceof List<?> list && !operands.isEmpty() && operands.stream().noneMatch(operand -> operand == value)) {
      learnElements(expression, operands, list);
    }
  }

  /** The elements of what holds some in order, or null. */
  private static List<?> elements(Object value) {
    return switch (value) {
      case List<?> list -> list;
      case View view -> view.elements();
      case Iteration iteration -> iteration.all();
      default -> null;
    };
  }

  /** What a text made of said ones holds of them. */
  private BitSet marksOfNew(Expression expression, List<Object> operands, String text) {
    BitSet marks = switch (expression) {
      case Binary binary -> joined(operands, "", text);
      case Slice slice when operands.getFirst() instanceof String of -> ofSlice(slice, of, operands);
      case Filter filter when operands.getFirst() instanceof String of -> ofChange(filter.filter(), of, operands, text);
      case Filter filter when filter.filter().equals("join") && operands.getFirst() instanceof List<?> list ->
          operands.size() == 1 ? joined(list, "", text) : operands.get(1) instanceof String separator ? joined(list, separator, text) : null;
      case MethodCall call when operands.getFirst() instanceof String of ->
          call.method().equals("join") && operands.size() == 2 && operands.get(1) instanceof List<?> list
              ? joined(list, of, text) : ofChange(call.method(), of, operands, text);
      default -> null;
    };
    return marks == null ? all(text) : marks;
  }

  /** Of texts one after the other; null if the result is not that. */
  private BitSet joined(List<?> parts, String separator, String result) {
    BitSet marks = new BitSet();
    int at = 0;
    for (int i = 0; i < parts.size(); i++) {
      String between = i == 0 ? "" : separator;
      if (!(parts.get(i) instanceof String part) || !result.startsWith(between, at) || !result.startsWith(part, at + between.length())) {
        return null;
      }
      put(marks, at, marks(between.isEmpty() ? "" : separator, between));
      put(marks, at + between.length(), marks(part, part));
      at += between.length() + part.length();
    }
    return at == result.length() ? marks : null;
  }

  /** The same slice of the places of the characters tells where each came from. */
  private BitSet ofSlice(Slice slice, String of, List<Object> operands) {
    List<Long> bounds = new ArrayList<>();
    int next = 1;
    for (Expression bound : new Expression[] {slice.start(), slice.stop(), slice.step()}) {
      bounds.add(bound != null && operands.get(next++) instanceof Long number ? number : null);
    }
    int[] starts = of.codePoints().map(Character::charCount).toArray();
    List<Object> places = new ArrayList<>();
    for (int i = 0, at = 0; i < starts.length; at += starts[i++]) {
      places.add((long) at);
    }
    List<?> chosen = (List<?>) Operations.slice(places, bounds.get(0), bounds.get(1), bounds.get(2), new Rendering(Map.of()));
    BitSet source = marks(of, of);
    BitSet marks = new BitSet();
    int at = 0;
    for (Object place : chosen) {
      int from = ((Long) place).intValue();
      int length = Character.charCount(of.codePointAt(from));
      put(marks, at, source.get(from, from + length));
      at += length;
    }
    return marks;
  }

  /** Of a filter or method that changes a text. Null: not known of it. */
  private BitSet ofChange(String name, String of, List<Object> operands, String result) {
    return switch (name) {
      // What is stripped in front begins with none of the characters that the rest begins with, so the first place is the right one.
      case "trim", "strip", "lstrip", "rstrip" -> ofPart(of, of.indexOf(result), result.length());
      case "upper", "lower", "capitalize", "title" -> result.length() == of.length() ? marks(of, of) : null;
      case "replace" -> operands.size() == 3 && operands.get(1) instanceof String old && operands.get(2) instanceof String by
          && !old.isEmpty() && of.replace(old, by).equals(result) ? ofReplacement(of, old, by) : null;
      default -> null;
    };
  }

  private BitSet ofPart(String of, int from, int length) {
    return from < 0 ? null : marks(of, of).get(from, from + length);
  }

  private BitSet ofReplacement(String of, String old, String by) {
    BitSet source = marks(of, of);
    BitSet marks = new BitSet();
    int from = 0;
    int at = 0;
    for (int found = of.indexOf(old); found >= 0; found = of.indexOf(old, from)) {
      put(marks, at, source.get(from, found));
      at += found - from;
      put(marks, at, marks(by, by));
      at += by.length();
      from = found + old.length();
    }
    put(marks, at, source.get(from, of.length()));
    return marks;
  }

  /** The new texts in a new list: the pieces of a text that was split, or otherwise said if anything was. */
  private void learnElements(Expression expression, List<Object> operands, List<?> list) {
    if (list.stream().noneMatch(element -> element instanceof String text && !known.containsKey(text))) {
      return;
    }
    boolean said = operands.stream().anyMatch(operand -> holdsSaid(operand));
    if (said && expression instanceof MethodCall call && call.method().equals("split") && operands.getFirst() instanceof String of) {
      learnPieces(of, operands, list);
      return;
    }
    for (Object element : list) {
      if (element instanceof String text) {
        known.putIfAbsent(text, said ? all(text) : NOTHING);
      }
    }
  }

  private void learnPieces(String of, List<Object> operands, List<?> pieces) {
    String separator = (String) operands.stream().skip(1).filter(String.class::isInstance).findFirst().orElse(null);
    int at = 0;
    for (Object piece : pieces) {
      String text = (String) piece;
      int from = separator == null ? of.indexOf(text, at) : at; // between pieces is nothing but white space, which no piece begins with
      known.putIfAbsent(text, of.startsWith(text, from) ? ofPart(of, from, text.length()) : all(text));
      at = from + text.length() + (separator == null ? 0 : separator.length());
    }
  }

  private boolean holdsSaid(Object value) {
    left = MOST_LOOKED_AT;
    return holdsSaid(value, 0);
  }

  /** Whether a text in it was said, or may be: what has too many parts is not looked through. */
  private boolean holdsSaid(Object value, int depth) {
    if (--left < 0) {
      return true;
    }
    return switch (value) {
      case String text -> !marks(text, text).isEmpty();
      case List<?> list -> depth > DEEPEST || list.stream().anyMatch(element -> holdsSaid(element, depth + 1));
      case Map<?, ?> map -> depth > DEEPEST || map.keySet().stream().anyMatch(key -> holdsSaid(key, depth + 1))
          || map.values().stream().anyMatch(element -> holdsSaid(element, depth + 1));
      case Markup text -> !marks(text, text.text()).isEmpty();
      case View view -> holdsSaid(view.elements(), depth + 1);
      case Iteration iteration -> holdsSaid(iteration.all(), depth + 1);
      case TemplateFunction.Method method -> holdsSaid(method.of(), depth + 1);
      case Namespace namespace -> true; // may hold itself
      case null, default -> false;
    };
  }

  private static void put(BitSet marks, int at, BitSet part) {
    part.stream().forEach(i -> marks.set(at + i));
  }

  private static BitSet all(String text) {
    BitSet marks = new BitSet(text.length());
    marks.set(0, text.length());
    return marks;
  }
}
