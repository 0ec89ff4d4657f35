package io.github.dimple4j.tokenizer;

import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.ToIntFunction;

/**
 * Which tokens end what a model says. The set is llama.cpp's set of end-of-generation tokens ({@code special_eog_ids} of its
 * src/llama-vocab.cpp), which goes by metadata keys and, as many files name one of several, by spelling too; to it comes the list that
 * Ollama's converter and this library's write, {@code tokenizer.ggml.eos_token_ids}.
 */
public final class EndTokens {
  /** The key of all ends that a checkpoint's configuration lists, behind {@code tokenizer.ggml.}. */
  public static final String LIST_KEY = "eos_token_ids";

  private static final List<String> KEYS = List.of("eos_token_id", "eot_token_id", "eom_token_id");

  /** What ends a turn, a message or a text in the vocabularies of known models. */
  private static final List<String> SPELLINGS = List.of("<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>",
      "<|calls|>", "<end_of_turn>", "<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<|end_of_text|>",
      "<end_of_utterance>", "<eos>", "<turn|>", "<|tool_response>", "<\uff5cend\u2581of\u2581sentence\uff5c>", "[e~[");

  /** A token between the files that a code model reads: by its key, without one by its spelling. */
  private record Separator(String key, List<String> spellings) {}

  private static final List<Separator> SEPARATORS = List.of(
      new Separator("fim_pad_token_id", List.of("<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]")),
      new Separator("fim_rep_token_id", List.of("<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>")),
      new Separator("fim_sep_token_id", List.of("<|file_sep|>")));

  private EndTokens() {}

  /**
   * Finds the ends of a file.
   *
   * @param tokens the vocabulary; empty if the file has none
   * @param keys the value of a key {@code tokenizer.ggml.NAME}, by NAME; negative if the file has no such key
   * @param listed {@code tokenizer.ggml.eos_token_ids}; empty if the file has none
   * @return token ids, ascending
   */
  public static int[] of(Utf8Strings tokens, ToIntFunction<String> keys, int... listed) {
    TokenTable table = new TokenTable(tokens);
    Set<Integer> ends = new TreeSet<>();
    for (int id : listed) {
      ends.add(id);
    }
    KEYS.forEach(key -> ends.add(keys.applyAsInt(key)));
    for (Separator separator : SEPARATORS) {
      int id = keys.applyAsInt(separator.key);
      addSpelled(id >= 0 ? List.of() : separator.spellings, table, ends);
      ends.add(id);
    }
    addSpelled(SPELLINGS, table, ends);
    // Two families use the spelling of an end within a turn (the same workarounds as llama.cpp's).
    boolean returns = spelled("<|return|>", table, ends) && (spelled("<|call|>", table, ends) || spelled("<|calls|>", table, ends));
    boolean flushes = spelled("<|flush|>", table, ends) && (spelled("<|call|>", table, ends) || spelled("<|calls|>", table, ends));
    if (returns || flushes) {
      ends.remove(table.find("<|end|>"));
    }
    if (spelled("<|tool_response>", table, ends)) {
      ends.remove(table.find("</s>"));
    }
    return ends.stream().mapToInt(Integer::intValue).filter(id -> id >= 0).toArray();
  }

  private static void addSpelled(List<String> spellings, TokenTable table, Set<Integer> ends) {
    spellings.forEach(spelling -> ends.add(table.find(spelling)));
  }

  private static boolean spelled(String spelling, TokenTable table, Set<Integer> ends) {
    int id = table.find(spelling);
    return id >= 0 && ends.contains(id);
  }
}
