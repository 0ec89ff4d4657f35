package io.github.dimple4j.chat;

import io.github.dimple4j.chat.Values.Namespace;
import io.github.dimple4j.chat.Values.Undefined;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

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

  /** {@code set a = value}, {@code set a, b = value}. */
  record Set(int line, List<String> targets, Expression value) implements Statement {
    @Override
    public Flow run(Rendering rendering) {
      rendering.at(line);
      bind(targets, rendering.evaluate(value), rendering);
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

  /** {@code set name} up to {@code endset}. */
  record SetBlock(int line, String name, List<Statement> body) implements Statement {
    @Override
    public Flow run(Rendering rendering) {
      rendering.at(line);
      rendering.enterScope();
      String text = rendering.capture(() -> runAll(body, rendering));
      rendering.leaveScope();
      rendering.assign(name, text);
      return Flow.NEXT;
    }
  }

  /** {@code for targets in items if condition}; {@code condition} may be null. */
  record For(int line, List<String> targets, Expression items, Expression condition, List<Statement> body, List<Statement> otherwise)
      implements Statement {
    @Override
    public Flow run(Rendering rendering) {
      rendering.at(line);
      List<Object> chosen = chosen(rendering);
      for (int i = 0; i < chosen.size(); i++) {
        rendering.enter();
        rendering.enterScope();
        bind(targets, chosen.get(i), rendering);
        rendering.assign("loop", loop(chosen, i));
        Flow flow = runAll(body, rendering);
        rendering.leaveScope();
        rendering.leave();
        if (flow == Flow.BREAK) {
          break;
        }
      }
      return chosen.isEmpty() ? runAll(otherwise, rendering) : Flow.NEXT;
    }

    private List<Object> chosen(Rendering rendering) {
      List<Object> all = Operations.elements(rendering.evaluate(items), rendering);
      if (condition == null) {
        return all;
      }
      List<Object> chosen = new ArrayList<>();
      for (Object item : all) {
        rendering.enterScope();
        bind(targets, item, rendering);
        if (Values.truth(rendering.evaluate(condition))) {
          chosen.add(item);
        }
        rendering.leaveScope();
      }
      return chosen;
    }

    private static Map<String, Object> loop(List<Object> items, int index) {
      int count = items.size();
      Map<String, Object> loop = new HashMap<>();
      loop.put("index", index + 1L);
      loop.put("index0", (long) index);
      loop.put("revindex", (long) count - index);
      loop.put("revindex0", count - index - 1L);
      loop.put("first", index == 0);
      loop.put("last", index == count - 1);
      loop.put("length", (long) count);
      loop.put("previtem", index > 0 ? items.get(index - 1) : new Undefined("loop.previtem"));
      loop.put("nextitem", index < count - 1 ? items.get(index + 1) : new Undefined("loop.nextitem"));
      return loop;
    }
  }

  private static void bind(List<String> targets, Object value, Rendering rendering) {
    if (targets.size() == 1) {
      rendering.assign(targets.get(0), value);
      return;
    }
    List<Object> parts = Operations.elements(value, rendering);
    if (parts.size() != targets.size()) {
      throw rendering.error(targets.size() + " names for " + parts.size() + " values");
    }
    for (int i = 0; i < parts.size(); i++) {
      rendering.assign(targets.get(i), parts.get(i));
    }
  }
}
