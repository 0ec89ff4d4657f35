package io.github.dimple4j.jni;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.github.dimple4j.core.Core;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;

class MemoryTest {
  @BeforeAll
  static void loadTheLibrary() {
    Core.instance();
  }

  @Test
  void isZeroedAndInNativeOrder() {
    try (Memory memory = new Memory()) {
      ByteBuffer buffer = memory.allocate(16);
      assertThat(buffer.capacity()).isEqualTo(16);
      assertThat(buffer.getLong(8)).isZero();
      assertThat(memory.of(new int[] {1, 2}).getInt(4)).isEqualTo(2);
      assertThat(memory.of(new long[] {1, -2}).getLong(8)).isEqualTo(-2);
      assertThat(memory.of(new double[] {0.5}).getDouble(0)).isEqualTo(0.5);
      assertThat(Shim.address(memory.allocate(0))).isNotZero();
      assertThat(Shim.address(memory.of((String) null))).isZero();
    }
  }

  @Test
  void textGoesThereAndBack() {
    try (Memory memory = new Memory()) {
      assertThat(Memory.text(Shim.address(memory.of("Käse \uD83E\uDDC0")))).isEqualTo("Käse \uD83E\uDDC0");
    }
  }

  /** Of 800 MB that are written to no more than 100 stay. */
  @Test
  @EnabledOnOs(OS.LINUX)
  void isFreedAtTheEnd() throws IOException {
    long before = residentKilobytes();
    for (int i = 0; i < 100; i++) {
      try (Memory memory = new Memory()) {
        ByteBuffer buffer = memory.allocate(8 << 20);
        for (int at = 0; at < buffer.capacity(); at += 1024) {
          buffer.put(at, (byte) 1);
        }
      }
    }
    assertThat(residentKilobytes() - before).isLessThan(100_000);
  }

  private static long residentKilobytes() throws IOException {
    String line = Files.readAllLines(Path.of("/proc/self/status")).stream().filter(each -> each.startsWith("VmRSS:")).findFirst()
        .orElseThrow();
    return Long.parseLong(line.replaceAll("\\D", ""));
  }

  @Test
  void moreThanABufferHoldsIsTooMuch() {
    try (Memory memory = new Memory()) {
      assertThatExceptionOfType(OutOfMemoryError.class).isThrownBy(() -> memory.allocate(1L << 29, Float.BYTES));
    }
  }
}
