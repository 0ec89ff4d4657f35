package io.github.dimple4j.server;

import io.github.dimple4j.Canvas;
import io.github.dimple4j.DimpleModel;
import io.github.dimple4j.Reveal;
import io.github.dimple4j.Step;
import java.util.Arrays;
import java.util.List;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** The event of an iteration with the whole canvas. docs/serving.md has its fields. */
final class CanvasEvents {
  static final String NAME = "dimple.canvas";

  private final String id;
  private final DimpleModel model;
  private int choice = -1; // of which confidences are
  private float[] confidence = {};

  CanvasEvents(String id, DimpleModel model) {
    this.id = id;
    this.model = model;
  }

  ObjectNode event(int choice, Step step) {
    Canvas canvas = step.canvas();
    remember(choice, step);
    ObjectNode event = Json.object();
    event.put("object", NAME);
    event.put("id", id);
    event.put("index", choice);
    event.put("iteration", step.iteration());
    event.put("remaining", step.remaining());
    event.put("done", step.done());
    event.put("milliseconds", Usage.milliseconds(step.time()));
    event.put("stable", canvas.stableText());
    ArrayNode pieces = event.putArray("pieces");
    ArrayNode sure = event.putArray("confidence");
    List<String> texts = canvas.pieces("");
    for (int i = 0; i < canvas.length(); i++) {
      if (canvas.isMasked(i)) {
        pieces.addNull();
        sure.addNull();
      } else {
        pieces.add(texts.get(i));
        if (Float.isFinite(confidence[i])) {
          sure.add(Math.round(confidence[i] * 1e4) / 1e4);
        } else {
          sure.addNull();
        }
      }
    }
    ArrayNode revealed = event.putArray("revealed");
    step.revealed().forEach(reveal -> revealed.add(reveal.position()));
    ArrayNode remasked = event.putArray("remasked");
    step.remasked().forEach(remasked::add);
    step.origins().ifPresent(origins -> {
      ArrayNode moved = event.putArray("origins");
      origins.forEach(moved::add);
    });
    ArrayNode ends = event.putArray("ends");
    int[] endTokens = model.endTokenIds();
    for (int i = 0; i < canvas.length(); i++) {
      if (Arrays.binarySearch(endTokens, canvas.token(i)) >= 0) {
        ends.add(i);
      }
    }
    return event;
  }

  private void remember(int choice, Step step) {
    if (choice != this.choice) {
      this.choice = choice;
      confidence = new float[0];
    }
    step.origins().ifPresent(this::move);
    int known = confidence.length;
    if (step.canvas().length() > known) { // the first canvas, or one more
      confidence = Arrays.copyOf(confidence, step.canvas().length());
      Arrays.fill(confidence, known, confidence.length, Float.NaN);
    }
    for (Reveal reveal : step.revealed()) {
      confidence[reveal.position()] = reveal.confidence();
    }
  }

  /** What is known of positions goes where they go. */
  private void move(List<Integer> origins) {
    float[] before = confidence;
    confidence = new float[origins.size()];
    for (int i = 0; i < confidence.length; i++) {
      int origin = origins.get(i);
      confidence[i] = origin < 0 || origin >= before.length ? Float.NaN : before[origin];
    }
  }
}
