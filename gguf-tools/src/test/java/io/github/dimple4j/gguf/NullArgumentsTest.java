package io.github.dimple4j.gguf;

import static org.assertj.core.api.Assertions.assertThatNullPointerException;

import io.github.dimple4j.gguf.tools.Converter;
import io.github.dimple4j.gguf.tools.FileDifference;
import io.github.dimple4j.gguf.tools.Inspector;
import io.github.dimple4j.gguf.tools.Quantization;
import io.github.dimple4j.gguf.tools.Quantizer;
import io.github.dimple4j.gguf.tools.Synth;
import io.github.dimple4j.gguf.tools.Validator;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;

/** A null argument says which argument it is. */
class NullArgumentsTest {
  private static final Path FILE = Path.of("missing.gguf");
  private static final ProgressListener SILENT = (tensor, done, total) -> {};

  private static void assertNamed(String name, ThrowingCallable call) {
    assertThatNullPointerException().isThrownBy(call).withMessage(name);
  }

  @Test
  void filesAndValues() {
    assertNamed("path", () -> GgufFile.open(null));
    assertNamed("path", () -> GgufParts.open(null));
    assertNamed("target", () -> new GgufWriter(null, Map.of(), List.of(), false));
    assertNamed("metadata", () -> new GgufWriter(FILE, null, List.of(), false));
    assertNamed("plans", () -> new GgufWriter(FILE, Map.of(), null, false));
    assertNamed("target", () -> GgufWriter.requireWritable(null, false));
    assertNamed("value", () -> MetadataValue.string(null));
    assertNamed("values", () -> MetadataValue.int32s((int[]) null));
    assertNamed("values", () -> MetadataValue.float32s(null));
    assertNamed("values", () -> MetadataValue.strings(null));
    assertNamed("type", () -> MetadataValue.scalar(null, 1));
    assertNamed("value", () -> MetadataValue.scalar(MetadataType.STRING, null));
    assertNamed("elementType", () -> MetadataValue.array(null, List.of()));
    assertNamed("values", () -> MetadataValue.array(MetadataType.STRING, null));
    assertNamed("name", () -> TensorType.of(null));
    assertNamed("dimensions", () -> TensorInfo.shape(null));
  }

  @Test
  void tools() {
    Quantization type = Quantization.of("f16").orElseThrow();
    assertNamed("name", () -> Quantization.of(null));
    assertNamed("directory", () -> Converter.of(null));
    assertNamed("quantization", () -> Converter.of(FILE).to(null));
    assertNamed("progress", () -> Converter.of(FILE).progress(null));
    assertNamed("target", () -> Converter.of(FILE).to(type).write(null));
    assertNamed("source", () -> Quantizer.of(null));
    assertNamed("quantization", () -> Quantizer.of(FILE).to(null));
    assertNamed("type", () -> Quantizer.of(FILE).visionType(null));
    assertNamed("name", () -> Quantizer.of(FILE).tensorType(null, TensorType.F16));
    assertNamed("type", () -> Quantizer.of(FILE).tensorType(Pattern.compile("x"), null));
    assertNamed("file", () -> Quantizer.of(FILE).importance(null));
    assertNamed("progress", () -> Quantizer.of(FILE).progress(null));
    assertNamed("target", () -> Quantizer.of(FILE).to(type).write(null));
    assertNamed("preset", () -> Synth.of(null));
    assertNamed("type", () -> Synth.of("dimple-mini").type(null));
    assertNamed("progress", () -> Synth.of("dimple-mini").progress(null));
    assertNamed("target", () -> Synth.of("dimple-mini").write(null));
    assertNamed("file", () -> Inspector.of(null, 1));
    assertNamed("path", () -> Validator.check(null, SILENT));
    assertNamed("progress", () -> Validator.check(FILE, null));
    assertNamed("first", () -> FileDifference.between(null, FILE, SILENT));
    assertNamed("second", () -> FileDifference.between(FILE, null, SILENT));
    assertNamed("progress", () -> FileDifference.between(FILE, FILE, null));
  }
}
