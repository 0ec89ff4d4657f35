package io.github.dimple4j.structure;

import io.github.dimple4j.InvalidArgumentException;
import io.github.dimple4j.structure.json.Utf8Edges;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Objects;

/**
 * A deterministic automaton over the bytes of a whole response: the response is well formed if and only if it is accepted.
 *
 * <p>A control token of the vocabulary, which is no text, is named by {@link #tokenBytes}.
 *
 * <p>Bytes that no state tells apart share a class, so that the table has a column per class and not one per byte. Immutable; any
 * thread. Two automata are equal if all their tables are.
 */
public final class ByteAutomaton {
  /** The entry of the table where there is no way on. */
  public static final int NONE = -1;

  private static final int BYTES = 256;

  /** The byte around the name of a control token; no UTF-8 has it. */
  public static final byte TOKEN_MARK = (byte) 0xFF;

  private final int stateCount;
  private final int classCount;
  private final byte[] byteClass;
  private final int[] next;
  private final boolean[] accepting;
  private final int[] stateSlot;
  private final int[] slotTokens;
  private final int hash;

  /**
   * An automaton that starts in state 0. The arrays are copied.
   *
   * @param stateCount states, at least 1
   * @param classCount classes of bytes, 1 to 256
   * @param byteClass of each of the 256 byte values its class, as an unsigned byte below {@code classCount}
   * @param next {@code [stateCount x classCount]} the state behind each state and class, or {@link #NONE}
   * @param accepting of each state, whether a response may end there
   * @throws IllegalArgumentException if a size or an entry is out of range; the message names it
   */
  public ByteAutomaton(int stateCount, int classCount, byte[] byteClass, int[] next, boolean[] accepting) {
    this(stateCount, classCount, byteClass, next, accepting, new int[0], new int[0]);
  }

  /**
   * An automaton some of whose states lie in slots, parts of the response of a limited number of tokens. A visit of a slot is a run of
   * states of that slot; a token counts against the visit when one of its bytes leads from a state of the slot to a state of the same slot,
   * so that tokens which merely open or close it are free. The limits hold for tokens, and {@link #accepts} knows bytes only.
   *
   * @param stateCount states, at least 1
   * @param classCount classes of bytes, 1 to 256
   * @param byteClass of each of the 256 byte values its class, as an unsigned byte below {@code classCount}
   * @param next {@code [stateCount x classCount]} the state behind each state and class, or {@link #NONE}
   * @param accepting of each state, whether a response may end there
   * @param stateSlot of each state its slot, or {@link #NONE}; empty if there are no slots
   * @param slotTokens of each slot the most tokens of a visit, at least 1
   * @throws IllegalArgumentException if a size or an entry is out of range; the message names it
   */
  public ByteAutomaton(int stateCount, int classCount, byte[] byteClass, int[] next, boolean[] accepting, int[] stateSlot,
      int[] slotTokens) {
    expect(stateCount >= 1, "stateCount is " + stateCount + ", expected at least 1");
    expect(classCount >= 1 && classCount <= BYTES, "classCount is " + classCount + ", expected 1 .. 256");
    expect(byteClass.length == BYTES, "byteClass has " + byteClass.length + " entries, expected 256");
    expect(next.length == (long) stateCount * classCount,
        "next has " + next.length + " entries, expected " + stateCount + " x " + classCount);
    expect(accepting.length == stateCount, "accepting has " + accepting.length + " entries, expected " + stateCount);
    for (int value = 0; value < BYTES; value++) {
      int found = Byte.toUnsignedInt(byteClass[value]);
      expect(found < classCount, "the class of byte " + value + " is " + found + ", expected 0 .. " + (classCount - 1));
    }
    for (int i = 0; i < next.length; i++) {
      if (next[i] < NONE || next[i] >= stateCount) { // millions of entries: no message unless it is needed
        throw new IllegalArgumentException("the state behind state " + i / classCount + " and class " + i % classCount + " is " + next[i]
            + ", expected -1 .. " + (stateCount - 1));
      }
    }
    expect(stateSlot.length == (slotTokens.length == 0 ? 0 : stateCount), "stateSlot has " + stateSlot.length + " entries for "
        + slotTokens.length + " slots, expected " + (slotTokens.length == 0 ? 0 : stateCount));
    for (int state = 0; state < stateSlot.length; state++) {
      expect(stateSlot[state] >= NONE && stateSlot[state] < slotTokens.length,
          "the slot of state " + state + " is " + stateSlot[state] + ", expected -1 .. " + (slotTokens.length - 1));
    }
    for (int slot = 0; slot < slotTokens.length; slot++) {
      expect(slotTokens[slot] >= 1, "slot " + slot + " has " + slotTokens[slot] + " tokens, expected at least 1");
    }
    this.stateCount = stateCount;
    this.classCount = classCount;
    this.byteClass = byteClass.clone();
    this.next = next.clone();
    this.accepting = accepting.clone();
    this.stateSlot = stateSlot.clone();
    this.slotTokens = slotTokens.clone();
    this.hash = Objects.hash(stateCount, classCount, Arrays.hashCode(byteClass), Arrays.hashCode(next), Arrays.hashCode(accepting),
        Arrays.hashCode(stateSlot), Arrays.hashCode(slotTokens));
  }

