package io.github.dimple4j.langchain4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.langchain4j.agent.tool.P;
import dev.langchain4j.agent.tool.Tool;
import dev.langchain4j.agent.tool.ToolExecutionRequest;
import dev.langchain4j.agent.tool.ToolSpecification;
import dev.langchain4j.data.message.AiMessage;
import dev.langchain4j.data.message.AudioContent;
import dev.langchain4j.data.message.ChatMessage;
import dev.langchain4j.data.message.Content;
import dev.langchain4j.data.message.ImageContent;
import dev.langchain4j.data.message.SystemMessage;
import dev.langchain4j.data.message.TextContent;
import dev.langchain4j.data.message.ToolExecutionResultMessage;
import dev.langchain4j.data.message.UserMessage;
import dev.langchain4j.exception.InvalidRequestException;
import dev.langchain4j.exception.UnsupportedFeatureException;
import dev.langchain4j.model.chat.ChatModel;
import dev.langchain4j.model.chat.listener.ChatModelErrorContext;
import dev.langchain4j.model.chat.listener.ChatModelListener;
import dev.langchain4j.model.chat.listener.ChatModelRequestContext;
import dev.langchain4j.model.chat.listener.ChatModelResponseContext;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.request.ResponseFormat;
import dev.langchain4j.model.chat.request.ToolChoice;
import dev.langchain4j.model.chat.request.json.JsonObjectSchema;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.chat.response.CompleteToolCall;
import dev.langchain4j.model.chat.response.PartialResponse;
import dev.langchain4j.model.chat.response.PartialResponseContext;
import dev.langchain4j.model.chat.response.StreamingChatResponseHandler;
import dev.langchain4j.model.output.FinishReason;
import dev.langchain4j.service.AiServices;
import dev.langchain4j.service.TokenStream;
import io.github.dimple4j.Algorithm;
import io.github.dimple4j.Decoding;
import io.github.dimple4j.DimpleModel;
import io.github.dimple4j.Generation;
import io.github.dimple4j.Image;
import io.github.dimple4j.Pipeline;
import io.github.dimple4j.Session;
import io.github.dimple4j.SessionBuilder;
import io.github.dimple4j.chat.ChatTemplate;
import io.github.dimple4j.structure.RecordSchema;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The bundled model behind LangChain4j, and behind its AiServices. */
@Timeout(60)
class DimpleChatModelTest {
  private static final DimpleModel DIMPLE = DimpleModel.load(Path.of("../models/mini/dimple-mini-f16.gguf"));
  private static final DimpleChatModel MODEL = DimpleChatModel.builder(DIMPLE).build();
  private static final String DESCRIBE = "Describe this image.";
  private static final JsonNode SCENES = JsonMapper.shared().readTree(Path.of("../docs/images/scenes.json"));

  /** What the model was trained to say of a scene. */
  public record Scene(Background background, int shapes, String number) {}

  /** Colours of backgrounds. */
  public enum Background { white, gray, black, brown }

  /** Arguments of a tool. */
  public record Move(int steps, boolean fast) {}

  private static final ToolSpecification MOVE = ToolSpecification.builder().name("move").description("Moves.")
      .parameters(JsonObjectSchema.builder().addIntegerProperty("steps").addBooleanProperty("fast").required("steps", "fast").build()).build();
  private static final ToolSpecification STOP = ToolSpecification.builder().name("stop").build();

  @AfterAll
  static void close() {
    DIMPLE.close();
  }

