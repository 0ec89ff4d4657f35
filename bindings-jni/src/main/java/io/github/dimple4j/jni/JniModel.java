package io.github.dimple4j.jni;

import io.github.dimple4j.core.CoreException;
import io.github.dimple4j.core.CoreException.Kind;
import io.github.dimple4j.core.CoreBatch;
import io.github.dimple4j.core.CoreModel;
import io.github.dimple4j.core.CoreSession;
import io.github.dimple4j.core.CoreVocabulary;
import io.github.dimple4j.core.Finding;
import io.github.dimple4j.core.Grid;
import io.github.dimple4j.core.Metadata;
import io.github.dimple4j.core.ModelFacts;
import io.github.dimple4j.core.Patches;
import io.github.dimple4j.core.Rgb;
import io.github.dimple4j.jni.Structs.Image;
import io.github.dimple4j.jni.Structs.ImageGrid;
import io.github.dimple4j.jni.Structs.ModelInfo;
import io.github.dimple4j.jni.Structs.SessionOptions;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** A {@code dimple_model}. */
final class JniModel implements CoreModel {
  private final long model;

  JniModel(long model) {
    this.model = model;
  }

  @Override
  public ModelFacts facts() {
    try (Memory memory = new Memory()) {
      ByteBuffer info = memory.allocate(ModelInfo.SIZEOF);
      JniCore.check(Shim.dimple_model_get_info(model, info));
      return new ModelFacts(ModelInfo.ARCHITECTURE.text(info), ModelInfo.BACKEND.text(info), ModelInfo.VOCAB_SIZE.integer(info),
          ModelInfo.CONTEXT_LENGTH.integer(info), ModelInfo.LAYER_COUNT.integer(info), ModelInfo.EMBEDDING_LENGTH.integer(info),
          ModelInfo.HEAD_COUNT.integer(info), ModelInfo.HEAD_COUNT_KV.integer(info), ModelInfo.HEAD_SIZE.integer(info),
          ModelInfo.BIDIRECTIONAL.flag(info), ModelInfo.SHIFT_LOGITS.flag(info), ModelInfo.MASK_TOKEN_ID.integer(info),
          ModelInfo.BOS_TOKEN_ID.integer(info), ModelInfo.EOS_TOKEN_ID.integer(info), ModelInfo.PAD_TOKEN_ID.integer(info),
          ModelInfo.IMAGE_TOKEN_ID.integer(info), ModelInfo.HAS_VISION.flag(info), ModelInfo.PATCH_SIZE.integer(info),
          ModelInfo.MERGE_SIZE.integer(info), ModelInfo.MIN_PIXELS.number(info), ModelInfo.MAX_PIXELS.number(info),
          ModelInfo.PARAMETER_COUNT.number(info), ModelInfo.FILE_SIZE.number(info), ModelInfo.WEIGHT_SIZE.number(info),
          ModelInfo.KV_BYTES_PER_TOKEN.number(info), ModelInfo.UNPACKED_SIZE.number(info),
          ModelInfo.PACK_CACHE.integer(info), ModelInfo.PACK_CACHE_NOTE.text(info));
    }
  }

  @Override
  public List<Finding> ignored() {
    return JniCore.findings((index, finding) -> Shim.dimple_model_get_ignored(model, index, finding));
  }

  @Override
  public Optional<Metadata> metadata(String key) {
    try (Memory memory = new Memory()) {
      ByteBuffer value = memory.allocate(Structs.Metadata.SIZEOF);
      int status = Shim.dimple_model_find_metadata(model, memory.of(key), value);
      if (status == Shim.DIMPLE_ERROR_NOT_FOUND) {
        return Optional.empty();
      }
      JniCore.check(status);
      return Optional.of(read(value));
    }
  }

  @Override
  public List<String> metadataKeys() {
    List<String> keys = new ArrayList<>();
    try (Memory memory = new Memory()) {
      ByteBuffer value = memory.allocate(Structs.Metadata.SIZEOF);
      while (true) {
        int status = Shim.dimple_model_get_metadata(model, keys.size(), value);
        if (status == Shim.DIMPLE_ERROR_NOT_FOUND) {
          return List.copyOf(keys);
        }
        JniCore.check(status);
        keys.add(key(value));
      }
    }
  }

