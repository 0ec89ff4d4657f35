package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.dimple4j.chat.ChatMessage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Half of a surrogate pair, as in a text that was cut within a character, is an error wherever text goes to a model, and not another text. */
class WholeTextTest {
  private static final String CUT = "cat \uD83D";

  @TempDir private Path folder;

  @Test
  void aCutCharacterIsAnErrorWhereverTextGoesToTheModel() throws IOException {
    Map<String, UnaryOperator<SessionBuilder>> prompts = Map.of("user", b -> b.user(CUT), "part", b -> b.user(Part.text(CUT)), "system", b -> b.system(CUT).user("x"),
        "assistant", b -> b.assistant(CUT).user("x"), "result", b -> b.user("x").toolResult("tool", CUT),
        "message", b -> b.message(ChatMessage.of("user", CUT)), "raw", b -> b.prompt(CUT));
    try (DimpleModel model = DimpleModel.load(TinyModel.ofText().write(folder.resolve("model.gguf")))) {
      prompts.forEach((name, prompt) -> assertThatThrownBy(() -> prompt.apply(model.session()).responseLength(4).open().close(), name)
          .isInstanceOf(InvalidArgumentException.class).hasMessageContaining("half of a surrogate pair"));
      assertThatThrownBy(() -> model.ask(CUT)).isInstanceOf(InvalidArgumentException.class);
      assertThatThrownBy(() -> model.conversation().ask(CUT)).isInstanceOf(InvalidArgumentException.class);
      assertThatThrownBy(() -> Template.of(CUT, Template.slot(2))).isInstanceOf(InvalidArgumentException.class).hasMessageContaining("half of a surrogate pair");
      try (Session session = model.session().user("\uD83D\uDE00").responseLength(4).open()) {
        assertThat(session.promptTokens()).isNotEmpty();
        assertThatThrownBy(() -> session.score(CUT, Scoring.leftToRight())).isInstanceOf(InvalidArgumentException.class);
        assertThatThrownBy(() -> session.score(List.of("cat", CUT), Scoring.leftToRight())).isInstanceOf(InvalidArgumentException.class);
      }
    }
  }

  /** For C a NUL ends a text. */
  @Test
  void aNameDoesNotEndAtItsNul() throws IOException {
    Path file = TinyModel.ofText().write(folder.resolve("model.gguf"));
    assertThatThrownBy(() -> ModelOptions.builder().backend("cpu\0plain").build()).isInstanceOf(InvalidArgumentException.class).hasMessageContaining("NUL");
    assertThatThrownBy(() -> Device.list("cpu\0")).isInstanceOf(InvalidArgumentException.class);
    try (DimpleModel model = DimpleModel.load(file)) {
      assertThat(model.metadata("general.architecture")).isPresent();
      assertThat(model.metadata("general.architecture\0")).isEmpty();
    }
  }
}
