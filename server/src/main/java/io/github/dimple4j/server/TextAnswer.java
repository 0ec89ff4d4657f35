package io.github.dimple4j.server;

import io.github.dimple4j.Canvas;
import io.github.dimple4j.Generation;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** Answers of texts, whole or as streams; what is in them, each way of the interface says. */
abstract class TextAnswer implements Answering {
  private final Service service;
  private final String id;
  private final String object;
  private final String chunkObject;
  private final boolean stream;
  private final boolean usageInStream;
  private final CanvasEvents events; // null: not wanted
  private final long created = System.currentTimeMillis() / 1000;
  private final Usage usage;

  private final ArrayNode choices = Json.object().arrayNode(); // of an answer that is no stream
  private final List<Integer> sent = new ArrayList<>(); // of each choice, how many characters of its text

  /** {@code object}, {@code chunkObject}: what an answer and a part of a stream are called. */
  TextAnswer(RequestReader reader, Service service, String idPrefix, String object, String chunkObject) {
    this.service = service;
    this.id = Ids.next(idPrefix);
    this.object = object;
    this.chunkObject = chunkObject;
    stream = reader.stream();
    usageInStream = reader.usageInStream();
    events = reader.events() ? new CanvasEvents(id, service.model()) : null;
    usage = new Usage(service);
  }

  /** What a choice has, but for its index; {@code text} is all of it. */
  abstract void whole(ObjectNode choice, AnswerTask.Choice answer, String text);

  /** What the first part of a stream says, without text; none where that is nothing. */
  abstract boolean first(ObjectNode choice);

  /** More text in a stream. */
  abstract void more(ObjectNode choice, String text);

  /** The end of a stream; text that was not sent is in a part before it, unless {@link #isText} says that it is none. */
  abstract void last(ObjectNode choice, AnswerTask.Choice answer, String text);

  /** Whether a text that begins so is sent as text. */
  boolean isText(String beginning) {
    return true;
  }

  /** What of a canvas is the answer's text and stays. */
  String stable(Canvas canvas) {
    return canvas.stableText();
  }

  /** The answer's text. */
  String text(Generation generation) {
    return Finishes.text(generation);
  }

  final Service service() {
    return service;
  }

  @Override
  public final boolean watches() {
    return stream;
  }

  @Override
  public final void iteration(Exchange exchange, AnswerTask.Iteration iteration) throws IOException {
    int choice = iteration.choice();
    begin(exchange, choice);
    if (events != null) {
      exchange.event(CanvasEvents.NAME, Json.text(events.event(choice, iteration.step())));
    }
    text(exchange, choice, stable(iteration.step().canvas()));
  }

  private void begin(Exchange exchange, int choice) throws IOException {
    if (sent.isEmpty()) {
      exchange.beginEvents();
    }
    if (sent.size() == choice) {
      sent.add(0);
      ObjectNode chunk = head(chunkObject);
      if (first(one(chunk.putArray("choices").addObject(), choice))) {
        exchange.event(null, Json.text(chunk));
      }
    }
  }

  private void text(Exchange exchange, int choice, String stable) throws IOException {
    int before = sent.get(choice);
    if (stable.length() > before && isText(stable)) {
      ObjectNode chunk = head(chunkObject);
      more(one(chunk.putArray("choices").addObject(), choice), stable.substring(before));
      sent.set(choice, stable.length());
      exchange.event(null, Json.text(chunk));
    }
  }

  private static ObjectNode one(ObjectNode choice, int index) {
    choice.put("index", index);
    return choice;
  }

  @Override
  public final void choice(Exchange exchange, AnswerTask.Choice choice) throws IOException {
    Generation generation = choice.generation();
    usage.add(choice);
    String text = text(generation);
    if (!stream) {
      whole(one(choices.addObject(), choice.choice()), choice, text);
      return;
    }
    begin(exchange, choice.choice());
    text(exchange, choice.choice(), text);
    ObjectNode chunk = head(chunkObject);
    last(one(chunk.putArray("choices").addObject(), choice.choice()), choice, text);
    exchange.event(null, Json.text(chunk));
  }

  @Override
  public final void done(Exchange exchange, AnswerTask.Done done) throws IOException {
    if (!stream) {
      ObjectNode answer = head(object);
      answer.set("choices", choices);
      answer.set("usage", usage.toJson(done));
      exchange.send(200, answer);
      return;
    }
    if (usageInStream) {
      ObjectNode last = head(chunkObject);
      last.putArray("choices");
      last.set("usage", usage.toJson(done));
      exchange.event(null, Json.text(last));
    }
    exchange.event(null, "[DONE]");
    exchange.endEvents();
  }

  private ObjectNode head(String object) {
    ObjectNode head = Json.object();
    head.put("id", id);
    head.put("object", object);
    head.put("created", created);
    head.put("model", service.options().model());
    return head;
  }
}
