package io.github.dimple4j.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;

import java.text.Normalizer;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Ids equal to those of Hugging Face tokenizers; see make_goldens.py beside the golden files. */
class TokenizerGoldenTest {
  @ParameterizedTest
  @ValueSource(strings = {"qwen2", "bailingmoe", "gpt-2", "seed-coder"})
  void encodesAsHuggingFace(String rule) {
    Tokenizer tokenizer = GoldenTokenizer.load(rule);
    var cases = GoldenTokenizer.cases(rule);
    assertThat(cases).hasSizeGreaterThan(200);
    for (GoldenTokenizer.Case golden : cases) {
      assertThat(tokenizer.encode(golden.text())).as(golden.text()).isEqualTo(golden.ids());
    }
  }

  /** With lstrip, rstrip, single_word and normalized on some of the added tokens. */
  @ParameterizedTest
  @ValueSource(strings = {"qwen2", "gpt-2"})
  void matchesAddedTokensByTheirFlagsAsHuggingFace(String rule) {
    Tokenizer tokenizer = GoldenTokenizer.flagged(rule);
    var cases = GoldenTokenizer.cases("flags-" + rule);
    assertThat(cases).hasSizeGreaterThan(200);
    for (GoldenTokenizer.Case golden : cases) {
      assertThat(tokenizer.encode(golden.text())).as(golden.text()).isEqualTo(golden.ids());
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"qwen2", "bailingmoe", "gpt-2", "seed-coder"})
  void decodesToTheTextInNormalForm(String rule) {
    Tokenizer tokenizer = GoldenTokenizer.load(rule);
    for (GoldenTokenizer.Case golden : GoldenTokenizer.cases(rule)) {
      String decoded = tokenizer.decode(golden.ids(), true);
      // Pieces between added tokens are normalised one by one, so only normalising once more makes both sides comparable.
      assertThat(rule.equals("qwen2") ? Normalizer.normalize(decoded, Normalizer.Form.NFC) : decoded)
          .isEqualTo(rule.equals("qwen2") ? Normalizer.normalize(golden.text(), Normalizer.Form.NFC) : golden.text());
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"qwen2", "bailingmoe", "gpt-2", "seed-coder"})
  void streamsWholeCharactersThatJoinToTheSameText(String rule) {
    Tokenizer tokenizer = GoldenTokenizer.load(rule);
    for (boolean showControl : new boolean[] {true, false}) {
      for (GoldenTokenizer.Case golden : GoldenTokenizer.cases(rule)) {
        StreamingDecoder decoder = tokenizer.streamingDecoder(showControl);
        StringBuilder joined = new StringBuilder();
        for (int id : golden.ids()) {
          String piece = decoder.accept(id);
          assertThat(piece.codePoints().anyMatch(c -> c >= 0xD800 && c < 0xE000)).isFalse();
          joined.append(piece);
        }
        joined.append(decoder.finish());
        assertThat(joined.toString()).isEqualTo(tokenizer.decode(golden.ids(), showControl));
      }
    }
  }

  /** Vocabularies in SentencePiece's spelling, of Hugging Face's tokenizers and of sentencepiece: ids, what they decode to, and streams. */
  @ParameterizedTest
  @ValueSource(strings = {"gemma4", "gemma4-newlines", "llama", "llama-prefix"})
  void encodesAsSentencePiece(String name) {
    Tokenizer tokenizer = sentencePiece(name);
    var cases = GoldenTokenizer.cases(name);
    assertThat(cases).hasSizeGreaterThan(200);
    for (GoldenTokenizer.Case golden : cases) {
      int[] ids = tokenizer.encode(golden.text());
      assertThat(ids).as(golden.text()).isEqualTo(golden.ids());
      String blank = name.endsWith("prefix") && !golden.text().isEmpty() ? " " : "";
      String decoded = tokenizer.decode(ids, true);
      assertThat(decoded).isEqualTo(blank + golden.text().replace('\u2581', ' '));
      StreamingDecoder stream = tokenizer.streamingDecoder(true);
      StringBuilder joined = new StringBuilder();
      for (int id : ids) {
        joined.append(stream.accept(id));
      }
      assertThat(joined.append(stream.finish()).toString()).isEqualTo(decoded);
    }
  }

  private static Tokenizer sentencePiece(String name) {
    return Tokenizer.of(GoldenTokenizer.sentencePiece(name, name.endsWith("prefix")));
  }
}
