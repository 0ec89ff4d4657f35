package io.github.dimple4j.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class EndTokensTest {
  private static int[] ends(List<String> vocabulary, Map<String, Integer> keys, int... listed) {
    return EndTokens.of(Utf8Strings.of(vocabulary), key -> keys.getOrDefault(key, -1), listed);
  }

  @Test
  void endsAreNamedByKeysAndListed() {
    assertThat(ends(List.of("a", "b"), Map.of())).isEmpty();
    assertThat(ends(List.of(), Map.of("eos_token_id", 7, "eot_token_id", 5, "eom_token_id", 6, "bos_token_id", 1), 9, 5)).containsExactly(5, 6, 7, 9);
  }

  @ParameterizedTest
  @ValueSource(strings = {"<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>", "<end_of_turn>",
      "<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<|end_of_text|>", "<end_of_utterance>", "<eos>", "<turn|>",
      "<|tool_response>", "<｜end▁of▁sentence｜>", "[e~[", "<|fim_pad|>", "[PAD]", "<|repo_name|>", "<|file_sep|>"})
  void endsAreKnownByTheirSpelling(String spelling) {
    assertThat(ends(List.of("a", spelling, "<|im_start|>"), Map.of())).containsExactly(1);
  }

  @Test
  void separatorsOfFilesGoByTheirSpellingOnlyWithoutAKey() {
    assertThat(ends(List.of("<|fim_pad|>", "<|fim_repo|>", "x"), Map.of("fim_pad_token_id", 2))).containsExactly(1, 2);
  }

  @Test
  void spellingsThatTwoFamiliesUseOtherwiseAreNoEnds() {
    assertThat(ends(List.of("<|end|>", "<|return|>", "<|call|>"), Map.of())).containsExactly(1, 2);
    assertThat(ends(List.of("<|end|>", "<|flush|>", "<|calls|>"), Map.of())).containsExactly(1, 2);
    assertThat(ends(List.of("<|end|>", "<|flush|>", "<|return|>"), Map.of())).containsExactly(0, 1, 2);
    assertThat(ends(List.of("</s>", "<|tool_response>"), Map.of())).containsExactly(1);
  }
}
