package io.github.dimple4j.server;

import io.github.dimple4j.json.MalformedJsonException;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.SocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.regex.Pattern;
import org.eclipse.jetty.http.HttpException;
import org.eclipse.jetty.http.HttpField;
import org.eclipse.jetty.http.HttpFields;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.io.Content;
import org.eclipse.jetty.io.EndPoint;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import tools.jackson.databind.JsonNode;

/** One request with its response. Used by the connection's thread alone. */
final class Exchange implements AutoCloseable {
  private static final int PIECE = 16 << 10;
  private static final Pattern JSON_TYPE = Pattern.compile("application/json\\s*(;\\s*charset\\s*=\\s*\"?utf-?8\"?\\s*|;(?!.*charset).*)?", Pattern.CASE_INSENSITIVE);
  private static final Duration BODY_TIME = Duration.ofMinutes(1);
  private static final long DRAINED = 256 << 20;
  private static final Duration DRAIN_TIME = Duration.ofSeconds(30); // a hundred megabytes take a busy machine ten

  private final Request request;
  private final Response response;
  private final BodyBudget budget;
  private final EndPoint connection;
  private long reserved; // bytes of the budget
  private InputStream unread; // of a body that was refused half-way: closing it would end the connection, with the response on its way
  private boolean bodyRead;
  private boolean pipelined; // a byte of the next request came, which is lost: the connection ends with this one

  Exchange(Request request, Response response, BodyBudget budget) {
    this.request = request;
    this.response = response;
    this.budget = budget;
    this.connection = request.getConnectionMetaData().getConnection().getEndPoint();
  }

  String method() {
    return request.getMethod();
  }

  /** The path as the client sent it; nothing in it is decoded. */
  String path() {
    return request.getHttpURI().getDecodedPath();
  }

  /** A header, or null. */
  String header(String name) {
    return request.getHeaders().get(name);
  }

  /** How many headers of that name there are. */
  long headers(String name) {
    return request.getHeaders().stream().filter(field -> field.is(name)).count();
  }

  SocketAddress client() {
    return connection.getRemoteSocketAddress();
  }

  /** Ends the connection, whoever uses it. */
  void abort() {
    connection.close();
  }

  /** The body as JSON. */
  JsonNode json(long limit) throws IOException {
    String type = header("Content-Type");
    if (type == null || !JSON_TYPE.matcher(type.strip()).matches()) {
      throw ApiException.request(415, "unsupported_media_type",
          "Content-Type is " + (type == null ? "missing" : "'" + type + "'") + ", expected application/json, in UTF-8");
    }
    String coding = header("Content-Encoding");
    if (coding != null && !coding.strip().equalsIgnoreCase("identity")) {
      throw ApiException.request(415, "unsupported_media_type", "Content-Encoding is '" + coding + "', expected none");
    }
    byte[] body = body(limit);
    try {
      JsonNode read = Json.read(body);
      if (read.isMissingNode()) {
        throw ApiException.request(400, "invalid_json", "the request has no body, expected a JSON object");
      }
      return read;
    } catch (MalformedJsonException e) {
      throw ApiException.request(400, "invalid_json", "the request is not JSON: " + e.getMessage());
    }
  }

  private byte[] body(long limit) throws IOException {
    long declared = request.getLength();
    if (declared > limit) {
      throw tooLarge(limit);
    }
    ByteArrayOutputStream body = new ByteArrayOutputStream((int) Math.max(PIECE, Math.min(declared, 1 << 20)));
    long deadline = System.nanoTime() + BODY_TIME.toNanos();
    byte[] piece = new byte[PIECE];
    InputStream in = Content.Source.asInputStream(request);
    try {
      for (int length = read(in, piece); length >= 0; length = read(in, piece)) {
        if (body.size() + (long) length > limit) {
          throw tooLarge(limit);
        }
        if (System.nanoTime() - deadline > 0) {
          throw ApiException.timeout("the request took longer than " + BODY_TIME.toSeconds() + " s to come");
        }
        budget.take(length);
        reserved += length;
        body.write(piece, 0, length);
      }
    } catch (ApiException refused) {
      if (refused.status() != 408) { // who is too slow is not waited for
        unread = in;
      }
      throw refused;
    } finally {
      if (unread == null) {
        in.close();
      }
    }
    bodyRead = true;
    return body.toByteArray();
  }

