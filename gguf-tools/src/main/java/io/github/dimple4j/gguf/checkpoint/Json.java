package io.github.dimple4j.gguf.checkpoint;

import io.github.dimple4j.gguf.GgufException;
import io.github.dimple4j.gguf.InputFile;
import io.github.dimple4j.json.MalformedJsonException;
import io.github.dimple4j.json.StrictJson;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import tools.jackson.databind.JsonNode;

/**
 * Reads JSON files whose root is an object; what is wrong is said with the file's name in one line. A key that is given twice is wrong: one of
 * the two values would be dropped.
 */
public final class Json {
  private static final long MOST_BYTES = 512 << 20;

  private Json() {}

  public static JsonNode read(Path path) throws IOException {
    return parse(path.toString(), bytes(path).array());
  }

  /** The text of another file that lies beside them. */
  static String text(Path path) throws IOException {
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(bytes(path)).toString();
    } catch (CharacterCodingException e) {
      throw new GgufException(path + ": is no UTF-8 text", e);
    }
  }

  private static ByteBuffer bytes(Path path) throws IOException {
    try (InputFile file = new InputFile(path)) {
      if (file.size() > MOST_BYTES) {
        throw new GgufException(path + " has " + file.size() + " bytes, too many for a file of settings");
      }
      ByteBuffer bytes = ByteBuffer.allocate((int) file.size());
      file.read(0, bytes);
      return bytes.flip();
    }
  }

  public static JsonNode parse(String source, byte[] text) {
    JsonNode root;
    try {
      root = StrictJson.DOUBLES.read(text);
    } catch (MalformedJsonException e) {
      throw new GgufException(source + " is not JSON: " + e.getMessage(), e);
    }
    if (!root.isObject()) {
      throw new GgufException(source + " is not a JSON object");
    }
    return root;
  }

  /** The id of a token; -1 if it is none, which a text and a fraction are not either, whatever number they begin with. */
  static int id(JsonNode node) {
    return node.isIntegralNumber() && node.canConvertToInt() ? node.intValue() : -1;
  }
}
