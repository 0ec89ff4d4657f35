package io.github.dimple4j.cli;

import io.github.dimple4j.InvalidArgumentException;
import io.github.dimple4j.Template;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * A line of a file of questions.
 *
 * @param task the kind of question, under which it is counted
 * @param prompt the question; its pictures lie beside the file unless their paths are absolute, its length may be left to the task
 * @param answer the one right answer
 */
record EvalQuestion(String task, Prompt prompt, String answer) {
  /** Reads the first {@code limit} questions of a file. */
  static List<EvalQuestion> read(Path file, int limit) throws IOException {
    List<String> lines = Files.readAllLines(file, StandardCharsets.UTF_8);
    List<EvalQuestion> questions = new ArrayList<>();
    for (int number = 1; number <= lines.size() && questions.size() < limit; number++) {
      String line = lines.get(number - 1);
      if (!line.isBlank()) {
        questions.add(new Line(file, number, line).question());
      }
    }
    if (questions.isEmpty()) {
      throw new IOException(file + ": has no questions");
    }
    return questions;
  }

  /** One line while it is read, and where it stands, for the messages. */
  private record Line(Path file, int number, JsonNode node) {
    Line(Path file, int number, String text) throws IOException {
      this(file, number, parse(file, number, text));
    }

    private static JsonNode parse(Path file, int number, String text) throws IOException {
      try {
        return JsonMapper.shared().readTree(text);
      } catch (JacksonException e) {
        throw new IOException(file + ", line " + number + ": is not JSON: " + e.getOriginalMessage(), e);
      }
    }

    EvalQuestion question() throws IOException {
      List<Path> pictures = images();
      String system = node.has("system") ? text("system") : null;
      String task = text("task");
      String asked = text("question");
      String answer = text("answer");
      Template template = node.has("template") ? template() : null;
      return new EvalQuestion(task, new Prompt(asked, null, system, pictures, template, length(), Map.of(), PromptFormat.OF_MODEL), answer);
    }

    private List<Path> images() throws IOException {
      JsonNode value = node.path("image");
      if (!value.isArray()) {
        return List.of(file.resolveSibling(text("image")));
      }
      List<Path> images = new ArrayList<>();
      for (JsonNode name : value) {
        if (!name.isString()) {
          throw wrong("\"image\" holds something else than file names");
        }
        images.add(file.resolveSibling(name.stringValue()));
      }
      return images;
    }

    private Template template() throws IOException {
      JsonNode value = node.path("template");
      List<Object> parts = new ArrayList<>();
      for (JsonNode part : value) {
        if (part.isString()) {
          parts.add(part.stringValue());
        } else if (part.isInt() && part.intValue() >= 1) {
          parts.add(Template.slot(part.intValue()));
        } else {
          throw wrong("\"template\" holds " + part + ", expected texts and numbers of tokens to fill");
        }
      }
      try {
        return Template.of(parts.toArray());
      } catch (InvalidArgumentException e) {
        throw wrong("\"template\" is no list of texts and numbers of tokens to fill");
      }
    }

    private OptionalInt length() throws IOException {
      JsonNode value = node.get("length");
      if (value == null) {
        return OptionalInt.empty();
      }
      if (!value.isInt() || value.intValue() < 1) {
        throw wrong("\"length\" is " + value + ", expected 1 or more tokens");
      }
      return OptionalInt.of(value.intValue());
    }

    private String text(String name) throws IOException {
      JsonNode value = node.get(name);
      if (value == null || !value.isString()) {
        throw wrong("has no text named \"" + name + "\"");
      }
      return value.stringValue();
    }

    private IOException wrong(String what) {
      return new IOException(file + ", line " + number + ": " + what);
    }
  }
}
