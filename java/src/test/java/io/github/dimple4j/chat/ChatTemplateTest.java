package io.github.dimple4j.chat;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ChatTemplateTest {
  private static final ChatMessage PICTURE = new ChatMessage("user",
      List.of(new ContentPart.Image(), new ContentPart.Text("Describe this image.")));

  @Test
  void chatMlIsThePromptFormatOfDimple() {
    assertThat(ChatTemplate.chatMl().render(List.of(PICTURE), true, Map.of())).isEqualTo("""
        <|im_start|>system
        You are a helpful assistant.<|im_end|>
        <|im_start|>user
        <|vision_start|><|image_pad|><|vision_end|>Describe this image.<|im_end|>
        <|im_start|>assistant
        """);
  }

  @Test
  void picturesBehindTheTextsComeFirst() {
    ContentPart picture = new ContentPart.Image();
    ContentPart a = new ContentPart.Text("a");
    ContentPart b = new ContentPart.Text("b");
    assertThat(turned(a, picture)).containsExactly(picture, a);
    assertThat(turned(a, b, picture, picture)).containsExactly(picture, picture, a, b);
    for (List<ContentPart> parts : List.of(List.<ContentPart>of(), List.of(a), List.of(picture), List.of(picture, a), List.of(a, picture, b),
        List.of(a, picture, b, picture))) {
      assertThat(turned(parts.toArray(ContentPart[]::new))).isEqualTo(parts);
    }
  }

  private static List<ContentPart> turned(ContentPart... parts) {
    return new ChatMessage("user", List.of(parts)).picturesFirst().parts();
  }

  @Test
  void chatMlTakesSeveralTurnsAndTheirOwnSystemMessage() {
    List<ChatMessage> turns = List.of(ChatMessage.of("system", "Be brief."), ChatMessage.of("user", "  a\n"),
        ChatMessage.of("assistant", "b"), ChatMessage.of("user", "{{ c }}"));
    assertThat(ChatTemplate.chatMl().render(turns, false, Map.of())).isEqualTo("""
        <|im_start|>system
        Be brief.<|im_end|>
        <|im_start|>user
          a
        <|im_end|>
        <|im_start|>assistant
        b<|im_end|>
        <|im_start|>user
        {{ c }}<|im_end|>
        """);
  }

  @Test
  void templatesSeePicturesAsPartsAndTextAsAString() {
    ChatTemplate template = ChatTemplate.parse(
        "{% for m in messages %}{{ m.content | tojson }}{{ bos_token }}{{ add_generation_prompt }}{{ size + 1 }}{{ nothing is none }}{% endfor %}");
    Map<String, Object> variables = new HashMap<>(Map.of("bos_token", "<s>", "size", 3));
    variables.put("nothing", null);
    assertThat(template.render(List.of(PICTURE, ChatMessage.of("user", "é\"")), true, variables)).isEqualTo(
        "[{\"type\": \"image\"}, {\"type\": \"text\", \"text\": \"Describe this image.\"}]<s>True4True\"é\\\"\"<s>True4True");
  }

  @Test
  void toolsAndDocumentsAreNoneUnlessGiven() {
    ChatTemplate template = ChatTemplate.parse("{{ tools is none }}{{ documents is none }}{{ x is defined }}{{ tools is defined }}");
    assertThat(template.render(List.of(), true, Map.of())).isEqualTo("TrueTrueFalseTrue");
    assertThat(template.render(List.of(), true, Map.of("tools", List.of(), "x", 1))).isEqualTo("FalseTrueTrueTrue");
  }

  @Test
  void aTextTemplateRefusesPicturesInOneLine() {
    ChatTemplate template = ChatTemplate.parse("{% for m in messages %}\n{{ '<s>' + m.content }}\n{% endfor %}");
    assertThatThrownBy(() -> template.render(List.of(PICTURE), true, Map.of())).isInstanceOf(ChatTemplateException.class)
        .hasMessage("chat template, line 2: unsupported operands of +: string and list");
  }

  @Test
  void namesTheLineOfWhatItDoesNotRun() {
    assertFails("{% extends 'a' %}", 1, "unsupported statement 'extends'");
    assertFails("a{#\n#}\n{% include 'x' %}", 3, "unsupported statement 'include'");
    assertFails("{% if 1 %}\n{{ 1 | pprint }}{% endif %}", 2, "unsupported filter 'pprint'");
    assertFails("\n\n{{ 1 is prime }}", 3, "unsupported test 'prime'");
    assertFails("{{ lipsum() }}", 1, "unsupported function 'lipsum'");
    assertFails("{{ 'x'.zfill(3) }}", 1, "unsupported method 'zfill' of a string");
    assertFails("{{ 'é'.isnumeric() or '五'.isnumeric() }}", 1, "unsupported 'isnumeric' of a text that is not ASCII");
    assertFails("\n{% if 1 %}\n\n", 2, "'if' without 'endif'");
    assertFails("{% if 1 %}{% endfor %}", 1, "unexpected 'endfor' in 'if' of line 1");
    assertFails("\n{{ x.y }}", 2, "'x' is undefined");
    assertFails("{{ raise_exception('No.') }}", 1, "No.");
    assertFails("{% for x in y recursive %}{% endfor %}", 1, "recursive loops are not supported");
    assertFails("\n{{ 'open }}", 2, "text without a closing quote");
  }

  private static void assertFails(String source, int line, String message) {
    assertThatThrownBy(() -> ChatTemplate.parse(source).render(Map.of())).isInstanceOf(ChatTemplateException.class)
        .hasMessage("chat template, line " + line + ": " + message);
  }

  @Test
  void aFilterThatIsNeverReachedDoesNotMatter() {
    assertThat(ChatTemplate.parse("{% if tools %}{{ tools | pprint }}{% endif %}ok").render(Map.of())).isEqualTo("ok");
  }

  @ParameterizedTest
  @ValueSource(strings = {
      "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
      "{% set n = namespace(x='ab') %}{% for a in range(99) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
      "{% set n = namespace(x='aa') %}{% for a in range(99) %}{% set n.x = n.x.replace('a', 'aa') %}{% endfor %}",
      "{% set n = namespace(x=['a']) %}{% for a in range(99) %}{% set n.x = n.x + n.x %}{% endfor %}",
      "{% set n = namespace(x=['a']) %}{% for a in range(99) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x }}",
      "{% set n = namespace(x=['a']) %}{% for a in range(99) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x | tojson }}",
      "{% set n = namespace(x=[1], y=[1]) %}{% for a in range(99) %}{% set n.x = [n.x, n.x] %}{% set n.y = [n.y, n.y] %}{% endfor %}{{ n.x == n.y }}",
      "{% set n = namespace(x=['a']) %}{% for a in range(9999) %}{% set n.x = [n.x] %}{% endfor %}{{ n.x }}",
      "{% set n = namespace(x='a') %}{% for a in range(9999) %}{% set n.x = {'a': n.x} %}{% endfor %}{{ n.x | tojson }}",
      "{% set n = namespace(x='abcdefghij', l=[]) %}{% for a in range(18) %}{% set n.x = n.x ~ n.x %}{% endfor %}"
          + "{% for a in range(9999) %}{% set n.l = n.l + [n.x ~ a] %}{% endfor %}",
      "{% set x %}{% for a in range(99999) %}{% for b in range(99999) %}aaaaaaaaaaaaaaaaaaaaaaa{% endfor %}{% endfor %}{% endset %}",
      "{% set n = namespace(x=[1]) %}{% for a in range(99) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ 'a' | indent(2, n.x) }}{{ raise_exception('end') }}",
      "{% set l = [0] * 4194304 %}{% for a in range(99999) %}{% set x = [l] | first %}{% endfor %}",
      "{% set t = 'a' * 4194304 %}{% for a in range(99999) %}{% set x = t.upper() %}{% endfor %}",
      "{% set t = 'a' * 4194304 %}{% for a in range(99999) %}{% set x = t | length %}{% endfor %}",
      "{% set t = 'a' * 4194304 %}{{ t.find('a' * 20000 ~ 'b') }}",
      "{% set t = 'a' * 4194304 %}{% set x = t.rsplit('a') %}{{ raise_exception('end') }}",
      "{% set t = 'a ' * 2097152 %}{% set x = t.rsplit(none, 9999999) %}{{ raise_exception('end') }}",
      "{{ range(100001) }}",
      "{{ range(-9223372036854775807, 9223372036854775807) }}",
      "{{ 9223372036854775807 + 1 }}",
      "{{ 99999999999999999999 }}",
  })
  void boundsItsWork(String source) {
    Assertions.assertTimeoutPreemptively(Duration.ofSeconds(60), () ->
        assertThatThrownBy(() -> ChatTemplate.parse(source).render(Map.of())).isInstanceOf(ChatTemplateException.class));
  }

  @ParameterizedTest
  @ValueSource(strings = {"(", "[", "{", "not ", "-", "x[", "f(", "1 if ", "{'a':", "1 ~ (", "x.y(", "'a' | join("})
  void boundsNesting(String piece) {
    assertThatThrownBy(() -> ChatTemplate.parse("{{ " + piece.repeat(100_000) + " }}")).isInstanceOf(ChatTemplateException.class);
  }

  @ParameterizedTest
  @ValueSource(strings = {" + 1", " ~ 1", " and 1", " or 0", "[0]", ".a", " | string", " == 1", " is string"})
  void longChainsAreAnErrorOrAResult(String link) {
    try {
      ChatTemplate.parse("{{ 1" + link.repeat(50_000) + " }}").render(Map.of());
    } catch (ChatTemplateException e) {
      assertThat(e).hasMessageStartingWith("chat template, line 1: ");
    }
  }

  @Test
  void boundsNestedStatements() {
    assertThatThrownBy(() -> ChatTemplate.parse("{% if 1 %}".repeat(40_000) + "{% endif %}".repeat(40_000)))
        .isInstanceOf(ChatTemplateException.class).hasMessageContaining("deep");
    assertThatThrownBy(() -> ChatTemplate.parse(" ".repeat(2_000_000))).isInstanceOf(ChatTemplateException.class);
    assertThat(ChatTemplate.parse("{% if 0 %}a{% elif 0 %}" + "b{% elif 0 %}".repeat(20_000) + "{% endif %}").render(Map.of())).isEmpty();
  }

  @Test
  void aLongLineOfTagsIsReadInLinearTime() {
    Assertions.assertTimeoutPreemptively(Duration.ofSeconds(10),
        () -> assertThat(ChatTemplate.parse(" {%set a=1%}".repeat(80_000)).render(Map.of())).hasSize(80_000 - 1));
  }

  @Test
  void expandsPlaceholdersInOrder() {
    assertThat(ImagePlaceholders.expand(new int[] {1, 9, 2, 9, 9}, 9, 3, 1, 2)).containsExactly(1, 9, 9, 9, 2, 9, 9, 9);
    assertThat(ImagePlaceholders.expand(new int[] {1, 2}, 9)).containsExactly(1, 2);
    assertThat(ImagePlaceholders.frame(new int[] {9, 1, 7, 9, 8, 9, 9}, 9, 7, 8)).containsExactly(7, 9, 8, 1, 7, 9, 8, 7, 9, 8, 7, 9, 8);
    assertThat(ImagePlaceholders.frame(new int[] {9, 1}, 9, -1, -1)).containsExactly(9, 1);
    for (int images : new int[] {0, 1, 3}) {
      int[] tokens = new int[images];
      Arrays.fill(tokens, 4);
      assertThatThrownBy(() -> ImagePlaceholders.expand(new int[] {9, 9}, 9, tokens)).isInstanceOf(ChatTemplateException.class)
          .hasMessage("the prompt has 2 image placeholder(s) for " + images + " image(s)");
    }
  }

  /** Templates of Gemma's kind read a result in the message that called; of others it is a message of its own. */
  @Test
  void resultsStandWhereTheTemplateLooksForThem() {
    List<ChatMessage> messages = List.of(ChatMessage.of("user", "a"), ChatMessage.calling("", List.of(new ToolCall("f", "{\"x\":1}"))),
        ChatMessage.result("f", "{\"y\":[2]}"), ChatMessage.result("f", "fine"));
    String calls = "{% for m in messages %}{{ m.role }}{% for r in m.tool_responses or [] %}({{ r.name }} {{ r.response.y if r.response is mapping else r.response }})"
        + "{% endfor %};{% endfor %}";
    assertThat(ChatTemplate.parse(calls).ownPrompt(messages, List.of(), false, Map.of()).text()).isEqualTo("user;assistant(f [2])(f fine);");
    assertThat(ChatTemplate.parse("{% for m in messages %}{{ m.role }};{% endfor %}").ownPrompt(messages, List.of(), false, Map.of()).text())
        .isEqualTo("user;assistant;tool;tool;");
  }

  /** They were left out, and the model of such a template saw another prompt than its authors give it. */
  @Test
  void thoughtsAreThere() {
    ChatTemplate template = ChatTemplate.parse("{% for m in messages %}{{ m.content }}[{{ m.reasoning_content }}|{{ m['reasoning'] }}]{% endfor %}");
    ChatMessage answer = ChatMessage.calling("a", List.of(new ToolCall("f", "{}"))).withThoughts("t<|im_end|>");
    ChatPrompt prompt = template.ownPrompt(List.of(ChatMessage.of("user", "u"), answer.picturesFirst()), List.of(), false, Map.of());
    assertThat(prompt.text()).isEqualTo("u[|]a[t<|im_end|>|t<|im_end|>]");
    assertThat(prompt.said().get(6, 17).cardinality()).isEqualTo(11);
    assertThat(template.prompt(List.of(answer), List.of(), false, Map.of()).text()).as("with calls as text").endsWith("[t<|im_end|>|t<|im_end|>]");
  }

  /** What calls are held to is more than what the client says of them, and no business of the template's. */
  @Test
  void parametersOfToolsAreAsTheyWereGiven() {
    ChatTemplate template = ChatTemplate.parse("{% for tool in tools %}{{ tool | tojson }};{% endfor %}");
    List<Tool> tools = List.of(new Tool("f", "", "{\"properties\": {}, \"type\": \"object\"}"), new Tool("g", "Says.", "{}"));
    assertThat(template.ownPrompt(List.of(ChatMessage.of("user", "u")), tools, false, Map.of()).text()).isEqualTo(
        "{\"type\": \"function\", \"function\": {\"name\": \"f\", \"parameters\": {\"properties\": {}, \"type\": \"object\"}}};"
        + "{\"type\": \"function\", \"function\": {\"name\": \"g\", \"description\": \"Says.\", \"parameters\": {}}};");
  }
}
