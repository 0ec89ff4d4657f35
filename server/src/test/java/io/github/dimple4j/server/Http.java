package io.github.dimple4j.server;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import tools.jackson.databind.JsonNode;

/** Plain requests to a server, well formed or not. */
final class Http {
  private static final HttpClient CLIENT = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

  /** A question that takes minutes. */
  static final String ENDLESS = """
      {"messages": [{"role": "user", "content": "x"}], "max_tokens": 900, "temperature": 1, "diffusion": {"threshold": 0, "prefill": false}""";

  private Http() {}

  static HttpResponse<String> send(HttpRequest.Builder request) {
    try {
      return CLIENT.send(request.build(), HttpResponse.BodyHandlers.ofString());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  static HttpRequest.Builder request(DimpleServer server, String path) {
    return HttpRequest.newBuilder(URI.create(server.address() + path));
  }

  static HttpRequest.Builder post(DimpleServer server, String path, String body) {
    return request(server, path).header("Content-Type", "application/json").POST(HttpRequest.BodyPublishers.ofString(body));
  }

  static HttpResponse<String> chat(DimpleServer server, String body) {
    return send(post(server, "/v1/chat/completions", body));
  }

  /** Of a body that may be no text. */
  static HttpResponse<String> chat(DimpleServer server, byte[] body) {
    return send(post(server, "/v1/chat/completions", "").POST(HttpRequest.BodyPublishers.ofByteArray(body)));
  }

  static String content(HttpResponse<String> answer) {
    return Json.read(answer.body()).get("choices").get(0).get("message").get("content").stringValue();
  }

  static String get(DimpleServer server, String path) {
    return send(request(server, path).GET()).body();
  }

  /** A figure of the server's. */
  static long metric(DimpleServer server, String name) {
    Matcher found = Pattern.compile("(?m)^" + Pattern.quote(name) + " (\\d+)$").matcher(get(server, "/metrics"));
    return found.find() ? Long.parseLong(found.group(1)) : -1;
  }

  static JsonNode error(HttpResponse<String> answer) {
    return Json.read(answer.body()).get("error");
  }

  static Socket connect(DimpleServer server) {
    try {
      return new Socket(InetAddress.getLoopbackAddress(), server.port());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The head and body of a chat. */
  static byte[] chatBytes(String body) {
    byte[] content = body.getBytes(StandardCharsets.UTF_8);
    return ("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: " + content.length
        + "\r\n\r\n" + body).getBytes(StandardCharsets.UTF_8);
  }

  static String raw(DimpleServer server, String request) {
    return raw(server, request.getBytes(StandardCharsets.UTF_8));
  }

  /** What comes back for raw bytes until the server ends the connection or says nothing for a second. */
  static String raw(DimpleServer server, byte[] request) {
    try (Socket socket = connect(server)) {
      socket.setSoTimeout(1000);
      ByteArrayOutputStream answer = new ByteArrayOutputStream();
      try {
        socket.getOutputStream().write(request);
        socket.getOutputStream().flush();
        byte[] piece = new byte[8192];
        for (int length = socket.getInputStream().read(piece); length >= 0; length = socket.getInputStream().read(piece)) {
          answer.write(piece, 0, length);
        }
      } catch (IOException e) {
        // It has ended the connection, or waits for more.
      }
      return answer.toString(StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
