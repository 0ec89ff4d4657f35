package io.github.dimple4j;

import io.github.dimple4j.tokenizer.Tokenizer;
import io.github.dimple4j.tokenizer.TokenizerData;
import io.github.dimple4j.tokenizer.Utf8Strings;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;

/**
 * A Dimple of a hundred thousand random weights as a GGUF file, with or without vision tower and tokenizer. What it says means nothing;
 * it runs in microseconds and has every part that the API touches.
 */
final class TinyModel {
  static final List<String> CONTROL =
      List.of("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|mask|>");
  private static final List<String> MERGES = List.of("c a", "ca t", "Ġ d", "o g", "Ġd og");
  static final int PAD = 261;
  static final int IM_START = 262;
  static final int IM_END = 263;
  static final int IMAGE = 266;
  static final int MASK = 267;
  private static final int UNUSED_IDS = 4; // a model has more ids than its tokenizer has tokens, as the real one
  private static final int VOCABULARY = MASK + 1 + UNUSED_IDS;

  static final String ARCHITECTURE = "dimple";
  private static final int WIDTH = 32;
  private static final int FEED_FORWARD = 48;
  private static final int LAYERS = 2;
  private static final int KV = 16;
  private static final int VISION = 32;
  private static final int EXPERTS = 4;

  private final Map<String, Object> metadata = new LinkedHashMap<>();
  private final Map<String, long[]> tensors = new LinkedHashMap<>();
  private final Random random = new Random(1);

  private TinyModel(int vocabulary) {
    put("general.architecture", ARCHITECTURE).put("dimple.context_length", 2048).put("dimple.embedding_length", WIDTH)
        .put("dimple.block_count", LAYERS).put("dimple.feed_forward_length", FEED_FORWARD).put("dimple.vocab_size", vocabulary)
        .put("dimple.attention.head_count", 2).put("dimple.attention.head_count_kv", 1)
        .put("dimple.attention.layer_norm_rms_epsilon", 1e-6f).put("dimple.attention.causal", false)
        .put("dimple.rope.freq_base", 1e6f).put("dimple.rope.dimension_count", 16)
        .put("dimple.rope.dimension_sections", new int[] {2, 3, 3, 0}).put("diffusion.shift_logits", true)
        .put("dimple.image_token_id", IMAGE).put("tokenizer.ggml.bos_token_id", IM_START).put("tokenizer.ggml.eos_token_id", IM_END)
        .put("tokenizer.ggml.padding_token_id", PAD).put("tokenizer.ggml.mask_token_id", MASK);
    tensor("token_embd.weight", WIDTH, vocabulary).tensor("output_norm.weight", WIDTH).tensor("output.weight", WIDTH, vocabulary);
    for (int i = 0; i < LAYERS; i++) {
      String block = "blk." + i + ".";
      tensor(block + "attn_norm.weight", WIDTH).tensor(block + "ffn_norm.weight", WIDTH);
      linear(block + "attn_q", WIDTH, WIDTH).linear(block + "attn_k", WIDTH, KV).linear(block + "attn_v", WIDTH, KV);
      tensor(block + "attn_output.weight", WIDTH, WIDTH).tensor(block + "ffn_gate.weight", WIDTH, FEED_FORWARD)
          .tensor(block + "ffn_up.weight", WIDTH, FEED_FORWARD).tensor(block + "ffn_down.weight", FEED_FORWARD, WIDTH);
    }
  }

