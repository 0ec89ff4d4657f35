package io.github.dimple4j.cli;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/**
 * A text that a command reads: a file in UTF-8, or standard input. Bytes that are no UTF-8 are an error; a byte order mark is not part of the
 * text; and so is a text that is too long for any use, as a device without an end is.
 *
 * @param name the file, or {@code -} for standard input
 */
record TextSource(String name) {
  private static final int MOST_BYTES = 64 << 20;

  /** For options and parameters. */
  static final class Converter implements ITypeConverter<TextSource> {
    @Override
    public TextSource convert(String name) {
      if (name.isEmpty()) {
        throw new TypeConversionException("'' is not a file name");
      }
      return new TextSource(name);
    }
  }

  boolean isStandardInput() {
    return name.equals("-");
  }

  /** What messages call it. */
  String title() {
    return isStandardInput() ? "standard input" : name;
  }

  /** The folder that file names in the text are relative to: that of the file, or the working directory. */
  Path resolve(String other) {
    return isStandardInput() ? Path.of(other) : Path.of(name).resolveSibling(other);
  }

  /** The bytes. */
  InputStream open() throws IOException {
    if (isStandardInput()) {
      return System.in;
    }
    if (Files.isDirectory(Path.of(name))) {
      throw new IOException(name + ": is a directory, expected a text file");
    }
    return Files.newInputStream(Path.of(name));
  }

  /** The whole text. */
  String read() throws IOException {
    try (InputStream in = open()) {
      return decode(title(), bytes(title(), in));
    }
  }

  /**
   * All that is left of a stream.
   *
   * @param title what a message calls it
   */
  static byte[] bytes(String title, InputStream in) throws IOException {
    byte[] bytes = in.readNBytes(MOST_BYTES + 1);
    if (bytes.length > MOST_BYTES) {
      throw new IOException(title + ": is longer than " + (MOST_BYTES >> 20) + " MiB, too long for a text");
    }
    return bytes;
  }

  /**
   * Bytes as text.
   *
   * @param title what a message calls them
   */
  static String decode(String title, byte[] bytes) throws IOException {
    ByteBuffer rest = ByteBuffer.wrap(bytes);
    try {
      String text = StandardCharsets.UTF_8.newDecoder().decode(rest).toString();
      return text.startsWith("\uFEFF") ? text.substring(1) : text;
    } catch (CharacterCodingException e) {
      throw new IOException(title + ": is no UTF-8 text from byte " + rest.position() + " on", e);
    }
  }

  /** The whole text as an argument would have it: one line end at its end is the editor's. */
  String readWithoutLastLineEnd() throws IOException {
    String text = read();
    return text.endsWith("\r\n") ? text.substring(0, text.length() - 2) : text.endsWith("\n") ? text.substring(0, text.length() - 1) : text;
  }
}
