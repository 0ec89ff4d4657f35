package io.github.dimple4j.examples.quarkus;

import dev.langchain4j.data.image.Image;
import dev.langchain4j.data.message.AiMessage;
import dev.langchain4j.data.message.ImageContent;
import dev.langchain4j.data.message.TextContent;
import dev.langchain4j.data.message.UserMessage;
import dev.langchain4j.model.chat.ChatModel;
import dev.langchain4j.model.chat.StreamingChatModel;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.chat.response.StreamingChatResponseHandler;
import io.quarkiverse.langchain4j.ImageUrl;
import io.quarkiverse.langchain4j.RegisterAiService;
import io.quarkus.runtime.QuarkusApplication;
import io.quarkus.runtime.annotations.QuarkusMain;
import jakarta.enterprise.context.control.ActivateRequestContext;
import jakarta.inject.Inject;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/** Asks about a picture in the ways of Quarkus' LangChain4j extension: an answer, a stream and a record. Its argument is the picture's file. */
@QuarkusMain
public class Ask implements QuarkusApplication {
  /** Colours of backgrounds. */
  public enum Background { white, gray, black, brown }

  /** What the model says of a picture. */
  public record Scene(Background background, int shapes, String number) {}

  /** What an application writes. */
  @RegisterAiService
  public interface Describer {
    @dev.langchain4j.service.UserMessage("Summarize the image as JSON.")
    Scene describe(@ImageUrl Image picture);
  }

  @Inject ChatModel model;
  @Inject StreamingChatModel streaming;
  @Inject Describer describer;

  @Override
  @ActivateRequestContext
  public int run(String... arguments) throws Exception {
    String data = Base64.getEncoder().encodeToString(Files.readAllBytes(Path.of(arguments[0])));
    UserMessage question = UserMessage.from(ImageContent.from(data, "image/png"), TextContent.from("Describe this image."));
    System.out.println("answer: " + model.chat(question).aiMessage().text());
    CompletableFuture<AiMessage> streamed = new CompletableFuture<>();
    int[] parts = {0};
    streaming.chat(List.of(question), new StreamingChatResponseHandler() {
      @Override
      public void onPartialResponse(String part) {
        parts[0]++;
      }

      @Override
      public void onCompleteResponse(ChatResponse response) {
        streamed.complete(response.aiMessage());
      }

      @Override
      public void onError(Throwable failure) {
        streamed.completeExceptionally(failure);
      }
    });
    System.out.println("streamed: " + streamed.get().text() + " in " + parts[0] + " parts");
    Image picture = Image.builder().base64Data(data).mimeType("image/png").build();
    System.out.println("record: " + describer.describe(picture));
    return 0;
  }
}