  private static Metadata read(ByteBuffer value) {
    String key = key(value);
    long size = Structs.Metadata.SIZE.number(value);
    if (size < 0 || size > Integer.MAX_VALUE - 8) {
      throw new CoreException(Kind.FORMAT, key + " has " + Long.toUnsignedString(size) + " bytes, too many for a Java array", null);
    }
    return new Metadata(key, Structs.Metadata.TYPE.integer(value), Structs.Metadata.ELEMENT_TYPE.integer(value),
        (int) Structs.Metadata.COUNT.number(value), // an element has at least one byte, so the count fits too
        Memory.bytes(Structs.Metadata.DATA.number(value), size));
  }

  private static String key(ByteBuffer value) {
    return new String(Memory.bytes(Structs.Metadata.KEY.number(value), Structs.Metadata.KEY_SIZE.number(value)), StandardCharsets.UTF_8);
  }

  @Override
  public Grid imageGrid(int width, int height) {
    try (Memory memory = new Memory()) {
      ByteBuffer grid = memory.allocate(ImageGrid.SIZEOF);
      JniCore.check(Shim.dimple_model_get_image_grid(model, width, height, grid));
      return new Grid(ImageGrid.RESIZED_WIDTH.integer(grid), ImageGrid.RESIZED_HEIGHT.integer(grid), ImageGrid.ROWS.integer(grid),
          ImageGrid.COLUMNS.integer(grid), ImageGrid.TOKENS.integer(grid));
    }
  }

  @Override
  public Patches preprocess(Rgb picture, int rows, int columns) {
    Grid grid = imageGrid(picture.width(), picture.height());
    try (Memory memory = new Memory()) {
      ByteBuffer patches = memory.allocate((long) rows * columns, Float.BYTES);
      ByteBuffer resized = memory.allocate(3L * grid.resizedWidth() * grid.resizedHeight(), 1);
      JniCore.check(Shim.dimple_model_preprocess(model, images(List.of(picture), memory), patches, (long) rows * columns, resized));
      byte[] pixels = new byte[resized.capacity()];
      resized.get(pixels);
      return new Patches(Memory.matrix(patches, rows, columns), pixels);
    }
  }

  /** An array of {@code dimple_image}. */
  static ByteBuffer images(List<Rgb> pictures, Memory memory) {
    ByteBuffer images = memory.allocate(pictures.size(), Image.SIZEOF);
    for (int i = 0; i < pictures.size(); i++) {
      Rgb picture = pictures.get(i);
      ByteBuffer image = images.slice(i * Image.SIZEOF, Image.SIZEOF).order(images.order());
      Image.RGB.set(image, Shim.address(memory.of(picture.pixels())));
      Image.WIDTH.set(image, picture.width());
      Image.HEIGHT.set(image, picture.height());
      Image.ROW_STRIDE.set(image, 3L * picture.width());
    }
    return images;
  }

  @Override
  public CoreVocabulary vocabulary(byte[] bytes, long[] offsets, byte[] kinds) {
    return JniVocabulary.of(bytes, offsets, kinds);
  }

  @Override
  public CoreSession session(int threads, int contextLength, boolean keepPrompt, int kvType) {
    try (Memory memory = new Memory()) {
      ByteBuffer options = memory.allocate(SessionOptions.SIZEOF);
      SessionOptions.THREADS.set(options, threads);
      SessionOptions.CONTEXT_LENGTH.set(options, contextLength);
      SessionOptions.PREFILL.set(options, keepPrompt ? 1 : 0);
      SessionOptions.KV_TYPE.set(options, kvType);
      ByteBuffer session = memory.pointer();
      JniCore.check(Shim.dimple_session_create(model, options, session));
      return new JniSession(session.getLong(0));
    }
  }

  @Override
  public CoreBatch batch(int threads) {
    try (Memory memory = new Memory()) {
      ByteBuffer batch = memory.pointer();
      JniCore.check(Shim.dimple_batch_create(model, threads, batch));
      return new JniBatch(batch.getLong(0));
    }
  }

  @Override
  public void free() {
    Shim.dimple_model_free(model);
  }
}
