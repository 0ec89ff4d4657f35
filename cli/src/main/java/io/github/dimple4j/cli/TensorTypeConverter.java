package io.github.dimple4j.cli;

import io.github.dimple4j.gguf.TensorType;
import java.util.Arrays;
import java.util.stream.Collectors;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Tensor types by their names in lower case. */
final class TensorTypeConverter implements ITypeConverter<TensorType> {
  @Override
  public TensorType convert(String name) {
    return TensorType.of(name).orElseThrow(() -> new TypeConversionException("'" + name + "' is not one of "
        + Arrays.stream(TensorType.values()).map(TensorType::toString).collect(Collectors.joining(", "))));
  }
}
