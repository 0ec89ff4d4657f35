package io.github.dimple4j.gguf.checkpoint;

import io.github.dimple4j.gguf.MetadataValue;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.OptionalInt;

/** The ids of the tokens that frame a text; each may be absent. */
public record SpecialTokens(OptionalInt bos, OptionalInt eos, OptionalInt padding, OptionalInt mask) {

  public static SpecialTokens read(JsonSettings config) {
    return new SpecialTokens(config.token("bos_token_id"), config.token("eos_token_id"), config.token("pad_token_id"),
        config.token("mask_token_id"));
  }

  /** The same with a mask token where there was none. */
  public SpecialTokens withMask(int otherwise) {
    return new SpecialTokens(bos, eos, padding, OptionalInt.of(mask.orElse(otherwise)));
  }

  /** llama.cpp's keys. */
  public Map<String, MetadataValue> metadata() {
    Map<String, MetadataValue> keys = new LinkedHashMap<>();
    bos.ifPresent(id -> keys.put("tokenizer.ggml.bos_token_id", MetadataValue.uint32(id)));
    eos.ifPresent(id -> keys.put("tokenizer.ggml.eos_token_id", MetadataValue.uint32(id)));
    padding.ifPresent(id -> keys.put("tokenizer.ggml.padding_token_id", MetadataValue.uint32(id)));
    mask.ifPresent(id -> keys.put("tokenizer.ggml.mask_token_id", MetadataValue.uint32(id)));
    return keys;
  }
}
