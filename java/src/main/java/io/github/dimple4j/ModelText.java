package io.github.dimple4j;

import io.github.dimple4j.chat.ChatMessage;
import io.github.dimple4j.chat.ChatPrompt;
import io.github.dimple4j.chat.ChatTemplate;
import io.github.dimple4j.chat.ChatTemplateException;
import io.github.dimple4j.chat.ContentPart;
import io.github.dimple4j.chat.ImagePlaceholders;
import io.github.dimple4j.chat.Tool;
import io.github.dimple4j.core.Metadata;
import io.github.dimple4j.tokenizer.AddedTokenFlags;
import io.github.dimple4j.tokenizer.EndTokens;
import io.github.dimple4j.tokenizer.ModelTokenizer;
import io.github.dimple4j.tokenizer.SentencePieceData;
import io.github.dimple4j.tokenizer.Tokenizer;
import io.github.dimple4j.tokenizer.TokenizerData;
import io.github.dimple4j.tokenizer.TokenizerException;
import io.github.dimple4j.tokenizer.Utf8Strings;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.IntStream;

/**
 * A model's way between text and tokens, read from the metadata of its file when it is first needed: a vocabulary of 150,000 tokens
 * takes longer than loading a small model. Thread-safe.
 */
final class ModelText {
  private static final String KEYS = "tokenizer.ggml.";
  /** Vocabularies in SentencePiece's spelling, where begin-of-text is added unless the file says otherwise (as llama.cpp has it). */
  private static final Set<String> SENTENCE_PIECE = Set.of("gemma4", "llama");
  private static final String IMAGE = "<|vision_start|><|image_pad|><|vision_end|>";

  private final ModelHandle model;
  private final Optional<ModelTokenizer> given; // for a file without one
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
    return find("tokens").isPresent();
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
      Utf8Strings tokens = find("tokens").filter(Metadata::isStringArray).map(ModelText::strings).orElse(Utf8Strings.of(List.of()));
      int[] listed = find(EndTokens.LIST_KEY).filter(Metadata::isIntArray).map(Metadata::ints).orElse(new int[0]);
      IntStream found = IntStream.concat(Arrays.stream(EndTokens.of(tokens, this::id, listed)),
          given.stream().flatMapToInt(tokenizer -> Arrays.stream(tokenizer.data().endIds())));
      ends = IntStream.concat(found, IntStream.of(id("padding_token_id")).filter(id -> id >= 0)).sorted().distinct().toArray();
    }
    return ends;
  }

  synchronized ChatTemplate chatTemplate() {
    if (chatTemplate == null) {
      chatTemplate = model.call(core -> core.metadata("tokenizer.chat_template"))
          .filter(Metadata::isString).map(Metadata::string).or(() -> given.flatMap(ModelTokenizer::chatTemplate)).map(ChatTemplate::parse)
          .orElseGet(ChatTemplate::chatMl);
    }
    return chatTemplate;
  }

  /**
   * A conversation, and how it is written.
   *
   * @param ownNotation whether tools are told of in the template's notation
   */
  record Question(ChatTemplate template, List<ChatMessage> messages, List<Tool> tools, boolean ownNotation, boolean thinking) {
    private Question asTextOnly(String image) {
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

  /** How a picture is spelled where the template knows none. */
  private String placeholder(int imageToken) {
    String token = imageToken >= 0 && imageToken < tokenizer().size() ? tokenizer().token(imageToken) : "";
    return token.equals("<|image|>") ? token : IMAGE;
  }

  private int[] render(Question question) {
    Tokenizer tokens = tokenizer();
    Map<String, Object> variables = new HashMap<>();
    if (tokens.bosId() >= 0) {
      variables.put("bos_token", tokens.token(tokens.bosId()));
    }
    if (tokens.eosId() >= 0) {
      variables.put("eos_token", tokens.token(tokens.eosId()));
    }
    if (question.thinking()) {
      variables.put("enable_thinking", true);
    }
    ChatPrompt prompt = question.prompt(variables);
    return tokens.encodePrompt(prompt.text(), prompt.said());
  }

  private static ChatMessage asTextOnly(ChatMessage message, String image) {
    Function<ContentPart, ContentPart> text = part -> part instanceof ContentPart.Image ? new ContentPart.Markup(image) : part;
    return new ChatMessage(message.role(), message.parts().stream().map(text).toList(), message.calls(), message.tool());
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
    Metadata tokens = find("tokens").orElseThrow(() ->
        new NoTokenizerException("the model file has no tokenizer (no key " + KEYS + "tokens); give the prompt as token ids"));
    boolean sentencePiece = SENTENCE_PIECE.contains(String.valueOf(string("model")));
    return new TokenizerData(string("model"), string("pre"), strings(tokens),
        find("token_type").map(ModelText::integers).orElse(null), find("merges").map(ModelText::strings).orElse(Utf8Strings.of(List.of())),
        flag("add_bos_token").orElse(sentencePiece), id("bos_token_id"), id("eos_token_id"), id("padding_token_id"), id("mask_token_id"),
        ends(), addedTokens(), flag("normalizer.nfc").orElse(null), sentencePiece ? sentencePiece() : SentencePieceData.NONE);
  }

  private SentencePieceData sentencePiece() {
    float[] scores = find("scores").filter(Metadata::isFloatArray).map(Metadata::floats).orElse(null);
    return new SentencePieceData(scores, flag("add_space_prefix").orElse(true), id("unknown_token_id"));
  }

  private Optional<Boolean> flag(String name) {
    return find(name).map(value -> value.value().equals(true));
  }

  private AddedTokenFlags addedTokens() {
    List<int[]> ids = AddedTokenFlags.NAMES.stream().map(this::flagged).toList();
    return new AddedTokenFlags(ids.get(0), ids.get(1), ids.get(2), ids.get(3));
  }

  private int[] flagged(String flag) {
    return model.call(core -> core.metadata(AddedTokenFlags.KEYS + flag)).map(ModelText::integers).orElse(new int[0]);
  }

  private Optional<Metadata> find(String name) {
    return model.call(core -> core.metadata(KEYS + name));
  }

  private String string(String name) {
    return find(name).filter(Metadata::isString).map(Metadata::string).orElse(null);
  }

  private int id(String name) {
    Object value = find(name).map(Metadata::value).orElse(-1L);
    return value instanceof Long id ? Math.clamp(id, -1, Integer.MAX_VALUE) : -1;
  }

  private static Utf8Strings strings(Metadata array) {
    if (!array.isStringArray()) {
      throw new TokenizerException(array.key() + " is not an array of strings");
    }
    return Utf8Strings.ofLengthPrefixed(array.data(), array.count());
  }

  private static int[] integers(Metadata array) {
    if (!array.isIntArray()) {
      throw new TokenizerException(array.key() + " is not an array of 32-bit integers");
    }
    return array.ints();
  }
}
