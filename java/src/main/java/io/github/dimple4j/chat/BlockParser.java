package io.github.dimple4j.chat;

import io.github.dimple4j.chat.Lexer.Kind;
import io.github.dimple4j.chat.Lexer.Token;
import io.github.dimple4j.chat.Macro.Definition;
import io.github.dimple4j.chat.Macro.Parameter;
import java.util.ArrayList;
import java.util.List;

/** Builds the statements that do something with the text of a block: macros, calls of them, filters. */
final class BlockParser {
  private final TokenCursor cursor;
  private final ExpressionParser expressions;
  private final StatementParser statements;

  BlockParser(TokenCursor cursor, ExpressionParser expressions, StatementParser statements) {
    this.cursor = cursor;
    this.expressions = expressions;
    this.statements = statements;
  }

  Statement statement(Token keyword) {
    int line = keyword.line();
    return switch (keyword.text()) {
      case "macro" -> {
        String name = cursor.name();
        cursor.require("(");
        Definition definition = definition(line, "macro", name, parameters());
        yield new Statement.Set(line, new Target.Name(name), new Expression.Closure(definition));
      }
      case "call" -> call(line);
      case "filter" -> {
        List<Statement> body = new ArrayList<>(); // which comes behind the filters
        Expression value = expressions.blockFilters(new Expression.Captured(body));
        statements.endTag();
        body.addAll(statements.block(line, "filter"));
        yield new Statement.Output(line, value);
      }
      case "with" -> with(line);
      case "generation" -> { // marks what an assistant says, for training
        statements.endTag();
        yield new Statement.Scoped(line, List.of(), List.of(), statements.block(line, "generation"));
      }
      default -> throw Lexer.error(line, "unsupported statement " + keyword);
    };
  }

  /** {@code call(parameters) macro(arguments)}: the macro gets what is in the block as {@code caller}. */
  private Statement call(int line) {
    List<Parameter> parameters = cursor.take("(") ? parameters() : List.of();
    Expression called = expressions.expression();
    Expression caller = new Expression.Closure(definition(line, "call", "caller", parameters));
    return new Statement.Output(line, switch (called) {
      case Expression.Call call -> new Expression.Call(call.function(), call.arguments().with("caller", caller));
      case Expression.MethodCall call -> new Expression.MethodCall(call.value(), call.method(), call.arguments().with("caller", caller));
      default -> throw Lexer.error(line, "'call' without a call");
    });
  }

  private Definition definition(int line, String statement, String name, List<Parameter> parameters) {
    statements.endTag();
    int from = cursor.position();
    List<Statement> body = statements.block(line, statement);
    return new Definition(name, parameters, body, cursor.named("varargs", from), cursor.named("kwargs", from),
        cursor.named("caller", from));
  }

  private List<Parameter> parameters() {
    List<Parameter> parameters = new ArrayList<>();
    while (!cursor.take(")")) {
      if (!parameters.isEmpty()) {
        cursor.require(",");
        if (cursor.take(")")) {
          break;
        }
      }
      String name = cursor.name();
      Expression otherwise = cursor.take("=") ? expressions.expression() : null;
      if (otherwise == null && !parameters.isEmpty() && parameters.getLast().otherwise() != null) {
        throw cursor.error("parameter '" + name + "' without a default behind one that has one");
      }
      parameters.add(new Parameter(name, otherwise));
    }
    return parameters;
  }

  private Statement with(int line) {
    List<Target> targets = new ArrayList<>();
    List<Expression> values = new ArrayList<>();
    while (cursor.peek().kind() != Kind.BLOCK_END) {
      if (!targets.isEmpty()) {
        cursor.require(",");
      }
      targets.add(new Target.Name(cursor.name()));
      cursor.require("=");
      values.add(expressions.expression());
    }
    statements.endTag();
    return new Statement.Scoped(line, targets, values, statements.block(line, "with"));
  }
}
