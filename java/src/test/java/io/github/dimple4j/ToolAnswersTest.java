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
  void severalCallsFitToo() throws IOException {
    int several = 0;
    try (DimpleModel model = DimpleModel.load(TinyModel.ofText().write(folder.resolve("several.gguf")))) {
      ToolSyntax syntax = model.chatTemplate().toolSyntax();
      for (int seed = 0; seed < 12; seed++) {
        try (Session session = model.session().user("Go!").tools(TOOLS).responseLength(240)
            .response(Template.of(syntax.answer(TOOLS, ToolChoice.REQUIRED, 3))).open()) {
          String text = session.decode(Decoding.builder().seed(seed).temperature(seed % 3).build()).text();
          List<ToolCall> calls = syntax.readAll(text);
          assertThat(calls.size()).as(text).isBetween(1, 3);
          assertThat(calls).allMatch(call -> TOOLS.stream().anyMatch(tool -> tool.admits(call)));
          several += calls.size() > 1 ? 1 : 0;
        }
      }
    }
    assertThat(several).isPositive();
  }

  @Test
  void aToolAdmitsWhatFits() {
    Tool tool = new Tool("f", "", """
        {"properties": {"to": {"type": "object", "properties": {"z": {"type": "integer"}, "a": {"type": "string"}}, "required": ["z"]},
         "n": {"type": "integer", "maximum": 9}}, "required": ["to"]}""");
    assertThat(List.of("{\"to\":{\"z\":1}}", "{\"to\":{\"z\":1,\"a\":\"b\"},\"n\":9}", "{\"n\":0, \"to\":{\"a\":\"b\",\"z\":1}}"))
        .allMatch(arguments -> tool.admits(new ToolCall("f", arguments)));
    assertThat(List.of("{}", "{\"to\":{\"z\":\"1\"}}", "{\"to\":{\"z\":1},\"n\":10}", "{\"to\":{\"a\":\"b\"}}"))
        .noneMatch(arguments -> tool.admits(new ToolCall("f", arguments)));
    assertThat(tool.admits(new ToolCall("g", "{\"to\":{\"z\":1}}"))).isFalse();
  }

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
