package io.github.dimple4j.image.jpeg;

import io.github.dimple4j.image.raster.PictureException;
import java.nio.charset.StandardCharsets;

/** Octets of a file, or of one of its segments, in order. */
final class JpegInput {
  private final byte[] file;
  private final int end;
  private int at;

  JpegInput(byte[] file) {
    this(file, 0, file.length);
  }

  private JpegInput(byte[] file, int from, int end) {
    this.file = file;
    this.at = from;
    this.end = end;
  }

  int remaining() {
    return end - at;
  }

  /** The size of the file, also of a segment's. */
  int fileSize() {
    return file.length;
  }

  int octet() throws PictureException {
    if (at == end) {
      throw PictureException.damaged(end == file.length ? "it ends early" : "a segment is too short");
    }
    return file[at++] & 0xFF;
  }

  int word() throws PictureException {
    return octet() << 8 | octet();
  }

  void skip(int count) throws PictureException {
    if (count > remaining()) {
      throw PictureException.damaged("it ends early");
    }
    at += count;
  }

  /** The octet that lies so far ahead; -1 behind the end. */
  int peek(int ahead) {
    return at + ahead < end ? file[at + ahead] & 0xFF : -1;
  }

  boolean startsWith(String text) {
    byte[] expected = text.getBytes(StandardCharsets.US_ASCII);
    for (int i = 0; i < expected.length; i++) {
      if (peek(i) != (expected[i] & 0xFF)) {
        return false;
      }
    }
    return true;
  }

  /** The code of the marker that stands here, behind any number of fill octets. */
  int marker() throws PictureException {
    int position = at;
    if (octet() != 0xFF) {
      throw PictureException.damaged("no marker at byte " + position);
    }
    int code = octet();
    while (code == 0xFF) {
      code = octet();
    }
    return code;
  }

  /** The segment that stands here: its length, which counts itself, and its content. */
  JpegInput segment() throws PictureException {
    int length = word() - 2;
    if (length < 0) {
      throw PictureException.damaged("a segment has a length of " + (length + 2));
    }
    skip(length);
    return new JpegInput(file, at - length, at);
  }
}
