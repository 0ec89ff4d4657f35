package io.github.dimple4j.gguf.tools;

import io.github.dimple4j.chat.ChatTemplate;
import io.github.dimple4j.chat.ChatTemplateException;
import io.github.dimple4j.gguf.GgufException;
import io.github.dimple4j.gguf.GgufParts;
import io.github.dimple4j.gguf.MetadataType;
import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.tokenizer.AddedTokenFlags;
import io.github.dimple4j.tokenizer.EndTokens;
import io.github.dimple4j.tokenizer.Tokenizer;
import io.github.dimple4j.tokenizer.TokenizerException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.stream.Stream;

/** Whether the tokenizer of a file is consistent in itself and with the vocabulary, which loading does not look into. */
final class TokenizerCheck {
  private static final List<String> TOKEN_LISTS = Stream.concat(Stream.of("tokenizer.ggml." + EndTokens.LIST_KEY),
      AddedTokenFlags.NAMES.stream().map(flag -> AddedTokenFlags.KEYS + flag)).toList();

  private final GgufParts file;
  private final Map<String, MetadataValue> metadata;
  private final Consumer<String> problems;
  private boolean found;

  TokenizerCheck(GgufParts file, Consumer<String> problems) {
    this.file = file;
    this.metadata = file.metadata();
    this.problems = problem -> {
      found = true;
      problems.accept(problem);
    };
  }

  /** Looks for everything. */
  void run() {
    List<?> tokens = array("tokenizer.ggml.tokens", MetadataType.STRING);
    int vocabulary = tokens.isEmpty() ? vocabularyOfEmbedding() : tokens.size();
    for (String key : metadata.keySet()) {
      if (key.endsWith("_token_id")) {
        int id = tokenId(key);
        if (vocabulary > 0 && id >= vocabulary) {
          problems.accept("key " + key + " is " + id + "; the vocabulary ends at " + (vocabulary - 1));
        }
      }
    }
    for (String list : TOKEN_LISTS) {
      for (Object id : array(list, MetadataType.INT32)) {
        if ((Long) id < 0 || vocabulary > 0 && (Long) id >= vocabulary) {
          problems.accept("key " + list + " lists " + id + "; the vocabulary ends at " + (vocabulary - 1));
        }
      }
    }
    if (tokens.isEmpty()) {
      return;
    }
    List<?> types = array("tokenizer.ggml.token_type", MetadataType.INT32);
    if (!types.isEmpty() && types.size() != tokens.size()) {
      problems.accept("key tokenizer.ggml.token_type has " + types.size() + " elements for " + tokens.size() + " tokens");
    }
    List<?> scores = array("tokenizer.ggml.scores", MetadataType.FLOAT32);
    if (!scores.isEmpty() && scores.size() != tokens.size()) {
      problems.accept("key tokenizer.ggml.scores has " + scores.size() + " elements for " + tokens.size() + " tokens");
    }
    checkMerges(tokens);
    int rows = vocabularyOfEmbedding();
    if (rows > 0 && tokens.size() > rows) {
      problems.accept("key tokenizer.ggml.tokens has " + tokens.size() + " tokens for the " + rows + " rows of token_embd.weight");
    }
    checkUse();
  }

  /** What using it would refuse, if nothing else was found. */
  private void checkUse() {
    if (found) {
      return;
    }
    try {
      Tokenizer.of(TokenizerReader.keys(metadata).data());
      TokenizerReader.keys(metadata).chatTemplate().ifPresent(ChatTemplate::parse);
      TokenizerReader.keys(metadata).toolTemplate().ifPresent(ChatTemplate::parse);
    } catch (TokenizerException | ChatTemplateException e) {
      problems.accept(e.getMessage());
    }
  }

  private int vocabularyOfEmbedding() {
    return file.tensor("token_embd.weight").map(tensor -> (int) Math.min(Integer.MAX_VALUE, tensor.rows())).orElse(0);
  }

  private void checkMerges(List<?> tokens) {
    Map<Object, Integer> ids = new HashMap<>();
    for (int id = 0; id < tokens.size(); id++) {
      Integer other = ids.put(tokens.get(id), id);
      if (other != null) {
        problems.accept("key tokenizer.ggml.tokens: tokens " + other + " and " + id + " are the same");
      }
    }
    for (Object merge : array("tokenizer.ggml.merges", MetadataType.STRING)) {
      String text = (String) merge;
      int space = text.indexOf(' ', 1);
      if (space < 0 || !ids.containsKey(text.substring(0, space)) || !ids.containsKey(text.substring(space + 1))
          || !ids.containsKey(text.substring(0, space) + text.substring(space + 1))) {
        problems.accept("key tokenizer.ggml.merges: \"" + text + "\" does not make a token of two tokens");
      }
    }
  }

  /** An array of a type; empty when the key is absent. */
  private List<?> array(String key, MetadataType elementType) {
    MetadataValue value = metadata.get(key);
    if (value == null) {
      return List.of();
    }
    boolean unsigned = elementType == MetadataType.INT32 && value.elementType() == MetadataType.UINT32; // read as well, and below 2^31 the same
    if (value.type() != MetadataType.ARRAY || value.elementType() != elementType && !unsigned) {
      throw wrong(key, "an array of " + elementType);
    }
    return value.elements();
  }

  private int tokenId(String key) {
    if (metadata.get(key).value() instanceof Long number && number >= 0 && number <= Integer.MAX_VALUE) {
      return number.intValue();
    }
    throw wrong(key, "an integer from 0 on");
  }

  private GgufException wrong(String key, String expected) {
    MetadataValue value = metadata.get(key);
    String found = value.type() == MetadataType.ARRAY ? "" : " " + value.value();
    return new GgufException("key " + key + " is " + value.typeName() + found + "; expected " + expected);
  }
}
