package io.github.dimple4j.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.within;

import com.openai.client.OpenAIClient;
import com.openai.client.okhttp.OpenAIOkHttpClient;
import com.openai.core.JsonValue;
import com.openai.core.http.StreamResponse;
import com.openai.errors.BadRequestException;
import com.openai.errors.NotFoundException;
import com.openai.errors.UnauthorizedException;
import com.openai.models.chat.completions.ChatCompletion;
import com.openai.models.chat.completions.ChatCompletionChunk;
import com.openai.models.chat.completions.ChatCompletionContentPart;
import com.openai.models.chat.completions.ChatCompletionContentPartImage;
import com.openai.models.chat.completions.ChatCompletionContentPartText;
import com.openai.models.chat.completions.ChatCompletionCreateParams;
import com.openai.models.chat.completions.ChatCompletionMessageToolCall;
import com.openai.models.chat.completions.ChatCompletionStreamOptions;
import com.openai.models.chat.completions.ChatCompletionToolChoiceOption;
import com.openai.models.chat.completions.ChatCompletionToolMessageParam;
import com.openai.models.chat.completions.StructuredChatCompletion;
import com.openai.models.chat.completions.StructuredChatCompletionCreateParams;
import com.openai.models.completions.Completion;
import com.openai.models.completions.CompletionCreateParams;
import com.openai.models.FunctionDefinition;
import com.openai.models.FunctionParameters;
import io.github.dimple4j.Image;
import io.github.dimple4j.Session;
import io.github.dimple4j.Template;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/** The client that OpenAI gives to Java programs. */
@Tag("openai-client") // its class path has the versions that the client asks for
class OpenAiClientTest {
  private static final String DESCRIBE = "Describe this image.";

  private static DimpleServer server;
  private static OpenAIClient client;

  @BeforeAll
  static void start() {
    server = Mini.start(Mini.options().apiKeys(List.of("secret")));
    client = client("secret");
  }

  private static OpenAIClient client(String key) {
    return OpenAIOkHttpClient.builder().baseUrl(server.address() + "/v1").apiKey(key).maxRetries(0).build();
  }

  @AfterAll
  static void stop() {
    client.close();
    server.close();
  }

  private static ChatCompletionCreateParams.Builder ask(String text) {
    return ChatCompletionCreateParams.builder().model(Mini.NAME).addUserMessage(text);
  }

  private static ChatCompletionCreateParams.Builder askAbout(int scene, String text) {
    return ChatCompletionCreateParams.builder().model(Mini.NAME).addUserMessageOfArrayOfContentParts(List.of(
        ChatCompletionContentPart.ofImageUrl(ChatCompletionContentPartImage.builder()
            .imageUrl(ChatCompletionContentPartImage.ImageUrl.builder().url(Mini.dataUrl(Mini.scene(scene))).build()).build()),
        ChatCompletionContentPart.ofText(ChatCompletionContentPartText.builder().text(text).build())));
  }

  private static String direct(int scene, String text) {
    return Mini.MODEL.ask(text, Image.decode(Mini.scene(scene), "scene")).text();
  }

  private static String content(ChatCompletion answer) {
    return answer.choices().getFirst().message().content().orElseThrow();
  }

  @Test
  void answersAboutPictures() {
    for (int scene = 1; scene <= 3; scene++) {
      ChatCompletion answer = client.chat().completions().create(askAbout(scene, DESCRIBE).build());
      assertThat(content(answer)).isEqualTo(direct(scene, DESCRIBE)).isNotBlank();
      assertThat(answer.choices().getFirst().finishReason()).isEqualTo(ChatCompletion.Choice.FinishReason.STOP);
      assertThat(answer.model()).isEqualTo(Mini.NAME);
      assertThat(answer.usage().orElseThrow().promptTokens()).isGreaterThan(30);
      assertThat(answer.usage().orElseThrow().completionTokens()).isPositive();
    }
  }

  @Test
  void streamsWhatStays() {
    ChatCompletionCreateParams slow = askAbout(1, DESCRIBE).streamOptions(ChatCompletionStreamOptions.builder().includeUsage(true).build())
        .putAdditionalBodyProperty("diffusion", JsonValue.from(Map.of("threshold", 0, "algorithm", "autoregressive"))).build();
    try (StreamResponse<ChatCompletionChunk> stream = client.chat().completions().createStreaming(slow)) {
      List<ChatCompletionChunk> chunks = stream.stream().toList();
      List<String> deltas = chunks.stream().flatMap(chunk -> chunk.choices().stream()).flatMap(choice -> choice.delta().content().stream())
          .filter(text -> !text.isEmpty()).toList();
      assertThat(deltas).hasSizeGreaterThan(10); // a token at a time
      String whole = content(client.chat().completions().create(slow.toBuilder().streamOptions(Optional.empty()).build()));
      assertThat(String.join("", deltas)).isEqualTo(whole);
      assertThat(chunks.getLast().usage().orElseThrow().completionTokens()).isPositive();
    }
  }

