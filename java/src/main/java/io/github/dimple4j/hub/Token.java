package io.github.dimple4j.hub;

import java.net.URI;
import java.util.Locale;
import java.util.Set;

/**
 * What a server that it was made for wants to see. It goes to no other server, through no open connection but to this machine itself, and is
 * in no message.
 *
 * @param secret the token
 * @param server the only one that gets it
 */
public record Token(String secret, URI server) {
  private static final Set<String> OWN = Set.of("localhost", "127.0.0.1", "[::1]");

  boolean isFor(URI target) {
    boolean same = target.getScheme().equalsIgnoreCase(server.getScheme()) && server.getHost() != null
        && server.getHost().equalsIgnoreCase(target.getHost()) && port(server) == port(target);
    return same && (target.getScheme().equalsIgnoreCase("https") || OWN.contains(target.getHost().toLowerCase(Locale.ROOT)));
  }

  private static int port(URI uri) {
    return uri.getPort() >= 0 ? uri.getPort() : uri.getScheme().equalsIgnoreCase("https") ? 443 : 80;
  }

  @Override
  public String toString() {
    return "Token[for " + server.getHost() + "]";
  }
}
