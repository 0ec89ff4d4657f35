package io.github.dimple4j.structure.schema;

import io.github.dimple4j.structure.automaton.CodePoints;
import io.github.dimple4j.structure.automaton.Dfa;
import io.github.dimple4j.structure.automaton.Graph;
import io.github.dimple4j.structure.automaton.TooManyStatesException;
import io.github.dimple4j.structure.regex.Regex;
import io.github.dimple4j.structure.regex.RegexException;
import java.util.Collection;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Automata over the code points of strings that fit a rule, each made once. */
final class StringLanguages {
  private final SchemaDocument document;
  private final int limit;
  private final Map<Reading, Map<StringRule.Match, Dfa>> matches = new EnumMap<>(Map.of(Reading.EVERY, new HashMap<>(), Reading.SOME, new HashMap<>()));
  private final Map<Reading, Map<StringRule, Dfa>> rules = new EnumMap<>(Map.of(Reading.EVERY, new HashMap<>(), Reading.SOME, new HashMap<>()));
  private int longest = Integer.MAX_VALUE;

  StringLanguages(SchemaDocument document, int limit) {
    this.document = document;
    this.limit = limit;
  }

  /** Texts with an upper bound of their length are held up to this one, or to the least that they may have. */
  void limitLengths(int codePoints) {
    longest = codePoints;
    rules.values().forEach(Map::clear);
  }

  /** Texts without any rule. */
  static Dfa any() {
    return ofLength(0, StringRule.UNBOUNDED);
  }

  /** All texts that fit however the rule is read; trimmed. */
  Dfa of(StringRule rule) {
    return of(rule, Reading.EVERY);
  }

  private Dfa of(StringRule rule, Reading reading) {
    Dfa known = rules.get(reading).get(rule);
    if (known == null) {
      if (rule.unheld() != null) {
        throw rule.unheld();
      }
      known = make(rule, reading);
      rules.get(reading).put(rule, known);
    }
    return known;
  }

  private Dfa make(StringRule rule, Reading reading) {
    if (rule.only() != null) {
      return texts(texts(rule, reading));
    }
    Dfa all = null;
    StringRule.Match last = null;
    try {
      for (StringRule.Match match : rule.matches()) {
        last = match;
        Dfa one = language(match, reading);
        if (match.negated()) {
          all = (all == null ? any() : all).minus(one, limit);
        } else {
          all = all == null ? one : all.and(one, limit);
        }
      }
      if (!rule.except().isEmpty()) {
        all = (all == null ? any() : all).minus(texts(rule.except()), limit);
      }
      if (rule.least() > 0 || rule.most() != StringRule.UNBOUNDED) {
        if (rule.least() > limit) {
          throw new TooManyStatesException(limit);
        }
        Dfa lengths = ofLength(rule.least(), held(rule));
        all = all == null ? lengths : all.and(lengths, limit);
      }
    } catch (TooManyStatesException tooMany) {
      throw document.refusal(last == null ? document.root() : last.schema(), last == null ? "" : last.keyword(),
          "its strings need more than " + limit + " states");
    }
    return all == null ? any() : all;
  }

  /** Of the only texts of a rule those that fit the rest however it is read. */
  List<String> texts(StringRule rule) {
    return texts(rule, Reading.EVERY);
  }

  private List<String> texts(StringRule rule, Reading reading) {
    if (rule.unheld() != null) {
      throw rule.unheld();
    }
    return rule.only().stream().filter(text -> fitsRest(rule, text, reading)).toList();
  }

  /** Whether it is certain that no text fits, however the rule is read. Behind the bound up to which lengths are held there may be one. */
  boolean isEmpty(StringRule rule) {
    if (rule.only() != null) {
      return texts(rule, Reading.SOME).isEmpty();
    }
    StringRule seen = held(rule) == rule.most() ? rule
        : new StringRule(null, rule.except(), rule.least(), StringRule.UNBOUNDED, rule.matches(), rule.unheld());
    return !rule.matches().isEmpty() && of(seen, Reading.SOME).isEmpty();
  }

  /** Up to how many code points. */
  private long held(StringRule rule) {
    return rule.most() == StringRule.UNBOUNDED ? rule.most() : Math.min(rule.most(), Math.max(rule.least(), longest));
  }

  /** Whether a text fits. */
  boolean accepts(StringRule rule, String text, Reading reading) {
    return (rule.only() == null || rule.only().contains(text)) && fitsRest(rule, text, reading);
  }

  private boolean fitsRest(StringRule rule, String text, Reading reading) {
    long length = text.codePointCount(0, text.length());
    return length >= rule.least() && length <= rule.most() && !rule.except().contains(text)
        && rule.matches().stream().allMatch(match -> matches(match, text, reading) != match.negated());
  }

  boolean matches(StringRule.Match match, String text, Reading reading) {
    return language(match, reading).accepts(text);
  }

  /** Texts that match, whether the rule wants them or not, so that what the rule wants is what {@link Reading#EVERY} reading wants. */
  Dfa language(StringRule.Match match) {
    return language(match, Reading.EVERY);
  }

  private Dfa language(StringRule.Match match, Reading reading) {
    Dfa known = matches.get(reading).get(match);
    if (known == null) {
      known = compile(match, match.negated() ? reading.other() : reading);
      matches.get(reading).put(match, known);
    }
    return known;
  }

  private Dfa compile(StringRule.Match match, Reading reading) {
    try {
      return match.isFormat() ? Formats.language(match.name(), reading, limit) : Regex.search(match.name(), reading == Reading.SOME, limit);
    } catch (RegexException wrong) {
      throw document.refusal(match.schema(), match.keyword(), wrong.getMessage());
    } catch (TooManyStatesException tooMany) {
      throw document.refusal(match.schema(), match.keyword(), "needs more than " + tooMany.limit() + " states");
    }
  }

  /** The given texts. */
  static Dfa texts(Collection<String> texts) {
    int symbols = texts.stream().mapToInt(String::length).sum();
    Graph graph = new Graph(symbols + 2);
    int end = graph.acceptingState();
    int start = graph.state();
    for (String text : texts) {
      int[] points = text.codePoints().toArray();
      int state = end;
      for (int i = points.length - 1; i > 0; i--) {
        state = graph.symbol(points[i], state);
      }
      if (points.length == 0) {
        graph.free(start, end);
      } else {
        graph.edge(start, points[0], points[0], state);
      }
    }
    // Where texts begin alike, both the states of each and those of several at once.
    return Dfa.of(graph, texts.isEmpty() ? Graph.NONE : start, Dfa.CODE_POINTS, 2 * symbols + 2).minimal();
  }

  /** Texts of {@code least} to {@code most} code points. */
  static Dfa ofLength(long least, long most) {
    boolean bounded = most != StringRule.UNBOUNDED;
    int count = (int) (bounded ? most : least);
    Graph graph = new Graph(count + 1);
    int state = graph.acceptingState();
    if (!bounded) {
      CodePoints.ALL.edges(graph, state, state);
    }
    for (int i = count - 1; i >= 0; i--) {
      int before = i >= least ? graph.acceptingState() : graph.state();
      CodePoints.ALL.edges(graph, before, state);
      state = before;
    }
    return Dfa.of(graph, state, Dfa.CODE_POINTS, count + 2);
  }
}
