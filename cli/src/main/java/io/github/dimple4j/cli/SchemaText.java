package io.github.dimple4j.cli;

import io.github.dimple4j.InvalidArgumentException;
import io.github.dimple4j.Template;
import io.github.dimple4j.structure.JsonSchema;
import io.github.dimple4j.structure.RefusedSchemaException;
import io.github.dimple4j.structure.SchemaOptions;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import java.util.Set;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/**
 * A JSON Schema on the command line.
 *
 * @param given a file, or the text itself: an object, which begins with a brace, {@code true} or {@code false}
 */
record SchemaText(String given) {
  private static final Set<String> WORDS = Set.of("true", "false");

  /** Takes it as it stands; it is read with the work. */
  static final class Converter implements ITypeConverter<SchemaText> {
    @Override
    public SchemaText convert(String given) {
      if (given.isBlank()) {
        throw new TypeConversionException("'" + given + "' is neither a file name nor a schema");
      }
      return new SchemaText(given);
    }
  }

  private boolean isText() {
    return given.stripLeading().startsWith("{") || WORDS.contains(given.strip());
  }

  private String title() {
    return isText() ? "the schema" : given;
  }

  /** The file, unless it is the text itself. */
  Optional<Path> file() {
    return isText() ? Optional.empty() : Optional.of(Path.of(given));
  }

  /** Reads it. */
  JsonSchema schema() throws IOException {
    String text = isText() ? given : new TextSource(given).read();
    try {
      return JsonSchema.of(text);
    } catch (InvalidArgumentException wrong) {
      throw new IOException(isText() ? wrong.getMessage() : given + ": " + wrong.getMessage(), wrong);
    }
  }

  /** Reads and compiles the structure of responses that it admits. */
  Template template(SchemaOptions options) throws IOException {
    try {
      return Template.json(schema(), options);
    } catch (RefusedSchemaException refused) {
      throw new IOException(title() + " is refused: " + refused.getMessage(), refused);
    }
  }
}
