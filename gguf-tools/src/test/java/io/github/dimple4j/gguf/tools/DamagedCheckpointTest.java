package io.github.dimple4j.gguf.tools;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;

import io.github.dimple4j.gguf.GgufException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Checkpoints of every family with damaged weights: refused by a message that names the tensor, with nothing left behind, or the same file. Each
 * tensor is damaged in one way of several; {@code -Ddimple.damage.all=true} tries all of them.
 */
class DamagedCheckpointTest {
  private static final String TOWER = "vision";
  private static final boolean ALL = Boolean.getBoolean("dimple.damage.all");

  @TempDir private Path folder;

  private byte[] whole;
  private boolean mmproj;
  private int refused;

  @ParameterizedTest
  @ValueSource(strings = {"a2d-qwen2", "a2d-qwen3", "alpha", "dimple-block", "diffusion-gemma", "diffusion-gemma:mmproj",
      "diffusion-gemma-clipped:mmproj", "dream", "dream-vl", "dreamon", "fast-dllm-v2", "gamma:mixture", "lavida", "lavida-dream", "llada-plain", "llada-v", "llada2/v20", "llada2/v21", "llada22/v22", "rnd1",
      "sdar", "sdar-moe", "sdar-vl", "stable-diffcoder"})
  void everyTensorInTurn(String name) throws IOException {
    mmproj = name.endsWith(":mmproj");
    TestCheckpoint checkpoint = TestCheckpoint.golden(name.replaceFirst(":.*", ""));
    if (name.endsWith(":mixture")) { // LLaDA-MoE
      checkpoint.makeMixture(2);
    }
    whole = Files.readAllBytes(convert(checkpoint, "whole"));
    List<String> names = new ArrayList<>(checkpoint.tensors.keySet());
    for (int i = 0; i < names.size(); i++) {
      String tensor = names.get(i);
      if (!ALL && tensor.matches(".*\\.[1-9]\\d*\\..*") && i % 19 != 0) {
        continue; // as the first layer's, or the first expert's
      }
      TestCheckpoint.Tensor was = checkpoint.tensors.remove(tensor);
      if (ALL || i % 4 == 0) {
        tryIt(checkpoint, tensor, "missing");
      }
      if (ALL || i % 4 == 1) {
        checkpoint.tensors.put(tensor, shorter(was));
        tryIt(checkpoint, tensor, "a row less");
      }
      if (ALL || i % 4 == 2) {
        checkpoint.tensors.put(tensor, new TestCheckpoint.Tensor("I32", was.shape(), new byte[4 * was.count()]));
        tryIt(checkpoint, tensor, "integers");
      }
      if (ALL || i % 16 == 3) { // which converts the checkpoint up to there
        checkpoint.tensors.put(tensor, spoiled(was));
        tryIt(checkpoint, tensor, "NaN");
      }
      checkpoint.tensors.put(tensor, was);
      if (!ALL && i % 4 != 3) {
        continue;
      }
      String surplus = tensor + (i % 2 == 0 ? "_scale_inv" : "_zero_point"); // as quantized checkpoints have them
      checkpoint.tensors.put(surplus, was);
      int before = refused;
      tryIt(checkpoint, surplus, "surplus");
      boolean elsewhere = mmproj != surplus.contains(TOWER); // the other file's
      assertThat(refused > before || elsewhere).as("%s is taken", surplus).isTrue();
      checkpoint.tensors.remove(surplus);
    }
    assertThat(refused).isGreaterThan(8);
  }

  private static TestCheckpoint.Tensor shorter(TestCheckpoint.Tensor was) {
    List<Long> shape = new ArrayList<>(was.shape());
    if (shape.isEmpty()) {
      return new TestCheckpoint.Tensor(was.type(), List.of(2L), Arrays.copyOf(was.data(), 2 * was.data().length)); // a number became two
    }
    long rows = shape.getFirst();
    shape.set(0, rows - 1);
    return new TestCheckpoint.Tensor(was.type(), shape, Arrays.copyOf(was.data(), (int) (was.data().length / rows * (rows - 1))));
  }

  private static TestCheckpoint.Tensor spoiled(TestCheckpoint.Tensor was) {
    byte[] data = was.data().clone();
    ByteBuffer last = ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN);
    switch (was.type()) {
      case "F32" -> last.putFloat(data.length - 4, Float.NaN);
      case "F16" -> last.putShort(data.length - 2, (short) 0x7e00);
      case "BF16" -> last.putShort(data.length - 2, (short) 0x7fc0);
      default -> throw new IllegalArgumentException(was.type());
    }
    return new TestCheckpoint.Tensor(was.type(), was.shape(), data);
  }

  private Path convert(TestCheckpoint checkpoint, String name) throws IOException {
    Path target = folder.resolve(name + ".gguf");
    Converter.of(checkpoint.write(folder.resolve("hf"))).to(Quantization.F32).mmproj(mmproj).write(target);
    return target;
  }

  private void tryIt(TestCheckpoint checkpoint, String tensor, String what) throws IOException {
    Path target;
    try {
      target = convert(checkpoint, "damaged");
    } catch (GgufException said) {
      refused++;
      assertThat(said.getMessage()).as(what).contains(tensor.endsWith("embed_tokens.weight") ? "embed_tokens.weight" : tensor) // which has two names
          .doesNotContain("\n");
      try (Stream<Path> files = Files.list(folder)) {
        assertThat(files.map(file -> file.getFileName().toString())).containsExactlyInAnyOrder("hf", "whole.gguf");
      }
      return;
    }
    if (!Arrays.equals(Files.readAllBytes(target), whole)) {
      fail("%s: %s is accepted", tensor, what);
    }
    Files.delete(target);
  }

  /** A bit of the header or of its length: another name, shape, type or place, which nothing else agrees with. */
  @Test
  void flippedBitsOfTheHeaderAreRefused() throws IOException {
    TestCheckpoint checkpoint = TestCheckpoint.golden("sdar");
    whole = Files.readAllBytes(convert(checkpoint, "whole"));
    byte[] good = TestCheckpoint.safetensors(checkpoint.tensors);
    int header = 8 + (int) ByteBuffer.wrap(good).order(ByteOrder.LITTLE_ENDIAN).getLong();
    Random random = new Random(1);
    for (int i = 0; i < 40; i++) {
      byte[] bad = good.clone();
      int bit = i < 20 ? i : random.nextInt(8 * header);
      bad[bit / 8] ^= (byte) (1 << bit % 8);
      Path target = folder.resolve("damaged.gguf");
      Files.write(folder.resolve("hf/model.safetensors"), bad);
      try {
        Converter.of(folder.resolve("hf")).to(Quantization.F32).write(target);
      } catch (GgufException said) {
        assertThat(said.getMessage()).containsPattern("model.safetensors|tensor \\S+ is missing").doesNotContain("\n");
        assertThat(target).doesNotExist();
        continue;
      }
      assertThat(Files.readAllBytes(target)).as("bit %d of the header", bit).isEqualTo(whole);
      Files.delete(target);
    }
  }
}
