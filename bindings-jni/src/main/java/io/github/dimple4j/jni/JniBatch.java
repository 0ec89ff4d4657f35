package io.github.dimple4j.jni;

import io.github.dimple4j.core.CoreBatch;
import io.github.dimple4j.core.CoreException;
import io.github.dimple4j.core.CoreSession;
import io.github.dimple4j.jni.Structs.BatchCounts;
import io.github.dimple4j.jni.Structs.Step;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;

/** A {@code dimple_batch}. */
final class JniBatch implements CoreBatch {
  private final long batch;

  JniBatch(long batch) {
    this.batch = batch;
  }

  @Override
  public List<Outcome> step(List<CoreSession> sessions) {
    int count = sessions.size();
    try (Memory memory = new Memory()) {
      ByteBuffer handles = memory.of(sessions.stream().mapToLong(each -> ((JniSession) each).session()).toArray());
      ByteBuffer steps = memory.allocate(count, Step.SIZEOF);
      ByteBuffer statuses = memory.allocate(count, Integer.BYTES);
      JniCore.check(Shim.dimple_batch_step(batch, handles, count, steps, statuses));
      List<Outcome> outcomes = new ArrayList<>(count);
      for (int i = 0; i < count; i++) {
        outcomes.add(outcome(statuses.getInt(i * Integer.BYTES), steps.slice(i * Step.SIZEOF, Step.SIZEOF).order(steps.order()), i));
      }
      return outcomes;
    }
  }

  private Outcome outcome(int status, ByteBuffer step, int index) {
    if (status == Shim.DIMPLE_OK) {
      return new Outcome(JniSession.result(step), null);
    }
    return new Outcome(null, new CoreException(JniCore.kind(status), Memory.text(Shim.dimple_batch_get_error(batch, index)), null));
  }

  @Override
  public Counts counts() {
    try (Memory memory = new Memory()) {
      ByteBuffer counts = memory.allocate(BatchCounts.SIZEOF);
      JniCore.check(Shim.dimple_batch_get_counts(batch, counts));
      return new Counts(BatchCounts.STEPS.number(counts), BatchCounts.PASSES.number(counts), BatchCounts.SESSION_PASSES.number(counts),
          BatchCounts.ROWS.number(counts), BatchCounts.BYTES.number(counts));
    }
  }

  @Override
  public void free() {
    Shim.dimple_batch_free(batch);
  }
}
