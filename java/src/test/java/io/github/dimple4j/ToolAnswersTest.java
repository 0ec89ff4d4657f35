package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.dimple4j.chat.Tool;
import io.github.dimple4j.chat.ToolCall;
import io.github.dimple4j.chat.ToolChoice;
import io.github.dimple4j.chat.ToolSyntax;
import io.github.dimple4j.structure.RecordSchema;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Random models call tools, and every call fits. */
class ToolAnswersTest {
  /** Of a tool. */
  public record Move(boolean fast, int steps) {}

  private static final List<Tool> TOOLS = List.of(Tool.of("move", "Moves.", Move.class), new Tool("stop", "Stops.", "{\"properties\": {}}"));

  @TempDir Path folder;

  @Test
  void everyCallFitsWhateverTheModel() throws IOException {
    int calls = 0;
    try (DimpleModel model = DimpleModel.load(TinyModel.ofText().write(folder.resolve("model.gguf")))) {
      ToolSyntax syntax = model.chatTemplate().toolSyntax();
      for (ToolChoice choice : ToolChoice.values()) {
        for (int seed = 0; seed < 12; seed++) {
          Decoding decoding = Decoding.builder().seed(seed).temperature(seed % 3).threshold(seed % 2 == 0 ? 0.5f : 0.001f).build();
          try (Session session = model.session().system("Be brief.").user("Go!").assistant("", List.of(new ToolCall("stop", "{}")))
              .toolResult("stop", "stopped").tools(TOOLS).responseLength(120).response(Template.of(syntax.answer(TOOLS, choice))).open()) {
            String text = session.decode(decoding).text();
            Optional<ToolCall> call = syntax.read(text);
            assertThat(call.isPresent()).as(text).isEqualTo(syntax.mayBegin(text) && !text.isEmpty());
            assertThat(choice == ToolChoice.AUTO || call.isPresent()).as(text).isTrue();
            call.ifPresent(found -> {
              if (found.name().equals("move")) {
                assertThat(RecordSchema.read(found.arguments(), Move.class)).isNotNull();
              } else {
                assertThat(found).isEqualTo(new ToolCall("stop", "{}"));
              }
            });
            calls += call.isPresent() ? 1 : 0;
          }
        }
      }
      assertThat(calls).isGreaterThanOrEqualTo(12);
      assertThatThrownBy(() -> model.session().prompt("x").tools(TOOLS).open()).isInstanceOf(InvalidArgumentException.class)
          .hasMessage("tools go with a conversation (system, user, assistant)");
    }
  }
}
