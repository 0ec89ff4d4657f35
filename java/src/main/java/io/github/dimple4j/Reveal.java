package io.github.dimple4j;

/**
 * One position that an iteration revealed.
 *
 * @param position in the response, from 0
 * @param token the id it now holds
 * @param confidence how sure the algorithm was: a probability or a difference of probabilities, 0 to 1; with
 *     {@link Algorithm#ENTROPY} the negative entropy in nats, at most 0
 * @param logProbability the natural logarithm of the token's probability in softmax(logits), the model's own distribution at this position
 *     and iteration, before temperature, filters, constraint, bias and credits (with guidance: in the guided one): at most 0; NaN if no pass
 *     decided the position
 */
public record Reveal(int position, int token, float confidence, float logProbability) {}