  /** What the model sees of shapes. */
  public static class Scene {
    /** The colour behind all. */
    public String background;
    /** How many shapes. */
    public int shapes;
  }

  @Test
  void holdsAnswersToASchema() {
    StructuredChatCompletionCreateParams<Scene> question = askAbout(1, "Summarize the image as JSON.").responseFormat(Scene.class).build();
    StructuredChatCompletion<Scene> answer = client.chat().completions().create(question);
    Scene scene = answer.choices().getFirst().message().content().orElseThrow();
    assertThat(scene.background).isNotBlank();
  }

  @Test
  @SuppressWarnings("deprecation") // OpenAI's, of its own seed
  void givesSeveralChoices() {
    ChatCompletion answer = client.chat().completions().create(ask("x").n(3).temperature(1).seed(5).maxCompletionTokens(12).build());
    assertThat(answer.choices()).hasSize(3);
    try (Session session = Mini.MODEL.session().user("x").responseLength(12).open()) {
      for (int i = 0; i < 3; i++) {
        String alone = session.decode(Mini.MODEL.decoding().toBuilder().temperature(1).seed(5 + i).build()).text();
        assertThat(answer.choices().get(i).message().content()).contains(alone);
        assertThat(answer.choices().get(i).index()).isEqualTo(i);
      }
    }
  }

  @Test
  void stopsAndTellsProbabilities() {
    String whole = content(client.chat().completions().create(askAbout(2, DESCRIBE).build()));
    String word = whole.substring(whole.indexOf(' ') + 1).split(" ")[1];
    ChatCompletion answer = client.chat().completions().create(askAbout(2, DESCRIBE).stop(word).logprobs(true).build());
    assertThat(content(answer)).isEqualTo(whole.substring(0, whole.indexOf(word)));
    var tokens = answer.choices().getFirst().logprobs().orElseThrow().content().orElseThrow();
    assertThat(tokens.stream().map(token -> token.token()).collect(Collectors.joining())).startsWith(content(answer));
    assertThat(tokens).allSatisfy(token -> assertThat(token.logprob()).isLessThanOrEqualTo(0));
  }

  /** At temperature 0 the token that was revealed is the most probable one. */
  @Test
  void listsOtherTokens() {
    ChatCompletion answer = client.chat().completions().create(askAbout(2, DESCRIBE).logprobs(true).topLogprobs(4).build());
    var tokens = answer.choices().getFirst().logprobs().orElseThrow().content().orElseThrow();
    assertThat(tokens).hasSizeGreaterThan(3).allSatisfy(token -> {
      assertThat(token.topLogprobs()).hasSize(4);
      assertThat(token.topLogprobs().getFirst().token()).isEqualTo(token.token());
      assertThat(token.topLogprobs().getFirst().logprob()).isCloseTo(token.logprob(), within(1e-4));
      assertThat(token.topLogprobs().stream().map(other -> -other.logprob())).isSorted();
    });
  }

  @Test
  void namesWhatIsWrong() {
    assertThatExceptionOfType(BadRequestException.class).isThrownBy(() -> client.chat().completions().create(ask("x").temperature(-1).build()))
        .satisfies(e -> assertThat(e.param()).contains("temperature"));
    assertThatExceptionOfType(BadRequestException.class).isThrownBy(() -> client.chat().completions().create(
        ask("x").maxCompletionTokens(1_000_000).build())).satisfies(e -> assertThat(e.param()).contains("max_completion_tokens"));
    assertThatExceptionOfType(NotFoundException.class).isThrownBy(() -> client.chat().completions().create(ask("x").model("gpt-5").build()))
        .satisfies(e -> assertThat(e.param()).contains("model"));
    OpenAIClient stranger = client("guess");
    assertThatExceptionOfType(UnauthorizedException.class).isThrownBy(() -> stranger.chat().completions().create(ask("x").build()));
    stranger.close();
  }

