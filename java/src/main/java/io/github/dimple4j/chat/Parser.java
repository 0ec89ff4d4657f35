package io.github.dimple4j.chat;

import io.github.dimple4j.chat.Expression.Arguments;
import io.github.dimple4j.chat.Lexer.Kind;
import io.github.dimple4j.chat.Lexer.Token;
import io.github.dimple4j.chat.Statement.Branch;
import io.github.dimple4j.chat.Statement.Flow;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Builds statements and expressions from tokens, by recursive descent with Jinja's order of precedence. */
final class Parser {
  private static final int DEEPEST = 100;
  private static final Set<String> INNER_TAGS = Set.of("elif", "else", "endif", "endfor", "endset");

  private final List<Token> tokens;
  private int at;
  private int depth;
  private int loops;

  Parser(List<Token> tokens) {
    this.tokens = tokens;
  }

  List<Statement> parse() {
    List<Statement> statements = statements();
    if (peek().kind() != Kind.END) {
      throw error("'" + tokens.get(at + 1).text() + "' without a beginning");
    }
    return statements;
  }

  // ---------------------------------------------------------------------------------------------------------- statements

  /** Statements up to the end, or up to a tag that continues or ends the statement around them. */
  private List<Statement> statements() {
    nest();
    List<Statement> out = new ArrayList<>();
    while (true) {
      Token token = peek();
      switch (token.kind()) {
        case TEXT -> {
          next();
          out.add(new Statement.Text(token.text()));
        }
        case OUTPUT_BEGIN -> {
          next();
          out.add(new Statement.Output(token.line(), expressionOrTuple()));
          expect(Kind.OUTPUT_END);
        }
        case BLOCK_BEGIN -> {
          String name = tokens.get(at + 1).text();
          if (INNER_TAGS.contains(name)) {
            depth--;
            return out;
          }
          next();
          out.add(statement());
        }
        default -> {
          depth--;
          return out;
        }
      }
    }
  }

  private Statement statement() {
    Token keyword = next();
    return switch (keyword.text()) {
      case "if" -> ifStatement(keyword.line());
      case "for" -> forStatement(keyword.line());
      case "set" -> setStatement(keyword.line());
      case "break", "continue" -> {
        if (loops == 0) {
          throw Lexer.error(keyword.line(), "'" + keyword.text() + "' outside a loop");
        }
        endTag();
        yield new Statement.Jump(keyword.text().equals("break") ? Flow.BREAK : Flow.CONTINUE);
      }
      default -> throw Lexer.error(keyword.line(), "unsupported statement " + keyword);
    };
  }

  private Statement ifStatement(int line) {
    List<Branch> branches = new ArrayList<>();
    Expression condition = or(); // an unparenthesised "a if b" is no condition
    endTag();
    branches.add(new Branch(line, condition, statements()));
    List<Statement> otherwise = List.of();
    while (true) {
      Token end = tagName(line, "if", "elif", "else", "endif");
      if (end.text().equals("elif")) {
        Expression next = or();
        endTag();
        branches.add(new Branch(end.line(), next, statements()));
      } else {
        endTag();
        if (end.text().equals("else")) {
          otherwise = statements();
          tagName(line, "if", "endif");
          endTag();
        }
        return new Statement.If(branches, otherwise);
      }
    }
  }

  private Statement forStatement(int line) {
    List<String> targets = names();
    if (!next().is(Kind.NAME, "in")) {
      throw Lexer.error(line, "'for' without 'in'");
    }
    Expression items = or();
    Expression condition = null;
    if (takeName("if")) {
      condition = expression();
    }
    if (peek().is(Kind.NAME, "recursive")) {
      throw error("recursive loops are not supported");
    }
    endTag();
    loops++;
    List<Statement> body = statements();
    loops--;
    List<Statement> otherwise = List.of();
    Token end = tagName(line, "for", "else", "endfor");
    endTag();
    if (end.text().equals("else")) {
      otherwise = statements();
      tagName(line, "for", "endfor");
      endTag();
    }
    return new Statement.For(line, targets, items, condition, body, otherwise);
  }

  private Statement setStatement(int line) {
    List<String> targets = names();
    if (targets.size() == 1 && take(".")) {
      String attribute = name();
      require("=");
      Expression value = expressionOrTuple();
      endTag();
      return new Statement.SetAttribute(line, targets.get(0), attribute, value);
    }
    if (take("=")) {
      Expression value = expressionOrTuple();
      endTag();
      return new Statement.Set(line, targets, value);
    }
    if (targets.size() > 1 || peek().kind() != Kind.BLOCK_END) {
      throw error("unexpected " + peek() + " in 'set'");
    }
    endTag();
    int outer = loops;
    loops = 0; // a block that breaks out of the loop around it would leave its text half written
    List<Statement> body = statements();
    loops = outer;
    tagName(line, "set", "endset");
    endTag();
    return new Statement.SetBlock(line, targets.get(0), body);
  }

