package io.github.dimple4j.cli;

import io.github.dimple4j.Template;
import io.github.dimple4j.structure.SchemaOptions;
import java.io.IOException;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** What all answers of a command are held to. */
final class StructureOptions {
  @Spec(Spec.Target.MIXEE) private CommandSpec spec;

  @Option(names = "--json-schema", paramLabel = "FILE|TEXT", converter = SchemaText.Converter.class,
      description = "Hold the answer to a JSON Schema, a file or the text itself; dimple schema says whether it can be held.")
  private SchemaText schema;

  @Mixin private SpellingOptions spelling;

  private Template template;

  boolean isGiven() {
    return schema != null;
  }

  /** Reads and compiles the schema, if there is one. */
  void read() throws IOException {
    if (schema == null) {
      spelling.given().ifPresent(option -> {
        throw new ParameterException(spec.commandLine(), option + " goes with --json-schema");
      });
      return;
    }
    template = schema.template(spelling.over(SchemaOptions.PRODUCING));
  }

  /** A prompt whose answer is held to it; {@link #read} comes first. */
  Prompt hold(Prompt prompt) {
    if (template == null) {
      return prompt;
    }
    if (prompt.template() != null) {
      throw new ParameterException(spec.commandLine(), "--json-schema goes without a template, and the question has one");
    }
    return prompt.held(template);
  }
}
