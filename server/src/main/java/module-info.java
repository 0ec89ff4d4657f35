/**
 * A model behind an OpenAI-style HTTP interface. Start at {@link io.github.dimple4j.server.DimpleServer}.
 */
module io.github.dimple4j.server {
  requires transitive io.github.dimple4j;
  requires java.net.http; // pictures of hosts that are allowed
  requires org.eclipse.jetty.server;
  requires tools.jackson.core;
  requires tools.jackson.databind;

  exports io.github.dimple4j.server;
}
