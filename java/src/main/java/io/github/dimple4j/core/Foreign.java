package io.github.dimple4j.core;

import io.github.dimple4j.bindings.dimple_image;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;

/** Pictures and matrices in foreign memory. */
final class Foreign {
  private Foreign() {}

  /** An array of {@code dimple_image}. */
  static MemorySegment images(List<Rgb> pictures, Arena arena) {
    MemorySegment images = dimple_image.allocateArray(pictures.size(), arena);
    for (int i = 0; i < pictures.size(); i++) {
      Rgb picture = pictures.get(i);
      MemorySegment image = dimple_image.asSlice(images, i);
      dimple_image.rgb(image, arena.allocateFrom(ValueLayout.JAVA_BYTE, picture.pixels()));
      dimple_image.width(image, picture.width());
      dimple_image.height(image, picture.height());
      dimple_image.row_stride(image, 3L * picture.width());
    }
    return images;
  }

  /** Rows of floats. */
  static float[][] matrix(MemorySegment floats, int rows, int columns) {
    float[][] matrix = new float[rows][columns];
    for (int row = 0; row < rows; row++) {
      MemorySegment.copy(floats, ValueLayout.JAVA_FLOAT, (long) row * columns * Float.BYTES, matrix[row], 0, columns);
    }
    return matrix;
  }
}