  /** The next bytes of a body, whose pieces may not be framed as HTTP has it. */
  private static int read(InputStream in, byte[] piece) throws IOException {
    try {
      return in.read(piece);
    } catch (IOException | RuntimeException e) {
      if (e instanceof HttpException || e.getCause() instanceof HttpException) {
        throw ApiException.request(400, "malformed_request", "the request's body is not framed as HTTP has it");
      }
      throw e;
    }
  }

  private static ApiException tooLarge(long limit) {
    return ApiException.request(413, "request_too_large", "the request has more than " + limit + " bytes");
  }

  /**
   * Whether the client has left. Nobody else reads from the connection between the request's last byte and the response's, so a look at the
   * socket tells: its end, or an error. A client that sends its next request ahead of the answer is not read on: it has to send it again.
   */
  boolean gone() {
    if (!connection.isOpen()) {
      return true;
    }
    if (pipelined || !bodyRead || !(connection.getTransport() instanceof SocketChannel channel)) {
      return false;
    }
    try {
      int read = channel.read(ByteBuffer.allocate(1));
      pipelined = read > 0;
      return read < 0;
    } catch (IOException e) {
      return true;
    }
  }

  boolean begun() {
    return response.isCommitted();
  }

  private HttpFields.Mutable headers() {
    HttpFields.Mutable headers = response.getHeaders();
    headers.put("X-Content-Type-Options", "nosniff");
    if (pipelined || !bodyRead && hasBody()) {
      headers.put(HttpHeader.CONNECTION, "close");
    }
    return headers;
  }

  private boolean hasBody() {
    return request.getLength() != 0 && (request.getLength() > 0 || header("Transfer-Encoding") != null);
  }

  /** Sends a whole response. */
  void send(int status, String type, byte[] content, HttpField... more) throws IOException {
    response.setStatus(status);
    HttpFields.Mutable headers = headers();
    headers.put(HttpHeader.CONTENT_TYPE, type);
    headers.put(HttpHeader.CONTENT_LENGTH, content.length);
    for (HttpField field : more) {
      headers.put(field);
    }
    ByteBuffer left = ByteBuffer.wrap(method().equals("HEAD") ? new byte[0] : content);
    Content.Sink.write(response, true, left);
    drain();
  }

  void send(int status, JsonNode content, HttpField... more) throws IOException {
    send(status, "application/json", Json.bytes(content), more);
  }

  /** A client that is still sending would not see the response if the connection ended now. */
  private void drain() {
    if (bodyRead || !hasBody() || header("Expect") != null) {
      return;
    }
    long deadline = System.nanoTime() + DRAIN_TIME.toNanos();
    byte[] piece = new byte[PIECE];
    long drained = 0;
    try (InputStream in = unread == null ? Content.Source.asInputStream(request) : unread) {
      for (int length = in.read(piece); length >= 0 && drained < DRAINED && System.nanoTime() - deadline < 0; length = in.read(piece)) {
        drained += length;
      }
    } catch (IOException e) {
      // It has left.
    }
  }

  /** Begins a response of server-sent events. */
  void beginEvents() {
    response.setStatus(200);
    HttpFields.Mutable headers = headers();
    headers.put(HttpHeader.CONTENT_TYPE, "text/event-stream; charset=utf-8");
    headers.put(HttpHeader.CACHE_CONTROL, "no-cache");
    headers.put("X-Accel-Buffering", "no"); // of nginx
  }

  /** Sends an event; {@code name} may be null. */
  void event(String name, String data) throws IOException {
    String text = (name == null ? "" : "event: " + name + "\n") + "data: " + data + "\n\n";
    Content.Sink.write(response, false, ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8)));
  }

  void endEvents() throws IOException {
    Content.Sink.write(response, true, ByteBuffer.allocate(0));
  }

  /** Gives the body's memory back; what is sent afterwards may end the connection. */
  @Override
  public void close() {
    budget.give(reserved);
    reserved = 0;
    if (pipelined && begun()) {
      connection.close();
    }
  }
}
