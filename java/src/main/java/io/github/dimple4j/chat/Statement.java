package io.github.dimple4j.chat;

import io.github.dimple4j.chat.Values.Namespace;
import java.util.ArrayList;
import java.util.List;

/** A statement of a template; running it writes output and sets names. */
sealed interface Statement {
  /** What a statement asks of the loop around it. */
  enum Flow { NEXT, BREAK, CONTINUE }

  Flow run(Rendering rendering);

  static Flow runAll(List<Statement> statements, Rendering rendering) {
    for (Statement statement : statements) {
      rendering.enter();
      Flow flow = statement.run(rendering);
      rendering.leave();
      if (flow != Flow.NEXT) {
        return flow;
      }
    }
    return Flow.NEXT;
  }

  /** Text between tags. */
  record Text(String text) implements Statement {
    @Override
    public Flow run(Rendering rendering) {
      rendering.writeOwn(text);
      return Flow.NEXT;
    }
  }

  /** {@code {{ value }}}. */
  record Output(int line, Expression value) implements Statement {
    @Override
    public Flow run(Rendering rendering) {
      rendering.at(line);
      rendering.write(rendering.evaluate(value));
      return Flow.NEXT;
    }
  }

  /** A condition of {@code if} or {@code elif} and what follows from it. */
  record Branch(int line, Expression condition, List<Statement> body) {}

  /** {@code if} with its {@code elif} branches and the statements of {@code else}. */
  record If(List<Branch> branches, List<Statement> otherwise) implements Statement {
    @Override
    public Flow run(Rendering rendering) {
      for (Branch branch : branches) {
        rendering.at(branch.line);
        if (Values.truth(rendering.evaluate(branch.condition))) {
          return runAll(branch.body, rendering);
        }
      }
      return runAll(otherwise, rendering);
    }
  }

  /** {@code break} or {@code continue}. */
  record Jump(Flow flow) implements Statement {
    @Override
    public Flow run(Rendering rendering) {
      return flow;
    }
  }

  /** {@code set target = value}. */
  record Set(int line, Target target, Expression value) implements Statement {
    @Override
    public Flow run(Rendering rendering) {
      rendering.at(line);
      target.bind(rendering.evaluate(value), rendering);
      return Flow.NEXT;
    }
  }

  /** {@code set name.attribute = value}. */
  record SetAttribute(int line, String name, String attribute, Expression value) implements Statement {
    @Override
    public Flow run(Rendering rendering) {
      rendering.at(line);
      if (!(rendering.lookup(name) instanceof Namespace namespace)) {
        throw rendering.error("cannot assign attribute '" + attribute + "' of '" + name + "', which is no namespace");
      }
      namespace.attributes().put(attribute, rendering.evaluate(value));
      return Flow.NEXT;
    }
  }

  /** {@code with} and {@code generation}: names that are set in there are not seen behind it; values belong to what is around. */
  record Scoped(int line, List<Target> targets, List<Expression> values, List<Statement> body) implements Statement {
    @Override
    public Flow run(Rendering rendering) {
      rendering.at(line);
      List<Object> all = new ArrayList<>();
      values.forEach(value -> all.add(rendering.evaluate(value)));
      rendering.enterScope();
      for (int i = 0; i < all.size(); i++) {
        targets.get(i).bind(all.get(i), rendering);
      }
      Flow flow = runAll(body, rendering);
      rendering.leaveScope();
      return flow;
    }
  }

  /**
   * {@code for target in items if condition}; {@code condition} may be null. As in Jinja, what is behind {@code else} is written unless a
   * round got to its end: also where each one was left by {@code continue} or {@code break}.
   */
  record For(int line, Target target, Expression items, Expression condition, List<Statement> body, List<Statement> otherwise)
      implements Statement {
    @Override
    public Flow run(Rendering rendering) {
      rendering.at(line);
      List<Object> chosen = chosen(rendering);
      Loop loop = new Loop(chosen);
      boolean wholeRound = false;
      for (int i = 0; i < chosen.size(); i++) {
        rendering.enter();
        rendering.enterScope();
        target.bind(chosen.get(i), rendering);
        loop.round(i);
        rendering.assign("loop", loop);
        Flow flow = runAll(body, rendering);
        rendering.leaveScope();
        rendering.leave();
        if (flow == Flow.BREAK) {
          break;
        }
        wholeRound |= flow == Flow.NEXT;
      }
      return wholeRound ? Flow.NEXT : runAll(otherwise, rendering);
    }

    private List<Object> chosen(Rendering rendering) {
      List<Object> all = Operations.elements(rendering.evaluate(items), rendering);
      if (condition == null) {
        return all;
      }
      List<Object> chosen = new ArrayList<>();
      for (Object item : all) {
        rendering.enterScope();
        target.bind(item, rendering);
        if (Values.truth(rendering.evaluate(condition))) {
          chosen.add(item);
        }
        rendering.leaveScope();
      }
      return chosen;
    }
  }
}
