package io.github.dimple4j.gguf.checkpoint;

import io.github.dimple4j.gguf.GgufException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.core.exc.StreamConstraintsException;
import tools.jackson.core.json.JsonFactory;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Reads JSON files whose root is an object; what is wrong is said with the file's name in one line. A key that is given twice is wrong: one of
 * the two values would be dropped.
 */
public final class Json {
  private static final JsonMapper MAPPER = JsonMapper.builder(JsonFactory.builder().enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION).build())
      .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS).build();

  private Json() {}

  public static JsonNode read(Path path) throws IOException {
    return parse(path.toString(), Files.readAllBytes(path));
  }

  public static JsonNode parse(String source, byte[] text) {
    JsonNode root;
    try {
      root = MAPPER.readTree(text);
    } catch (StreamConstraintsException e) { // whose message speaks of the parser's settings
      throw new GgufException(source + " is no JSON that is read here: nested too deeply, or with a name, text or number that is far too long", e);
    } catch (JacksonException e) {
      throw new GgufException(source + " is not JSON: " + e.getOriginalMessage().lines().findFirst().orElse(""), e);
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
