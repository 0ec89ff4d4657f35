package io.github.dimple4j;

import io.github.dimple4j.chat.CallNotation;
import io.github.dimple4j.chat.ToolCall;
import io.github.dimple4j.chat.ToolSyntax;
import io.github.dimple4j.structure.RecordSchema;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * The result of a decoding.
 *
 * @param canvas the response
 * @param finish why the text ends where it does
 * @param revealed positions that were revealed, without those fixed beforehand
 * @param iterations how many it took
 * @param forwardPasses runs of the model, the prefill's first pass included
 * @param promptTokens the length of the prompt, image tokens included
 * @param logProbabilities one per position of the response: the natural logarithm of its token's probability in the model's own
 *     distribution, softmax(logits), at the iteration that revealed it ({@link Reveal#logProbability}); NaN where a position is masked,
 *     was fixed beforehand, or could hold one token only. Positions revealed in one iteration do not see each other, so that their sum
 *     is not the probability of the text
 * @param timings where the time went
 */
public record Generation(Canvas canvas, Finish finish, int revealed, int iterations, int forwardPasses, int promptTokens,
    List<Float> logProbabilities, Timings timings) {
  /** Copies the list. */
  public Generation {
    logProbabilities = List.copyOf(logProbabilities);
  }

  /**
   * The answer, up to the first end-of-text token or stop string; see {@link Canvas#text(String)}.
   *
   * @return the text
   * @throws NoTokenizerException if the model has no tokenizer
   */
  public String text() {
    return canvas.text();
  }

  /**
   * What the model thought before it answered, where its vocabulary keeps that apart ({@code <|channel>} and {@code <channel|>} of Gemma 4 and
   * DiffusionGemma); {@link #text()} is without it. The name of the channel, which is its first line, is left out.
   *
   * @return the thoughts, those of several channels a line each; "" if there are none
   * @throws NoTokenizerException if the model has no tokenizer
   */
  public String thinking() {
    return canvas.parts(true).stream().map(part -> part.lines().skip(1).collect(Collectors.joining("\n")).strip())
        .filter(part -> !part.isEmpty()).collect(Collectors.joining("\n"));
  }

  /**
   * The calls of tools that the model writes between tokens of its own ({@code <|tool_call>} and {@code <tool_call|>} of Gemma 4 and
   * DiffusionGemma, see {@link CallNotation}); {@link #text()} is without them. One that cannot be read, such as one that the response's length
   * cut off, is left out.
   *
   * @return the calls, in order
   * @throws NoTokenizerException if the model has no tokenizer
   */
  public List<ToolCall> toolCalls() {
    return canvas.parts(false).stream().map(CallNotation::read).flatMap(Optional::stream).toList();
  }

  /**
   * The calls of tools of an answer that was held to a syntax.
   *
   * @param syntax what the answer was held to
   * @return the calls, in order; none if it is a text, or one of them is not complete
   * @throws NoTokenizerException if the model has no tokenizer
   */
  public List<ToolCall> toolCalls(ToolSyntax syntax) {
    return Objects.requireNonNull(syntax, "syntax").apartFromText() ? toolCalls() : syntax.readAll(text());
  }

  /**
   * The tokens of the text: those before the end-of-text token or stop string that ends it, thoughts and calls of tools included, with a
   * {@link Template} of each slot, and those fixed between slots. A token that a stop string begins within is the last of them.
   *
   * @return token ids
   */
  public int[] textTokens() {
    return canvas.textTokens();
  }

  /**
   * The answer as an instance of a record; see {@link Template#of(Class)}. The record's module opens its package to {@code tools.jackson.databind},
   * or exports it with a public record; on the class path there is nothing to do.
   *
   * @param <R> the record
   * @param type its class
   * @return the instance
   * @throws InvalidArgumentException if the answer is not the JSON text of an instance, which it always is under the record's template once
   *     the response is complete
   * @throws NoTokenizerException if the model has no tokenizer
   */
  public <R extends Record> R as(Class<R> type) {
    return RecordSchema.read(text(), Objects.requireNonNull(type, "type"));
  }

  /**
   * All tokens of the response, those behind the end of the text too, the mask token where a position is masked.
   *
   * @return one id per position
   */
  public int[] tokens() {
    return canvas.tokens();
  }

  /**
   * What the model wrote into each slot of the {@link Template}, in order; without a template, one entry with the whole text.
   *
   * @return the texts, each up to its first end-of-text token or stop string
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
}
