package io.github.dimple4j;

import java.time.Duration;
import java.util.List;

/**
 * The result of a decoding.
 *
 * @param canvas the response
 * @param revealed positions that were revealed, without those fixed beforehand
 * @param iterations how many it took
 * @param forwardPasses runs of the model, the prefill's first pass included
 * @param timings where the time went
 */
public record Generation(Canvas canvas, int revealed, int iterations, int forwardPasses, Timings timings) {
  /**
   * The answer, up to the first end-of-turn or padding token; see {@link Canvas#text(String)}.
   *
   * @return the text
   * @throws NoTokenizerException if the model has no tokenizer
   */
  public String text() {
    return canvas.text();
  }

  /**
   * All tokens of the response, those behind the end of the text too.
   *
   * @return one id per position
   */
  public int[] tokens() {
    return canvas.tokens();
  }

  /**
   * What the model wrote into each slot of the {@link Template}, in order; without a template, one entry with the whole text.
   *
   * @return the texts, each up to its first end-of-turn or padding token
   * @throws NoTokenizerException if the model has no tokenizer
   */
  public List<String> slots() {
    return canvas.slots();
  }

  /**
   * How parallel the decoding was: positions revealed per iteration.
   *
   * @return the mean; 0 before the first iteration
   */
  public double tokensPerIteration() {
    return iterations == 0 ? 0 : (double) revealed / iterations;
  }

  /**
   * Speed over all of vision, prefill and iterations.
   *
   * @return positions revealed per second; 0 if no time was measured
   */
  public double tokensPerSecond() {
    Duration total = timings.total();
    return total.isZero() ? 0 : revealed * 1e9 / total.toNanos();
  }

  /**
   * Why the response ends where it does.
   *
   * @return the reason
   */
  public Finish finish() {
    return canvas.finish();
  }
}
