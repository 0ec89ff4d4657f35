package io.github.dimple4j.structure.schema;

import io.github.dimple4j.structure.RefusedSchemaException;
import io.github.dimple4j.structure.SchemaOptions;
import io.github.dimple4j.structure.automaton.CodePoints;
import io.github.dimple4j.structure.automaton.Dfa;
import io.github.dimple4j.structure.automaton.Graph;
import io.github.dimple4j.structure.json.JsonText;
import java.math.BigDecimal;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Deque;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** The texts of the values of terms, as parts of a graph over bytes. As everywhere, parts are made from their end. */
final class SchemaGraph {
  private static final int MOST_LISTED = 200;
  private static final int MOST_COUNTED = 1 << 20; // properties; no graph has so many

  private final Terms terms;
  private final SchemaOptions options;
  private final int depth;
  private final Graph graph;
  private final JsonText text;
  private final Map<Long, Integer> values = new HashMap<>();
  private final Deque<Term> underWay = new ArrayDeque<>();
  private RefusedSchemaException leftOut; // an alternative that values fit, but none that is held

  /**
   * A graph for terms.
   *
   * @param terms who knows them
   * @param options which texts are wanted
   * @param mark what frames strings; null: they are JSON's
   * @param graph over bytes
   * @param depth how deep values nest of which the schema says nothing
   */
  SchemaGraph(Terms terms, SchemaOptions options, String mark, Graph graph, int depth) {
    this.terms = terms;
    this.options = options;
    this.depth = depth;
    this.graph = graph;
    this.text = mark == null ? new JsonText(graph, options.spacing()) : JsonText.marked(graph, mark);
  }

  /** The text of a value that fits a term. */
  int value(Term term, int to) {
    if (to == Graph.NONE) {
      return Graph.NONE;
    }
    long key = (long) term.id << 32 | to;
    Integer known = values.get(key);
    if (known != null) {
      return known;
    }
    if (underWay.contains(term)) {
      throw terms.document.refusal(terms.schema(term), "", "recursive: a value of this schema lies within another");
    }
    underWay.push(term);
    List<Shape> shapes = terms.shapes(term);
    int[] ways = new int[shapes.size()];
    for (int i = 0; i < ways.length; i++) {
      ways[i] = shapes.get(i).equals(Shape.ANYTHING) ? text.any(depth, to) : shape(shapes.get(i), to);
    }
    int state = graph.either(ways);
    underWay.pop();
    values.put(key, state);
    return state;
  }

  /** Why values of an alternative were left out, or null. */
  RefusedSchemaException leftOut() {
    return leftOut;
  }

  private int shape(Shape shape, int to) {
    return graph.either(shape.nulls() ? text.literal("null", to) : Graph.NONE,
        (shape.booleans() & 1) != 0 ? text.literal("false", to) : Graph.NONE,
        (shape.booleans() & 2) != 0 ? text.literal("true", to) : Graph.NONE,
        shape.number() == null ? Graph.NONE : number(shape.number(), to),
        shape.string() == null ? Graph.NONE : string(shape.string(), to), shape.array() == null ? Graph.NONE : array(shape.array(), to),
        shape.object() == null ? Graph.NONE : object(shape.object(), to));
  }

  private static void held(RefusedSchemaException unheld) {
    if (unheld != null) {
      throw unheld;
    }
  }

  private int number(NumberRule rule, int to) {
    if (rule.only() != null) {
      Set<String> spelled = new LinkedHashSet<>();
      for (BigDecimal value : rule.values()) {
        spelled.add(value.toPlainString());
        spelled.add(value.signum() == 0 ? "0" : value.stripTrailingZeros().toPlainString());
      }
      return graph.either(spelled.stream().mapToInt(number -> text.literal(number, to)).toArray());
    }
    held(rule.unheld());
    return text.number(rule.range(), to);
  }

  private int string(StringRule rule, int to) {
    if (rule.only() != null) {
      return graph.either(terms.languages.texts(rule).stream().mapToInt(one -> text.string(one, to)).toArray());
    }
    if (rule.isPlain() && rule.least() == 0 && rule.most() == StringRule.UNBOUNDED) {
      return text.string(to);
    }
    return text.string(terms.languages.of(rule), to);
  }

  // Arrays.

