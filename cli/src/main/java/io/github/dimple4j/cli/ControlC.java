package io.github.dimple4j.cli;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;

/**
 * What {@code ^C} does instead of ending the program. Java has no public word for signals, so this asks for the one class that every JDK has
 * for them by its name; on a platform without it {@code ^C} goes on ending the program.
 */
final class ControlC {
  private ControlC() {}

  /** From now on {@code ^C} runs this, on a thread of its own. */
  static void does(Runnable action) {
    on("INT", action);
  }

  /** The same of SIGTERM, by which services are ended. */
  static void orTerminationDoes(Runnable action) {
    on("INT", action);
    on("TERM", action);
  }

  private static void on(String name, Runnable action) {
    try {
      Class<?> signal = Class.forName("sun.misc.Signal");
      Class<?> handler = Class.forName("sun.misc.SignalHandler");
      Object answer = Proxy.newProxyInstance(ControlC.class.getClassLoader(), new Class<?>[] {handler}, (proxy, method, arguments) -> {
        if (method.getDeclaringClass() == handler) {
          action.run();
          return null;
        }
        return switch (method.getName()) { // of Object
          case "equals" -> proxy == arguments[0];
          case "hashCode" -> System.identityHashCode(proxy);
          default -> "the answer to " + name;
        };
      });
      signal.getMethod("handle", signal, handler).invoke(null, signal.getConstructor(String.class).newInstance(name), answer);
    } catch (ClassNotFoundException | NoSuchMethodException | IllegalAccessException | InstantiationException | InvocationTargetException e) {
      // It ends the program, as it does everywhere else.
    }
  }
}
