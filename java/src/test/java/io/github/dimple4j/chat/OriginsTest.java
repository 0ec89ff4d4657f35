package io.github.dimple4j.chat;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.BitSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What was said is told from what is the template's, through all that a template does with it. */
class OriginsTest {
  /** Greek is said, Latin is the template's. */
  private static final List<ChatMessage> MESSAGES = List.of(ChatMessage.of("system", " \u03b1\u03b2 "), ChatMessage.of("user", "\u03b3 \u03b4\n\u03b5"),
      ChatMessage.of("assistant", "\u03b6"), new ChatMessage("user", List.of(new ContentPart.Text("\u03b7"), new ContentPart.Image(),
          new ContentPart.Text("\u03b8 "), new ContentPart.Markup("markup"))));

  private static final List<ChatMessage> TEXTS = MESSAGES.subList(0, 3);

  private static ChatPrompt prompt(String template, List<ChatMessage> messages) {
    return ChatTemplate.parse(template).prompt(messages, true, Map.of("bos_token", "<s>"));
  }

  private static boolean isGreek(char c) {
    return Character.toLowerCase(c) >= '\u03b1' && Character.toLowerCase(c) <= '\u03c9';
  }

  /** Every character that was said is marked, and no letter or bracket of the template. */
  private static void assertExact(String template, List<ChatMessage> messages) {
    ChatPrompt prompt = prompt(template, messages);
    assertThat(prompt.text().chars().anyMatch(c -> isGreek((char) c))).as(prompt.text()).isTrue();
    for (int i = 0; i < prompt.text().length(); i++) {
      char c = prompt.text().charAt(i);
      if (isGreek(c) || Character.isLetter(c) || "<|>".indexOf(c) >= 0) {
        assertThat(prompt.said().get(i)).as("%s at %d of %s", c, i, prompt.text()).isEqualTo(isGreek(c));
      }
    }
    assertThat(prompt.said().length()).isLessThanOrEqualTo(prompt.text().length());
  }

  @ParameterizedTest
  @ValueSource(strings = {
      "{% for m in messages %}<|a|>{{ m.role }}{{ m.content }}{{ bos_token }}{% endfor %}",
      "{% for m in messages %}{{ '<|a|>' + m.role + '\n' + m.content + '<|b|>' + '\n' }}{% endfor %}",
      "{% for m in messages %}{% set content = '<|a|>' + m['role'] + m['content'] | trim + '<|b|>' %}{{ bos_token + content }}{% endfor %}",
      "{% for m in messages %}{{ ('<|a|>' ~ m.content.strip() ~ m.content.rstrip() ~ m.content.lstrip()) | trim }}{% endfor %}",
      "{% for m in messages %}{{ ('<|a|> ' ~ m.content)[::-1] }}{{ (m.content ~ '<|b|>')[-4:] }}{{ ('<x>' ~ m.content)[1:6:2] }}{% endfor %}",
      "{% for m in messages %}{{ (' <|a|>' ~ m.content) | replace('a', 'bcd') | upper | lower | capitalize }}{% endfor %}",
      "{% for m in messages %}{{ ('<|a|>' ~ m.content).replace('<', m.content) }}{% endfor %}",
      "{% for m in messages %}{% for p in ('<|a|>' ~ m.content ~ '::<|b|>').split(':') %}{{ p }}{% endfor %}{% endfor %}",
      "{% for m in messages %}{{ ('<|a|> ' ~ m.content ~ ' <|b|>').split() | join('<c>') }}{{ '<d>'.join([m.role, m.content]) }}{% endfor %}",
      "{% for m in messages %}{% set x %}<|a|>{{ m.content }}<|b|>{% endset %}{{ x | trim }}{% endfor %}",
      "{% set ns = namespace(x='<|a|>') %}{% for m in messages %}{% set ns.x = ns.x + m.content %}{% endfor %}{{ ns.x }}",
      "{% set system = messages[0].content if messages[0].role == 'system' else '' %}{% for m in messages[1:] %}<|a|>{{ system ~ (m.content or 'x') }}"
          + "{% endfor %}{{ messages | length }}{{ [1, 'a', bos_token] }}{{ [bos_token] | tojson }}",
      "{% macro turn(m) %}<|a|>{{ m.content | trim }}{{ caller('<|b|>') if caller is defined }}{% endmacro %}{% for m in messages %}{{ turn(m) }}"
          + "{% call(x) turn(m) %}{{ x }}{{ m.content }}<|c|>{% endcall %}{% endfor %}",
      "{% for m in messages | selectattr('content') %}{% filter trim | upper %} <|a|>{{ m.content }}{% endfilter %}{% endfor %}",
      "{% for m in messages %}{% set x | trim %} <|a|>:{{ m.content }}{% endset %}{{ x.split(':', 1) | first }}{{ x.split(':', 1) | last }}{% endfor %}",
      "{% for c in messages | map(attribute='content') | sort %}{{ loop.cycle('<|a|>', '<|b|>') }}{{ c }}{% generation %}{{ c }}{% endgeneration %}{% endfor %}",
      "{% for m in messages | reverse | list %}{{ (m | items | list)[1][1] }}{{ m.get('content', 'none') | default('x') | string }}{% endfor %}<|a|>",
  })
  void marksWhatWasSaid(String template) {
    assertExact(template, TEXTS);
  }

