package io.github.dimple4j.langchain4j;

import dev.langchain4j.model.chat.Capability;
import dev.langchain4j.model.chat.StreamingChatModel;
import dev.langchain4j.model.chat.listener.ChatModelListener;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.request.ChatRequestParameters;
import dev.langchain4j.model.chat.response.StreamingChatResponseHandler;
import java.util.List;
import java.util.Objects;
import java.util.Set;

/** Tells of an answer as it becomes known: of its text what no later iteration changes. Each request has a daemon thread of its own. */
final class DimpleStreamingChatModel implements StreamingChatModel {
  private final DimpleChatModel model;

  DimpleStreamingChatModel(DimpleChatModel model) {
    this.model = model;
  }

  @Override
  public void doChat(ChatRequest request, StreamingChatResponseHandler handler) {
    Answer answer = new Answer(model, Objects.requireNonNull(request, "request"), Objects.requireNonNull(handler, "handler"));
    Thread.ofPlatform().daemon().name("dimple-chat").start(answer);
  }

  @Override
  public ChatRequestParameters defaultRequestParameters() {
    return model.defaultRequestParameters();
  }

  @Override
  public List<ChatModelListener> listeners() {
    return model.listeners();
  }

  @Override
  public Set<Capability> supportedCapabilities() {
    return model.supportedCapabilities();
  }

  @Override
  public String toString() {
    return "Streaming" + model;
  }
}
