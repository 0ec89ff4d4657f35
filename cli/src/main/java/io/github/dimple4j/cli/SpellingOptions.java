package io.github.dimple4j.cli;

import io.github.dimple4j.structure.SchemaOptions;
import io.github.dimple4j.structure.Spacing;
import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Option;
import picocli.CommandLine.TypeConversionException;

/** Which of the texts that a schema's values can be spelled as are wanted. */
final class SpellingOptions {
  @Option(names = "--objects", paramLabel = "open|closed", converter = ObjectsConverter.class,
      description = "Whether objects take properties that the schema does not mention where it is silent about them. Default: closed; open "
      + "where texts are judged (dimple schema --lines).")
  private Objects objects;

  @Option(names = "--spacing", paramLabel = "compact|blank|either", converter = SpacingConverter.class,
      description = "White space behind commas and colons. Default: either.")
  private Spacing spacing;

  @Option(names = "--key-order", paramLabel = "schema|alphabetical", converter = KeyOrderConverter.class,
      description = "The order of keys. Default: schema.")
  private SchemaOptions.KeyOrder keyOrder;

  /** Objects with or without properties that the schema does not mention. */
  enum Objects {
    OPEN, CLOSED
  }

  SchemaOptions over(SchemaOptions defaults) {
    SchemaOptions options = keyOrder == null ? defaults : defaults.withKeyOrder(keyOrder);
    options = objects == null ? options : options.withOpenObjects(objects == Objects.OPEN);
    return spacing == null ? options : options.withSpacing(spacing);
  }

  /** One of the options that was given, for what has no use for them. */
  Optional<String> given() {
    return Optional.ofNullable(objects != null ? "--objects" : spacing != null ? "--spacing" : keyOrder != null ? "--key-order" : null);
  }

  /** A constant by its name in small letters. */
  private static <E extends Enum<E>> E constant(Class<E> type, String name) {
    for (E constant : type.getEnumConstants()) {
      if (constant.name().toLowerCase(Locale.ROOT).equals(name)) {
        return constant;
      }
    }
    String names = Arrays.stream(type.getEnumConstants()).map(constant -> constant.name().toLowerCase(Locale.ROOT)).toList().toString();
    throw new TypeConversionException("expected one of " + names + " but was '" + name + "'");
  }

  /** The names of {@link Objects}. */
  static final class ObjectsConverter implements ITypeConverter<Objects> {
    @Override
    public Objects convert(String name) {
      return constant(Objects.class, name);
    }
  }

  /** The names of white space. */
  static final class SpacingConverter implements ITypeConverter<Spacing> {
    @Override
    public Spacing convert(String name) {
      return constant(Spacing.class, name);
    }
  }

  /** The names of orders. */
  static final class KeyOrderConverter implements ITypeConverter<SchemaOptions.KeyOrder> {
    @Override
    public SchemaOptions.KeyOrder convert(String name) {
      return constant(SchemaOptions.KeyOrder.class, name);
    }
  }
}
