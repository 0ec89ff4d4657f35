package io.github.dimple4j.cli;

import io.github.dimple4j.DimpleModel;
import io.github.dimple4j.Image;
import io.github.dimple4j.Session;
import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import tools.jackson.core.JsonGenerator;

/** {@code dimple logits}: what the model makes of a prompt, for programs. */
@Command(name = "logits", mixinStandardHelpOptions = true, description = "Write the logits of one full pass as JSON.", footer = {"",
    "The file holds logits, one list of vocabulary size per position of the prompt, as the model gives them, before any shift by one; with "
    + "--vision also vision, the projected features of the pictures, one list per image token."})
final class LogitsCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Parameters(paramLabel = "MODEL.gguf", description = "The model.")
  private Path model;

  @Option(names = "--vision", description = "Add the projected image features.")
  private boolean vision;

  @Mixin private PromptOptions.OfTokens promptOptions;

  @Mixin private EngineOptions engine;

  @Mixin private JsonOutput output;

  @Override
  public Integer call() throws IOException {
    engine.check();
    promptOptions.check();
    output.check(spec.commandLine().getErr());
    Prompt prompt = promptOptions.prompt();
    Image[] images = prompt.readImages(promptOptions.imageOptions());
    try (DimpleModel loaded = engine.load(model);
        Session session = prompt.session(loaded, images).withoutResponse().threads(engine.threads())
            .kvType(engine.kvType()).open()) {
      float[][] logits = session.logits();
      float[][] features = vision ? session.imageFeatures() : null;
      output.write(spec.commandLine().getOut(), json -> {
        json.writeStartObject();
        matrix(json, "logits", logits);
        if (vision) {
          matrix(json, "vision", features);
        }
        json.writeEndObject();
      });
    }
    return 0;
  }

  private static void matrix(JsonGenerator json, String name, float[][] rows) {
    json.writeName(name);
    json.writeStartArray();
    for (float[] row : rows) {
      JsonOutput.array(json, row);
    }
    json.writeEndArray();
  }
}
