package io.github.dimple4j.gguf.checkpoint;

import io.github.dimple4j.gguf.GgufException;
import io.github.dimple4j.gguf.MetadataType;
import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.TokenType;
import io.github.dimple4j.tokenizer.AddedTokenFlags;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.MissingNode;

/**
 * The tokenizer of a Hugging Face directory, byte-level or in SentencePiece's spelling: {@code tokenizer.json}, or for the former
 * {@code vocab.json} with {@code merges.txt}; added tokens and the names of special ones from {@code tokenizer_config.json}, or {@code
 * special_tokens_map.json}; the chat template from there or from {@code chat_template.jinja} or {@code chat_template.json}.
 */
public final class TokenizerFiles {
  private static final String BLANK = "\u2581";
  private static final Pattern BYTE = Pattern.compile("<0x[0-9A-F]{2}>");
  /** What llama.cpp's converter writes where it knows no score. */
  private static final float NO_SCORE = -1000;
  /** Gemma 4's special tokens that llama.cpp's converter calls user-defined ones, so that whoever reads an answer finds them in it. */
  private static final Set<String> SHOWN = Set.of("<|channel>", "<channel|>", "<|tool_call>", "<tool_call|>", "<|tool_response>",
      "<tool_response|>", "<|\"|>");

  private final Path directory;
  private final String[] tokens;
  private final TokenType[] types;
  private final Map<String, Integer> ids = new HashMap<>();
  private final List<String> merges = new ArrayList<>();
  private final Map<String, Set<Integer>> flagged = new LinkedHashMap<>(); // added tokens by the names of their flags
  private boolean single; // tokenizer.json is there
  private boolean sentencePiece; // blanks are U+2581, and characters that have no token are bytes
  private JsonSettings config;
  private NamedTokens named;
  private final List<String> overruled = new ArrayList<>(); // settings that another file decides
  private PreTokenizer preTokenizer;
  private Boolean nfc; // null: not said
  private String leading; // what the post-processor puts before a text; null: nothing

  private TokenizerFiles(Path directory, int vocabulary, PreTokenizer preTokenizer) {
    this.directory = directory;
    this.preTokenizer = preTokenizer;
    this.tokens = new String[vocabulary];
    this.types = new TokenType[vocabulary];
  }

  /**
   * Reads the tokenizer.
   *
   * @param vocabulary ids there are
   * @param preTokenizer for files that do not tell it
   * @return empty if the directory has none
   */
  public static Optional<TokenizerFiles> read(Path directory, int vocabulary, PreTokenizer preTokenizer) throws IOException {
    TokenizerFiles tokenizer = new TokenizerFiles(directory, vocabulary, preTokenizer);
    Path single = directory.resolve("tokenizer.json");
    Path vocab = directory.resolve("vocab.json");
    Path settings = directory.resolve("tokenizer_config.json");
    tokenizer.config = Files.exists(settings) ? JsonSettings.read(settings) : JsonSettings.empty(settings.toString());
    tokenizer.requirePlainSettings();
    Path map = directory.resolve("special_tokens_map.json");
    tokenizer.named = new NamedTokens(tokenizer.config, Files.exists(map) ? JsonSettings.read(map) : JsonSettings.empty(map.toString()));
    tokenizer.single = Files.exists(single);
    if (tokenizer.single) {
      tokenizer.readSingle(single);
    } else if (Files.exists(vocab)) {
      tokenizer.addVocabulary(vocab, Json.read(vocab));
      tokenizer.readMerges(directory.resolve("merges.txt"));
    } else {
      return Optional.empty();
    }
    tokenizer.readAddedTokens();
    tokenizer.addNamed(settings);
    return Optional.of(tokenizer);
  }

  /**
   * Adds a control token that the files have not.
   *
   * @param id of a row of the embedding matrix that no token has
   */
  public void addUnspelled(int id, String content) {
    if (tokens[id] != null || ids.containsKey(content)) {
      throw new GgufException(directory + ": its tokenizer has " + (tokens[id] != null ? "the token \"" + tokens[id] + "\" with id " + id
          : "a token \"" + content + "\" of its own") + ", expected none: it is the place of a picture, \"" + content + "\"");
    }
    add(directory, id, content, TokenType.CONTROL);
  }