  private int array(ArrayRule rule, int to) {
    held(rule.unheld());
    held(rule.most() > 1 ? rule.distinct() : null);
    if (rule.parts().isEmpty() && rule.least() == 0 && rule.most() == ArrayRule.UNBOUNDED) {
      return text.anyArray(depth, to);
    }
    int first = rule.firstItems();
    boolean bounded = rule.most() != ArrayRule.UNBOUNDED;
    long counted = Math.max(rule.least(), first);
    int behind; // the state behind item number `last`
    int last;
    if (bounded) {
      if (rule.most() > options.maxStates()) {
        throw terms.document.refusal(terms.document.root(), "", "a list of " + rule.most() + " items needs more than "
            + options.maxStates() + " states");
      }
      last = (int) rule.most();
      behind = graph.symbol(']', to);
    } else {
      // Behind the last counted item any number of others may follow.
      last = (int) Math.min(counted, options.maxStates());
      behind = graph.state();
      int item = value(terms.and(rule.item(last)), behind);
      graph.edge(behind, ']', ']', to);
      graph.free(behind, text.comma(item));
      if (last == 0) {
        return graph.symbol('[', graph.either(item, graph.symbol(']', to)));
      }
    }
    for (int i = last - 1; i >= 0; i--) {
      int item = value(terms.and(rule.item(i)), behind);
      int end = i >= rule.least() ? graph.symbol(']', to) : Graph.NONE;
      behind = graph.either(i == 0 ? item : text.comma(item), end);
    }
    return graph.symbol('[', behind);
  }

  // Objects.

  private int object(ObjectRule rule, int to) {
    held(rule.unheld());
    boolean silent = rule.parts().isEmpty() && rule.names().isEmpty();
    if (silent && rule.required().isEmpty() && rule.least() == 0 && rule.most() == ObjectRule.UNBOUNDED) {
      return text.anyObject(depth, to);
    }
    return new Properties(rule, to).before();
  }

  /** The properties of one object: those spelled out in order, each perhaps left out, then the others. */
  private final class Properties {
    private final ObjectRule rule;
    private final int to;
    private final List<String> names;
    /** Properties are counted up to here; nothing depends on more. */
    private final int most;
    /** Whether more than {@link #most} are too many. */
    private final boolean bounded;
    private final Extras extras;
    /** By number of names left and of properties so far, the state where the next key may begin; made from the end. */
    private int[] keys;

    Properties(ObjectRule rule, int to) {
      this.rule = rule;
      this.to = to;
      Set<String> all = rule.spelledNames();
      Extras others = new Extras(rule, all);
      // Their order is one more rule, so judging takes it on only where it counts how many there are.
      if ((!options.openObjects() || rule.least() > all.size() + 1) && all.addAll(others.listed(rule))) {
        others = new Extras(rule, all);
      }
      this.extras = others;
      Collection<String> spelled = all;
      if (options.keyOrder() == SchemaOptions.KeyOrder.ALPHABETICAL) {
        spelled = spelled.stream().sorted((one, other) -> Arrays.compare(one.codePoints().toArray(), other.codePoints().toArray()))
            .toList();
      }
      this.names = spelled.stream().filter(name -> rule.required().contains(name) || !terms.isEmpty(terms.value(rule, name, Reading.EVERY))).toList();
      this.bounded = rule.most() < names.size() || rule.most() != ObjectRule.UNBOUNDED && !extras.classes.isEmpty();
      boolean counted = bounded || rule.least() > Math.max(1, rule.required().size());
      long count = bounded ? rule.most() : counted ? rule.least() : 1;
      this.most = (int) Math.min(count, Math.min(options.maxStates(), MOST_COUNTED));
    }

    /** How many there are behind one more. */
    private int more(int count) {
      return Math.min(count + 1, bounded ? most + 1 : most);
    }

    private boolean enough(int count) {
      return count >= Math.min(rule.least(), bounded ? Long.MAX_VALUE : most);
    }

