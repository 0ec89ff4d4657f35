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

  private final String[] starts; // a question mark is any byte

  PictureFormat(String... starts) {
    this.starts = starts;
  }

  static PictureFormat of(byte[] encoded) {
    for (PictureFormat format : values()) {
      for (String start : format.starts) {
        if (matches(encoded, start.getBytes(StandardCharsets.ISO_8859_1))) {
          return format;
        }
      }
    }
    return OTHER;
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
