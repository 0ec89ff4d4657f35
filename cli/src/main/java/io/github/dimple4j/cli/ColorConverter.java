package io.github.dimple4j.cli;

import java.util.Locale;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Colours: {@code white}, {@code black}, or six hexadecimal digits with or without a {@code #} before them. */
final class ColorConverter implements ITypeConverter<Integer> {
  @Override
  public Integer convert(String text) {
    return switch (text.toLowerCase(Locale.ROOT)) {
      case "white" -> 0xFFFFFF;
      case "black" -> 0;
      default -> {
        String digits = text.startsWith("#") ? text.substring(1) : text;
        if (!digits.matches("[0-9A-Fa-f]{6}")) {
          throw new TypeConversionException("'" + text + "' is not a colour: white, black or #RRGGBB");
        }
        yield Integer.valueOf(digits, 16);
      }
    };
  }
}
