package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.github.dimple4j.chat.CallNotation;
import io.github.dimple4j.chat.ChatTemplate;
import io.github.dimple4j.chat.Tool;
import io.github.dimple4j.chat.ToolCall;
import io.github.dimple4j.chat.ToolChoice;
import io.github.dimple4j.chat.ToolSyntax;
import io.github.dimple4j.tokenizer.GoldenTokenizer;
import io.github.dimple4j.tokenizer.Tokenizer;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What Gemma 4 and DiffusionGemma keep apart from the text of an answer: thoughts, and calls of tools in their notation. */
class AnswerPartsTest {
  private static final String ANSWER = "<|channel>thought\nThe sky, of\ncourse.\n<channel|>It is blue."
      + "<|tool_call>call:look_up{city:<|\"|>Rome, {Italy}<|\"|>,days:[1,2.5],deep:{on:true,off:null}}<tool_call|> So.";

  @TempDir static Path folder;
  private static DimpleModel model;

  @BeforeAll
  static void load() throws IOException {
    model = DimpleModel.load(TinyModel.ofText(GoldenTokenizer.sentencePiece("gemma4", false)).withVision().write(folder.resolve("model.gguf")));
  }

  @AfterAll
  static void close() {
    model.close();
  }

  private static Generation generation(Tokenizer tokenizer, String text, String... stops) {
    int[] tokens = tokenizer.encode(text);
    Vocabulary vocabulary = new Vocabulary(model.info(), () -> tokenizer, model.endTokenIds());
    Canvas canvas = new Canvas(Response.ofOneSlot(vocabulary, vocabulary.masks(tokens.length)).endingAt(List.of(stops)), tokens);
    return new Generation(canvas, Finish.LENGTH, 0, 0, 0, 0, List.of(), new Timings(Duration.ZERO, Duration.ZERO, Duration.ZERO));
  }

  /** Whether the file calls the tokens that frame them user-defined, as llama.cpp's converter, or control tokens. */
  @ParameterizedTest
  @ValueSource(strings = {"gemma4", "gemma4-newlines"})
  void thoughtsAndCallsAreNoText(String name) {
    Tokenizer tokenizer = Tokenizer.of(GoldenTokenizer.sentencePiece(name, false));
    Generation answer = generation(tokenizer, ANSWER);
    assertThat(answer.text()).isEqualTo("It is blue. So.");
    assertThat(answer.thinking()).isEqualTo("The sky, of\ncourse.");
    assertThat(answer.toolCalls())
        .containsExactly(new ToolCall("look_up", "{\"city\":\"Rome, {Italy}\",\"days\":[1,2.5],\"deep\":{\"on\":true,\"off\":null}}"));
    assertThat(String.join("", answer.canvas().pieces())).isEqualTo(answer.text());
  }

  @Test
  void answersWithoutPartsAreTextAlone() {
    Generation answer = generation(model.tokenizer(), "channel> It <is|> <channel|> blue.");
    assertThat(answer.text()).isEqualTo("channel> It <is|>  blue.");
    assertThat(answer.thinking()).isEmpty();
    assertThat(answer.toolCalls()).isEmpty();
  }

  /** A thought that the response's length cuts off is no text, and a call is none. */
  @Test
  void partsThatNothingEndsGoToTheEnd() {
    assertThat(generation(model.tokenizer(), "Well.<|channel>thought\nThe sky").text()).isEqualTo("Well.");
    assertThat(generation(model.tokenizer(), "Well.<|channel>thought\nThe sky").thinking()).isEqualTo("The sky");
    assertThat(generation(model.tokenizer(), "<|channel>thought").thinking()).isEmpty();
    assertThat(generation(model.tokenizer(), "Well.<|tool_call>call:f{a:1").toolCalls()).isEmpty();
    assertThat(generation(model.tokenizer(), "<|channel>thought\nno\n<channel|>a stop b", "stop").text()).isEqualTo("a ");
    assertThat(generation(model.tokenizer(), "<|channel>thought\na stop\n<channel|>b", "stop").text()).isEqualTo("b");
  }

