package io.github.dimple4j.cli;

import io.github.dimple4j.DimpleModel;
import io.github.dimple4j.Generation;
import io.github.dimple4j.Image;
import io.github.dimple4j.ModelInfo;
import io.github.dimple4j.Reveal;
import io.github.dimple4j.Session;
import io.github.dimple4j.Step;
import io.github.dimple4j.tokenizer.Tokenizer;
import java.awt.Graphics2D;
import java.awt.RenderingHints;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.io.Writer;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.IntStream;
import javax.imageio.ImageIO;
import tools.jackson.core.JsonGenerator;

/**
 * A decoding as a page that plays it: the canvas after every iteration, tokens coloured by confidence or by iteration, the pictures and
 * the figures. One file that asks for no other; {@code trace.html} is its form, and a JSON document in it what it shows.
 */
final class TracePage {
  private static final String FORM = "trace.html";
  private static final String PLACE = "{{trace}}";

  /** Pictures are shown no larger than this. */
  private static final int SIDE = 512;

  private final String name;
  private final DimpleModel model;
  private final Session session;
  private final String question;
  private final Image[] images;
  private final List<Step> steps;

  /** Of a session whose decoding is over; {@code question} null: the prompt was token ids. */
  TracePage(String name, DimpleModel model, Session session, String question, Image[] images, List<Step> steps) {
    this.name = name;
    this.model = model;
    this.session = session;
    this.question = question;
    this.images = images;
    this.steps = steps;
  }

  void write(Writer page) throws IOException {
    StringWriter json = new StringWriter();
    JsonOutput.generate(json, this::writeTrace);
    page.write(form().replace(PLACE, harmless(json.toString())));
  }

  private static String form() throws IOException {
    try (InputStream form = TracePage.class.getResourceAsStream(FORM)) {
      return new String(form.readAllBytes(), StandardCharsets.UTF_8);
    }
  }

  /** JSON in which nothing ends the element it stands in. */
  private static String harmless(String json) {
    return json.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029");
  }

  private void writeTrace(JsonGenerator json) {
    ModelInfo info = model.info();
    json.writeStartObject();
    json.writeStringProperty("model", name);
    json.writeStringProperty("backend", info.backend());
    json.writeStringProperty("question", question);
    json.writeNumberProperty("prompt", session.promptTokens().length);
    json.writeNumberProperty("mask", info.maskTokenId().orElse(-1));
    json.writeName("ends");
    JsonOutput.array(json, model.endTokenIds());
    json.writeName("pictures");
    json.writeStartArray();
    for (Image image : images) {
      json.writeString(dataUrl(image));
    }
    json.writeEndArray();
    writeTexts(json);
    json.writeName("steps");
    json.writeStartArray();
    steps.forEach(step -> writeStep(json, step));
    json.writeEndArray();
    writeTimings(json);
    json.writeEndObject();
  }

  /** The text of every token that stands in a canvas. */
  private void writeTexts(JsonGenerator json) {
    Tokenizer tokenizer = model.hasTokenizer() ? model.tokenizer() : null;
    json.writeName("texts");
    json.writeStartObject();
    IntStream ids = steps.stream().flatMapToInt(step -> IntStream.of(step.canvas().tokens()));
    for (int id : ids.distinct().sorted().toArray()) {
      json.writeStringProperty(Integer.toString(id), tokenizer == null ? Integer.toString(id) : text(tokenizer, id));
    }
    json.writeEndObject();
  }

  /** Bytes that are no text alone, a part of a character, in hexadecimal. */
  private static String text(Tokenizer tokenizer, int id) {
    if (tokenizer.isControl(id)) {
      return tokenizer.token(id);
    }
    byte[] bytes = tokenizer.tokenBytes(id);
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
    } catch (CharacterCodingException e) {
      return "⟨" + HexFormat.of().formatHex(bytes) + "⟩";
    }
  }

  private static void writeStep(JsonGenerator json, Step step) {
    json.writeStartObject();
    json.writeName("canvas");
    JsonOutput.array(json, step.canvas().tokens());
    json.writeName("revealed");
    JsonOutput.array(json, step.revealed().stream().mapToInt(Reveal::position).toArray());
    json.writeName("confidence");
    json.writeStartArray();
    step.revealed().forEach(reveal -> json.writeNumber(reveal.confidence()));
    json.writeEndArray();
    step.origins().ifPresent(origins -> {
      json.writeName("origins");
      JsonOutput.array(json, origins.stream().mapToInt(Integer::intValue).toArray());
    });
    json.writeNumberProperty("millis", JsonOutput.millis(step.time()));
    json.writeEndObject();
  }

  private void writeTimings(JsonGenerator json) {
    Generation answer = session.generation();
    json.writeName("millis");
    json.writeStartObject();
    json.writeNumberProperty("vision", JsonOutput.millis(answer.timings().vision()));
    json.writeNumberProperty("prefill", JsonOutput.millis(answer.timings().prefill()));
    json.writeNumberProperty("steps", JsonOutput.millis(answer.timings().steps()));
    json.writeEndObject();
    json.writeNumberProperty("passes", answer.forwardPasses());
  }

  private static String dataUrl(Image image) {
    BufferedImage whole = new BufferedImage(image.width(), image.height(), BufferedImage.TYPE_INT_RGB);
    byte[] rgb = image.rgb();
    int[] row = new int[image.width()];
    for (int y = 0, at = 0; y < image.height(); y++) {
      for (int x = 0; x < image.width(); x++, at += 3) {
        row[x] = (rgb[at] & 0xff) << 16 | (rgb[at + 1] & 0xff) << 8 | rgb[at + 2] & 0xff;
      }
      whole.setRGB(0, y, image.width(), 1, row, 0, image.width());
    }
    try {
      var png = new ByteArrayOutputStream();
      ImageIO.write(shrunk(whole), "png", png);
      return "data:image/png;base64," + Base64.getEncoder().encodeToString(png.toByteArray());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static BufferedImage shrunk(BufferedImage whole) {
    double scale = (double) SIDE / Math.max(whole.getWidth(), whole.getHeight());
    if (scale >= 1) {
      return whole;
    }
    int width = (int) Math.max(1, whole.getWidth() * scale);
    int height = (int) Math.max(1, whole.getHeight() * scale);
    BufferedImage small = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
    Graphics2D graphics = small.createGraphics();
    graphics.setRenderingHint(RenderingHints.KEY_INTERPOLATION, RenderingHints.VALUE_INTERPOLATION_BILINEAR);
    graphics.drawImage(whole, 0, 0, width, height, null);
    graphics.dispose();
    return small;
  }
}
