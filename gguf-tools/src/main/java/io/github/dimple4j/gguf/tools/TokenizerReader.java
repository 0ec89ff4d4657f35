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
import io.github.dimple4j.tokenizer.ModelTokenizer;
import io.github.dimple4j.tokenizer.TokenizerData;
import io.github.dimple4j.tokenizer.TokenizerException;
import io.github.dimple4j.tokenizer.TokenizerKeys;
import io.github.dimple4j.tokenizer.Utf8Strings;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;

/** Reads a tokenizer for model files that have none, {@code ModelOptions.builder().tokenizer(...)}. */
public final class TokenizerReader {
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
    } catch (GgufException e) {
      throw path.toString().endsWith(".json") ? new GgufException(e.getMessage() + "; a tokenizer of Hugging Face's is a file tokenizer.json, or its directory", e) : e;
    }
  }

  private static ModelTokenizer ofDirectory(Path directory) throws IOException {
    JsonSettings config = settings(directory, "config.json");
    JsonSettings text = config.has("text_config") ? config.section("text_config") : config;
    int vocabulary = text.size("vocab_size", MOST_TOKENS);
    TokenizerFiles files = TokenizerFiles.read(directory, vocabulary, PreTokenizer.QWEN2)
        .orElseThrow(() -> new GgufException(directory + " has neither tokenizer.json nor vocab.json"));
    Map<String, MetadataValue> metadata = new LinkedHashMap<>(files.metadata());
    SpecialTokens special = files.complete(SpecialTokens.read(text)).withEnds(config, settings(directory, "generation_config.json"), vocabulary);
    metadata.putAll(special.metadata());
    metadata.putAll(files.chatTemplates(special));
    return of(directory, metadata);
  }

  private static JsonSettings settings(Path directory, String name) throws IOException {
    Path path = directory.resolve(name);
    return Files.exists(path) ? JsonSettings.read(path) : JsonSettings.empty(path.toString());
  }

  private static ModelTokenizer of(Path path, Map<String, MetadataValue> metadata) {
    if (!metadata.containsKey("tokenizer.ggml.tokens")) {
      throw new GgufException(path + " has no tokenizer (no key tokenizer.ggml.tokens)");
    }
    try {
      TokenizerKeys keys = keys(metadata);
      return new ModelTokenizer(withoutUnused(keys.data()), keys.chatTemplate(), keys.toolTemplate());
    } catch (TokenizerException e) {
      throw new GgufException(path + ": " + e.getMessage(), e);
    }
  }

  /** The keys of a file that is read by Java. */
  static TokenizerKeys keys(Map<String, MetadataValue> metadata) {
    return new TokenizerKeys(key -> Optional.ofNullable(metadata.get(key)).map(TokenizerReader::value).orElse(null));
  }

  private static Object value(MetadataValue metadata) {
    if (metadata.type() != MetadataType.ARRAY) {
      return metadata.value();
    }
    List<?> elements = metadata.elements();
    return switch (metadata.elementType()) {
      case STRING -> Utf8Strings.of(elements.stream().map(String.class::cast).toList());
      case INT32, UINT32 -> elements.stream().mapToInt(element -> ((Number) element).intValue()).toArray();
      case FLOAT32 -> floats(elements);
      default -> elements;
    };
  }

  private static float[] floats(List<?> elements) {
    float[] values = new float[elements.size()];
    for (int i = 0; i < values.length; i++) {
      values[i] = ((Number) elements.get(i)).floatValue();
    }
    return values;
  }

  /** Without the rows of the embedding that no token has, which end a vocabulary: the model that it is for may have fewer. */
  private static TokenizerData withoutUnused(TokenizerData data) {
    int[] types = data.tokenTypes();
    int used = data.tokens().size();
    while (used > 0 && types != null && types.length == data.tokens().size() && types[used - 1] == TokenType.UNUSED.number()) {
      used--;
    }
    return used == data.tokens().size() ? data : data.first(used);
  }
}
