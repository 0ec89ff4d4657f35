package io.github.dimple4j.tokenizer;

import java.text.Normalizer;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * The rules that split text into words before byte pairs are merged; no merge crosses a word. Named by {@code tokenizer.ggml.pre}.
 *
 * <p>The expressions are those of the models' {@code tokenizer.json}. Java's classes {@code \p{L}} and {@code \p{N}} are general
 * categories, as in the engine those files are written for; {@code \s} has to be widened to Unicode's White_Space, and case-insensitive
 * matching to Unicode's simple folding (so that {@code 'ſ} splits like {@code 's}): both by {@link Pattern#UNICODE_CHARACTER_CLASS}.
 */
public enum PreTokenizer {
  /** Qwen2, Qwen2.5, Dream, Dimple: digits one by one, text normalised to NFC first. */
  QWEN2(true, "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+"
      + "|\\s+(?!\\S)|\\s+", "qwen2", "deepseek-r1-qwen"),
  /** Ling's, whose vocabulary LLaDA (as {@code bailingmoe}) and LLaDA-MoE share: as Qwen2's, but newlines one by one, not normalised. */
  BAILING(false, "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]"
      + "|\\s+(?!\\S)|\\s+", "bailingmoe", "bailingmoe2", "llada-moe"),
  /** Seed-Coder's: digits one by one, signs without the newlines behind them, not normalised. */
  SEED_CODER(false, "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|\\s*[\\r\\n]+"
      + "|\\s+(?!\\S)|\\s+", "seed-coder"),
  /** GPT-2's: numbers stay whole, contractions are lower case. */
  GPT2(false, "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", "gpt-2", "gpt2");

  private static final int FIRST_COMPOSING = 0x300;

  private final boolean nfc;
  private final Pattern words;
  private final List<String> names;

  PreTokenizer(boolean nfc, String expression, String... names) {
    this.nfc = nfc;
    this.words = Pattern.compile(expression, Pattern.UNICODE_CHARACTER_CLASS);
    this.names = List.of(names);
  }

  /**
   * Finds a rule by the name a model file gives it.
   *
   * @param name the value of {@code tokenizer.ggml.pre}, or null when the file has no such key
   * @return the rule
   * @throws TokenizerException if the name is null or none of the known ones
   */
  public static PreTokenizer named(String name) {
    for (PreTokenizer rule : values()) {
      if (name != null && rule.names.contains(name)) {
        return rule;
      }
    }
    String known = Arrays.stream(values()).flatMap(r -> r.names.stream()).collect(Collectors.joining(", "));
    throw new TokenizerException(name == null
        ? "tokenizer.ggml.pre is missing; expected one of " + known
        : "unknown pre-tokenizer tokenizer.ggml.pre = \"" + name + "\"; expected one of " + known);
  }

  /** Whether the rule's models saw text in form C in training. */
  boolean nfc() {
    return nfc;
  }

  /** Text in form C. Below U+0300 every text is that already. */
  static String toNfc(String text) {
    return text.chars().anyMatch(c -> c >= FIRST_COMPOSING) ? Normalizer.normalize(text, Normalizer.Form.NFC) : text;
  }

  /** A matcher whose successive finds are the words of a text; together they cover it. */
  Matcher words(String text) {
    return words.matcher(text);
  }
}
