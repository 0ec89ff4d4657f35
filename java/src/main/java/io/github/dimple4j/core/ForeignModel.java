package io.github.dimple4j.core;

import io.github.dimple4j.bindings.Dimple;
import io.github.dimple4j.bindings.dimple_image_grid;
import io.github.dimple4j.bindings.dimple_metadata;
import io.github.dimple4j.bindings.dimple_model_info;
import io.github.dimple4j.bindings.dimple_session_options;
import io.github.dimple4j.core.CoreException.Kind;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** A {@code dimple_model}. */
final class ForeignModel implements CoreModel {
  private final MemorySegment model;

  ForeignModel(MemorySegment model) {
    this.model = model;
  }

  @Override
  public ModelFacts facts() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment info = dimple_model_info.allocate(arena);
      ForeignCore.check(Dimple.dimple_model_get_info(model, info));
      return new ModelFacts(dimple_model_info.architecture(info).getString(0), dimple_model_info.backend(info).getString(0),
          dimple_model_info.vocab_size(info), dimple_model_info.context_length(info), dimple_model_info.layer_count(info),
          dimple_model_info.embedding_length(info), dimple_model_info.head_count(info), dimple_model_info.head_count_kv(info),
          dimple_model_info.head_size(info), dimple_model_info.bidirectional(info) != 0, dimple_model_info.shift_logits(info) != 0,
          dimple_model_info.mask_token_id(info), dimple_model_info.bos_token_id(info), dimple_model_info.eos_token_id(info),
          dimple_model_info.pad_token_id(info), dimple_model_info.image_token_id(info), dimple_model_info.has_vision(info) != 0,
          dimple_model_info.patch_size(info), dimple_model_info.merge_size(info), dimple_model_info.min_pixels(info),
          dimple_model_info.max_pixels(info), dimple_model_info.parameter_count(info), dimple_model_info.file_size(info),
          dimple_model_info.weight_size(info), dimple_model_info.kv_bytes_per_token(info),
          dimple_model_info.unpacked_size(info), dimple_model_info.pack_cache(info), dimple_model_info.pack_cache_note(info).getString(0));
    }
  }

  @Override
  public List<Finding> ignored() {
    return ForeignCore.findings((index, finding) -> Dimple.dimple_model_get_ignored(model, index, finding));
  }

  @Override
  public Optional<Metadata> metadata(String key) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment value = dimple_metadata.allocate(arena);
      int status = Dimple.dimple_model_find_metadata(model, arena.allocateFrom(key), value);
      if (status == Dimple.DIMPLE_ERROR_NOT_FOUND()) {
        return Optional.empty();
      }
      ForeignCore.check(status);
      return Optional.of(read(value));
    }
  }

  @Override
  public List<String> metadataKeys() {
    List<String> keys = new ArrayList<>();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment value = dimple_metadata.allocate(arena);
      while (true) {
        int status = Dimple.dimple_model_get_metadata(model, keys.size(), value);
        if (status == Dimple.DIMPLE_ERROR_NOT_FOUND()) {
          return List.copyOf(keys);
        }
        ForeignCore.check(status);
        keys.add(key(value));
      }
    }
  }

  private static Metadata read(MemorySegment value) {
    String key = key(value);
    long size = dimple_metadata.size(value);
    if (size < 0 || size > Integer.MAX_VALUE - 8) {
      throw new CoreException(Kind.FORMAT, key + " has " + Long.toUnsignedString(size) + " bytes, too many for a Java array", null);
    }
    byte[] data = dimple_metadata.data(value).asSlice(0, size).toArray(ValueLayout.JAVA_BYTE);
    return new Metadata(key, dimple_metadata.type(value), dimple_metadata.element_type(value), (int) dimple_metadata.count(value),
        data); // an element has at least one byte, so the count fits too
  }

  private static String key(MemorySegment value) {
    byte[] bytes = dimple_metadata.key(value).asSlice(0, dimple_metadata.key_size(value)).toArray(ValueLayout.JAVA_BYTE);
    return new String(bytes, StandardCharsets.UTF_8);
  }

  @Override
  public Grid imageGrid(int width, int height) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment grid = dimple_image_grid.allocate(arena);
      ForeignCore.check(Dimple.dimple_model_get_image_grid(model, width, height, grid));
      return new Grid(dimple_image_grid.resized_width(grid), dimple_image_grid.resized_height(grid), dimple_image_grid.rows(grid),
          dimple_image_grid.columns(grid), dimple_image_grid.tokens(grid));
    }
  }

  @Override
  public Patches preprocess(Rgb picture, int rows, int columns) {
    Grid grid = imageGrid(picture.width(), picture.height());
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment image = Foreign.images(List.of(picture), arena);
      MemorySegment patches = arena.allocate(ValueLayout.JAVA_FLOAT, (long) rows * columns);
      MemorySegment resized = arena.allocate(3L * grid.resizedWidth() * grid.resizedHeight());
      ForeignCore.check(Dimple.dimple_model_preprocess(model, image, patches, (long) rows * columns, resized));
      return new Patches(Foreign.matrix(patches, rows, columns), resized.toArray(ValueLayout.JAVA_BYTE));
    }
  }

  @Override
  public CoreVocabulary vocabulary(byte[] bytes, long[] offsets, byte[] kinds) {
    return ForeignVocabulary.of(bytes, offsets, kinds);
  }

  @Override
  public CoreSession session(int threads, int contextLength, boolean keepPrompt, int kvType) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment options = dimple_session_options.allocate(arena);
      dimple_session_options.threads(options, threads);
      dimple_session_options.context_length(options, contextLength);
      dimple_session_options.prefill(options, keepPrompt ? 1 : 0);
      dimple_session_options.kv_type(options, kvType);
      MemorySegment session = arena.allocate(ValueLayout.ADDRESS);
      ForeignCore.check(Dimple.dimple_session_create(model, options, session));
      return new ForeignSession(session.get(ValueLayout.ADDRESS, 0));
    }
  }

  @Override
  public CoreBatch batch(int threads) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment batch = arena.allocate(ValueLayout.ADDRESS);
      ForeignCore.check(Dimple.dimple_batch_create(model, threads, batch));
      return new ForeignBatch(batch.get(ValueLayout.ADDRESS, 0));
    }
  }

  @Override
  public void free() {
    Dimple.dimple_model_free(model);
  }
}