  /**
   * How automata name a control token: by its spelling between two {@link #TOKEN_MARK}. Tokens of text with that byte stand in no structure.
   *
   * @param spelling how the vocabulary spells the token
   * @return its bytes
   * @throws InvalidArgumentException if the spelling is empty, or has half of a surrogate pair
   */
  public static byte[] tokenBytes(String spelling) {
    if (Objects.requireNonNull(spelling, "spelling").isEmpty() || !Utf8Edges.isText(spelling)) {
      throw new InvalidArgumentException("the spelling of a token is " + (spelling.isEmpty() ? "empty" : "no text"));
    }
    byte[] text = spelling.getBytes(StandardCharsets.UTF_8);
    byte[] bytes = new byte[text.length + 2];
    System.arraycopy(text, 0, bytes, 1, text.length);
    bytes[0] = TOKEN_MARK;
    bytes[bytes.length - 1] = TOKEN_MARK;
    return bytes;
  }

  private static void expect(boolean condition, String otherwise) {
    if (!condition) {
      throw new IllegalArgumentException(otherwise);
    }
  }

  /** {@return how many states it has; the first one, 0, is the start} */
  public int stateCount() {
    return stateCount;
  }

  /** {@return how many classes of bytes it has} */
  public int classCount() {
    return classCount;
  }

  /** {@return of each of the 256 byte values its class, as an unsigned byte: a copy} */
  public byte[] byteClass() {
    return byteClass.clone();
  }

  /** {@return {@code [stateCount x classCount]} the state behind each state and class, or {@link #NONE}: a copy} */
  public int[] next() {
    return next.clone();
  }

  /**
   * The state behind a state and a byte.
   *
   * @param state 0 .. stateCount - 1
   * @param value the byte
   * @return the state, or {@link #NONE}
   */
  public int next(int state, byte value) {
    return next[state * classCount + Byte.toUnsignedInt(byteClass[Byte.toUnsignedInt(value)])];
  }

  /** {@return of each state, whether a response may end there: a copy} */
  public boolean[] accepting() {
    return accepting.clone();
  }

  /**
   * Whether a response may end in a state.
   *
   * @param state 0 .. stateCount - 1
   * @return whether it may
   */
  public boolean accepting(int state) {
    return accepting[state];
  }

  /** {@return of each state its slot, or {@link #NONE}; empty if there are no slots: a copy} */
  public int[] stateSlot() {
    return stateSlot.clone();
  }

  /** {@return of each slot the most tokens of a visit: a copy} */
  public int[] slotTokens() {
    return slotTokens.clone();
  }

  /**
   * Whether the bytes are a whole response.
   *
   * @param bytes what is asked about
   * @return whether the automaton accepts them
   */
  public boolean accepts(byte[] bytes) {
    int state = 0;
    for (int i = 0; i < bytes.length && state != NONE; i++) {
      state = next(state, bytes[i]);
    }
    return state != NONE && accepting[state];
  }

  /**
   * A shortest response; of several the first in the order of bytes.
   *
   * @return its bytes, or null if no response is accepted
   */
  public byte[] shortest() {
    int[] before = new int[stateCount];
    int[] queue = new int[stateCount];
    Arrays.fill(before, NONE);
    int found = accepting[0] ? 0 : NONE;
    before[0] = 0;
    for (int head = 0, tail = 1; head < tail && found == NONE; head++) {
      for (int value = 0; value < BYTES && found == NONE; value++) {
        int to = next(queue[head], (byte) value);
        if (to != NONE && before[to] == NONE && to != 0) {
          before[to] = queue[head];
          queue[tail++] = to;
          found = accepting[to] ? to : NONE;
        }
      }
    }
    if (found == NONE) {
      return null;
    }
    int length = 0;
    for (int state = found; state != 0; state = before[state]) {
      length++;
    }
    byte[] bytes = new byte[length];
    for (int state = found; state != 0; state = before[state]) {
      int value = 0;
      while (next(before[state], (byte) value) != state) {
        value++;
      }
      bytes[--length] = (byte) value;
    }
    return bytes;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof ByteAutomaton that && hash == that.hash && stateCount == that.stateCount && classCount == that.classCount
        && Arrays.equals(byteClass, that.byteClass) && Arrays.equals(next, that.next) && Arrays.equals(accepting, that.accepting)
        && Arrays.equals(stateSlot, that.stateSlot) && Arrays.equals(slotTokens, that.slotTokens);
  }

  @Override
  public int hashCode() {
    return hash;
  }

  @Override
  public String toString() {
    return "ByteAutomaton[" + stateCount + " states, " + classCount + " classes]";
  }
}
