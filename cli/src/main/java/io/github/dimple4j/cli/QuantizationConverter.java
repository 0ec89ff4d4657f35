package io.github.dimple4j.cli;

import io.github.dimple4j.gguf.tools.Quantization;
import java.util.Arrays;
import java.util.stream.Collectors;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Quantizations by their names, in any case. */
final class QuantizationConverter implements ITypeConverter<Quantization> {
  @Override
  public Quantization convert(String name) {
    return Quantization.of(name).orElseThrow(() -> new TypeConversionException("'" + name + "' is not one of "
        + Arrays.stream(Quantization.values()).map(Quantization::toString).collect(Collectors.joining(", "))));
  }
}
