package io.github.dimple4j.gguf.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.dimple4j.chat.ChatTemplate;
import io.github.dimple4j.gguf.GgufException;
import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.tokenizer.Tokenizer;
import io.github.dimple4j.tokenizer.TokenizerData;
import io.github.dimple4j.tokenizer.Utf8Strings;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TokenizerFilesTest {
  private static final int VOCABULARY = 8;
  private static final String VOCAB = "{\"a\": 0, \"b\": 1, \"\u0120\": 2, \"ab\": 3, \"\u0120ab\": 4}";
  private static final String ADDED = "{\"id\": 5, \"content\": \"<|im_end|>\", \"special\": true},"
      + "{\"id\": 6, \"content\": \"<tool_call>\", \"special\": false}";
  private static final String MERGES = "[\"a b\", \"\u0120 ab\"]";

  private static final Pattern UNIT = Pattern.compile("\\\\u([0-9a-f]{4})");

  @TempDir private Path folder;

  @Test
  void directoriesWithoutATokenizerHaveNone() throws IOException {
    write("tokenizer_config.json", "{}");
    assertThat(TokenizerFiles.read(folder, VOCABULARY, PreTokenizer.QWEN2)).isEmpty();
  }

  @Test
  void singleFile() throws IOException {
    write("tokenizer.json", single("BPE", MERGES, ADDED));
    Map<String, MetadataValue> metadata = read().metadata();
    assertThat(metadata)
        .containsEntry("tokenizer.ggml.model", MetadataValue.string("gpt2"))
        .containsEntry("tokenizer.ggml.pre", MetadataValue.string("qwen2"))
        .containsEntry("tokenizer.ggml.tokens",
            MetadataValue.strings(List.of("a", "b", "\u0120", "ab", "\u0120ab", "<|im_end|>", "<tool_call>", "[PAD7]")))
        .containsEntry("tokenizer.ggml.token_type", MetadataValue.int32s(1, 1, 1, 1, 1, 3, 4, 5))
        .containsEntry("tokenizer.ggml.merges", MetadataValue.strings(List.of("a b", "\u0120 ab")))
        .containsEntry("tokenizer.ggml.add_bos_token", MetadataValue.bool(false))
        .doesNotContainKey("tokenizer.chat_template");
  }

  /** Of two files that name a token the tokenizer's configuration counts; without a word on it, all but special tokens are normalized. */
  @Test
  void flagsOfAddedTokensAreKept() throws IOException {
    write("tokenizer.json", single("BPE", MERGES, "{\"id\": 5, \"content\": \"<|im_end|>\", \"special\": true, \"rstrip\": true},"
        + "{\"id\": 6, \"content\": \"<tool_call>\", \"special\": false, \"single_word\": true, \"lstrip\": true}"));
    assertThat(read().metadata()).containsEntry("tokenizer.dimple.rstrip", MetadataValue.int32s(5))
        .containsEntry("tokenizer.dimple.lstrip", MetadataValue.int32s(6)).containsEntry("tokenizer.dimple.single_word", MetadataValue.int32s(6))
        .containsEntry("tokenizer.dimple.normalized", MetadataValue.int32s(6));
    write("tokenizer_config.json", "{\"added_tokens_decoder\": {\"6\": {\"content\": \"<tool_call>\", \"rstrip\": true, \"normalized\": false}}}");
    assertThat(read().metadata()).containsEntry("tokenizer.dimple.rstrip", MetadataValue.int32s(5, 6))
        .doesNotContainKeys("tokenizer.dimple.lstrip", "tokenizer.dimple.single_word", "tokenizer.dimple.normalized");
  }

  @Test
  void mergesAsPairs() throws IOException {
    write("tokenizer.json", single("BPE", "[[\"a\", \"b\"], [\"\u0120\", \"ab\"]]", ADDED));
    assertThat(read().metadata()).containsEntry("tokenizer.ggml.merges", MetadataValue.strings(List.of("a b", "\u0120 ab")));
  }

  @Test
  void vocabularyAndMergesInFilesOfTheirOwn() throws IOException {
    write("tokenizer.json", single("BPE", MERGES, ADDED));
    Map<String, MetadataValue> expected = read().metadata();
    Files.delete(folder.resolve("tokenizer.json"));
    write("vocab.json", VOCAB);
    write("merges.txt", "#version: 0.2\na b\n\u0120 ab\n");
    write("tokenizer_config.json", "{\"added_tokens_decoder\": {\"5\": {\"content\": \"<|im_end|>\", \"special\": true},"
        + "\"6\": {\"content\": \"<tool_call>\", \"special\": false}}}");
    assertThat(read().metadata()).isEqualTo(expected);
  }

  @Test
  void plainAddedTokensAreUserDefined() throws IOException {
    write("vocab.json", VOCAB);
    write("merges.txt", "a b\n");
    write("added_tokens.json", "{\"<tool_call>\": 6}");
    assertThat(read().metadata()).containsEntry("tokenizer.ggml.token_type", MetadataValue.int32s(1, 1, 1, 1, 1, 5, 4, 5))
        .containsEntry("tokenizer.dimple.normalized", MetadataValue.int32s(6));
    write("tokenizer_config.json", "{\"additional_special_tokens\": [\"<tool_call>\"]}");
    assertThat(read().metadata()).containsEntry("tokenizer.ggml.token_type", MetadataValue.int32s(1, 1, 1, 1, 1, 5, 3, 5))
        .doesNotContainKey("tokenizer.dimple.normalized");
    write("tokenizer_config.json", "{\"added_tokens_decoder\": {\"5\": {\"content\": \"<|im_end|>\", \"special\": true}}}"); // beside it the other file says nothing
    assertThat(read().metadata()).containsEntry("tokenizer.ggml.token_type", MetadataValue.int32s(1, 1, 1, 1, 1, 3, 5, 5));
  }

  @Test
  void preTokenizersAreRecognised() throws IOException {
    String tail = "|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}| ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+";
    assertThat(preTokenizer("{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Split\", \"pattern\": {\"Regex\": "
        + "\"(?i:'s|'t|'re|'ve|'m|'ll|'d)" + tail + "\"}}, {\"type\": \"ByteLevel\", \"use_regex\": false}]}")).isEqualTo("qwen2");
    assertThat(preTokenizer("{\"type\": \"ByteLevel\"}")).isEqualTo("gpt-2");
    write("tokenizer.json", "{\"model\": {\"vocab\": {\"a\": 0}}}"); // which does not say
    assertThat(TokenizerFiles.read(folder, VOCABULARY, PreTokenizer.LING).orElseThrow().metadata())
        .containsEntry("tokenizer.ggml.pre", MetadataValue.string(PreTokenizer.LING.ggufName()));
  }

  private Object preTokenizer(String json) throws IOException {
    write("tokenizer.json", "{\"pre_tokenizer\": " + json + ", \"model\": {\"vocab\": {\"a\": 0}}}");
    return TokenizerFiles.read(folder, VOCABULARY, PreTokenizer.LING).orElseThrow().metadata().get("tokenizer.ggml.pre").value();
  }

  @Test
  void namedTokensCompleteTheConfiguration() throws IOException {
    write("tokenizer.json", single("BPE", MERGES, ADDED));
    write("tokenizer_config.json", "{\"eos_token\": \"<|im_end|>\", \"pad_token\": {\"content\": \"<tool_call>\"}, \"bos_token\": null}");
    SpecialTokens special = new SpecialTokens(OptionalInt.empty(), OptionalInt.of(3), OptionalInt.empty(), OptionalInt.empty());
    assertThat(read().complete(special))
        .isEqualTo(new SpecialTokens(OptionalInt.empty(), OptionalInt.of(3), OptionalInt.of(6), OptionalInt.empty()));
  }

  @Test
  void chatTemplateFromEveryPlace() throws IOException {
    write("tokenizer.json", single("BPE", MERGES, ADDED));
    write("tokenizer_config.json", "{\"chat_template\": [{\"name\": \"tool_use\", \"template\": \"T\"},"
        + "{\"name\": \"default\", \"template\": \"D\"}]}");
    assertThat(template()).isEqualTo("D");
    write("tokenizer_config.json", "{\"chat_template\": {\"tool_use\": \"T\", \"default\": \"O\"}}");
    assertThat(template()).isEqualTo("O");
    write("tokenizer_config.json", "{\"chat_template\": \"C\"}");
    assertThat(template()).isEqualTo("C");
    write("chat_template.json", "{\"chat_template\": \"J\"}"); // a processor's
    assertThat(template()).isEqualTo("C");
    write("preprocessor_config.json", "{}");
    assertThat(template()).isEqualTo("J");
    Files.delete(folder.resolve("preprocessor_config.json"));
    write("tokenizer_config.json", "{}");
    assertThat(template()).isEqualTo("J");
    write("chat_template.jinja", "F\n");
    assertThat(template()).isEqualTo("F\n");
    Files.write(folder.resolve("chat_template.jinja"), new byte[] {'a', (byte) 0xff});
    assertThatThrownBy(this::template).isInstanceOf(GgufException.class).hasMessage(folder.resolve("chat_template.jinja") + ": is no UTF-8 text");
  }

  /** The template of the name tool_use, which the transformers library takes where there are tools. */
  @Test
  void templateOfTools() throws IOException {
    write("tokenizer.json", single("BPE", MERGES, ADDED));
    for (String both : List.of("[{\"name\": \"tool_use\", \"template\": \"{{ sep_token }}T\"}, {\"name\": \"rag\", \"template\": \"R\"}, {\"name\": \"default\", \"template\": \"D\"}]",
        "{\"tool_use\": \"{{ sep_token }}T\", \"default\": \"D\"}")) {
      write("tokenizer_config.json", "{\"sep_token\": \"ab\", \"chat_template\": " + both + "}");
      assertThat(read().chatTemplates(SpecialTokens.read(JsonSettings.empty("none")))).isEqualTo(Map.of("tokenizer.chat_template", MetadataValue.string("D"),
          "tokenizer.chat_templates", MetadataValue.strings(List.of("tool_use")), "tokenizer.chat_template.tool_use",
          MetadataValue.string("{% set sep_token = 'ab' %}\n{{ sep_token }}T")));
    }
    write("chat_template.jinja", "F"); // which goes before all that
    assertThat(read().chatTemplates(SpecialTokens.read(JsonSettings.empty("none")))).isEqualTo(Map.of("tokenizer.chat_template", MetadataValue.string("F")));
    Files.createDirectory(folder.resolve("additional_chat_templates"));
    write("additional_chat_templates/tool_use.jinja", "A");
    assertThat(read().chatTemplates(SpecialTokens.read(JsonSettings.empty("none")))).containsEntry("tokenizer.chat_template", MetadataValue.string("F"))
        .containsEntry("tokenizer.chat_template.tool_use", MetadataValue.string("A"));
    Files.delete(folder.resolve("chat_template.jinja"));
    write("tokenizer_config.json", "{}");
    assertThatThrownBy(() -> read().chatTemplates(SpecialTokens.read(JsonSettings.empty("none"))))
        .hasMessageContaining("tool_use.jinja is for conversations with tools alone; expected a template for others in chat_template.jinja");
  }

  private Object template() throws IOException {
    return read().chatTemplates(read().complete(SpecialTokens.read(JsonSettings.empty("none")))).get("tokenizer.chat_template").value();
  }

  /** Without one the file would be asked in ChatML. */
  @Test
  void chatTemplatesThatAreNoneAreRefused() throws IOException {
    write("tokenizer.json", single("BPE", MERGES, ADDED));
    for (String template : List.of("[{\"name\": \"tool_use\", \"template\": \"T\"}]", "{\"tool_use\": \"T\"}", "7", "[\"T\"]", "[{\"name\": \"default\"}]", "[]")) {
      write("tokenizer_config.json", "{\"chat_template\": " + template + "}");
      assertThatThrownBy(this::template).as(template).isInstanceOf(GgufException.class)
          .hasMessageContaining("tokenizer_config.json: \"chat_template\" is neither a template nor several with names");
    }
    write("tokenizer_config.json", "{\"chat_template\": null}");
    assertThat(read().chatTemplates(SpecialTokens.read(JsonSettings.empty("none")))).isEmpty();
  }

  /** The transformers library has a template read the tokenizer's tokens, not the configuration's; and puts the tokenizer's before a text. */
  @Test
  void templatesReadTheTokenizersTokens() throws IOException {
    write("tokenizer.json", single("BPE", MERGES, ADDED));
    write("tokenizer_config.json", "{\"bos_token\": \"<tool_call>\", \"eos_token\": \"<|im_end|>\", \"sep_token\": \"b\","
        + "\"chat_template\": \"\\n{{ bos_token }}{{ eos_token }}{{ sep_token }}\"}");
    SpecialTokens special = read().complete(new SpecialTokens(OptionalInt.of(1), OptionalInt.of(3), OptionalInt.empty(), OptionalInt.empty()));
    assertThat(special.bos()).hasValue(6);
    assertThat(special.eos()).as("what a decoding looks for").hasValue(3);
    assertThat(read().chatTemplates(special)).containsEntry("tokenizer.chat_template",
        MetadataValue.string("{% set eos_token = '<|im_end|>' %}\n{% set sep_token = 'b' %}\n\n{{ bos_token }}{{ eos_token }}{{ sep_token }}"));
    assertThat(ChatTemplate.parse(read().chatTemplates(special).get("tokenizer.chat_template").value().toString()).render(List.of(), false, Map.of("bos_token", "<tool_call>", "eos_token", "ab")))
        .isEqualTo("\n<tool_call><|im_end|>b");
  }

  @Test
  void damagedTokenizersAreNamed() throws IOException {
    refuses(single("Unigram", MERGES, ADDED), "is of type \"Unigram\"");
    refuses(single("BPE", "[\"ab\"]", ADDED), "merge \"ab\" is not two tokens");
    refuses(single("BPE", "[[\"a\", \"b c\"]]", ADDED), "merge \"a b c\" is not two tokens");
    refuses(single("BPE", MERGES, "{\"id\": 9, \"content\": \"x\"}"), "token \"x\" has id 9; config.json has room for 0 to 7");
    refuses(single("BPE", MERGES, "{\"id\": 0, \"content\": \"x\"}"), "token 0 is \"x\" here and \"a\" elsewhere");
    refuses("{\"model\": {\"type\": \"BPE\"}}", "the vocabulary is missing");
    refuses("{\"model\": {\"vocab\": {\"a\": 0, \"b\": 0}}}", "share the id 0");
    refuses("{\"model\": {\"vocab\": {\"a\": 0, \"a\": 1}}}", "tokenizer.json is not JSON: line 1, column 30: the key 'a' is given twice");
    refuses("{\"model\": {\"vocab\": {\"a\": 0}}} {}", "tokenizer.json is not JSON: line 1, column 32: goes on with '{' behind the value");
    refuses("{\"model\": {\"vocab\": {\"a\": 1.5}}}", "token \"a\" has id -1");
    refuses("{\"model\": {\"vocab\": {\"a\": \"1\"}}}", "token \"a\" has id -1");
    refuses("{\"pre_tokenizer\": " + sequence(SPLIT_AT_X + ", " + BYTES) + ", \"model\": {\"vocab\": {\"a\": 0}}}",
        "is none of Qwen2's, Ling's and GPT-2's");
    refuses("{\"pre_tokenizer\": " + SPLIT_AT_X + ", \"model\": {\"vocab\": {\"a\": 0}}}", "without the step ByteLevel");
    refuses(single("BPE", MERGES, "{\"id\": 6, \"content\": \"x\"}, {\"id\": 5, \"content\": \"y\"}"),
        "\"y\" has id 5, which is not its place; expected 7 or more");
    refuses(single("BPE", MERGES, "{\"id\": 7, \"content\": \"a\"}"), "token \"a\" has the ids 0 and 7");
    Files.delete(folder.resolve("tokenizer.json"));
    write("vocab.json", VOCAB);
    assertThatThrownBy(this::read).isInstanceOf(GgufException.class).hasMessageContaining("merges.txt is missing");
    Files.write(folder.resolve("merges.txt"), new byte[] {'a', ' ', (byte) 0xff, '\n'});
    assertThatThrownBy(this::read).isInstanceOf(GgufException.class).hasMessageContaining("merges.txt: is no UTF-8 text");
  }

  /** What else Hugging Face's tokenizers do with text: done alike, or refused by name. */
  @Test
  void stepsThatChangeTokensAreDoneOrRefused() throws IOException {
    String model = "\"model\": {\"vocab\": {\"a\": 0}";
    refuses("{" + model + ", \"ignore_merges\": true}}", "\"model.ignore_merges\" is true");
    refuses("{" + model + ", \"dropout\": 0.1}}", "\"model.dropout\" is 0.1");
    refuses("{" + model + ", \"end_of_word_suffix\": \"</w>\"}}", "\"model.end_of_word_suffix\" is \"</w>\"");
    refuses("{" + model + ", \"continuing_subword_prefix\": \"##\"}}", "\"model.continuing_subword_prefix\" is \"##\"");
    for (String normalizer : List.of("{\"type\": \"Lowercase\"}", "{\"type\": \"NFKC\"}",
        "{\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"NFC\"}, {\"type\": \"Lowercase\"}]}")) {
      refuses("{\"normalizer\": " + normalizer + ", " + model + "}}", "its normalizer is ");
    }
    for (String step : List.of("{\"type\": \"ByteLevel\", \"add_prefix_space\": true}", "{\"type\": \"Whitespace\"}",
        "{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Digits\", \"individual_digits\": true}, {\"type\": \"ByteLevel\"}]}",
        "{\"type\": \"Split\", \"pattern\": {\"Regex\": \"x\"}, \"behavior\": \"MergedWithNext\"}", "null", BYTES,
        sequence(SPLIT_AT_X + ", {\"type\": \"ByteLevel\"}"), sequence(SPLIT_AT_X + ", " + SPLIT_AT_X), sequence(BYTES + ", " + SPLIT_AT_X))) {
      refuses("{\"pre_tokenizer\": " + step + ", " + model + "}}", "its pre-tokenizer has the step ");
    }
    String normal = "{\"normalizer\": NORMALIZER, \"pre_tokenizer\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false}, " + model
        + ", \"dropout\": null, \"ignore_merges\": false}}";
    write("tokenizer.json", normal.replace("NORMALIZER", "null"));
    assertThat(read().metadata()).doesNotContainKey("tokenizer.ggml.normalizer.nfc"); // as all of GPT-2's rule
    write("tokenizer.json", normal.replace("NORMALIZER", "{\"type\": \"NFC\"}"));
    assertThat(read().metadata()).containsEntry("tokenizer.ggml.normalizer.nfc", MetadataValue.bool(true));
    write("tokenizer.json", "{\"normalizer\": null, " + model + "}}");
    assertThat(read().metadata()).containsEntry("tokenizer.ggml.normalizer.nfc", MetadataValue.bool(false));
    refuses("{\"a\": " + "[".repeat(600) + "]".repeat(600) + "}",
        "tokenizer.json is not JSON: line 1, column 206: objects and lists lie within each other more than 200 deep");
  }

  private static final String SPLIT_AT_X = "{\"type\": \"Split\", \"pattern\": {\"Regex\": \"x\"}}";
  private static final String BYTES = "{\"type\": \"ByteLevel\", \"use_regex\": false}";

  private static String sequence(String steps) {
    return "{\"type\": \"Sequence\", \"pretokenizers\": [" + steps + "]}";
  }

  /** Settings beside the tokenizer that make other tokens, or other texts of tokens. */
  @Test
  void settingsThatChangeTokensAreRefused() throws IOException {
    String file = "{\"decoder\": DECODER, \"model\": {\"vocab\": {\"a\": 0, \"<s>\": 1, \"</s>\": 2}}}";
    for (String decoder : List.of("null", "{\"type\": \"ByteLevel\"}", "{\"type\": \"Sequence\", \"decoders\": [{\"type\": \"ByteLevel\"}]}")) {
      write("tokenizer.json", file.replace("DECODER", decoder));
      assertThat(read().metadata()).as(decoder).containsKey("tokenizer.ggml.tokens");
    }
    refuses(file.replace("DECODER", "{\"type\": \"WordPiece\"}"), "its decoder is {\"type\":\"WordPiece\"}, which is not done");
    refuses(file.replace("DECODER", "{\"type\": \"Sequence\", \"decoders\": [{\"type\": \"ByteLevel\"}, {\"type\": \"Strip\"}]}"), "its decoder is");
    for (String key : List.of("add_prefix_space", "do_lower_case", "split_special_tokens")) {
      write("tokenizer_config.json", "{\"" + key + "\": true}");
      refuses(file.replace("DECODER", "null"), "\"" + key + "\" is true; expected false: it changes the tokens of texts");
    }
    write("tokenizer_config.json", "{\"add_prefix_space\": false, \"do_lower_case\": null}");
    write("tokenizer.json", file.replace("DECODER", "null"));
    assertThat(read().metadata()).containsKey("tokenizer.ggml.tokens");
  }

  /** What a tokenizer's settings say and nothing here does is named; those of programs and of tokens' names are not. */
  @Test
  void settingsThatNobodyReadsAreNamed() throws IOException {
    write("tokenizer.json", "{\"model\": {\"vocab\": {\"a\": 0, \"<s>\": 1, \"</s>\": 2}}}");
    write("tokenizer_config.json", "{\"bos_token\": \"<s>\", \"image_token\": \"<i>\", \"model_max_length\": 8, \"padding_side\": \"left\", \"strip_accents\": true,"
        + " \"clean_up_tokenization_spaces\": false, \"spaces_between_special_tokens\": true, \"sp_model_kwargs\": {}, \"chat_template\": \"x\"}");
    TokenizerFiles files = read();
    files.metadata();
    Path settings = folder.resolve("tokenizer_config.json");
    assertThat(files.unread()).containsExactly(settings + ": strip_accents", settings + ": spaces_between_special_tokens");
  }

  @Test
  void tokensThatTheMapNames() throws IOException {
    write("tokenizer.json", "{\"model\": {\"vocab\": {\"a\": 0, \"<s>\": 1, \"</s>\": 2}}}");
    write("tokenizer_config.json", "{\"bos_token\": \"<s>\"}");
    write("special_tokens_map.json", "{\"bos_token\": \"</s>\", \"eos_token\": {\"content\": \"</s>\"}}");
    SpecialTokens completed = read().complete(new SpecialTokens(OptionalInt.empty(), OptionalInt.empty(), OptionalInt.empty(), OptionalInt.empty(), List.of()));
    assertThat(completed.bos()).hasValue(2);
    assertThat(completed.eos()).hasValue(2);
    write("tokenizer_config.json", "{\"bos_token\": \"<s>\", \"added_tokens_decoder\": {\"1\": {\"content\": \"<s>\"}, \"2\": {\"content\": \"</s>\"}}}");
    completed = read().complete(new SpecialTokens(OptionalInt.empty(), OptionalInt.empty(), OptionalInt.empty(), OptionalInt.empty(), List.of()));
    assertThat(completed.bos()).hasValue(1);
    assertThat(completed.eos()).isEmpty();
  }

  /** What stands around a text is the post-processor's to say where there is one file, as for the transformers library, which takes add_bos_token away there. */
  @Test
  void tokensAroundATextAreDoneOrRefused() throws IOException {
    String file = "{\"post_processor\": PROCESSOR, \"model\": {\"vocab\": {\"a\": 0, \"<s>\": 1, \"</s>\": 2}}}";
    String first = "{\"SpecialToken\": {\"id\": \"<s>\", \"type_id\": 0}}";
    String text = "{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}";
    String last = "{\"SpecialToken\": {\"id\": \"</s>\", \"type_id\": 0}}";
    String start = "{\"type\": \"Sequence\", \"processors\": [{\"type\": \"ByteLevel\"}, {\"type\": \"TemplateProcessing\", \"single\": [";
    String bytesAndFirst = file.replace("PROCESSOR", start + first + ", " + text + "]}]}");
    write("tokenizer.json", bytesAndFirst);
    write("tokenizer_config.json", "{\"bos_token\": \"<s>\"}");
    beginsWithItsToken(true);
    write("tokenizer_config.json", "{\"bos_token\": \"<s>\", \"add_bos_token\": true}");
    beginsWithItsToken(true);
    write("tokenizer_config.json", "{\"bos_token\": \"<s>\", \"add_bos_token\": false}");
    beginsWithItsToken(true, "add_bos_token");
    write("tokenizer_config.json", "{\"bos_token\": \"</s>\"}");
    assertThatThrownBy(() -> read().metadata()).hasMessageContaining("its post-processor puts \"<s>\" before every text");
    write("tokenizer_config.json", "{\"add_eos_token\": true}");
    assertThatThrownBy(() -> read().metadata()).hasMessageContaining("\"add_eos_token\" is true; expected false");
    Files.delete(folder.resolve("tokenizer_config.json"));
    refuses(file.replace("PROCESSOR", start + text + ", " + last + "]}]}"), "its post-processor has the step {\"type\":\"TemplateProcessing\"");
    refuses(file.replace("PROCESSOR", "{\"type\": \"BertProcessing\", \"sep\": [\"</s>\", 2], \"cls\": [\"<s>\", 1]}"), "\"BertProcessing\"");
    for (String none : List.of(start + text + "]}]}", "null")) {
      write("tokenizer.json", file.replace("PROCESSOR", none));
      write("tokenizer_config.json", "{\"bos_token\": \"<s>\", \"add_bos_token\": false}");
      beginsWithItsToken(false);
      write("tokenizer_config.json", "{\"bos_token\": \"<s>\", \"add_bos_token\": true}");
      beginsWithItsToken(false, "add_bos_token");
    }
    Files.delete(folder.resolve("tokenizer.json"));
    write("vocab.json", "{\"a\": 0, \"<s>\": 1}");
    write("merges.txt", "");
    beginsWithItsToken(true);
    write("tokenizer_config.json", "{\"add_bos_token\": true}"); // before what no one names
    beginsWithItsToken(false);
  }

  private void beginsWithItsToken(boolean expected, String... unread) throws IOException {
    TokenizerFiles files = read();
    assertThat(files.metadata()).containsEntry("tokenizer.ggml.add_bos_token", MetadataValue.bool(expected));
    assertThat(files.unread()).isEqualTo(Stream.of(unread).map(name -> folder.resolve("tokenizer_config.json") + ": " + name).toList());
  }

  /** Pieces of the vocabulary that a name makes special tokens; ids are what AutoTokenizer (5.12.1) gave. */
  @Test
  void tokensThatAreNamedAreSpecial() throws IOException {
    write("tokenizer.json", "{\"model\": {\"vocab\": {\"a\": 0, \"<s>\": 1, \"<x>\": 2, \"<y>\": 3}}}");
    write("tokenizer_config.json", "{\"bos_token\": {\"content\": \"<s>\", \"lstrip\": true}, \"extra_special_tokens\": [\"<x>\"], \"image_token\": \"<y>\"}");
    assertThat(read().metadata()).containsEntry("tokenizer.ggml.token_type", MetadataValue.int32s(1, 3, 3, 3, 5, 5, 5, 5))
        .containsEntry("tokenizer.dimple.lstrip", MetadataValue.int32s(1));
    write("tokenizer_config.json", "{\"extra_special_tokens\": {\"a_token\": \"<y>\"}}");
    assertThat(read().metadata()).containsEntry("tokenizer.ggml.token_type", MetadataValue.int32s(1, 1, 1, 3, 5, 5, 5, 5));
    write("special_tokens_map.json", "{\"additional_special_tokens\": [\"<s>\", \"<x>\"]}");
    assertThat(read().metadata()).containsEntry("tokenizer.ggml.token_type", MetadataValue.int32s(1, 1, 1, 3, 5, 5, 5, 5));
    write("tokenizer_config.json", "{}");
    assertThat(read().metadata()).containsEntry("tokenizer.ggml.token_type", MetadataValue.int32s(1, 3, 3, 1, 5, 5, 5, 5));
  }

  /** Tokens that are only named get the next ids, in the order of the library's names; without room for them they say nothing, and are named. */
  @Test
  void tokensThatAreOnlyNamedComeBehindAllOthers() throws IOException {
    write("tokenizer.json", single("BPE", MERGES, ADDED));
    write("tokenizer_config.json", "{\"extra_special_tokens\": [\"<x>\"], \"pad_token\": \"<pad>\", \"bos_token\": \"a\", \"add_eos_token\": false}");
    TokenizerFiles files = read();
    assertThat(files.metadata()).containsEntry("tokenizer.ggml.token_type", MetadataValue.int32s(3, 1, 1, 1, 1, 3, 4, 3));
    SpecialTokens none = new SpecialTokens(OptionalInt.empty(), OptionalInt.empty(), OptionalInt.empty(), OptionalInt.empty(), List.of());
    assertThat(files.complete(none).padding()).hasValue(7);
    assertThat(files.unread()).containsExactly(folder.resolve("tokenizer_config.json") + ": a token in the list of others, \"<x>\"");
    write("tokenizer_config.json", "{\"tokenizer_class\": \"Qwen2TokenizerFast\", \"eos_token\": null}"); // what its class names
    files = read();
    assertThat(files.complete(none)).isEqualTo(new SpecialTokens(OptionalInt.empty(), OptionalInt.empty(), OptionalInt.of(7), OptionalInt.empty(), List.of()));
  }

  private static final String GEMMA = "{\"added_tokens\": [{\"id\": 0, \"content\": \"<bos>\", \"special\": true},"
      + "{\"id\": 5, \"content\": \"<|channel>\", \"special\": true}, {\"id\": 6, \"content\": \"\\n\\n\", \"special\": false, \"normalized\": false}],"
      + "\"normalizer\": NORMALIZER, \"pre_tokenizer\": SPLITTER, \"model\": {\"type\": \"BPE\", \"byte_fallback\": true, \"unk_token\": \"<unk>\","
      + "\"vocab\": {\"<bos>\": 0, \"<0x0A>\": 1, \"\u2581\": 2, \"a\": 3, \"\u2581a\": 4, \"<|channel>\": 5, \"\\n\\n\": 6, \"<unk>\": 7}, \"merges\": [MERGES]}}";
  private static final String REPLACE = "{\"type\": \"Replace\", \"pattern\": {\"String\": \" \"}, \"content\": \"\u2581\"}";
  private static final String SPLIT = "{\"type\": \"Split\", \"pattern\": {\"String\": \" \"}, \"behavior\": \"MergedWithPrevious\"}";

  private static String gemma(String normalizer, String splitter, String merges) {
    return GEMMA.replace("NORMALIZER", normalizer).replace("SPLITTER", splitter).replace("MERGES", merges);
  }

  /** The keys of the published files; what a reader of answers looks for is shown. */
  @Test
  void sentencePieceWithBytes() throws IOException {
    for (String splitter : List.of(SPLIT, "null")) {
      write("tokenizer.json", gemma(REPLACE, splitter, "[\"\u2581\", \"a\"]"));
      write("tokenizer_config.json", "{\"unk_token\": \"<unk>\"}");
      assertThat(read().metadata()).containsEntry("tokenizer.ggml.model", MetadataValue.string("gemma4"))
          .doesNotContainKeys("tokenizer.ggml.pre", "tokenizer.dimple.normalized")
          .containsEntry("tokenizer.ggml.token_type", MetadataValue.int32s(3, 6, 1, 1, 1, 4, 4, 3))
          .containsEntry("tokenizer.ggml.scores", MetadataValue.float32s(Collections.nCopies(VOCABULARY, -1000f)))
          .containsEntry("tokenizer.ggml.merges", MetadataValue.strings(List.of("\u2581 a")))
          .containsEntry("tokenizer.ggml.unknown_token_id", MetadataValue.uint32(7))
          .containsEntry("tokenizer.ggml.add_space_prefix", MetadataValue.bool(false))
          .containsEntry("tokenizer.ggml.add_bos_token", MetadataValue.bool(false));
    }
  }

  @Test
  void otherTokenizersWithBytesAreRefused() throws IOException {
    refuses(gemma("{\"type\": \"Prepend\", \"prepend\": \"\u2581\"}", SPLIT, ""), "its normalizer is {\"type\":\"Prepend\"");
    refuses(gemma("null", SPLIT, ""), "its normalizer is null");
    refuses(gemma(REPLACE, "{\"type\": \"ByteLevel\"}", ""), "its pre-tokenizer is {\"type\":\"ByteLevel\"}");
    refuses(gemma(REPLACE, SPLIT, "[\"a\", \"\\n\"]"), "crosses a newline");
  }

  /** A whole tokenizer.json of Hugging Face's, and what it makes of texts. */
  @Test
  void encodesAsTheTokenizerThatItWasReadFrom() throws IOException {
    Path goldens = Path.of("../java/src/test/resources/io/github/dimple4j/tokenizer");
    int size = Files.readAllLines(goldens.resolve("vocabulary-gemma4.txt")).size();
    Map<String, MetadataValue> keys = TokenizerFiles.read(goldens.resolve("gemma4"), size, PreTokenizer.QWEN2).orElseThrow().metadata();
    Tokenizer tokenizer = Tokenizer.of(new TokenizerData("gemma4", null, Utf8Strings.of(strings(keys, "tokens")),
        keys.get("tokenizer.ggml.token_type").elements().stream().mapToInt(type -> ((Long) type).intValue()).toArray(),
        Utf8Strings.of(strings(keys, "merges")), false, -1, -1, -1, -1));
    for (String line : Files.readAllLines(goldens.resolve("gemma4-newlines.txt"))) {
      String text = UNIT.matcher(line.substring(line.indexOf('\t') + 1))
          .replaceAll(unit -> Matcher.quoteReplacement(Character.toString(Integer.parseInt(unit.group(1), 16))));
      assertThat(Arrays.stream(tokenizer.encode(text)).mapToObj(Integer::toString).collect(Collectors.joining(" "))).as(text)
          .isEqualTo(line.substring(0, line.indexOf('\t')));
    }
  }

  private static List<String> strings(Map<String, MetadataValue> keys, String name) {
    return keys.get("tokenizer.ggml." + name).elements().stream().map(String.class::cast).toList();
  }

  private void refuses(String json, String message) throws IOException {
    write("tokenizer.json", json);
    assertThatThrownBy(this::read).isInstanceOf(GgufException.class).hasMessageContaining(message);
  }

  private TokenizerFiles read() throws IOException {
    return TokenizerFiles.read(folder, VOCABULARY, PreTokenizer.QWEN2).orElseThrow();
  }

  private void write(String name, String text) throws IOException {
    Files.writeString(folder.resolve(name), text);
  }

  private static String single(String type, String merges, String added) {
    return "{\"added_tokens\": [" + added + "], \"model\": {\"type\": \"" + type + "\", \"vocab\": " + VOCAB + ", \"merges\": " + merges
        + "}}";
  }
}
