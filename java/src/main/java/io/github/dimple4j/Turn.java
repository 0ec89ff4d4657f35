package io.github.dimple4j;

import io.github.dimple4j.arguments.Elements;
import java.util.List;
import java.util.Objects;
import java.util.stream.Collectors;

/**
 * One message of a {@link Conversation}.
 *
 * @param role who speaks: {@code "user"} or {@code "assistant"}
 * @param parts texts and pictures in order; of the assistant one text
 */
public record Turn(String role, List<Part> parts) {
  /** Copies the parts. */
  public Turn {
    Objects.requireNonNull(role, "role");
    parts = Elements.of(parts, "parts");
  }

  /**
   * What was said, without the pictures.
   *
   * @return the texts one after the other
   */
  public String text() {
    return parts.stream().filter(Text.class::isInstance).map(part -> ((Text) part).text()).collect(Collectors.joining());
  }
}
