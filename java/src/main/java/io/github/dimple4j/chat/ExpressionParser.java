package io.github.dimple4j.chat;

import io.github.dimple4j.chat.Lexer.Kind;
import io.github.dimple4j.chat.Lexer.Token;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/** Builds expressions from tokens: one method for each of Jinja's levels of precedence, the loosest first. */
final class ExpressionParser {
  private final TokenCursor cursor;
  private final OperandParser operands;

  ExpressionParser(TokenCursor cursor) {
    this.cursor = cursor;
    operands = new OperandParser(cursor, this);
  }

  /** The filters of a block of text; see {@link OperandParser#blockFilters}. */
  Expression blockFilters(Expression block) {
    return operands.blockFilters(block);
  }

  /** One expression, or several with commas between them: a tuple without its parentheses. */
  Expression expressionOrTuple() {
    Expression first = expression();
    if (!cursor.peek().is(Kind.OPERATOR, ",")) {
      return first;
    }
    List<Expression> elements = new ArrayList<>(List.of(first));
    while (cursor.take(",")) {
      if (cursor.peek().kind() == Kind.OUTPUT_END || cursor.peek().kind() == Kind.BLOCK_END || cursor.peek().is(Kind.OPERATOR, ")")) {
        break;
      }
      elements.add(expression());
    }
    return new Expression.Sequence(true, elements);
  }

  Expression expression() {
    cursor.enter();
    Expression value = or();
    while (cursor.takeName("if")) {
      Expression condition = or();
      value = new Expression.Conditional(condition, value, cursor.takeName("else") ? expression() : null);
    }
    cursor.leave();
    return value;
  }

  /** An expression that is no {@code a if b else c}, unless in parentheses. */
  Expression or() {
    Expression left = and();
    while (cursor.takeName("or")) {
      left = new Expression.Or(left, and());
    }
    return left;
  }

  private Expression and() {
    Expression left = not();
    while (cursor.takeName("and")) {
      left = new Expression.And(left, not());
    }
    return left;
  }

  private Expression not() {
    if (!cursor.takeName("not")) {
      return comparison();
    }
    cursor.enter();
    Expression value = new Expression.Not(not());
    cursor.leave();
    return value;
  }

  private Expression comparison() {
    Expression first = sum();
    List<String> operators = new ArrayList<>();
    List<Expression> rest = new ArrayList<>();
    while (true) {
      Token token = cursor.peek();
      if (token.kind() == Kind.OPERATOR && Set.of("==", "!=", "<", "<=", ">", ">=").contains(token.text())) {
        cursor.next();
        operators.add(token.text());
      } else if (cursor.takeName("in")) {
        operators.add("in");
      } else if (token.is(Kind.NAME, "not") && cursor.second().is(Kind.NAME, "in")) {
        cursor.next();
        cursor.next();
        operators.add("not in");
      } else {
        return operators.isEmpty() ? first : new Expression.Comparison(first, operators, rest);
      }
      rest.add(sum());
    }
  }

  private Expression sum() {
    Expression left = concatenation();
    while (cursor.peek().is(Kind.OPERATOR, "+") || cursor.peek().is(Kind.OPERATOR, "-")) {
      String operator = cursor.next().text();
      left = new Expression.Binary(operator, left, concatenation());
    }
    return left;
  }

  private Expression concatenation() {
    Expression left = product();
    while (cursor.take("~")) {
      left = new Expression.Binary("~", left, product());
    }
    return left;
  }

  private Expression product() {
    Expression left = power();
    while (cursor.peek().kind() == Kind.OPERATOR && Set.of("*", "/", "//", "%").contains(cursor.peek().text())) {
      String operator = cursor.next().text();
      left = new Expression.Binary(operator, left, power());
    }
    return left;
  }

  /** From the left, unlike Python. */
  private Expression power() {
    Expression left = signed(true);
    while (cursor.take("**")) {
      left = new Expression.Binary("**", left, signed(true));
    }
    return left;
  }

  /** A sign binds tighter than a filter: {@code -1|abs} is {@code (-1)|abs}. */
  private Expression signed(boolean withFilters) {
    Expression value;
    if (cursor.take("-")) {
      cursor.enter();
      value = new Expression.Negative(signed(false));
      cursor.leave();
    } else if (cursor.take("+")) {
      cursor.enter();
      value = new Expression.Positive(signed(false));
      cursor.leave();
    } else {
      value = operands.operand();
    }
    return withFilters ? operands.filters(value) : value;
  }
}
