package io.github.dimple4j.langchain4j;

import dev.langchain4j.agent.tool.ToolExecutionRequest;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.chat.response.CompleteToolCall;
import dev.langchain4j.model.chat.response.PartialResponse;
import dev.langchain4j.model.chat.response.PartialResponseContext;
import dev.langchain4j.model.chat.response.StreamingChatResponseHandler;
import dev.langchain4j.model.chat.response.StreamingHandle;
import io.github.dimple4j.CancelledException;
import io.github.dimple4j.Session;
import io.github.dimple4j.Step;
import java.util.Iterator;

/**
 * A request that is answered piece by piece. The handler hears of it from one thread; after {@link #cancel}, of which any thread may make use,
 * it hears nothing any more. If it throws, the decoding ends and {@code onError} is told.
 */
final class Answer implements Runnable, StreamingHandle {
  private final DimpleChatModel model;
  private final ChatRequest request;
  private final StreamingChatResponseHandler handler;
  private int told; // characters of the text
  private volatile boolean cancelled;
  private volatile Session session; // null before there is one

  Answer(DimpleChatModel model, ChatRequest request, StreamingChatResponseHandler handler) {
    this.model = model;
    this.request = request;
    this.handler = handler;
  }

  @Override
  public void run() {
    try {
      DimpleChatModel.understood(() -> {
        answer();
        return null;
      });
    } catch (RuntimeException | Error e) {
      if (!(cancelled && e instanceof CancelledException)) {
        fail(e);
      }
    }
  }

  private void answer() {
    Question question = new Question(model, request);
    model.enter();
    ChatResponse response;
    try (Session opened = question.open()) {
      session = opened;
      Iterator<Step> steps = opened.steps(question.howDecoded()).iterator();
      while (steps.hasNext() && !cancelled) {
        tell(question.shown(steps.next().canvas().stableText()));
      }
      response = cancelled ? null : question.response(opened, opened.generation());
    } finally {
      model.leave();
    }
    if (response == null) {
      return;
    }
    if (response.aiMessage().hasToolExecutionRequests()) {
      int index = 0;
      for (ToolExecutionRequest call : response.aiMessage().toolExecutionRequests()) {
        if (cancelled) {
          return;
        }
        handler.onCompleteToolCall(new CompleteToolCall(index++, call));
      }
    } else {
      tell(response.aiMessage().text()); // what could have become a call until now
    }
    if (!cancelled) {
      handler.onCompleteResponse(response);
    }
  }

  /** A text begins with what was told of it before. */
  private void tell(String text) {
    if (text.length() > told && !cancelled) {
      String more = text.substring(told);
      told = text.length();
      handler.onPartialResponse(new PartialResponse(more), new PartialResponseContext(this));
    }
  }

  private void fail(Throwable failure) {
    try {
      handler.onError(failure);
    } catch (RuntimeException e) {
      System.getLogger(Answer.class.getName()).log(System.Logger.Level.WARNING, "a handler failed when it was told of a failure", e);
    }
  }

  @Override
  public void cancel() {
    cancelled = true;
    Session running = session;
    if (running != null) {
      running.cancel();
    }
  }

  @Override
  public boolean isCancelled() {
    return cancelled;
  }
}
