package io.github.dimple4j.cli;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.IntStream;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.exc.InputCoercionException;
import tools.jackson.core.json.JsonFactory;

/** A prompt as a JSON list of token ids, {@code [1, 2, 3]}. */
final class TokenIdFile {
  private TokenIdFile() {}

  static int[] read(Path file) throws IOException {
    if (Files.isDirectory(file)) {
      throw new IOException(file + ": is a directory, expected a JSON list of token ids such as [1, 2, 3]");
    }
    byte[] bytes;
    try (InputStream in = Files.newInputStream(file)) {
      bytes = TextSource.bytes(file.toString(), in);
    }
    IntStream.Builder ids = IntStream.builder();
    try (JsonParser json = new JsonFactory().createParser(ObjectReadContext.empty(), bytes)) {
      if (json.nextToken() != JsonToken.START_ARRAY) {
        throw malformed(file, json, "is no list");
      }
      while (json.nextToken() != JsonToken.END_ARRAY) {
        if (json.currentToken() != JsonToken.VALUE_NUMBER_INT) {
          throw malformed(file, json, "has an entry that is no whole number");
        }
        ids.add(json.getIntValue());
      }
      if (json.nextToken() != null) {
        throw malformed(file, json, "goes on behind the list");
      }
    } catch (InputCoercionException e) {
      throw malformed(file, e, "has a number that is no token id");
    } catch (JacksonException e) {
      throw malformed(file, e, "is not JSON");
    }
    int[] all = ids.build().toArray();
    if (all.length == 0) {
      throw new IOException(file + ": the list of token ids is empty");
    }
    return all;
  }

  private static IOException malformed(Path file, JsonParser json, String what) {
    return malformed(file, json.currentTokenLocation().getLineNr(), what);
  }

  private static IOException malformed(Path file, JacksonException e, String what) {
    return malformed(file, e.getLocation() == null ? 1 : e.getLocation().getLineNr(), what);
  }

  private static IOException malformed(Path file, int line, String what) {
    return new IOException(file + ", line " + Math.max(1, line) + ": " + what + "; expected a JSON list of token ids such as [1, 2, 3]");
  }
}
