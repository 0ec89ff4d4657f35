package io.github.dimple4j.gguf.checkpoint;

import io.github.dimple4j.gguf.GgufException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;
import java.util.function.BiPredicate;
import tools.jackson.databind.JsonNode;

/**
 * A JSON object of settings, or an object in it. Asking for a setting checks its type and range; what is wrong is said with
 * the file and the key. A null counts as absent. What nobody has asked for is {@link #unknown()}, so that a setting that changes the
 * model is not passed over because no one here has heard of it.
 */
public final class JsonSettings {
  /** The core's limits, csrc/transformer/limits.h. */
  private static final int MOST = 1024;

  private final String source;
  private final String prefix;
  private final JsonNode root;
  private final Set<String> asked; // names with their prefixes, of the whole file; a section's ends with a dot

  private JsonSettings(String source, String prefix, JsonNode root, Set<String> asked) {
    this.source = source;
    this.prefix = prefix;
    this.root = root;
    this.asked = asked;
  }

  public static JsonSettings read(Path path) throws IOException {
    return new JsonSettings(path.toString(), "", Json.read(path), new HashSet<>());
  }

  public static JsonSettings empty(String source) {
    return of(source, "{}");
  }

  /** Settings that are written somewhere else than in a file of their own. */
  public static JsonSettings of(String source, String text) {
    return new JsonSettings(source, "", Json.parse(source, text.getBytes(java.nio.charset.StandardCharsets.UTF_8)), new HashSet<>());
  }

  /** The object under a key. */
  public JsonSettings section(String key) {
    JsonNode value = root.path(key);
    if (!value.isObject()) {
      throw wrong(key, "an object");
    }
    asked.add(prefix + key + ".");
    return new JsonSettings(source, prefix + key + ".", value, asked);
  }

  public boolean has(String key) {
    return root.hasNonNull(key);
  }

  /** The names of the settings that are there. */
  public List<String> names() {
    return root.propertyStream().map(Map.Entry::getKey).filter(this::has).toList();
  }

  public JsonNode node(String key) {
    asked.add(prefix + key);
    return root.path(key);
  }

  /** Says that the caller knows of these settings, whatever they are, and has no use for them. */
  public void passOver(List<String> keys) {
    keys.forEach(this::node);
  }

  /** Whether anybody has asked for a setting of this object. */
  public boolean isRead() {
    return asked.stream().anyMatch(name -> name.startsWith(prefix) && !name.equals(prefix));
  }

  /** The settings that nobody has asked for, by their names within the file. */
  public List<String> unread() {
    return unread((key, value) -> true);
  }

  /** Those of {@link #unread()} that may change a model or a picture: all that are not known to be harmless. */
  public List<String> unknown() {
    return unread((key, value) -> !HarmlessSettings.includes(key, value));
  }

  /** Those of {@link #unread()}, of a tokenizer's settings, that may mean other tokens or another text. */
  public List<String> unknownOfTokenizer() {
    return unread((key, value) -> !HarmlessSettings.ofTokenizer(key, value));
  }

  private List<String> unread(BiPredicate<String, JsonNode> wanted) {
    List<String> unread = new ArrayList<>();
    for (String key : names()) {
      JsonNode value = root.path(key);
      if (asked.contains(prefix + key + ".")) {
        unread.addAll(new JsonSettings(source, prefix + key + ".", value, asked).unread(wanted));
      } else if (!asked.contains(prefix + key) && wanted.test(key, value)) {
        unread.add(prefix + key);
      }
    }
    return unread;
  }

  /** A positive integer that must be there. */
  public int size(String key) {
    return integer(key, 1).orElseThrow(() -> wrong(key, "a positive integer"));
  }

  /** A positive integer. */
  public int size(String key, int otherwise) {
    return integer(key, 1).orElse(otherwise);
  }

  /** How many there are of something that may be absent: an integer from 0 on. */
  public int several(String key, int otherwise) {
    return integer(key, 0).orElse(otherwise);
  }

  /** A number of layers, or of experts in one, of which a file has no more than the core takes. */
  public int count(String key) {
    int count = size(key);
    if (count > MOST) {
      throw wrong(key, "at most " + MOST);
    }
    return count;
  }

  /** A token id, or a list of one. */
  public OptionalInt token(String key) {
    JsonNode value = node(key);
    if (value.isArray() && value.size() > 1) {
      throw wrong(key, "one token id");
    }
    return firstToken(key);
  }