  /** Settings of {@code tokenizer_config.json} that nothing here does, behind its name; to be asked for last. */
  public List<String> unread() {
    return Stream.concat(overruled.stream(), config.unknownOfTokenizer().stream()).map(name -> config + ": " + name).toList();
  }

  /** llama.cpp's keys of a tokenizer, without the special tokens' ids; and the flags of added tokens, for which it has none. */
  public Map<String, MetadataValue> metadata() throws IOException {
    List<Long> typeList = new ArrayList<>(types.length);
    List<String> tokenList = new ArrayList<>(tokens.length);
    for (int id = 0; id < tokens.length; id++) { // rows of the embedding matrix that no token has
      tokenList.add(tokens[id] != null ? tokens[id] : "[PAD" + id + "]");
      typeList.add((tokens[id] != null ? types[id] : TokenType.UNUSED).number());
    }
    Map<String, MetadataValue> keys = new LinkedHashMap<>();
    keys.put("tokenizer.ggml.model", MetadataValue.string(sentencePiece ? "gemma4" : "gpt2"));
    if (!sentencePiece) {
      keys.put("tokenizer.ggml.pre", MetadataValue.string(preTokenizer.ggufName()));
      if (nfc != null && nfc != preTokenizer.nfc()) {
        keys.put("tokenizer.ggml.normalizer.nfc", MetadataValue.bool(nfc));
      }
    }
    keys.put("tokenizer.ggml.tokens", MetadataValue.strings(tokenList));
    if (sentencePiece) { // which nobody reads, but all files of this kind have
      keys.put("tokenizer.ggml.scores", MetadataValue.float32s(Collections.nCopies(tokens.length, NO_SCORE)));
    }
    keys.put("tokenizer.ggml.token_type", MetadataValue.array(MetadataType.INT32, typeList));
    keys.put("tokenizer.ggml.merges", MetadataValue.strings(merges));
    keys.put("tokenizer.ggml.add_bos_token", MetadataValue.bool(addsBos()));
    if (sentencePiece) {
      keys.put("tokenizer.ggml.add_space_prefix", MetadataValue.bool(false));
      named("unk_token").ifPresent(id -> keys.put("tokenizer.ggml.unknown_token_id", MetadataValue.uint32(id)));
    }
    flagged.forEach((flag, ids) -> {
      if (!ids.isEmpty()) {
        keys.put(AddedTokenFlags.KEYS + flag, MetadataValue.array(MetadataType.INT32, ids.stream().map(Integer::longValue).toList()));
      }
    });
    return keys;
  }

  /**
   * Whether a text begins with the token of its beginning: as {@code tokenizer.json}'s post-processor says, and {@code tokenizer_config.json} where there is
   * no such file, as for the transformers library (5.12, PreTrainedTokenizerBase).
   */
  private boolean addsBos() {
    if (config.flag("add_eos_token", false)) {
      throw config.wrong("add_eos_token", "false: an end of text behind every text is not done");
    }
    boolean asked = config.flag("add_bos_token", false) && !content("bos_token").isEmpty();
    if (!single) {
      return asked;
    }
    if (config.has("add_bos_token") && asked != (leading != null) && !overruled.contains("add_bos_token")) {
      overruled.add("add_bos_token");
    }
    if (leading != null && !leading.equals(content("bos_token"))) {
      throw new GgufException(directory.resolve("tokenizer.json") + ": its post-processor puts \"" + leading
          + "\" before every text, which is not done; expected nothing, or the bos_token of tokenizer_config.json or special_tokens_map.json, "
          + (content("bos_token").isEmpty() ? "which names none" : "\"" + content("bos_token") + "\""));
    }
    return leading != null;
  }

