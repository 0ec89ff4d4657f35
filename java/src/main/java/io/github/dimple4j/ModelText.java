package io.github.dimple4j;

import io.github.dimple4j.arguments.WholeText;
import io.github.dimple4j.chat.ChatMessage;
import io.github.dimple4j.chat.ChatPrompt;
import io.github.dimple4j.chat.ChatTemplate;
import io.github.dimple4j.chat.ChatTemplateException;
import io.github.dimple4j.chat.ContentPart;
import io.github.dimple4j.chat.ImagePlaceholders;
import io.github.dimple4j.chat.Tool;
import io.github.dimple4j.core.Metadata;
import io.github.dimple4j.tokenizer.ModelTokenizer;
import io.github.dimple4j.tokenizer.Tokenizer;
import io.github.dimple4j.tokenizer.TokenizerData;
import io.github.dimple4j.tokenizer.TokenizerKeys;
import io.github.dimple4j.tokenizer.Utf8Strings;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * A model's way between text and tokens, read from the metadata of its file when it is first needed: a vocabulary of 150,000 tokens
 * takes longer than loading a small model. Thread-safe.
 */
final class ModelText {
  private static final Spelling IMAGE = Spelling.of("<|vision_start|><|image_pad|><|vision_end|>");
  private static final String LLAVA_IMAGE = "<image>";

  private final ModelHandle model;
  private final Optional<ModelTokenizer> given; // for a file without one
  private final TokenizerKeys keys = new TokenizerKeys(this::value);
  private Tokenizer tokenizer;
  private ChatTemplate chatTemplate;
  private int[] ends;

  ModelText(ModelHandle model, Optional<ModelTokenizer> given) {
    this.model = model;
    this.given = given;
  }

  boolean hasTokenizer() {
    return given.isPresent() || fileHasTokenizer();
  }

  boolean fileHasTokenizer() {
    return model.call(core -> core.metadata("tokenizer.ggml.tokens")).isPresent();
  }

  synchronized Tokenizer tokenizer() {
    if (tokenizer == null) {
      tokenizer = Tokenizer.of(data());
    }
    return tokenizer;
  }

  /** The tokens that end a text, ascending. Padding is one of them, which is how Dimple was trained to end. Needs no tokenizer. */
  synchronized int[] ends() {
    if (ends == null) {
      IntStream given = this.given.stream().flatMapToInt(tokenizer -> Arrays.stream(tokenizer.data().endIds()));
      IntStream padding = IntStream.of(keys.paddingId()).filter(id -> id >= 0);
      ends = IntStream.concat(IntStream.concat(Arrays.stream(keys.ends()), given), padding).sorted().distinct().toArray();
    }
    return ends;
  }

  synchronized ChatTemplate chatTemplate() {
    if (chatTemplate == null) {
      Optional<String> own = keys.chatTemplate();
      ChatTemplate usual = own.or(() -> given.flatMap(ModelTokenizer::chatTemplate)).map(ChatTemplate::parse).orElseGet(ChatTemplate::chatMl);
      Optional<String> ofTools = keys.toolTemplate().or(() -> own.isPresent() ? Optional.empty() : given.flatMap(ModelTokenizer::toolTemplate));
      chatTemplate = ofTools.map(source -> usual.withTools(ChatTemplate.parse(source))).orElse(usual);
    }
    return chatTemplate;
  }

  /**
   * A conversation, and how it is written.
   *
   * @param ownNotation whether tools are told of in the template's notation
   */
  record Question(ChatTemplate template, List<ChatMessage> messages, List<Tool> tools, boolean ownNotation, boolean thinking) {
    private Question asTextOnly(Spelling image) {
      List<ChatMessage> texts = messages.stream().map(message -> ModelText.asTextOnly(message, image)).toList();
      return new Question(template, texts, tools, ownNotation, thinking);
    }

    private ChatPrompt prompt(Map<String, ?> variables) {
      return ownNotation ? template.ownPrompt(messages, tools, true, variables) : template.prompt(messages, tools, true, variables);
    }
  }

