package io.github.dimple4j.cli;

import io.github.dimple4j.DimpleModel;
import io.github.dimple4j.Image;
import io.github.dimple4j.ImageOptions;
import io.github.dimple4j.SessionBuilder;
import io.github.dimple4j.Template;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;

/**
 * What a model is asked and what is settled of its response, whether the options of a command say it or a line of a file of questions.
 *
 * @param text the question, for the chat template; null: the prompt is {@code tokens}
 * @param tokens token ids with image placeholders expanded; null: the prompt is {@code text}
 * @param system the system message; null: the model's own
 * @param pictures files, in order
 * @param template what is fixed of the response; null: nothing
 * @param length response length in tokens; empty: the template's, or the library's default
 * @param prior token ids by response position
 * @param format how text becomes a prompt
 */
record Prompt(String text, int[] tokens, String system, List<Path> pictures, Template template, OptionalInt length,
    Map<Integer, Integer> prior, PromptFormat format) {

  /** The same with a response length, if neither a length nor a template says one. */
  Prompt orLength(int otherwise) {
    return length.isPresent() || template != null ? this
        : new Prompt(text, tokens, system, pictures, null, OptionalInt.of(otherwise), prior, format);
  }

  /** The same with a response that is held to a structure. */
  Prompt held(Template structure) {
    return new Prompt(text, tokens, system, pictures, structure, length, prior, format);
  }

  /** Reads the pictures, which fails faster than loading a model. */
  Image[] readImages(ImageOptions options) {
    return pictures.stream().map(file -> Image.read(file, options)).toArray(Image[]::new);
  }

  /** A session to be opened, with the pictures that were read. */
  SessionBuilder session(DimpleModel model, Image[] images) {
    SessionBuilder builder = model.session();
    if (tokens != null) {
      builder.tokens(tokens, images);
    } else {
      format.ask(builder, system, text, images);
    }
    if (template != null) {
      builder.response(template);
    }
    length.ifPresent(builder::responseLength);
    prior.forEach(builder::prior);
    return builder;
  }
}