  private List<String> names() {
    List<String> names = new ArrayList<>(List.of(name()));
    while (take(",")) {
      names.add(name());
    }
    return names;
  }

  private Token tagName(int line, String statement, String... allowed) {
    if (peek().kind() != Kind.BLOCK_BEGIN) {
      throw Lexer.error(line, "'" + statement + "' without 'end" + statement + "'");
    }
    next();
    Token name = next();
    if (!List.of(allowed).contains(name.text())) {
      throw Lexer.error(name.line(), "unexpected " + name + " in '" + statement + "' of line " + line);
    }
    return name;
  }

  private void endTag() {
    expect(Kind.BLOCK_END);
  }

  // --------------------------------------------------------------------------------------------------------- expressions

  private Expression expressionOrTuple() {
    Expression first = expression();
    if (!peek().is(Kind.OPERATOR, ",")) {
      return first;
    }
    List<Expression> elements = new ArrayList<>(List.of(first));
    while (take(",")) {
      if (peek().kind() == Kind.OUTPUT_END || peek().kind() == Kind.BLOCK_END || peek().is(Kind.OPERATOR, ")")) {
        break;
      }
      elements.add(expression());
    }
    return new Expression.Sequence(true, elements);
  }

  private Expression expression() {
    nest();
    Expression value = or();
    while (takeName("if")) {
      Expression condition = or();
      value = new Expression.Conditional(condition, value, takeName("else") ? expression() : null);
    }
    depth--;
    return value;
  }

  private Expression or() {
    Expression left = and();
    while (takeName("or")) {
      left = new Expression.Or(left, and());
    }
    return left;
  }

  private Expression and() {
    Expression left = not();
    while (takeName("and")) {
      left = new Expression.And(left, not());
    }
    return left;
  }

  private Expression not() {
    if (!takeName("not")) {
      return comparison();
    }
    nest();
    Expression value = new Expression.Not(not());
    depth--;
    return value;
  }

  private Expression comparison() {
    Expression first = sum();
    List<String> operators = new ArrayList<>();
    List<Expression> rest = new ArrayList<>();
    while (true) {
      Token token = peek();
      if (token.kind() == Kind.OPERATOR && Set.of("==", "!=", "<", "<=", ">", ">=").contains(token.text())) {
        next();
        operators.add(token.text());
      } else if (takeName("in")) {
        operators.add("in");
      } else if (token.is(Kind.NAME, "not") && tokens.get(at + 1).is(Kind.NAME, "in")) {
        next();
        next();
        operators.add("not in");
      } else {
        return operators.isEmpty() ? first : new Expression.Comparison(first, operators, rest);
      }
      rest.add(sum());
    }
  }

  private Expression sum() {
    Expression left = concatenation();
    while (peek().is(Kind.OPERATOR, "+") || peek().is(Kind.OPERATOR, "-")) {
      String operator = next().text();
      left = new Expression.Binary(operator, left, concatenation());
    }
    return left;
  }

  private Expression concatenation() {
    Expression left = product();
    while (take("~")) {
      left = new Expression.Binary("~", left, product());
    }
    return left;
  }

  private Expression product() {
    Expression left = signed(true);
    while (peek().kind() == Kind.OPERATOR && Set.of("*", "/", "//", "%").contains(peek().text())) {
      String operator = next().text();
      left = new Expression.Binary(operator, left, signed(true));
    }
    return left;
  }

  /** A sign binds tighter than a filter: {@code -1|abs} is {@code (-1)|abs}. */
  private Expression signed(boolean withFilters) {
    Expression value;
    if (take("-")) {
      nest();
      value = new Expression.Negative(signed(false));
      depth--;
    } else {
      value = postfix(primary());
    }
    return withFilters ? filters(value) : value;
  }

