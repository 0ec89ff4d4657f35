package io.github.dimple4j.server;

import io.github.dimple4j.Candidate;
import io.github.dimple4j.DimpleModel;
import io.github.dimple4j.Generation;
import io.github.dimple4j.Step;
import io.github.dimple4j.tokenizer.Tokenizer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The log-probabilities of an answer's tokens, each in the iteration that revealed it. A token that stood there beforehand, was the only one
 * that could, or was filled in without having been scored, has 0.
 */
final class LogProbs {
  private static final int MOST_LISTED = 20; // OpenAI's

  private LogProbs() {}

  /** Whether a chat wants them. */
  static boolean wanted(Fields request, Shape shape) {
    boolean wanted = request.flag("logprobs", false);
    if (wanted && shape.kind() == Shape.Kind.PRIOR) {
      throw request.wrong("logprobs", "does not go with diffusion.template, prefix or suffix");
    }
    return wanted;
  }

  /** How many tokens a chat wants of each position. */
  static int listed(Fields request, boolean wanted) {
    int listed = (int) request.whole("top_logprobs", 0, MOST_LISTED).orElse(0);
    if (listed > 0 && !wanted) {
      throw request.wrong("top_logprobs", "goes with logprobs: true");
    }
    return listed;
  }

  /** What is listed by position behind a step: {@code found} for those it revealed, and what was {@code known} of the others, which may have moved. */
  static Map<Integer, List<Candidate>> listedBehind(Step step, Map<Integer, List<Candidate>> known, Map<Integer, List<Candidate>> found) {
    Map<Integer, List<Candidate>> listed = new HashMap<>();
    if (step.origins().isPresent()) {
      List<Integer> origins = step.origins().get();
      for (int i = 0; i < origins.size(); i++) {
        if (known.containsKey(origins.get(i))) {
          listed.put(i, known.get(origins.get(i)));
        }
      }
    } else {
      listed.putAll(known);
    }
    listed.keySet().removeAll(step.remasked());
    listed.putAll(found);
    return listed;
  }

  static double at(Generation generation, int position) {
    float found = generation.logProbabilities().get(position);
    return Float.isNaN(found) ? 0 : found;
  }

  static ObjectNode chat(AnswerTask.Choice answer, DimpleModel model) {
    Tokenizer tokenizer = model.tokenizer();
    int[] tokens = answer.generation().textTokens();
    ObjectNode logprobs = Json.object();
    ArrayNode content = logprobs.putArray("content");
    for (int i = 0; i < tokens.length; i++) {
      ArrayNode listed = write(content.addObject(), tokenizer.tokenBytes(tokens[i]), at(answer.generation(), i)).putArray("top_logprobs");
      for (Candidate other : answer.alternatives().getOrDefault(i, List.of())) {
        write(listed.addObject(), tokenizer.tokenBytes(other.token()), other.logProbability());
      }
    }
    logprobs.putNull("refusal");
    return logprobs;
  }

  private static ObjectNode write(ObjectNode into, byte[] bytes, double logProbability) {
    into.put("token", new String(bytes, StandardCharsets.UTF_8));
    into.put("logprob", logProbability + 0.0); // -0 is an odd thing to read
    ArrayNode values = into.putArray("bytes");
    for (byte value : bytes) {
      values.add(Byte.toUnsignedInt(value));
    }
    return into;
  }

  /** {@code listed}: how many tokens of each position were asked for. */
  static ObjectNode completion(AnswerTask.Choice answer, int listed, DimpleModel model) {
    int[] tokens = answer.generation().textTokens();
    ObjectNode logprobs = Json.object();
    ArrayNode texts = logprobs.putArray("tokens");
    ArrayNode values = logprobs.putArray("token_logprobs");
    ArrayNode offsets = logprobs.putArray("text_offset");
    ArrayNode tops = listed == 0 ? null : logprobs.putArray("top_logprobs");
    if (tops == null) {
      logprobs.putNull("top_logprobs");
    }
    byte[][] pieces = Arrays.stream(tokens).mapToObj(model.tokenizer()::tokenBytes).toArray(byte[][]::new);
    Arrays.stream(offsets(pieces)).forEach(offsets::add);
    for (int i = 0; i < tokens.length; i++) {
      texts.add(new String(pieces[i], StandardCharsets.UTF_8));
      values.add(at(answer.generation(), i));
      if (tops != null) {
        ObjectNode top = tops.addObject();
        // Tokens that are pieces of characters may read alike: the better one counts.
        answer.alternatives().getOrDefault(i, List.of()).reversed()
            .forEach(other -> top.put(new String(model.tokenizer().tokenBytes(other.token()), StandardCharsets.UTF_8), other.logProbability()));
      }
    }
    return logprobs;
  }

  /** The character of the text that each token begins in, in code points: of UTF-8, whose characters tokens may be pieces of. */
  static int[] offsets(byte[][] pieces) {
    int[] offsets = new int[pieces.length];
    int begun = 0;
    for (int i = 0; i < pieces.length; i++) {
      boolean within = pieces[i].length > 0 && isContinuation(pieces[i][0]) && begun > 0;
      offsets[i] = within ? begun - 1 : begun;
      for (byte value : pieces[i]) {
        begun += isContinuation(value) ? 0 : 1;
      }
    }
    return offsets;
  }

  private static boolean isContinuation(byte value) {
    return (value & 0xc0) == 0x80;
  }
}
