package io.github.dimple4j;

/** Lines of golden files: a backslash, a u and four hexadecimal digits stand for what would end or divide them. */
public final class EscapedText {
  private EscapedText() {}

  public static String read(String text) {
    StringBuilder out = new StringBuilder();
    for (int i = 0; i < text.length(); i++) {
      if (text.charAt(i) == '\\') {
        out.append((char) Integer.parseInt(text.substring(i + 2, i + 6), 16));
        i += 5;
      } else {
        out.append(text.charAt(i));
      }
    }
    return out.toString();
  }
}
