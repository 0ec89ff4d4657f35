package io.github.dimple4j.gguf.architecture;

import io.github.dimple4j.gguf.checkpoint.JsonSettings;

/**
 * The heads of a text model's attention, as a checkpoint's settings have them.
 *
 * @param queries how many there are of queries
 * @param keyValues and of keys and values, each of which serves as many queries
 * @param size elements of each
 */
record Heads(int queries, int keyValues, int size) {
  private static final String QUERIES = "num_attention_heads";
  private static final String KEY_VALUES = "num_key_value_heads";

  /** As the transformers library calls them, of a size of their own where that is given. */
  static Heads read(JsonSettings config) {
    if (!config.has("head_dim")) {
      return sharing(config, "hidden_size", QUERIES, KEY_VALUES);
    }
    int queries = config.size(QUERIES);
    int size = config.size("head_dim");
    if (size % 2 != 0) {
      throw config.wrong("head_dim", "an even number");
    }
    return new Heads(queries, keyValues(config, QUERIES, queries, KEY_VALUES), size);
  }

  /** Heads that share the model's width evenly, by the names of the settings. */
  static Heads sharing(JsonSettings config, String widthKey, String queriesKey, String keyValuesKey) {
    int width = config.size(widthKey);
    int queries = config.size(queriesKey);
    if (width % queries != 0 || width / queries % 2 != 0) {
      throw config.wrong(queriesKey, "a divisor of " + widthKey + " " + width + " into heads of an even size");
    }
    return new Heads(queries, keyValues(config, queriesKey, queries, keyValuesKey), width / queries);
  }

  /** Without the setting each query has its own. */
  private static int keyValues(JsonSettings config, String queriesKey, int queries, String keyValuesKey) {
    int keyValues = config.size(keyValuesKey, queries);
    if (queries % keyValues != 0) {
      throw config.wrong(keyValuesKey, "a divisor of " + queriesKey + " " + queries);
    }
    return keyValues;
  }
}