    int before() {
      if (rule.least() > names.size() + 1 && !extras.classes.isEmpty()) {
        leftOut = terms.document.refusal(terms.schema(underWay.peek()), "", rule.least() + " properties, of which " + names.size()
            + " are spelled out; the names of others may repeat each other");
      }
      int counts = most + 2;
      keys = new int[counts];
      int end = graph.symbol('}', to);
      int[] ends = new int[counts]; // the state to end the object in, if it may end here
      for (int count = 0; count < counts; count++) {
        ends[count] = enough(count) && !(bounded && count > most) ? end : Graph.NONE;
      }
      extraKeys(end);
      for (int i = names.size() - 1; i >= 0; i--) {
        String name = names.get(i);
        boolean needed = rule.required().contains(name);
        Term value = terms.fits(rule, name, Reading.EVERY) ? terms.value(rule, name, Reading.EVERY) : null;
        int[] before = new int[counts];
        int[] ofBehind = new int[counts]; // the key and its value before each number of properties
        Arrays.fill(ofBehind, -2);
        for (int count = 0; count < counts; count++) {
          int behind = more(count);
          boolean reachable = value != null && count <= i && (count > 0 || firstMayBe(i)) && !(bounded && behind > most);
          if (reachable && ofBehind[behind] == -2) {
            int after = graph.either(text.comma(keys[behind]), ends[behind]);
            ofBehind[behind] = text.name(name, text.colon(value(value, after)));
          }
          int key = reachable ? ofBehind[behind] : Graph.NONE;
          before[count] = needed ? key : graph.either(key, keys[count]);
        }
        keys = before;
        if (needed) {
          Arrays.fill(ends, Graph.NONE);
        }
      }
      return graph.symbol('{', graph.either(keys[0], ends[0]));
    }

    /** Whether a property may be the first: none before it is required. */
    private boolean firstMayBe(int index) {
      return names.subList(0, index).stream().noneMatch(rule.required()::contains);
    }

    /** The others stand behind all names. Their names may repeat each other, so they count as one where a least number is asked for. */
    private void extraKeys(int end) {
      Arrays.fill(keys, Graph.NONE);
      if (extras.classes.isEmpty()) {
        return;
      }
      if (!bounded) {
        int behind = graph.state();
        int key = extras.before(behind);
        graph.free(behind, end);
        graph.free(behind, text.comma(key));
        for (int count = 0; count < keys.length; count++) {
          keys[count] = enough(more(count)) ? key : Graph.NONE;
        }
        return;
      }
      for (int count = most - 1; count >= 0; count--) {
        int next = rule.least() <= 1 ? text.comma(keys[count + 1]) : Graph.NONE;
        keys[count] = extras.before(graph.either(next, enough(count + 1) ? end : Graph.NONE));
      }
    }
  }

  /** Properties that are not spelled out: by the patterns that their names match, the term of their values. */
  private final class Extras {
    private final List<Map.Entry<Dfa, Term>> classes = new ArrayList<>();

    Extras(ObjectRule rule, Set<String> spelled) {
      boolean silent = rule.parts().stream().allMatch(part -> part.others() == null);
      boolean closed = !options.openObjects() && rule.parts().stream()
          .anyMatch(part -> !part.properties().isEmpty() || !part.patterns().isEmpty());
      List<ObjectRule.PatternProperties> patterns = rule.parts().stream().flatMap(part -> part.patterns().stream()).distinct().toList();
      split(rule, patterns, 0, null, new ArrayList<>(), spelled, silent && closed);
    }

    /** Names that may be there and that the rule for names lists: each stands once, like those that are spelled out. */
    Set<String> listed(ObjectRule rule) {
      Set<String> all = new LinkedHashSet<>();
      for (Term ofNames : rule.names()) {
        List<Shape> shapes = terms.shapes(ofNames);
        if (shapes.size() == 1 && shapes.getFirst().string() != null && shapes.getFirst().string().only() != null) {
          all.addAll(shapes.getFirst().string().only());
        }
      }
      if (all.size() > MOST_LISTED) {
        return Set.of();
      }
      all.removeIf(name -> !terms.fits(rule, name, Reading.EVERY) || classes.stream().noneMatch(one -> one.getKey() == null || one.getKey().accepts(name)));
      return all;
    }

