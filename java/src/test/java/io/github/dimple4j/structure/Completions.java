package io.github.dimple4j.structure;

import io.github.dimple4j.DimpleModel;
import io.github.dimple4j.tokenizer.Tokenizer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * A search for responses that an automaton accepts and that agree with a canvas: by sets of states, token by token as the tokenizer spells
 * them, with nothing of what the core does to decode.
 */
public final class Completions {
  private final ByteAutomaton automaton;
  private final Tokenizer tokenizer;
  private final int mask;
  private final BitSet ends = new BitSet();
  private final int pad;
  private final List<byte[]> texts = new ArrayList<>();
  private final BitSet[] behind; // by state: where any one token leads to
  private final Map<BitSet, BitSet> steps = new HashMap<>();

  /**
   * Prepares the search.
   *
   * @param automaton of the responses
   * @param model whose tokens they consist of
   */
  public Completions(ByteAutomaton automaton, DimpleModel model) {
    this.automaton = automaton;
    tokenizer = model.tokenizer();
    mask = model.info().maskTokenId().orElseThrow();
    pad = model.info().padTokenId().orElse(-1);
    Arrays.stream(model.endTokenIds()).forEach(ends::set);
    int vocabulary = Math.min(tokenizer.size(), model.info().vocabSize());
    for (int id = 0; id < vocabulary; id++) {
      if (isText(id) && tokenizer.tokenBytes(id).length > 0) {
        texts.add(tokenizer.tokenBytes(id));
      }
    }
    behind = new BitSet[automaton.stateCount()];
  }

  private boolean isText(int id) {
    return id < tokenizer.size() && tokenizer.isText(id) && id != mask && id != pad && !ends.get(id);
  }

  /**
   * Tells whether masks can be filled so that the response is accepted.
   *
   * @param canvas a token or the mask per position; behind it are masks
   * @param length positions in all
   * @return true if they can
   */
  public boolean exists(int[] canvas, int length) {
    int[] whole = Arrays.copyOf(canvas, length);
    Arrays.fill(whole, canvas.length, length, mask);
    return exists(whole);
  }

  private boolean exists(int[] canvas) {
    BitSet states = new BitSet();
    states.set(0);
    boolean ended = false; // whether the text can be over, with an end token behind it
    for (int token : canvas) {
      boolean mayEnd = token == mask || ends.get(token);
      boolean ends = mayEnd && anyAccepts(states) || ended && (mayEnd || token == pad);
      states = token == mask ? steps.computeIfAbsent(states, this::step) : isText(token) ? step(states, tokenizer.tokenBytes(token)) : new BitSet();
      ended = ends;
    }
    return ended || anyAccepts(states);
  }

  /**
   * The text's bytes of a canvas without masks.
   *
   * @param canvas a token per position
   * @return the bytes of all tokens of text
   */
  public byte[] text(int[] canvas) {
    return concatenated(Arrays.stream(canvas).filter(this::isText).mapToObj(tokenizer::tokenBytes).toList());
  }

  private static byte[] concatenated(List<byte[]> parts) {
    byte[] all = new byte[parts.stream().mapToInt(part -> part.length).sum()];
    int at = 0;
    for (byte[] part : parts) {
      System.arraycopy(part, 0, all, at, part.length);
      at += part.length;
    }
    return all;
  }

  private boolean anyAccepts(BitSet states) {
    return states.stream().anyMatch(automaton::accepting);
  }

  private BitSet step(BitSet states) {
    BitSet reached = new BitSet();
    states.stream().forEach(state -> {
      if (behind[state] == null) {
        BitSet next = new BitSet();
        for (byte[] text : texts) {
          int to = next(state, text);
          if (to != ByteAutomaton.NONE) {
            next.set(to);
          }
        }
        behind[state] = next;
      }
      reached.or(behind[state]);
    });
    return reached;
  }

  private BitSet step(BitSet states, byte[] text) {
    BitSet reached = new BitSet();
    states.stream().map(state -> next(state, text)).filter(to -> to != ByteAutomaton.NONE).forEach(reached::set);
    return reached;
  }

  private int next(int from, byte[] text) {
    int state = from;
    for (int i = 0; i < text.length && state != ByteAutomaton.NONE; i++) {
      state = automaton.next(state, text[i]);
    }
    return state;
  }
}
