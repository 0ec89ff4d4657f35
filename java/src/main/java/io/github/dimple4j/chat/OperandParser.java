package io.github.dimple4j.chat;

import io.github.dimple4j.chat.Expression.Arguments;
import io.github.dimple4j.chat.Lexer.Kind;
import io.github.dimple4j.chat.Lexer.Token;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Builds what operators work on: literals and names, their attributes, subscripts and calls, filters and tests. */
final class OperandParser {
  private final TokenCursor cursor;
  private final ExpressionParser expressions;

  OperandParser(TokenCursor cursor, ExpressionParser expressions) {
    this.cursor = cursor;
    this.expressions = expressions;
  }

  /** A literal, a name or something in brackets, with its attributes, subscripts and calls, without filters. */
  Expression operand() {
    return postfix(primary());
  }

  private Expression primary() {
    Token token = cursor.next();
    return switch (token.kind()) {
      case NAME -> switch (token.text()) {
        case "true", "True" -> new Expression.Constant(true);
        case "false", "False" -> new Expression.Constant(false);
        case "none", "None" -> new Expression.Constant(Values.NONE);
        case "not", "and", "or", "in", "is", "if", "else" -> throw Lexer.error(token.line(), "unexpected " + token);
        default -> new Expression.Name(token.text());
      };
      case STRING -> {
        StringBuilder text = new StringBuilder(token.text());
        while (cursor.peek().kind() == Kind.STRING) {
          text.append(cursor.next().text());
        }
        yield new Expression.Constant(text.toString());
      }
      case INTEGER -> new Expression.Constant(integer(token));
      case FLOAT -> new Expression.Constant(Double.valueOf(token.text()));
      case OPERATOR -> switch (token.text()) {
        case "(" -> {
          if (cursor.take(")")) {
            yield new Expression.Sequence(true, List.of());
          }
          Expression value = expressions.expressionOrTuple();
          cursor.require(")");
          yield value;
        }
        case "[" -> new Expression.Sequence(false, elements("]"));
        case "{" -> mapping();
        default -> throw Lexer.error(token.line(), "unexpected " + token);
      };
      default -> throw Lexer.error(token.line(), "unexpected " + token);
    };
  }

  private static Long integer(Token token) {
    try {
      return Long.valueOf(token.text());
    } catch (NumberFormatException e) {
      throw Lexer.error(token.line(), "the number " + token.text() + " is too large");
    }
  }

  private List<Expression> elements(String close) {
    List<Expression> elements = new ArrayList<>();
    while (!cursor.take(close)) {
      if (!elements.isEmpty()) {
        cursor.require(",");
        if (cursor.take(close)) {
          break;
        }
      }
      elements.add(expressions.expression());
    }
    return elements;
  }

  private Expression mapping() {
    List<Expression> keys = new ArrayList<>();
    List<Expression> values = new ArrayList<>();
    while (!cursor.take("}")) {
      if (!keys.isEmpty()) {
        cursor.require(",");
        if (cursor.take("}")) {
          break;
        }
      }
      keys.add(expressions.expression());
      cursor.require(":");
      values.add(expressions.expression());
    }
    return new Expression.Mapping(keys, values);
  }

  private Expression postfix(Expression start) {
    Expression value = start;
    while (true) {
      if (cursor.take(".")) {
        Token member = cursor.next();
        if (member.kind() == Kind.INTEGER) {
          value = new Expression.Subscript(value, new Expression.Constant(integer(member)));
        } else if (member.kind() != Kind.NAME) {
          throw Lexer.error(member.line(), "unexpected " + member + " after '.'");
        } else if (cursor.take("(")) {
          value = new Expression.MethodCall(value, member.text(), arguments());
        } else {
          value = new Expression.Attribute(value, member.text());
        }
      } else if (cursor.take("[")) {
        value = subscript(value);
      } else if (cursor.peek().is(Kind.OPERATOR, "(")) {
        cursor.next();
        value = new Expression.Call(value, arguments());
      } else {
        return value;
      }
    }
  }

  private Expression subscript(Expression value) {
    Expression[] bounds = new Expression[3];
    int colons = 0;
    while (!cursor.take("]")) {
      if (colons < 2 && cursor.take(":")) {
        colons++;
      } else if (bounds[colons] == null) {
        bounds[colons] = expressions.expression();
      } else {
        throw cursor.error("unexpected " + cursor.peek() + " in a subscript");
      }
    }
    if (colons > 0) {
      return new Expression.Slice(value, bounds[0], bounds[1], bounds[2]);
    }
    if (bounds[0] == null) {
      throw cursor.error("an empty subscript");
    }
    return new Expression.Subscript(value, bounds[0]);
  }

  private Arguments arguments() {
    List<Expression> positional = new ArrayList<>();
    Map<String, Expression> named = new LinkedHashMap<>();
    Expression more = null;
    Expression moreNamed = null;
    boolean first = true;
    while (!cursor.take(")")) {
      if (!first) {
        cursor.require(",");
        if (cursor.take(")")) {
          break;
        }
      }
      first = false;
      if (cursor.take("**")) {
        moreNamed = once(moreNamed);
      } else if (cursor.take("*")) {
        more = once(more);
      } else if (cursor.peek().kind() == Kind.NAME && cursor.second().is(Kind.OPERATOR, "=")) {
        String name = cursor.next().text();
        cursor.next();
        named.put(name, expressions.expression());
      } else if (named.isEmpty() && more == null && moreNamed == null) {
        positional.add(expressions.expression());
      } else {
        throw cursor.error("a positional argument behind a named one");
      }
    }
    return new Arguments(positional, named, more, moreNamed);
  }

  private Expression once(Expression earlier) {
    if (earlier != null) {
      throw cursor.error("arguments are unpacked twice");
    }
    return expressions.expression();
  }

  /** The filters of a block, the first without a sign in front of it. */
  Expression blockFilters(Expression block) {
    Expression value = filter(block);
    while (cursor.take("|")) {
      value = filter(value);
    }
    return value;
  }

  private Expression filter(Expression value) {
    String name = cursor.name();
    return new Expression.Filter(value, name, cursor.take("(") ? arguments() : Arguments.NONE);
  }

  /** Filters, tests and calls behind a value. */
  Expression filters(Expression start) {
    Expression value = start;
    while (true) {
      if (cursor.take("|")) {
        value = filter(value);
      } else if (cursor.peek().is(Kind.OPERATOR, "(")) {
        cursor.next();
        value = new Expression.Call(value, arguments());
      } else if (cursor.takeName("is")) {
        boolean negated = cursor.takeName("not");
        String name = cursor.name();
        Expression test = new Expression.Test(value, name, testArguments());
        value = negated ? new Expression.Not(test) : test;
      } else {
        return value;
      }
    }
  }

  /** A test takes its arguments in parentheses, or one of them without. */
  private Arguments testArguments() {
    if (cursor.take("(")) {
      return arguments();
    }
    Token token = cursor.peek();
    boolean argument = switch (token.kind()) {
      case STRING, INTEGER, FLOAT -> true;
      case NAME -> !Set.of("else", "or", "and", "is", "if", "in", "not").contains(token.text());
      case OPERATOR -> token.text().equals("[") || token.text().equals("{");
      default -> false;
    };
    return argument ? new Arguments(List.of(operand()), Map.of()) : Arguments.NONE;
  }
}
