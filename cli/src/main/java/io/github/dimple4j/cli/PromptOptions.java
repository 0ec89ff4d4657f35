package io.github.dimple4j.cli;

import io.github.dimple4j.Image;
import io.github.dimple4j.ImageOptions;
import io.github.dimple4j.Template;
import io.github.dimple4j.chat.ChatTemplate;
import io.github.dimple4j.chat.ChatTemplateException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/**
 * The options that say what a model is asked and what is settled of its response, for all commands in one place. All of them take pictures;
 * beyond that each command has the set that it can serve.
 */
abstract class PromptOptions {
  @Spec(Spec.Target.MIXEE) private CommandSpec spec;

  @Option(names = "--image", paramLabel = "FILE", description = "A picture (PNG, JPEG, WebP, GIF, BMP, TIFF); may be given several times.")
  private List<Path> pictures = List.of();

  @Option(names = "--background", paramLabel = "COLOR", converter = ColorConverter.class,
      description = "Blend transparent pictures with a colour: white, black or #RRGGBB (default: transparency is dropped).")
  private Integer background;

  @Option(names = "--min-side", paramLabel = "PIXELS", defaultValue = "0",
      description = "Enlarge pictures whose shorter side has fewer pixels (default: one that is too small for the model is refused).")
  private int minimumSide;

  /** Checks what does not depend on the model, so that it is wrong usage and not failed work. */
  void check() {
    if (minimumSide < 0 || minimumSide > ImageOptions.MAX_MINIMUM_SIDE) {
      throw Failures.invalidValue(spec, "--min-side", minimumSide + ", expected 0 to " + ImageOptions.MAX_MINIMUM_SIDE);
    }
    if (pictures.isEmpty() && !picturesComeLater() && (minimumSide > 0 || background != null)) {
      throw wrongUsage((minimumSide > 0 ? "--min-side" : "--background") + " goes with --image");
    }
  }

  /** Whether there may be pictures without {@code --image}. */
  boolean picturesComeLater() {
    return false;
  }

  /** What becomes of transparent and of small pictures. */
  final ImageOptions imageOptions() {
    ImageOptions.Builder options = ImageOptions.builder().minimumSide(minimumSide);
    if (background != null) {
      options.background(background);
    }
    return options.build();
  }

  final CommandSpec spec() {
    return spec;
  }

  final List<Path> pictures() {
    return pictures;
  }

  final ParameterException wrongUsage(String message) {
    return new ParameterException(spec.commandLine(), message);
  }

  final void checkLength(int maxNewTokens) {
    if (maxNewTokens < 1) {
      throw Failures.invalidValue(spec, "--max-new-tokens", maxNewTokens + ", expected 1 or more");
    }
  }

  /** Prompts of text, which a chat template writes. */
  abstract static class OfWords extends PromptOptions {
    @Option(names = "--chat-template", paramLabel = "FILE", converter = TextSource.Converter.class,
        description = "Write the prompt by the chat template (Jinja) in this file, not by the model's own.")
    private TextSource chatTemplate;

    @Option(names = "--raw", description = "The text is the prompt as it stands, without a chat template; control tokens are spelled out in it.")
    private boolean raw;

    @Option(names = "--think", description = "Have the model think before it answers, if its chat template knows of that.")
    private boolean think;

    @Override
    void check() {
      super.check();
      if (raw && chatTemplate != null) {
        throw wrongUsage("--raw goes without a chat template, and --chat-template names one");
      }
      if (raw && think) {
        throw wrongUsage("--think goes with a chat template, not with --raw");
      }
    }

    final void checkSystem(String system) {
      if (raw && system != null) {
        throw wrongUsage("--system goes with a chat template, not with --raw");
      }
    }

    final boolean thinks() {
      return think;
    }

    final boolean raw() {
      return raw;
    }

    final boolean hasChatTemplate() {
      return chatTemplate != null;
    }

    /** Reads the chat template. */
    final PromptFormat format() throws IOException {
      if (chatTemplate == null) {
        return new PromptFormat(null, raw, think);
      }
      try {
        return new PromptFormat(ChatTemplate.parse(chatTemplate.read()), false, think);
      } catch (ChatTemplateException e) {
        throw new IOException(chatTemplate.title() + ": " + e.getMessage(), e);
      }
    }
  }

  /** Where a question stands. */
  private static class Question {
    @Option(names = "--prompt", paramLabel = "TEXT", description = "The question.")
    private String text;

    @Option(names = "--prompt-file", paramLabel = "FILE", converter = TextSource.Converter.class,
        description = "The question as a file in UTF-8; - is standard input. A line end at its end is left out.")
    private TextSource file;

    final String read() throws IOException {
      return file == null ? text : file.readWithoutLastLineEnd();
    }
  }

  /** {@code run}: a question as text, and an answer that people read. */
  static final class OfText extends OfWords {
    @ArgGroup(multiplicity = "1")
    private Question question;

    @Option(names = "--system", paramLabel = "TEXT", description = "The system message (default: that of the model's chat template).")
    private String system;