  private static ChatCompletionCreateParams.Builder withWeather(ChatCompletionCreateParams.Builder question) {
    return question.addFunctionTool(FunctionDefinition.builder().name("weather").description("Tells the weather of a place.")
        .parameters(FunctionParameters.builder().putAdditionalProperty("type", JsonValue.from("object"))
            .putAdditionalProperty("properties", JsonValue.from(Map.of("days", Map.of("type", "integer", "minimum", 1, "maximum", 7),
                "unit", Map.of("enum", List.of("celsius", "kelvin")))))
            .putAdditionalProperty("required", JsonValue.from(List.of("days", "unit"))).build()).build());
  }

  @Test
  void callsTools() {
    ChatCompletionCreateParams question = withWeather(ask("What is the weather like?")).toolChoice(ChatCompletionToolChoiceOption.Auto.REQUIRED)
        .build();
    ChatCompletion answer = client.chat().completions().create(question);
    assertThat(answer.choices().getFirst().finishReason()).isEqualTo(ChatCompletion.Choice.FinishReason.TOOL_CALLS);
    ChatCompletionMessageToolCall call = answer.choices().getFirst().message().toolCalls().orElseThrow().getFirst();
    assertThat(call.asFunction().function().name()).isEqualTo("weather");
    assertThat(call.asFunction().function().arguments()).matches("\\{\\s*\"(days|unit)\".*\\}").contains("\"unit\"", "\"days\"");
    JsonNode arguments = Json.read(call.asFunction().function().arguments());
    assertThat(arguments.get("days").intValue()).isBetween(1, 7);

    try (StreamResponse<ChatCompletionChunk> stream = client.chat().completions().createStreaming(question)) {
      List<ChatCompletionChunk> chunks = stream.stream().toList();
      assertThat(chunks.stream().flatMap(chunk -> chunk.choices().stream()).flatMap(choice -> choice.delta().content().stream()))
          .allSatisfy(text -> assertThat(text).isEmpty());
      var called = chunks.stream().flatMap(chunk -> chunk.choices().stream()).flatMap(choice -> choice.delta().toolCalls().stream())
          .flatMap(List::stream).toList();
      assertThat(called).singleElement().satisfies(one -> assertThat(one.function().orElseThrow().arguments())
          .contains(call.asFunction().function().arguments()));
    }
    // What the tool says goes back, and the answer may be a text.
    ChatCompletion next = client.chat().completions().create(question.toBuilder().addMessage(answer.choices().getFirst().message())
        .addMessage(ChatCompletionToolMessageParam.builder().toolCallId(call.asFunction().id()).content("Rain.").build())
        .toolChoice(ChatCompletionToolChoiceOption.Auto.NONE).build());
    assertThat(next.choices().getFirst().message().toolCalls().orElse(List.of())).isEmpty();
    assertThat(content(next)).isNotNull();
    ChatCompletion free = client.chat().completions().create(withWeather(askAbout(1, DESCRIBE)).build());
    assertThat(free.choices().getFirst().message().content().isPresent()).isNotEqualTo(
        free.choices().getFirst().message().toolCalls().isPresent());
  }

  @Test
  void completesPrompts() {
    String prompt = "<|im_start|>user\nx<|im_end|>\n<|im_start|>assistant\n";
    Completion answer = client.completions().create(CompletionCreateParams.builder().model(Mini.NAME).prompt(prompt).maxTokens(16).build());
    try (Session session = Mini.MODEL.session().prompt(prompt).responseLength(16).open()) {
      assertThat(answer.choices().getFirst().text()).isEqualTo(session.decode(Mini.MODEL.decoding()).text());
    }
    Completion between = client.completions().create(CompletionCreateParams.builder().model(Mini.NAME).prompt(prompt).maxTokens(3)
        .suffix(" at the top left.").build());
    try (Session session = Mini.MODEL.session().prompt(prompt).response(Template.of(Template.slot(3), " at the top left.")).open()) {
      assertThat(between.choices().getFirst().text()).isEqualTo(session.decode(Mini.MODEL.decoding()).slots().getFirst());
    }
  }

  @Test
  void bansTokens() {
    ChatCompletion usual = client.chat().completions().create(askAbout(1, DESCRIBE).build());
    int first = Mini.MODEL.tokenizer().encodeOrdinary(content(usual))[0];
    ChatCompletion other = client.chat().completions().create(askAbout(1, DESCRIBE).logitBias(ChatCompletionCreateParams.LogitBias.builder()
        .putAdditionalProperty(Integer.toString(first), JsonValue.from(-100)).build()).build());
    assertThat(Mini.MODEL.tokenizer().encodeOrdinary(content(other))).doesNotContain(first);
  }

  @Test
  void listsTheModel() {
    assertThat(client.models().list().data()).singleElement().satisfies(model -> assertThat(model.id()).isEqualTo(Mini.NAME));
  }
}
