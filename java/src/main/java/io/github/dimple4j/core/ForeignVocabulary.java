package io.github.dimple4j.core;

import io.github.dimple4j.bindings.Dimple;
import io.github.dimple4j.bindings.dimple_automaton;
import io.github.dimple4j.bindings.dimple_constraint_info;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** A {@code dimple_vocabulary}. */
final class ForeignVocabulary implements CoreVocabulary {
  private final MemorySegment vocabulary;

  private ForeignVocabulary(MemorySegment vocabulary) {
    this.vocabulary = vocabulary;
  }

  static CoreVocabulary of(byte[] bytes, long[] offsets, byte[] kinds) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment place = arena.allocate(ValueLayout.ADDRESS);
      ForeignCore.check(Dimple.dimple_vocabulary_create(arena.allocateFrom(ValueLayout.JAVA_BYTE, bytes),
          arena.allocateFrom(ValueLayout.JAVA_LONG, offsets), arena.allocateFrom(ValueLayout.JAVA_BYTE, kinds), kinds.length, place));
      return new ForeignVocabulary(place.get(ValueLayout.ADDRESS, 0));
    }
  }

  @Override
  public CoreConstraint constraint(CoreAutomaton automaton) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment tables = dimple_automaton.allocate(arena);
      dimple_automaton.state_count(tables, automaton.stateCount());
      dimple_automaton.class_count(tables, automaton.classCount());
      dimple_automaton.byte_class(tables, arena.allocateFrom(ValueLayout.JAVA_BYTE, automaton.byteClass()));
      dimple_automaton.next(tables, arena.allocateFrom(ValueLayout.JAVA_INT, automaton.next()));
      dimple_automaton.accepting(tables, arena.allocateFrom(ValueLayout.JAVA_BYTE, automaton.accepting()));
      dimple_automaton.start(tables, automaton.start());
      dimple_automaton.slot_count(tables, automaton.slotTokens().length);
      dimple_automaton.state_slot(tables, arena.allocateFrom(ValueLayout.JAVA_INT, automaton.stateSlot()));
      dimple_automaton.slot_tokens(tables, arena.allocateFrom(ValueLayout.JAVA_INT, automaton.slotTokens()));
      MemorySegment place = arena.allocate(ValueLayout.ADDRESS);
      ForeignCore.check(Dimple.dimple_constraint_create(vocabulary, tables, place));
      return new ForeignConstraint(place.get(ValueLayout.ADDRESS, 0));
    }
  }

  @Override
  public void free() {
    Dimple.dimple_vocabulary_free(vocabulary);
  }

  /** A {@code dimple_constraint}. */
  record ForeignConstraint(MemorySegment constraint) implements CoreConstraint {
    @Override
    public ConstraintFacts facts() {
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment info = dimple_constraint_info.allocate(arena);
        ForeignCore.check(Dimple.dimple_constraint_get_info(constraint, info));
        return new ConstraintFacts(dimple_constraint_info.states(info), dimple_constraint_info.classes(info),
            dimple_constraint_info.labels(info), dimple_constraint_info.edges(info), dimple_constraint_info.shortest(info),
            dimple_constraint_info.bytes(info));
      }
    }

    @Override
    public void free() {
      Dimple.dimple_constraint_free(constraint);
    }
  }
}