  /** Without what is masked in it, a call could be another one. */
  @Test
  void callsWithMasksAreNone() {
    int[] tokens = model.tokenizer().encode("<|tool_call>call:f{a:1,b:<|\"|>x<|\"|>}<tool_call|>");
    Vocabulary vocabulary = new Vocabulary(model.info(), model::tokenizer, model.endTokenIds());
    Response response = Response.ofOneSlot(vocabulary, vocabulary.masks(tokens.length));
    for (int position = 1; position < tokens.length; position++) {
      int[] masked = tokens.clone();
      masked[position] = model.info().maskTokenId().orElseThrow();
      assertThat(response.parts(masked, false)).as("position " + position).isEmpty();
    }
    assertThat(response.parts(tokens, false)).hasSize(1);
  }

  /** Each canvas's stable text begins with that of one of which less is revealed. */
  @Test
  void stableTextLeavesPartsOut() {
    int[] tokens = model.tokenizer().encode(ANSWER);
    Vocabulary vocabulary = new Vocabulary(model.info(), model::tokenizer, model.endTokenIds());
    Response response = Response.ofOneSlot(vocabulary, vocabulary.masks(tokens.length));
    String before = "";
    for (int revealed = 0; revealed <= tokens.length; revealed++) {
      String stable = new Canvas(response, response.hide(tokens, revealed)).stableText();
      assertThat(stable).startsWith(before);
      before = stable;
    }
    assertThat(before).isEqualTo("It is blue. So.");
  }

  /** Whatever the model writes, and however it is decoded: calls that fit, in its own notation, by its own tokens. */
  @Test
  void callsAreHeldInTheModelsNotation() {
    ChatTemplate template = ChatTemplate.parse("{% for t in tools or [] %}{{ t.function.name }}{% endfor %}{% for m in messages %}{{ m.content }}"
        + "{% for c in m.tool_calls or [] %}{{ '<|tool_call>call:' + c.function.name + '{' }}{% for k, v in c.function.arguments.items() %}"
        + "{{ k + ':' + ('<|\"|>' + v + '<|\"|>' if v is string else v | tojson) + (',' if not loop.last else '') }}{% endfor %}"
        + "{{ '}<tool_call|>' }}{% endfor %}{% endfor %}");
    ToolSyntax syntax = template.toolSyntax();
    assertThat(syntax.apartFromText()).isTrue();
    List<Tool> tools = List.of(new Tool("go", "", "{\"required\": [\"to\"], \"properties\": {\"to\": {\"type\": \"string\", \"maxLength\": 12}, "
        + "\"fast\": {\"type\": \"boolean\"}}}"), new Tool("stop", "", "{\"properties\": {}}"));
    int called = 0;
    int texts = 0;
    for (int seed = 0; seed < 24; seed++) {
      ToolChoice choice = seed % 3 == 0 ? ToolChoice.AUTO : ToolChoice.REQUIRED;
      Template held = Template.of(syntax.answer(tools, choice, 2));
      try (Session session = model.session().chatTemplate(template).user("abc").tools(tools).response(held).responseLength(40).open()) {
        Generation answer = session.decode(ConfidentDecoding.threshold(seed % 2 == 0 ? 0.9f : 0).toBuilder().steps(8).temperature(1.5f).seed(seed).build());
        List<ToolCall> calls = answer.toolCalls(syntax);
        assertThat(calls).allMatch(call -> tools.stream().anyMatch(tool -> tool.admits(call)));
        assertThat(calls.isEmpty() ? answer.text() : "").as("calls are apart from the text").isEqualTo(answer.text());
        assertThat(choice == ToolChoice.AUTO || !calls.isEmpty()).as("a call is required").isTrue();
        called += calls.size();
        texts += calls.isEmpty() ? 1 : 0;
      }
    }
    assertThat(called).isGreaterThan(16);
    assertThat(texts).isPositive();
  }

  @Test
  void whatUsersSaySpellsNoMarks() {
    Tokenizer tokenizer = model.tokenizer();
    int call = tokenizer.id("<|tool_call>").orElseThrow();
    assertThat(tokenizer.encode("<|tool_call>")).containsExactly(call);
    assertThat(tokenizer.encodeOrdinary("<|tool_call>")).doesNotContain(call);
  }

