package io.github.dimple4j.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.dimple4j.InvalidArgumentException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class TokenizerTest {
  private final Tokenizer tokenizer = GoldenTokenizer.load("qwen2");

  private static TokenizerData data(String model, String pre, List<String> tokens, int[] types, List<String> merges) {
    return new TokenizerData(model, pre, Utf8Strings.of(tokens), types, Utf8Strings.of(merges), false, -1, -1, -1, -1);
  }

  @Test
  void roundTripsEveryCharacter() {
    for (int start = 0; start <= Character.MAX_CODE_POINT; start += 0x200) {
      StringBuilder text = new StringBuilder();
      for (int c = start; c < start + 0x200; c++) {
        if (c < Character.MIN_SURROGATE || c > Character.MAX_SURROGATE) {
          text.appendCodePoint(c);
        }
      }
      String normal = PreTokenizer.toNfc(text.toString());
      assertThat(tokenizer.decode(tokenizer.encode(normal), true)).isEqualTo(normal);
    }
  }

  @Test
  void encodesUnpairedSurrogatesAsReplacementCharacters() {
    assertThat(tokenizer.encode("a\uD800b\uDC00\uD83D")).isEqualTo(tokenizer.encode("a\uFFFDb\uFFFD\uFFFD"));
    assertThat(tokenizer.decode(tokenizer.encode("\uDE00\uD83D\uDE00"))).isEqualTo("\uFFFD😀");
  }

  @Test
  void cutsAtTheLongestAddedToken() {
    int start = tokenizer.id("<|im_start|>").getAsInt();
    int longer = tokenizer.id("<|im_start|>x").getAsInt();
    assertThat(tokenizer.encode("<|im_start|>xy")).containsExactly(longer, tokenizer.id("y").getAsInt());
    assertThat(tokenizer.encode("<|im_start|><|im_start|>")).containsExactly(start, start);
  }

  /** As Hugging Face's tokenizers 0.23.1 have it: white space that goes with a token is searched all the same, a word's part hides what it covers. */
  @Test
  void addedTokensThatOverlap() {
    List<String> vocabulary = List.of("<", ">", "x", "y", "a", "b", "c", "d", "\u0120", "<x>", "  ", "ab", "abc");
    AddedTokenFlags flags = new AddedTokenFlags(new int[0], new int[] {9}, new int[] {12}, new int[0]);
    Tokenizer small = Tokenizer.of(new TokenizerData("gpt2", "gpt-2", Utf8Strings.of(vocabulary), new int[] {1, 1, 1, 1, 1, 1, 1, 1, 1, 4, 4, 4, 4},
        Utf8Strings.of(List.of()), false, -1, -1, -1, -1, new int[0], flags, null));
    assertThat(small.encode("<x>   y")).containsExactly(9, 10, 8, 3);
    assertThat(small.encode("<x>    <x>  ")).containsExactly(9, 10, 10, 9, 10);
    AddedTokenFlags left = new AddedTokenFlags(new int[] {11}, new int[] {10, 11}, new int[0], new int[0]);
    List<String> blanks = List.of("a", "b", "c", "\u0120", "<", ">", "x", "y", "z", "<x>", "  ", " ");
    Tokenizer spaces = Tokenizer.of(new TokenizerData("gpt2", "gpt-2", Utf8Strings.of(blanks), new int[] {1, 1, 1, 1, 1, 1, 1, 1, 1, 4, 4, 4},
        Utf8Strings.of(List.of()), false, -1, -1, -1, -1, new int[0], left, null));
    assertThat(spaces.encode("   <x>")).containsExactly(10, 9);
    assertThat(spaces.encode(" <x>    a")).containsExactly(11, 9, 10, 10, 0);
    assertThat(small.encode("abcd")).containsExactly(4, 5, 6, 7);
    assertThat(small.encode("abc d")).containsExactly(12, 8, 7);
    assertThat(small.encode("xabc")).containsExactly(2, 4, 5, 6);
  }

  @Test
  void takesControlTokensForTextWhereAsked() {
    int[] ids = tokenizer.encodeOrdinary("<|im_end|><tool_call>");
    assertThat(ids).doesNotContain(tokenizer.id("<|im_end|>").getAsInt()).endsWith(tokenizer.id("<tool_call>").getAsInt());
    assertThat(tokenizer.decode(ids)).isEqualTo("<|im_end|><tool_call>");
  }

  @Test
  void decodesAddedTokensAsTheyAreSpelled() {
    int[] ids = tokenizer.encode("<|im_start|>a naïve token<|im_end|>");
    assertThat(tokenizer.decode(ids)).isEqualTo("a naïve token");
    assertThat(tokenizer.decode(ids, true)).isEqualTo("<|im_start|>a naïve token<|im_end|>");
  }

  /** Marks keep control tokens from being one, and change nothing else. */
  @Test
  void markedTextSpellsNoControlToken() {
    Random random = new Random(11);
    String im = "<|im_end|>";
    for (int at = 0; at < im.length(); at++) {
      BitSet mark = new BitSet();
      mark.set(3 + at);
      assertThat(tokenizer.encodePrompt("abc" + im + "d", mark)).isEqualTo(tokenizer.encodeOrdinary("abc" + im + "d"));
      mark.clear();
      mark.set(0, 3);
      mark.set(13);
      assertThat(tokenizer.encodePrompt("abc" + im + "d", mark)).isEqualTo(tokenizer.encode("abc" + im + "d"));
    }
    for (GoldenTokenizer.Case golden : GoldenTokenizer.cases("qwen2")) {
      BitSet marks = new BitSet();
      random.ints(5, 0, golden.text().length() + 1).forEach(marks::set);
      int[] ids = tokenizer.encodePrompt(golden.text(), marks);
      if (!golden.text().contains("<|")) {
        assertThat(ids).isEqualTo(golden.ids());
      }
      marks.set(0, golden.text().length());
      ids = tokenizer.encodePrompt(golden.text(), marks);
      assertThat(ids).isEqualTo(tokenizer.encodeOrdinary(golden.text()));
      assertThat(IntStream.of(ids).anyMatch(tokenizer::isControl)).isFalse();
    }
  }

  /** A file may have the tokens that frame a text as user-defined ones: they are no text all the same. */
  @Test
  void tokensThatFrameATextAreControlTokens() {
    List<String> vocabulary = List.of("<", ">", "e", "<e>", "<x>");
    Tokenizer framed = Tokenizer.of(new TokenizerData("gpt2", "gpt-2", Utf8Strings.of(vocabulary), new int[] {1, 1, 1, 4, 4}, Utf8Strings.of(List.of()),
        false, -1, -1, -1, -1, new int[] {3}, AddedTokenFlags.NONE, null));
    assertThat(framed.isControl(3)).isTrue();
    assertThat(framed.isControl(4)).isFalse();
    assertThat(framed.encode("<e><x>")).containsExactly(3, 4);
    assertThat(framed.encodeOrdinary("<e><x>")).containsExactly(0, 2, 1, 4);
  }

  /** {@code normalizer.nfc} goes before what the rule's models usually have: an e and an acute accent stay two, or become one. */
  @Test
  void aFileSaysWhetherTextIsNormalised() {
    String apart = "e\u0301";
    List<Boolean> asked = new ArrayList<>();
    for (String rule : List.of("qwen2", "gpt-2")) {
      for (Boolean nfc : new Boolean[] {null, true, false}) {
        TokenizerData data = new TokenizerData("gpt2", rule, Utf8Strings.of(List.of("e", "\u00cc", "\u0123", "\u00c3", "\u00a9")), null,
            Utf8Strings.of(List.of()), false, -1, -1, -1, -1, new int[0], AddedTokenFlags.NONE, nfc);
        asked.add(Tokenizer.of(data).encode(apart).length == 2);
      }
    }
    assertThat(asked).containsExactly(true, true, false, false, true, false);
  }

  @Test
  void putsBosInFrontOnceWhereTheFileAsksForIt() {
    TokenizerData bare = data("gpt2", "gpt-2", List.of("a", "<s>"), new int[] {1, 3}, List.of());
    Tokenizer withBos = Tokenizer.of(new TokenizerData("gpt2", "gpt-2", bare.tokens(), bare.tokenTypes(), bare.merges(), true, 1, -1, -1, -1));
    assertThat(withBos.encodePrompt("a")).containsExactly(1, 0);
    assertThat(withBos.encodePrompt("<s>a")).containsExactly(1, 0);
    assertThat(Tokenizer.of(bare).encodePrompt("a")).containsExactly(0);
  }

  @Test
  void survivesAnyIds() {
    Random random = new Random(7);
    for (int round = 0; round < 200; round++) {
      int[] ids = random.ints(20, 0, tokenizer.size()).toArray();
      assertThat(tokenizer.decode(ids, true)).isNotNull();
    }
    assertThatThrownBy(() -> tokenizer.decode(new int[] {tokenizer.size()})).isInstanceOf(InvalidArgumentException.class)
        .hasMessageContaining("token id " + tokenizer.size());
    assertThatThrownBy(() -> tokenizer.token(-1)).isInstanceOf(InvalidArgumentException.class);
  }

  @Test
  void encodesLongWordsInReasonableTime() {
    assertThat(tokenizer.decode(tokenizer.encode("ab".repeat(100_000)))).hasSize(200_000);
    assertThat(tokenizer.decode(tokenizer.encode(" ".repeat(200_000)))).hasSize(200_000);
  }

  @Test
  void streamsAFourByteCharacterInOnePiece() {
    byte[] bytes = "😀".getBytes(StandardCharsets.UTF_8);
    TokenTable tokens = new TokenTable(Utf8Strings.of(
        IntStream.range(0, tokenizer.size()).mapToObj(tokenizer::token).toList()));
    StreamingDecoder decoder = tokenizer.streamingDecoder(false);
    for (int i = 0; i < 3; i++) {
      assertThat(decoder.accept(tokens.find(ByteAlphabet.spelling(bytes[i] & 0xFF)))).isEmpty();
    }
    assertThat(decoder.accept(tokens.find(ByteAlphabet.spelling(bytes[3] & 0xFF)))).isEqualTo("😀");
    assertThat(decoder.accept(tokens.find(ByteAlphabet.spelling(bytes[0] & 0xFF)))).isEmpty();
    assertThat(decoder.finish()).isEqualTo("\uFFFD");
    assertThat(decoder.accept(tokens.find(ByteAlphabet.spelling('x')))).isEqualTo("x");
  }

  @Test
  void namesWhatItCannotRun() {
    assertThatThrownBy(() -> Tokenizer.of(data("bert", "qwen2", List.of("a"), null, List.of())))
        .isInstanceOf(TokenizerException.class).hasMessageContaining("tokenizer.ggml.model = \"bert\"");
    assertThatThrownBy(() -> Tokenizer.of(data(null, "qwen2", List.of("a"), null, List.of()))).hasMessageContaining("missing");
    assertThatThrownBy(() -> Tokenizer.of(data("gpt2", "tekken", List.of("a"), null, List.of())))
        .isInstanceOf(TokenizerException.class).hasMessageContaining("\"tekken\"").hasMessageContaining("qwen2");
    assertThatThrownBy(() -> Tokenizer.of(data("gpt2", null, List.of("a"), null, List.of()))).hasMessageContaining("tokenizer.ggml.pre");
  }

  @Test
  void mergesOfMissingTokensNeverApply() {
    Tokenizer tokenizer = Tokenizer.of(data("gpt2", "qwen2", List.of("a", "b", "c", "bc"), null, List.of("a b", "x c", "b c")));
    assertThat(tokenizer.encode("abc")).containsExactly(0, 3);
  }

  @Test
  void namesContradictionsBetweenArrays() {
    assertThatThrownBy(() -> Tokenizer.of(data("gpt2", "qwen2", List.of("a", "b"), new int[] {1}, List.of())))
        .hasMessageContaining("token_type has 1 entries");
    assertThatThrownBy(() -> Tokenizer.of(data("gpt2", "qwen2", List.of("a", "b"), null, List.of("ab"))))
        .hasMessageContaining("not a pair");
    assertThatThrownBy(() -> Tokenizer.of(data("gpt2", "qwen2", List.of("a", "b"), null, List.of(""))))
        .hasMessageContaining("not a pair");
    assertThatThrownBy(() -> Tokenizer.of(new TokenizerData("gpt2", "qwen2", Utf8Strings.of(List.of("a")), null,
        Utf8Strings.of(List.of()), false, 1, -1, -1, -1))).hasMessageContaining("bos_token_id = 1");
    assertThatThrownBy(() -> Tokenizer.of(data("gpt2", "qwen2", List.of("a"), null, List.of())).encode("ab"))
        .isInstanceOf(TokenizerException.class).hasMessageContaining("0x62");
  }

  /** What a damaged file says of its tokens: each alone would make other tokens of a text, or end it elsewhere. */
  @Test
  void namesDamageOfTheVocabulary() {
    List<String> tokens = List.of("a", "b", "ab");
    refuses(data("gpt2", "qwen2", List.of("a", "b", "a"), null, List.of()), "tokens 0 and 2 are both \"a\"");
    for (int type : new int[] {-1, 0, 7}) {
      refuses(data("gpt2", "qwen2", tokens, new int[] {1, type, 1}, List.of("a b")), "token_type[1] = " + type + ", expected 1 to 6");
    }
    refuses(data("gpt2", "qwen2", tokens, new int[] {1, 1, 1}, List.of()),
        "merges is missing or empty, without which no text becomes token 2, \"ab\"");
    refuses(data("gpt2", "qwen2", tokens, null, List.of("a b b")), "\"a b b\" is not a pair of tokens");
    for (int id : new int[] {-1, 3}) {
      refuses(flagged(new int[] {id}, AddedTokenFlags.NONE), "eos_token_ids, ...) = " + id + " is outside the vocabulary of 3 tokens");
      refuses(flagged(new int[0], new AddedTokenFlags(new int[] {id}, new int[0], new int[0], new int[0])), "tokenizer.dimple.lstrip = " + id);
      refuses(flagged(new int[0], new AddedTokenFlags(new int[0], new int[0], new int[0], new int[] {0, id})), "tokenizer.dimple.normalized = " + id);
    }
    assertThat(Tokenizer.of(data("gpt2", "qwen2", List.of("a", "", ""), new int[] {1, 5, 5}, List.of())).encode("a")).containsExactly(0);
  }

  private static TokenizerData flagged(int[] ends, AddedTokenFlags flags) {
    return new TokenizerData("gpt2", "qwen2", Utf8Strings.of(List.of("a", "b", "ab")), null, Utf8Strings.of(List.of("a b")), false, -1, -1, -1, -1,
        ends, flags, null);
  }

  private static void refuses(TokenizerData data, String message) {
    assertThatThrownBy(() -> Tokenizer.of(data)).isInstanceOf(TokenizerException.class).hasMessageContaining(message);
  }

  /** Every key of a tokenizer with a value of each other type: none is taken for absent. */
  @Test
  void keysOfOtherTypesAreNamed() {
    Map<String, Object> sound = Map.ofEntries(Map.entry("ggml.model", "gemma4"), Map.entry("ggml.pre", "qwen2"),
        Map.entry("ggml.tokens", Utf8Strings.of(List.of("a"))), Map.entry("ggml.token_type", new int[] {1}),
        Map.entry("ggml.merges", Utf8Strings.of(List.of())),
        Map.entry("ggml.scores", new float[] {0}), Map.entry("ggml.add_bos_token", true), Map.entry("ggml.add_space_prefix", false),
        Map.entry("ggml.normalizer.nfc", false), Map.entry("ggml.bos_token_id", 0L), Map.entry("ggml.eos_token_id", 0L),
        Map.entry("ggml.padding_token_id", 0L), Map.entry("ggml.mask_token_id", 0L), Map.entry("ggml.unknown_token_id", 0L),
        Map.entry("ggml.eot_token_id", 0L), Map.entry("ggml.eom_token_id", 0L), Map.entry("ggml.fim_pad_token_id", 0L),
        Map.entry("ggml.eos_token_ids", new int[] {0}), Map.entry("dimple.lstrip", new int[0]), Map.entry("dimple.rstrip", new int[0]),
        Map.entry("dimple.single_word", new int[0]), Map.entry("dimple.normalized", new int[0]));
    assertThat(keys(sound).data().bosId()).isZero();
    for (Map.Entry<String, Object> key : sound.entrySet()) {
      for (Object value : List.of("x", true, 0L, 1.5, new int[] {0}, new float[] {0}, Utf8Strings.of(List.of("a")), List.of(1L))) {
        if (!value.getClass().equals(key.getValue().getClass())) {
          Map<String, Object> damaged = new HashMap<>(sound);
          damaged.put(key.getKey(), value);
          assertThatThrownBy(() -> keys(damaged).data()).as(key.getKey() + " " + value).isInstanceOf(TokenizerException.class)
              .hasMessageContaining("tokenizer." + key.getKey() + " is ");
        }
      }
    }
    for (long id : new long[] {-1, Long.MIN_VALUE, 1L << 31}) {
      assertThatThrownBy(() -> keys(Map.of("ggml.tokens", Utf8Strings.of(List.of("a")), "ggml.eot_token_id", id)).data())
          .hasMessage("tokenizer.ggml.eot_token_id = " + id + " is not the number of a token");
    }
    assertThatThrownBy(() -> keys(Map.of()).data()).hasMessage("tokenizer.ggml.tokens is missing");
    assertThatThrownBy(() -> keys(Map.of("chat_template", 1L)).chatTemplate()).hasMessage("tokenizer.chat_template is 1; expected a string");
  }

  /** What one kind of vocabulary does is not passed over in a file of another kind. */
  @Test
  void whatAnotherKindDoesIsRefused() {
    for (String model : List.of("gpt2", "gemma4", "llama")) {
      for (String flag : List.of("add_space_prefix", "normalizer.nfc")) {
        boolean done = flag.equals("normalizer.nfc") ? model.equals("gpt2") : model.equals("llama");
        Map<String, Object> file = Map.of("ggml.model", model, "ggml.tokens", Utf8Strings.of(List.of("a")), "ggml." + flag, true);
        if (done) {
          assertThat(keys(file).data().model()).isEqualTo(model);
        } else {
          assertThatThrownBy(() -> keys(file).data()).hasMessage("tokenizer.ggml." + flag + " is true; expected false with tokenizer.ggml.model " + model);
        }
        assertThat(keys(Map.of("ggml.model", model, "ggml.tokens", Utf8Strings.of(List.of("a")), "ggml." + flag, false)).data().model()).isEqualTo(model);
      }
    }
  }

  /** Without the default one the file would be asked in ChatML. */
  @Test
  void templatesByNamesAloneAreRefused() {
    Utf8Strings names = Utf8Strings.of(List.of("tool_use"));
    assertThatThrownBy(() -> keys(Map.of("chat_templates", names, "chat_template.tool_use", "T")).chatTemplate())
        .hasMessage("tokenizer.chat_template is missing, and tokenizer.chat_templates names others; expected one by default");
    assertThat(keys(Map.of("chat_templates", names, "chat_template.tool_use", "T", "chat_template", "D")).chatTemplate()).hasValue("D");
  }

  private static TokenizerKeys keys(Map<String, Object> values) {
    return new TokenizerKeys(key -> values.get(key.substring("tokenizer.".length())));
  }

  @Test
  void readsLengthPrefixedStringsWithinTheirArray() {
    byte[] data = ByteBuffer.allocate(19).order(ByteOrder.LITTLE_ENDIAN).putLong(2).put((byte) 0xC3).put((byte) 0xA9).putLong(1)
        .put((byte) 'x').array();
    Utf8Strings strings = Utf8Strings.ofLengthPrefixed(data, 2);
    assertThat(List.of(strings.get(0), strings.get(1))).containsExactly("é", "x");
    for (int count : new int[] {3, -1, Integer.MAX_VALUE}) {
      assertThatThrownBy(() -> Utf8Strings.ofLengthPrefixed(data, count)).isInstanceOf(TokenizerException.class);
    }
    for (long length : new long[] {12, -1, Long.MIN_VALUE, Long.MAX_VALUE}) {
      ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN).putLong(length);
      assertThatThrownBy(() -> Utf8Strings.ofLengthPrefixed(data, 2)).isInstanceOf(TokenizerException.class);
    }
  }

  private static Tokenizer pieces(String model, List<String> tokens, int[] types, List<String> merges, SentencePieceData more) {
    return Tokenizer.of(new TokenizerData(model, null, Utf8Strings.of(tokens), types, Utf8Strings.of(merges), false, -1, -1, -1, -1, new int[0],
        AddedTokenFlags.NONE, null, more));
  }

  @Test
  void blanksAndBytesOfSentencePieceAreWhatTheyStandFor() {
    Tokenizer gemma = pieces("gemma4", List.of("\u2581", "a", "\u2581a", "<0xC3>", "<0xA9>", "<x>\u2581"), new int[] {1, 1, 1, 6, 6, 4},
        List.of("\u2581 a"), SentencePieceData.NONE);
    assertThat(gemma.encode(" aa é")).containsExactly(2, 1, 0, 3, 4);
    assertThat(gemma.tokenBytes(2)).containsExactly(' ', 'a');
    assertThat(gemma.tokenBytes(3)).containsExactly(0xC3);
    assertThat(gemma.token(3)).isEqualTo("<0xC3>");
    assertThat(gemma.decode(new int[] {2, 3, 4, 5})).isEqualTo(" aé<x> ");
    assertThat(gemma.encode("<x>\u2581")).containsExactly(5);
  }

  @Test
  void whatHasNoTokenIsUnknownOrRefused() {
    List<String> tokens = List.of("<unk>", "a", "<0xC3>");
    assertThat(pieces("gemma4", tokens, new int[] {2, 1, 6}, List.of(), new SentencePieceData(null, false, 0)).encode("aé\u2581")).containsExactly(1, 0, 0);
    assertThatThrownBy(() -> pieces("gemma4", tokens, new int[] {2, 1, 6}, List.of(), SentencePieceData.NONE).encode("é"))
        .isInstanceOf(TokenizerException.class).hasMessageContaining("\"é\"").hasMessageContaining("0xA9");
  }

  /** Neither merges nor scores make a token that steers. */
  @Test
  void textDoesNotSpellControlTokensOfSentencePiece() {
    List<String> tokens = List.of("<", "s", ">", "<s", "<s>");
    int[] types = {1, 1, 1, 1, 3};
    SentencePieceData scored = new SentencePieceData(new float[] {0, 0, 0, 1, 2}, false, -1);
    for (Tokenizer each : List.of(pieces("gemma4", tokens, types, List.of("< s", "<s >"), SentencePieceData.NONE), pieces("llama", tokens, types, List.of(), scored))) {
      assertThat(each.encode("<s>")).containsExactly(4);
      assertThat(each.encodeOrdinary("<s>")).containsExactly(3, 2);
    }
  }

  @Test
  void namesWhatScoresLack() {
    assertThatThrownBy(() -> pieces("llama", List.of("a"), null, List.of(), SentencePieceData.NONE)).hasMessageContaining("scores has 0 entries");
    assertThatThrownBy(() -> pieces("gemma4", List.of("a"), null, List.of(), new SentencePieceData(null, false, 1)))
        .hasMessageContaining("unknown_token_id = 1");
  }

  @Test
  void mergesLongLinesInReasonableTime() {
    for (String name : List.of("gemma4", "llama")) {
      Tokenizer each = Tokenizer.of(GoldenTokenizer.sentencePiece(name, false));
      assertThat(each.decode(each.encode("the red circle ".repeat(20_000)))).hasSize(300_000);
      assertThat(each.decode(each.encode("\n".repeat(100_000)))).hasSize(100_000);
    }
  }
}
