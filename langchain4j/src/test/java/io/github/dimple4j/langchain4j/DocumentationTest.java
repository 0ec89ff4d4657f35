package io.github.dimple4j.langchain4j;

import static org.assertj.core.api.Assertions.assertThat;

import dev.langchain4j.data.message.ImageContent;
import dev.langchain4j.model.chat.ChatModel;
import dev.langchain4j.service.AiServices;
import dev.langchain4j.service.UserMessage;
import io.github.dimple4j.DimpleModel;
import io.github.dimple4j.Generation;
import io.github.dimple4j.Session;
import io.github.dimple4j.Template;
import io.github.dimple4j.chat.Tool;
import io.github.dimple4j.chat.ToolChoice;
import io.github.dimple4j.chat.ToolSyntax;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** The examples of docs/langchain4j.md do what it says, and are those of the page. */
class DocumentationTest {
  enum Background { white, gray, black, brown }

  record Scene(Background background, int shapes, String number) {}

  interface Describer {
    Scene describe(@UserMessage String question, @UserMessage ImageContent picture);
  }

  @Test
  void aPictureBecomesARecord() {
    try (DimpleModel dimple = DimpleModel.load(Path.of("../models/mini/dimple-mini-f16.gguf"))) {
      ChatModel model = DimpleChatModel.builder(dimple).build();
      ImageContent picture = ImageContent.from(Path.of("../docs/images/scene.png"), "image/png");
      Scene scene = AiServices.create(Describer.class, model).describe("Summarize the image as JSON.", picture);
      System.out.println(scene); // Scene[background=white, shapes=3, number=7]
      assertThat(scene).hasToString("Scene[background=white, shapes=3, number=7]");
    }
  }

  @Test
  void theExampleOfTheClass() throws IOException {
    Path file = Path.of("../models/mini/dimple-mini-f16.gguf");
    ImageContent picture = ImageContent.from(Path.of("../docs/images/scene.png"), "image/png");
    try (DimpleModel dimple = DimpleModel.load(file)) {
      ChatModel model = DimpleChatModel.builder(dimple).responseLength(48).build();
      interface Describer { Scene describe(@UserMessage String question, @UserMessage ImageContent picture); }
      Scene scene = AiServices.create(Describer.class, model).describe("Summarize the image as JSON.", picture);
      assertThat(scene).hasToString("Scene[background=white, shapes=3, number=7]");
    }
    String documented = Files.readString(Path.of("src/main/java/io/github/dimple4j/langchain4j/DimpleChatModel.java"))
        .split("<pre>\\{@code\\n")[1].split(" \\* }</pre>")[0].replaceAll("(?m)^ \\*", "");
    String here = words(Files.readString(Path.of("src/test/java/io/github/dimple4j/langchain4j/DocumentationTest.java")));
    assertThat(documented.lines()).hasSize(5).allMatch(line -> here.contains(words(line)));
  }

  @Test
  void aToolMayBeCalled() {
    try (DimpleModel model = DimpleModel.load(Path.of("../models/mini/dimple-mini-f16.gguf"))) {
      List<Tool> tools = List.of(new Tool("weather", "Tells the weather.", "{\"properties\": {\"city\": {\"type\": \"string\"}}, \"required\": [\"city\"]}"));
      ToolSyntax syntax = model.chatTemplate().toolSyntax();
      try (Session session = model.session().user("How is Oslo?").tools(tools).response(Template.of(syntax.answer(tools, ToolChoice.AUTO))).open()) {
        Generation answer = session.decode(model.decoding());
        answer.toolCalls(syntax).forEach(call -> System.out.println(call.name() + call.arguments()));
        assertThat(syntax.read(answer.text()).isPresent()).isEqualTo(answer.text().startsWith("<tool_call>"));
      }
    }
  }

  @Test
  void theyAreThoseOfThePage() throws IOException {
    Path source = Path.of("src/test/java/io/github/dimple4j/langchain4j/DocumentationTest.java");
    String here = words(Files.readString(source).replace("Path.of(\"../", "Path.of(\""));
    List<String> blocks = Pattern.compile("(?ms)^```java(?: langchain4j)?\\n(.*?)^```$").matcher(Files.readString(Path.of("../docs/langchain4j.md"))).results()
        .map(block -> block.group(1)).toList();
    assertThat(blocks).hasSize(2);
    for (String line : String.join("\n", blocks).split("\n")) {
      if (!line.startsWith("import")) {
        assertThat(here).contains(words(line));
      }
    }
  }

  private static String words(String text) {
    return text.replaceAll("\\s+", " ").strip();
  }
}
