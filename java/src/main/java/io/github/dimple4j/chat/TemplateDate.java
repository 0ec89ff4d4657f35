package io.github.dimple4j.chat;

import java.time.LocalDateTime;
import java.time.format.DateTimeFormatter;
import java.time.temporal.ChronoField;
import java.time.temporal.ChronoUnit;
import java.time.temporal.IsoFields;
import java.util.Locale;

/** The time of day as C's {@code strftime} writes it in the C locale. */
final class TemplateDate {
  private TemplateDate() {}

  static String format(Object format, Rendering rendering) {
    String pattern = Builtins.string(format, "strftime_now", rendering);
    LocalDateTime now = rendering.now();
    StringBuilder out = new StringBuilder();
    rendering.make(24L * pattern.length()); // the longest field
    for (int i = 0; i < pattern.length(); i++) {
      if (pattern.charAt(i) != '%' || i + 1 == pattern.length()) {
        out.append(pattern.charAt(i));
        continue;
      }
      boolean bare = pattern.charAt(++i) == '-' && i + 1 < pattern.length(); // without zeros or a blank in front
      String field = field(now, pattern.charAt(bare ? ++i : i), rendering);
      out.append(bare && field.matches("[0 ]\\d+") ? field.replaceFirst("^[0 ]+(?=\\d)", "") : field);
    }
    return out.toString();
  }

  private static String field(LocalDateTime now, char code, Rendering rendering) {
    return switch (code) {
      case 'Y' -> write(now, "yyyy");
      case 'y' -> write(now, "yy");
      case 'C' -> String.format(Locale.ROOT, "%02d", now.getYear() / 100);
      case 'm' -> write(now, "MM");
      case 'B' -> write(now, "MMMM");
      case 'b', 'h' -> write(now, "MMM");
      case 'd' -> write(now, "dd");
      case 'e' -> String.format(Locale.ROOT, "%2d", now.getDayOfMonth());
      case 'j' -> write(now, "DDD");
      case 'A' -> write(now, "EEEE");
      case 'a' -> write(now, "EEE");
      case 'u' -> String.valueOf(now.getDayOfWeek().getValue());
      case 'w' -> String.valueOf(now.getDayOfWeek().getValue() % 7);
      case 'H' -> write(now, "HH");
      case 'I' -> write(now, "hh");
      case 'M' -> write(now, "mm");
      case 'S' -> write(now, "ss");
      case 'f' -> String.format(Locale.ROOT, "%06d", now.getLong(ChronoField.MICRO_OF_SECOND));
      case 'p' -> now.getHour() < 12 ? "AM" : "PM";
      case 'F' -> write(now, "yyyy-MM-dd");
      case 'D', 'x' -> write(now, "MM/dd/yy");
      case 'T', 'X' -> write(now, "HH:mm:ss");
      case 'R' -> write(now, "HH:mm");
      case 'c' -> write(now, "EEE MMM ") + String.format(Locale.ROOT, "%2d", now.getDayOfMonth()) + write(now, " HH:mm:ss yyyy");
      case 'V' -> String.format(Locale.ROOT, "%02d", now.get(IsoFields.WEEK_OF_WEEK_BASED_YEAR));
      case 'G' -> String.valueOf(now.get(IsoFields.WEEK_BASED_YEAR));
      case 'z', 'Z' -> ""; // a time without a zone
      case 'n' -> "\n";
      case 't' -> "\t";
      case '%' -> "%";
      default -> throw rendering.error("unsupported field '%" + code + "' of strftime_now");
    };
  }

  private static String write(LocalDateTime now, String pattern) {
    return DateTimeFormatter.ofPattern(pattern, Locale.US).format(now.truncatedTo(ChronoUnit.SECONDS));
  }
}
