package io.github.dimple4j.cli;

import io.github.dimple4j.Template;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/**
 * A response template on the command line: text in which <code>{{slot:8}}</code> stands for eight tokens that the model fills. Everything
 * else is fixed text, other braces too.
 */
final class SlotTemplate implements ITypeConverter<Template> {
  private static final Pattern SLOT = Pattern.compile("\\{\\{slot:(\\d{1,7})}}");

  @Override
  public Template convert(String text) {
    List<Object> parts = new ArrayList<>();
    Matcher matcher = SLOT.matcher(text);
    int end = 0;
    while (matcher.find()) {
      if (matcher.start() > end) {
        parts.add(text.substring(end, matcher.start()));
      }
      int length = Integer.parseInt(matcher.group(1));
      if (length < 1) {
        throw new TypeConversionException("a slot has at least 1 token, not " + length);
      }
      parts.add(Template.slot(length));
      end = matcher.end();
    }
    if (end == 0) {
      throw new TypeConversionException("no slot such as {{slot:8}} in '" + text + "'");
    }
    if (end < text.length()) {
      parts.add(text.substring(end));
    }
    return Template.of(parts.toArray());
  }
}