  private Expression primary() {
    Token token = next();
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
        while (peek().kind() == Kind.STRING) {
          text.append(next().text());
        }
        yield new Expression.Constant(text.toString());
      }
      case INTEGER -> new Expression.Constant(integer(token));
      case FLOAT -> new Expression.Constant(Double.valueOf(token.text()));
      case OPERATOR -> switch (token.text()) {
        case "(" -> {
          if (take(")")) {
            yield new Expression.Sequence(true, List.of());
          }
          Expression value = expressionOrTuple();
          require(")");
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
    while (!take(close)) {
      if (!elements.isEmpty()) {
        require(",");
        if (take(close)) {
          break;
        }
      }
      elements.add(expression());
    }
    return elements;
  }

  private Expression mapping() {
    List<Expression> keys = new ArrayList<>();
    List<Expression> values = new ArrayList<>();
    while (!take("}")) {
      if (!keys.isEmpty()) {
        require(",");
        if (take("}")) {
          break;
        }
      }
      keys.add(expression());
      require(":");
      values.add(expression());
    }
    return new Expression.Mapping(keys, values);
  }

  private Expression postfix(Expression start) {
    Expression value = start;
    while (true) {
      if (take(".")) {
        Token member = next();
        if (member.kind() == Kind.INTEGER) {
          value = new Expression.Subscript(value, new Expression.Constant(integer(member)));
        } else if (member.kind() != Kind.NAME) {
          throw Lexer.error(member.line(), "unexpected " + member + " after '.'");
        } else if (take("(")) {
          value = new Expression.MethodCall(value, member.text(), arguments());
        } else {
          value = new Expression.Attribute(value, member.text());
        }
      } else if (take("[")) {
        value = subscript(value);
      } else if (peek().is(Kind.OPERATOR, "(")) {
        if (!(value instanceof Expression.Name function)) {
          throw error("only functions and methods can be called");
        }
        next();
        value = new Expression.Call(function.name(), arguments());
      } else {
        return value;
      }
    }
  }

  private Expression subscript(Expression value) {
    Expression[] bounds = new Expression[3];
    int colons = 0;
    while (!take("]")) {
      if (colons < 2 && take(":")) {
        colons++;
      } else if (bounds[colons] == null) {
        bounds[colons] = expression();
      } else {
        throw error("unexpected " + peek() + " in a subscript");
      }
    }
    if (colons > 0) {
      return new Expression.Slice(value, bounds[0], bounds[1], bounds[2]);
    }
    if (bounds[0] == null) {
      throw error("an empty subscript");
    }
    return new Expression.Subscript(value, bounds[0]);
  }

  private Arguments arguments() {
    List<Expression> positional = new ArrayList<>();
    Map<String, Expression> named = new LinkedHashMap<>();
    boolean first = true;
    while (!take(")")) {
      if (!first) {
        require(",");
        if (take(")")) {
          break;
        }
      }
      first = false;
      if (peek().kind() == Kind.NAME && tokens.get(at + 1).is(Kind.OPERATOR, "=")) {
        String name = next().text();
        next();
        named.put(name, expression());
      } else if (named.isEmpty()) {
        positional.add(expression());
      } else {
        throw error("a positional argument behind a named one");
      }
    }
    return new Arguments(positional, named);
  }

  private Expression filters(Expression start) {
    Expression value = start;
    while (true) {
      if (take("|")) {
        String name = name();
        value = new Expression.Filter(value, name, take("(") ? arguments() : Arguments.NONE);
      } else if (takeName("is")) {
        boolean negated = takeName("not");
        String name = name();
        Expression test = new Expression.Test(value, name, testArguments());
        value = negated ? new Expression.Not(test) : test;
      } else {
        return value;
      }
    }
  }

  /** A test takes its arguments in parentheses, or one of them without. */
  private Arguments testArguments() {
    if (take("(")) {
      return arguments();
    }
    Token token = peek();
    boolean argument = switch (token.kind()) {
      case STRING, INTEGER, FLOAT -> true;
      case NAME -> !Set.of("else", "or", "and", "is", "if", "in", "not").contains(token.text());
      case OPERATOR -> token.text().equals("[") || token.text().equals("{");
      default -> false;
    };
    return argument ? new Arguments(List.of(postfix(primary())), Map.of()) : Arguments.NONE;
  }

  // -------------------------------------------------------------------------------------------------------------- tokens

  private Token peek() {
    return tokens.get(at);
  }

  private Token next() {
    Token token = tokens.get(at);
    if (token.kind() != Kind.END) {
      at++;
    }
    return token;
  }

  private boolean take(String operator) {
    boolean found = peek().is(Kind.OPERATOR, operator);
    at += found ? 1 : 0;
    return found;
  }

  private boolean takeName(String name) {
    boolean found = peek().is(Kind.NAME, name);
    at += found ? 1 : 0;
    return found;
  }

  private void require(String operator) {
    if (!take(operator)) {
      throw error("expected '" + operator + "', found " + peek());
    }
  }

  private void expect(Kind kind) {
    if (peek().kind() != kind) {
      throw error("unexpected " + peek());
    }
    next();
  }

  private String name() {
    Token token = next();
    if (token.kind() != Kind.NAME) {
      throw Lexer.error(token.line(), "expected a name, found " + token);
    }
    return token.text();
  }

  private void nest() {
    if (++depth > DEEPEST) {
      throw error("nested more than " + DEEPEST + " deep");
    }
  }

  private ChatTemplateException error(String message) {
    return Lexer.error(peek().line(), message);
  }
}
