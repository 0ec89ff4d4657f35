package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.dimple4j.gguf.GgufException;
import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.ProgressListener;
import io.github.dimple4j.gguf.TensorType;
import io.github.dimple4j.gguf.tools.Validator;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** {@code gguf validate} and loading have one rule for what a file must be: what one refuses the other refuses, with the same words. */
class ValidationTest {
  /** The golden's sizes. */
  private static final int WIDTH = 64;
  private static final int HEADS = 4;
  private static final int KEY_VALUE_HEADS = 2;
  private static final int LAYERS = 2;

  @TempDir private Path folder;

  /** A change to a file. */
  @FunctionalInterface
  interface Change {
    void to(RewrittenFile file);
  }

  /** A file and what is expected of it. */
  record Case(String name, boolean sound, Change change) {
    @Override
    public String toString() {
      return name;
    }
  }

  static Stream<Case> cases() {
    return Stream.of(
        sound("as converted", file -> { }),
        sound("without tokens", file -> file.without("dimple.video_token_id")),
        sound("keys and values of each head as large as a key says", file -> keysOf(file, 32)),
        sound("the head size of a key that says the same", file -> file.key("dimple.attention.key_length", WIDTH / HEADS)),
        damaged("heads larger than their matrices", file -> file.key("dimple.attention.key_length", 32)),
        damaged("an odd head size", file -> file.key("dimple.attention.key_length", 15)),
        sound("as many key heads as query heads, without a key that says so", ValidationTest::everyHeadItsKey),
        damaged("no epsilon", file -> file.without("dimple.attention.layer_norm_rms_epsilon")),
        damaged("an epsilon of one", file -> file.key("dimple.attention.layer_norm_rms_epsilon", MetadataValue.float32(1))),
        damaged("no rope base", file -> file.without("dimple.rope.freq_base")),
        damaged("no sections", file -> file.without("dimple.rope.dimension_sections")),
        damaged("sections of another head", file -> file.key("dimple.rope.dimension_sections", MetadataValue.int32s(16, 24, 24, 0))),
        damaged("a rotary size of half a head", file -> file.key("dimple.rope.dimension_count", 8)),
        damaged("a context of one position", file -> file.key("dimple.context_length", 1)),
        damaged("no shift", file -> file.without("diffusion.shift_logits")),
        damaged("a shift that is no bool", file -> file.key("diffusion.shift_logits", 1)),
        damaged("three query heads", file -> file.key("dimple.attention.head_count", 3)),
        damaged("three key heads", file -> file.key("dimple.attention.head_count_kv", 3)),
        damaged("a layer more than there are", file -> file.key("dimple.block_count", LAYERS + 1)),
        damaged("a text for a number", file -> file.key("dimple.embedding_length", MetadataValue.string("wide"))),
        damaged("an architecture that nobody knows", file -> file.key("general.architecture", MetadataValue.string("gpt2"))),
        damaged("no architecture", file -> file.without("general.architecture")),
        damaged("a mask token behind the vocabulary", file -> file.key("tokenizer.ggml.mask_token_id", 512)),
        damaged("an image token behind the vocabulary", file -> file.key("dimple.image_token_id", 512)),
        damaged("no output norm", file -> file.without("output_norm.weight")),
        damaged("a bias too short", file -> file.tensor("blk.1.attn_k.bias", 31)),
        damaged("a matrix on its side", file -> file.tensor("blk.0.ffn_up.weight", 128, WIDTH)),
        sound("the embedding serves as output", file -> file.without("output.weight")),
        damaged("no projector", file -> file.without("mm.img_projector.0.weight")),
        damaged("a projector of another width", file -> file.tensor("mm.img_projector.2.weight", WIDTH, 32)),
        damaged("an odd vision window", file -> file.key("clip.vision.window_size", 27)),
        damaged("vision heads that do not divide", file -> file.key("clip.vision.attention.head_count", 3)),
        damaged("a tower that nobody knows", file -> file.key("clip.projector_type", MetadataValue.string("pixtral"))),
        damaged("a full layer behind the last", file -> file.key("clip.vision.fullatt_block_indexes", MetadataValue.int32s(9))),
        damaged("means of two colours", file -> file.key("clip.vision.image_mean", MetadataValue.int32s(1, 1))),
        damaged("no vision layer", file -> file.without("v.blk.3.attn_out.weight")),
        sound("dream", file -> file.text("dream")),
        sound("dream without what llama.cpp leaves out",
            file -> file.text("dream").without("dream.rope.freq_base").without("diffusion.shift_logits").without("dream.attention.causal")),
        damaged("dream without an epsilon", file -> file.text("dream").without("dream.attention.layer_norm_rms_epsilon")),
        damaged("dream without biases", file -> file.text("dream").withoutBiases()),
        sound("llada", file -> file.text("llada").withoutBiases()),
        damaged("llada with a rope base below zero",
            file -> file.text("llada").withoutBiases().key("llada.rope.freq_base", MetadataValue.float32(-1))),
        sound("experts", file -> experts(file).key("llada-moe.expert_feed_forward_length", 48)),
        sound("experts that share a width", ValidationTest::experts),
        damaged("experts of another width", file -> experts(file).key("llada-moe.expert_feed_forward_length", 64)),
        damaged("more experts used than there are", file -> experts(file).key("llada-moe.expert_used_count", 4)),
        damaged("experts without a router", file -> experts(file).without("blk.1.ffn_gate_inp.weight")));
  }

