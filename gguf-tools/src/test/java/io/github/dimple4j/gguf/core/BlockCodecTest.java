package io.github.dimple4j.gguf.core;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.dimple4j.gguf.GgufException;
import io.github.dimple4j.gguf.TensorType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class BlockCodecTest {
  private static final int COLUMNS = 32;

  /** Rows are counted from the start of the tensor, not of the part that is encoded. */
  @ParameterizedTest
  @CsvSource({"NaN, 1000, 'the weight at row 1001, column 5 is NaN'", "-Infinity, 0, 'the weight at row 1, column 5 is -Infinity'",
      "1e6, 1000, 'from row 1000 on: row 1, column 5 is 1e+06'", "1e6, 0, 'row 1, column 5 is 1e+06'"})
  void whatCannotBeEncodedIsNamedWithItsPlace(float weight, long firstRow, String message) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment floats = arena.allocate(ValueLayout.JAVA_FLOAT, 2 * COLUMNS);
      floats.setAtIndex(ValueLayout.JAVA_FLOAT, COLUMNS + 5, weight);
      MemorySegment encoded = arena.allocate(TensorType.Q4_0.rowSize(COLUMNS) * 2);
      assertThatThrownBy(() -> BlockCodec.encode(TensorType.Q4_0, floats, firstRow, 2, COLUMNS, encoded)).isInstanceOf(GgufException.class)
          .hasMessageStartingWith(message);
    }
  }
}
