package io.github.dimple4j.server;

import io.github.dimple4j.Image;
import io.github.dimple4j.ImageException;
import io.github.dimple4j.ImageOptions;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Base64;
import java.util.HexFormat;
import java.util.Locale;

/**
 * A picture of a request, as a file.
 *
 * @param encoded the content of the file; not copied
 * @param field where it stands in the request
 */
record Picture(byte[] encoded, String field) {
  private static final String DATA = "data:";

  static boolean isData(String url) {
    return url.regionMatches(true, 0, DATA, 0, DATA.length());
  }

  /** The picture in a data URL (RFC 2397), in base64. */
  static Picture ofData(String url, String field) {
    int comma = url.indexOf(',');
    if (comma < 0 || !url.substring(0, comma).toLowerCase(Locale.ROOT).endsWith(";base64")) {
      throw ApiException.field(field, "invalid_image_url", field + ": expected data:image/TYPE;base64,DATA");
    }
    try {
      return new Picture(Base64.getMimeDecoder().decode(checked(url.substring(comma + 1), field)), field);
    } catch (IllegalArgumentException e) {
      throw ApiException.field(field, "invalid_image_url", field + ": its data are not base64");
    }
  }

  /** The decoder for line ends skips every other character, too. */
  private static String checked(String data, String field) {
    if (data.isEmpty()) {
      throw ApiException.field(field, "invalid_image_url", field + ": it has no data");
    }
    for (int i = 0; i < data.length(); i++) {
      char c = data.charAt(i);
      boolean known = c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '+' || c == '/' || c == '=' || c == '\r'
          || c == '\n';
      if (!known) {
        throw ApiException.field(field, "invalid_image_url", field + ": its data are not base64");
      }
    }
    return data;
  }

  /** Decodes it, if it has no more than so many pixels. */
  Image decode(long maxPixels) {
    try {
      return Image.decode(encoded, field, ImageOptions.builder().maximumPixels(Math.max(1, maxPixels)).build());
    } catch (ImageException e) {
      throw ApiException.field(field, "invalid_image", e.getMessage());
    }
  }

  /** What tells it from every other picture. */
  String digest() {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(encoded));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }
}
