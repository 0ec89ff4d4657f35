package io.github.dimple4j.gguf.checkpoint;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.MissingNode;
import tools.jackson.databind.node.StringNode;

/**
 * The special tokens that {@code tokenizer_config.json} and {@code special_tokens_map.json} name, as the transformers library takes them (5.12,
 * PreTrainedTokenizerBase and TokenizersBackend). Each is a special token of the tokenizer, whatever its files say of it: one that the vocabulary has
 * as a piece of text like others becomes one, and one that it has not gets the next id.
 */
final class NamedTokens {
  /** The names that the library gives them, and templates. */
  static final List<String> STANDARD = List.of("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token");
  private static final String END = "<|endoftext|>";
  /** What classes of tokenizers name where nothing is said, not even null. */
  private static final Map<String, Map<String, String>> DEFAULTS = Map.of("Qwen2Tokenizer", Map.of("eos_token", END, "pad_token", END, "unk_token", END),
      "GemmaTokenizer", Map.of("bos_token", "<bos>", "eos_token", "<eos>", "pad_token", "<pad>", "unk_token", "<unk>"));

  private final JsonSettings config;
  private final JsonSettings map;

  /** Takes both files; where {@code tokenizer_config.json} lists no added tokens, as was usual before 2024, the other goes before it, else it says nothing. */
  NamedTokens(JsonSettings config, JsonSettings map) {
    this.config = config;
    this.map = map;
  }

  /** How a token of a name is spelled; empty if there is none. */
  String content(String name) {
    return spelling(node(name));
  }

  /** Whether a token is special by one of the library's own names, or in the list of others. */
  boolean includes(String spelling) {
    return Stream.concat(STANDARD.stream().map(this::node), listed().stream()).anyMatch(node -> spelling(node).equals(spelling));
  }

  /** All that the files name, in the order in which the library adds them: by what is to be said of where it stands, text or an object with content and flags. */
  Map<String, JsonNode> all() {
    Map<String, JsonNode> tokens = new LinkedHashMap<>();
    STANDARD.forEach(name -> put(tokens, name, node(name)));
    for (JsonSettings settings : mapCounts() ? List.of(config, map) : List.of(config)) { // names of a model's own, such as image_token
      settings.names().stream().filter(name -> name.endsWith("_token") && !STANDARD.contains(name)).forEach(name -> put(tokens, name, node(name)));
    }
    config.node("extra_special_tokens").properties().forEach(token -> put(tokens, "extra_special_tokens." + token.getKey(), token.getValue()));
    listed().forEach(token -> put(tokens, "a token in the list of others, \"" + spelling(token) + "\"", token));
    return tokens;
  }

  private static void put(Map<String, JsonNode> tokens, String name, JsonNode token) {
    if (!spelling(token).isEmpty()) {
      tokens.put(name, token);
    }
  }

  private List<JsonNode> listed() {
    List<JsonNode> tokens = new ArrayList<>();
    boolean own = config.has("extra_special_tokens") || config.has("additional_special_tokens");
    for (JsonSettings settings : mapCounts() ? List.of(config, map) : List.of(config)) {
      JsonNode extra = settings.node("extra_special_tokens");
      JsonNode additional = settings.node("additional_special_tokens"); // the older name, which says nothing beside the newer one
      (extra.isArray() ? extra : settings == config || !own ? additional : MissingNode.getInstance()).forEach(tokens::add);
    }
    return tokens;
  }

  private boolean mapCounts() {
    return !config.has("added_tokens_decoder");
  }

  private JsonNode node(String name) {
    JsonNode node = (mapCounts() && map.has(name) ? map : config).node(name);
    String otherwise = DEFAULTS.getOrDefault(config.text("tokenizer_class", "").replaceFirst("Fast$", ""), Map.of()).get(name);
    return node.isMissingNode() && otherwise != null ? StringNode.valueOf(otherwise) : node;
  }

  static String spelling(JsonNode token) { // add_bos_token and its like are no texts
    return token.isObject() ? spelling(token.path("content")) : token.isString() ? token.stringValue() : "";
  }
}
