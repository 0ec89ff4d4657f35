package io.github.dimple4j.hub;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CopyOnWriteArrayList;

/** A web server that answers as it is told to: whole, in part, wrongly, or not to the end. A connection per request. */
final class FaultyServer implements AutoCloseable {
  /** A request as it came; header names in lower case. */
  record Request(String path, Map<String, String> headers) {
    /** The first byte asked for. */
    long first() {
      String range = headers.get("range");
      return range == null ? 0 : Long.parseLong(range.replaceAll("bytes=(\\d+)-", "$1"));
    }
  }

  /** Answers a request. */
  interface Script {
    void answer(Request request, int number, OutputStream out) throws IOException;
  }

  private final ServerSocket socket = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
  private final List<Request> requests = new CopyOnWriteArrayList<>();
  private final Script script;

  FaultyServer(Script script) throws IOException {
    this.script = script;
    Thread.ofVirtual().start(this::serve);
  }

  private void serve() {
    while (!socket.isClosed()) {
      try {
        Socket connection = socket.accept();
        Thread.ofVirtual().start(() -> answer(connection));
      } catch (IOException e) {
        return; // closed
      }
    }
  }

  private void answer(Socket connection) {
    try (connection) {
      BufferedReader in = new BufferedReader(new InputStreamReader(connection.getInputStream(), StandardCharsets.ISO_8859_1));
      String path = in.readLine().split(" ")[1];
      Map<String, String> headers = new TreeMap<>();
      for (String line = in.readLine(); line != null && !line.isEmpty(); line = in.readLine()) {
        String[] parts = line.split(": *", 2);
        headers.put(parts[0].toLowerCase(Locale.ROOT), parts[1]);
      }
      Request request = new Request(path, headers);
      int number;
      synchronized (requests) {
        number = requests.size();
        requests.add(request);
      }
      script.answer(request, number, connection.getOutputStream());
      connection.getOutputStream().flush();
    } catch (IOException | RuntimeException e) {
      // the client has gone
    }
  }

  URI at(String path) {
    return URI.create("http://127.0.0.1:" + socket.getLocalPort() + path);
  }

  List<Request> requests() {
    return requests;
  }

  /** Writes a status line and headers. */
  static void head(OutputStream out, int status, String... headers) throws IOException {
    out.write(("HTTP/1.1 " + status + " X\r\n" + String.join("", Arrays.stream(headers).map(line -> line + "\r\n").toList())
        + "Connection: close\r\n\r\n").getBytes(StandardCharsets.ISO_8859_1));
  }

  /** Answers with a file from the byte that was asked for, as a server does that knows ranges, and ends after at most so many bytes. */
  static void file(Request request, OutputStream out, byte[] content, String tag, int most) throws IOException {
    boolean same = request.headers().getOrDefault("if-range", tag).equals(tag);
    int first = same ? (int) request.first() : 0;
    String length = "Content-Length: " + (content.length - first);
    if (first >= content.length) {
      head(out, 416, "Content-Range: bytes */" + content.length, "Content-Length: 0");
      return;
    }
    if (first == 0) {
      head(out, 200, length, "ETag: " + tag);
    } else {
      head(out, 206, length, "ETag: " + tag, "Content-Range: bytes " + first + "-" + (content.length - 1) + "/" + content.length);
    }
    out.write(content, first, Math.min(most, content.length - first));
  }

  @Override
  public void close() throws IOException {
    socket.close();
  }
}
