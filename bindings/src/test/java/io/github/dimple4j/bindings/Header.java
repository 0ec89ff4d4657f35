package io.github.dimple4j.bindings;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * The declarations of {@code dimple.h}, read from its text. It understands the few shapes that header keeps to, and refuses a
 * header with anything else in it, so that nothing goes by unseen.
 *
 * @param functions result type, then parameter types, by function name
 * @param structs fields by struct name; opaque structs are left out
 * @param constants names of enum constants and of macros with a number, without values
 */
record Header(Map<String, List<String>> functions, Map<String, List<Field>> structs, TreeSet<String> constants) {
  static final Path FILE = Path.of("..", "csrc", "include", "dimple.h");

  /** @param length elements of an array, 0 for a plain field */
  record Field(String type, String name, int length) {}

  private static final Pattern CPLUSPLUS = Pattern.compile("#ifdef __cplusplus.*?#endif", Pattern.DOTALL);
  private static final Pattern NUMBER = Pattern.compile("(?m)^#define (DIMPLE_\\w+) \\d+$");
  private static final Pattern DIRECTIVE = Pattern.compile("(?m)^#.*$");
  private static final Pattern COMMENT = Pattern.compile("/\\*.*?\\*/", Pattern.DOTALL);
  private static final Pattern ENUM = Pattern.compile("typedef enum (\\w+) \\{([^}]*)\\} \\1;");
  private static final Pattern STRUCT = Pattern.compile("typedef struct (\\w+) \\{([^}]*)\\} \\1;");
  private static final Pattern OPAQUE = Pattern.compile("typedef struct (\\w+) \\1;");
  private static final Pattern FUNCTION = Pattern.compile("DIMPLE_API ([\\w\\s]+?[\\s*]+)(dimple_\\w+)\\(([^)]*)\\);");
  private static final Pattern VARIABLE = Pattern.compile("([\\w\\s]+?[\\s*]+)(\\w+)(?:\\[(\\d+)\\])?");

  static Header read() throws IOException {
    String text = COMMENT.matcher(Files.readString(FILE)).replaceAll("");
    text = CPLUSPLUS.matcher(text).replaceAll("");
    var constants = new TreeSet<String>();
    NUMBER.matcher(text).results().forEach(match -> constants.add(match.group(1)));
    text = DIRECTIVE.matcher(text).replaceAll("");

    ENUM.matcher(text).results().flatMap(match -> Stream.of(match.group(2).split(",")))
        .map(constant -> constant.strip().split("\\s*=\\s*")[0]).filter(name -> !name.isEmpty()).forEach(constants::add);
    text = ENUM.matcher(text).replaceAll("");

    Map<String, List<Field>> structs = new LinkedHashMap<>();
    STRUCT.matcher(text).results().forEach(match -> structs.put(match.group(1), fields(match.group(2))));
    text = OPAQUE.matcher(STRUCT.matcher(text).replaceAll("")).replaceAll("");

    Map<String, List<String>> functions = new LinkedHashMap<>();
    FUNCTION.matcher(text).results().forEach(match -> functions.put(match.group(2), types(match)));
    text = FUNCTION.matcher(text).replaceAll("");
    if (!text.isBlank()) {
      throw new IOException(FILE + " has a declaration this test does not understand: " + text.strip());
    }
    return new Header(functions, structs, constants);
  }

  private static List<Field> fields(String body) {
    return Stream.of(body.split(";")).filter(field -> !field.isBlank()).map(field -> {
      var match = VARIABLE.matcher(field.strip());
      if (!match.matches()) {
        throw new IllegalArgumentException("not a field: " + field);
      }
      return new Field(type(match.group(1)), match.group(2), match.group(3) == null ? 0 : Integer.parseInt(match.group(3)));
    }).toList();
  }

  private static List<String> types(MatchResult function) {
    List<String> types = new ArrayList<>(List.of(type(function.group(1))));
    String parameters = function.group(3).strip();
    for (String parameter : parameters.equals("void") ? new String[0] : parameters.split(",")) {
      var match = VARIABLE.matcher(parameter.strip());
      if (!match.matches()) {
        throw new IllegalArgumentException("not a parameter: " + parameter);
      }
      types.add(type(match.group(1)));
    }
    return types;
  }

  /** A type as far as the calling convention cares: every pointer is {@code *}. */
  private static String type(String declared) {
    return declared.contains("*") ? "*" : declared.strip();
  }
}
