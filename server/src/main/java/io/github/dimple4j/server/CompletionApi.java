package io.github.dimple4j.server;

import io.github.dimple4j.Canvas;
import io.github.dimple4j.Generation;
import java.util.List;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** {@code POST /v1/completions}: a prompt that goes to the model as it stands, and, with {@code suffix}, what comes behind the answer. */
final class CompletionApi extends TextAnswer {
  private static final String TOKENS_OR_TEXT = "expected a text, a list of one, or a list of token ids";

  private static final int MOST_LISTED = 5; // OpenAI's

  private final Question question;
  private final String suffix; // "": none
  private final boolean logprobs;

  CompletionApi(JsonNode body, Service service) {
    this(Fields.of(body), service);
  }

  private CompletionApi(Fields request, Service service) {
    this(request, new RequestReader(request, service), service);
  }

  private CompletionApi(Fields request, RequestReader reader, Service service) {
    super(reader, service, "cmpl-", "text_completion", "text_completion");
    if (request.flag("echo", false)) {
      request.refuse("echo", "put the prompt before the answer yourself");
    }
    request.whole("best_of", 1, 128).ifPresent(best -> {
      if (best != reader.choices()) {
        request.refuse("best_of", "n answers are given, not chosen");
      }
    });
    int length = reader.length("max_tokens");
    suffix = request.string("suffix").orElse("");
    Shape shape = reader.shape(length, ToolRequest.NONE);
    if (!suffix.isEmpty() && shape.kind() != Shape.Kind.FREE) {
      throw request.wrong("suffix", "does not go with response_format, or diffusion.template, prefix or suffix");
    }
    shape = suffix.isEmpty() ? shape : RequestReader.infill("suffix", "", length, suffix);
    JsonNode prompt = request.any("prompt").orElseThrow(() -> request.missing("prompt"));
    logprobs = request.has("logprobs");
    Question asked = prompt.isString() ? reader.question(Fields.whole("prompt", prompt.stringValue()), null, shape, length)
        : list(prompt, request, reader, shape, length);
    question = asked.listing((int) request.whole("logprobs", 0, MOST_LISTED).orElse(0));
    if (logprobs && shape.kind() == Shape.Kind.PRIOR) {
      throw request.wrong("logprobs", "does not go with suffix, or diffusion.template, prefix or suffix");
    }
    OtherFields.refuse(request);
  }

  private static Question list(JsonNode prompt, Fields request, RequestReader reader, Shape shape, int length) {
    if (!prompt.isArray() || prompt.isEmpty()) {
      throw request.wrong("prompt", "is " + (prompt.isArray() ? "an empty list, " : "neither, ") + TOKENS_OR_TEXT);
    }
    if (prompt.size() == 1 && prompt.get(0).isString()) {
      return reader.question(Fields.whole("prompt[0]", prompt.get(0).stringValue()), null, shape, length);
    }
    int[] tokens = new int[prompt.size()];
    for (int i = 0; i < tokens.length; i++) {
      if (!prompt.get(i).isIntegralNumber() || !prompt.get(i).canConvertToInt()) {
        throw request.wrong("prompt[" + i + "]", "is no token id, " + TOKENS_OR_TEXT);
      }
      tokens[i] = prompt.get(i).intValue();
    }
    return reader.question(null, tokens, shape, length);
  }

  @Override
  public Question question() {
    return question;
  }

  /** Without the suffix, which stays as soon as all before it does. */
  @Override
  String stable(Canvas canvas) {
    String stable = canvas.stableText();
    return !suffix.isEmpty() && stable.endsWith(suffix) ? stable.substring(0, stable.length() - suffix.length()) : stable;
  }

  @Override
  String text(Generation generation) {
    if (suffix.isEmpty()) {
      return Finishes.text(generation);
    }
    return Finishes.complete(generation) ? generation.slots().getFirst() : stable(generation.canvas());
  }

  @Override
  void whole(ObjectNode choice, AnswerTask.Choice answer, String text) {
    last(choice, answer, "");
    choice.put("text", text);
  }

  @Override
  boolean first(ObjectNode choice) {
    return false;
  }

  @Override
  void more(ObjectNode choice, String text) {
    choice.put("text", text);
    choice.putNull("logprobs");
    choice.putNull("finish_reason");
  }

  @Override
  void last(ObjectNode choice, AnswerTask.Choice answer, String text) {
    choice.put("text", "");
    if (logprobs) {
      choice.set("logprobs", LogProbs.completion(answer, question.alternatives(), service().model()));
    } else {
      choice.putNull("logprobs");
    }
    choice.put("finish_reason", Finishes.name(answer.generation(), question.shape()));
  }
}
