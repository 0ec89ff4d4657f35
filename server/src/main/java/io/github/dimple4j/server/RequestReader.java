package io.github.dimple4j.server;

import io.github.dimple4j.Decoding;
import io.github.dimple4j.DimpleModel;
import io.github.dimple4j.chat.Tool;
import io.github.dimple4j.chat.ToolChoice;
import io.github.dimple4j.chat.ToolSyntax;
import io.github.dimple4j.structure.JsonSchema;
import io.github.dimple4j.structure.Piece;
import io.github.dimple4j.structure.SchemaOptions;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.function.Supplier;
import tools.jackson.databind.JsonNode;

/** What requests of all kinds have in common. */
final class RequestReader {
  private static final int DEFAULT_LENGTH = 64; // as dimple run
  private static final int MOST_CHOICES = 128;
  private static final String ANY_OBJECT = "{\"type\": \"object\"}";

  private final Fields request;
  private final DimpleModel model;
  private final ServerOptions options;
  private final DecodingFields settings;
  private final Structures structures;

  RequestReader(Fields request, Service service) {
    this.request = request;
    this.model = service.model();
    this.options = service.options();
    this.structures = service.structures();
    request.string("model").filter(name -> !name.equals(options.model())).ifPresent(name -> {
      throw ApiException.unknownModel(name, options.model());
    });
    request.refuseUnlessZero("frequency_penalty", "a diffusion model writes its answer at once");
    request.refuseUnlessZero("presence_penalty", "a diffusion model writes its answer at once");
    this.settings = new DecodingFields(request, model, options.maxTokens());
  }

  Fields request() {
    return request;
  }

  /** Whether events with the whole canvas are wanted, beside the text. */
  boolean events() {
    boolean wanted = settings.diffusion().map(fields -> fields.flag("events", false)).orElse(false);
    if (wanted && !stream()) {
      throw ApiException.field("diffusion.events", "diffusion.events goes with stream");
    }
    return wanted;
  }

  boolean stream() {
    return request.flag("stream", false);
  }

  boolean usageInStream() {
    return request.object("stream_options").map(fields -> {
      boolean wanted = fields.flag("include_usage", false);
      if (fields.flag("continuous_usage_stats", false)) {
        fields.refuse("continuous_usage_stats", "usage comes once, at the end");
      }
      fields.refuseUnread("include_obfuscation");
      return wanted;
    }).orElse(false);
  }

  int choices() {
    return (int) request.whole("n", 1, MOST_CHOICES).orElse(1);
  }

  /** The response's length, by one of these fields. */
  int length(String... names) {
    int most = Math.min(options.maxTokens(), model.info().contextLength());
    OptionalInt found = OptionalInt.empty();
    for (String name : names) {
      OptionalLong value = request.whole(name, 1, most);
      if (value.isPresent() && found.isEmpty()) {
        found = OptionalInt.of((int) value.getAsLong());
      }
    }
    return found.orElse(Math.min(DEFAULT_LENGTH, most));
  }

  /** The question of a conversation. */
  Question question(List<Question.Message> messages, List<Tool> tools, Shape shape, int length) {
    return question(messages, tools, null, null, shape, length);
  }

  /** The question of a text or of tokens, the other being null. */
  Question question(String text, int[] tokens, Shape shape, int length) {
    return question(null, List.of(), text, tokens, shape, length);
  }

  private Question question(List<Question.Message> messages, List<Tool> tools, String text, int[] tokens, Shape shape, int length) {
    Decoding decoding = settings.decoding();
    if (!decoding.stop().isEmpty() && shape.isStructure()) {
      throw request.wrong("stop", "does not go with " + shape.field() + ": what is cut off would not fit");
    }
    OptionalInt canvas = settings.canvasLength();
    boolean prefill = settings.prefill();
    settings.diffusion().ifPresent(fields -> fields.refuseUnread()); // nothing is read of it from here on
    return new Question(messages, tools, thinking(), text, tokens, shape, length, canvas, prefill, decoding, choices(), 0);
  }

  /** Which servers of other models have under this name: templates know {@code enable_thinking}. */
  private boolean thinking() {
    return request.object("chat_template_kwargs").map(fields -> {
      boolean wanted = fields.flag("enable_thinking", false);
      fields.refuseUnread();
      return wanted;
    }).orElse(false);
  }

  /** What {@code response_format}, {@code tools} and {@code diffusion} hold the answer to. */
  Shape shape(int length, ToolRequest tools) {
    Optional<Structure> format = responseFormat();
    Optional<Shape> prior = settings.diffusion().flatMap(fields -> prior(fields, length));
    if (prior.isPresent() && (format.isPresent() || tools.calls())) {
      String other = format.isPresent() ? "response_format" : "tools";
      throw ApiException.field(other, other + " does not go with diffusion.template, prefix or suffix");
    }
    if (prior.isPresent()) {
      return prior.get();
    }
    if (tools.calls()) {
      return calls(tools, format);
    }
    return format.map(found -> structures.shape(Shape.Kind.STRUCTURE, found.field(), List.of(found.key()), found.piece())).orElse(Shape.FREE);
  }

