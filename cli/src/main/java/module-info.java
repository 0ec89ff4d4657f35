/** The {@code dimple} command line. */
module io.github.dimple4j.cli {
  requires info.picocli;
  requires java.logging; // how much the server says
  requires jdk.unsupported; // ^C in a conversation
  requires java.desktop; // the picture of a trace page
  requires io.github.dimple4j;
  requires io.github.dimple4j.gguf;
  requires io.github.dimple4j.server;
  requires tools.jackson.core;
  requires tools.jackson.databind;

  opens io.github.dimple4j.cli to info.picocli;
}
