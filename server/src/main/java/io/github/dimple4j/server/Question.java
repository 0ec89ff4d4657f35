package io.github.dimple4j.server;

import io.github.dimple4j.Decoding;
import io.github.dimple4j.DimpleModel;
import io.github.dimple4j.Image;
import io.github.dimple4j.SessionBuilder;
import io.github.dimple4j.chat.ChatMessage;
import io.github.dimple4j.chat.Tool;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;

/**
 * What is asked of the model, checked as far as it can be without the model.
 *
 * @param messages a conversation; null: {@code text} or {@code tokens} are the prompt
 * @param tools that the model is told of, with a conversation
 * @param thinking whether it is asked to think before it answers
 * @param text a prompt that goes to the model as it stands; or null
 * @param tokens a prompt as token ids; or null. Not copied
 * @param shape what the answer is held to
 * @param length of the response, in tokens
 * @param canvasLength of a canvas, where it is filled in several
 * @param prefill whether keys and values of the prompt are kept
 * @param decoding how it is decoded, with the seed of the first choice
 * @param choices how many answers there are
 * @param alternatives how many tokens are listed for each position; 0: none
 */
record Question(List<Message> messages, List<Tool> tools, boolean thinking, String text, int[] tokens, Shape shape, int length, OptionalInt canvasLength,
    boolean prefill, Decoding decoding, int choices, int alternatives) {

  /**
   * A message with its pictures.
   *
   * @param message the message, which has a place for each picture
   * @param pictures in their order
   */
  record Message(ChatMessage message, List<Picture> pictures) {}

  /** The same with so many tokens listed for each position. */
  Question listing(int alternatives) {
    return new Question(messages, tools, thinking, text, tokens, shape, length, canvasLength, prefill, decoding, choices, alternatives);
  }

  List<Picture> pictures() {
    return messages == null ? List.of() : messages.stream().flatMap(message -> message.pictures().stream()).toList();
  }

  /** Decodes the pictures. */
  List<Image> images(long maxPixels) {
    List<Image> images = new ArrayList<>();
    long left = maxPixels;
    for (Picture picture : pictures()) {
      Image image = picture.decode(left);
      left -= (long) image.width() * image.height();
      images.add(image);
    }
    return images;
  }

  /** A session to be opened, with the pictures. */
  SessionBuilder session(DimpleModel model, ServerOptions options, List<Image> images) {
    SessionBuilder builder = model.session().threads(options.threads()).kvType(options.kvType()).prefillCache(prefill);
    if (text != null) {
      builder.prompt(text);
    } else if (tokens != null) {
      builder.tokens(tokens);
    } else {
      builder.tools(tools).thinking(thinking);
      int next = 0;
      for (Message message : messages) {
        int behind = next + message.pictures().size();
        builder.message(message.message(), images.subList(next, behind).toArray(Image[]::new));
        next = behind;
      }
    }
    shape.hold(builder, length);
    canvasLength.ifPresent(builder::canvasLength);
    return builder.wholeBlocks(decoding);
  }

  /** The decoding of a choice. */
  Decoding decoding(int choice) {
    return choice == 0 ? decoding : decoding.toBuilder().seed(decoding.seed() + choice).build();
  }
}
