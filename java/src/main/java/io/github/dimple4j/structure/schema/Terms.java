package io.github.dimple4j.structure.schema;

import io.github.dimple4j.structure.RefusedSchemaException;
import io.github.dimple4j.structure.automaton.Dfa;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.BooleanNode;

/** The terms of one document: who makes them, what their shapes are, and which of them no value fits. */
final class Terms {
  /** More alternatives than this, each an object or array of its own, are refused. */
  private static final int MOST_SHAPES = 3000;

  final SchemaDocument document;
  final StringLanguages languages;
  private final List<JsonNode> schemas = new ArrayList<>();
  private final Map<JsonNode, Integer> numbers = new IdentityHashMap<>();
  private final Map<List<Integer>, Term> terms = new HashMap<>();
  private final Map<Integer, List<Shape>> literals = new HashMap<>();
  private final List<Integer> underWay = new ArrayList<>();
  private final Keywords keywords;
  final Term anything;
  final Term nothing;

  Terms(SchemaDocument document, int stringLimit) {
    this.document = document;
    this.languages = new StringLanguages(document, stringLimit);
    this.keywords = new Keywords(this, document);
    this.anything = term(new int[0]);
    this.nothing = of(BooleanNode.FALSE, false);
  }

  private Term term(int... literals) {
    List<Integer> key = Arrays.stream(literals).boxed().toList();
    return terms.computeIfAbsent(key, unknown -> new Term(terms.size(), literals));
  }

  /** The term of one schema, or of its complement. */
  Term of(JsonNode schema, boolean complement) {
    if (schema.isBoolean() && schema.booleanValue() != complement) {
      return anything;
    }
    Integer number = numbers.get(schema);
    if (number == null) {
      number = schemas.size();
      numbers.put(schema, number);
      schemas.add(schema);
    }
    return term(2 * number + (complement ? 1 : 0));
  }

  /** All of the terms hold. */
  Term and(List<Term> all) {
    if (all.size() == 1) {
      return all.getFirst();
    }
    return term(all.stream().flatMapToInt(one -> Arrays.stream(one.literals)).distinct().toArray());
  }

  /** The schema that a term comes from, for messages. */
  JsonNode schema(Term term) {
    return term.literals.length == 0 ? document.root() : schemas.get(term.literals[0] >> 1);
  }

  List<Shape> shapes(Term term) {
    if (term.shapes == null) {
      List<Shape> all = List.of(Shape.ANYTHING);
      for (int literal : term.literals) {
        all = and(all, shapes(literal), schemas.get(literal >> 1));
      }
      term.shapes = all;
    }
    return term.shapes;
  }

  List<Shape> shapes(JsonNode schema, boolean complement) {
    return shapes(of(schema, complement));
  }

  private List<Shape> shapes(int literal) {
    List<Shape> known = literals.get(literal);
    if (known == null) {
      JsonNode schema = schemas.get(literal >> 1);
      if (underWay.contains(literal)) {
        throw document.refusal(schema, "", "refers to itself");
      }
      underWay.add(literal);
      known = literal % 2 == 0 ? keywords.shapes(schema) : keywords.complement(schema);
      underWay.removeLast();
      literals.put(literal, known);
    }
    return known;
  }

  /** What both say, alternative by alternative; those that are seen to fit nothing are left out. */
  List<Shape> and(List<Shape> some, List<Shape> others, JsonNode schema) {
    if (some.size() == 1 && some.getFirst() == Shape.ANYTHING) {
      return others;
    }
    if (others.size() == 1 && others.getFirst() == Shape.ANYTHING) {
      return some;
    }
    List<Shape> both = new ArrayList<>();
    for (Shape one : some) {
      for (Shape other : others) {
        Shape shape = one.and(other).pruned();
        if (!shape.isNothing()) {
          both.add(shape);
          if (both.size() > MOST_SHAPES) {
            throw document.refusal(schema, "", "more than " + MOST_SHAPES + " combinations of its alternatives");
          }
        }
      }
    }
    return merged(both);
  }

  /** Alternatives of different types become one shape. */
  List<Shape> merged(List<Shape> alternatives) {
    List<Shape> all = new ArrayList<>();
    for (Shape shape : alternatives) {
      int place = 0;
      while (place < all.size() && !all.get(place).apart(shape)) {
        place++;
      }
      if (place < all.size()) {
        all.set(place, all.get(place).or(shape));
      } else {
        all.add(shape);
      }
    }
    return all;
  }

  // What no value fits. True is certain; false may mean that it was not found out.

  boolean isEmpty(Term term) {
    if (term.empty == null) {
      term.empty = false; // what is met again inside is taken to fit something
      term.empty = shapes(term).stream().allMatch(this::isEmpty);
    }
    return term.empty;
  }

  boolean isEmpty(List<Shape> alternatives) {
    return alternatives.stream().allMatch(this::isEmpty);
  }

  private boolean isEmpty(Shape shape) {
    return !shape.nulls() && shape.booleans() == 0 && (shape.number() == null || shape.number().isEmpty())
        && (shape.string() == null || isEmpty(shape.string())) && (shape.array() == null || isEmpty(shape.array()))
        && (shape.object() == null || isEmpty(shape.object()));
  }

  private boolean isEmpty(StringRule rule) {
    if (rule.isPlainlyEmpty()) {
      return true;
    }
    try {
      return languages.isEmpty(rule);
    } catch (RefusedSchemaException notHeld) {
      return false;
    }
  }

  private boolean isEmpty(ArrayRule rule) {
    if (rule.isPlainlyEmpty()) {
      return true;
    }
    for (int i = 0; i < Math.min(rule.least(), rule.firstItems() + 1); i++) {
      if (isEmpty(and(rule.item(i)))) {
        return true;
      }
    }
    return false;
  }

  private boolean isEmpty(ObjectRule rule) {
    return rule.isPlainlyEmpty() || rule.required().stream()
        .anyMatch(name -> !fits(rule, name, Reading.SOME) || isEmpty(value(rule, name, Reading.SOME)));
  }

  /** Whether a name fits what is said of names. */
  boolean fits(ObjectRule rule, String name, Reading reading) {
    for (Term names : rule.names()) {
      boolean fits = shapes(names).stream().anyMatch(shape -> shape.string() != null && languages.accepts(shape.string(), name, reading));
      if (!fits) {
        return false;
      }
    }
    return true;
  }

  /** What is said of the value of a property, by {@link Reading#EVERY} reading of what its name matches, or by all of them alike. */
  Term value(ObjectRule rule, String name, Reading reading) {
    List<Term> all = new ArrayList<>();
    for (ObjectRule.Part part : rule.parts()) {
      Term named = part.properties().get(name);
      if (named != null) {
        all.add(named);
      }
      boolean met = named != null;
      for (ObjectRule.PatternProperties pattern : part.patterns()) {
        if (languages.matches(pattern.name(), name, reading.other())) {
          all.add(pattern.value());
        }
        met |= languages.matches(pattern.name(), name, reading);
      }
      if (!met && part.others() != null) {
        all.add(part.others());
      }
    }
    return all.isEmpty() ? anything : and(all);
  }

  Dfa language(StringRule rule) {
    return languages.of(rule);
  }
}
