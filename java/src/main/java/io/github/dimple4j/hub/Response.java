package io.github.dimple4j.hub;

import io.github.dimple4j.FetchException;
import java.io.IOException;
import java.net.URI;
import java.net.URISyntaxException;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A server's answer to a GET, behind all redirections. Interrupting the thread ends any of its calls. */
final class Response implements AutoCloseable {
  private static final Duration CONNECT = Duration.ofSeconds(30);
  private static final Duration ANSWER = Duration.ofSeconds(60);
  private static final int REDIRECTIONS = 10;
  static final int MOST_PORT = 65535;
  private static final Set<Integer> REDIRECTS = Set.of(301, 302, 303, 307, 308);
  private static final Pattern RANGE = Pattern.compile("bytes (?:(\\d+)-\\d+|\\*)/(\\d+|\\*)");
  private static final Pattern SHA256 = Pattern.compile("\"?([0-9a-fA-F]{64})\"?");
  private static final Pattern NEXT = Pattern.compile("<([^>]+)>\\s*;\\s*rel=\"next\"");

  private final HttpClient client;
  private final HttpResponse<ByteQueue> answer;
  private final String linkedHash; // null: the hub did not say it

  private Response(HttpClient client, HttpResponse<ByteQueue> answer, String linkedHash) {
    this.client = client;
    this.answer = answer;
    this.linkedHash = linkedHash;
  }

  /**
   * Asks.
   *
   * @param headers to send to every server on the way
   * @param token for the one that it belongs to; may be null
   * @throws IOException if the connection fails, which another try may mend
   * @throws FetchException if there is no good way to an answer
   */
  static Response get(URI source, Map<String, String> headers, Token token) throws IOException, InterruptedException {
    HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).followRedirects(HttpClient.Redirect.NEVER)
        .connectTimeout(CONNECT).build();
    try {
      String hash = null;
      URI place = source;
      for (int i = 0; i <= REDIRECTIONS; i++) {
        HttpResponse<ByteQueue> answer = client.send(request(place, headers, token), ByteQueue.handler());
        if (hash == null) {
          hash = answer.headers().firstValue("X-Linked-ETag").map(Response::sha256).orElse(null);
        }
        if (!REDIRECTS.contains(answer.statusCode())) {
          return new Response(client, answer, hash);
        }
        answer.body().close();
        place = redirected(place, answer.headers().firstValue("Location").orElse(null));
      }
      throw new FetchException(shown(source) + ": more than " + REDIRECTIONS + " redirections");
    } catch (IOException | InterruptedException | RuntimeException e) {
      client.shutdownNow();
      throw e;
    }
  }

  private static HttpRequest request(URI place, Map<String, String> headers, Token token) {
    HttpRequest.Builder request = HttpRequest.newBuilder(place).timeout(ANSWER).header("User-Agent", "dimple4j")
        .header("Accept-Encoding", "identity"); // without it any coding is welcome (RFC 9110, 12.5.3)
    headers.forEach(request::header);
    if (token != null && token.isFor(place)) {
      request.header("Authorization", "Bearer " + token.secret());
    }
    return request.build();
  }

  private static URI redirected(URI from, String location) {
    if (location == null) {
      throw new FetchException(shown(from) + ": redirected to nowhere");
    }
    try {
      URI to = from.resolve(new URI(location));
      boolean encrypted = "https".equalsIgnoreCase(from.getScheme());
      boolean web = "https".equalsIgnoreCase(to.getScheme()) || !encrypted && "http".equalsIgnoreCase(to.getScheme());
      if (!web || to.getHost() == null || to.getPort() > MOST_PORT) {
        throw new FetchException(shown(from) + ": redirected to " + shown(to) + ", expected an " + (encrypted ? "" : "http or ") + "https address");
      }
      return to;
    } catch (URISyntaxException e) { // whose message has the address, in which a secret may be
      throw new FetchException(shown(from) + ": redirected to what is no address");
    }
  }

  int status() {
    return answer.statusCode();
  }

  URI place() {
    return answer.uri();
  }

  ByteQueue body() {
    return answer.body();
  }

  /** Bytes of the whole file. */
  OptionalLong total() {
    if (status() == 200) {
      return answer.headers().firstValueAsLong("Content-Length");
    }
    return range().map(m -> m.group(2)).filter(total -> !total.equals("*")).map(Response::number).orElse(OptionalLong.empty());
  }

  /** The byte of the file that the body begins with; -1 if that is not said. */
  long first() {
    return status() == 200 ? 0 : range().map(m -> m.group(1)).map(Response::number).orElse(OptionalLong.empty()).orElse(-1);
  }

  private Optional<Matcher> range() {
    return answer.headers().firstValue("Content-Range").map(text -> RANGE.matcher(text.strip())).filter(Matcher::matches);
  }

  private static OptionalLong number(String digits) {
    return digits.length() > 18 ? OptionalLong.empty() : OptionalLong.of(Long.parseLong(digits));
  }

  /** How the bytes of the file are coded, where they are. */
  Optional<String> coding() {
    return answer.headers().firstValue("Content-Encoding").map(String::strip).filter(coding -> !coding.isEmpty() && !coding.equalsIgnoreCase("identity"));
  }

  /** What tells this state of the file from any other, in a form that If-Range takes. */
  Optional<String> validator() {
    return answer.headers().firstValue("ETag").filter(tag -> tag.startsWith("\"")).or(() -> answer.headers().firstValue("Last-Modified"));
  }

  /** The file's SHA-256, where the hub says it (X-Linked-ETag of a file in Git LFS). */
  Optional<String> linkedHash() {
    return Optional.ofNullable(linkedHash);
  }

  /** Seconds that the server wants to be left alone. */
  OptionalLong retryAfter() {
    return answer.headers().firstValue("Retry-After").map(String::strip).filter(text -> text.matches("\\d+")).map(Response::number)
        .orElse(OptionalLong.empty());
  }

  /** The next page of a list (Link: ...; rel="next"). */
  Optional<URI> next() {
    return answer.headers().firstValue("Link").map(NEXT::matcher).filter(Matcher::find).map(link -> redirected(place(), link.group(1)));
  }

  private static String sha256(String header) {
    Matcher hash = SHA256.matcher(header.strip());
    return hash.matches() ? hash.group(1).toLowerCase(Locale.ROOT) : null;
  }

  /** An address for messages: without what may be a secret in it. */
  static String shown(URI address) {
    String port = address.getPort() < 0 ? "" : ":" + address.getPort();
    return address.getHost() == null ? address.getScheme() + ":..." : address.getScheme() + "://" + address.getHost() + port + address.getRawPath();
  }

  @Override
  public void close() {
    answer.body().close();
    client.shutdownNow();
  }
}
