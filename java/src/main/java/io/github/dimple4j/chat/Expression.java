package io.github.dimple4j.chat;

import io.github.dimple4j.chat.Values.Tuple;
import io.github.dimple4j.chat.Values.Undefined;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** An expression of a template. Evaluate it through {@link Rendering#evaluate}, which counts. */
sealed interface Expression {
  Object evaluate(Rendering rendering);

  /** A literal. */
  record Constant(Object value) implements Expression {
    @Override
    public Object evaluate(Rendering rendering) {
      return value;
    }
  }

  /** A name. */
  record Name(String name) implements Expression {
    @Override
    public Object evaluate(Rendering rendering) {
      return rendering.lookup(name);
    }
  }

  /** {@code [a, b]} or {@code (a, b)}. */
  record Sequence(boolean tuple, List<Expression> elements) implements Expression {
    @Override
    public Object evaluate(Rendering rendering) {
      List<Object> values = evaluateAll(elements, rendering);
      return tuple ? new Tuple(values) : values;
    }
  }

  /** {@code {key: value}}. */
  record Mapping(List<Expression> keys, List<Expression> values) implements Expression {
    @Override
    public Object evaluate(Rendering rendering) {
      Map<Object, Object> map = new LinkedHashMap<>();
      for (int i = 0; i < keys.size(); i++) {
        Object key = key(rendering.evaluate(keys.get(i)), rendering);
        map.put(key, rendering.evaluate(values.get(i)));
      }
      return map;
    }

    /** A key as it is kept. */
    static Object key(Object key, Rendering rendering) {
      Object plain = Values.plain(key);
      if (!(plain instanceof String) && !(plain instanceof Long)) {
        throw rendering.error("a mapping has a key that is no string or integer but a " + Values.typeName(key));
      }
      return plain;
    }
  }

  /** {@code value.name}. */
  record Attribute(Expression value, String name) implements Expression {
    @Override
    public Object evaluate(Rendering rendering) {
      return Operations.attribute(rendering.evaluate(value), name, rendering);
    }
  }

  /** {@code value[key]}. */
  record Subscript(Expression value, Expression key) implements Expression {
    @Override
    public Object evaluate(Rendering rendering) {
      return Operations.subscript(rendering.evaluate(value), rendering.evaluate(key), rendering);
    }
  }

  /** {@code value[start:stop:step]}, null where left out. */
  record Slice(Expression value, Expression start, Expression stop, Expression step) implements Expression {
    @Override
    public Object evaluate(Rendering rendering) {
      return Operations.slice(rendering.evaluate(value), bound(start, rendering), bound(stop, rendering), bound(step, rendering), rendering);
    }

    private static Long bound(Expression expression, Rendering rendering) {
      Object bound = expression == null ? Values.NONE : rendering.evaluate(expression);
      if (bound == Values.NONE) {
        return null;
      }
      if (!(bound instanceof Long index)) {
        throw rendering.error("a slice needs integers, not a " + Values.typeName(bound));
      }
      return index;
    }
  }

  /** Positional and named arguments of a call, a filter or a test; {@code *more} and {@code **moreNamed} may be null. */
  record Arguments(List<Expression> positional, Map<String, Expression> named, Expression more, Expression moreNamed) {
    static final Arguments NONE = new Arguments(List.of(), Map.of());

    Arguments(List<Expression> positional, Map<String, Expression> named) {
      this(positional, named, null, null);
    }

    Arguments with(String name, Expression value) {
      Map<String, Expression> all = new LinkedHashMap<>(named);
      all.put(name, value);
      return new Arguments(positional, all, more, moreNamed);
    }

    Evaluated evaluate(Rendering rendering) {
      List<Object> values = evaluateAll(positional, rendering);
      if (more != null) {
        values.addAll(Operations.elements(rendering.evaluate(more), rendering));
      }
      Map<String, Object> namedValues = new LinkedHashMap<>();
      named.forEach((name, expression) -> namedValues.put(name, rendering.evaluate(expression)));
      if (moreNamed != null) {
        if (!(rendering.evaluate(moreNamed) instanceof Map<?, ?> map)) {
          throw rendering.error("'**' needs a mapping");
        }
        map.forEach((name, value) -> namedValues.put(Builtins.string(name, "**", rendering), Values.of(value)));
      }
      return new Evaluated(values, namedValues);
    }
  }

  /** Arguments as a function gets them. */
  record Evaluated(List<Object> positional, Map<String, Object> named) {
    /** The argument at a position or of a name, or {@code fallback}. */
    Object get(int position, String name, Object fallback) {
      return position < positional.size() ? positional.get(position) : named.getOrDefault(name, fallback);
    }
  }

  /** {@code function(arguments)}. */
  record Call(Expression function, Arguments arguments) implements Expression {
    @Override
    public Object evaluate(Rendering rendering) {
      Object value = rendering.evaluate(function);
      if (value instanceof TemplateFunction called) {
        return called.call(arguments.evaluate(rendering), rendering);
      }
      String name = function instanceof Name named ? "'" + named.name() + "'" : "a " + Values.typeName(value);
      throw rendering.error(value instanceof Undefined ? "unsupported function " + name : name + " is no function");
    }
  }

  /** {@code value.method(arguments)}. */
  record MethodCall(Expression value, String method, Arguments arguments) implements Expression {
    @Override
    public Object evaluate(Rendering rendering) {
      Object of = rendering.evaluate(value);
      if (Operations.attribute(of, method, rendering) instanceof TemplateFunction called) {
        return called.call(arguments.evaluate(rendering), rendering);
      }
      throw Methods.unsupported(of, method, rendering);
    }
  }

  /** A macro of what stands here, with the names that are seen from here. */
  record Closure(Macro.Definition definition) implements Expression {
    @Override
    public Object evaluate(Rendering rendering) {
      return new Macro(definition, rendering.scopes());
    }
  }

  /** What statements write. */
  record Captured(List<Statement> body) implements Expression {
    @Override
    public Object evaluate(Rendering rendering) {
      rendering.enterScope();
      String text = rendering.capture(() -> Statement.runAll(body, rendering));
      rendering.leaveScope();
      return text;
    }
  }

  /** {@code value | filter(arguments)}. */
  record Filter(Expression value, String filter, Arguments arguments) implements Expression {
    @Override
    public Object evaluate(Rendering rendering) {
      return Builtins.filter(filter, rendering.evaluate(value), arguments.evaluate(rendering), rendering);
    }
  }

  /** {@code value is test(arguments)}. */
  record Test(Expression value, String test, Arguments arguments) implements Expression {
    @Override
    public Object evaluate(Rendering rendering) {
      return Builtins.test(test, rendering.evaluate(value), arguments.evaluate(rendering), rendering);
    }
  }

  /** An operator with two operands that are both evaluated. */
  record Binary(String operator, Expression left, Expression right) implements Expression {
    @Override
    public Object evaluate(Rendering rendering) {
      return Operations.binary(operator, rendering.evaluate(left), rendering.evaluate(right), rendering);
    }
  }

  /** {@code a < b <= c}: each neighbouring pair has to hold. */
  record Comparison(Expression first, List<String> operators, List<Expression> rest) implements Expression {
    @Override
    public Object evaluate(Rendering rendering) {
      Object left = rendering.evaluate(first);
      for (int i = 0; i < rest.size(); i++) {
        Object right = rendering.evaluate(rest.get(i));
        if (!Operations.compare(operators.get(i), left, right, rendering)) {
          return false;
        }
        left = right;
      }
      return true;
    }
  }

  /** {@code and}: the first operand that is false, or the last. */
  record And(Expression left, Expression right) implements Expression {
    @Override
    public Object evaluate(Rendering rendering) {
      Object value = rendering.evaluate(left);
      return Values.truth(value) ? rendering.evaluate(right) : value;
    }
  }

  /** {@code or}: the first operand that is true, or the last. */
  record Or(Expression left, Expression right) implements Expression {
    @Override
    public Object evaluate(Rendering rendering) {
      Object value = rendering.evaluate(left);
      return Values.truth(value) ? value : rendering.evaluate(right);
    }
  }

  /** {@code not}. */
  record Not(Expression value) implements Expression {
    @Override
    public Object evaluate(Rendering rendering) {
      return !Values.truth(rendering.evaluate(value));
    }
  }

  /** {@code +} in front of a number. */
  record Positive(Expression value) implements Expression {
    @Override
    public Object evaluate(Rendering rendering) {
      return Operations.binary("+", 0L, rendering.evaluate(value), rendering);
    }
  }

  /** A sign in front of a number. */
  record Negative(Expression value) implements Expression {
    @Override
    public Object evaluate(Rendering rendering) {
      return Operations.negative(rendering.evaluate(value), rendering);
    }
  }

  /** {@code then if condition else otherwise}; {@code otherwise} may be null. */
  record Conditional(Expression condition, Expression then, Expression otherwise) implements Expression {
    @Override
    public Object evaluate(Rendering rendering) {
      if (Values.truth(rendering.evaluate(condition))) {
        return rendering.evaluate(then);
      }
      return otherwise == null ? new Undefined("else") : rendering.evaluate(otherwise);
    }
  }

  private static List<Object> evaluateAll(List<Expression> expressions, Rendering rendering) {
    List<Object> values = new ArrayList<>(expressions.size());
    for (Expression expression : expressions) {
      values.add(rendering.evaluate(expression));
    }
    return values;
  }
}
