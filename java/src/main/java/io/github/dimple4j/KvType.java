package io.github.dimple4j;

/** What keys and values are kept in: less memory for a session, for keys and values that are rounded when they are kept. */
public enum KvType {
  /** 32 bits, as they are. */
  F32("f32", 0),
  /** 16 bits: half the memory, rounded to 11 bits. */
  F16("f16", 1),
  /**
   * GGML's Q8_0: 8.5 bits, 17 of 64 parts of the memory; 32 neighbours share a scale, 127th part of the largest of them. Models with heads that are
   * multiples of 32 wide.
   */
  Q8_0("q8_0", 8);

  private final String label;
  private final int number;

  KvType(String label, int number) {
    this.label = label;
    this.number = number;
  }

  /**
   * The name on the command line.
   *
   * @return {@code f32}, {@code f16} or {@code q8_0}
   */
  public String label() {
    return label;
  }

  /** The core's number (dimple_tensor_type). */
  int number() {
    return number;
  }
}
