package io.github.dimple4j.gguf.tools;

import io.github.dimple4j.gguf.GgufException;
import io.github.dimple4j.gguf.GgufFile;
import io.github.dimple4j.gguf.MetadataType;
import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.TokenType;
import io.github.dimple4j.gguf.checkpoint.JsonSettings;
import io.github.dimple4j.gguf.checkpoint.PreTokenizer;
import io.github.dimple4j.gguf.checkpoint.SpecialTokens;
import io.github.dimple4j.gguf.checkpoint.TokenizerFiles;
import io.github.dimple4j.tokenizer.AddedTokenFlags;
import io.github.dimple4j.tokenizer.EndTokens;
import io.github.dimple4j.tokenizer.ModelTokenizer;
import io.github.dimple4j.tokenizer.SentencePieceData;
import io.github.dimple4j.tokenizer.TokenizerData;
import io.github.dimple4j.tokenizer.Utf8Strings;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;

/** Reads a tokenizer for model files that have none, {@code ModelOptions.builder().tokenizer(...)}. */
public final class TokenizerReader {
  private static final String KEYS = "tokenizer.ggml.";
  /** Ids of a directory whose configuration does not say how many there are. */
  private static final int MOST_TOKENS = 1 << 20;

  private TokenizerReader() {}

  /**
   * Reads a tokenizer and its chat template.
   *
   * @param path a directory as of Hugging Face's ({@code tokenizer.json}, or {@code vocab.json} and {@code merges.txt}), its
   *     {@code tokenizer.json}, or a GGUF file with a tokenizer
   * @return the tokenizer
   * @throws GgufException if there is no tokenizer, or it is damaged or of a kind that is not known
   * @throws IOException if reading fails
   */
  public static ModelTokenizer read(Path path) throws IOException {
    Objects.requireNonNull(path, "path");
    if (Files.isDirectory(path)) {
      return ofDirectory(path);
    }
    if (path.endsWith("tokenizer.json")) {
      return ofDirectory(path.toAbsolutePath().getParent());
    }
    try (GgufFile file = GgufFile.open(path)) {
      return of(path, file.metadata());
    }
  }

  private static ModelTokenizer ofDirectory(Path directory) throws IOException {
    JsonSettings config = settings(directory, "config.json");
    JsonSettings text = config.has("text_config") ? config.section("text_config") : config;
    int vocabulary = text.size("vocab_size", MOST_TOKENS);
    TokenizerFiles files = TokenizerFiles.read(directory, vocabulary, PreTokenizer.QWEN2)
        .orElseThrow(() -> new GgufException(directory + " has neither tokenizer.json nor vocab.json"));
    Map<String, MetadataValue> metadata = new LinkedHashMap<>(files.metadata());
    metadata.putAll(files.complete(SpecialTokens.read(text)).withEnds(config, settings(directory, "generation_config.json"), vocabulary).metadata());
    return of(directory, metadata);
  }

  private static JsonSettings settings(Path directory, String name) throws IOException {
    Path path = directory.resolve(name);
    return Files.exists(path) ? JsonSettings.read(path) : JsonSettings.empty(path.toString());
  }

  private static ModelTokenizer of(Path path, Map<String, MetadataValue> keys) {
    if (!keys.containsKey(KEYS + "tokens")) {
      throw new GgufException(path + " has no tokenizer (no key " + KEYS + "tokens)");
    }
    List<String> tokens = strings(path, keys, "tokens");
    int[] types = keys.containsKey(KEYS + "token_type") ? integers(path, keys, KEYS + "token_type") : null;
    int used = tokens.size();
    while (used > 0 && types != null && types.length == tokens.size() && types[used - 1] == TokenType.UNUSED.number()) {
      used--; // rows of the embedding that no token has
    }
    List<int[]> flags = AddedTokenFlags.NAMES.stream().map(name -> integers(path, keys, AddedTokenFlags.KEYS + name)).toList();
    String model = text(keys, "model");
    boolean sentencePiece = "gemma4".equals(model) || "llama".equals(model);
    MetadataValue scores = keys.get(KEYS + "scores");
    SentencePieceData more = !sentencePiece ? SentencePieceData.NONE
        : new SentencePieceData(scores == null || scores.elementType() != MetadataType.FLOAT32 ? null : floats(scores, used),
            flag(keys, "add_space_prefix", true), id(keys, "unknown_token_id"));
    TokenizerData data = new TokenizerData(model, text(keys, "pre"), Utf8Strings.of(tokens.subList(0, used)),
        types == null || types.length != tokens.size() ? types : Arrays.copyOf(types, used),
        Utf8Strings.of(keys.containsKey(KEYS + "merges") ? strings(path, keys, "merges") : List.of()), flag(keys, "add_bos_token", sentencePiece),
        id(keys, "bos_token_id"), id(keys, "eos_token_id"), id(keys, "padding_token_id"), id(keys, "mask_token_id"),
        EndTokens.of(Utf8Strings.of(tokens.subList(0, used)), name -> id(keys, name), integers(path, keys, KEYS + EndTokens.LIST_KEY)),
        new AddedTokenFlags(flags.get(0), flags.get(1), flags.get(2), flags.get(3)),
        keys.containsKey(KEYS + "normalizer.nfc") ? (Boolean) flag(keys, "normalizer.nfc", false) : null, more);
    MetadataValue template = keys.get("tokenizer.chat_template");
    return new ModelTokenizer(data, template == null || template.type() != MetadataType.STRING ? Optional.empty() : Optional.of((String) template.value()));
  }

  private static float[] floats(MetadataValue scores, int count) {
    List<?> elements = scores.elements();
    float[] values = new float[Math.min(count, elements.size())];
    for (int i = 0; i < values.length; i++) {
      values[i] = ((Number) elements.get(i)).floatValue();
    }
    return values;
  }

  private static List<String> strings(Path path, Map<String, MetadataValue> keys, String name) {
    return array(path, keys, KEYS + name, MetadataType.STRING).stream().map(String.class::cast).toList();
  }

  private static int[] integers(Path path, Map<String, MetadataValue> keys, String key) {
    return keys.containsKey(key) ? array(path, keys, key, MetadataType.INT32).stream().mapToInt(value -> ((Number) value).intValue()).toArray() : new int[0];
  }

  private static List<?> array(Path path, Map<String, MetadataValue> keys, String key, MetadataType type) {
    MetadataValue value = keys.get(key);
    if (value.type() != MetadataType.ARRAY || value.elementType() != type) {
      throw new GgufException(path + ": key " + key + " is " + value.typeName() + ", expected an array of " + type);
    }
    return value.elements();
  }

  private static String text(Map<String, MetadataValue> keys, String name) {
    MetadataValue value = keys.get(KEYS + name);
    return value != null && value.value() instanceof String text ? text : null;
  }

  private static boolean flag(Map<String, MetadataValue> keys, String name, boolean otherwise) {
    MetadataValue value = keys.get(KEYS + name);
    return value == null ? otherwise : value.value().equals(true);
  }

  private static int id(Map<String, MetadataValue> keys, String name) {
    MetadataValue value = keys.get(KEYS + name);
    return value != null && value.value() instanceof Number number ? Math.clamp(number.longValue(), -1, Integer.MAX_VALUE) : -1;
  }
}
