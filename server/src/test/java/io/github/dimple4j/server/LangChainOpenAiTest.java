package io.github.dimple4j.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.langchain4j.agent.tool.ToolExecutionRequest;
import dev.langchain4j.agent.tool.ToolSpecification;
import dev.langchain4j.data.message.ImageContent;
import dev.langchain4j.data.message.TextContent;
import dev.langchain4j.data.message.ToolExecutionResultMessage;
import dev.langchain4j.data.message.UserMessage;
import dev.langchain4j.exception.InvalidRequestException;
import dev.langchain4j.model.chat.Capability;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.request.ToolChoice;
import dev.langchain4j.model.chat.request.json.JsonObjectSchema;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.chat.response.StreamingChatResponseHandler;
import dev.langchain4j.model.openai.OpenAiChatModel;
import dev.langchain4j.model.openai.OpenAiStreamingChatModel;
import dev.langchain4j.model.output.FinishReason;
import dev.langchain4j.service.AiServices;
import io.github.dimple4j.Image;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.json.JsonMapper;

/** LangChain4j's OpenAI client; in the same process there is module langchain4j. */
class LangChainOpenAiTest {
  private static final String DESCRIBE = "Describe this image.";

  private static DimpleServer server;

  @BeforeAll
  static void start() {
    server = Mini.start(Mini.options().apiKeys(List.of("secret")));
  }

  @AfterAll
  static void stop() {
    server.close();
  }

  private static OpenAiChatModel.OpenAiChatModelBuilder model() {
    return OpenAiChatModel.builder().baseUrl(server.address() + "/v1").apiKey("secret").modelName(Mini.NAME).maxRetries(0);
  }

  private static ImageContent picture(int scene) {
    return ImageContent.from(Base64.getEncoder().encodeToString(Mini.scene(scene)), "image/png");
  }

  private static String direct(int scene) {
    return Mini.MODEL.ask(DESCRIBE, Image.decode(Mini.scene(scene), "scene")).text();
  }

  @Test
  void answersAboutPictures() {
    ChatResponse response = model().build().chat(UserMessage.from(picture(1), TextContent.from(DESCRIBE)));
    assertThat(response.aiMessage().text()).isEqualTo(direct(1));
    assertThat(response.finishReason()).isEqualTo(FinishReason.STOP);
    assertThat(response.tokenUsage().inputTokenCount()).isGreaterThan(30);
  }

  @Test
  void streams() throws Exception {
    List<String> parts = new ArrayList<>();
    CompletableFuture<ChatResponse> complete = new CompletableFuture<>();
    OpenAiStreamingChatModel.builder().baseUrl(server.address() + "/v1").apiKey("secret").modelName(Mini.NAME)
        .customParameters(Map.of("diffusion", Map.of("threshold", 0, "algorithm", "autoregressive"))).build()
        .chat(List.of(UserMessage.from(picture(1), TextContent.from(DESCRIBE))), new StreamingChatResponseHandler() {
          @Override
          public void onPartialResponse(String part) {
            parts.add(part);
          }

          @Override
          public void onCompleteResponse(ChatResponse response) {
            complete.complete(response);
          }

          @Override
          public void onError(Throwable failure) {
            complete.completeExceptionally(failure);
          }
        });
    ChatResponse response = complete.get(60, TimeUnit.SECONDS);
    assertThat(parts).hasSizeGreaterThan(10);
    assertThat(String.join("", parts)).isEqualTo(response.aiMessage().text());
  }

  /** Colours of backgrounds. */
  public enum Background { white, gray, black, brown }

  /** What the model sees. */
  public record Scene(Background background, int shapes, String number) {}

  /** What an application writes. */
  interface Describer {
    Scene summarize(@dev.langchain4j.service.UserMessage List<dev.langchain4j.data.message.Content> question);
  }

  @Test
  void aiServicesGiveRecords() {
    OpenAiChatModel model = model().supportedCapabilities(Capability.RESPONSE_FORMAT_JSON_SCHEMA).strictJsonSchema(true).build();
    Describer describer = AiServices.create(Describer.class, model);
    assertThat(describer.summarize(List.of(picture(1), TextContent.from("Summarize the image as JSON."))))
        .isEqualTo(new Scene(Background.white, 3, "7"));
  }

  @Test
  void toolsAreCalledAndAnswered() {
    ToolSpecification move = ToolSpecification.builder().name("move").description("Moves.")
        .parameters(JsonObjectSchema.builder().addBooleanProperty("fast").required("fast").build()).build();
    UserMessage go = UserMessage.from("Go!");
    ChatResponse response = model().build().chat(ChatRequest.builder().messages(go).toolSpecifications(move).toolChoice(ToolChoice.REQUIRED).build());
    assertThat(response.finishReason()).isEqualTo(FinishReason.TOOL_EXECUTION);
    ToolExecutionRequest call = response.aiMessage().toolExecutionRequests().getFirst();
    assertThat(call.name()).isEqualTo("move");
    assertThat(JsonMapper.shared().readTree(call.arguments()).get("fast").isBoolean()).isTrue();
    ChatResponse after = model().build().chat(go, response.aiMessage(), ToolExecutionResultMessage.from(call, "moved"));
    assertThat(after.tokenUsage().inputTokenCount()).isGreaterThan(30);
  }

  @Test
  void errorsNameTheField() {
    assertThatThrownBy(() -> model().temperature(-1.0).build().chat("x")).isInstanceOf(InvalidRequestException.class).hasMessageContaining("temperature");
    assertThatThrownBy(() -> model().apiKey("guess").build().chat("x")).hasMessageContaining("key");
  }
}
