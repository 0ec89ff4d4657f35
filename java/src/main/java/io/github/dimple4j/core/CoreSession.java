package io.github.dimple4j.core;

import java.util.List;
import java.util.Map;

/** A prompt and its response. One thread at a time, but for {@link #cancel}. Contracts: {@code dimple.h}. */
public interface CoreSession {
  /**
   * Sets the prompt.
   *
   * @param tokens ids, each picture's placeholder as often as it has tokens
   * @param pictures in the order of their placeholders
   */
  void setPrompt(int[] tokens, List<Rgb> pictures);

  /**
   * Sets the response.
   *
   * @param tokens ids, the mask token where the model decides
   */
  void setResponse(int[] tokens);

  /**
   * Puts the answer so far behind the prompt, in the place of an earlier one; a response is to be set anew.
   *
   * @param tokens ids, maybe none
   */
  void setAnswer(int[] tokens);

  /**
   * Holds the answer so far, the response and what comes behind it to a constraint.
   *
   * @param constraint of the model's vocabulary
   * @param later ids behind the response, the mask token where anything may come; maybe none
   */
  void setConstraint(CoreConstraint constraint, int[] later);

  /** Runs vision tower and first pass, unless they ran already. */
  void prefill();

  /**
   * Starts a decoding from the response as it was set.
   *
   * @param settings by the names of {@code dimple.h}; what is missing has its default
   */
  void begin(Map<String, Number> settings);

  /** Runs one iteration. */
  StepResult step();

  /** The first half of an iteration whose decision the caller takes: runs the model and reveals nothing. */
  CandidateResult look();

  /**
   * Behind the first half: the best tokens of each of its positions.
   *
   * @param candidates how many positions it has
   * @param count how many of each
   * @return by position one after the other
   */
  AlternativeResult alternatives(int candidates, int count);

  /**
   * The second half.
   *
   * @param positions masked ones, ascending
   * @param tokens what each is revealed as
   */
  StepResult reveal(int[] positions, int[] tokens);

  /**
   * Adds to logits in the iterations to come.
   *
   * @param tokens ids, ascending; none: nothing is added
   * @param values one per token, negative infinity to ban it
   */
  void setBias(int[] tokens, float[] values);

  /** Fills what is still masked as the constraint has it. */
  StepResult complete();

  /** Leaves the response's positions from there on out of the decoding under way. */
  void shorten(int length);

  /** Makes the running call that runs the model, or else the next one, fail. Any thread. */
  void cancel();

  /** Where time and memory went. */
  SessionFigures figures();

  /** Raw logits of prompt and response, {@code [positions x vocabulary]}. */
  float[][] logits(int positions, int vocabulary);

  /** The features of the prompt's pictures, {@code [tokens x width]}. */
  float[][] imageFeatures(int tokens, int width);

  /**
   * Gives the features of the prompt's pictures, for which the vision tower then need not run.
   *
   * @param features token by token
   */
  void setImageFeatures(float[] features);

  /**
   * Takes over keys and values of whole blocks that both prompts begin with, before the first pass.
   *
   * @param from a session of the same model that has decoded; its caller is inside it, too
   * @return how many rows
   */
  int takePrefix(CoreSession from);

  /**
   * Log-probabilities of given tokens, of one pass over the prompt and a response of its own.
   *
   * @param response ids, the mask token where the model is not to see what stands there
   * @param targets the token asked for at each position; -1: none
   * @param guidanceScale 0: off
   * @return one per position, NaN where none was asked for
   */
  float[] score(int[] response, int[] targets, float guidanceScale);

  /**
   * Draws which tokens of an answer a round of a Monte Carlo estimate masks. Does not depend on the session.
   *
   * @return {@code [rows x length]}, 1 for masked
   */
  byte[] scoreMasks(int length, int rows, long seed, int round);

  /**
   * Replaces the generator of random numbers by recorded results, from the next decoding on.
   *
   * @param kinds per record its kind, {@code dimple_draw}
   * @param lengths per record how many of {@code values} it has
   * @param values the results, record after record
   */
  void replayDraws(int[] kinds, int[] lengths, double[] values);

  /** Frees it. Once. */
  void free();
}