  @Test
  void marksTheTextsBetweenPictures() {
    String template = "{% for m in messages %}<|a|>{% if m.content is string %}{{ m.content }}{% else %}{% for p in m.content %}"
        + "{{ p.text if p.type == 'text' else '<|image|>' }}{% endfor %}{% endif %}{% endfor %}";
    assertExact(template, MESSAGES);
    assertThat(prompt(template, MESSAGES).text()).contains("markup");
  }

  /** Where it is not worked out what becomes of a text, all of the new one counts as said. */
  @ParameterizedTest
  @ValueSource(strings = {
      "{{ messages | tojson }}", "{{ messages }}", "{% for m in messages %}{% for c in m.content %}{{ c }}{% endfor %}{% endfor %}",
      "{% for m in messages %}{{ m.content | reverse }}{{ m.content | first }}{{ m.content[0] }}{{ m.content | list | last }}{% endfor %}",
      "{% for m in messages %}{{ (m.content | list) | join }}{{ (m.content ~ '<|a|>') | tojson }}{% endfor %}",
      "{% for m in messages %}{{ ('a' ~ m.content).replace(new='bb', old='a') }}{% endfor %}",
      "{{ messages | map(attribute='content') | map('upper') | join('<|a|>') }}{{ messages | map(attribute='content') | join('<|b|>') }}",
      "{% for m in messages %}{{ ('<a>' ~ m.content).partition('>') | join }}{{ m.content.splitlines() | join('<|a|>') }}{{ m.content.rsplit() }}{% endfor %}",
      "{% for m in messages %}{{ ('<' | safe) + m.content }}{{ m.content | e }}{{ m.content | safe | upper }}{{ m.content | title | indent }}{% endfor %}",
      "{% for m in messages %}{% set f = m.content.upper %}{{ f() }}{% for v in m.values() %}{{ v.title() }}{% endfor %}{% endfor %}",
      "{% for m in messages %}{{ m.items() }}{{ m | dictsort }}{{ m.content * 2 }}{{ [m.content] | unique | list }}{{ [m.content] | max }}{% endfor %}",
      "{% macro f() %}{{ varargs }}{{ kwargs }}{{ varargs | first }}{% endmacro %}{% for m in messages %}{{ f(m.content, x=m.content) }}{{ f(*[m.content]) }}{% endfor %}",
      "{% for m in messages %}{% set j = joiner(m.content) %}{{ j() }}{{ j() }}{{ dict(a=m.content).a }}{{ [[m.content]] | sum(start=[]) }}{% endfor %}",
  })
  void nothingThatWasSaidIsTakenForTheTemplates(String template) {
    ChatPrompt prompt = prompt(template, TEXTS);
    assertThat(prompt.text().chars().anyMatch(c -> isGreek((char) c))).isTrue();
    for (int i = 0; i < prompt.text().length(); i++) {
      assertThat(prompt.said().get(i) || !isGreek(prompt.text().charAt(i))).as("%d of %s", i, prompt.text()).isTrue();
    }
  }

  /** One Java object may be somebody's text and a word of the template's at once. */
  @Test
  void theSameObjectMayBeSaidAndBeTheTemplates() {
    String role = "user";
    ChatPrompt prompt = ChatTemplate.parse("{{ messages[0].role }}{{ messages[0].content }}{{ x }}")
        .prompt(List.of(ChatMessage.of(role, role)), true, Map.of("x", role));
    BitSet expected = new BitSet();
    expected.set(4, 8);
    assertThat(prompt.text()).isEqualTo("useruseruser");
    assertThat(prompt.said()).isEqualTo(expected);
  }

  /** Of the arguments of calls nothing else may be said. */
  @ParameterizedTest
  @ValueSource(strings = {"{{ a | tojson }}", "{{ a }}", "{{ '<|a|>' ~ a }}", "{{ a | string }}", "{{ a | join(':') }}", "{{ a | map('upper') | join }}",
      "{{ a | list | tojson }}", "{{ a.items() | list }}", "{{ [a] | tojson }}", "{% for key in a %}{{ key }}{% endfor %}",
      "{% for key, value in a | items %}{{ key ~ value }}{% endfor %}", "{% set ns = namespace(x=a) %}{{ ns.x | tojson | replace('1', '2') }}"})
  void namesInMappingsAreSaid(String template) {
    ChatPrompt prompt = ChatTemplate.parse("{% set a = messages[0].tool_calls[0].function.arguments %}" + template)
        .ownPrompt(List.of(ChatMessage.calling("", List.of(new ToolCall("f", "{\"\u03b1\": 1}")))), List.of(), false, Map.of());
    int at = prompt.text().toLowerCase(Locale.ROOT).indexOf('\u03b1');
    assertThat(at).isNotNegative();
    assertThat(prompt.said().get(at)).as(prompt.text()).isTrue();
  }
}