  /** DiffusionGemma with a tokenizer: two layers, the first of which slides, and canvases of so many positions. */
  static TinyModel ofCanvases(TokenizerData data, int canvas) {
    TinyModel model = new TinyModel(data.tokens().size() + UNUSED_IDS).withTokenizer(data);
    model.metadata.keySet().removeIf(key -> key.startsWith(ARCHITECTURE + ".") || key.startsWith("diffusion."));
    model.tensors.keySet().removeIf(name -> name.startsWith("blk.") || name.equals("output.weight"));
    String name = "diffusion-gemma";
    model.put("general.architecture", name).put("diffusion.canvas_length", canvas);
    Map<String, Object> keys = new LinkedHashMap<>();
    keys.put("context_length", 2048);
    keys.put("embedding_length", WIDTH);
    keys.put("block_count", LAYERS);
    keys.put("feed_forward_length", FEED_FORWARD);
    keys.put("attention.head_count", 2);
    keys.put("attention.head_count_kv", new int[] {2, 1});
    keys.put("attention.sliding_window_pattern", new boolean[] {true, false});
    keys.put("attention.sliding_window", 6);
    keys.put("attention.key_length", 2 * KV);
    keys.put("attention.key_length_swa", KV);
    keys.put("attention.layer_norm_rms_epsilon", 1e-6f);
    keys.put("rope.freq_base", 1e6f);
    keys.put("rope.freq_base_swa", 1e4f);
    keys.put("expert_count", EXPERTS);
    keys.put("expert_used_count", 2);
    keys.put("expert_feed_forward_length", KV);
    keys.put("final_logit_softcapping", 30f);
    keys.forEach((key, value) -> model.put(name + "." + key, value));
    model.tensor("rope_freqs.weight", KV).tensor("self_cond_pre_norm.weight", WIDTH).tensor("self_cond_gate.weight", WIDTH, FEED_FORWARD)
        .tensor("self_cond_up.weight", WIDTH, FEED_FORWARD).tensor("self_cond_down.weight", FEED_FORWARD, WIDTH);
    model.canvasLayer("blk.0.", KV, 2, true).canvasLayer("blk.1.", 2 * KV, 1, false);
    return model;
  }

  private TinyModel canvasLayer(String block, int head, int keyHeads, boolean sliding) {
    for (String norm : List.of("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm_1", "pre_ffw_norm_2", "post_ffw_norm_2", "post_ffw_norm")) {
      tensor(block + norm + ".weight", WIDTH);
    }
    tensor(block + "attn_q.weight", WIDTH, 2 * head).tensor(block + "attn_k.weight", WIDTH, keyHeads * head);
    if (sliding) {
      tensor(block + "attn_v.weight", WIDTH, keyHeads * head);
    }
    return tensor(block + "attn_output.weight", 2 * head, WIDTH).tensor(block + "attn_q_norm.weight", head).tensor(block + "attn_k_norm.weight", head)
        .tensor(block + "ffn_gate.weight", WIDTH, FEED_FORWARD).tensor(block + "ffn_up.weight", WIDTH, FEED_FORWARD)
        .tensor(block + "ffn_down.weight", FEED_FORWARD, WIDTH).tensor(block + "ffn_gate_inp.weight", WIDTH, EXPERTS)
        .tensor(block + "ffn_gate_inp.scale", WIDTH).tensor(block + "ffn_gate_up_exps.weight", WIDTH, 2 * KV, EXPERTS)
        .tensor(block + "ffn_down_exps.weight", KV, WIDTH, EXPERTS).tensor(block + "ffn_down_exps.scale", EXPERTS)
        .tensor(block + "layer_output_scale.weight", 1).tensor(block + "enc_layer_output_scale.weight", 1);
  }

  /** A text model that takes and gives token ids only. */
  static TinyModel ofTokens() {
    return new TinyModel(VOCABULARY);
  }

  /** A text model with a tokenizer of single bytes and two words. */
  static TinyModel ofText() {
    return new TinyModel(VOCABULARY).withTokenizer(tokenizerData());
  }

  /** A text model with another tokenizer. */
  static TinyModel ofText(TokenizerData data) {
    TinyModel model = new TinyModel(data.tokens().size() + UNUSED_IDS).withTokenizer(data);
    List<String> tokens = List.of(strings(data.tokens()));
    int image = tokens.indexOf(data.model().equals("gemma4") ? "<|image|>" : "<|image_pad|>");
    return image < 0 ? model.remove("dimple.image_token_id") : model.put("dimple.image_token_id", image);
  }

  /** The same text model as one of another family of the same tensors, which is named after its pipeline. */
  TinyModel of(Pipeline family) {
    Map<String, Object> former = new LinkedHashMap<>(metadata);
    metadata.clear();
    former.forEach((key, value) -> put(key.replaceFirst("^" + ARCHITECTURE + "\\.", family.label() + "."), value));
    return put("general.architecture", family.label()).put("diffusion.pipeline", family.label()).remove(family.label() + ".image_token_id")
        .remove(family.label() + ".rope.dimension_sections");
  }