    @Option(names = "--max-new-tokens", paramLabel = "N",
        description = "Length of the response (default: 64, or that of the template).")
    private Integer maxNewTokens;

    @Option(names = "--response-template", paramLabel = "TEXT", converter = SlotTemplate.class,
        description = "The answer with {{slot:N}} where the model fills in N tokens.")
    private Template template;

    @Override
    void check() {
      super.check();
      if (maxNewTokens != null) {
        checkLength(maxNewTokens);
      }
      checkSystem(system);
    }

    boolean hasTemplate() {
      return template != null;
    }

    /** Reads the question and the chat template, if they are files. */
    Prompt prompt() throws IOException {
      OptionalInt length = maxNewTokens == null ? OptionalInt.empty() : OptionalInt.of(maxNewTokens);
      return new Prompt(question.read(), null, system, pictures(), template, length, Map.of(), format());
    }
  }

  /** {@code chat}: what stands around the messages. */
  static final class OfConversation extends PromptOptions {
    @Option(names = "--system", paramLabel = "TEXT", description = "The system message (default: that of the model's chat template).")
    private String system;

    @Option(names = "--max-new-tokens", paramLabel = "N", description = "Length of an answer (default: 64).")
    private Integer maxNewTokens;

    @Override
    boolean picturesComeLater() {
      return true;
    }

    @Override
    void check() {
      super.check();
      if (maxNewTokens != null) {
        checkLength(maxNewTokens);
      }
    }

    String system() {
      return system;
    }

    OptionalInt length() {
      return maxNewTokens == null ? OptionalInt.empty() : OptionalInt.of(maxNewTokens);
    }
  }

  /** Text or token ids. */
  abstract static class OfEither extends OfWords {
    @ArgGroup(multiplicity = "1")
    private Kind kind;

    /** Text for the chat template, or token ids. */
    private static final class Kind extends Question {
      @Option(names = "--ids-file", paramLabel = "IDS.json", description = "The prompt as a JSON list of token ids, image placeholders expanded.")
      private Path ids;
    }

    @Option(names = "--system", paramLabel = "TEXT", description = "With a question: the system message.")
    private String system;

    @Override
    void check() {
      super.check();
      if (kind.ids != null) {
        refuseWithIds("--system", system != null);
        refuseWithIds("--raw", raw());
        refuseWithIds("--think", thinks());
        refuseWithIds("--chat-template", hasChatTemplate());
      }
      checkSystem(system);
    }

    private void refuseWithIds(String option, boolean given) {
      if (given) {
        throw wrongUsage(option + " goes with --prompt, not with --ids-file");
      }
    }

    /** Reads the question, the chat template or the token ids. */
    final Prompt prompt(OptionalInt length, Map<Integer, Integer> prior) throws IOException {
      int[] tokens = kind.ids == null ? null : TokenIdFile.read(kind.ids);
      return new Prompt(kind.read(), tokens, system, pictures(), null, length, prior, format());
    }
  }

  /** {@code trace}: a response whose tokens can be fixed. */
  static final class OfTextOrTokens extends OfEither {
    @Option(names = "--max-new-tokens", paramLabel = "N", defaultValue = "64", description = "Length of the response (default: ${DEFAULT-VALUE}).")
    private int maxNewTokens;

    @Option(names = "--prior", paramLabel = "POS=ID,...", converter = PriorTokens.class,
        description = "Fix response positions (from 0) to token ids.")
    private PriorTokens.Fixed prior = new PriorTokens.Fixed(Map.of());

    @Override
    void check() {
      super.check();
      checkLength(maxNewTokens);
    }

    Prompt prompt() throws IOException {
      return prompt(OptionalInt.of(maxNewTokens), prior.tokens());
    }
  }

  /** {@code score}: no response but the answers. */
  static final class OfAnswers extends OfEither {
    Prompt prompt() throws IOException {
      return prompt(OptionalInt.empty(), Map.of());
    }
  }

  /** {@code logits}: token ids, and no response. */
  static final class OfTokens extends PromptOptions {
    @Option(names = "--ids-file", required = true, paramLabel = "IDS.json",
        description = "The prompt as a JSON list of token ids, image placeholders expanded.")
    private Path ids;

    /** Reads the token ids. */
    Prompt prompt() throws IOException {
      return new Prompt(null, TokenIdFile.read(ids), null, pictures(), null, OptionalInt.empty(), Map.of(), PromptFormat.OF_MODEL);
    }
  }

  /** {@code eval} and {@code batch}: everything is in the file of questions, pictures too. */
  static final class OfQuestions extends OfWords {
    @Override
    boolean picturesComeLater() {
      return true;
    }

    @Override
    void check() {
      super.check();
      pictures().forEach(Image::read); // one that cannot be read is failed work here as elsewhere
      if (!pictures().isEmpty()) {
        throw wrongUsage("--image does not go with " + spec().name() + ": the questions name their pictures");
      }
    }
  }
}
