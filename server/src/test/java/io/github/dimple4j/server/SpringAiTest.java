package io.github.dimple4j.server;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.annotation.JsonPropertyOrder;
import io.github.dimple4j.Image;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.messages.UserMessage;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.content.Media;
import org.springframework.ai.converter.BeanOutputConverter;
import org.springframework.ai.openai.OpenAiChatModel;
import org.springframework.ai.openai.OpenAiChatOptions;
import org.springframework.ai.tool.function.FunctionToolCallback;
import org.springframework.core.io.ByteArrayResource;
import org.springframework.util.MimeTypeUtils;

/** Spring AI's OpenAI client. */
class SpringAiTest {
  private static final String DESCRIBE = "Describe this image.";

  private static DimpleServer server;
  private static OpenAiChatModel model;

  @BeforeAll
  static void start() {
    server = Mini.start(Mini.options().apiKeys(List.of("secret")));
    model = OpenAiChatModel.builder().options(options().build()).build();
  }

  @AfterAll
  static void stop() {
    server.close();
  }

  private static OpenAiChatOptions.Builder options() {
    return OpenAiChatOptions.builder().baseUrl(server.address() + "/v1").apiKey("secret").model(Mini.NAME);
  }

  private static UserMessage about(int scene, String text) {
    return UserMessage.builder().text(text).media(new Media(MimeTypeUtils.IMAGE_PNG, new ByteArrayResource(Mini.scene(scene)))).build();
  }

  private static String direct(int scene) {
    return Mini.MODEL.ask(DESCRIBE, Image.decode(Mini.scene(scene), "scene")).text();
  }

  @Test
  void answersAboutPictures() {
    ChatResponse response = model.call(new Prompt(about(1, DESCRIBE)));
    assertThat(response.getResult().getOutput().getText()).isEqualTo(direct(1)); // though it sends the text before the picture
    assertThat(response.getResult().getMetadata().getFinishReason()).isEqualToIgnoringCase("stop");
    assertThat(response.getMetadata().getUsage().getPromptTokens()).isGreaterThan(30);
    assertThat(response.getMetadata().getModel()).isEqualTo(Mini.NAME);
  }

  @Test
  void streams() {
    OpenAiChatOptions slow = options().maxCompletionTokens(24).extraBody(Map.of("diffusion", Map.of("threshold", 0, "algorithm", "autoregressive"))).build();
    List<String> parts = model.stream(new Prompt(about(2, DESCRIBE), slow)).mapNotNull(ChatResponse::getResult)
        .mapNotNull(result -> result.getOutput().getText()).filter(text -> !text.isEmpty()).collectList().block(Duration.ofMinutes(1));
    assertThat(parts).hasSizeGreaterThan(10);
    assertThat(String.join("", parts)).isEqualTo(model.call(new Prompt(about(2, DESCRIBE), slow)).getResult().getOutput().getText());
  }

  /** What the model sees, in the order in which it learnt to say it: Spring AI's schemas have names by the alphabet otherwise. */
  @JsonPropertyOrder({"background", "shapes", "number"})
  public record Scene(Background background, int shapes, String number) {
    /** Colours of backgrounds. */
    public enum Background { white, gray, black, brown }
  }

  @Test
  void answersAreRecords() {
    BeanOutputConverter<Scene> converter = new BeanOutputConverter<>(Scene.class);
    OpenAiChatOptions held = options().outputSchema(converter.getJsonSchema()).build();
    String text = model.call(new Prompt(about(1, "Summarize the image as JSON."), held)).getResult().getOutput().getText();
    assertThat(converter.convert(text)).isEqualTo(new Scene(Scene.Background.white, 3, "7"));
  }

  /** Arguments of a tool. */
  public record Move(boolean fast) {}

  @Test
  void toolsAreCalled() {
    FunctionToolCallback<Move, String> move = FunctionToolCallback.builder("move", (Function<Move, String>) asked -> "moved").description("Moves.")
        .inputType(Move.class).build();
    OpenAiChatOptions options = options().toolCallbacks(move).toolChoice("required").build();
    AssistantMessage called = model.call(new Prompt(new UserMessage("Go!"), options)).getResult().getOutput();
    assertThat(called.getToolCalls()).singleElement().satisfies(call -> {
      assertThat(call.name()).isEqualTo("move");
      assertThat(move.call(call.arguments())).contains("moved");
    });
  }
}