  private TinyModel withTokenizer(TokenizerData data) {
    put("tokenizer.ggml.model", data.model()).put("tokenizer.ggml.pre", String.valueOf(data.pre())).put("tokenizer.ggml.tokens", strings(data.tokens()))
        .put("tokenizer.ggml.merges", strings(data.merges())).put("tokenizer.ggml.bos_token_id", data.bosId())
        .put("tokenizer.ggml.eos_token_id", data.eosId()).put("tokenizer.ggml.padding_token_id", data.padId())
        .put("tokenizer.ggml.mask_token_id", data.maskId());
    if (data.pre() == null) {
      remove("tokenizer.ggml.pre").put("tokenizer.ggml.add_space_prefix", data.sentencePiece().spacePrefix())
          .put("tokenizer.ggml.scores", data.sentencePiece().scores()).put("tokenizer.ggml.unknown_token_id", data.sentencePiece().unknownId());
    }
    return data.tokenTypes() == null ? this : put("tokenizer.ggml.token_type", data.tokenTypes());
  }

  private static String[] strings(Utf8Strings all) {
    return IntStream.range(0, all.size()).mapToObj(all::get).toArray(String[]::new);
  }

  TinyModel withVision() {
    put("clip.has_vision_encoder", true).put("clip.projector_type", "qwen2.5vl_merger").put("clip.use_silu", true)
        .put("clip.vision.patch_size", 14).put("clip.vision.embedding_length", VISION).put("clip.vision.feed_forward_length", FEED_FORWARD)
        .put("clip.vision.block_count", 1).put("clip.vision.projection_dim", WIDTH)
        .put("clip.vision.image_mean", new float[] {0.5f, 0.5f, 0.5f}).put("clip.vision.image_std", new float[] {0.5f, 0.5f, 0.5f})
        .put("clip.vision.attention.head_count", 2).put("clip.vision.attention.layer_norm_epsilon", 1e-6f)
        .put("clip.vision.n_wa_pattern", 1);
    tensor("v.patch_embd.weight", 14, 14, 3, VISION).tensor("v.patch_embd.weight.1", 14, 14, 3, VISION);
    tensor("v.blk.0.ln1.weight", VISION).tensor("v.blk.0.ln2.weight", VISION);
    for (String name : List.of("attn_q", "attn_k", "attn_v", "attn_out")) {
      linear("v.blk.0." + name, VISION, VISION);
    }
    linear("v.blk.0.ffn_gate", VISION, FEED_FORWARD).linear("v.blk.0.ffn_up", VISION, FEED_FORWARD)
        .linear("v.blk.0.ffn_down", FEED_FORWARD, VISION);
    return tensor("v.post_ln.weight", VISION).linear("mm.0", 4 * VISION, 4 * VISION).linear("mm.2", 4 * VISION, WIDTH)
        .linear("mm.img_projector.0", WIDTH, WIDTH).linear("mm.img_projector.2", WIDTH, WIDTH);
  }

  /** The tokenizer that {@link #ofText} puts into the file. */
  static Tokenizer tokenizer() {
    return Tokenizer.of(tokenizerData());
  }

  private static TokenizerData tokenizerData() {
    return new TokenizerData("gpt2", "qwen2", Utf8Strings.of(vocabulary()), tokenTypes(), Utf8Strings.of(MERGES), false, IM_START, IM_END,
        PAD, MASK);
  }

  TinyModel put(String key, Object value) {
    metadata.put(key, value);
    return this;
  }

  TinyModel remove(String name) {
    metadata.remove(name);
    tensors.remove(name);
    return this;
  }

  /** Sizes are fastest first, as in the file. */
  TinyModel tensor(String name, long... sizes) {
    tensors.put(name, sizes);
    return this;
  }

  private TinyModel linear(String name, int in, int out) {
    return tensor(name + ".weight", in, out).tensor(name + ".bias", out);
  }

