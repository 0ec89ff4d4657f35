package io.github.dimple4j.chat;

import io.github.dimple4j.chat.Lexer.Kind;
import io.github.dimple4j.chat.Lexer.Token;
import io.github.dimple4j.chat.Statement.Branch;
import io.github.dimple4j.chat.Statement.Flow;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/** Builds a template's statements from its tokens, by recursive descent. */
final class StatementParser {
  private static final Set<String> INNER_TAGS = Set.of("elif", "else", "endif", "endfor", "endset", "endmacro", "endcall",
      "endfilter", "endwith", "endgeneration");

  private final TokenCursor cursor;
  private final ExpressionParser expressions;
  private final BlockParser blocks;
  private int loops;

  private StatementParser(TokenCursor cursor) {
    this.cursor = cursor;
    expressions = new ExpressionParser(cursor);
    blocks = new BlockParser(cursor, expressions, this);
  }

  /** The statements of a whole template. */
  static List<Statement> parse(List<Token> template) {
    TokenCursor cursor = new TokenCursor(template);
    List<Statement> statements = new StatementParser(cursor).statements();
    if (cursor.peek().kind() != Kind.END) {
      throw cursor.error("'" + cursor.second().text() + "' without a beginning");
    }
    return statements;
  }

  /** Statements up to the end, or up to a tag that continues or ends the statement around them. */
  private List<Statement> statements() {
    cursor.enter();
    List<Statement> out = new ArrayList<>();
    while (true) {
      Token token = cursor.peek();
      switch (token.kind()) {
        case TEXT -> {
          cursor.next();
          out.add(new Statement.Text(token.text()));
        }
        case OUTPUT_BEGIN -> {
          cursor.next();
          out.add(new Statement.Output(token.line(), expressions.expressionOrTuple()));
          cursor.expect(Kind.OUTPUT_END);
        }
        case BLOCK_BEGIN -> {
          String name = cursor.second().text();
          if (INNER_TAGS.contains(name)) {
            cursor.leave();
            return out;
          }
          cursor.next();
          out.add(statement());
        }
        default -> {
          cursor.leave();
          return out;
        }
      }
    }
  }

  private Statement statement() {
    Token keyword = cursor.next();
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
      default -> blocks.statement(keyword);
    };
  }

  /**
   * The statements of a block with its end tag. A loop around it is none that they could break out of, which would leave text half written.
   */
  List<Statement> block(int line, String statement) {
    int outer = loops;
    loops = 0;
    List<Statement> body = statements();
    loops = outer;
    tagName(line, statement, "end" + statement);
    endTag();
    return body;
  }

  private Statement ifStatement(int line) {
    List<Branch> branches = new ArrayList<>();
    Expression condition = expressions.or(); // an unparenthesised "a if b" is no condition
    endTag();
    branches.add(new Branch(line, condition, statements()));
    List<Statement> otherwise = List.of();
    while (true) {
      Token end = tagName(line, "if", "elif", "else", "endif");
      if (end.text().equals("elif")) {
        Expression next = expressions.or();
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
    Target target = target();
    if (!cursor.next().is(Kind.NAME, "in")) {
      throw Lexer.error(line, "'for' without 'in'");
    }
    Expression items = expressions.or();
    Expression condition = null;
    if (cursor.takeName("if")) {
      condition = expressions.expression();
    }
    if (cursor.peek().is(Kind.NAME, "recursive")) {
      throw cursor.error("recursive loops are not supported");
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
    return new Statement.For(line, target, items, condition, body, otherwise);
  }

  private Statement setStatement(int line) {
    Target target = target();
    String attribute = target instanceof Target.Name && cursor.take(".") ? cursor.name() : null;
    Expression value;
    if (cursor.take("=")) {
      value = expressions.expressionOrTuple();
      endTag();
    } else {
      value = captured(line, target);
    }
    return attribute == null ? new Statement.Set(line, target, value)
        : new Statement.SetAttribute(line, ((Target.Name) target).name(), attribute, value);
  }

  /** {@code set name} or {@code set name | filter}, up to {@code endset}. */
  private Expression captured(int line, Target target) {
    List<Statement> body = new ArrayList<>(); // which comes behind the filters
    Expression value = new Expression.Captured(body);
    if (cursor.take("|")) {
      value = expressions.blockFilters(value);
    }
    if (target instanceof Target.Several || cursor.peek().kind() != Kind.BLOCK_END) {
      throw cursor.error("unexpected " + cursor.peek() + " in 'set'");
    }
    endTag();
    body.addAll(block(line, "set"));
    return value;
  }

  /** A name, or several with commas between them, of which each may be several in parentheses. */
  Target target() {
    Target first = oneTarget();
    if (!cursor.peek().is(Kind.OPERATOR, ",")) {
      return first;
    }
    List<Target> targets = new ArrayList<>(List.of(first));
    while (cursor.take(",")) {
      if (cursor.peek().kind() != Kind.NAME && !cursor.peek().is(Kind.OPERATOR, "(")) {
        break;
      }
      targets.add(oneTarget());
    }
    return new Target.Several(targets);
  }

  private Target oneTarget() {
    if (!cursor.take("(")) {
      return new Target.Name(cursor.name());
    }
    cursor.enter();
    Target target = target();
    cursor.leave();
    cursor.require(")");
    return target;
  }

  private Token tagName(int line, String statement, String... allowed) {
    if (cursor.peek().kind() != Kind.BLOCK_BEGIN) {
      throw Lexer.error(line, "'" + statement + "' without 'end" + statement + "'");
    }
    cursor.next();
    Token name = cursor.next();
    if (!List.of(allowed).contains(name.text())) {
      throw Lexer.error(name.line(), "unexpected " + name + " in '" + statement + "' of line " + line);
    }
    return name;
  }

  void endTag() {
    cursor.expect(Kind.BLOCK_END);
  }
}