  @ParameterizedTest
  @MethodSource("cases")
  void validatingAndLoadingAgree(Case tried) throws IOException {
    RewrittenFile file = RewrittenFile.of(Golden.named("alpha").file(TensorType.F32));
    tried.change().to(file);
    Path path = file.write(folder.resolve("tried.gguf"));
    Optional<String> refusal = refusal(path);
    Validator.Result found = Validator.check(path, ProgressListener.NONE);
    assertThat(refusal.isEmpty()).as("loading: %s", refusal).isEqualTo(tried.sound());
    if (refusal.isPresent()) {
      assertThat(found.problems()).contains(refusal.get());
    } else {
      assertThat(found.problems()).isEmpty();
    }
  }

  /** What is no GGUF file at all, or is cut within its header or its weights. */
  @Test
  void damagedFilesAreRefusedInTheSameWords() throws IOException {
    byte[] good = Files.readAllBytes(Golden.named("alpha").file(TensorType.F32));
    Path path = folder.resolve("cut.gguf");
    for (int length : new int[] {0, 3, 20, 100, 1000, 5000, good.length / 2, good.length - 33}) {
      assertRefusedAlike(Files.write(path, Arrays.copyOf(good, length)));
    }
    good[0] = 'g';
    assertRefusedAlike(Files.write(path, good));
    assertRefusedAlike(folder.resolve("missing.gguf"));
    assertRefusedAlike(folder);
  }

  private static void assertRefusedAlike(Path path) {
    assertThatThrownBy(() -> Validator.check(path, ProgressListener.NONE)).isInstanceOf(GgufException.class)
        .hasMessage(refusal(path).orElseThrow());
  }

  private static Optional<String> refusal(Path path) {
    try {
      DimpleModel.load(path).close();
      return Optional.empty();
    } catch (DimpleException e) {
      return Optional.of(e.getMessage());
    }
  }

  private static Case sound(String name, Change change) {
    return new Case(name, true, change);
  }

  private static Case damaged(String name, Change change) {
    return new Case(name, false, change);
  }

  /** Heads that are not the width divided by their number. */
  private static void keysOf(RewrittenFile file, int headSize) {
    file.key("dimple.attention.key_length", headSize).key("dimple.attention.value_length", headSize);
    file.key("dimple.rope.dimension_count", headSize).key("dimple.rope.dimension_sections", MetadataValue.int32s(4, 6, 6, 0));
    for (int i = 0; i < LAYERS; i++) {
      String block = "blk." + i + ".";
      file.tensor(block + "attn_q.weight", WIDTH, (long) HEADS * headSize).tensor(block + "attn_q.bias", (long) HEADS * headSize);
      for (String matrix : new String[] {"attn_k", "attn_v"}) {
        file.tensor(block + matrix + ".weight", WIDTH, (long) KEY_VALUE_HEADS * headSize);
        file.tensor(block + matrix + ".bias", (long) KEY_VALUE_HEADS * headSize);
      }
      file.tensor(block + "attn_output.weight", (long) HEADS * headSize, WIDTH);
    }
  }

  private static void everyHeadItsKey(RewrittenFile file) {
    file.without("dimple.attention.head_count_kv");
    for (int i = 0; i < LAYERS; i++) {
      for (String matrix : new String[] {".attn_k", ".attn_v"}) {
        file.tensor("blk." + i + matrix + ".weight", WIDTH, WIDTH).tensor("blk." + i + matrix + ".bias", WIDTH);
      }
    }
  }

  /** Three experts, of which two are used and share the 96 of the whole. */
  private static RewrittenFile experts(RewrittenFile file) {
    return file.text("llada-moe").withoutBiases().withExperts(LAYERS, WIDTH / HEADS, 3, 48, WIDTH).key("llada-moe.expert_count", 3)
        .key("llada-moe.expert_used_count", 2).key("llada-moe.feed_forward_length", 96);
  }
}
