package io.github.dimple4j.gguf.checkpoint;

import io.github.dimple4j.gguf.MetadataType;
import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.tokenizer.EndTokens;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;

/**
 * The ids of the tokens that frame a text; each may be absent.
 *
 * @param ends all tokens that end a text, if there are others than {@code eos}
 */
public record SpecialTokens(OptionalInt bos, OptionalInt eos, OptionalInt padding, OptionalInt mask, List<Integer> ends) {
  public SpecialTokens(OptionalInt bos, OptionalInt eos, OptionalInt padding, OptionalInt mask) {
    this(bos, eos, padding, mask, List.of());
  }

  public static SpecialTokens read(JsonSettings config) {
    return new SpecialTokens(config.token("bos_token_id"), config.firstToken("eos_token_id"), config.token("pad_token_id"),
        config.token("mask_token_id"));
  }

  /** The same with a mask token where there was none. */
  public SpecialTokens withMask(int otherwise) {
    return new SpecialTokens(bos, eos, padding, OptionalInt.of(mask.orElse(otherwise)), ends);
  }

  /**
   * The same with all ends of text that the configurations of the model and of its generation list, in their order.
   *
   * @throws io.github.dimple4j.gguf.GgufException if one is outside the vocabulary, or the generation's mask is another token than the model's
   */
  public SpecialTokens withEnds(JsonSettings config, JsonSettings generation, int vocabulary) {
    Set<Integer> all = new LinkedHashSet<>();
    eos.ifPresent(all::add);
    for (JsonSettings settings : List.of(config, generation)) {
      for (int id : settings.tokens("eos_token_id")) {
        if (id >= vocabulary) {
          throw settings.wrong("eos_token_id", "ids below the vocabulary's " + vocabulary);
        }
        all.add(id);
      }
    }
    OptionalInt generated = generation.token("mask_token_id");
    if (generated.isPresent() && mask.isPresent() && !generated.equals(mask)) {
      throw generation.wrong("mask_token_id", "the model's mask token, " + mask.getAsInt());
    }
    OptionalInt first = eos.isPresent() || all.isEmpty() ? eos : OptionalInt.of(all.iterator().next());
    return new SpecialTokens(bos, first, padding, mask.isPresent() ? mask : generated, all.size() > 1 ? List.copyOf(all) : List.of());
  }

  /** llama.cpp's keys, and for the ends the list of Ollama's. */
  public Map<String, MetadataValue> metadata() {
    Map<String, MetadataValue> keys = new LinkedHashMap<>();
    bos.ifPresent(id -> keys.put("tokenizer.ggml.bos_token_id", MetadataValue.uint32(id)));
    eos.ifPresent(id -> keys.put("tokenizer.ggml.eos_token_id", MetadataValue.uint32(id)));
    if (!ends.isEmpty()) {
      List<Long> ids = ends.stream().map(Integer::longValue).toList();
      keys.put("tokenizer.ggml." + EndTokens.LIST_KEY, MetadataValue.array(MetadataType.INT32, ids));
    }
    padding.ifPresent(id -> keys.put("tokenizer.ggml.padding_token_id", MetadataValue.uint32(id)));
    mask.ifPresent(id -> keys.put("tokenizer.ggml.mask_token_id", MetadataValue.uint32(id)));
    return keys;
  }
}
