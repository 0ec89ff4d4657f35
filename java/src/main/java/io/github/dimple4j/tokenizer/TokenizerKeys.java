package io.github.dimple4j.tokenizer;

import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import java.util.function.Predicate;

/**
 * The keys {@code tokenizer.*} of a model file as {@link TokenizerData}, whatever reads the file. A key that is there and of another type than
 * it has to be is an error: taken for absent it would make other tokens of a text, and nobody would know. Immutable.
 */
public final class TokenizerKeys {
  private static final String KEYS = "tokenizer.ggml.";
  private static final String TOOL_TEMPLATE = "tokenizer.chat_template.tool_use";
  /** Vocabularies in SentencePiece's spelling, where begin-of-text is added unless the file says otherwise (as llama.cpp has it). */
  private static final Set<String> SENTENCE_PIECE = Set.of("gemma4", "llama");

  private final Function<String, Object> values;

  /**
   * Takes what reads a file.
   *
   * @param values from a key's full name to its value: null if it is absent, a {@link String}, {@link Boolean}, {@link Long}, {@link Utf8Strings}
   *     for an array of strings, {@code int[]} for one of 32-bit integers, {@code float[]} for one of 32-bit floats, and any other object for
   *     any other value, which messages then quote
   */
  public TokenizerKeys(Function<String, Object> values) {
    this.values = Objects.requireNonNull(values, "values");
  }

  /**
   * Reads everything.
   *
   * @return the tokenizer's data
   * @throws TokenizerException if a key is of another type than it has to be, or the file has no tokens
   */
  public TokenizerData data() {
    String model = read("model", String.class, "a string").orElse(null);
    boolean sentencePiece = SENTENCE_PIECE.contains(String.valueOf(model));
    refuseUnless(model, "add_space_prefix", "llama"::equals);
    refuseUnless(model, "normalizer.nfc", name -> !SENTENCE_PIECE.contains(name));
    List<int[]> flags = AddedTokenFlags.NAMES.stream().map(name -> integers(AddedTokenFlags.KEYS + name).orElse(new int[0])).toList();
    return new TokenizerData(model, read("pre", String.class, "a string").orElse(null),
        strings("tokens").orElseThrow(() -> new TokenizerException(KEYS + "tokens is missing")), integers(KEYS + "token_type").orElse(null),
        strings("merges").orElse(Utf8Strings.of(List.of())), flag("add_bos_token").orElse(sentencePiece), id("bos_token_id"), id("eos_token_id"),
        id("padding_token_id"), id("mask_token_id"), ends(), new AddedTokenFlags(flags.get(0), flags.get(1), flags.get(2), flags.get(3)),
        flag("normalizer.nfc").orElse(null), sentencePiece ? sentencePiece() : SentencePieceData.NONE);
  }

  /**
   * The tokens that end a text, which a file can name that has no vocabulary, or one that is not read.
   *
   * @return token ids, ascending
   * @throws TokenizerException if a key is of another type than it has to be
   */
  public int[] ends() {
    Utf8Strings tokens = values.apply(KEYS + "tokens") instanceof Utf8Strings spellings ? spellings : Utf8Strings.of(List.of());
    return EndTokens.of(tokens, this::id, integers(KEYS + EndTokens.LIST_KEY).orElse(new int[0]));
  }

  /**
   * The padding token.
   *
   * @return its id, or -1
   * @throws TokenizerException if the key is no integer from 0 on
   */
  public int paddingId() {
    return id("padding_token_id");
  }

  /**
   * How conversations are written.
   *
   * @return the Jinja program, if the file has one
   * @throws TokenizerException if the key is no string, or the file has programs by names (tokenizer.chat_templates) and none by default
   */
  public Optional<String> chatTemplate() {
    Optional<String> template = read("tokenizer.chat_template", values.apply("tokenizer.chat_template"), String.class, "a string");
    if (template.isEmpty() && values.apply("tokenizer.chat_templates") != null) {
      throw new TokenizerException("tokenizer.chat_template is missing, and tokenizer.chat_templates names others; expected one by default");
    }
    return template;
  }

  /**
   * How conversations with tools are written, where that is another way.
   *
   * @return the Jinja program of the name {@code tool_use}, if the file has one
   * @throws TokenizerException if the key is no string
   */
  public Optional<String> toolTemplate() {
    return read(TOOL_TEMPLATE, values.apply(TOOL_TEMPLATE), String.class, "a string");
  }

  private SentencePieceData sentencePiece() {
    return new SentencePieceData(read("scores", float[].class, "an array of 32-bit floats").orElse(null), flag("add_space_prefix").orElse(true),
        id("unknown_token_id"));
  }

  private Optional<Utf8Strings> strings(String name) {
    return read(name, Utf8Strings.class, "an array of strings");
  }

  private Optional<int[]> integers(String key) {
    return read(key, values.apply(key), int[].class, "an array of 32-bit integers");
  }

  private Optional<Boolean> flag(String name) {
    return read(name, Boolean.class, "a boolean");
  }

  private int id(String name) {
    long id = read(name, Long.class, "an integer").orElse(-1L);
    if (id > Integer.MAX_VALUE || id < 0 && values.apply(KEYS + name) != null) {
      throw new TokenizerException(KEYS + name + " = " + id + " is not the number of a token");
    }
    return (int) id;
  }

  private <T> Optional<T> read(String name, Class<T> type, String expected) {
    return read(KEYS + name, values.apply(KEYS + name), type, expected);
  }

  /** What a vocabulary of another kind may ask for, but this one does not do: passed over it would make other tokens of a text. */
  private void refuseUnless(String model, String name, Predicate<String> done) {
    if (model != null && !done.test(model) && flag(name).orElse(false)) {
      throw new TokenizerException(KEYS + name + " is true; expected false with " + KEYS + "model " + model);
    }
  }

  private static <T> Optional<T> read(String key, Object value, Class<T> type, String expected) {
    if (value == null) {
      return Optional.empty();
    }
    if (!type.isInstance(value)) {
      throw new TokenizerException(key + " is " + describe(value) + "; expected " + expected);
    }
    return Optional.of(type.cast(value));
  }

  private static String describe(Object value) {
    return switch (value) {
      case Utf8Strings strings -> "an array of strings";
      case int[] integers -> "an array of 32-bit integers";
      case float[] floats -> "an array of 32-bit floats";
      case List<?> list -> "another array";
      default -> {
        String text = value.toString();
        yield text.length() <= 40 ? text : text.substring(0, 37) + "...";
      }
    };
  }

  /**
   * What it is, for logs.
   *
   * @return for example {@code "TokenizerKeys[gpt2]"}
   */
  @Override
  public String toString() {
    return "TokenizerKeys[" + values.apply(KEYS + "model") + "]";
  }
}