  private static byte[] scene(int number) {
    try {
      return Files.readAllBytes(Path.of("../docs/images/scene-%02d.png".formatted(number)));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static ImageContent picture(int number) {
    return ImageContent.from(Base64.getEncoder().encodeToString(scene(number)), "image/png");
  }

  private static ChatRequest.Builder ask(String text) {
    return ChatRequest.builder().messages(SystemMessage.from("Be brief."), UserMessage.from(text));
  }

  private static Generation direct(int number) {
    return DIMPLE.ask(DESCRIBE, Image.decode(scene(number), "scene"));
  }

  /** Results of tools that ran side by side come in any order, and belong to the calls that they name. */
  @Test
  void resultsOfToolsFollowTheirCalls() {
    List<ToolExecutionRequest> calls = List.of(ToolExecutionRequest.builder().id("b").name("move").arguments("{}").build(),
        ToolExecutionRequest.builder().id("a").name("move").arguments("{\"steps\": 2}").build());
    var first = ToolExecutionResultMessage.from("b", "move", "one");
    var second = ToolExecutionResultMessage.from("a", "move", "two");
    int[] inOrder = prompt(UserMessage.from("Go."), AiMessage.from(calls), first, second);
    assertThat(prompt(UserMessage.from("Go."), AiMessage.from(calls), second, first)).isEqualTo(inOrder);
    assertThat(prompt(UserMessage.from("Go."), AiMessage.from(calls), ToolExecutionResultMessage.from("b", "move", "two"),
        ToolExecutionResultMessage.from("a", "move", "one"))).isNotEqualTo(inOrder);
    var unknown = ToolExecutionResultMessage.from("z", "move", "three"); // whose call a memory has forgotten
    assertThat(prompt(UserMessage.from("Go."), AiMessage.from(calls), unknown, second, first))
        .isEqualTo(prompt(UserMessage.from("Go."), AiMessage.from(calls), first, second, unknown));
  }

  /** Templates say whether a model sees again what it thought. */
  @Test
  void thoughtsComeBackWithTheirAnswer() {
    AiMessage answer = AiMessage.builder().text("c").thinking("t").build();
    SessionBuilder builder = DIMPLE.session().chatTemplate(ChatTemplate.parse("{% for m in messages %}{{ m.reasoning_content }}{{ m.content }}{% endfor %}"));
    new Conversion(PictureOrder.FIRST).addAll(List.of(UserMessage.from("u"), answer), builder);
    try (Session session = builder.responseLength(8).open()) {
      assertThat(DIMPLE.tokenizer().decode(session.promptTokens())).isEqualTo("utc");
    }
  }

  private static int[] prompt(ChatMessage... messages) {
    SessionBuilder builder = DIMPLE.session();
    new Conversion(PictureOrder.FIRST).addAll(List.of(messages), builder);
    try (Session session = builder.responseLength(8).open()) {
      return session.promptTokens();
    }
  }

  /** Features are kept by the pictures' digest: the same for the same pictures in the same order alone. */
  @Test
  void digestsTellPicturesApart() {
    assertThat(digest()).isNull();
    assertThat(digest(picture(1), picture(2))).isEqualTo(digest(picture(1), picture(2))).hasSize(64);
    assertThat(digest(picture(1), picture(2))).isNotEqualTo(digest(picture(2), picture(1))).isNotEqualTo(digest(picture(1)))
        .isNotEqualTo(digest(picture(1), picture(2), picture(2)));
  }

  private static String digest(ImageContent... pictures) {
    Conversion conversion = new Conversion(PictureOrder.FIRST);
    List<Content> parts = new ArrayList<>(List.of(pictures));
    parts.add(TextContent.from("What is it?"));
    conversion.addAll(List.of(UserMessage.from(parts)), DIMPLE.session());
    return conversion.pictures();
  }

  @Test
  void answersAsTheLibraryDoes() {
    ChatResponse response = MODEL.chat(UserMessage.from(picture(2), TextContent.from(DESCRIBE)));
    Generation direct = direct(2);
    assertThat(response.aiMessage().text()).isEqualTo(direct.text()).isNotBlank();
    assertThat(response.finishReason()).isEqualTo(FinishReason.STOP);
    assertThat(response.modelName()).isEqualTo("dimple-mini");
    assertThat(response.id()).isNotBlank();
    assertThat(response.tokenUsage().inputTokenCount()).isEqualTo(direct.promptTokens());
    assertThat(response.tokenUsage().outputTokenCount()).isEqualTo(direct.textTokens().length);
    DimpleChatResponseMetadata metadata = (DimpleChatResponseMetadata) response.metadata();
    assertThat(metadata.generation().iterations()).isEqualTo(direct.iterations());
    assertThat(metadata.toBuilder().build()).isEqualTo(metadata).hasSameHashCodeAs(metadata).hasToString("DimpleChatResponseMetadata[dimple-mini, "
        + "STOP, " + direct.iterations() + " iterations]");
    assertThat(MODEL).hasToString("DimpleChatModel[dimple-mini, response of 64]");
    assertThat(MODEL.streaming()).hasToString("StreamingDimpleChatModel[dimple-mini, response of 64]");
    String url = "data:image/png;base64," + Base64.getEncoder().encodeToString(scene(2));
    assertThat(MODEL.chat(UserMessage.from(ImageContent.from(url), TextContent.from(DESCRIBE))).aiMessage().text()).isEqualTo(direct.text());
    String lines = Base64.getMimeEncoder().encodeToString(scene(2));
    assertThat(MODEL.chat(UserMessage.from(ImageContent.from(lines, "image/png"), TextContent.from(DESCRIBE))).aiMessage().text()).isEqualTo(direct.text());
    String capitals = url.replace("base64", "BASE64");
    assertThat(MODEL.chat(UserMessage.from(ImageContent.from(capitals), TextContent.from(DESCRIBE))).aiMessage().text()).isEqualTo(direct.text());
  }

  @Test
  void allKindsOfMessagesReachThePrompt() {
    ToolExecutionRequest call = ToolExecutionRequest.builder().id("1").name("stop").arguments("").build();
    ChatRequest request = ChatRequest.builder().messages(UserMessage.from("a"), SystemMessage.from("s"), AiMessage.from("b"),
        UserMessage.from("c"), AiMessage.from(call), ToolExecutionResultMessage.from(call, "d")).build();
    int prompt = DIMPLE.session().system("s").user("a").assistant("b").user("c").assistant("", List.of(new io.github.dimple4j.chat.ToolCall("stop",
        "{}"))).toolResult("stop", "d").open().promptTokens().length;
    assertThat(MODEL.chat(request).tokenUsage().inputTokenCount()).isEqualTo(prompt);
  }

  @Test
  void parametersAreHeeded() {
    ChatResponse cut = MODEL.chat(ask("x").maxOutputTokens(3).temperature(1.5).topK(600).topP(0.99).build());
    Generation direct = DIMPLE.session().system("Be brief.").user("x").responseLength(3).open()
        .decode(DIMPLE.decoding().toBuilder().temperature(1.5f).topK(600).topP(0.99f).build());
    assertThat(cut.aiMessage().text()).isEqualTo(direct.text());
    assertThat(cut.finishReason()).isEqualTo(direct.finish() == io.github.dimple4j.Finish.LENGTH ? FinishReason.LENGTH : FinishReason.STOP);
    String whole = direct(3).text();
    ChatRequest stopped = ChatRequest.builder().messages(UserMessage.from(picture(3), TextContent.from(DESCRIBE)))
        .stopSequences(List.of(whole.split(" ")[2])).build();
    assertThat(MODEL.chat(stopped).aiMessage().text()).isEqualTo(whole.substring(0, whole.indexOf(whole.split(" ")[2])));
    // Seeds and thresholds are settings of the decoding.
    Decoding seeded = DIMPLE.decoding().toBuilder().temperature(2).seed(9).build();
    assertThat(DimpleChatModel.builder(DIMPLE).decoding(seeded).build().chat("x"))
        .isEqualTo(DIMPLE.session().user("x").open().decode(seeded).text());
  }

  /** Blocks are those of the decoding, which need not be those that the file names. */
  @Test
  void aResponseEndsWithABlock() {
    Decoding inBlocks = Decoding.builder().pipeline(Pipeline.SDAR).algorithm(Pipeline.SDAR.usualAlgorithm())
        .threshold(Pipeline.SDAR.usualThreshold(Pipeline.SDAR.usualAlgorithm())).blockLength(8).build();
    for (int length = 17; length <= 24; length++) {
      ChatModel model = DimpleChatModel.builder(DIMPLE).decoding(inBlocks).responseLength(length).build();
      Generation answer = ((DimpleChatResponseMetadata) model.chat(UserMessage.from("x")).metadata()).generation();
      assertThat((answer.promptTokens() + answer.canvas().length()) % 8).isZero();
      assertThat(answer.canvas().length()).isBetween(length, length + 7);
    }
  }

  /** What an application writes. */
  interface Describer {
    Scene summarize(@dev.langchain4j.service.UserMessage String question, @dev.langchain4j.service.UserMessage ImageContent picture);
  }

  /** No number in it: the schemas that LangChain4j makes do not say how large an int may be. */
  public record Guess(Background background, boolean sure, List<String> words) {}

  /** What an application writes. */
  interface Guesser {
    Guess guess(String question);
  }

  @Test
  void aiServicesGiveRecords() {
    Describer describer = AiServices.create(Describer.class, MODEL);
    int asked = 0;
    for (int number = 1; number <= SCENES.size(); number++) {
      for (JsonNode question : questions(number)) {
        JsonNode truth = question.get("task").stringValue().equals("json") ? JsonMapper.shared().readTree(question.get("answer").stringValue()) : null;
        if (truth != null && truth.has("background")) {
          Scene found = describer.summarize(question.get("question").stringValue(), picture(number));
          assertThat(found.background()).hasToString(truth.get("background").stringValue());
          assertThat(found.shapes()).isEqualTo(truth.get("shapes").intValue());
          if (!truth.get("number").isNull()) { // which the schema that LangChain4j makes of a String does not admit
            assertThat(found.number()).isEqualTo(truth.get("number").stringValue());
          }
          asked++;
        }
      }
    }
    assertThat(asked).isEqualTo(5);
    // One that does not know what to say says what fits, too.
    DimpleChatModel wild = DimpleChatModel.builder(DIMPLE).decoding(Decoding.builder().temperature(2).seed(3).threshold(0.001f).build()).build();
    for (int i = 0; i < 3; i++) {
      assertThat(AiServices.create(Guesser.class, wild).guess("Guess " + i)).isNotNull();
    }
  }

  @Test
  void jsonIsHeldWithoutASchemaToo() {
    ChatResponse response = MODEL.chat(ask("x").responseFormat(ResponseFormat.JSON).temperature(1.0).build());
    assertThat(JsonMapper.shared().readTree(response.aiMessage().text()).isObject()).isTrue();
    assertThat(response.finishReason()).isEqualTo(FinishReason.STOP);
  }

  @Test
  void callsOfToolsFit() {
    for (int seed = 0; seed < 4; seed++) {
      ChatModel model = DimpleChatModel.builder(DIMPLE).responseLength(80)
          .decoding(Decoding.builder().temperature(seed).seed(seed).threshold(0.3f).build()).build();
      ChatResponse response = model.chat(ask("Go!").toolSpecifications(MOVE, STOP).toolChoice(ToolChoice.REQUIRED).build());
      assertThat(response.finishReason()).isEqualTo(FinishReason.TOOL_EXECUTION);
      assertThat(response.aiMessage().text()).isNull();
      ToolExecutionRequest call = response.aiMessage().toolExecutionRequests().getFirst();
      assertThat(call.id()).isNotBlank();
      if (call.name().equals("move")) {
        assertThat(RecordSchema.read(call.arguments(), Move.class)).isNotNull();
      } else {
        assertThat(call.arguments()).isEqualTo("{}");
      }
      ChatResponse free = model.chat(ask("Go!").toolSpecifications(MOVE, STOP).build());
      assertThat(free.aiMessage().hasToolExecutionRequests()).isEqualTo(free.aiMessage().text() == null);
      ChatResponse without = model.chat(ask("Go!").toolSpecifications(MOVE, STOP).toolChoice(ToolChoice.NONE).build());
      assertThat(without.tokenUsage().inputTokenCount()).isLessThan(free.tokenUsage().inputTokenCount());
    }
  }

  /** As many as are asked for, in the model's format, held one and all. */
  @Test
  void anAnswerMayHaveSeveralCalls() {
    int most = 0;
    Map<Integer, Float> goOn = Map.of(DIMPLE.info().eosTokenId().orElseThrow(), -50f, DIMPLE.info().padTokenId().orElseThrow(), -50f);
    for (int seed = 0; seed < 4; seed++) {
      ChatModel model = DimpleChatModel.builder(DIMPLE).responseLength(120).mostCalls(3)
          .decoding(Decoding.builder().temperature(1.5f).seed(seed).threshold(0.3f).logitBias(goOn).build()).build();
      AiMessage answer = model.chat(ask("Go!").toolSpecifications(MOVE, STOP).toolChoice(ToolChoice.REQUIRED).build()).aiMessage();
      assertThat(answer.toolExecutionRequests()).hasSizeBetween(1, 3).allMatch(call -> call.name().equals("stop") ? call.arguments().equals("{}")
          : call.arguments().matches("\\{\"steps\": ?-?\\d+, ?\"fast\": ?(true|false)}"));
      assertThat(answer.toolExecutionRequests().stream().map(ToolExecutionRequest::id)).doesNotHaveDuplicates();
      most = Math.max(most, answer.toolExecutionRequests().size());
    }
    assertThat(most).isGreaterThan(1);
    assertThatThrownBy(() -> DimpleChatModel.builder(DIMPLE).mostCalls(0)).hasMessage("mostCalls is 0, expected at least 1");
  }

  @Test
  void aHandlerThatCancelledHearsOfNoFurtherCall() {
    Map<Integer, Float> goOn = Map.of(DIMPLE.info().eosTokenId().orElseThrow(), -50f, DIMPLE.info().padTokenId().orElseThrow(), -50f);
    int most = 0;
    for (int seed = 0; seed < 4; seed++) {
      DimpleChatModel model = DimpleChatModel.builder(DIMPLE).responseLength(120).mostCalls(3)
          .decoding(Decoding.builder().temperature(1.5f).seed(seed).threshold(0.3f).logitBias(goOn).build()).build();
      ChatRequest request = ask("Go!").toolSpecifications(MOVE, STOP).toolChoice(ToolChoice.REQUIRED).build();
      most = Math.max(most, model.chat(request).aiMessage().toolExecutionRequests().size());
      AtomicReference<Answer> answer = new AtomicReference<>();
      List<Object> heard = new ArrayList<>();
      answer.set(new Answer(model, request, new StreamingChatResponseHandler() {
        @Override
        public void onCompleteToolCall(CompleteToolCall call) {
          heard.add(call);
          answer.get().cancel();
        }

        @Override
        public void onCompleteResponse(ChatResponse response) {
          heard.add(response);
        }

        @Override
        public void onError(Throwable error) {
          heard.add(error);
        }
      }));
      answer.get().run();
      assertThat(heard).hasSize(1).first().isInstanceOf(CompleteToolCall.class);
    }
    assertThat(most).isGreaterThan(1);
  }

  /** As a chat with a memory sends them again. */
  @Test
  void picturesAreSeenOnce() {
    DimpleChatModel fresh = DimpleChatModel.builder(DIMPLE).build();
    DimpleChatModel forgets = DimpleChatModel.builder(DIMPLE).keptPictures(0).build();
    ChatRequest first = ChatRequest.builder().messages(UserMessage.from(picture(1), TextContent.from(DESCRIBE))).build();
    ChatRequest second = ChatRequest.builder().messages(UserMessage.from(picture(1), TextContent.from(DESCRIBE)), AiMessage.from("Shapes."),
        UserMessage.from("How many shapes are there?")).build();
    fresh.chat(first);
    assertThat(fresh.features().found()).isZero();
    assertThat(fresh.chat(second).aiMessage()).isEqualTo(forgets.chat(second).aiMessage());
    assertThat(fresh.features().found()).isEqualTo(1);
    fresh.chat(ChatRequest.builder().messages(UserMessage.from(picture(2), TextContent.from(DESCRIBE))).build());
    assertThat(fresh.features().found()).as("another picture").isEqualTo(1);
    forgets.chat(second);
    assertThat(forgets.features().found()).isZero();
    assertThatThrownBy(() -> DimpleChatModel.builder(DIMPLE).keptPictures(-1)).hasMessage("keptPictures is -1, expected at least 0");
  }

  /** Tools of an application. */
  static final class Robot {
    final List<String> done = new ArrayList<>();

    @Tool("Moves the robot.")
    String move(@P(name = "steps", value = "how far") int steps, @P(name = "fast", value = "whether to run") boolean fast) {
      done.add(steps + (fast ? " fast" : ""));
      return "moved";
    }
  }

  /** What an application writes. */
  interface Assistant {
    String chat(String text);
  }

  @Test
  void aiServicesCallTools() {
    Robot robot = new Robot();
    ChatModel model = DimpleChatModel.builder(DIMPLE).responseLength(80).build();
    Assistant assistant = AiServices.builder(Assistant.class).chatModel(model).tools(robot)
        .chatRequestTransformer(request -> { // this small model would go on for ever, or never begin
          ToolChoice choice = request.messages().getLast() instanceof UserMessage ? ToolChoice.REQUIRED : ToolChoice.NONE;
          return request.toBuilder().parameters(request.parameters().overrideWith(
              dev.langchain4j.model.chat.request.ChatRequestParameters.builder().toolChoice(choice).build())).build();
        }).build();
    assertThat(assistant.chat("Go!")).isNotNull();
    assertThat(robot.done).hasSize(1);
  }

  /** Hears all. */
  private static final class Hearing implements StreamingChatResponseHandler {
    final List<String> parts = new ArrayList<>();
    final List<CompleteToolCall> calls = new ArrayList<>();
    final CompletableFuture<ChatResponse> complete = new CompletableFuture<>();
    private final int cancelAfter;
    final CountDownLatch cancelled = new CountDownLatch(1);

    Hearing(int cancelAfter) {
      this.cancelAfter = cancelAfter;
    }

    @Override
    public void onPartialResponse(PartialResponse part, PartialResponseContext context) {
      parts.add(part.text());
      if (parts.size() == cancelAfter) {
        context.streamingHandle().cancel();
        assertThat(context.streamingHandle().isCancelled()).isTrue();
        cancelled.countDown();
      }
    }

    @Override
    public void onCompleteToolCall(CompleteToolCall call) {
      calls.add(call);
    }

    @Override
    public void onCompleteResponse(ChatResponse response) {
      complete.complete(response);
    }

    @Override
    public void onError(Throwable failure) {
      complete.completeExceptionally(failure);
    }
  }

  private static DimpleChatModel slow(int parallel) {
    Decoding oneByOne = Decoding.builder().algorithm(Algorithm.AUTOREGRESSIVE).threshold(1).build();
    return DimpleChatModel.builder(DIMPLE).decoding(oneByOne).parallel(parallel).responseLength(48).build();
  }

  @Test
  void streamsWhatStays() {
    Hearing hearing = new Hearing(-1);
    ChatRequest request = ChatRequest.builder().messages(UserMessage.from(picture(1), TextContent.from(DESCRIBE))).build();
    slow(1).streaming().chat(request, hearing);
    ChatResponse response = hearing.complete.join();
    assertThat(hearing.parts).hasSizeGreaterThan(10); // so the first came before the last iteration
    assertThat(String.join("", hearing.parts)).isEqualTo(response.aiMessage().text()).isEqualTo(slow(1).chat(request).aiMessage().text());

    Hearing calls = new Hearing(-1);
    MODEL.streaming().chat(ask("Go!").toolSpecifications(MOVE).toolChoice(ToolChoice.REQUIRED).maxOutputTokens(80).build(), calls);
    assertThat(calls.complete.join().finishReason()).isEqualTo(FinishReason.TOOL_EXECUTION);
    assertThat(calls.parts).as("of a call nothing is text").isEmpty();
    assertThat(calls.calls).singleElement().satisfies(call -> assertThat(call.toolExecutionRequest().name()).isEqualTo("move"));
    assertThatThrownBy(() -> {
      Hearing wrong = new Hearing(-1);
      MODEL.streaming().chat(ask("x").modelName("gpt").build(), wrong);
      wrong.complete.join();
    }).hasCauseInstanceOf(UnsupportedFeatureException.class);
  }

  @Test
  void cancellingEndsTheDecoding() throws InterruptedException {
    DimpleChatModel model = slow(1);
    Hearing hearing = new Hearing(1);
    model.streaming().chat(ask(DESCRIBE).build(), hearing);
    assertThat(hearing.cancelled.await(30, TimeUnit.SECONDS)).isTrue();
    assertThat(model.chat("x")).as("the only place is free again").isNotNull();
    assertThat(hearing.parts).hasSize(1);
    assertThat(hearing.complete).isNotDone();
  }

  /** What an application writes. */
  interface StreamingAssistant {
    TokenStream chat(String text);
  }

  @Test
  void aiServicesStream() {
    CompletableFuture<ChatResponse> complete = new CompletableFuture<>();
    StringBuilder text = new StringBuilder();
    AiServices.create(StreamingAssistant.class, slow(1).streaming()).chat(DESCRIBE).onPartialResponse(text::append)
        .onCompleteResponse(complete::complete).onError(complete::completeExceptionally).start();
    assertThat(complete.join().aiMessage().text()).isEqualTo(text.toString());
  }

  @Test
  void listenersHearOfItAndVirtualThreadsMayAsk() throws Exception {
    List<String> heard = new ArrayList<>();
    ChatModelListener listener = new ChatModelListener() {
      @Override
      public void onRequest(ChatModelRequestContext context) {
        heard.add("request of " + context.chatRequest().messages().size());
      }

      @Override
      public void onResponse(ChatModelResponseContext context) {
        heard.add("response " + context.chatResponse().finishReason());
      }

      @Override
      public void onError(ChatModelErrorContext context) {
        heard.add(context.error().getClass().getSimpleName());
      }
    };
    ChatModel model = DimpleChatModel.builder(DIMPLE).listeners(List.of(listener)).build();
    try (var threads = Executors.newVirtualThreadPerTaskExecutor()) {
      ChatResponse response = threads.submit(() -> model.chat(UserMessage.from(picture(2), TextContent.from(DESCRIBE)))).get();
      assertThat(response.aiMessage().text()).isEqualTo(direct(2).text());
    }
    assertThatThrownBy(() -> model.chat(ask("x").maxOutputTokens(5000).build())).isInstanceOf(InvalidRequestException.class);
    assertThat(heard).containsExactly("request of 1", "response STOP", "request of 2", "InvalidRequestException");
  }

  @Test
  void picturesStandWhereTheModelWasTrainedToSeeThem() {
    ChatModel asGiven = DimpleChatModel.builder(DIMPLE).pictureOrder(PictureOrder.AS_GIVEN).build();
    int asked = 0;
    int first = 0;
    int textFirst = 0;
    for (int number = 1; number <= 4; number++) {
      for (JsonNode question : questions(number)) {
        UserMessage textThenPicture = UserMessage.from(TextContent.from(question.get("question").stringValue()), picture(number));
        String trained = MODEL.chat(textThenPicture).aiMessage().text();
        String truth = question.get("answer").stringValue();
        asked++;
        first += trained.equals(truth) ? 1 : 0;
        textFirst += asGiven.chat(textThenPicture).aiMessage().text().equals(truth) ? 1 : 0;
      }
    }
    UserMessage pictureThenText = UserMessage.from(picture(2), TextContent.from(DESCRIBE));
    assertThat(asGiven.chat(pictureThenText).aiMessage().text()).isEqualTo(direct(2).text());
    System.out.printf("right of %d answers: %d with the picture first, %d with the text first%n", asked, first, textFirst);
    assertThat(first).isGreaterThan(asked * 8 / 10).isGreaterThan(2 * textFirst);
  }

  /** Questions about a scene and their answers. */
  private static List<JsonNode> questions(int number) {
    return SCENES.get(number - 1).get("questions").values().stream().toList();
  }

  @Test
  void whatCannotBeDoneIsRefusedByName() {
    refused(ask("x").frequencyPenalty(1.0), "frequencyPenalty is no setting of a diffusion model");
    refused(ask("x").presencePenalty(1.0), "presencePenalty is no setting of a diffusion model");
    refused(ask("x").modelName("gpt"), "modelName is gpt, expected none: the model is dimple-mini");
    refused(ask("x").toolChoice(ToolChoice.REQUIRED), "toolChoice is REQUIRED, and there are no tools");
    refused(ask("x").responseFormat(ResponseFormat.JSON).stopSequences(List.of("}")),
        "stopSequences would cut JSON or a call of a tool off: they go with free text");
    refused(ChatRequest.builder().messages(UserMessage.from(AudioContent.from("http://x/y.mp3"))), "content of type AUDIO: this model knows "
        + "texts and pictures");
    refused(ChatRequest.builder().messages(UserMessage.from(ImageContent.from("http://x/y.png"))), "a picture at http://x/y.png: expected its data, "
        + "in Base64 or as a data URL; nothing is fetched");
    assertThatThrownBy(() -> MODEL.chat(ask("x").temperature(-1.0).build())).isInstanceOf(InvalidRequestException.class).hasMessageContaining(
        "temperature");
    assertThatThrownBy(() -> MODEL.chat(UserMessage.from(ImageContent.from("AAAA", "image/png")))).isInstanceOf(InvalidRequestException.class)
        .hasMessageContaining("the picture");
    for (String altered : List.of("%2B", "_", " ", ".")) { // percent-encoded, the URL's alphabet, and what is in none
      String data = Base64.getEncoder().encodeToString(scene(1));
      assertThatThrownBy(() -> MODEL.chat(UserMessage.from(ImageContent.from(data.substring(0, 400) + altered + data.substring(400), "image/png"))))
          .isInstanceOf(InvalidRequestException.class).hasMessageContaining("a picture's data is not Base64");
    }
    assertThatThrownBy(() -> DimpleChatModel.builder(DIMPLE).parallel(0)).hasMessage("parallel is 0, expected at least 1");
  }

  private static void refused(ChatRequest.Builder request, String message) {
    assertThatThrownBy(() -> MODEL.chat(request.build())).isInstanceOf(UnsupportedFeatureException.class).hasMessage(message);
  }
}
