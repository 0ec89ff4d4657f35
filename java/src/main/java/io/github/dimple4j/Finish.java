package io.github.dimple4j;

/** Why a response ends where it does. */
public enum Finish {
  /** An end-of-text or end-of-turn token ended it before the end of the block. */
  END_OF_TEXT,
  /** The block is full. */
  LENGTH,
  /** Positions are still masked: the decoding is under way, or its iterations did not suffice. */
  MASKED
}
