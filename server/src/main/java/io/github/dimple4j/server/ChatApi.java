package io.github.dimple4j.server;

import io.github.dimple4j.Generation;
import io.github.dimple4j.chat.ToolCall;
import io.github.dimple4j.chat.ToolSyntax;
import java.util.List;
import java.util.Optional;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** {@code POST /v1/chat/completions}. */
final class ChatApi extends TextAnswer {
  private final Question question;
  private final boolean logprobs;
  private final ToolSyntax syntax; // null: no tool may be called

  ChatApi(JsonNode body, Service service) {
    this(Fields.of(body), service);
  }

  private ChatApi(Fields request, Service service) {
    this(request, new RequestReader(request, service), service);
  }

  private ChatApi(Fields request, RequestReader reader, Service service) {
    super(reader, service, "chatcmpl-", "chat.completion", "chat.completion.chunk");
    refuse(request);
    List<Question.Message> messages = new ChatRequest(service.hosts()).messages(request);
    ToolRequest tools = ToolRequest.of(request);
    int length = reader.length("max_completion_tokens", "max_tokens");
    Shape shape = reader.shape(length, tools);
    question = reader.question(messages, tools.told(), shape, length);
    logprobs = LogProbs.wanted(request, shape);
    syntax = tools.calls() ? service.model().chatTemplate().toolSyntax() : null;
  }

  private static void refuse(Fields request) {
    request.refuse("audio", "this server knows no audio");
    if (request.strings("modalities").contains("audio")) {
      request.refuse("modalities", "this server knows no audio");
    }
    request.refuse("functions", "use tools");
    request.refuse("function_call", "use tool_choice");
  }

  @Override
  public Question question() {
    return question;
  }

  private Optional<ToolCall> call(String text) {
    return syntax == null ? Optional.empty() : syntax.read(text);
  }

  /** Nothing of what may become a call is text. */
  @Override
  boolean isText(String beginning) {
    return syntax == null || !syntax.mayBegin(beginning);
  }

  @Override
  void whole(ObjectNode choice, Generation generation, String text) {
    ObjectNode message = choice.putObject("message");
    message.put("role", "assistant");
    Optional<ToolCall> call = call(text);
    if (call.isPresent()) {
      message.putNull("content");
      write(message.putArray("tool_calls").addObject(), call.get());
    } else {
      message.put("content", text);
    }
    message.putNull("refusal");
    end(choice, generation, call.isPresent());
  }

  private void end(ObjectNode choice, Generation generation, boolean call) {
    if (logprobs) {
      choice.set("logprobs", LogProbs.chat(generation, service().model()));
    } else {
      choice.putNull("logprobs");
    }
    choice.put("finish_reason", call ? "tool_calls" : Finishes.name(generation, question.shape()));
  }

  private static void write(ObjectNode into, ToolCall call) {
    into.put("id", Ids.next("call_"));
    into.put("type", "function");
    into.putObject("function").put("name", call.name()).put("arguments", call.arguments());
  }

  @Override
  boolean first(ObjectNode choice) {
    delta(choice).put("role", "assistant").put("content", "");
    return true;
  }

  @Override
  void more(ObjectNode choice, String text) {
    delta(choice).put("content", text);
  }

  private static ObjectNode delta(ObjectNode choice) {
    ObjectNode delta = choice.putObject("delta");
    choice.putNull("logprobs");
    choice.putNull("finish_reason");
    return delta;
  }

  @Override
  void last(ObjectNode choice, Generation generation, String text) {
    ObjectNode delta = choice.putObject("delta");
    Optional<ToolCall> call = call(text);
    if (call.isPresent()) {
      ObjectNode one = delta.putArray("tool_calls").addObject();
      one.put("index", 0);
      write(one, call.get());
    } else if (!isText(text)) {
      delta.put("content", text); // looked like a call, and was none, or is not complete
    }
    end(choice, generation, call.isPresent());
  }
}
