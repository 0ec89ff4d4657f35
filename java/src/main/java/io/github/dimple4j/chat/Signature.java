package io.github.dimple4j.chat;

import io.github.dimple4j.chat.Expression.Evaluated;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * The arguments that a filter, a test, a function or a method has: one that nobody would read is an error, as it is in Python.
 *
 * @param names in order, without the value that is filtered or tested
 * @param required how many of them must be given
 * @param byName whether they may be given by name
 */
record Signature(List<String> names, int required, boolean byName) {
  private static final Map<String, Signature> FILTERS = signatures(true, "trim chars=", "upper", "lower", "capitalize", "title",
      "indent width= first= blank=", "string", "safe", "escape", "e", "replace old new count=", "length", "count", "first", "last", "list",
      "reverse", "join d= attribute=", "items", "sort reverse= case_sensitive= attribute=", "dictsort case_sensitive= by= reverse=",
      "unique case_sensitive= attribute=", "min case_sensitive= attribute=", "max case_sensitive= attribute=", "sum attribute= start=",
      "default default_value= boolean=", "d default_value= boolean=", "int default= base=", "float default=", "abs",
      "round precision= method=", "tojson ensure_ascii= indent= separators= sort_keys=");
  private static final Map<String, Signature> TESTS = both(signatures(true, "defined", "undefined", "none", "boolean", "true", "false",
      "string", "integer", "float", "number", "mapping", "iterable", "callable", "escaped", "upper", "lower", "sequence", "even", "odd",
      "divisibleby num", "sameas other", "in seq"), signatures(false, "eq other", "equalto other", "== other", "ne other",
      "!= other", "lt other", "lessthan other", "< other", "le other", "<= other", "gt other", "greaterthan other", "> other", "ge other",
      ">= other"));
  private static final Map<String, Signature> METHODS = both(signatures(false, "strip chars=", "lstrip chars=", "rstrip chars=",
      "removeprefix prefix", "removesuffix suffix", "upper", "lower", "capitalize", "title", "partition sep", "rpartition sep",
      "join iterable", "isdigit", "isdecimal", "isnumeric", "isalpha", "isalnum", "isspace", "isupper", "islower", "items", "keys",
      "values", "get key default=", "copy"), signatures(true, "split sep= maxsplit=", "rsplit sep= maxsplit=",
      "splitlines keepends=", "replace old new count="));
  private static final Map<String, Signature> FUNCTIONS = signatures(true, "raise_exception message", "joiner sep=", "strftime_now format");

  /** A line each: a name, and its arguments, with {@code =} behind those that may be left out. */
  private static Map<String, Signature> signatures(boolean byName, String... lines) {
    Map<String, Signature> signatures = new HashMap<>();
    for (String line : lines) {
      List<String> words = List.of(line.split(" "));
      List<String> arguments = words.subList(1, words.size());
      int required = (int) arguments.stream().filter(argument -> !argument.endsWith("=")).count();
      signatures.put(words.getFirst(), new Signature(arguments.stream().map(a -> a.replace("=", "")).toList(), required, byName));
    }
    return signatures;
  }

  private static Map<String, Signature> both(Map<String, Signature> some, Map<String, Signature> others) {
    some.putAll(others);
    return some;
  }

  /** Refuses what filter {@code name} does not have; those that are not listed see to it themselves. */
  static void ofFilter(String name, Evaluated arguments, Rendering rendering) {
    check(name, arguments, rendering, FILTERS);
  }

  static void ofTest(String name, Evaluated arguments, Rendering rendering) {
    check(name, arguments, rendering, TESTS);
  }

  static void ofMethod(String name, Evaluated arguments, Rendering rendering) {
    check(name, arguments, rendering, METHODS);
  }

  static void ofFunction(String name, Evaluated arguments, Rendering rendering) {
    check(name, arguments, rendering, FUNCTIONS);
  }

  private static void check(String name, Evaluated arguments, Rendering rendering, Map<String, Signature> among) {
    Signature signature = among.get(name);
    if (signature != null) {
      signature.check(name, arguments, rendering);
    }
  }

  private void check(String name, Evaluated arguments, Rendering rendering) {
    int given = arguments.positional().size();
    if (given > names.size()) {
      throw rendering.error("'" + name + "' takes " + names.size() + " arguments, not " + given);
    }
    for (String named : arguments.named().keySet()) {
      int place = names.indexOf(named);
      if (place < 0 || !byName) {
        throw rendering.error("'" + name + "' has no argument '" + named + "'");
      }
      if (place < given) {
        throw rendering.error("'" + name + "' gets its argument '" + named + "' twice");
      }
    }
    for (String missing : names.subList(Math.min(given, required), required)) {
      if (!arguments.named().containsKey(missing)) {
        throw rendering.error("'" + name + "' needs an argument '" + missing + "'");
      }
    }
  }
}
