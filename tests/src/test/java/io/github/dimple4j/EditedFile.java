package io.github.dimple4j;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;

/** A good GGUF file with bytes changed in place. Layout: ggml's docs/gguf.md, version 3. */
final class EditedFile {
  private final ByteBuffer bytes;

  private EditedFile(byte[] bytes) {
    this.bytes = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  static EditedFile of(Path good) throws IOException {
    return new EditedFile(Files.readAllBytes(good));
  }

  Path write(Path folder) throws IOException {
    return Files.write(folder.resolve("edited.gguf"), bytes.array());
  }

  /** Makes a key unknown. */
  EditedFile renameKey(String key) {
    bytes.put(after(key) - 1, (byte) '!');
    return this;
  }

  /** Replaces the four bytes of a scalar: its type stands before it. */
  EditedFile value(String key, int value) {
    bytes.putInt(after(key) + 4, value);
    return this;
  }

  /** Replaces a string by one of the same length: type and length stand before it. */
  EditedFile text(String key, String value) {
    int at = after(key) + 4;
    byte[] text = value.getBytes(StandardCharsets.UTF_8);
    if (bytes.getLong(at) != text.length) {
      throw new IllegalArgumentException(value + " is not as long as the value of " + key);
    }
    bytes.put(at + 8, text);
    return this;
  }

  EditedFile renameTensor(String tensor) {
    return renameKey(tensor);
  }

  EditedFile tensorDimensions(String tensor, int count) {
    bytes.putInt(after(tensor), count);
    return this;
  }

  EditedFile tensorDimension(String tensor, int index, long value) {
    bytes.putLong(after(tensor) + 4 + 8 * index, value);
    return this;
  }

  EditedFile tensorType(String tensor, int type) {
    bytes.putInt(afterDimensions(tensor), type);
    return this;
  }

  EditedFile tensorOffset(String tensor, long offset) {
    bytes.putLong(afterDimensions(tensor) + 4, offset);
    return this;
  }

  private int afterDimensions(String tensor) {
    int at = after(tensor);
    return at + 4 + 8 * bytes.getInt(at);
  }

  /** The place behind a name, which has its length in front. */
  private int after(String name) {
    byte[] text = name.getBytes(StandardCharsets.UTF_8);
    for (int at = 0; at + 8 + text.length <= bytes.capacity(); at++) {
      if (bytes.getLong(at) == text.length && Arrays.equals(bytes.array(), at + 8, at + 8 + text.length, text, 0, text.length)) {
        return at + 8 + text.length;
      }
    }
    throw new IllegalArgumentException("there is no " + name);
  }
}
