package io.github.dimple4j.cli;

import io.github.dimple4j.InvalidArgumentException;
import io.github.dimple4j.Template;
import io.github.dimple4j.json.MalformedJsonException;
import io.github.dimple4j.json.StrictJson;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import java.util.Set;
import tools.jackson.databind.JsonNode;

/**
 * A line of JSON Lines, an object, and what it says of a prompt. Nothing in it is passed over: a key that is given twice or that nobody reads, and
 * text behind the object, are errors.
 *
 * @param prefix what messages about it begin with
 * @param node the object
 */
record JsonLine(String prefix, JsonNode node) {
  /**
   * Parses a line.
   *
   * @param keys all that it may have
   */
  static JsonLine parse(String prefix, String text, Set<String> keys) throws IOException {
    JsonLine line = new JsonLine(prefix, parse(prefix, text));
    if (!line.node.isObject()) {
      throw line.wrong("is no JSON object");
    }
    for (String key : line.node.propertyNames()) {
      if (!keys.contains(key)) {
        throw line.wrong("has the unknown key \"" + key + "\"; known are " + String.join(", ", keys.stream().sorted().toList()));
      }
    }
    return line;
  }

  private static JsonNode parse(String prefix, String text) throws IOException {
    try {
      return StrictJson.DOUBLES.read(text);
    } catch (MalformedJsonException e) {
      throw new IOException(prefix + "is not JSON: " + e.getMessage().replaceFirst("^line 1, ", ""), e); // the prefix names the line
    }
  }

  boolean has(String name) {
    return node.has(name);
  }

  String text(String name) throws IOException {
    JsonNode value = node.get(name);
    if (value == null || !value.isString()) {
      throw wrong("has no text named \"" + name + "\"");
    }
    String text = value.stringValue();
    if (text.codePoints().anyMatch(c -> c >= Character.MIN_SURROGATE && c <= Character.MAX_SURROGATE)) {
      throw wrong("has half a surrogate pair in \"" + name + "\", which is no character");
    }
    return text;
  }

  /** The system message, which needs a chat template; null if the line has none. */
  String system(PromptFormat format) throws IOException {
    if (!has("system")) {
      return null;
    }
    if (format.raw()) {
      throw wrong("has a \"system\" message, which goes with a chat template and not with --raw");
    }
    return text("system");
  }

  /** A file or a list of files, relative to where the line stands. */
  List<Path> images(String name, TextSource source) throws IOException {
    JsonNode value = node.path(name);
    if (!value.isArray()) {
      return List.of(source.resolve(text(name)));
    }
    List<Path> images = new ArrayList<>();
    for (JsonNode file : value) {
      if (!file.isString()) {
        throw wrong("\"" + name + "\" holds something else than file names");
      }
      images.add(source.resolve(file.stringValue()));
    }
    return images;
  }

  /** Fixed texts and numbers of tokens to fill; null if the line has none. */
  Template template() throws IOException {
    if (!has("template")) {
      return null;
    }
    if (!node.get("template").isArray()) {
      throw wrong("\"template\" is no list of texts and numbers of tokens to fill");
    }
    List<Object> parts = new ArrayList<>();
    for (JsonNode part : node.get("template")) {
      if (part.isString()) {
        parts.add(part.stringValue());
      } else if (part.isInt() && part.intValue() >= 1) {
        parts.add(Template.slot(part.intValue()));
      } else {
        throw wrong("\"template\" holds " + part + ", expected texts and numbers of tokens to fill");
      }
    }
    try {
      return Template.of(parts.toArray());
    } catch (InvalidArgumentException e) {
      throw wrong("\"template\" is no list of texts and numbers of tokens to fill");
    }
  }

  OptionalInt length() throws IOException {
    JsonNode value = node.get("length");
    if (value == null) {
      return OptionalInt.empty();
    }
    if (!value.isInt() || value.intValue() < 1) {
      throw wrong("\"length\" is " + value + ", expected 1 or more tokens");
    }
    return OptionalInt.of(value.intValue());
  }

  IOException wrong(String what) {
    return new IOException(prefix + what);
  }
}
