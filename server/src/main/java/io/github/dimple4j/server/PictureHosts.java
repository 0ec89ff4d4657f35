package io.github.dimple4j.server;

import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.URISyntaxException;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;

/** Hosts whose pictures are fetched. Redirections are not followed, for they lead elsewhere. */
final class PictureHosts implements AutoCloseable {
  private static final Duration PATIENCE = Duration.ofSeconds(20);

  private final Set<String> hosts;
  private final long maxBytes;
  private final HttpClient client; // null: no hosts

  PictureHosts(Set<String> hosts, long maxBytes) {
    this.hosts = hosts.stream().map(host -> host.toLowerCase(Locale.ROOT)).collect(Collectors.toUnmodifiableSet());
    this.maxBytes = maxBytes;
    this.client = hosts.isEmpty() ? null : HttpClient.newBuilder().connectTimeout(PATIENCE).followRedirects(HttpClient.Redirect.NEVER).build();
  }

  /** The bytes that the pictures of a request may have that are fetched: as many as its body. */
  long maxBytes() {
    return maxBytes;
  }

  /** The picture of an address of one of the hosts, of so many bytes at most. */
  Picture fetch(String url, String field, long most) {
    if (client == null) {
      throw ApiException.field(field, "invalid_image_url", field + ": this server takes data URLs only (data:image/TYPE;base64,DATA)");
    }
    URI address = address(url, field);
    if (!hosts.contains(server(address))) {
      throw ApiException.field(field, "invalid_image_url", field + ": host '" + server(address) + "' is not one that this server fetches from");
    }
    try {
      HttpResponse<InputStream> response = client.send(HttpRequest.newBuilder(address).timeout(PATIENCE).GET().build(),
          HttpResponse.BodyHandlers.ofInputStream());
      InputStream content = response.body();
      CompletableFuture<Void> late = CompletableFuture.runAsync(() -> close(content), CompletableFuture.delayedExecutor(PATIENCE.toMillis(), TimeUnit.MILLISECONDS));
      try (InputStream body = content) {
        if (response.statusCode() != 200) {
          throw ApiException.field(field, "invalid_image_url", field + ": the host answered " + response.statusCode());
        }
        byte[] picture = body.readNBytes(Math.toIntExact(most + 1));
        if (picture.length > most) {
          throw ApiException.field(field, "invalid_image_url", field + ": has more than " + most + " bytes"
              + (most < maxBytes ? ", what the request's other pictures leave of " + maxBytes : ""));
        }
        return new Picture(picture, field);
      } finally {
        late.cancel(false);
      }
    } catch (IOException e) {
      throw ApiException.field(field, "invalid_image_url", field + ": cannot be fetched");
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw ApiException.stopping();
    }
  }

  /** Ends the reading of who sends for too long. */
  private static void close(InputStream body) {
    try {
      body.close();
    } catch (IOException e) {
      // It has ended.
    }
  }

  /** As it stands among the hosts: with its port, unless that is the usual one. */
  private static String server(URI address) {
    int usual = "https".equalsIgnoreCase(address.getScheme()) ? 443 : 80;
    String host = address.getHost().toLowerCase(Locale.ROOT);
    return address.getPort() < 0 || address.getPort() == usual ? host : host + ":" + address.getPort();
  }

  private static URI address(String url, String field) {
    try {
      URI address = new URI(url);
      boolean http = "https".equalsIgnoreCase(address.getScheme()) || "http".equalsIgnoreCase(address.getScheme());
      if (http && address.getHost() != null && address.getUserInfo() == null) {
        return address;
      }
    } catch (URISyntaxException e) {
      // Below.
    }
    throw ApiException.field(field, "invalid_image_url", field + ": is neither a data URL nor an address of http or https");
  }

  @Override
  public void close() {
    if (client != null) {
      client.shutdownNow();
    }
  }
}
