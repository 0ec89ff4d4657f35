package io.github.dimple4j.image;

import java.nio.charset.StandardCharsets;

/** The formats that are read, by how their files start. */
enum PictureFormat {
  JPEG("\u00FF\u00D8"),
  PNG("\u0089PNG\r\n\u001A\n"),
  GIF("GIF8"),
  WEBP("RIFF????WEBP"),
  BMP("BM"),
  TIFF("II*\0", "MM\0*"),
  BIG_TIFF("II+\0", "MM\0+"),
  OTHER("");

  private final String[] starts;

  PictureFormat(String... starts) {
    this.starts = starts;
  }

  static PictureFormat of(byte[] encoded) {
    for (PictureFormat format : values()) {
      if (startsWithOne(encoded, format.starts)) {
        return format;
      }
    }
    return OTHER;
  }

  /** Whether a file starts in one of these ways, a question mark being any byte. */
  static boolean startsWithOne(byte[] encoded, String[] starts) {
    for (String start : starts) {
      if (matches(encoded, start.getBytes(StandardCharsets.ISO_8859_1))) {
        return true;
      }
    }
    return false;
  }

  private static boolean matches(byte[] encoded, byte[] start) {
    for (int i = 0; i < start.length; i++) {
      if (i == encoded.length || start[i] != '?' && start[i] != encoded[i]) {
        return false;
      }
    }
    return true;
  }
}
