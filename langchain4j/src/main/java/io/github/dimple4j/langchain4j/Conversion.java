package io.github.dimple4j.langchain4j;

import dev.langchain4j.agent.tool.ToolExecutionRequest;
import dev.langchain4j.agent.tool.ToolSpecification;
import dev.langchain4j.data.message.AiMessage;
import dev.langchain4j.data.message.ChatMessage;
import dev.langchain4j.data.message.Content;
import dev.langchain4j.data.message.ImageContent;
import dev.langchain4j.data.message.SystemMessage;
import dev.langchain4j.data.message.TextContent;
import dev.langchain4j.data.message.ToolExecutionResultMessage;
import dev.langchain4j.data.message.UserMessage;
import dev.langchain4j.exception.InvalidRequestException;
import dev.langchain4j.exception.UnsupportedFeatureException;
import dev.langchain4j.internal.JsonSchemaElementUtils;
import dev.langchain4j.model.chat.request.json.JsonSchemaElement;
import io.github.dimple4j.Image;
import io.github.dimple4j.SessionBuilder;
import io.github.dimple4j.chat.ContentPart;
import io.github.dimple4j.chat.Tool;
import io.github.dimple4j.chat.ToolCall;
import io.github.dimple4j.structure.JsonSchema;
import java.net.URI;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** LangChain4j's messages, tools and schemas as this library has them. */
final class Conversion {
  private static final JsonMapper MAPPER = JsonMapper.shared();
  private static final String DATA = "data:";
  private static final Pattern LINE_END = Pattern.compile("[\\r\\n]+");

  private final PictureOrder order;
  private final MessageDigest pictures = sha256();
  private boolean seesPictures;

  Conversion(PictureOrder order) {
    this.order = order;
  }

  /** Adds the messages to a session. Those of the system come first, whatever their places. */
  void addAll(List<ChatMessage> messages, SessionBuilder session) {
    List<String> system = messages.stream().filter(SystemMessage.class::isInstance).map(message -> ((SystemMessage) message).text()).toList();
    if (!system.isEmpty()) {
      session.system(String.join("\n\n", system));
    }
    Map<String, Integer> calls = new HashMap<>(); // by their ids: their places among all of the chat
    List<ToolExecutionResultMessage> results = new ArrayList<>(); // one after the other, without anything between
    for (ChatMessage message : messages) {
      if (message instanceof ToolExecutionResultMessage result) {
        results.add(result);
        continue;
      }
      addInOrder(results, calls, session);
      switch (message) {
        case SystemMessage said -> { }
        case UserMessage user -> add(user, session);
        case AiMessage answer -> {
          answer.toolExecutionRequests().forEach(request -> calls.put(request.id(), calls.size()));
          session.message(answered(answer));
        }
        default -> throw new UnsupportedFeatureException("messages of type " + message.type() + " are not understood");
      }
    }
    addInOrder(results, calls, session);
  }

  /**
   * Templates number results in the order of the calls, for they have no ids: in that order they have to stand. Tools that run side by side end in any.
   * Those of which no call is known follow as they stand.
   */
  private static void addInOrder(List<ToolExecutionResultMessage> results, Map<String, Integer> calls, SessionBuilder session) {
    results.stream().sorted(Comparator.comparingInt(result -> calls.getOrDefault(result.id(), Integer.MAX_VALUE)))
        .forEach(result -> session.toolResult(result.toolName(), text(result)));
    results.clear();
  }

  private void add(UserMessage user, SessionBuilder session) {
    List<ContentPart> parts = new ArrayList<>();
    List<Image> images = new ArrayList<>();
    for (Content content : user.contents()) {
      switch (content) {
        case TextContent text -> parts.add(new ContentPart.Text(text.text()));
        case ImageContent picture -> {
          parts.add(new ContentPart.Image());
          images.add(image(picture));
        }
        default -> throw new UnsupportedFeatureException("content of type " + content.type() + ": this model knows texts and pictures");
      }
    }
    io.github.dimple4j.chat.ChatMessage message = new io.github.dimple4j.chat.ChatMessage("user", parts);
    session.message(order == PictureOrder.FIRST ? message.picturesFirst() : message, images.toArray(Image[]::new));
  }

  /** Of all pictures so far in their order; null: there is none. */
  String pictures() {
    return seesPictures ? HexFormat.of().formatHex(pictures.digest()) : null;
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }

  private Image image(ImageContent content) {
    String data = content.image().base64Data();
    if (data == null) {
      data = base64(content.image().url());
    }
    try {
      byte[] encoded = Base64.getDecoder().decode(LINE_END.matcher(data).replaceAll("")); // that for MIME skips what is not Base64
      pictures.update(ByteBuffer.allocate(Integer.BYTES).putInt(encoded.length).array()); // so that no other division has the same bytes
      pictures.update(encoded);
      seesPictures = true;
      return Image.decode(encoded, "the picture");
    } catch (IllegalArgumentException e) {
      throw new InvalidRequestException("a picture's data is not Base64: " + e.getMessage(), e);
    }
  }

  /** Nothing is fetched, and no file is read: who writes the message is not always who may do that. */
  private static String base64(URI address) {
    String text = String.valueOf(address);
    int comma = text.indexOf(',');
    if (!text.regionMatches(true, 0, DATA, 0, DATA.length()) || comma < 0 || !text.substring(0, comma).toLowerCase(Locale.ROOT).endsWith(";base64")) {
      throw new UnsupportedFeatureException("a picture at " + (text.length() > 100 ? text.substring(0, 100) + "..." : text)
          + ": expected its data, in Base64 or as a data URL; nothing is fetched");
    }
    return text.substring(comma + 1);
  }

  private static io.github.dimple4j.chat.ChatMessage answered(AiMessage answer) {
    List<ToolCall> calls = answer.toolExecutionRequests().stream().map(Conversion::call).toList();
    return io.github.dimple4j.chat.ChatMessage.calling(Objects.requireNonNullElse(answer.text(), ""), calls)
        .withThoughts(Objects.requireNonNullElse(answer.thinking(), ""));
  }

  private static ToolCall call(ToolExecutionRequest request) {
    String arguments = request.arguments();
    return new ToolCall(request.name(), arguments == null || arguments.isBlank() ? "{}" : arguments);
  }

  private static String text(ToolExecutionResultMessage result) {
    return result.contents().stream().map(content -> {
      if (content instanceof TextContent text) {
        return text.text();
      }
      throw new UnsupportedFeatureException("the tool " + result.toolName() + " returned content of type " + content.type() + ", expected text");
    }).collect(Collectors.joining("\n"));
  }

  static Tool tool(ToolSpecification tool) {
    String description = tool.description() == null ? "" : tool.description();
    return new Tool(tool.name(), description, tool.parameters() == null ? "{\"properties\": {}}" : json(tool.parameters()).toString());
  }

  static JsonSchema schema(JsonSchemaElement element) {
    return JsonSchema.of(json(element));
  }

  private static JsonNode json(JsonSchemaElement element) {
    return MAPPER.valueToTree(JsonSchemaElementUtils.toMap(element));
  }
}
