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
  private static final Set<String> INNER_TAGS = Set.of("elif", "else", "endif", "endfor", "endset");

  private final TokenCursor cursor;
  private final ExpressionParser expressions;
  private int loops;

  private StatementParser(TokenCursor cursor) {
    this.cursor = cursor;
    expressions = new ExpressionParser(cursor);
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
      default -> throw Lexer.error(keyword.line(), "unsupported statement " + keyword);
    };
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
    List<String> targets = names();
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
    return new Statement.For(line, targets, items, condition, body, otherwise);
  }

  private Statement setStatement(int line) {
    List<String> targets = names();
    if (targets.size() == 1 && cursor.take(".")) {
      String attribute = cursor.name();
      cursor.require("=");
      Expression value = expressions.expressionOrTuple();
      endTag();
      return new Statement.SetAttribute(line, targets.get(0), attribute, value);
    }
    if (cursor.take("=")) {
      Expression value = expressions.expressionOrTuple();
      endTag();
      return new Statement.Set(line, targets, value);
    }
    if (targets.size() > 1 || cursor.peek().kind() != Kind.BLOCK_END) {
      throw cursor.error("unexpected " + cursor.peek() + " in 'set'");
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
    List<String> names = new ArrayList<>(List.of(cursor.name()));
    while (cursor.take(",")) {
      names.add(cursor.name());
    }
    return names;
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

  private void endTag() {
    cursor.expect(Kind.BLOCK_END);
  }
}