  /** The token ids of a conversation as a template writes it, one placeholder per picture. */
  int[] encode(Question question, int images, int imageToken) {
    if (images > 0) {
      try {
        int[] ids = render(question);
        if (Arrays.stream(ids).filter(id -> id == imageToken).count() == images) {
          return ids;
        }
      } catch (ChatTemplateException e) {
        // Below.
      }
      // The template of a text model, whose vision tower came in a file of its own, knows no pictures: they go into the text.
      return render(question.asTextOnly(placeholder(imageToken)));
    }
    return render(question);
  }

  /**
   * How pictures are spelled where the template knows none.
   *
   * @param followed one that another picture follows
   * @param last any other
   */
  private record Spelling(String followed, String last) {
    private static Spelling of(String image) {
      return new Spelling(image, image);
    }
  }

  /** LLaVA's prompts have the pictures of a question on one line, before what is said. */
  private Spelling placeholder(int imageToken) {
    String token = imageToken >= 0 && imageToken < tokenizer().size() ? tokenizer().token(imageToken) : "";
    return switch (token) {
      case "<|image|>" -> Spelling.of(token);
      case LLAVA_IMAGE -> new Spelling(token + " ", token + "\n");
      default -> IMAGE;
    };
  }

  private int[] render(Question question) {
    Tokenizer tokens = tokenizer();
    Map<String, Object> variables = new HashMap<>();
    Map.of("bos_token", tokens.bosId(), "eos_token", tokens.eosId(), "pad_token", tokens.padId(), "mask_token", tokens.maskId()).forEach((name, id) -> {
      if (id >= 0) {
        variables.put(name, tokens.token(id));
      }
    });
    if (question.thinking()) {
      variables.put("enable_thinking", true);
    }
    ChatPrompt prompt = question.prompt(variables);
    return tokens.encodePrompt(WholeText.of(prompt.text(), "the prompt"), prompt.said());
  }

  private static ChatMessage asTextOnly(ChatMessage message, Spelling image) {
    List<ContentPart> parts = new ArrayList<>(message.parts());
    for (int i = 0; i < parts.size(); i++) {
      if (parts.get(i) instanceof ContentPart.Image) {
        boolean followed = i + 1 < parts.size() && parts.get(i + 1) instanceof ContentPart.Image;
        parts.set(i, new ContentPart.Markup(followed ? image.followed : image.last));
      }
    }
    return message.withParts(parts);
  }

  /** Repeats each placeholder as often as its picture has tokens, between the tokens that frame a picture if the vocabulary has such. */
  int[] expand(int[] ids, int imageToken, int[] tokensPerImage) {
    try {
      Tokenizer tokens = tokenizer();
      int[] framed = tokensPerImage.length == 0 ? ids
          : ImagePlaceholders.frame(ids, imageToken, tokens.id("<|image>").orElse(-1), tokens.id("<image|>").orElse(-1));
      return ImagePlaceholders.expand(framed, imageToken, tokensPerImage);
    } catch (ChatTemplateException e) {
      throw new InvalidArgumentException(e.getMessage());
    }
  }

  private TokenizerData data() {
    if (given.isPresent()) {
      return given.get().data();
    }
    if (!fileHasTokenizer()) {
      throw new NoTokenizerException("the model file has no tokenizer (no key tokenizer.ggml.tokens); give the prompt as token ids");
    }
    return keys.data();
  }

  private Object value(String key) {
    return model.call(core -> core.metadata(key)).map(ModelText::value).orElse(null);
  }

  private static Object value(Metadata metadata) {
    if (metadata.isStringArray()) {
      return Utf8Strings.ofLengthPrefixed(metadata.data(), metadata.count());
    } else if (metadata.isIntArray()) {
      return metadata.ints();
    }
    return metadata.isFloatArray() ? metadata.floats() : metadata.value();
  }
}