  /** Placeholders of a picture stand between the tokens that frame one. */
  @Test
  void picturesAreFramed() {
    Tokenizer tokenizer = model.tokenizer();
    Image picture = Image.of(new BufferedImage(28, 28, BufferedImage.TYPE_INT_RGB));
    int tokens = model.imageGrid(28, 28).tokens();
    ChatTemplate template = ChatTemplate.parse("{% for part in messages[0].content %}{{ part.text or '<|image|>' }}{% endfor %}");
    try (Session session = model.session().chatTemplate(template).user("abc", picture).responseLength(4).open()) {
      int frame = 2 + tokens;
      assertThat(session.promptTokens().length).isEqualTo(1 + frame + tokenizer.encode("abc").length); // and begin-of-text
    }
  }

  @Test
  void templatesAreToldOfThinkingAndOfTools() {
    ChatTemplate template = ChatTemplate.parse("{% if enable_thinking %}<|channel>{% endif %}{% for tool in tools or [] %}<|tool_call>{{ tool.function.name }}"
        + "<tool_call|>{% endfor %}{{ messages[0].content }}");
    int plain = length(model.session().chatTemplate(template).user("abc"));
    assertThat(length(model.session().chatTemplate(template).user("abc").thinking(true))).isEqualTo(plain + 1);
    int named = model.tokenizer().encode("look_up").length;
    assertThat(length(model.session().chatTemplate(template).user("abc").templateTools(List.of(new Tool("look_up", "", "{}")))))
        .isEqualTo(plain + 2 + named);
    assertThatExceptionOfType(InvalidArgumentException.class).isThrownBy(() -> length(model.session().prompt("abc").thinking(true)))
        .withMessageContaining("thinking goes with a conversation");
  }

  private static int length(SessionBuilder builder) {
    try (Session session = builder.responseLength(4).open()) {
      return session.promptTokens().length;
    }
  }

  @Test
  void callsAreReadAsTheyAreWritten() {
    for (String arguments : List.of("{}", "{\"a\":\"\"}", "{\"a\":\"x\\ny\\\"z\",\"b\":-1.5,\"c\":[],\"d\":[[1],{\"e\":null}]}", "{\"größe\":\"ü,}]:\"}",
        "{\"a:b\":1,\"\":2,\" c\":3,\"d,{\":4}")) {
      ToolCall call = new ToolCall("f", arguments);
      assertThat(CallNotation.read(CallNotation.write(call))).contains(call);
    }
    assertThat(CallNotation.write(new ToolCall("f", "{\"a\":\"b\",\"c\":true}"))).isEqualTo("call:f{a:<|\"|>b<|\"|>,c:true}");
    assertThat(CallNotation.read(" call:f{ a : \"b\" , <|\"|>c d<|\"|>:1,\"e\":2 } ")).contains(new ToolCall("f", "{\"a\":\"b\",\"c d\":1,\"e\":2}"));
  }

  @Test
  void whatIsNoCallIsNone() {
    for (String text : List.of("", "call:", "call:f", "call:f{", "call:f{}x", "f{}", "call:{}", "call:a b{}", "call:f{a}", "call:f{a:}", "call:f{a:1,,b:2}",
        "call:f{a:<|\"|>b}", "call:f{a:1,a:2}", "call:f{a:b}", "call:f{a:[1}", "call:f{a:1}}", "call:f" + "{a:".repeat(100) + "1" + "}".repeat(100), "call:f{a:\"}")) {
      assertThat(CallNotation.read(text)).as(text).isEmpty();
    }
    String whole = CallNotation.write(new ToolCall("f", "{\"a\":\"b\",\"c\":[1,{\"d\":null}]}"));
    Random random = new Random(6);
    for (int i = 0; i < 20_000; i++) { // nothing but an answer comes of damaged ones
      StringBuilder damaged = new StringBuilder(whole);
      for (int k = random.nextInt(4); k >= 0; k--) {
        int at = random.nextInt(damaged.length());
        damaged.replace(at, Math.min(damaged.length(), at + random.nextInt(3)), String.valueOf("{}[]:,<|\"ab1".charAt(random.nextInt(12))));
      }
      CallNotation.read(damaged.toString());
    }
  }
}
