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
      Map<String, Object> map = new LinkedHashMap<>();
      for (int i = 0; i < keys.size(); i++) {
        Object key = rendering.evaluate(keys.get(i));
        if (!(key instanceof String text)) {
          throw rendering.error("a mapping has a key that is no string but a " + Values.typeName(key));
        }
        map.put(text, rendering.evaluate(values.get(i)));
      }
      return map;
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

  /** Positional and named arguments of a call, a filter or a test. */
  record Arguments(List<Expression> positional, Map<String, Expression> named) {
    static final Arguments NONE = new Arguments(List.of(), Map.of());

    Evaluated evaluate(Rendering rendering) {
      Map<String, Object> values = new LinkedHashMap<>();
      named.forEach((name, expression) -> values.put(name, rendering.evaluate(expression)));
      return new Evaluated(evaluateAll(positional, rendering), values);
    }
  }

  /** Arguments as a function gets them. */
  record Evaluated(List<Object> positional, Map<String, Object> named) {
    /** The argument at a position or of a name, or {@code fallback}. */
    Object get(int position, String name, Object fallback) {
      return position < positional.size() ? positional.get(position) : named.getOrDefault(name, fallback);
    }
  }

  /** {@code function(arguments)}, for the functions Jinja and Hugging Face provide. */
  record Call(String function, Arguments arguments) implements Expression {
    @Override
    public Object evaluate(Rendering rendering) {
      return Builtins.call(function, arguments.evaluate(rendering), rendering);
    }
  }

  /** {@code value.method(arguments)}. */
  record MethodCall(Expression value, String method, Arguments arguments) implements Expression {
    @Override
    public Object evaluate(Rendering rendering) {
      return Builtins.method(rendering.evaluate(value), method, arguments.evaluate(rendering), rendering);
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

  /** A sign in front of a number. */
  record Negative(Expression value) implements Expression {
    @Override
    public Object evaluate(Rendering rendering) {
      return Operations.binary("-", 0L, rendering.evaluate(value), rendering);
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
