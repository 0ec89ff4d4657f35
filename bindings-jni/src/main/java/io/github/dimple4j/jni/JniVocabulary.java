package io.github.dimple4j.jni;

import io.github.dimple4j.core.ConstraintFacts;
import io.github.dimple4j.core.CoreAutomaton;
import io.github.dimple4j.core.CoreConstraint;
import io.github.dimple4j.core.CoreVocabulary;
import io.github.dimple4j.jni.Structs.Automaton;
import io.github.dimple4j.jni.Structs.ConstraintInfo;
import java.nio.ByteBuffer;

/** A {@code dimple_vocabulary}. */
final class JniVocabulary implements CoreVocabulary {
  private final long vocabulary;

  private JniVocabulary(long vocabulary) {
    this.vocabulary = vocabulary;
  }

  static CoreVocabulary of(byte[] bytes, long[] offsets, byte[] kinds) {
    try (Memory memory = new Memory()) {
      ByteBuffer place = memory.pointer();
      JniCore.check(Shim.dimple_vocabulary_create(memory.of(bytes), memory.of(offsets), memory.of(kinds), kinds.length, place));
      return new JniVocabulary(place.getLong(0));
    }
  }

  @Override
  public CoreConstraint constraint(CoreAutomaton automaton) {
    try (Memory memory = new Memory()) {
      ByteBuffer tables = memory.allocate(Automaton.SIZEOF);
      Automaton.STATE_COUNT.set(tables, automaton.stateCount());
      Automaton.CLASS_COUNT.set(tables, automaton.classCount());
      Automaton.BYTE_CLASS.set(tables, Shim.address(memory.of(automaton.byteClass())));
      Automaton.NEXT.set(tables, Shim.address(memory.of(automaton.next())));
      Automaton.ACCEPTING.set(tables, Shim.address(memory.of(automaton.accepting())));
      Automaton.START.set(tables, automaton.start());
      Automaton.SLOT_COUNT.set(tables, automaton.slotTokens().length);
      Automaton.STATE_SLOT.set(tables, Shim.address(memory.of(automaton.stateSlot())));
      Automaton.SLOT_TOKENS.set(tables, Shim.address(memory.of(automaton.slotTokens())));
      ByteBuffer place = memory.pointer();
      JniCore.check(Shim.dimple_constraint_create(vocabulary, tables, place));
      return new JniConstraint(place.getLong(0));
    }
  }

  @Override
  public void free() {
    Shim.dimple_vocabulary_free(vocabulary);
  }

  /** A {@code dimple_constraint}. */
  record JniConstraint(long constraint) implements CoreConstraint {
    @Override
    public ConstraintFacts facts() {
      try (Memory memory = new Memory()) {
        ByteBuffer info = memory.allocate(ConstraintInfo.SIZEOF);
        JniCore.check(Shim.dimple_constraint_get_info(constraint, info));
        return new ConstraintFacts(ConstraintInfo.STATES.integer(info), ConstraintInfo.CLASSES.integer(info),
            ConstraintInfo.LABELS.integer(info), ConstraintInfo.EDGES.number(info), ConstraintInfo.SHORTEST.integer(info),
            ConstraintInfo.BYTES.number(info));
      }
    }

    @Override
    public void free() {
      Shim.dimple_constraint_free(constraint);
    }
  }
}
