package io.github.dimple4j;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A float32 matrix as numpy saves it. Format: numpy's "NEP 1", versions 1.0 and 2.0, C order. */
final class NumpyArray {
  private static final Pattern SHAPE = Pattern.compile("'descr': '<f4', 'fortran_order': False, 'shape': \\((\\d+), (\\d+)\\)");

  private NumpyArray() {}

  static float[][] read(Path file) {
    try {
      ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
      int headerLength = bytes.get(6) == 1 ? bytes.getShort(8) : bytes.getInt(8);
      int headerStart = bytes.get(6) == 1 ? 10 : 12;
      Matcher shape = SHAPE.matcher(new String(bytes.array(), headerStart, headerLength, StandardCharsets.US_ASCII));
      if (!shape.find()) {
        throw new IllegalArgumentException(file + " is not a float32 matrix in C order");
      }
      float[][] rows = new float[Integer.parseInt(shape.group(1))][Integer.parseInt(shape.group(2))];
      bytes.position(headerStart + headerLength);
      Arrays.stream(rows).forEach(row -> {
        for (int i = 0; i < row.length; i++) {
          row[i] = bytes.getFloat();
        }
      });
      return rows;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