  /** What the post-processor puts before every text; null: nothing. What it puts elsewhere is refused. */
  private String leadingToken(Path path, JsonNode processor) {
    String token = null;
    for (JsonNode step : processor.path("type").asString("").equals("Sequence") ? processor.path("processors") : List.of(processor)) {
      boolean none = step.isMissingNode() || step.isNull() || step.path("type").asString("").equals("ByteLevel");
      JsonNode pieces = step.path("single");
      boolean leads = pieces.size() == 2 && pieces.get(0).has("SpecialToken") && pieces.get(1).has("Sequence");
      boolean plain = pieces.size() == 1 && pieces.get(0).has("Sequence");
      if (!none && (!step.path("type").asString("").equals("TemplateProcessing") || !leads && !plain)) {
        throw new GgufException(path + ": its post-processor has the step " + step + ", which is not done; expected one token before a text at most");
      }
      token = !none && leads ? pieces.get(0).path("SpecialToken").path("id").asString("") : token;
    }
    return token;
  }

  /**
   * Fills in the ids that the model's configuration left open from the tokenizer's named special tokens. How a text begins is the tokenizer's business
   * alone, as it is for the transformers library: what it names goes before the configuration.
   */
  public SpecialTokens complete(SpecialTokens special) {
    OptionalInt mask = named("mask_token");
    if (mask.isPresent() && special.mask().isPresent() && !mask.equals(special.mask())) {
      throw new GgufException(directory + ": its tokenizer's mask_token is \"" + content("mask_token") + "\" with id " + mask.getAsInt()
          + "; expected the model's mask token, " + special.mask().getAsInt());
    }
    return new SpecialTokens(named("bos_token").isPresent() ? named("bos_token") : special.bos(),
        special.eos().isPresent() ? special.eos() : named("eos_token"),
        special.padding().isPresent() ? special.padding() : named("pad_token"),
        special.mask().isPresent() ? special.mask() : mask, special.ends());
  }

  private OptionalInt named(String key) {
    Integer id = ids.get(content(key));
    return id == null ? OptionalInt.empty() : OptionalInt.of(id);
  }

  private String content(String key) {
    return named.content(key);
  }

  /** Makes special tokens of all that are named: of pieces of the vocabulary, and behind all others those that it has not, as far as there is room. */
  private void addNamed(Path path) {
    for (Map.Entry<String, JsonNode> token : named.all().entrySet()) {
      String content = NamedTokens.spelling(token.getValue());
      Integer known = ids.get(content);
      int id = known != null ? known : firstFree();
      if (id == tokens.length) {
        overruled.add(token.getKey());
      } else if (known == null || types[id] == TokenType.NORMAL || types[id] == TokenType.BYTE) {
        addSpecial(path, id, content, token.getValue(), true);
      }
    }
  }

  private int firstFree() {
    int free = tokens.length;
    while (free > 0 && tokens[free - 1] == null) {
      free--;
    }
    return free;
  }

  /** Refuses what makes other tokens of texts and has no place in a GGUF file. */
  private void requirePlainSettings() {
    for (String key : List.of("add_prefix_space", "do_lower_case", "split_special_tokens")) {
      if (config.flag(key, false)) {
        throw config.wrong(key, "false: it changes the tokens of texts, and is not done");
      }
    }
  }

  /** How tokens become text again: by their bytes, or, with blanks as U+2581, by their letters and the bytes among them. */
  private void requireDecoder(Path path, JsonNode json) {
    if (json.isMissingNode() || json.isNull()) {
      return;
    }
    List<JsonNode> steps = new ArrayList<>();
    (json.path("type").asString("").equals("Sequence") ? json.path("decoders") : List.of(json)).forEach(steps::add);
    List<String> kinds = steps.stream().map(step -> step.path("type").asString("")).toList();
    boolean known = sentencePiece ? kinds.equals(List.of("Replace", "ByteFallback", "Fuse"))
        && steps.getFirst().path("pattern").path("String").asString("").equals(BLANK) && steps.getFirst().path("content").asString("").equals(" ")
        : kinds.equals(List.of("ByteLevel"));
    if (!known) {
      throw new GgufException(path + ": its decoder is " + json + ", which is not done; expected "
          + (sentencePiece ? "one that replaces \"" + BLANK + "\" by \" \", ByteFallback and Fuse" : "ByteLevel"));
    }
  }

