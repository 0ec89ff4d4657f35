package io.github.dimple4j.cli;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.InvalidPathException;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Map;
import tools.jackson.databind.JsonNode;

/** The lines of a batch, read as they are needed. Blank ones are passed over; one that cannot be read says why. */
final class BatchInput implements AutoCloseable {
  private static final int REQUEST_BYTES = 12;

  private final TextSource source;
  private final PromptFormat format;
  private final int length;
  private final String settings;
  private final InputStream in;
  private final Map<JsonNode, Integer> ids = new HashMap<>();
  private int number;

  /**
   * A line.
   *
   * @param number from 1
   * @param item what it asks; null: it cannot be read
   * @param request names the answer: a hash of all that it hangs on
   * @param problem why it cannot be read
   */
  record Line(int number, BatchItem item, String request, String problem) {}

  /**
   * Opens an input.
   *
   * @param length of the response, where a line says none
   * @param settings what all answers hang on
   */
  BatchInput(TextSource source, PromptFormat format, int length, String settings) throws IOException {
    this.source = source;
    this.format = format;
    this.length = length;
    this.settings = settings;
    in = new BufferedInputStream(source.open());
  }

  /** The next line; null: that was the last one. */
  Line next() throws IOException {
    for (byte[] bytes = nextBytes(); bytes != null; bytes = nextBytes()) {
      number++;
      Line line = parse(bytes);
      if (line != null) {
        return line;
      }
    }
    return null;
  }

  private byte[] nextBytes() throws IOException {
    int read = in.read();
    if (read < 0) {
      return null;
    }
    ByteArrayOutputStream line = new ByteArrayOutputStream();
    for (; read >= 0 && read != '\n'; read = in.read()) {
      line.write(read);
    }
    return line.toByteArray();
  }

  private Line parse(byte[] bytes) {
    try {
      String text = TextSource.decode("the line", bytes);
      if (text.isBlank()) {
        return null;
      }
      BatchItem item = BatchItem.parse(source, number, text, format, length);
      Integer other = ids.putIfAbsent(item.id(), number);
      if (other != null) {
        throw new IOException("the id " + item.id() + " is that of line " + other + " already");
      }
      return new Line(number, item, hash(settings + item.fingerprint(text)), null);
    } catch (IOException | InvalidPathException e) {
      return new Line(number, null, null, Failures.describe(e));
    }
  }

  private static String hash(String text) {
    try {
      byte[] digest = MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8));
      return HexFormat.of().formatHex(digest, 0, REQUEST_BYTES);
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError("every Java platform has SHA-256", e);
    }
  }

  @Override
  public void close() throws IOException {
    in.close();
  }
}
