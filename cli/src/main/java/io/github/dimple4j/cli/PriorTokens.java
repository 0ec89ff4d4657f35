package io.github.dimple4j.cli;

import java.util.Map;
import java.util.TreeMap;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Fixed response tokens on the command line: {@code POS=ID,POS=ID}. */
final class PriorTokens implements ITypeConverter<PriorTokens.Fixed> {
  /** Token ids by response position. */
  record Fixed(Map<Integer, Integer> tokens) {}

  @Override
  public Fixed convert(String text) {
    Map<Integer, Integer> tokens = new TreeMap<>();
    for (String pair : text.split(",", -1)) {
      String[] sides = pair.split("=", -1);
      try {
        if (sides.length != 2 || tokens.put(Integer.parseUnsignedInt(sides[0].strip()), Integer.parseUnsignedInt(sides[1].strip())) != null) {
          throw malformed(pair);
        }
      } catch (NumberFormatException e) {
        throw malformed(pair);
      }
    }
    return new Fixed(tokens);
  }

  private static TypeConversionException malformed(String pair) {
    return new TypeConversionException("'" + pair + "' is not POS=ID with a position that is given once");
  }
}
