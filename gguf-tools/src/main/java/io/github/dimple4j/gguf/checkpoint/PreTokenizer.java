package io.github.dimple4j.gguf.checkpoint;

import java.util.Optional;

/** Ways to cut text into words before merging, by the expressions with which {@code tokenizer.json} spells them. */
public enum PreTokenizer {
  /** Qwen2's. */
  QWEN2("qwen2", true,
      "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"),
  /** Ling's, which LLaDA and LLaDA-MoE share. */
  LING("llada-moe", false,
      "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"),
  /** Seed-Coder's. */
  SEED_CODER("seed-coder", false,
      "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"),
  /** GPT-2's, which the byte-level splitter follows without an expression. */
  GPT2("gpt-2", false, "");

  private final String ggufName;
  private final boolean nfc;
  private final String pattern;

  PreTokenizer(String ggufName, boolean nfc, String pattern) {
    this.ggufName = ggufName;
    this.nfc = nfc;
    this.pattern = pattern;
  }

  /** What {@code tokenizer.ggml.pre} says. */
  public String ggufName() {
    return ggufName;
  }

  /** Whether a file of this rule is taken to normalise text to form C, unless it says otherwise. */
  boolean nfc() {
    return nfc;
  }

  /** The one with an expression. */
  static Optional<PreTokenizer> of(String pattern) {
    for (PreTokenizer candidate : values()) {
      if (!candidate.pattern.isEmpty() && candidate.pattern.equals(pattern)) {
        return Optional.of(candidate);
      }
    }
    return Optional.empty();
  }
}