  private void readSingle(Path path) throws IOException {
    JsonNode root = Json.read(path);
    JsonNode model = root.path("model");
    String kind = model.path("type").asString("BPE");
    if (!kind.equals("BPE")) {
      throw new GgufException(path + ": the tokenizer is of type \"" + kind + "\"; expected \"BPE\"");
    }
    requireNothingElse(path, model);
    sentencePiece = model.path("byte_fallback").asBoolean(false);
    if (sentencePiece) {
      requireGemma(path, root);
    } else {
      readNormalizer(path, root.path("normalizer"));
      readPreTokenizer(path, root.path("pre_tokenizer"));
    }
    requireDecoder(path, root.path("decoder"));
    leading = leadingToken(path, root.path("post_processor"));
    addVocabulary(path, model.path("vocab"));
    for (JsonNode merge : model.path("merges")) { // "left right", or since 2024 ["left", "right"]
      if (merge.isArray() && merge.size() == 2) {
        addMerge(path, merge.get(0).asString("") + " " + merge.get(1).asString(""));
      } else {
        addMerge(path, merge.asString(""));
      }
    }
    addInOrder(path, root.path("added_tokens"));
  }

  /**
   * Tokens that the vocabulary has not are numbered in their order behind it by Hugging Face's tokenizers, whatever the file says: out of order
   * there is no telling which of the two is meant. Gaps are as the file has them.
   */
  private void addInOrder(Path path, JsonNode added) {
    int next = ids.size();
    for (JsonNode token : added) {
      String content = token.path("content").asString("");
      int id = Json.id(token.path("id"));
      boolean known = ids.containsKey(content);
      addSpecial(path, id, token);
      if (id < next && !known) {
        throw new GgufException(path + ": the added token \"" + content + "\" has id " + id + ", which is not its place; expected " + next
            + " or more, for added tokens stand in the order of their ids, behind the vocabulary");
      }
      next = Math.max(next, id + 1);
    }
  }

  /** What changes tokens and has no place in a GGUF file. */
  private static void requireNothingElse(Path path, JsonNode model) {
    for (String key : List.of("dropout", "continuing_subword_prefix", "end_of_word_suffix", "ignore_merges")) {
      JsonNode value = model.path(key);
      boolean none = value.isMissingNode() || value.isNull() || value.asString("x").isEmpty() || !value.asBoolean(true)
          || value.asDouble(1) == 0;
      if (!none) {
        throw new GgufException(path + ": \"model." + key + "\" is " + value + ", which is not done; expected none");
      }
    }
  }

  /** Form C, or nothing; where there is no word of it, the rule of the pre-tokenizer decides. */
  private void readNormalizer(Path path, JsonNode json) {
    if (json.isMissingNode()) {
      return;
    }
    boolean sequence = json.path("type").asString("").equals("Sequence");
    JsonNode only = sequence && json.path("normalizers").size() == 1 ? json.path("normalizers").get(0) : json;
    nfc = only.path("type").asString("").equals("NFC");
    if (!nfc && !json.isNull() && !(sequence && json.path("normalizers").isEmpty())) {
      throw new GgufException(path + ": its normalizer is " + json + ", which is not done; expected NFC or none");
    }
  }

  /** Of the tokenizers with bytes to fall back on those are known that make blanks U+2581, and nothing else. */
  private static void requireGemma(Path path, JsonNode root) {
    JsonNode normalizer = root.path("normalizer");
    boolean blanks = normalizer.path("type").asString("").equals("Replace") && normalizer.path("pattern").path("String").asString("").equals(" ")
        && normalizer.path("content").asString("").equals(BLANK);
    if (!blanks) {
      throw new GgufException(path + ": the tokenizer falls back on bytes, and its normalizer is " + normalizer
          + "; expected one that replaces \" \" by \"" + BLANK + "\", as Gemma's");
    }
    JsonNode splitter = root.path("pre_tokenizer"); // a split at blanks finds none
    if (!splitter.isMissingNode() && !splitter.isNull() && !splitter.path("pattern").path("String").asString("").equals(" ")) {
      throw new GgufException(path + ": the tokenizer falls back on bytes, and its pre-tokenizer is " + splitter
          + "; expected none, or a split at \" \"");
    }
  }

