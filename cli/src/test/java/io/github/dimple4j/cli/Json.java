package io.github.dimple4j.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.json.JsonFactory;

/** Reads JSON as maps in file order, lists, strings, numbers as they are written, booleans and nulls. */
final class Json {
  /** A number by its spelling, which tests of precision look at. */
  record Number(String text) {
    int integer() {
      return Integer.parseInt(text);
    }

    float real() {
      return Float.parseFloat(text);
    }
  }

  private Json() {}

  static Map<?, ?> read(Path file) throws IOException {
    return (Map<?, ?>) parse(Files.readString(file));
  }

  static Object parse(String text) {
    try (JsonParser json = new JsonFactory().createParser(ObjectReadContext.empty(), text)) {
      json.nextToken();
      return value(json);
    }
  }

  static List<Integer> integers(Object list) {
    return ((List<?>) list).stream().map(n -> ((Number) n).integer()).toList();
  }

  private static Object value(JsonParser json) {
    return switch (json.currentToken()) {
      case START_OBJECT -> {
        Map<String, Object> map = new LinkedHashMap<>();
        while (json.nextToken() != JsonToken.END_OBJECT) {
          String name = json.currentName();
          json.nextToken();
          map.put(name, value(json));
        }
        yield map;
      }
      case START_ARRAY -> {
        List<Object> list = new ArrayList<>();
        while (json.nextToken() != JsonToken.END_ARRAY) {
          list.add(value(json));
        }
        yield list;
      }
      case VALUE_TRUE -> true;
      case VALUE_FALSE -> false;
      case VALUE_NULL -> null;
      case VALUE_NUMBER_INT, VALUE_NUMBER_FLOAT -> new Number(json.getString());
      default -> json.getString();
    };
  }
}
