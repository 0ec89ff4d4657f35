/**
 * Runs masked-diffusion multimodal language models on this machine: load a GGUF file, give it a prompt with text and pictures,
 * fill the response in parallel. Start at {@link io.github.dimple4j.DimpleModel}.
 *
 * <p>The native library underneath needs {@code --enable-native-access=io.github.dimple4j.bindings} (on the class path
 * {@code ALL-UNNAMED}); without it newer JDKs print a warning.
 */
@SuppressWarnings("module") // of the qualified export, whose modules are compiled later
module io.github.dimple4j {
  requires io.github.dimple4j.bindings;
  requires java.net.http; // fetching models
  requires transitive tools.jackson.databind; // JSON Schemas, and answers as records
  requires java.desktop; // ImageIO; not transitive, or `import module` would find java.awt's Image and Canvas, too

  exports io.github.dimple4j;
  exports io.github.dimple4j.chat;
  exports io.github.dimple4j.tokenizer;
  exports io.github.dimple4j.structure;
  exports io.github.dimple4j.file to io.github.dimple4j.gguf, io.github.dimple4j.cli;
  exports io.github.dimple4j.json to io.github.dimple4j.gguf, io.github.dimple4j.server, io.github.dimple4j.cli;
  exports io.github.dimple4j.core to io.github.dimple4j.gguf, io.github.dimple4j.jni;

  uses io.github.dimple4j.core.CoreProvider;
  uses io.github.dimple4j.image.PlatformFormats;
  provides io.github.dimple4j.image.PlatformFormats with io.github.dimple4j.image.ImageIoFormats;
  provides io.github.dimple4j.core.CoreProvider with io.github.dimple4j.core.ForeignProvider;
}