  /** Names the way words are cut; without an expression of its own, the byte-level splitter cuts as GPT-2 does. */
  private void readPreTokenizer(Path path, JsonNode json) {
    requireSplitter(path, json);
    List<String> patterns = json.findValuesAsString("Regex");
    if (!patterns.isEmpty()) {
      Optional<PreTokenizer> known = patterns.size() == 1 ? PreTokenizer.of(patterns.getFirst()) : Optional.empty();
      preTokenizer = known.orElseThrow(() -> new GgufException(
          path + ": the pre-tokenizer's pattern is none of Qwen2's, Ling's and GPT-2's: " + patterns));
    } else if (!json.isMissingNode()) {
      preTokenizer = PreTokenizer.GPT2;
    }
  }

  /**
   * One step at most that splits at matches that become words themselves, and behind it the byte-level one, which else splits by GPT-2's expression:
   * nothing else, and no blank in front. Where there is no word of it, the rule of the family decides.
   */
  private static void requireSplitter(Path path, JsonNode json) {
    if (json.isMissingNode()) {
      return;
    }
    boolean splits = false;
    boolean bytes = false;
    for (JsonNode step : json.path("type").asString("").equals("Sequence") ? json.path("pretokenizers") : List.of(json)) {
      boolean known = switch (step.path("type").asString("")) {
        case "ByteLevel" -> !bytes && !step.path("add_prefix_space").asBoolean(false) && step.path("use_regex").asBoolean(true) != splits;
        case "Split" -> !splits && !bytes && step.path("pattern").path("Regex").isString()
            && (step.path("behavior").asString("Isolated").equals("Isolated")
            || step.path("behavior").asString("").equals("Removed") && step.path("invert").asBoolean(false));
        default -> false;
      };
      if (!known) {
        throw new GgufException(path + ": its pre-tokenizer has the step " + step + (splits ? " behind another" : "")
            + ", which is not done; expected Split into isolated matches and then ByteLevel without use_regex, or ByteLevel with it");
      }
      splits |= step.path("type").asString("").equals("Split");
      bytes |= step.path("type").asString("").equals("ByteLevel");
    }
    if (!bytes) {
      throw new GgufException(path + ": its pre-tokenizer is " + json
          + ", without the step ByteLevel; expected it, for texts are cut into bytes here");
    }
  }

  private void readMerges(Path path) throws IOException {
    if (!Files.exists(path)) {
      throw new GgufException(path + " is missing");
    }
    Json.text(path).lines().filter(line -> !line.isEmpty() && !line.startsWith("#version")).forEach(line -> addMerge(path, line));
  }

  private void readAddedTokens() throws IOException {
    Path path = directory.resolve("tokenizer_config.json");
    for (Map.Entry<String, JsonNode> token : config.node("added_tokens_decoder").properties()) {
      int id = token.getKey().matches("\\d{1,9}") ? Integer.parseInt(token.getKey()) : -1;
      addSpecial(path, id, token.getValue());
    }
    Path plain = directory.resolve("added_tokens.json");
    if (Files.exists(plain) && !config.has("added_tokens_decoder")) { // beside which the library does not look at it
      for (Map.Entry<String, JsonNode> token : Json.read(plain).properties()) {
        int id = Json.id(token.getValue());
        requireId(plain, token.getKey(), id);
        if (tokens[id] == null) {
          addSpecial(plain, id, token.getKey(), MissingNode.getInstance(), named.includes(token.getKey()));
        }
      }
    }
  }

  private void addVocabulary(Path path, JsonNode vocabulary) {
    if (!vocabulary.isObject() || vocabulary.isEmpty()) {
      throw new GgufException(path + ": the vocabulary is missing");
    }
    for (Map.Entry<String, JsonNode> entry : vocabulary.properties()) {
      int id = Json.id(entry.getValue());
      requireId(path, entry.getKey(), id);
      if (tokens[id] != null) {
        throw new GgufException(path + ": tokens \"" + tokens[id] + "\" and \"" + entry.getKey() + "\" share the id " + id);
      }
      add(path, id, entry.getKey(), sentencePiece && BYTE.matcher(entry.getKey()).matches() ? TokenType.BYTE : TokenType.NORMAL);
    }
  }

