package io.github.dimple4j;

/** Why a response ends where it does. */
public enum Finish {
  /** An end-of-text or end-of-turn token ended it before the end of the block. */
  END_OF_TEXT,
  /** A {@linkplain Decoding#stop() stop string} ended it. */
  STOP_STRING,
  /** The block is full. */
  LENGTH,
  /** Positions of the text are still masked: the decoding was cancelled, or its thread interrupted. */
  CANCELLED,
  /** Positions of the text are still masked: its {@linkplain Decoding#iterationBudget() iterations} or its time are used up. */
  BUDGET,
  /** Positions of the text are still masked: the decoding is under way, or the iterations of its schedule did not suffice. */
  MASKED
}
