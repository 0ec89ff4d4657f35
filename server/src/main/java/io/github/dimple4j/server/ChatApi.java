package io.github.dimple4j.server;

import io.github.dimple4j.Generation;
import io.github.dimple4j.chat.ToolCall;
import io.github.dimple4j.chat.ToolSyntax;
import java.util.List;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
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
    logprobs = LogProbs.wanted(request, shape);
    question = reader.question(messages, tools.told(), shape, length).listing(LogProbs.listed(request, logprobs));
    syntax = tools.calls() ? service.model().chatTemplate().toolSyntax() : null;
    OtherFields.refuse(request);
  }

  private static void refuse(Fields request) {
    request.refuse("audio", "this server knows no audio");
    if (request.strings("modalities").contains("audio")) {
      request.refuse("modalities", "this server knows no audio");
    }
  }

  @Override
  public Question question() {
    return question;
  }

  /** Calls that the answer was held to. */
  private List<ToolCall> calls(Generation generation) {
    return syntax == null ? List.of() : generation.toolCalls(syntax);
  }

  /** Nothing of what may become a call is text. */
  @Override
  boolean isText(String beginning) {
    return syntax == null || !syntax.mayBegin(beginning);
  }

  @Override
  void whole(ObjectNode choice, AnswerTask.Choice answer, String text) {
    ObjectNode message = choice.putObject("message");
    message.put("role", "assistant");
    List<ToolCall> calls = calls(answer.generation());
    if (calls.isEmpty()) {
      message.put("content", text);
    } else {
      message.putNull("content");
      write(message, calls);
    }
    think(message, answer.generation());
    message.putNull("refusal");
    end(choice, answer, !calls.isEmpty());
  }

  /** What the model thought stands beside the text, in the field that others put it in. */
  private static void think(ObjectNode message, Generation generation) {
    String thoughts = generation.thinking();
    if (!thoughts.isEmpty()) {
      message.put("reasoning_content", thoughts);
    }
  }

  private void end(ObjectNode choice, AnswerTask.Choice answer, boolean call) {
    if (logprobs) {
      choice.set("logprobs", LogProbs.chat(answer, service().model()));
    } else {
      choice.putNull("logprobs");
    }
    choice.put("finish_reason", call ? "tool_calls" : Finishes.name(answer.generation(), question.shape()));
  }

  private static ArrayNode write(ObjectNode message, List<ToolCall> calls) {
    ArrayNode list = message.putArray("tool_calls");
    for (ToolCall call : calls) {
      ObjectNode one = list.addObject();
      one.put("id", Ids.next("call_"));
      one.put("type", "function");
      one.putObject("function").put("name", call.name()).put("arguments", call.arguments());
    }
    return list;
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
  void last(ObjectNode choice, AnswerTask.Choice answer, String text) {
    ObjectNode delta = choice.putObject("delta");
    List<ToolCall> calls = calls(answer.generation());
    if (!calls.isEmpty()) {
      ArrayNode list = write(delta, calls);
      for (int i = 0; i < list.size(); i++) {
        ((ObjectNode) list.get(i)).put("index", i);
      }
    } else if (!isText(text)) {
      delta.put("content", text); // looked like a call, and was none, or is not complete
    }
    think(delta, answer.generation());
    end(choice, answer, !calls.isEmpty());
  }
}
