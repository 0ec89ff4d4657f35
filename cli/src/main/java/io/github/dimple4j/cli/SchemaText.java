package io.github.dimple4j.cli;

import io.github.dimple4j.Template;
import java.io.IOException;
import picocli.CommandLine.ITypeConverter;

/**
 * A JSON Schema on the command line.
 *
 * @param given a file, or the text itself, which begins with a brace
 */
record SchemaText(String given) {
  /** Takes it as it stands; it is read with the work. */
  static final class Converter implements ITypeConverter<SchemaText> {
    @Override
    public SchemaText convert(String given) {
      return new SchemaText(given);
    }
  }

  String read() throws IOException {
    return given.stripLeading().startsWith("{") ? given : new TextSource(given).read();
  }

  /** The structure of responses that it admits. */
  Template template() throws IOException {
    return Template.json(read());
  }
}
