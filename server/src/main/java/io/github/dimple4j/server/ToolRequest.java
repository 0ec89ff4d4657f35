package io.github.dimple4j.server;

import io.github.dimple4j.InvalidArgumentException;
import io.github.dimple4j.chat.Tool;
import io.github.dimple4j.chat.ToolCall;
import io.github.dimple4j.chat.ToolChoice;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.JsonNode;

/**
 * The tools of a request.
 *
 * @param told those that the model is told of
 * @param callable those that it may call
 * @param choice whether it has to; null: it may not
 * @param most how many calls an answer has at most
 */
record ToolRequest(List<Tool> told, List<Tool> callable, ToolChoice choice, int most) {
  private static final int MOST_CALLS = 4;
  private static final String NO_PARAMETERS = "{\"type\": \"object\", \"properties\": {}}";

  static final ToolRequest NONE = new ToolRequest(List.of(), List.of(), null, 1);

  static ToolRequest of(Fields request) {
    int most = request.flag("parallel_tool_calls", false) ? MOST_CALLS : 1;
    List<Tool> told = new ArrayList<>();
    for (Fields given : request.objects("tools")) {
      told.add(tool(given));
    }
    Map<String, Tool> byName = new LinkedHashMap<>();
    for (Tool tool : told) {
      if (byName.put(tool.name(), tool) != null) {
        throw request.wrong("tools", "has two tools called " + tool.name());
      }
    }
    JsonNode choice = request.any("tool_choice").orElse(null);
    if (choice == null) {
      return new ToolRequest(told, told, told.isEmpty() ? null : ToolChoice.AUTO, most);
    }
    if (choice.isString()) {
      return switch (choice.stringValue()) {
        case "none" -> new ToolRequest(told, List.of(), null, 1);
        case "auto" -> new ToolRequest(told, told, told.isEmpty() ? null : ToolChoice.AUTO, most);
        case "required" -> new ToolRequest(told, some(told, request), ToolChoice.REQUIRED, most);
        default -> throw request.wrong("tool_choice", "is '" + choice.stringValue() + "', expected none, auto, required or a function");
      };
    }
    Fields named = request.object("tool_choice").orElseThrow();
    if (named.needString("type").equals("allowed_tools")) {
      return allowed(named, told, byName, most);
    }
    return new ToolRequest(told, List.of(named(named, byName, "function or allowed_tools")), ToolChoice.REQUIRED, most);
  }

  /** Some of the tools, of which one may or has to be called; the model is told of all. */
  private static ToolRequest allowed(Fields choice, List<Tool> told, Map<String, Tool> byName, int most) {
    Fields allowed = choice.object("allowed_tools").orElseThrow(() -> choice.missing("allowed_tools"));
    String mode = allowed.needString("mode");
    if (!mode.equals("auto") && !mode.equals("required")) {
      throw allowed.wrong("mode", "is '" + mode + "', expected auto or required");
    }
    List<Tool> callable = new ArrayList<>();
    for (Fields one : allowed.objects("tools")) {
      Tool tool = named(one, byName, "function");
      if (!callable.contains(tool)) {
        callable.add(tool);
      }
    }
    if (callable.isEmpty()) {
      throw allowed.has("tools") ? allowed.wrong("tools", "has no tool") : allowed.missing("tools");
    }
    allowed.refuseUnread();
    choice.refuseUnread();
    return new ToolRequest(told, callable, mode.equals("auto") ? ToolChoice.AUTO : ToolChoice.REQUIRED, most);
  }

  private static Tool named(Fields choice, Map<String, Tool> byName, String types) {
    if (!choice.needString("type").equals("function")) {
      throw choice.wrong("type", "is '" + choice.needString("type") + "', expected " + types);
    }
    Fields function = choice.object("function").orElseThrow(() -> choice.missing("function"));
    Tool only = byName.get(function.needString("name"));
    function.refuseUnread();
    choice.refuseUnread();
    if (only == null) {
      throw function.wrong("name", "is '" + function.needString("name") + "', which is none of the tools");
    }
    return only;
  }

  private static List<Tool> some(List<Tool> told, Fields request) {
    if (told.isEmpty()) {
      throw request.wrong("tool_choice", "is required, and there are no tools");
    }
    return told;
  }

  private static Tool tool(Fields given) {
    String type = given.needString("type");
    if (!type.equals("function")) {
      throw given.wrong("type", "is '" + type + "', expected function");
    }
    Fields function = given.object("function").orElseThrow(() -> given.missing("function"));
    String name = function.needString("name");
    String parameters = function.object("parameters").map(schema -> Fields.whole(function.path("parameters"), Json.text(schema.node()))).orElse(NO_PARAMETERS);
    String description = function.string("description").orElse("");
    function.refuseUnread("strict");
    given.refuseUnread("strict", "cache_control");
    try {
      return new Tool(name, description, parameters);
    } catch (InvalidArgumentException e) {
      throw function.wrong(e.getMessage().startsWith("a tool is called") ? "name" : "parameters", e.getMessage());
    }
  }

  /** The calls in an assistant's message, by their ids. */
  static Map<String, ToolCall> calls(Fields message) {
    Map<String, ToolCall> calls = new LinkedHashMap<>();
    for (Fields call : message.objects("tool_calls")) {
      Fields function = call.object("function").orElseThrow(() -> call.missing("function"));
      String name = function.needString("name");
      String arguments = function.string("arguments").orElse("");
      try {
        String id = call.string("id").orElse("call " + calls.size());
        if (calls.put(id, new ToolCall(name, arguments.isBlank() ? "{}" : arguments)) != null) {
          throw call.wrong("id", "is '" + id + "', as another call's of the message is");
        }
      } catch (InvalidArgumentException e) {
        throw function.wrong(e.getMessage().startsWith("a tool is called") ? "name" : "arguments", e.getMessage());
      }
    }
    return calls;
  }

  /** Whether an answer may be a call. */
  boolean calls() {
    return choice != null;
  }
}
