package io.github.dimple4j.server;

import io.github.dimple4j.InvalidArgumentException;
import io.github.dimple4j.chat.ChatMessage;
import io.github.dimple4j.chat.ContentPart;
import io.github.dimple4j.chat.ToolCall;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import tools.jackson.databind.JsonNode;

/** The messages of a chat. For one request. */
final class ChatRequest {
  /** The roles of the interface, and what templates call them. */
  private static final Map<String, String> ROLES =
      Map.of("system", "system", "developer", "system", "user", "user", "assistant", "assistant", "tool", "tool");

  private static final Set<String> TEXT_PARTS = Set.of("text", "refusal");
  /** Of messages of some roles; clients may send them empty with the others. */
  private static final List<String> OTHERS = List.of("refusal", "reasoning_content", "reasoning", "tool_calls", "tool_call_id");

  private final PictureHosts hosts;
  private final Map<String, Called> called = new HashMap<>(); // by the calls' ids
  private int numbered; // calls
  private long fetched; // bytes of pictures

  /** A tool that was called, and the number of its call among all of the chat. */
  private record Called(String tool, int number) {}

  private record Result(Question.Message message, int call) {}

  ChatRequest(PictureHosts hosts) {
    this.hosts = hosts;
  }

  List<Question.Message> messages(Fields request) {
    List<Fields> given = request.objects("messages");
    if (given.isEmpty()) {
      throw request.has("messages") ? request.wrong("messages", "has no message") : request.missing("messages");
    }
    List<Question.Message> messages = new ArrayList<>();
    List<Result> results = new ArrayList<>(); // one after the other, without anything between
    for (Fields one : given) {
      Question.Message message = message(one);
      Called call = message.message().role().equals("tool") ? called.get(one.string("tool_call_id").orElse("")) : null;
      if (call == null) {
        addInOrder(results, messages);
        messages.add(message);
      } else {
        results.add(new Result(message, call.number()));
      }
    }
    addInOrder(results, messages);
    return List.copyOf(messages);
  }

  /** Templates number results in the order of the calls, for they have no ids: in that order they have to stand. */
  private static void addInOrder(List<Result> results, List<Question.Message> messages) {
    results.stream().sorted(Comparator.comparingInt(Result::call)).forEach(result -> messages.add(result.message()));
    results.clear();
  }

  private Question.Message message(Fields message) {
    String asked = message.needString("role");
    String role = ROLES.get(asked);
    if (role == null) {
      throw message.wrong("role", "is '" + asked + "', expected system, developer, user, assistant or tool");
    }
    message.refuse("audio", "this server knows no audio");
    message.refuse("function_call", "use tool_calls");
    Map<String, ToolCall> calls = role.equals("assistant") ? ToolRequest.calls(message) : Map.of();
    calls.forEach((id, call) -> called.put(id, new Called(call.name(), numbered++)));
    List<ContentPart> parts = new ArrayList<>();
    List<Picture> pictures = new ArrayList<>();
    JsonNode content = message.any("content").orElse(null);
    String refusal = role.equals("assistant") ? message.string("refusal").orElse("") : ""; // what it said in the place of an answer
    if (content != null && content.isString()) {
      parts.add(new ContentPart.Text(Fields.whole(message.path("content"), content.stringValue())));
    } else if (content != null) {
      if (content.isArray() && content.isEmpty()) {
        throw message.wrong("content", "has no part");
      }
      for (Fields part : message.objects("content", "a string or an array of parts")) {
        add(part, role, parts, pictures);
      }
    } else if (!refusal.isEmpty()) {
      parts.add(new ContentPart.Text(refusal));
    } else if (calls.isEmpty()) {
      throw message.missing("content");
    }
    if (content != null && !refusal.isEmpty()) {
      throw message.wrong("refusal", "stands beside content, expected one of them");
    }
    String tool = role.equals("tool") ? tool(message) : "";
    String thoughts = thoughts(message, role);
    OTHERS.stream().filter(name -> isEmpty(message.node().get(name))).forEach(message::any);
    message.refuseUnread("name", "annotations", "cache_control", "id");
    try {
      return new Question.Message(new ChatMessage(role, parts, List.copyOf(calls.values()), tool, thoughts).picturesFirst(), pictures);
    } catch (InvalidArgumentException e) {
      throw message.wrong("content", e.getMessage());
    }
  }

  private static boolean isEmpty(JsonNode value) {
    return value != null && (value.isArray() && value.isEmpty() || value.isString() && value.stringValue().isEmpty());
  }

  /** What the model thought, as an answer of this server has it, by either of its names; templates say whether the model sees it again. */
  private static String thoughts(Fields message, String role) {
    if (!role.equals("assistant")) {
      return "";
    }
    String thoughts = message.string("reasoning_content").orElse("");
    String other = message.string("reasoning").orElse(thoughts);
    if (!thoughts.isEmpty() && !other.equals(thoughts)) {
      throw message.wrong("reasoning", "is another text than reasoning_content");
    }
    return other;
  }

  /** Whose result a message of a tool is. */
  private String tool(Fields message) {
    String id = message.string("tool_call_id").orElse(null);
    Called call = id == null ? null : called.get(id);
    if (call == null) {
      return message.string("name").orElseThrow(() -> id == null ? message.missing("tool_call_id")
          : message.wrong("tool_call_id", "is '" + id + "', and no message before it has a call of that id"));
    }
    return call.tool();
  }

  /** The picture of an address, which is a data URL or of a host that pictures are fetched from. */
  private Picture picture(String url, String field) {
    if (Picture.isData(url)) {
      return Picture.ofData(url, field);
    }
    Picture picture = hosts.fetch(url, field, hosts.maxBytes() - fetched);
    fetched += picture.encoded().length;
    return picture;
  }

  private void add(Fields part, String role, List<ContentPart> parts, List<Picture> pictures) {
    String type = part.needString("type");
    if (TEXT_PARTS.contains(type)) {
      parts.add(new ContentPart.Text(part.needString(type)));
    } else if (type.equals("image_url")) {
      if (!role.equals("user") && !role.equals("tool")) {
        throw part.wrong("type", "is image_url in a message of role " + role + ", expected a picture in those of user or tool only");
      }
      Fields image = part.object("image_url").orElseThrow(() -> part.missing("image_url"));
      parts.add(new ContentPart.Image());
      pictures.add(picture(image.needString("url"), image.path("url")));
      image.refuseUnread("detail");
    } else if (type.equals("input_audio")) {
      throw ApiException.field(part.path("type"), "unsupported_content", part.path("type") + " is input_audio: this server knows no audio, "
          + "but text and image_url");
    } else {
      throw part.wrong("type", "is '" + type + "', expected text or image_url");
    }
    part.refuseUnread("cache_control", "annotations", "id");
  }
}
