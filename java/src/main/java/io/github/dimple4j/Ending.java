package io.github.dimple4j;

import io.github.dimple4j.structure.json.Utf8Edges;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * When a decoding ends, beside the schedule's end.
 *
 * @param early whether it ends once the text is complete; empty: as suits the algorithm
 * @param stops texts that end the text, none of them empty
 * @param iterations at most so many
 * @param time none begins after so long
 * @param pruned whether what stands behind an end of text is no longer computed
 */
record Ending(Optional<Boolean> early, List<String> stops, OptionalInt iterations, Optional<Duration> time, boolean pruned) {
  static final Ending DEFAULT = new Ending(Optional.empty(), List.of(), OptionalInt.empty(), Optional.empty(), false);

  Ending withEarly(boolean on) {
    return new Ending(Optional.of(on), stops, iterations, time, pruned);
  }

  Ending withStops(List<String> texts) {
    if (texts.stream().anyMatch(String::isEmpty)) {
      throw new InvalidArgumentException("a stop string is empty, expected a text");
    }
    if (!texts.stream().allMatch(Utf8Edges::isText)) {
      throw new InvalidArgumentException("a stop string has half of a surrogate pair, which is no character");
    }
    return new Ending(early, List.copyOf(texts), iterations, time, pruned);
  }

  Ending withIterations(int most) {
    if (most < 1) {
      throw new InvalidArgumentException("a budget of " + most + " iterations, expected at least 1");
    }
    return new Ending(early, stops, OptionalInt.of(most), time, pruned);
  }

  Ending withTime(Duration most) {
    if (most.isNegative() || most.isZero()) {
      throw new InvalidArgumentException("a budget of " + most + ", expected a time above 0");
    }
    return new Ending(early, stops, iterations, Optional.of(most), pruned);
  }

  Ending withPruned(boolean on) {
    return new Ending(early, stops, iterations, time, on);
  }

  /** Whether no iteration may follow for want of budget. */
  boolean exhausted(int iterationsDone, long nanoseconds) {
    return iterations.isPresent() && iterationsDone >= iterations.getAsInt()
        || time.isPresent() && Duration.ofNanos(nanoseconds).compareTo(time.get()) >= 0;
  }
}
