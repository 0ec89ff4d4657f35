package io.github.dimple4j.server;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Base64;
import java.util.List;

/** The keys that a server takes. Compared in a time that does not tell how much of a key was right. */
final class ApiKeys {
  private final List<byte[]> digests;

  ApiKeys(List<String> keys) {
    digests = keys.stream().map(ApiKeys::digest).toList();
  }

  boolean wanted() {
    return !digests.isEmpty();
  }

  /** Whether a header {@code Authorization} brings a key: {@code Bearer KEY}, or as the password of {@code Basic}, as browsers ask for it. */
  boolean allow(String authorization) {
    if (!wanted()) {
      return true;
    }
    String given = authorization == null ? "" : authorization.strip();
    int blank = given.indexOf(' ');
    String scheme = blank < 0 ? given : given.substring(0, blank);
    String value = blank < 0 ? "" : given.substring(blank + 1).strip();
    return scheme.equalsIgnoreCase("Bearer") ? matches(value) : scheme.equalsIgnoreCase("Basic") && matches(password(value));
  }

  private static String password(String encoded) {
    try {
      String pair = new String(Base64.getDecoder().decode(encoded), StandardCharsets.UTF_8);
      return pair.substring(pair.indexOf(':') + 1);
    } catch (IllegalArgumentException e) {
      return "";
    }
  }

  private boolean matches(String key) {
    byte[] digest = digest(key);
    boolean found = false;
    for (byte[] known : digests) {
      found |= MessageDigest.isEqual(known, digest);
    }
    return found;
  }

  private static byte[] digest(String key) {
    try {
      return MessageDigest.getInstance("SHA-256").digest(key.getBytes(StandardCharsets.UTF_8));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }
}
