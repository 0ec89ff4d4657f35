/** Converting, inspecting and making GGUF files. */
module io.github.dimple4j.gguf {
  requires io.github.dimple4j.bindings;
  requires tools.jackson.databind;

  exports io.github.dimple4j.gguf;
}