  private void addMerge(Path path, String merge) {
    int space = merge.indexOf(' ');
    if (space <= 0 || space == merge.length() - 1 || merge.indexOf(' ', space + 1) >= 0) {
      throw new GgufException(path + ": merge \"" + merge + "\" is not two tokens");
    }
    if (sentencePiece && merge.indexOf('\n') >= 0 && !merge.replace('\n', ' ').isBlank()) {
      throw new GgufException(path + ": merge \"" + merge + "\" crosses a newline; GGUF's model \"gemma4\" cuts text there");
    }
    merges.add(merge);
  }

  /** An added token: its text counts as a whole, and a special one is no text at all. */
  private void addSpecial(Path path, int id, JsonNode token) {
    String content = token.path("content").asString("");
    requireId(path, content, id);
    if (content.isEmpty()) {
      throw new GgufException(path + ": the added token " + id + " has no content");
    }
    addSpecial(path, id, content, token, token.path("special").asBoolean(false));
  }

  private void addSpecial(Path path, int id, String content, JsonNode token, boolean special) {
    boolean shown = !special || sentencePiece && SHOWN.contains(content);
    add(path, id, content, shown ? TokenType.USER_DEFINED : TokenType.CONTROL);
    for (String flag : AddedTokenFlags.NAMES) { // of two files that name a token the later one counts, as it does for Hugging Face
      Set<Integer> ids = flagged.computeIfAbsent(flag, name -> new TreeSet<>());
      if (token.path(flag).asBoolean(flag.equals("normalized") && !special)) {
        ids.add(id);
      } else {
        ids.remove(id);
      }
    }
  }

  private void add(Path path, int id, String content, TokenType type) {
    if (tokens[id] != null && !tokens[id].equals(content)) {
      throw new GgufException(path + ": token " + id + " is \"" + content + "\" here and \"" + tokens[id] + "\" elsewhere");
    }
    Integer other = ids.put(content, id);
    if (other != null && other != id) {
      throw new GgufException(path + ": token \"" + content + "\" has the ids " + other + " and " + id);
    }
    tokens[id] = content;
    types[id] = type;
  }

  private void requireId(Path path, String content, int id) {
    if (id < 0 || id >= tokens.length) {
      throw new GgufException(path + ": token \"" + content + "\" has id " + id + "; config.json has room for 0 to "
          + (tokens.length - 1));
    }
  }

  /**
   * The chat template, and the one for conversations with tools if there is one, in llama.cpp's keys. Templates may write tokens by names: where such a name is another
   * token for the tokenizer than what whoever reads the file takes for it, which may be the model's configuration's, a template begins by saying so.
   *
   * @param special as the file has them
   */
  public Map<String, MetadataValue> chatTemplates(SpecialTokens special) throws IOException {
    Map<String, MetadataValue> keys = new LinkedHashMap<>();
    ChatTemplates templates = ChatTemplates.read(directory, config);
    templates.usual().ifPresent(source -> keys.put("tokenizer.chat_template", MetadataValue.string(withTokens(source, special))));
    templates.ofTools().ifPresent(source -> {
      keys.put("tokenizer.chat_templates", MetadataValue.strings(List.of(ChatTemplates.TOOLS)));
      keys.put("tokenizer.chat_template." + ChatTemplates.TOOLS, MetadataValue.string(withTokens(source, special)));
    });
    return keys;
  }

  private String withTokens(String source, SpecialTokens special) {
    Map<String, OptionalInt> known = Map.of("bos_token", special.bos(), "eos_token", special.eos(), "pad_token", special.padding(), "mask_token", special.mask());
    StringBuilder template = new StringBuilder();
    for (String name : NamedTokens.STANDARD) {
      OptionalInt id = known.getOrDefault(name, OptionalInt.empty());
      String read = id.isPresent() && id.getAsInt() < tokens.length ? tokens[id.getAsInt()] : null;
      String meant = content(name);
      if (!meant.isEmpty() && !meant.equals(read) && Pattern.compile("\\b" + name + "\\b").matcher(source).find()) {
        template.append("{% set ").append(name).append(" = '").append(meant.replace("\\", "\\\\").replace("'", "\\'")).append("' %}\n");
      }
    }
    return template.append(source).toString();
  }
}
