package io.github.dimple4j;

import io.github.dimple4j.core.ConstraintFacts;
import io.github.dimple4j.core.CoreAutomaton;
import io.github.dimple4j.core.CoreConstraint;
import io.github.dimple4j.core.CoreVocabulary;
import io.github.dimple4j.structure.ByteAutomaton;
import io.github.dimple4j.tokenizer.Tokenizer;
import java.io.ByteArrayOutputStream;
import java.util.Arrays;
import java.util.BitSet;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Function;

/**
 * Automata compiled for a model's vocabulary. Compiling takes from a millisecond to a second, so the latest ones are kept; the vocabulary
 * is made when the first one is wanted. Thread-safe.
 */
final class Constraints {
  private static final int KEPT = 32;

  /** {@code dimple_token_kind}. */
  private static final byte TEXT = 0;
  private static final byte END = 1;
  private static final byte FILLER = 2;
  private static final byte EXCLUDED = 3;

  private final ModelHandle model;
  private final ModelInfo info;
  private final ModelText text;
  private final Map<ByteAutomaton, CoreConstraint> compiled = new LinkedHashMap<>(16, 0.75f, true);
  private CoreVocabulary vocabulary;

  Constraints(ModelHandle model, ModelInfo info, ModelText text) {
    this.model = model;
    this.info = info;
    this.text = text;
  }

  /** Runs a body with an automaton's constraint, which lives while it runs. The caller keeps the model from being freed. */
  synchronized <T> T use(ByteAutomaton automaton, Function<CoreConstraint, T> body) {
    CoreConstraint constraint = compiled.get(automaton);
    if (constraint == null) {
      if (vocabulary == null) {
        vocabulary = vocabulary();
      }
      constraint = Engine.call(() -> vocabulary.constraint(tables(automaton)));
      compiled.put(automaton, constraint);
      if (compiled.size() > KEPT) {
        var eldest = compiled.values().iterator();
        eldest.next().free();
        eldest.remove();
      }
    }
    return body.apply(constraint);
  }

  ConstraintFacts facts(ByteAutomaton automaton) {
    return use(automaton, CoreConstraint::facts);
  }

  private static CoreAutomaton tables(ByteAutomaton automaton) {
    byte[] accepting = new byte[automaton.stateCount()];
    for (int state = 0; state < accepting.length; state++) {
      accepting[state] = (byte) (automaton.accepting(state) ? 1 : 0);
    }
    return new CoreAutomaton(automaton.stateCount(), automaton.classCount(), automaton.byteClass(), automaton.next(), accepting, 0,
        automaton.stateSlot(), automaton.slotTokens());
  }

  /** The tokens as the tokenizer decodes them, control tokens by their names. A model may have more ids than its tokenizer has tokens. */
  private CoreVocabulary vocabulary() {
    Tokenizer tokenizer = text.tokenizer();
    BitSet ends = new BitSet();
    Arrays.stream(text.ends()).forEach(ends::set);
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    byte[] kinds = new byte[info.vocabSize()];
    long[] offsets = new long[kinds.length + 1];
    for (int id = 0; id < kinds.length; id++) {
      kinds[id] = kind(id, tokenizer, ends);
      if (kinds[id] == TEXT) {
        bytes.writeBytes(tokenizer.isControl(id) ? ByteAutomaton.tokenBytes(tokenizer.token(id)) : tokenizer.tokenBytes(id));
      }
      offsets[id + 1] = bytes.size();
    }
    return model.call(core -> core.vocabulary(bytes.toByteArray(), offsets, kinds));
  }

  private byte kind(int id, Tokenizer tokenizer, BitSet ends) {
    if (id == info.maskTokenId().orElse(-1) || id == info.imageTokenId().orElse(-1)) {
      return EXCLUDED;
    } else if (ends.get(id)) {
      return END;
    } else if (id == info.padTokenId().orElse(-1)) {
      return FILLER;
    }
    boolean named = id < tokenizer.size() && (tokenizer.isControl(id) || tokenizer.isText(id) && !hasMark(tokenizer.tokenBytes(id)));
    return named ? TEXT : EXCLUDED;
  }

  /** Whether a text has the byte that frames the names of control tokens; no UTF-8 has. */
  private static boolean hasMark(byte[] text) {
    for (byte one : text) {
      if (one == ByteAutomaton.TOKEN_MARK) {
        return true;
      }
    }
    return false;
  }

  /** After the last use. */
  synchronized void free() {
    compiled.values().forEach(CoreConstraint::free);
    compiled.clear();
    if (vocabulary != null) {
      vocabulary.free();
      vocabulary = null;
    }
  }
}
