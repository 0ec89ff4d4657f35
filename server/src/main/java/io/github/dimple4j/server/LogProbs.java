package io.github.dimple4j.server;

import io.github.dimple4j.DimpleModel;
import io.github.dimple4j.Generation;
import io.github.dimple4j.tokenizer.Tokenizer;
import java.nio.charset.StandardCharsets;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The log-probabilities of an answer's tokens, each in the iteration that revealed it. A token that stood there beforehand, or was the only one
 * that could, has 0.
 */
final class LogProbs {
  private LogProbs() {}

  /** Whether a chat wants them. */
  static boolean wanted(Fields request, Shape shape) {
    boolean wanted = request.flag("logprobs", false);
    request.refuseUnlessZero("top_logprobs", "only the token that was revealed has a log-probability");
    if (wanted && shape.kind() == Shape.Kind.PRIOR) {
      throw request.wrong("logprobs", "does not go with diffusion.template, prefix or suffix");
    }
    return wanted;
  }

  static double at(Generation generation, int position) {
    float found = generation.logProbabilities().get(position);
    return Float.isNaN(found) ? 0 : found;
  }

  static ObjectNode chat(Generation generation, DimpleModel model) {
    Tokenizer tokenizer = model.tokenizer();
    int[] tokens = generation.textTokens();
    ObjectNode logprobs = Json.object();
    ArrayNode content = logprobs.putArray("content");
    for (int i = 0; i < tokens.length; i++) {
      byte[] bytes = tokenizer.tokenBytes(tokens[i]);
      ObjectNode one = content.addObject();
      one.put("token", new String(bytes, StandardCharsets.UTF_8));
      one.put("logprob", at(generation, i));
      ArrayNode values = one.putArray("bytes");
      for (byte value : bytes) {
        values.add(Byte.toUnsignedInt(value));
      }
      one.putArray("top_logprobs");
    }
    logprobs.putNull("refusal");
    return logprobs;
  }

  static ObjectNode completion(Generation generation, DimpleModel model) {
    int[] tokens = generation.textTokens();
    ObjectNode logprobs = Json.object();
    ArrayNode texts = logprobs.putArray("tokens");
    ArrayNode values = logprobs.putArray("token_logprobs");
    ArrayNode offsets = logprobs.putArray("text_offset");
    logprobs.putNull("top_logprobs");
    int offset = 0;
    for (int i = 0; i < tokens.length; i++) {
      String text = new String(model.tokenizer().tokenBytes(tokens[i]), StandardCharsets.UTF_8);
      texts.add(text);
      values.add(at(generation, i));
      offsets.add(offset);
      offset += text.length();
    }
    return logprobs;
  }
}