  /** A token id; of several, as {@code eos_token_id} may have, the first. */
  OptionalInt firstToken(String key) {
    JsonNode value = node(key);
    return value.isArray() && !value.isEmpty() ? integer(key, value.get(0), 0) : integer(key, 0);
  }

  /** Token ids, of which there may be one or several. */
  public List<Integer> tokens(String key) {
    JsonNode value = node(key);
    if (value.isArray()) {
      return integers(key, List.of());
    }
    OptionalInt one = firstToken(key);
    return one.isPresent() ? List.of(one.getAsInt()) : List.of();
  }

  public double positive(String key, double otherwise) {
    JsonNode value = node(key);
    if (value.isMissingNode() || value.isNull()) {
      return otherwise;
    }
    if (!value.isNumber() || !(value.doubleValue() > 0) || Double.isInfinite(value.doubleValue())) {
      throw wrong(key, "a positive number");
    }
    return value.doubleValue();
  }

  public boolean flag(String key, boolean otherwise) {
    JsonNode value = node(key);
    if (value.isMissingNode() || value.isNull()) {
      return otherwise;
    }
    if (!value.isBoolean()) {
      throw wrong(key, "true or false");
    }
    return value.booleanValue();
  }

  public String text(String key, String otherwise) {
    JsonNode value = node(key);
    if (value.isMissingNode() || value.isNull()) {
      return otherwise;
    }
    if (!value.isString()) {
      throw wrong(key, "a string");
    }
    return value.stringValue();
  }

  /** A list of integers, none of them negative. */
  public List<Integer> integers(String key, List<Integer> otherwise) {
    JsonNode value = node(key);
    if (value.isMissingNode() || value.isNull()) {
      return otherwise;
    }
    if (!value.isArray()) {
      throw wrong(key, "a list of integers");
    }
    List<Integer> result = new ArrayList<>();
    for (JsonNode element : value) {
      result.add(integer(key, element, 0).orElseThrow(() -> wrong(key, "a list of integers")));
    }
    return List.copyOf(result);
  }

  /** A list of {@code count} numbers. */
  public List<Float> floats(String key, int count, List<Float> otherwise) {
    JsonNode value = node(key);
    if (value.isMissingNode() || value.isNull()) {
      return otherwise;
    }
    List<Float> result = new ArrayList<>();
    for (JsonNode element : value) {
      if (!element.isNumber()) {
        throw wrong(key, count + " numbers");
      }
      result.add(element.floatValue());
    }
    if (result.size() != count) {
      throw wrong(key, count + " numbers");
    }
    return List.copyOf(result);
  }

  /** Refuses any other value than the one given; absent is fine. */
  public void requireText(String key, String only) {
    String value = text(key, only);
    if (!value.equals(only)) {
      throw wrong(key, "\"" + only + "\"");
    }
  }

  /** Refuses the other value than the one given; absent is fine. */
  public void requireFlag(String key, boolean only) {
    if (flag(key, only) != only) {
      throw wrong(key, String.valueOf(only));
    }
  }

  /** A complaint about a key's value. */
  public GgufException wrong(String key, String expected) {
    JsonNode value = root.path(key);
    String found = value.isMissingNode() ? "is missing" : "is " + abbreviated(value.toString());
    return new GgufException(source + ": \"" + prefix + key + "\" " + found + "; expected " + expected);
  }

  /** A complaint about settings that are not known. */
  public GgufException unknown(List<String> names) {
    return new GgufException(source + ": \"" + String.join("\", \"", names) + "\": not known here, and may make another model of the weights; the option "
        + "ignore-unknown converts without");
  }

  /** The file's path. */
  @Override
  public String toString() {
    return source;
  }

  private OptionalInt integer(String key, int minimum) {
    return integer(key, node(key), minimum);
  }

  private OptionalInt integer(String key, JsonNode value, int minimum) {
    if (value.isMissingNode() || value.isNull()) {
      return OptionalInt.empty();
    }
    if (!value.isIntegralNumber() || !value.canConvertToInt() || value.intValue() < minimum) {
      throw wrong(key, "an integer from " + minimum + " on");
    }
    return OptionalInt.of(value.intValue());
  }

  private static String abbreviated(String text) {
    return text.length() <= 60 ? text : text.substring(0, 57) + "...";
  }
}
