/**
 * Converting, inspecting and making GGUF files: {@link io.github.dimple4j.gguf} has files and types,
 * {@link io.github.dimple4j.gguf.tools} what is done with them.
 */
module io.github.dimple4j.gguf {
  requires transitive io.github.dimple4j; // whose ModelTokenizer the reader of tokenizers gives
  requires tools.jackson.databind;

  exports io.github.dimple4j.gguf;
  exports io.github.dimple4j.gguf.tools;
}
