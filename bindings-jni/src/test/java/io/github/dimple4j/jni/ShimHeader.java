package io.github.dimple4j.jni;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * What the shim is generated from: the declarations of {@code dimple.h}, in its order. A shape that the header has not kept to so far is
 * refused.
 *
 * @param functions by name
 * @param structs fields by struct name; opaque ones are left out
 * @param constants macros and enum constants with their numbers
 */
record ShimHeader(Map<String, Function> functions, Map<String, List<Field>> structs, Map<String, Integer> constants) {
  /** The type as C has it, and how often it is pointed to. */
  record Type(String name, int pointers) {}

  /** A parameter. */
  record Parameter(Type type, String name) {}

  /** A function; its result and its parameters. */
  record Function(Type result, List<Parameter> parameters) {}

  /** A field; {@code length} elements of an array, 0: a plain one. */
  record Field(Type type, String name, int length) {}

  private static final Pattern COMMENT = Pattern.compile("/\\*.*?\\*/", Pattern.DOTALL);
  private static final Pattern CPLUSPLUS = Pattern.compile("#ifdef __cplusplus.*?#endif", Pattern.DOTALL);
  private static final Pattern NUMBER = Pattern.compile("(?m)^#define (DIMPLE_\\w+) (\\d+)$");
  private static final Pattern DIRECTIVE = Pattern.compile("(?m)^#.*$");
  private static final Pattern ENUM = Pattern.compile("typedef enum (\\w+) \\{([^}]*)\\} \\1;");
  private static final Pattern CONSTANT = Pattern.compile("(\\w+)\\s*=\\s*(\\d+)");
  private static final Pattern STRUCT = Pattern.compile("typedef struct (\\w+) \\{([^}]*)\\} \\1;");
  private static final Pattern OPAQUE = Pattern.compile("typedef struct (\\w+) \\1;");
  private static final Pattern FUNCTION = Pattern.compile("DIMPLE_API ([\\w\\s]+?[\\s*]+)(dimple_\\w+)\\(([^)]*)\\);");
  private static final Pattern VARIABLE = Pattern.compile("((?:const )?\\w+)\\s+(\\**)(\\w+)(?:\\[(\\d+)\\])?");

  static ShimHeader read(Path file) throws IOException {
    String text = COMMENT.matcher(Files.readString(file)).replaceAll("");
    text = CPLUSPLUS.matcher(text).replaceAll("");
    Map<String, Integer> constants = new LinkedHashMap<>();
    NUMBER.matcher(text).results().forEach(match -> constants.put(match.group(1), Integer.valueOf(match.group(2))));
    text = DIRECTIVE.matcher(text).replaceAll("");
    ENUM.matcher(text).results().flatMap(match -> CONSTANT.matcher(match.group(2)).results())
        .forEach(match -> constants.put(match.group(1), Integer.valueOf(match.group(2))));
    text = ENUM.matcher(text).replaceAll("");
    Map<String, List<Field>> structs = new LinkedHashMap<>();
    STRUCT.matcher(text).results().forEach(match -> structs.put(match.group(1), fields(match.group(2))));
    text = OPAQUE.matcher(STRUCT.matcher(text).replaceAll("")).replaceAll("");
    Map<String, Function> functions = new LinkedHashMap<>();
    FUNCTION.matcher(text).results().forEach(match -> functions.put(match.group(2), function(match)));
    text = FUNCTION.matcher(text).replaceAll("");
    if (!text.isBlank()) {
      throw new IOException(file + " has a declaration that the shim's generator does not understand: " + text.strip());
    }
    return new ShimHeader(functions, structs, constants);
  }

  /** Structs that callers only hold pointers to. */
  Set<String> handles() {
    return functions.values().stream().flatMap(function -> function.parameters().stream()).map(parameter -> parameter.type().name())
        .filter(name -> name.startsWith("dimple_") && !structs.containsKey(name)).collect(Collectors.toCollection(TreeSet::new));
  }

  private static Function function(MatchResult match) {
    List<Parameter> parameters = new ArrayList<>();
    String list = match.group(3).strip();
    for (String parameter : list.equals("void") ? new String[0] : list.split(",")) {
      Field field = field(parameter);
      parameters.add(new Parameter(field.type(), field.name()));
    }
    return new Function(field(match.group(1) + match.group(2)).type(), parameters);
  }

  private static List<Field> fields(String body) {
    return Stream.of(body.split(";")).filter(field -> !field.isBlank()).map(ShimHeader::field).toList();
  }

  private static Field field(String declaration) {
    var match = VARIABLE.matcher(declaration.strip());
    if (!match.matches()) {
      throw new IllegalArgumentException("not a variable: " + declaration);
    }
    return new Field(new Type(match.group(1).replace("const ", ""), match.group(2).length()), match.group(3),
        match.group(4) == null ? 0 : Integer.parseInt(match.group(4)));
  }
}
