package io.github.dimple4j.server;

import io.github.dimple4j.Canvas;
import io.github.dimple4j.Finish;
import io.github.dimple4j.Generation;

/** Why an answer ends, in the words of the interface, and what there is of it. */
final class Finishes {
  private Finishes() {}

  /** Whether nothing of the text is missing. */
  static boolean complete(Generation generation) {
    return switch (generation.finish()) {
      case END_OF_TEXT, STOP_STRING, LENGTH -> true;
      case BUDGET, CANCELLED, MASKED -> false;
    };
  }

  /** All of the text if it is complete, or else what would not have changed any more. */
  static String text(Generation generation) {
    Canvas canvas = generation.canvas();
    return complete(generation) ? canvas.text() : canvas.stableText();
  }

  static String name(Generation generation, Shape shape) {
    boolean whole = shape.kind() == Shape.Kind.STRUCTURE && generation.finish() == Finish.LENGTH; // it fills the response, and is all there
    return whole || generation.finish() == Finish.END_OF_TEXT || generation.finish() == Finish.STOP_STRING ? "stop" : "length";
  }
}