  /** Bytes in GPT-2's printable alphabet, then the merged words, then control tokens. */
  static List<String> vocabulary() {
    List<String> tokens = new ArrayList<>();
    int next = 256;
    for (int b = 0; b < 256; b++) {
      boolean printable = b >= '!' && b <= '~' || b >= 0xA1 && b <= 0xAC || b >= 0xAE;
      tokens.add(Character.toString(printable ? b : next++));
    }
    MERGES.forEach(merge -> tokens.add(merge.replace(" ", "")));
    tokens.addAll(CONTROL);
    return tokens;
  }

  private static int[] tokenTypes() {
    int normal = 256 + MERGES.size();
    return IntStream.range(0, normal + CONTROL.size()).map(id -> id < normal ? 1 : 3).toArray();
  }

  Path write(Path file) throws IOException {
    return Files.write(file, bytes());
  }

  byte[] bytes() {
    Output out = new Output();
    out.bytes.writeBytes("GGUF".getBytes(StandardCharsets.US_ASCII));
    out.i32(3).i64(tensors.size()).i64(metadata.size());
    metadata.forEach((key, value) -> out.string(key).i32(type(value)).value(value));
    long offset = 0;
    for (var tensor : tensors.entrySet()) {
      out.string(tensor.getKey()).i32(tensor.getValue().length);
      for (long size : tensor.getValue()) {
        out.i64(size);
      }
      out.i32(0).i64(offset); // F32
      offset += (4 * elements(tensor.getValue()) + 31) / 32 * 32;
    }
    out.align();
    tensors.forEach((name, sizes) -> {
      boolean ones = name.contains("norm") || name.contains("ln") || name.contains("scale") || name.equals("rope_freqs.weight");
      float scale = ones ? 0 : (float) (1.5 / Math.sqrt(sizes[0]));
      for (long i = 0; i < elements(sizes); i++) {
        out.i32(Float.floatToIntBits(scale == 0 ? 1 : scale * (float) random.nextGaussian()));
      }
      out.align();
    });
    return out.bytes.toByteArray();
  }

  private static long elements(long[] sizes) {
    long elements = 1;
    for (long size : sizes) {
      elements *= size;
    }
    return elements;
  }

  private static int type(Object value) {
    return switch (value) {
      case Byte b -> 1;
      case Short s -> 3;
      case Integer i -> 4;
      case Float f -> 6;
      case Boolean b -> 7;
      case String s -> 8;
      case Long l -> 11;
      case Double d -> 12;
      default -> 9;
    };
  }

  /** Little-endian. */
  private static final class Output {
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

    private Output i32(int value) {
      bytes.writeBytes(ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putInt(value).array());
      return this;
    }

    private Output i64(long value) {
      bytes.writeBytes(ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(value).array());
      return this;
    }

    private Output string(String value) {
      byte[] utf8 = value.getBytes(StandardCharsets.UTF_8);
      i64(utf8.length);
      bytes.writeBytes(utf8);
      return this;
    }

    private void value(Object value) {
      switch (value) {
        case Byte b -> bytes.write(b);
        case Short s -> bytes.writeBytes(new byte[] {s.byteValue(), (byte) (s >> 8)});
        case Integer i -> i32(i);
        case Float f -> i32(Float.floatToIntBits(f));
        case Boolean b -> bytes.write(b ? 1 : 0);
        case String s -> string(s);
        case Long l -> i64(l);
        case Double d -> i64(Double.doubleToLongBits(d));
        case int[] array -> {
          i32(5).i64(array.length);
          IntStream.of(array).forEach(this::i32);
        }
        case boolean[] array -> {
          i32(7).i64(array.length);
          for (boolean flag : array) {
            bytes.write(flag ? 1 : 0);
          }
        }
        case float[] array -> {
          i32(6).i64(array.length);
          for (float f : array) {
            i32(Float.floatToIntBits(f));
          }
        }
        case String[] array -> {
          i32(8).i64(array.length);
          for (String s : array) {
            string(s);
          }
        }
        default -> throw new IllegalArgumentException(value.getClass().getName());
      }
    }

    private void align() {
      while (bytes.size() % 32 != 0) {
        bytes.write(0);
      }
    }
  }
}
