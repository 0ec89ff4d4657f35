package io.github.dimple4j.server;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalLong;
import java.util.Set;
import tools.jackson.databind.JsonNode;

/** The fields of an object in a request. Missing ones and null are the same; whatever is wrong is named by its path. */
final class Fields {
  private final JsonNode object;
  private final String path; // "" for the whole request
  private final Set<String> read = new HashSet<>(); // names that were asked for

  private Fields(JsonNode object, String path) {
    this.object = object;
    this.path = path;
  }

  static Fields of(JsonNode root) {
    if (!root.isObject()) {
      throw ApiException.request(400, "invalid_json", "the request is a JSON " + kind(root) + ", expected an object");
    }
    return new Fields(root, "");
  }

  String path(String name) {
    return path.isEmpty() ? name : path + "." + name;
  }

  JsonNode node() {
    return object;
  }

  boolean has(String name) {
    return object.hasNonNull(name);
  }

  ApiException wrong(String name, String message) {
    return ApiException.field(path(name), path(name) + ": " + message);
  }

  private Optional<JsonNode> find(String name) {
    read.add(name);
    return Optional.ofNullable(object.get(name)).filter(value -> !value.isNull());
  }

  private ApiException kind(String name, JsonNode found, String expected) {
    return ApiException.field(path(name), "invalid_type", path(name) + " is a JSON " + kind(found) + ", expected " + expected);
  }

  private static String kind(JsonNode value) {
    return switch (value.getNodeType()) {
      case ARRAY -> "array";
      case OBJECT -> "object";
      case STRING -> "string";
      case NUMBER -> "number";
      case BOOLEAN -> "boolean";
      default -> "null";
    };
  }

  /** Any value. */
  Optional<JsonNode> any(String name) {
    return find(name);
  }

  Optional<String> string(String name) {
    return find(name).map(value -> {
      if (!value.isString()) {
        throw kind(name, value, "a string");
      }
      return whole(path(name), value.stringValue());
    });
  }

  /** A text of characters: half of a surrogate pair, which JSON can spell, is none and would be lost on the way to the model. */
  static String whole(String path, String text) {
    for (int i = 0; i < text.length(); i++) {
      if (!Character.isSurrogate(text.charAt(i))) {
        continue;
      }
      if (!Character.isHighSurrogate(text.charAt(i)) || i + 1 == text.length() || !Character.isLowSurrogate(text.charAt(i + 1))) {
        throw ApiException.field(path, path + ": has half of a surrogate pair (\\u" + Integer.toHexString(text.charAt(i)) + ") at character " + i);
      }
      i++;
    }
    return text;
  }

  String needString(String name) {
    return string(name).orElseThrow(() -> missing(name));
  }

  ApiException missing(String name) {
    return ApiException.field(path(name), "missing_required_parameter", path(name) + " is missing");
  }

  boolean flag(String name, boolean otherwise) {
    return find(name).map(value -> {
      if (!value.isBoolean()) {
        throw kind(name, value, "true or false");
      }
      return value.booleanValue();
    }).orElse(otherwise);
  }

  OptionalLong whole(String name, long least, long most) {
    Optional<JsonNode> found = find(name);
    if (found.isEmpty()) {
      return OptionalLong.empty();
    }
    JsonNode value = found.get();
    boolean whole = value.isIntegralNumber() || value.isNumber() && value.canConvertToExactIntegral();
    if (!whole) {
      throw kind(name, value, "a whole number");
    }
    if (!value.canConvertToLong() || value.asLong() < least || value.asLong() > most) {
      throw wrong(name, "is " + value + ", expected " + least + " to " + most);
    }
    return OptionalLong.of(value.asLong());
  }

  OptionalDouble number(String name, double least, double most) {
    Optional<JsonNode> found = find(name);
    if (found.isEmpty()) {
      return OptionalDouble.empty();
    }
    if (!found.get().isNumber()) {
      throw kind(name, found.get(), "a number");
    }
    double value = found.get().decimalValue().doubleValue(); // infinite, and out of range, where it is too large for one
    if (!(value >= least && value <= most)) {
      throw wrong(name, "is " + found.get() + ", expected " + least + " to " + most);
    }
    return OptionalDouble.of(value);
  }

  Optional<Fields> object(String name) {
    return find(name).map(value -> {
      if (!value.isObject()) {
        throw kind(name, value, "an object");
      }
      return new Fields(value, path(name));
    });
  }

  /** The elements of an array; none where it is missing. */
  List<JsonNode> array(String name) {
    return array(name, "an array");
  }

  private List<JsonNode> array(String name, String expected) {
    Optional<JsonNode> found = find(name);
    if (found.isEmpty()) {
      return List.of();
    }
    if (!found.get().isArray()) {
      throw kind(name, found.get(), expected);
    }
    List<JsonNode> elements = new ArrayList<>();
    found.get().forEach(elements::add);
    return elements;
  }

  /** The elements of an array of objects. */
  List<Fields> objects(String name) {
    return objects(name, "an array");
  }

  List<Fields> objects(String name, String expected) {
    List<JsonNode> elements = array(name, expected);
    List<Fields> objects = new ArrayList<>();
    for (int i = 0; i < elements.size(); i++) {
      String at = name + "[" + i + "]";
      if (!elements.get(i).isObject()) {
        throw kind(at, elements.get(i), "an object");
      }
      objects.add(new Fields(elements.get(i), path(at)));
    }
    return objects;
  }

  /** A string, or an array of strings. */
  List<String> strings(String name) {
    Optional<JsonNode> found = find(name);
    if (found.isPresent() && found.get().isString()) {
      return List.of(whole(path(name), found.get().stringValue()));
    }
    List<String> texts = new ArrayList<>();
    for (JsonNode element : array(name, "a string or an array of strings")) {
      if (!element.isString()) {
        throw kind(name + "[" + texts.size() + "]", element, "a string");
      }
      texts.add(whole(path(name + "[" + texts.size() + "]"), element.stringValue()));
    }
    return texts;
  }

  /** Refuses what this server does not do, where leaving it out would change the answer. */
  void refuse(String name, String why) {
    if (has(name)) {
      throw ApiException.field(path(name), "unsupported_parameter", path(name) + " is not supported: " + why);
    }
  }

  /** Names that nobody has asked for, but for those without a value. */
  List<String> unread() {
    return object.propertyNames().stream().filter(name -> has(name) && !read.contains(name)).toList();
  }

  ApiException unknown(String name) {
    return ApiException.field(path(name), "unknown_parameter", "there is no setting " + path(name));
  }

  /** Refuses names that nobody has asked for, but for some that say nothing here. */
  void refuseUnread(String... saysNothing) {
    for (String name : unread()) {
      if (!List.of(saysNothing).contains(name)) {
        throw unknown(name);
      }
    }
  }

  /** Refuses a number that says something. */
  void refuseUnlessZero(String name, String why) {
    Optional<JsonNode> found = find(name);
    if (found.isPresent() && !(found.get().isNumber() && found.get().decimalValue().signum() == 0)) {
      refuse(name, why);
    }
  }
}
