package io.github.dimple4j.langchain4j;

import dev.langchain4j.agent.tool.ToolExecutionRequest;
import dev.langchain4j.data.message.AiMessage;
import dev.langchain4j.exception.UnsupportedFeatureException;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.request.ResponseFormat;
import dev.langchain4j.model.chat.request.ResponseFormatType;
import dev.langchain4j.model.chat.request.ToolChoice;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.output.FinishReason;
import dev.langchain4j.model.output.TokenUsage;
import io.github.dimple4j.Decoding;
import io.github.dimple4j.Finish;
import io.github.dimple4j.Generation;
import io.github.dimple4j.Session;
import io.github.dimple4j.SessionBuilder;
import io.github.dimple4j.Template;
import io.github.dimple4j.chat.Tool;
import io.github.dimple4j.chat.ToolSyntax;
import io.github.dimple4j.structure.JsonSchema;
import io.github.dimple4j.structure.Piece;
import io.github.dimple4j.structure.SchemaOptions;
import java.util.List;
import java.util.UUID;

/** A request as this library runs it, and its answer as LangChain4j has it. For one thread. */
final class Question {
  private static final JsonSchema OBJECT = JsonSchema.of("{\"type\": \"object\"}");

  private final DimpleChatModel model;
  private final ChatRequest request;
  private final ToolSyntax syntax; // null: without tools
  private final Piece structure; // null: free text
  private final List<Tool> tools;
  private final Decoding decoding;
  private String pictures; // the digest of those of the session; null: it has none
  private boolean seen; // whether their features were known

  Question(DimpleChatModel model, ChatRequest request) {
    this.model = model;
    this.request = request;
    refuse("frequencyPenalty", request.frequencyPenalty());
    refuse("presencePenalty", request.presencePenalty());
    if (request.modelName() != null && !request.modelName().equals(model.name())) {
      throw new UnsupportedFeatureException("modelName is " + request.modelName() + ", expected none: the model is " + model.name());
    }
    tools = request.toolChoice() == ToolChoice.NONE ? List.of() : request.toolSpecifications().stream().map(Conversion::tool).toList();
    syntax = tools.isEmpty() ? null : model.dimple().chatTemplate().toolSyntax();
    structure = structure();
    decoding = decoding();
  }

  private static void refuse(String name, Object value) {
    if (value != null) {
      throw new UnsupportedFeatureException(name + " is no setting of a diffusion model");
    }
  }

  private Piece structure() {
    Piece format = json(request.responseFormat());
    if (request.toolChoice() == ToolChoice.REQUIRED && syntax == null) {
      throw new UnsupportedFeatureException("toolChoice is REQUIRED, and there are no tools");
    } else if (syntax == null) {
      return format;
    } else if (request.toolChoice() == ToolChoice.REQUIRED) {
      return syntax.answer(tools, io.github.dimple4j.chat.ToolChoice.REQUIRED, model.mostCalls());
    }
    return format == null ? syntax.answer(tools, io.github.dimple4j.chat.ToolChoice.AUTO, model.mostCalls()) : syntax.answer(tools, format, model.mostCalls());
  }

  private static Piece json(ResponseFormat format) {
    if (format == null || format.type() != ResponseFormatType.JSON) {
      return null;
    }
    return Piece.json(format.jsonSchema() == null ? OBJECT : Conversion.schema(format.jsonSchema().rootElement()), SchemaOptions.PRODUCING);
  }

  private Decoding decoding() {
    Decoding.Builder changed = model.decoding().toBuilder();
    if (request.temperature() != null) {
      changed.temperature(request.temperature().floatValue());
    }
    if (request.topP() != null) {
      changed.topP(request.topP().floatValue());
    }
    if (request.topK() != null) {
      changed.topK(request.topK());
    }
    if (!request.stopSequences().isEmpty()) {
      if (structure != null) {
        throw new UnsupportedFeatureException("stopSequences would cut JSON or a call of a tool off: they go with free text");
      }
      changed.stop(request.stopSequences().toArray(String[]::new));
    }
    return changed.build();
  }

  Decoding howDecoded() {
    return decoding;
  }

  Session open() {
    SessionBuilder session = model.dimple().session().tools(tools).wholeBlocks(decoding)
        .responseLength(request.maxOutputTokens() == null ? model.responseLength() : request.maxOutputTokens());
    Conversion conversion = new Conversion(model.pictureOrder());
    conversion.addAll(request.messages(), session);
    if (structure != null) {
      session.response(Template.of(structure));
    }
    pictures = conversion.pictures();
    Session opened = session.open();
    float[][] features = pictures == null ? null : model.features().find(pictures);
    if (features != null) {
      opened.setImageFeatures(features);
    }
    seen = features != null;
    return opened;
  }

  /** Keeps what was seen, of a session that has decoded. */
  private void keep(Session session) {
    if (pictures != null && !seen) {
      model.features().keep(pictures, session.imageFeatures());
    }
  }

  /** Of a text that is not whole yet, what can be shown: nothing of a call. */
  String shown(String stable) {
    return syntax != null && syntax.mayBegin(stable) ? "" : stable;
  }

  ChatResponse response(Session session, Generation generation) {
    keep(session);
    String text = generation.text();
    List<ToolExecutionRequest> calls = syntax == null ? List.of() : generation.toolCalls(syntax).stream().map(found -> ToolExecutionRequest.builder()
        .id("call_" + UUID.randomUUID()).name(found.name()).arguments(found.arguments()).build()).toList();
    AiMessage.Builder message = AiMessage.builder().thinking(generation.thinking().isEmpty() ? null : generation.thinking());
    if (calls.isEmpty()) {
      message.text(text);
    } else {
      message.toolExecutionRequests(calls);
    }
    return ChatResponse.builder().aiMessage(message.build()).metadata(DimpleChatResponseMetadata.of(generation).id("chat_" + UUID.randomUUID())
        .modelName(model.name()).tokenUsage(new TokenUsage(generation.promptTokens(), generation.textTokens().length))
        .finishReason(reason(generation.finish(), !calls.isEmpty())).build()).build();
  }

  private FinishReason reason(Finish finish, boolean called) {
    if (called) {
      return FinishReason.TOOL_EXECUTION;
    }
    return switch (finish) {
      case END_OF_TEXT, STOP_STRING -> FinishReason.STOP;
      case LENGTH -> json(request.responseFormat()) == null ? FinishReason.LENGTH : FinishReason.STOP; // a structure is whole in any case
      case CANCELLED, BUDGET, MASKED -> FinishReason.OTHER;
    };
  }
}
