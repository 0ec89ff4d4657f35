package io.github.dimple4j.gguf.tools;

import io.github.dimple4j.gguf.MetadataType;
import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.TokenType;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/**
 * A byte-level BPE vocabulary of any size without training data: the 256 bytes, then merges of letters into pairs and triples,
 * then special tokens, then unused ids.
 *
 * @param size ids in all
 * @param firstSpecial the id of the first special token
 * @param special their names, in order of id
 */
record SyntheticVocabulary(int size, int firstSpecial, List<String> special) {

  /** The tokens that Qwen2.5-VL and Dream add to their vocabulary, at their real ids. */
  static final SyntheticVocabulary QWEN = new SyntheticVocabulary(152064, 151643, List.of("<|endoftext|>", "<|im_start|>", "<|im_end|>",
      "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>",
      "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>", "<tool_call>", "</tool_call>",
      "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>", "<|beginoftext|>",
      "<|mask|>"));

  /** The same with the token that stands for a picture in LaViDa's prompts. */
  static final SyntheticVocabulary LAVIDA_DREAM = new SyntheticVocabulary(QWEN.size, QWEN.firstSpecial,
      Stream.concat(QWEN.special.stream(), Stream.of("<image>")).toList());

  /** Those of Ling 2.0's that LLaDA2 frames texts with. */
  static final SyntheticVocabulary LING = new SyntheticVocabulary(157184, 156891,
      List.of("<|startoftext|>", "<|endoftext|>", "[CLS]", "[gMASK]", "<|mask|>", "<role>", "</role>", "<|role_end|>"));

  /** As many ids as LLaDA-8B has, with special tokens from where it has them. */
  static final SyntheticVocabulary LLADA = new SyntheticVocabulary(126464, 126080, List.of("<|startoftext|>", "<|endoftext|>", "<|mask|>"));

  /** The same with the special tokens that LLaDA-V frames texts and pictures with, at their real ids. */
  static final SyntheticVocabulary LLADA_V = new SyntheticVocabulary(126464, 126080, lladaV());

  private static List<String> lladaV() {
    List<String> names = new ArrayList<>(List.of("<|startoftext|>", "<|endoftext|>", "[CLS]", "[gMASK]"));
    for (int i = 0; i < 264; i++) {
      names.add("<|reserved_token_" + i + "|>");
    }
    names.set(256, "<|mdm_mask|>");
    names.subList(266, 268).clear();
    names.addAll(List.of("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<image>"));
    return List.copyOf(names);
  }

  /** As many ids as Seed-Coder has, with special tokens behind the others. */
  static final SyntheticVocabulary SEED = new SyntheticVocabulary(155136, 155132, List.of("<|startoftext|>", "<|pad|>", "<|endoftext|>", "<|mask|>"));

  /** The same with another number of ids. */
  SyntheticVocabulary ofSize(int other) {
    return new SyntheticVocabulary(other, firstSpecial, special);
  }

  /** As many ids as Gemma 4 has, with its special tokens, though behind the others. */
  static final SyntheticVocabulary GEMMA = new SyntheticVocabulary(262144, 262139, List.of("<pad>", "<eos>", "<bos>", "<unk>", "<mask>"));

  /** Dimple-mini's special tokens, the last ids of a small vocabulary. */
  static SyntheticVocabulary mini(int size) {
    List<String> names = List.of("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
        "<|image_pad|>", "<|video_pad|>", "<|mask|>");
    return new SyntheticVocabulary(size, size - names.size(), names);
  }

  /** The id of a special token. */
  int id(String name) {
    return firstSpecial + special.indexOf(name);
  }

  /** llama.cpp's keys of a tokenizer, without the special tokens' ids. */
  Map<String, MetadataValue> metadata() {
    List<String> tokens = byteAlphabet();
    List<String> merges = new ArrayList<>();
    addMerges(tokens, merges);
    tokens.addAll(special);
    List<Long> types = new ArrayList<>(size);
    for (int id = 0; id < size; id++) {
      if (id >= tokens.size()) {
        tokens.add("[PAD" + id + "]");
        types.add(TokenType.UNUSED.number());
      } else if (id < firstSpecial) {
        types.add(TokenType.NORMAL.number());
      } else {
        types.add((tokens.get(id).startsWith("<|") || tokens.get(id).equals("<image>") ? TokenType.CONTROL : TokenType.USER_DEFINED).number());
      }
    }
    Map<String, MetadataValue> keys = new LinkedHashMap<>();
    keys.put("tokenizer.ggml.model", MetadataValue.string("gpt2"));
    keys.put("tokenizer.ggml.pre", MetadataValue.string("qwen2"));
    keys.put("tokenizer.ggml.tokens", MetadataValue.strings(tokens));
    keys.put("tokenizer.ggml.token_type", MetadataValue.array(MetadataType.INT32, types));
    keys.put("tokenizer.ggml.merges", MetadataValue.strings(merges));
    keys.put("tokenizer.ggml.add_bos_token", MetadataValue.bool(false));
    return keys;
  }

  /** GPT-2's printable character for each byte: printable Latin-1 stands for itself, the others for 256 and up. */
  private static List<String> byteAlphabet() {
    List<String> alphabet = new ArrayList<>();
    int moved = 256;
    for (int b = 0; b < 256; b++) {
      boolean printable = b > ' ' && b <= '~' || b >= 0xA1 && b != 0xAD;
      alphabet.add(Character.toString(printable ? b : moved++));
    }
    return alphabet;
  }

  /** Merges until the next id is the first special token's: all pairs of a space and letters, then pairs with a third. */
  private void addMerges(List<String> tokens, List<String> merges) {
    List<String> letters = new ArrayList<>(List.of(tokens.get(' ')));
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".chars().mapToObj(Character::toString).forEach(letters::add);
    List<String> left = letters;
    while (tokens.size() < firstSpecial) {
      List<String> longer = new ArrayList<>();
      for (String first : left) {
        for (String second : letters) {
          if (tokens.size() < firstSpecial) {
            merges.add(first + " " + second);
            tokens.add(first + second);
            longer.add(first + second);
          }
        }
      }
      left = longer;
    }
  }
}
