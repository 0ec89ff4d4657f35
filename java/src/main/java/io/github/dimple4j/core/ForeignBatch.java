package io.github.dimple4j.core;

import io.github.dimple4j.bindings.Dimple;
import io.github.dimple4j.bindings.dimple_batch_counts;
import io.github.dimple4j.bindings.dimple_step;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;

/** A {@code dimple_batch}. */
final class ForeignBatch implements CoreBatch {
  private final MemorySegment batch;

  ForeignBatch(MemorySegment batch) {
    this.batch = batch;
  }

  @Override
  public List<Outcome> step(List<CoreSession> sessions) {
    int count = sessions.size();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment handles = arena.allocate(ValueLayout.ADDRESS, count);
      for (int i = 0; i < count; i++) {
        handles.setAtIndex(ValueLayout.ADDRESS, i, ((ForeignSession) sessions.get(i)).session());
      }
      MemorySegment steps = dimple_step.allocateArray(count, arena);
      MemorySegment statuses = arena.allocate(ValueLayout.JAVA_INT, count);
      ForeignCore.check(Dimple.dimple_batch_step(batch, handles, count, steps, statuses));
      List<Outcome> outcomes = new ArrayList<>(count);
      for (int i = 0; i < count; i++) {
        outcomes.add(outcome(statuses.getAtIndex(ValueLayout.JAVA_INT, i), dimple_step.asSlice(steps, i), i));
      }
      return outcomes;
    }
  }

  private Outcome outcome(int status, MemorySegment step, int index) {
    if (status == Dimple.DIMPLE_OK()) {
      return new Outcome(ForeignSession.result(step), null);
    }
    return new Outcome(null, new CoreException(ForeignCore.kind(status), Dimple.dimple_batch_get_error(batch, index).getString(0), null));
  }

  @Override
  public Counts counts() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment counts = dimple_batch_counts.allocate(arena);
      ForeignCore.check(Dimple.dimple_batch_get_counts(batch, counts));
      return new Counts(dimple_batch_counts.steps(counts), dimple_batch_counts.passes(counts), dimple_batch_counts.session_passes(counts),
          dimple_batch_counts.rows(counts), dimple_batch_counts.bytes(counts));
    }
  }

  @Override
  public void free() {
    Dimple.dimple_batch_free(batch);
  }
}
