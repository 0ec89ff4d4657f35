package io.github.dimple4j.server;

import io.github.dimple4j.Canvas;
import io.github.dimple4j.Generation;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** {@code POST /v1/chat/completions}. */
final class ChatApi implements Answering {
  private final Service service;
  private final Question question;
  private final boolean stream;
  private final boolean usageInStream;
  private final boolean logprobs;
  private final CanvasEvents events; // null: not wanted
  private final String id = Ids.next("chatcmpl-");
  private final long created = System.currentTimeMillis() / 1000;
  private final Usage usage;

  private final ArrayNode choices = Json.object().arrayNode(); // of an answer that is no stream
  private final List<Integer> sent = new ArrayList<>(); // of each choice, how many characters of its text

  ChatApi(JsonNode body, Service service) {
    this.service = service;
    Fields request = Fields.of(body);
    RequestReader reader = new RequestReader(request, service);
    refuse(request);
    stream = reader.stream();
    usageInStream = reader.usageInStream();
    List<Question.Message> messages = new ChatRequest(service.hosts()).messages(request);
    int length = reader.length("max_completion_tokens", "max_tokens");
    Shape shape = reader.shape(length);
    question = reader.question(messages, null, shape, length);
    logprobs = LogProbs.wanted(request, shape);
    events = reader.events() ? new CanvasEvents(id, service.model()) : null;
    usage = new Usage(service);
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

  @Override
  public boolean watches() {
    return stream;
  }

  @Override
  public void iteration(Exchange exchange, AnswerTask.Iteration iteration) throws IOException {
    int choice = iteration.choice();
    begin(exchange, choice);
    if (events != null) {
      exchange.event(CanvasEvents.NAME, Json.text(events.event(choice, iteration.step())));
    }
    text(exchange, choice, iteration.step().canvas().stableText());
  }

  private void begin(Exchange exchange, int choice) throws IOException {
    if (sent.isEmpty() && choice == 0) {
      exchange.beginEvents();
    }
    if (sent.size() == choice) {
      sent.add(0);
      ObjectNode chunk = chunk(choice);
      delta(chunk).put("role", "assistant").put("content", "");
      exchange.event(null, Json.text(chunk));
    }
  }

  private void text(Exchange exchange, int choice, String stable) throws IOException {
    int before = sent.get(choice);
    if (stable.length() > before) {
      ObjectNode chunk = chunk(choice);
      delta(chunk).put("content", stable.substring(before));
      sent.set(choice, stable.length());
      exchange.event(null, Json.text(chunk));
    }
  }

  @Override
  public void choice(Exchange exchange, AnswerTask.Choice choice) throws IOException {
    Generation generation = choice.generation();
    usage.add(choice);
    String text = textOf(generation);
    String finish = Finishes.name(generation, question.shape());
    if (stream) {
      begin(exchange, choice.choice());
      text(exchange, choice.choice(), text);
      ObjectNode last = chunk(choice.choice());
      ObjectNode of = (ObjectNode) last.get("choices").get(0);
      of.put("finish_reason", finish);
      if (logprobs) {
        of.set("logprobs", LogProbs.chat(generation, service.model()));
      }
      exchange.event(null, Json.text(last));
      return;
    }
    ObjectNode one = choices.addObject();
    one.put("index", choice.choice());
    ObjectNode message = one.putObject("message");
    message.put("role", "assistant");
    message.put("content", text);
    message.putNull("refusal");
    one.set("logprobs", logprobs ? LogProbs.chat(generation, service.model()) : Json.object().nullNode());
    one.put("finish_reason", finish);
  }

  /** All of it if it is complete, or else what would not have changed any more. */
  static String textOf(Generation generation) {
    Canvas canvas = generation.canvas();
    return Finishes.complete(generation) ? canvas.text() : canvas.stableText();
  }

  @Override
  public void done(Exchange exchange, AnswerTask.Done done) throws IOException {
    if (stream) {
      if (usageInStream) {
        ObjectNode last = head("chat.completion.chunk");
        last.putArray("choices");
        last.set("usage", usage.toJson(done));
        exchange.event(null, Json.text(last));
      }
      exchange.event(null, "[DONE]");
      exchange.endEvents();
      return;
    }
    ObjectNode answer = head("chat.completion");
    answer.set("choices", choices);
    answer.set("usage", usage.toJson(done));
    exchange.send(200, answer);
  }

  private ObjectNode head(String object) {
    ObjectNode head = Json.object();
    head.put("id", id);
    head.put("object", object);
    head.put("created", created);
    head.put("model", service.options().model());
    return head;
  }

  private ObjectNode chunk(int choice) {
    ObjectNode chunk = head("chat.completion.chunk");
    ObjectNode one = chunk.putArray("choices").addObject();
    one.put("index", choice);
    one.putObject("delta");
    one.putNull("logprobs");
    one.putNull("finish_reason");
    return chunk;
  }

  private static ObjectNode delta(ObjectNode chunk) {
    return (ObjectNode) chunk.get("choices").get(0).get("delta");
  }
}
