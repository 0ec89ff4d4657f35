package io.github.dimple4j.core;

import java.util.List;
import java.util.Optional;

/** A loaded model. Immutable; any thread. */
public interface CoreModel {
  /** Facts about it. */
  ModelFacts facts();

  /** The unknown keys and tensors of the file that it runs without. */
  List<Finding> ignored();

  /** The value of a metadata key, copied out of the file. */
  Optional<Metadata> metadata(String key);

  /** The keys of the file, in its order. */
  List<String> metadataKeys();

  /** The grid of a picture of that many pixels. */
  Grid imageGrid(int width, int height);

  /**
   * Preprocesses a picture.
   *
   * @param rows patches of its grid
   * @param columns numbers of a patch: channels, frames and pixels
   */
  Patches preprocess(Rgb picture, int rows, int columns);

  /**
   * Makes a vocabulary for constraints.
   *
   * @param bytes of all tokens
   * @param offsets of each token where its bytes begin, and behind the last one where they end
   * @param kinds of each token, {@code dimple_token_kind}
   */
  CoreVocabulary vocabulary(byte[] bytes, long[] offsets, byte[] kinds);

  /**
   * Starts a session, which must be freed before the model.
   *
   * @param threads 0: one per processor
   * @param contextLength 0: the model's
   * @param keepPrompt whether later iterations reuse the prompt's keys and values
   * @param kvType what keys and values are kept in, {@code dimple_tensor_type}
   */
  CoreSession session(int threads, int contextLength, boolean keepPrompt, int kvType);

  /**
   * Makes a batch for sessions of this model, which must be freed before it.
   *
   * @param threads that its passes run on; 0: one per processor
   */
  CoreBatch batch(int threads);

  /** Frees it. Once. */
  void free();
}
