package io.github.dimple4j.cli;

import io.github.dimple4j.Conversation;
import io.github.dimple4j.SessionBuilder;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** How much of a response is decoded at a time. */
final class CanvasOption {
  @Spec(Spec.Target.MIXEE) private CommandSpec spec;

  @Option(names = "--canvas-length", paramLabel = "N",
      description = "Fill a response in canvases of N tokens, one behind the other, until the answer ends or all of its tokens are there (default: "
          + "all in one).")
  private Integer length;

  /** Checks what does not depend on the model. */
  void check() {
    if (length != null && length < 1) {
      throw Failures.invalidValue(spec, "--canvas-length", length + ", expected 1 or more");
    }
  }

  boolean isGiven() {
    return length != null;
  }

  /** The length of the first canvas of a response. */
  int of(int responseLength) {
    return length == null ? responseLength : Math.min(length, responseLength);
  }

  SessionBuilder addTo(SessionBuilder builder) {
    return length == null ? builder : builder.canvasLength(length);
  }

  void addTo(Conversation conversation) {
    if (length != null) {
      conversation.canvasLength(length);
    }
  }
}