  /** A call, or, unless one is required, any text or what the format says. */
  private Shape calls(ToolRequest tools, Optional<Structure> format) {
    ToolSyntax syntax = model.chatTemplate().toolSyntax();
    Supplier<Piece> piece = tools.choice() == ToolChoice.REQUIRED || format.isEmpty() ? () -> syntax.answer(tools.callable(), tools.choice(), tools.most())
        : () -> syntax.answer(tools.callable(), format.get().piece().get(), tools.most());
    boolean text = tools.choice() == ToolChoice.AUTO && format.isEmpty();
    Object otherwise = tools.choice() == ToolChoice.AUTO && format.isPresent() ? format.get().key() : "";
    Shape.Kind kind = text ? Shape.Kind.CALL_OR_TEXT : Shape.Kind.STRUCTURE;
    return structures.shape(kind, "tools", List.of(tools.callable(), tools.choice(), tools.most(), otherwise), piece);
  }

  private Optional<Shape> prior(Fields diffusion, int length) {
    Optional<String> prefix = diffusion.string("prefix").filter(text -> !text.isEmpty());
    Optional<String> suffix = diffusion.string("suffix").filter(text -> !text.isEmpty());
    if (!diffusion.has("template")) {
      return prefix.isEmpty() && suffix.isEmpty() ? Optional.empty()
          : Optional.of(infill("diffusion.prefix", prefix.orElse(""), length, suffix.orElse("")));
    }
    if (prefix.isPresent() || suffix.isPresent()) {
      throw diffusion.wrong("template", "does not go with prefix or suffix");
    }
    List<JsonNode> given = diffusion.array("template");
    if (given.isEmpty()) {
      throw diffusion.wrong("template", "has no parts");
    }
    List<Object> parts = new ArrayList<>();
    long tokens = 0;
    for (JsonNode part : given) {
      String at = "template[" + parts.size() + "]";
      if (part.isString()) {
        parts.add(Fields.whole(diffusion.path(at), part.stringValue()));
      } else if (part.isIntegralNumber() && part.canConvertToInt() && part.intValue() >= 1) {
        parts.add(part.intValue());
        tokens += part.intValue();
      } else {
        throw diffusion.wrong(at, "is " + shortened(part) + ", expected a text, or a number of tokens to fill");
      }
    }
    if (tokens > options.maxTokens()) {
      throw diffusion.wrong("template", "has " + tokens + " tokens to fill, expected at most " + options.maxTokens());
    }
    return Optional.of(Shape.prior("diffusion.template", parts));
  }

  private static String shortened(JsonNode value) {
    String text = Json.text(value);
    return text.length() > 40 ? text.substring(0, 40) + "..." : text;
  }

  /** So many tokens between two texts. */
  static Shape infill(String field, String prefix, int length, String suffix) {
    List<Object> parts = new ArrayList<>();
    if (!prefix.isEmpty()) {
      parts.add(prefix);
    }
    parts.add(length);
    if (!suffix.isEmpty()) {
      parts.add(suffix);
    }
    return Shape.prior(field, parts);
  }

  /** What {@code response_format} asks for. {@code key}: what it is made of. */
  private record Structure(String field, Object key, Supplier<Piece> piece) {}

  private Optional<Structure> responseFormat() {
    Optional<Fields> found = request.object("response_format");
    if (found.isEmpty()) {
      return Optional.empty();
    }
    Fields format = found.get();
    Optional<Structure> structure = responseFormat(format);
    format.refuseUnread();
    return structure;
  }

  private static Optional<Structure> responseFormat(Fields format) {
    return switch (format.needString("type")) {
      case "text" -> Optional.empty();
      case "json_object" -> Optional.of(new Structure(format.path("type"), ANY_OBJECT,
          () -> Piece.json(JsonSchema.of(ANY_OBJECT), SchemaOptions.PRODUCING)));
      case "json_schema" -> {
        Fields named = format.object("json_schema").orElseThrow(() -> format.missing("json_schema"));
        JsonNode schema = named.any("schema").orElseThrow(() -> named.missing("schema"));
        named.refuseUnread("name", "description", "strict");
        String text = Fields.whole(named.path("schema"), Json.text(schema));
        yield Optional.of(new Structure(named.path("schema"), text,
            () -> Piece.json(JsonSchema.of(schema), SchemaOptions.PRODUCING)));
      }
      case "regex" -> {
        String regex = format.needString("regex");
        yield Optional.of(new Structure(format.path("regex"), List.of("regex", regex), () -> Piece.pattern(regex)));
      }
      case "choice" -> {
        List<String> texts = format.strings("choice");
        if (texts.isEmpty()) {
          throw format.has("choice") ? format.wrong("choice", "has no text") : format.missing("choice");
        }
        yield Optional.of(new Structure(format.path("choice"), List.of("choice", texts), () -> Piece.choice(texts.toArray(String[]::new))));
      }
      default -> throw format.wrong("type", "is '" + format.needString("type") + "', expected text, json_object, json_schema, regex or choice");
    };
  }
}
