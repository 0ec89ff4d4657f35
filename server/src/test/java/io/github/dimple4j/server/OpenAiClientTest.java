package io.github.dimple4j.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

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
import com.openai.models.chat.completions.ChatCompletionStreamOptions;
import com.openai.models.chat.completions.StructuredChatCompletion;
import com.openai.models.chat.completions.StructuredChatCompletionCreateParams;
import io.github.dimple4j.Image;
import io.github.dimple4j.Session;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** The client that OpenAI gives to Java programs. */
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

  @Test
  void listsTheModel() {
    assertThat(client.models().list().data()).singleElement().satisfies(model -> assertThat(model.id()).isEqualTo(Mini.NAME));
  }
}