    private void split(ObjectRule rule, List<ObjectRule.PatternProperties> patterns, int index, Dfa sofar,
        List<ObjectRule.PatternProperties> met, Set<String> spelled, boolean onlyMet) {
      if (index < patterns.size()) {
        StringRule.Match match = patterns.get(index).name();
        Dfa all = sofar == null ? StringLanguages.any() : sofar;
        Dfa in = all.and(terms.languages.language(match), options.maxStates());
        Dfa out = all.minus(terms.languages.language(new StringRule.Match(match.schema(), match.keyword(), match.name(), true)),
            options.maxStates());
        if (!in.isEmpty()) {
          met.add(patterns.get(index));
          split(rule, patterns, index + 1, in, met, spelled, onlyMet);
          met.removeLast();
        }
        if (!out.isEmpty()) {
          split(rule, patterns, index + 1, out, met, spelled, onlyMet);
        }
        return;
      }
      if (onlyMet && met.isEmpty()) {
        return;
      }
      Term value = value(rule, met);
      if (terms.isEmpty(value)) {
        return;
      }
      Dfa names = sofar;
      for (Term ofNames : rule.names()) {
        names = names(ofNames, names);
      }
      if (!spelled.isEmpty()) {
        names = names == null ? others(spelled) : names.minus(StringLanguages.texts(spelled), options.maxStates());
      }
      if (names == null || !names.isEmpty()) {
        classes.add(new java.util.AbstractMap.SimpleImmutableEntry<>(names, value));
      }
    }

    private Dfa names(Term ofNames, Dfa names) {
      List<Shape> shapes = terms.shapes(ofNames).stream().filter(shape -> shape.string() != null).toList();
      if (shapes.size() > 1) {
        throw terms.document.refusal(terms.schema(ofNames), "", "several alternatives for the names of properties");
      }
      Dfa fit = shapes.isEmpty() ? Dfa.nothing() : terms.languages.of(shapes.getFirst().string());
      return names == null ? fit : names.and(fit, options.maxStates());
    }

    private Term value(ObjectRule rule, List<ObjectRule.PatternProperties> met) {
      List<Term> all = new ArrayList<>();
      for (ObjectRule.Part part : rule.parts()) {
        boolean matched = false;
        for (ObjectRule.PatternProperties pattern : part.patterns()) {
          if (met.contains(pattern)) {
            all.add(pattern.value());
            matched = true;
          }
        }
        if (!matched && part.others() != null) {
          all.add(part.others());
        }
      }
      return all.isEmpty() ? terms.anything : terms.and(all);
    }

    /** Keys and values before a state. */
    int before(int to) {
      if (to == Graph.NONE) {
        return Graph.NONE;
      }
      int[] ways = new int[classes.size()];
      for (int i = 0; i < ways.length; i++) {
        int behindKey = text.colon(SchemaGraph.this.value(classes.get(i).getValue(), to));
        Dfa names = classes.get(i).getKey();
        ways[i] = behindKey == Graph.NONE ? Graph.NONE : names == null ? text.name(behindKey) : text.name(names, behindKey);
      }
      return graph.either(ways);
    }
  }

  /** All texts but the given ones, without the detour over a difference of automata. */
  private static Dfa others(Set<String> texts) {
    int size = texts.stream().mapToInt(String::length).sum() + 2;
    Map<Integer, Map<Integer, Integer>> children = new HashMap<>();
    int nodes = 1;
    Set<Integer> ends = new LinkedHashSet<>();
    for (String one : texts) {
      int node = 0;
      for (int point : one.codePoints().toArray()) {
        Map<Integer, Integer> ways = children.computeIfAbsent(node, unknown -> new HashMap<>());
        Integer child = ways.get(point);
        if (child == null) {
          child = nodes++;
          ways.put(point, child);
        }
        node = child;
      }
      ends.add(node);
    }
    Graph trie = new Graph(size + 1);
    for (int i = 0; i < nodes; i++) {
      if (ends.contains(i)) {
        trie.state();
      } else {
        trie.acceptingState();
      }
    }
    int free = trie.acceptingState();
    CodePoints.ALL.edges(trie, free, free);
    for (int i = 0; i < nodes; i++) {
      CodePoints other = CodePoints.ALL;
      for (Map.Entry<Integer, Integer> way : children.getOrDefault(i, Map.of()).entrySet()) {
        trie.edge(i, way.getKey(), way.getKey(), way.getValue());
        other = other.minus(CodePoints.range(way.getKey(), way.getKey()));
      }
      other.edges(trie, i, free);
    }
    return Dfa.of(trie, 0, Dfa.CODE_POINTS, size + 2);
  }
}
