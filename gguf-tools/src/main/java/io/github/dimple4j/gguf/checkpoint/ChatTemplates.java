package io.github.dimple4j.gguf.checkpoint;

import io.github.dimple4j.gguf.GgufException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import tools.jackson.databind.JsonNode;

/**
 * How a Hugging Face directory writes conversations: one template, or several with names, of which the transformers library (5.12) takes {@code default}, and
 * {@code tool_use} where there are tools. They are in {@code chat_template.jinja} and {@code additional_chat_templates}, or else in {@code chat_template.json}, which goes before {@code
 * tokenizer_config.json} for models of pictures, whose processors alone the library has read it, or in {@code tokenizer_config.json}.
 *
 * @param usual the template
 * @param ofTools that of conversations with tools, if it is another one
 */
record ChatTemplates(Optional<String> usual, Optional<String> ofTools) {
  /** What a template of conversations with tools is called. */
  static final String TOOLS = "tool_use";
  private static final String USUAL = "default";

  static ChatTemplates read(Path directory, JsonSettings config) throws IOException {
    Path file = directory.resolve("chat_template.jinja");
    Path more = directory.resolve("additional_chat_templates").resolve(TOOLS + ".jinja");
    Path json = directory.resolve("chat_template.json");
    boolean pictures = Files.exists(directory.resolve("preprocessor_config.json")) || Files.exists(directory.resolve("processor_config.json"));
    boolean apart = Files.exists(json) && (pictures || !config.has("chat_template"));
    Map<String, String> templates = Files.exists(file) ? new HashMap<>(Map.of(USUAL, Json.text(file)))
        : named(apart ? json : directory.resolve("tokenizer_config.json"), apart ? Json.read(json).path("chat_template") : config.node("chat_template"));
    if (Files.exists(more)) {
      templates.put(TOOLS, Json.text(more));
      if (!templates.containsKey(USUAL)) {
        throw new GgufException(more + " is for conversations with tools alone; expected a template for others in chat_template.jinja");
      }
    }
    return new ChatTemplates(Optional.ofNullable(templates.get(USUAL)), Optional.ofNullable(templates.get(TOOLS)));
  }

  /** By their names: a text alone is the default one; others are in a list or an object. */
  private static Map<String, String> named(Path path, JsonNode value) {
    Map<String, String> templates = new HashMap<>();
    if (value.isMissingNode() || value.isNull()) {
      return templates;
    }
    if (value.isArray()) {
      value.forEach(template -> put(templates, template.path("name").asString(""), template.path("template")));
    } else if (value.isObject()) {
      value.properties().forEach(template -> put(templates, template.getKey(), template.getValue()));
    } else {
      put(templates, USUAL, value);
    }
    if (!templates.containsKey(USUAL)) {
      throw new GgufException(path + ": \"chat_template\" is neither a template nor several with names, one of which is \"default\"");
    }
    return templates;
  }

  private static void put(Map<String, String> templates, String name, JsonNode template) {
    if (template.isString()) {
      templates.put(name, template.stringValue());
    }
  }
}
