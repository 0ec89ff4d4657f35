package io.github.dimple4j.structure.schema;

import io.github.dimple4j.structure.automaton.Dfa;
import io.github.dimple4j.structure.regex.Regex;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * JSON Schema's formats as regular expressions. Each holds a part of what its specification admits, on which validators agree: no
 * leap seconds, no comments in addresses, names of at most 30 letters between dots. Formats that are not of the specification say
 * nothing, as it has it.
 */
final class Formats {
  // RFC 3339, with the days of each month and the years that have a 29 February.
  private static final String YEAR = "(?:\\d{3}[1-9]|\\d{2}[1-9]0|\\d[1-9]00|[1-9]000)";
  private static final String LEAP_YEAR = "(?:\\d\\d(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)";
  private static final String DATE = "(?:" + YEAR + "-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)"
      + "|02-(?:0[1-9]|1\\d|2[0-8]))|" + LEAP_YEAR + "-02-29)";
  private static final String OFFSET = "(?:Z|\\+(?:0\\d|1[0-3]):[0-5]\\d|-(?:00:(?:0[1-9]|[1-5]\\d)|(?:0[1-9]|1[0-3]):[0-5]\\d))";
  private static final String TIME = "(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d{1,9})?" + OFFSET;
  // RFC 3339, appendix A.
  private static final String DURATION_TIME = "T(?:\\d{1,9}H(?:\\d{1,9}M(?:\\d{1,9}S)?)?|\\d{1,9}M(?:\\d{1,9}S)?|\\d{1,9}S)";
  private static final String DURATION = "P(?:\\d{1,9}W|(?:\\d{1,9}Y(?:\\d{1,9}M(?:\\d{1,9}D)?)?|\\d{1,9}M(?:\\d{1,9}D)?|\\d{1,9}D)(?:"
      + DURATION_TIME + ")?|" + DURATION_TIME + ")";
  // RFC 1123; no two hyphens in a row, which would make a name of RFC 5890.
  private static final String LABEL = "(?:[A-Za-z0-9]-?){0,29}[A-Za-z0-9]";
  private static final String HOSTNAME = LABEL + "(?:\\." + LABEL + "){0,3}";
  /** Capitals are no letters of RFC 5892. */
  private static final String IDN_HOSTNAME = HOSTNAME.replace("A-Z", "");
  private static final String ATOM = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,15}";
  /** Of the names in the root zone (IANA) those that every validator with a list of them has. */
  private static final String TOP_LEVEL = "(?:com|org|net|edu|gov|mil|int|info|biz|name|museum|aero|coop|pro|io|ai|co|me|tv|ar|at|au|be|br|ca|ch"
      + "|cl|cn|cz|de|dk|ee|es|eu|fi|fr|gr|hk|hr|hu|id|ie|il|in|is|it|jp|kr|lt|lu|lv|mx|my|nl|no|nz|pe|ph|pl|pt|ro|rs|ru|se|sg|si|sk|th|tr|tw"
      + "|ua|uk|us|vn|za)";
  private static final String EMAIL = ATOM + "(?:\\." + ATOM + "){0,3}@(?:" + LABEL + "\\.){1,3}" + TOP_LEVEL;
  private static final String BYTE = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
  private static final String IPV4 = BYTE + "(?:\\." + BYTE + "){3}";
  private static final String HEX = "[0-9A-Fa-f]";
  private static final String GROUP = HEX + "{1,4}";
  private static final String IPV6 = ipv6();
  // RFC 3986.
  private static final String ESCAPED = "%" + HEX + "{2}";
  private static final String PCHAR = "(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|" + ESCAPED + ")";
  private static final String SEGMENT = PCHAR + "*";
  private static final String TAIL = "(?:\\?(?:" + PCHAR + "|[/?])*)?(?:#(?:" + PCHAR + "|[/?])*)?";
  private static final String AUTHORITY = "(?:[A-Za-z0-9._~-]+(?::[A-Za-z0-9._~-]*)?@)?[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::\\d{1,5})?";
  private static final String URI = "[A-Za-z][A-Za-z0-9+.-]*:(?://" + AUTHORITY + "(?:/" + SEGMENT + ")*|(?://)?/(?:" + PCHAR + "+(?:/"
      + SEGMENT
      + ")*)?|" + PCHAR + "+(?:/" + SEGMENT + ")*)" + TAIL;
  private static final String RELATIVE = "(?://" + AUTHORITY + "(?:/" + SEGMENT + ")*|/(?:" + PCHAR + "+(?:/" + SEGMENT
      + ")*)?|(?:[A-Za-z0-9._~!$&'()*+,;=@-]|" + ESCAPED + ")+(?:/" + SEGMENT + ")*)?" + TAIL;
  private static final String POINTER = "(?:/(?:[A-Za-z0-9._@:+$*-]|~[01])*)*";
  private static final String TEMPLATE = "(?:[A-Za-z0-9._~:/?#@!$&()*+,;=-]|" + ESCAPED
      + "|\\{[+#./;?&]?[A-Za-z0-9_]+(?:,[A-Za-z0-9_]+)*\\})*";
  // Regular expressions without groups in groups, back references or lookaround.
  private static final String REGEX_ATOM = "(?:[A-Za-z0-9_ @:;,<>/='\"!%&~`.-]|\\\\[dDwWsStnrfv./*+?^$|()\\[\\]{}\\\\]"
      + "|\\[\\^?(?:a-z|A-Z|0-9|a-f|A-F|[A-Za-z0-9_. @:;,]|\\\\[dws.-])+-?\\])";
  private static final String REGEX_TERMS = "(?:" + REGEX_ATOM + "(?:[*+?]|\\{\\d{1,2},?\\})?)*";
  private static final String REGEX_GROUPS = "(?:" + REGEX_TERMS + "|\\((?:\\?:)?" + REGEX_TERMS + "(?:\\|" + REGEX_TERMS + ")*\\)[*+?]?)*";
  private static final String REGEX = "\\^?" + REGEX_GROUPS + "\\$?(?:\\|\\^?" + REGEX_GROUPS + "\\$?)*";

  private static final Map<String, String> EXPRESSIONS = Map.ofEntries(Map.entry("date", DATE), Map.entry("time", TIME),
      Map.entry("date-time", DATE + "T" + TIME), Map.entry("duration", DURATION), Map.entry("email", EMAIL), Map.entry("idn-email", EMAIL),
      Map.entry("hostname", HOSTNAME), Map.entry("idn-hostname", IDN_HOSTNAME), Map.entry("ipv4", IPV4), Map.entry("ipv6", IPV6),
      Map.entry("uri", URI), Map.entry("iri", URI), Map.entry("uri-reference", URI + "|" + RELATIVE),
      Map.entry("iri-reference", URI + "|" + RELATIVE), Map.entry("uri-template", TEMPLATE),
      Map.entry("uuid", HEX + "{8}(?:-" + HEX + "{4}){3}-" + HEX + "{12}"), Map.entry("json-pointer", POINTER),
      Map.entry("relative-json-pointer", "(?:0|[1-9]\\d{0,8})(?:#|" + POINTER + ")"), Map.entry("regex", REGEX));

  private static final String ANY = "[^]*";
  private static final String CLOCK = "\\d\\d:\\d\\d:\\d\\d[0-9.:+Zz-]*";
  private static final String ADDRESS = "[^:@]*(?:[\"(]" + ANY + ")?@" + ANY; // a colon before @ stands in quotation marks or a comment
  /** Formats that some texts are certainly not of, and what the others look like. */
  private static final Map<String, String> POSSIBLE = Map.ofEntries(Map.entry("date", "\\d{4}-\\d\\d-\\d\\d"), Map.entry("time", CLOCK),
      Map.entry("date-time", "\\d{4}-\\d\\d-\\d\\d[Tt ]" + CLOCK), Map.entry("duration", "P" + ANY), Map.entry("email", ADDRESS),
      Map.entry("idn-email", ADDRESS), Map.entry("hostname", "[A-Za-z0-9._-]*"), Map.entry("ipv4", "[0-9.]*"),
      Map.entry("ipv6", "[0-9A-Fa-f.]*:" + ANY), Map.entry("uri", "[A-Za-z][A-Za-z0-9+.-]*:" + ANY),
      Map.entry("iri", "[A-Za-z][A-Za-z0-9+.-]*:" + ANY), Map.entry("uuid", "[0-9A-Fa-f-]{36}"), Map.entry("json-pointer", "(?:/" + ANY + ")?"),
      Map.entry("relative-json-pointer", "\\d" + ANY));

  private static final Map<String, Dfa> MADE = new ConcurrentHashMap<>();
  private static final Map<String, Dfa> OUTER = new ConcurrentHashMap<>();

  private Formats() {}

  /** RFC 4291, section 2.2, with colons only: eight groups, or fewer with one gap. */
  private static String ipv6() {
    StringBuilder all = new StringBuilder("(?:" + GROUP + ":){7}" + GROUP);
    for (int before = 0; before <= 7; before++) {
      String left = before == 0 ? "" : GROUP + "(?::" + GROUP + "){" + (before - 1) + "}";
      int after = 7 - before;
      String right = after == 0 ? "" : "(?:" + GROUP + "(?::" + GROUP + "){0," + (after - 1) + "})?";
      all.append('|').append(left).append("::").append(right);
    }
    return "(?:" + all + ")";
  }

  /** Whether a format says anything. */
  static boolean isKnown(String name) {
    return EXPRESSIONS.containsKey(name);
  }

  /** The texts of a format on which validators agree, or all that one of them may take for such. */
  static Dfa language(String name, Reading reading, int limit) {
    return reading == Reading.EVERY ? MADE.computeIfAbsent(name, known -> Regex.whole(EXPRESSIONS.get(known), limit))
        : OUTER.computeIfAbsent(name, known -> Regex.whole(POSSIBLE.getOrDefault(known, ANY), limit));
  }
}
