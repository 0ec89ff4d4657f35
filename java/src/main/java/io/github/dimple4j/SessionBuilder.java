package io.github.dimple4j;

import io.github.dimple4j.arguments.Elements;
import io.github.dimple4j.arguments.WholeText;
import io.github.dimple4j.chat.ChatMessage;
import io.github.dimple4j.chat.ChatTemplate;
import io.github.dimple4j.chat.ContentPart;
import io.github.dimple4j.chat.Tool;
import io.github.dimple4j.chat.ToolCall;
import io.github.dimple4j.core.CoreModel;
import io.github.dimple4j.core.CoreSession;
import io.github.dimple4j.core.Rgb;
import io.github.dimple4j.structure.ByteAutomaton;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * Collects prompt, response and options of a session. The prompt is either a conversation ({@link #system}, {@link #user},
 * {@link #assistant}), a raw text ({@link #prompt}), or token ids ({@link #tokens}). For one thread.
 */
public final class SessionBuilder {
  private static final int DEFAULT_RESPONSE_LENGTH = 64;

  private final DimpleModel model;
  private final List<Image> images = new ArrayList<>();
  private final List<ChatMessage> messages = new ArrayList<>();
  private ChatMessage system;
  private ChatTemplate chatTemplate;
  private List<Tool> tools = List.of();
  private boolean ownNotation; // tools are told of, and called, as the chat template has it
  private boolean thinking;
  private String text;
  private int[] tokens;
  private OptionalInt responseLength = OptionalInt.empty();
  private int blockLength; // 0: by the file
  private boolean blocksOnly;
  private boolean fromResponse; // blocks are counted from its beginning
  private Decoding decoding; // null: not known yet
  private OptionalInt canvasLength = OptionalInt.empty();
  private Template template;
  private ByteAutomaton automaton;
  private final Map<Integer, Integer> priors = new TreeMap<>();
  private boolean withoutResponse;
  private int threads;
  private int contextLength;
  private boolean prefillCache = true;
  private KvType kvType = KvType.F32;
  private boolean controlTokens;

  SessionBuilder(DimpleModel model) {
    this.model = model;
  }

  /**
   * Sets the system message, which goes first. Without one the model's template may put its own.
   *
   * @param text what the model is told to be
   * @return this
   */
  public SessionBuilder system(String text) {
    Objects.requireNonNull(text, "text");
    system = ChatMessage.of("system", text);
    return this;
  }

  /**
   * Adds a message of the user: the pictures, then the text. Text is text: what is spelled like a control token in it, such as
   * {@code <|im_end|>}, is not that token, unless {@link #controlTokens} allows it.
   *
   * @param text what is asked
   * @param images pictures in order
   * @return this
   */
  public SessionBuilder user(String text, Image... images) {
    List<Part> parts = new ArrayList<>(Elements.of(images, "images"));
    parts.add(Part.text(text));
    return user(parts.toArray(Part[]::new));
  }

  /**
   * Adds a message of the user whose texts and pictures stand in the order given.
   *
   * @param parts texts ({@link Part#text}) and pictures
   * @return this
   */
  public SessionBuilder user(Part... parts) {
    List<ContentPart> content = new ArrayList<>();
    for (Part part : Elements.of(parts, "parts")) {
      switch (part) {
        case Text passage -> content.add(new ContentPart.Text(passage.text()));
        case Image image -> {
          content.add(new ContentPart.Image());
          images.add(image);
        }
      }
    }
    messages.add(new ChatMessage("user", content));
    return this;
  }

  /**
   * Adds an earlier answer of the model.
   *
   * @param text the answer
   * @return this
   */
  public SessionBuilder assistant(String text) {
    Objects.requireNonNull(text, "text");
    messages.add(ChatMessage.of("assistant", text));
    return this;
  }

  /**
   * Adds an earlier answer of the model that called tools.
   *
   * @param text what it said before the calls; may be empty
   * @param calls the calls
   * @return this
   */
  public SessionBuilder assistant(String text, List<ToolCall> calls) {
    Objects.requireNonNull(text, "text");
    messages.add(ChatMessage.calling(text, Objects.requireNonNull(calls, "calls")));
    return this;
  }

  /**
   * Adds what a called tool has returned.
   *
   * @param tool its name
   * @param text the result
   * @return this
   */
  public SessionBuilder toolResult(String tool, String text) {
    Objects.requireNonNull(text, "text");
    messages.add(ChatMessage.result(tool, text));
    return this;
  }

  /**
   * Tells the model of tools that it may call. It goes with a conversation, and is to be held to calls that fit:
   *
   * <pre>{@code
   * import io.github.dimple4j.chat.*;
   *
   * List<Tool> tools = List.of(new Tool("weather", "Tells the weather.", "{\"properties\": {\"city\": {\"type\": \"string\"}}}"));
   * ToolSyntax syntax = model.chatTemplate().toolSyntax();
   * try (Session asked = model.session().user("How is Oslo?").tools(tools).response(Template.of(syntax.answer(tools, ToolChoice.AUTO))).open()) {
   *   List<ToolCall> calls = asked.decode(decoding).toolCalls(syntax);
   * }
   * }</pre>
   *
   * @param tools what may be called
   * @return this
   */
  public SessionBuilder tools(List<Tool> tools) {
    this.tools = Elements.of(tools, "tools");
    ownNotation = false;
    return this;
  }

  /**
   * Tells the model of tools as its chat template does, and leaves to it how it calls them and whether the calls fit: {@link Generation#toolCalls()}
   * reads those of Gemma 4 and DiffusionGemma. It goes with a conversation.
   *
   * @param tools what may be called
   * @return this
   */
  public SessionBuilder templateTools(List<Tool> tools) {
    this.tools = Elements.of(tools, "tools");
    ownNotation = true;
    return this;
  }

  /**
   * Asks the model to think before it answers, if its chat template knows of that ({@code enable_thinking}). It goes with a conversation.
   * {@link Generation#thinking()} has what it thought.
   *
   * @param thinking true: think; until then the template's own default
   * @return this
   */
  public SessionBuilder thinking(boolean thinking) {
    this.thinking = thinking;
    return this;
  }

  /**
   * Adds a message of any role that the chat template knows.
   *
   * @param message the message
   * @param images its pictures, one for each {@link ContentPart.Image} in their order
   * @return this
   * @throws InvalidArgumentException if there are more or fewer
   */
  public SessionBuilder message(ChatMessage message, Image... images) {
    long places = Objects.requireNonNull(message, "message").parts().stream().filter(ContentPart.Image.class::isInstance).count();
    List<Image> given = Elements.of(images, "images");
    if (places != given.size()) {
      throw new InvalidArgumentException("a message with places for " + places + " pictures and " + given.size() + " pictures");
    }
    messages.add(message);
    this.images.addAll(given);
    return this;
  }

  /**
   * Allows control tokens, such as {@code <|im_end|>} or {@code <|image_pad|>}, to be spelled out in the texts of {@link #system},
   * {@link #user} and {@link #assistant}. Not for texts that come from elsewhere: they could end the message, speak as somebody else, or
   * take the place of a picture.
   *
   * @param allow false (the default): such a spelling is text
   * @return this
   */
  public SessionBuilder controlTokens(boolean allow) {
    controlTokens = allow;
    return this;
  }

  /**
   * Writes the conversation by another chat template than the model's.
   *
   * @param template the template
   * @return this
   */
  public SessionBuilder chatTemplate(ChatTemplate template) {
    chatTemplate = Objects.requireNonNull(template, "template");
    return this;
  }

  /**
   * Sets the prompt as text that goes to the model as it stands, without chat template. Control tokens are spelled out in it, and
   * {@code <|image_pad|>} once for each picture.
   *
   * @param text the prompt
   * @param images pictures in order
   * @return this
   */
  public SessionBuilder prompt(String text, Image... images) {
    this.text = Objects.requireNonNull(text, "text");
    this.images.addAll(Elements.of(images, "images"));
    return this;
  }

  /**
   * Sets the prompt as token ids, which go to the model as they are: each picture has as many placeholders as image tokens
   * ({@link DimpleModel#imageGrid}). Needs no tokenizer.
   *
   * @param ids token ids
   * @param images pictures in order
   * @return this
   */
  public SessionBuilder tokens(int[] ids, Image... images) {
    tokens = Objects.requireNonNull(ids, "ids").clone();
    this.images.addAll(Elements.of(images, "images"));
    return this;
  }

  /**
   * Sets how many tokens the response has. Without it, it has as many as its {@link Template}, otherwise 64.
   *
   * @param tokens at least 1
   * @return this
   */
  public SessionBuilder responseLength(int tokens) {
    responseLength = OptionalInt.of(tokens);
    return this;
  }

  /**
   * Lets the response fill its last block: {@link #responseLength} is raised until prompt and response together are whole blocks, as
   * {@link Pipeline#SDAR} and {@link Pipeline#FAST_DLLM_V2} count them. Of a model whose file names such a pipeline this is so without asking,
   * with the file's blocks; for another decoding than {@linkplain DimpleModel#decoding the model's} there is {@link #wholeBlocks(Decoding)}.
   *
   * @param blockLength positions of a block, at least 1: {@link Decoding#blockLength}; 1 leaves the response as it is
   * @return this
   * @throws InvalidArgumentException if it is less than 1
   */
  public SessionBuilder wholeBlocks(int blockLength) {
    if (blockLength < 1) {
      throw new InvalidArgumentException("a block of " + blockLength + " positions, expected at least 1");
    }
    this.blockLength = blockLength;
    this.blocksOnly = false;
    this.fromResponse = false;
    return this;
  }

  /**
   * Lets the response end as a decoding ends it: with a block where its pipeline {@linkplain Pipeline#countsFromPrompt counts them from the prompt}, as
   * {@link #wholeBlocks(int)} has it, of the file's length where the decoding names none; with any other it is as long as {@link #responseLength} says.
   * {@link #open} then refuses, before anything is counted or computed, a pipeline or an algorithm that the model is not made for.
   *
   * @param decoding how the session is to be decoded
   * @return this
   * @throws ClosedException if the model is closed
   */
  public SessionBuilder wholeBlocks(Decoding decoding) {
    this.decoding = Objects.requireNonNull(decoding, "decoding");
    return wholeBlocks(model.countedBlock(decoding));
  }

  /**
   * Counts as Fast-dLLM v2's own code does: {@link #responseLength} divided by the block's length, rounded down, is how many blocks are decoded, the first
   * being the one that the prompt ends in, and one token more.
   *
   * @param blockLength positions of a block, at least 1
   * @return this
   * @throws InvalidArgumentException if it is less than 1
   */
  public SessionBuilder budgetOfBlocks(int blockLength) {
    wholeBlocks(blockLength);
    this.blocksOnly = true;
    return this;
  }

  /**
   * Raises {@link #responseLength} to whole canvases, as {@link Pipeline#DIFFUSION_GEMMA}'s authors do; without this the last canvas takes what is left.
   *
   * @param canvasLength positions of a canvas, at least 1: {@link Decoding#blockLength}
   * @return this
   * @throws InvalidArgumentException if it is less than 1
   */
  public SessionBuilder wholeCanvases(int canvasLength) {
    wholeBlocks(canvasLength);
    this.fromResponse = true;
    return this;
  }

  /** The response's length by the asked one. */
  private int counted(int prompt, int asked, int block) {
    if (fromResponse) {
      return asked + Math.floorMod(-asked, block);
    }
    if (!blocksOnly) {
      return asked + Math.floorMod(-(prompt + asked), block);
    }
    int length = asked / block * block + 1 - prompt % block;
    if (length < 1) {
      throw new InvalidArgumentException(
          "a response of " + asked + " tokens has no whole block of " + block + ", and whole blocks are counted here: expected at least " + block);
    }
    return length;
  }

  /**
   * Fills the response canvas after canvas: when one is full and no end-of-text token or stop string ended the text, its tokens become
   * the end of the prompt, by one pass of the model, and the next masked canvas follows. So an answer is as long as it gets, up to
   * {@link #responseLength}, and each pass is over no more masks than a canvas has. A canvas does not see those to come. Each is decoded
   * as if its prompt had been given from the start, with steps of its own ({@link Decoding#steps}: without it as many as it has
   * positions) and the seed one higher than that of the one before; pictures go through the vision tower once. A structure holds the whole:
   * each canvas is filled so that those to come can still end what it begins. Of a structure prior, as many canvases are filled as its parts need; each
   * slot ends for itself.
   *
   * @param tokens at least 1; the last canvas takes what is left. Until this is called: the whole response is one canvas
   * @return this
   */
  public SessionBuilder canvasLength(int tokens) {
    canvasLength = OptionalInt.of(tokens);
    return this;
  }

  /**
   * Says what the response is to look like. A structure is held in any case; of a structure prior the texts are fixed, and if it is shorter
   * than {@link #responseLength}, the model fills the rest.
   *
   * @param template the structure, or texts and slots
   * @return this
   */
  public SessionBuilder response(Template template) {
    Optional<ByteAutomaton> structure = Objects.requireNonNull(template, "template").automaton();
    if (structure.isPresent()) {
      this.template = null;
      return response(structure.get());
    }
    this.template = template;
    return this;
  }

  /**
   * Holds the response to an automaton: the bytes of the answer, up to its end, are accepted by it, whatever the model and the way of
   * decoding. It does not go together with a {@link Template}.
   *
   * @param automaton what the answer may be
   * @return this
   */
  public SessionBuilder response(ByteAutomaton automaton) {
    this.automaton = Objects.requireNonNull(automaton, "automaton");
    return this;
  }

  /**
   * Fixes one token of the response.
   *
   * @param position from 0, within the response
   * @param tokenId a token id
   * @return this
   */
  public SessionBuilder prior(int position, int tokenId) {
    priors.put(position, tokenId);
    return this;
  }

  /**
   * Makes a session of the prompt alone, good for {@link Session#logits}, {@link Session#imageFeatures} and scores, and not for decoding.
   *
   * @return this
   */
  public SessionBuilder withoutResponse() {
    withoutResponse = true;
    return this;
  }

  /**
   * Limits the threads that work for the session at a time, the caller's included. Results do not depend on it. All sessions of the
   * process share the same threads, so fifty sessions of 16 threads have 15 threads and their callers.
   *
   * @param threads 0 (the default): one per processor
   * @return this
   */
  public SessionBuilder threads(int threads) {
    this.threads = threads;
    return this;
  }

  /**
   * Limits prompt and response together.
   *
   * @param tokens at most the model's; 0 (the default): the model's
   * @return this
   */
  public SessionBuilder contextLength(int tokens) {
    contextLength = tokens;
    return this;
  }

  /**
   * Chooses whether keys and values of the prompt are kept from the first pass (paper section 4.2). That is faster, and an
   * approximation: otherwise the prompt is computed anew in every iteration and sees the partly decoded response.
   *
   * @param keep true (the default) to keep them
   * @return this
   */
  public SessionBuilder prefillCache(boolean keep) {
    prefillCache = keep;
    return this;
  }

  /**
   * Chooses what keys and values are kept in: rounded ones take half the memory or less. For machines with little of it and long prompts;
   * {@link SessionMemory#kvBytes} tells the difference. {@link #open} throws {@link UnsupportedException} where the model's heads are not made for it.
   *
   * @param type {@link KvType#F32} is the default
   * @return this
   */
  public SessionBuilder kvType(KvType type) {
    kvType = Objects.requireNonNull(type, "type");
    return this;
  }

  /**
   * Makes the session without running the model; the first decoding then does the prefill.
   *
   * @return the session
   * @throws InvalidArgumentException if there is no prompt or more than one kind of it, it has half of a surrogate pair, a token id, length or position is out of range,
   *     pictures and placeholders disagree, or a picture does not suit the vision tower
   * @throws ContextLimitException if prompt and response do not fit the context, or the shortest answer does not fit the response
   * @throws UnsupportedException if there are pictures and no vision tower, the model names no mask token, or it is not made for the decoding that {@link #wholeBlocks(Decoding)} names
   * @throws NoTokenizerException if prompt or template are text and the model has no tokenizer
   * @throws ClosedException if the model is closed
   * @throws DimpleException if memory is short
   */
  public Session open() {
    int[] imageTokens = images.stream().mapToInt(this::tokenCount).toArray();
    int[] prompt = promptIds(imageTokens);
    ModelInfo info = model.info();
    Vocabulary vocabulary = new Vocabulary(info, model.text()::tokenizer, model.text().ends());
    if (decoding != null && !withoutResponse) {
      requireFit(vocabulary);
    }
    Response response = withoutResponse ? null : response(vocabulary, prompt.length);
    if (withoutResponse && (template != null || automaton != null || responseLength.isPresent() || !priors.isEmpty())) {
      throw new InvalidArgumentException("a session without response has a response length, template, automaton or prior");
    }
    if (template != null && automaton != null) {
      throw new InvalidArgumentException("a response has a template and an automaton, expected one of them");
    }
    int canvas = checkedCanvasLength(response);
    SessionHandle handle = model.call(this::open);
    HeldStructure structure = automaton == null ? null : new HeldStructure(automaton, model.constraints());
    Session session = new Session(handle, info, vocabulary, prompt, IntStream.of(imageTokens).sum(), response, canvas, structure);
    List<Rgb> pictures = images.stream().map(image -> new Rgb(image.pixels(), image.width(), image.height())).toList();
    try {
      if (response != null) {
        checkContext(prompt.length, response.length());
      }
      handle.use(() -> {
        handle.run(core -> core.setPrompt(prompt, pictures));
        if (response != null) {
          session.setResponse();
        }
        return null;
      });
      return session;
    } catch (RuntimeException | Error e) {
      session.close();
      throw e;
    }
  }

  /**
   * Makes the session and runs the first pass: {@link #open}, then {@link Session#prefill}.
   *
   * @return the session
   * @throws DimpleException as {@link #open} and {@link Session#prefill} do
   */
  public Session prefill() {
    Session session = open();
    try {
      session.prefill();
      return session;
    } catch (RuntimeException | Error e) {
      session.close();
      throw e;
    }
  }

  /** Of a canvas, at most all of the response; 0 without one. */
  private int checkedCanvasLength(Response response) {
    int all = response == null ? 0 : response.length();
    if (canvasLength.isEmpty()) {
      return all;
    }
    int length = canvasLength.getAsInt();
    if (length < 1) {
      throw new InvalidArgumentException("a canvas of " + length + " tokens, expected at least 1");
    }
    if (withoutResponse) {
      throw new InvalidArgumentException("a session without response has a canvas length");
    }
    return Math.min(length, all);
  }

  private int tokenCount(Image image) {
    try {
      return model.imageGrid(image.width(), image.height()).tokens();
    } catch (InvalidArgumentException e) {
      throw new InvalidArgumentException(image.errorPrefix() + e.getMessage());
    }
  }

  private int[] promptIds(int[] imageTokens) {
    boolean chat = system != null || !messages.isEmpty();
    if ((chat ? 1 : 0) + (text != null ? 1 : 0) + (tokens != null ? 1 : 0) != 1) {
      throw new InvalidArgumentException("a session needs one prompt: either a conversation (system, user, assistant, message), "
          + "or a text (prompt), or token ids (tokens)");
    }
    if (chatTemplate != null && !chat) {
      throw new InvalidArgumentException("a chat template goes with a conversation (system, user, assistant)");
    }
    if (!tools.isEmpty() && !chat) {
      throw new InvalidArgumentException("tools go with a conversation (system, user, assistant)");
    }
    if (thinking && !chat) {
      throw new InvalidArgumentException("thinking goes with a conversation (system, user, assistant)");
    }
    if (tokens != null) {
      return tokens;
    }
    int imageToken = model.info().imageTokenId().orElse(-1);
    int[] ids = chat ? model.text().encode(question(), images.size(), imageToken) : model.tokenizer().encodePrompt(WholeText.of(text, "the prompt"));
    return model.text().expand(ids, imageToken, imageTokens);
  }

  private ModelText.Question question() {
    return new ModelText.Question(chatTemplate(), conversation(), tools, ownNotation, thinking);
  }

  private ChatTemplate chatTemplate() {
    return chatTemplate != null ? chatTemplate : model.chatTemplate();
  }

  private List<ChatMessage> conversation() {
    List<ChatMessage> conversation = new ArrayList<>(messages);
    if (system != null) {
      conversation.addFirst(system);
    }
    return controlTokens ? conversation.stream().map(SessionBuilder::asMarkup).toList() : conversation;
  }

  private static ChatMessage asMarkup(ChatMessage message) {
    Function<ContentPart, ContentPart> markup = part -> part instanceof ContentPart.Text text ? new ContentPart.Markup(text.text()) : part;
    return message.withParts(message.parts().stream().map(markup).toList());
  }

  /** The core is told of the prompt before the response, and could not name the response in its message. */
  private void checkContext(int prompt, int response) {
    if ((long) prompt + response > context()) {
      throw new ContextLimitException(
          "prompt (" + prompt + " tokens) and response (" + response + ") do not fit the context of " + context());
    }
  }

  private int context() {
    return contextLength > 0 ? contextLength : model.info().contextLength();
  }

  private Response response(Vocabulary vocabulary, int prompt) {
    int asked = responseLength.orElse(template == null ? DEFAULT_RESPONSE_LENGTH : 0);
    int block = blockLength > 0 ? blockLength : model.countedBlock(model.decoding());
    int length = asked < 1 || asked > context() ? asked : counted(prompt, asked, block);
    int context = context();
    long atLeast = template == null ? length : Math.max(length, template.slotTokens());
    if (atLeast > context) { // before anything of that size is allocated
      throw new ContextLimitException("a response of " + atLeast + " tokens does not fit the context of " + context);
    }
    if (length < 1 && template == null) {
      throw new InvalidArgumentException("a response of " + length + " tokens, expected at least 1");
    }
    Response response = template == null
        ? Response.ofOneSlot(vocabulary, vocabulary.masks(length)) : template.layOut(vocabulary, length);
    if (responseLength.isPresent() && response.length() != length) {
      throw new InvalidArgumentException("the template has " + response.length() + " tokens, more than the response length of " + length);
    }
    priors.forEach((position, token) -> {
      if (position < 0 || position >= response.length()) {
        throw new InvalidArgumentException("a prior at position " + position + ", expected 0 to " + (response.length() - 1));
      }
      response.tokens()[position] = token;
    });
    return response;
  }

  /** Has the core begin the decoding of one token behind one: it says whether the model is made for it. What else it says is of these. */
  private void requireFit(Vocabulary vocabulary) {
    ModelInfo info = model.info();
    int plain = IntStream.range(0, info.vocabSize()).filter(id -> Stream.of(info.maskTokenId(), info.padTokenId(), info.imageTokenId(), info.eosTokenId())
        .noneMatch(special -> special.orElse(-1) == id)).findFirst().orElse(0);
    try {
      model.call(core -> {
        CoreSession session = core.session(1, 0, prefillCache, kvType.number());
        try {
          session.setPrompt(new int[] {plain}, List.of());
          session.setResponse(vocabulary.masks(1));
          session.begin(decoding.settings(1));
          return null;
        } finally {
          session.free();
        }
      });
    } catch (UnsupportedException e) {
      throw e;
    } catch (DimpleException e) {
      // the decoding itself will say it better
    }
  }

  private SessionHandle open(CoreModel core) {
    CoreSession session = core.session(threads, contextLength, prefillCache, kvType.number());
    model.handle().hold();
    return new SessionHandle(session, model.handle());
  }

  /**
   * What was set so far, for logs: no text of the prompt.
   *
   * @return for example {@code "SessionBuilder[2 messages, 1 images, response of 64]"}
   */
  @Override
  public String toString() {
    String prompt = tokens != null ? tokens.length + " tokens"
        : text != null ? "a text" : messages.size() + (system == null ? 0 : 1) + " messages";
    String response = withoutResponse ? "without response"
        : template != null ? "response " + template : "response of " + responseLength.orElse(DEFAULT_RESPONSE_LENGTH);
    return "SessionBuilder[" + prompt + ", " + images.size() + " images, " + response + "]";
  }
}
