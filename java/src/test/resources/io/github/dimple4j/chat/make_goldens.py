"""Writes templates.txt beside this script: templates and what the real Jinja (3.1) makes of them.

    python3 make_goldens.py

One case per line: the template, a tab, its output, with backslash escapes; an output of "!" means that Jinja raises an error.  The
environment is the one in which Hugging Face runs chat templates: trim_blocks, lstrip_blocks, loop controls, a plain JSON filter, the
statement generation, and strftime_now, which tells a fixed time here.
"""
import datetime
import itertools
import json
import os

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

CONVERSATIONS = [
    "[]",
    "[{'role': 'user', 'content': 'Hi'}]",
    "[{'role': 'system', 'content': '  Be brief.\\n'}, {'role': 'user', 'content': 'Größe? 😀'}]",
    "[{'role': 'user', 'content': 'a'}, {'role': 'assistant', 'content': 'b'}, {'role': 'user', 'content': ' c '}]",
    "[{'role': 'user', 'content': [{'type': 'image'}, {'type': 'text', 'text': 'What is it?'}, {'type': 'image', 'image': 'x.png'}]}]",
    "[{'role': 'assistant', 'content': none, 'tool_calls': [{'function': {'name': 'f', 'arguments': {'x': [1, 2.5, true, none, 'é\\n\"']}}}]},"
    " {'role': 'tool', 'content': '42'}, {'role': 'tool', 'content': '43'}]",
]

# Whole conversations written in made-up formats: between them they use what the templates of the models that this engine runs use.
TEMPLATES = {
    # Lines of their own for every statement; parts of a message, counted and collected in a namespace.
    "album": """\
{% set album = namespace(plates=0, names=[]) %}
Minutes of {{ messages | length }} turn{{ 's' if messages | length != 1 }}
{% for turn in messages %}
{{ loop.index }}. {{ turn['role'] | capitalize }} says
{% if turn.content is not string %}
{% for piece in turn.content or [] %}
{% if piece.type != 'image' %}
  {{ piece.get('text', '(silence)') }}
{% else %}
{% set album.plates = album.plates + 1 %}
{% set album.names = album.names + [piece['image'] | default('unnamed')] %}
  [plate {{ album.plates if number_pictures else '?' }}]
{% endif %}
{% endfor %}
{% elif loop.first and 'brief' in turn['content'] %}
  (house rule) {{ turn['content'] }}
{% else %}
  {{ turn['content'] }}
{% endif %}
{% endfor %}
{{ album.plates }} plates: {{ album.names | join(' & ') }}
{{ '> ' if add_generation_prompt }}
""",
    # Signs on every tag, so that only what is written comes out; calls of tools, their results by neighbours, the tools last.
    "ledger": """\
{%- set count = namespace(asked=0, answered=0) %}
{%- for entry in messages %}
  {%- if entry.tool_calls is defined and entry.tool_calls %}
    {%- for call in entry.tool_calls %}
      {%- set call = call.function if call.function is mapping else call %}
      {%- set count.asked = count.asked + 1 %}
      {{- '(' ~ count.asked ~ ') ' ~ call.name ~ ' <- ' }}
      {%- for key, argument in call.arguments.items() %}
        {{- key + ' = ' }}{{ argument | tojson }}{{ '.\\n' if loop.last else '; ' -}}
      {%- endfor %}
    {%- endfor %}
  {%- elif entry.role == 'tool' %}
    {%- set count.answered = count.answered + 1 %}
    {%- if loop.first or messages[loop.index0 - 1]['role'] != entry.role %}
      {{- 'Answers' }}
    {%- endif %}
    {{- ' ' ~ count.answered ~ '=' }}
    {{- entry.content | tojson }}
    {%- if loop.nextitem is not defined or (loop.nextitem.role != 'tool') %}
      {{- '\\n' }}
    {%- endif %}
  {%- else %}
    {{- entry.role[0] | upper }}{{ ': ' + entry.content + '\\n' }}
  {%- endif %}
{%- else %}
  {{- 'An empty ledger.\\n' }}
{%- endfor %}
{%- for tool in tools or [] %}
  {{- 'May use ' + tool['name'] + ' with ' + (tool.parameters | tojson) + '\\n' }}
{%- endfor %}
{{- count.asked - count.answered }} open
{%- if add_generation_prompt %}
  {{- ', next: ' }}
{%- endif %}
""",
    # One line without an end; a variable that is set again on the way, and is another one in the next round.
    "letters": """\
{% set post = messages %}{% for letter in post %}{% set text = '"' + letter['content'] | trim + '"' %}\
{% if loop.index0 == 0 %}{% set text = bos ~ text %}\
{% else %}{{ '~~' }}{% endif %}{% if loop.last %}{% set text = text + '!' %}{% endif %}To {{ letter['role'] ~ ':\\n\\n' + text }}{% endfor %}\
{{ '\\n\\nTo whom?' if add_generation_prompt else '' }}""",
    # A search from the end that leaves its loop; then captured text, and a loop over some of the messages.
    "blocks": """\
{%- set ns = namespace(last=-1, longest='') %}
{%- for candidate in messages[::-1] if candidate.content is string %}
    {%- if candidate.content.startswith('  ') or not candidate.role.endswith('r') %}
        {%- continue %}
    {%- endif %}
    {%- if candidate.content | length > ns.longest | length %}
        {%- set ns.longest = candidate.content.split('?')[0] %}
        {%- set ns.last = loop.revindex0 %}
    {%- endif %}
    {%- if loop.index > 2 or '?' in candidate.content %}
        {%- break %}
    {%- endif %}
{%- endfor %}
{%- for m in messages if m.role != 'tool' %}
  {% set shout %}
    [{{ m.role | upper }}]
  {% endset %}
  {{ shout.strip() }}{{ loop.index }}/{{ loop.length }} {{ ns.longest }} {{ ns.last ~ ':' ~ loop.revindex }}
{% else %}
  nobody
{% endfor %}
""",
}

# One expression each.
EXPRESSIONS = r"""
1 + 2 * 3 - -4
7 // 2 ~ 7 % 3 ~ -7 // 2 ~ -7 % 3
7 / 2
1 / 4 + 0.5
1e0
1.5e-3
2E+2
1e
2.50
0.1 + 0.2
10000000000000000.0 * 10
1234567.0 * 100000000
0.00001 * 1
3.0 // 2
true and false or 'x'
none or 0 or '' or [] or 'last'
1 and 2
not 1
not none
1 < 2 < 3
1 < 3 < 2
'a' < 'b'
1 == 1.0
1 == '1'
true == 1
[1, 'a'] == [1, 'a']
{'a': 1} == {'a': 1.0}
none == none
nothing == nowhere
nothing == none
1 in [1, 2]
'ell' in 'hello'
'x' not in {'x': 1}
'y' not in {'x': 1}
3 not in (1, 2)
1 in nothing
'a' ~ 1 ~ 2.5 ~ true ~ none ~ [1, 'x'] ~ nothing
'a' + 'b' 'c'
[1] + [2, 3]
'x' if true else 'y'
'x' if false else 'y'
'x' if false
'a' if 0 else 'b' if 0 else 'c'
[1, 2.0, 'it''s', "it's", 'say "x"', true, none]
['tab\t', 'new\nline', 'back\\slash', 'é', '\x01', '\u00e9', '\'']
{'a': [1, {'b': none}], 'c': (1,), 'd': ()}
(1, 2, 'x')
1, 2
[1, 2, 3][0]
[1, 2, 3][-1]
[1, 2, 3][5]
[1, 2, 3][1:]
[1, 2, 3][:-1]
[1, 2, 3][::-1]
[1, 2, 3, 4, 5][1:4:2]
[1, 2, 3, 4, 5][-2:]
[1, 2, 3, 4, 5][10:]
[1, 2, 3, 4, 5][::-2]
'hello'[1:3]
'hello'[::-1]
'hello'[0]
'hello'[-1]
(1, 2, 3)[1:]
{'a': 1}['a']
{'a': 1}.a
{'a': 1}.b
{'a': 1}['b'] is defined
{'a': {'b': 'deep'}}.a.b
{'items': 3}['items']
{'a': 1, 'b': 2}.items() | list
{'a': 1, 'b': 2}.keys() | list
{'a': 1, 'b': 2}.values() | list
{'a': 1}.get('a')
{'a': 1}.get('b')
{'a': 1}.get('b', 'fallback')
'  x y  ' | trim
'  x  '.strip() ~ '|'
'xxaxx'.strip('x')
'\n\nabc\n'.lstrip('\n') ~ '|'
'\n\nabc\n'.rstrip('\n') ~ '|'
'a,b,,c'.split(',')
' a  b c '.split()
'</t>x</t>y'.split('</t>')[-1]
'abc'.startswith('ab') ~ 'abc'.endswith('bc') ~ 'abc'.startswith('b')
'abc'.startswith(('x', 'a'))
'aXb'.upper() ~ 'aXb'.lower() ~ 'straße'.upper()
'hELLO wORLD'.capitalize()
'hELLO wORLD' | capitalize
'banana'.replace('an', 'AN')
'banana' | replace('a', 'o')
', '.join(['a', 'b'])
['a', 1, 2.5] | join
['a', 1, 2.5] | join(', ')
[1, 2, 3] | length
'größe😀' | length
{'a': 1} | length
nothing | length
[1, 2] | first
[1, 2] | last
[] | first
'abc' | first
'abc' | list
{'b': 1, 'a': 2} | list
[1, 2, 3] | reverse | list
'abc' | reverse
nothing | default('d')
nothing | d
'' | default('d')
'' | default('d', true)
none | default('d')
'42' | int + 1
'x' | int
'x' | int(7)
3.9 | int
true | int
42 | string + '!'
'a' | upper | lower ~ 'B' | lower
{'a': 1, 'b': 2} | items | list
'<a&b>' | safe
{'b': [1, 2.0, true, none, 'é"\\\n\u0001/<>&'], 'a': {}} | tojson
[] | tojson
{} | tojson(indent=2)
{'a': [1, {'b': []}], 'c': {'d': 1}} | tojson(indent=4)
'text' | tojson
1.5 | tojson
nothing is defined
nothing is undefined
nothing is not defined
1 is defined and 2 is defined
'x' is string
1 is string
1 is integer
true is integer
1.0 is float
1 is number
'1' is number
none is none
nothing is none
{} is mapping
[] is mapping
[] is iterable
1 is iterable
'a' is sequence
{} is sequence
1 is sequence
true is true
1 is true
false is false
true is boolean
3 is odd
4 is even
9 is divisibleby 3
9 is divisibleby(2)
1 is eq 1
1 is equalto(2)
1 is ne 2
1 is in [1, 2]
'x' is in 'xyz'
not 'x' is string
1 is not string
range(4) | list
range(2, 5) | list
range(5, 0, -2) | list
range(0) | list
nothing
nothing.attribute
nothing['key']
none.attribute
'text'.attribute
1.0.attribute
nothing + 'x'
'x' + 1
1 + none
[1] + 'x'
1 < 'x'
1 // 0
1 % 0
1 / 0
1 in 2
-'x'
[1, 2] | join(1)
5 | length
5 | first
nothing()
nothing.method()
'x'.nomethod()
'x' | nofilter
'x' is notest
raise_exception('refused')
1 +
(1
[1, 2
{'a' 1}
'open
1 2
a b
'a' | 
.x
x[
x[]
@
not
a is
f(1 2)
messages
2 ** 3 ** 2
2 ** -1
2 ** 0.5
-2 ** 2
+3 - +1
'ab' * 3 ~ 2 * 'c'
[1, 2] * 2
(1,) * 2
[1] * -1
'a' < 'B'
'😀' > '～'
[1, 2] < [1, 3]
[1, 'a'] < [2, 1]
(1,) < (1, 0)
{1: 'a', 'b': 2}
{1: 'a'}[1] ~ {1: 'a'}.get(1)
{1: 'a', 'b': none} | tojson
{'a': 1, 'b': 2}.items()
{'a': 1}.keys() ~ {'a': 'x'}.values()
{'a': 1}.items() | length
{}.items() is sequence ~ {}.items() is iterable ~ {}.items() is mapping
{'a': 1}.items()[0]
{'a': 1}.items is defined
{'a': 1}['items'] is defined
{'items': 1}.items is callable
{'items': 1}['items']
{'a': 1}.pop is defined
'x'.upper is callable
'x'.nothing is defined
[1].append is defined
range(3)
range(2, 9, 3)
range(3) | length ~ range(3)[1] ~ range(3)[-1] ~ range(3)[7]
range(3) == [0, 1, 2]
range(3) == range(0, 3)
range(0) is defined and not range(0)
range is callable
range(*[1, 3]) | list
dict(a=1, b=2)
dict({'a': 1}, b=2)
namespace({'a': 1}, b=2).b
joiner() is callable
nothing is callable
'%Y' is callable
strftime_now('%Y-%m-%d')
strftime_now('%d %b %Y, %A %B %-d %j %H:%M:%S %I %p %y %% %e %a')
strftime_now('%F %T %D %R %u %w')
strftime_now('%e|%-e|%-d')
'hELLO wORLD-x (y' | title
"they're bill's".title()
'hELLO 3rd'.title()
'a\nb\n\nc' | indent
'a\nb\n\nc\n' | indent(2) ~ '|'
'a\nb' | indent(2, true)
'a\n\nb' | indent(width=3, first=true, blank=true)
'a\nb' | indent('> ')
'' | indent(first=true) ~ '|'
' 1 2  3 4 '.split(none, 2)
' 1 2  3 4 '.split(maxsplit=0)
'a,b,,c'.split(',', 2)
'a,b,,c'.split(',', 0)
'a,b,,c'.rsplit(',', 1)
'a,b,,c'.rsplit(',')
' 1 2  3 4 '.rsplit(none, 1)
'aXXXb'.rsplit('XX')
'banana'.replace('a', 'o', 2)
'banana' | replace('a', 'o', 1)
'banana'.count('an') ~ 'banana'.find('n') ~ 'banana'.rfind('n') ~ 'banana'.find('z') ~ 'banana'.index('b')
'banana'.index('z')
'a=b=c'.partition('=') ~ 'a=b=c'.rpartition('=') ~ 'abc'.partition('=')
'prefix-x'.removeprefix('prefix-') ~ 'x.txt'.removesuffix('.txt')
'a\nb\r\nc\n'.splitlines()
'12'.isdigit() ~ 'a1'.isalnum() ~ 'ab'.isalpha() ~ ' '.isspace() ~ ''.isdigit() ~ 'AB'.isupper() ~ 'a1'.islower()
[1, 2, 1].count(1) ~ [1, 2].index(2)
[1, 2].index(3)
['b', 'A', 'c'] | sort
['b', 'A', 'c'] | sort(case_sensitive=true)
['b', 'A', 'c'] | sort(reverse=true)
[3, 1, 2] | sort
[3, 'a'] | sort
[none, none] | sort
[{'a': 2, 'b': 1}, {'a': 1, 'b': 2}, {'a': 2, 'b': 0}] | sort(attribute='a')
[{'a': 2, 'b': 1}, {'a': 1, 'b': 2}, {'a': 2, 'b': 0}] | sort(attribute='a,b')
[{'a': {'b': 2}}, {'a': {'b': 1}}] | sort(attribute='a.b')
{'b': 1, 'A': 2} | dictsort
{'b': 1, 'A': 2} | dictsort(true)
{'b': 1, 'A': 2} | dictsort(by='value')
{'b': 1, 'A': 2} | dictsort(reverse=true)
['a', 'B', 'b', 'A'] | unique | list
['a', 'B', 'b', 'A'] | unique(true) | list
[{'x': 1}, {'x': 1}, {'x': 2}] | unique(attribute='x') | list
[3, 1, 2] | min ~ [3, 1, 2] | max
['b', 'A'] | min
[] | max
-0.0 ~ -0.4 | round
[1, 2][true] ~ 'ab'[true] ~ {1: 'a'}[true] ~ {1: 'a'}[1.0]
'é😀' | replace('', '-')
nothing | int
nothing | float(1)
[] in {'a': 1}
range(3).copy()
2.5 ** 1e20
['a'] | sum(start='')
[] * 3
'' * 3
-1 | tojson(indent=-1) ~ [1] | tojson(indent=-1)
'straße ß'.capitalize() ~ 'ß' | capitalize ~ 'ßx' | title
'a\nb' | indent(-3)
[{'x': 3}, {'x': 1}] | min(attribute='x')
none | join('-', attribute='x')
nothing | join('-', attribute='x')
007
00
[1, 2].00
00.5
[1, 2.5] | sum
[{'x': 3}, {'x': 1}] | sum(attribute='x')
[[1], [2]] | sum(start=[])
[0, 1, '', 'a', none, nothing] | select | list
[0, 1, '', 'a'] | reject | list
[1, 2, 3, 4] | select('odd') | list
[1, 2, 3, 4] | reject('divisibleby', 2) | list
[1, 2, 3, 4] | select('gt', 2) | list
[1, 2, 3, 4] | select('>=', 2) | list
['a', 1] | select('string') | list
[{'r': 'x', 'n': 1}, {'r': 'y', 'n': 2}, {'n': 3}] | selectattr('r', 'equalto', 'x') | list
[{'r': 'x', 'n': 1}, {'r': 'y', 'n': 2}, {'n': 3}] | selectattr('r', 'defined') | map(attribute='n') | list
[{'r': 'x', 'n': 1}, {'r': 'y', 'n': 2}, {'n': 3}] | rejectattr('r') | list
[{'r': 'x'}, {'r': 'y'}] | selectattr('r', 'in', ['x', 'z']) | list
[{'a': {'b': 1}}, {'a': {'b': 0}}] | selectattr('a.b') | list
[{'a': [5, 6]}] | map(attribute='a.1') | list
none | selectattr('x') | list
none | map('upper') | list
5 | select('odd') | list
['a', 'b'] | map('upper') | list
[' a ', 'b'] | map('trim') | join('|')
['a', 'b'] | map('replace', 'a', 'c') | join
[{'a': 1}, {}] | map(attribute='a', default='d') | list
[{'a': 1}, {'a': 2}] | join(', ', attribute='a')
['a'] | map('nofilter') | list
['a'] | select('notest') | list
[1] | map | list
'yes' if [] | select else 'no'
[1] | select | length
([1, 2] | select)[0]
[1, 2] | select | first
[1, 2] | select | last
[1, 2] | map('string') | reverse | list
[1, 2] | reverse is sequence
'yes' if [] | reverse else 'no'
[1, 2] | select | tojson
[1] | select is iterable
{'a': 1} | items is iterable
5 | items | list
nothing | items | list
'3.7' | int
'1e3' | int
'0x1f' | int
'11' | int(base=2)
'-7' | int
'  8 ' | int
'1_000' | int
none | int(5)
[] | int
'2.5' | float
'x' | float
'x' | float(1)
3 | float
none | float
-3 | abs ~ -2.5 | abs
'x' | abs
2.5 | round ~ 3.5 | round ~ 2.675 | round(2) ~ 7 | round
2.1 | round(0, 'ceil') ~ 2.19 | round(1, 'floor')
1.25 | round(1)
'AB' is upper ~ 'ab' is lower ~ 'a' is upper
3 is gt 2 ~ 3 is lt(2) ~ 3 is ge 3 ~ 3 is le 2
true is sameas true ~ none is sameas none ~ 1 is sameas true
'a' is in 'abc' and 3 is not in [1]
'<a>' | safe + '<b>'
'<b>' + '<a>' | safe
'<a>' | safe ~ '<b>'
'<a>' | safe | upper + "'\"&"
'<a>' | e
'<a>' | escape | string + '&'
('<a>' | safe) == '<a>'
'<' | safe is string ~ '<' | safe is escaped
['<' | safe] | tojson
'a' | safe | length
{'b': 1, 'a': [1, 2]} | tojson(sort_keys=true)
{'b': 1, 'a': [1, 2]} | tojson(separators=(',', ':'))
{'b': 1, 'a': [1, 2]} | tojson(indent=2, separators=(',', ': '))
'é😀\u007f' | tojson(ensure_ascii=true)
{'a': range(2)} | tojson
{'a': {}.items()} | tojson
(1, 2) | tojson
raise_exception is callable and namespace is callable
loop is defined
'a'.b.c
[].x is defined
1.x is defined
'😁a😀'.strip('😀') ~ '😁a😀' | trim('😁😀')
'\u00a0x\u3000'.strip() ~ '|'
['\u2003', '\u200b', '\ue000', '\u2028', '\U0001f600', '\U000e0001', '\xa0']
'a\u00a0b\u3000c\x85d' | title
'ŉ ß ﬁ ǆ'.title() ~ 'ŉA'.capitalize()
'ΟΔΟΣ ΑΣ.Β ΑΣ’ Α-Σ aΣ'.title() ~ 'ΑΣ'.capitalize() ~ 'ΣΑΣ' | capitalize ~ 'Α-Σ ΑΣ’Β Α8Σ ºΣ' | lower ~ 'Α-ΑΣ' | title
'ǲa ᾨa ᾲ თb'.title() ~ 'ǲ'.capitalize() ~ 'ᾲA' | capitalize ~ 'თ' | capitalize
'٣٤' | int ~ '\u00a07' | int ~ '1_000.5' | int
'٣.٥' | float ~ '1_000.5' | float ~ '1_0e0_1' | float
9007199254740993 / 7 ~ ' ' ~ 9007199254740993 / -3 ~ ' ' ~ 7 / 9223372036854775807
5.5 % 0.1 ~ ' ' ~ 1e16 % 0.3 ~ ' ' ~ -1.0 % 3 ~ ' ' ~ 1.0 % -0.1 ~ ' ' ~ -4.0 % 2.0 ~ ' ' ~ 1 % 0.1
1.0 // 0.1 ~ ' ' ~ 5.5 // 0.1 ~ ' ' ~ -0.3 // 0.1 ~ ' ' ~ 1e16 // 0.3 ~ ' ' ~ 0.0 // -3
'1__0' | float ~ '_1' | int ~ '1_' | int
'x' | upper(1)
'x' | upper(y=1)
'x' | trim(char='x')
'x' | trim('x', 1)
'x' | trim('x', chars='x')
'x' | replace('x')
'x' | replace(old='x', new='y')
'x' | replace('x', 'y', count=1)
'x' | safe(1)
'x' | e(none)
[1] | length(1)
[1] | list(2)
[1] | reverse(1)
[1] | join(sep=',')
[1] | join(d=',')
nothing | default(value='x')
nothing | default(default_value='x')
'x' | default('a', true, 1)
[1] | tojson(width=2)
[1] | tojson(false, 2)
['x'] | map('upper', 1) | list
['x'] | map('replace', 'x') | list
[1] | select('eq') | list
[1] | select('eq', other=1) | list
[1] | select('divisibleby', num=1) | list
1 is defined(2)
1 is odd(2)
1 is divisibleby
1 is divisibleby(num=1)
1 is eq(other=1)
1 is in
1 is in(seq=[1])
'x'.upper(1)
'x'.strip(chars='x')
'x'.strip('x', 'y')
'x'.isdigit(1)
'x'.startswith(prefix='x')
'x'.removeprefix()
'x'.split(sep='x', maxsplit=1)
'x'.split(' ', 1, 1)
'x'.split(limit=1)
'x'.join()
'x'.join(iterable=['a'])
{'a': 1}.get()
{'a': 1}.get('a', 1, 2)
{'a': 1}.get(key='a')
{'a': 1}.items(1)
{'a': 1}.copy(1)
[1].count()
[1].index(value=1)
range(stop=1) | list
raise_exception()
joiner(',', 1)
joiner(separator=',')
strftime_now('%Y', 1)
""".strip().split("\n")

# Whole templates: scoping, loops, comments, errors of structure.
PROGRAMS = [
    "{% set x = 1 %}{% for i in [1, 2] %}{{ x }}{% set x = i %}{{ x }} {% endfor %}{{ x }}",
    "{% set x = 1 %}{% if true %}{% set x = 2 %}{% endif %}{{ x }}",
    "{% set ns = namespace(x=0, l=[]) %}{% for i in range(5) %}{% set ns.x = ns.x + i %}{% set ns.l = ns.l + [i] %}{% endfor %}{{ ns.x }}{{ ns.l }}{{ ns.y }}",
    "{% for i in range(10) %}{% if i == 2 %}{% continue %}{% endif %}{% if i == 5 %}{% break %}{% endif %}{{ i }}{% endfor %}",
    "{% for i in [] %}x{% else %}empty{% endfor %}",
    "{% for i in [1, 2] %}{{ i }}{% continue %}{% else %}left{% endfor %}",
    "{% for i in [1, 2] %}{{ i }}{% if i == 1 %}{% continue %}{% endif %}{% else %}left{% endfor %}",
    "{% for i in [1, 2] %}{{ i }}{% break %}{% else %}left{% endfor %}",
    "{% for i in [1, 2] %}{{ i }}{% if i == 2 %}{% break %}{% endif %}{% else %}left{% endfor %}",
    "{% for i in [1] %}{% for j in [1] %}{% continue %}{% else %}inner{% endfor %}{% else %}outer{% endfor %}",
    "{% for i in [1, 2] %}{{ loop.cycle('a', x=1) }}{% endfor %}",
    "{% for i in [1, 2] %}{{ loop.changed(i, x=1) }}{% endfor %}",
    "{% for i in range(6) if i is odd %}{{ loop.index }}{{ i }}{{ loop.last }} {% endfor %}",
    "{% for k, v in {'a': 1, 'b': 2}.items() %}{{ k }}={{ v }}{{ ',' if not loop.last }}{% endfor %}",
    "{% for a, b in [[1, 2], [3, 4]] %}{{ a }}{{ b }}{% endfor %}",
    "{% for a, b in [[1, 2, 3]] %}{{ a }}{% endfor %}",
    "{% for c in 'aé😀' %}[{{ c }}]{% endfor %}",
    "{% for k in {'x': 1, 'y': 2} %}{{ k }}{% endfor %}",
    "{% for i in nothing %}x{% else %}none{% endfor %}",
    "{% for i in none %}x{% endfor %}",
    "{% for i in 5 %}x{% endfor %}",
    "{% for i in [1, 2, 3] %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.previtem }}{{ loop.nextitem }} {% endfor %}",
    "{% for i in [1, 2] %}{% for j in [3, 4] %}{{ loop.index }}{{ i }}{{ j }} {% endfor %}{{ loop.index }};{% endfor %}",
    "{% for i in [1] %}{{ i }}{% endfor %}{{ i is defined }}{{ loop is defined }}",
    "{% set a, b = 1, 2 %}{{ a + b }}",
    "{% set a, b = [1] %}{{ a }}",
    "{% set t %}  block {{ 1 + 1 }}\n{% endset %}[{{ t }}]{{ t is string }}",
    "{% set t %}{% set inner = 5 %}{% endset %}{{ inner is defined }}",
    "{# comment #}a{#- b -#} c {# d\n e #}\nf",
    "{# {{ x }} {% if %} #}ok",
    "{% if 0 %}a{% elif 0 %}b{% elif 1 %}c{% else %}d{% endif %}",
    "{% if 0 %}a{% elif 0 %}b{% else %}d{% endif %}",
    "{%if 1%}tight{%endif%}{{1}}{{-2-}}",
    "{{ {'a': {'b': 1}}['a']['b'] }}{{ {'a':{}} }}",
    "{{ '}}' }}{{ '%}' }}{{ \"{{\" }}",
    "{{ 'a\n b' }}\r\nx\ry\r\n",
    "line\n",
    "line\n\n",
    "\n",
    "",
    "{% if true %}\nx\n{% endif %}\n",
    "{% set x = 'y' %}\n{% set x = x ~ x %}\n{{ x }}",
    "{{ 'a' -}}\n b {{- 'c' }}\n",
    "{{ 1 }} {{ 2 }}\n{{ 3 }}\n",
    "a { b } { { %} }} #} c",
    "{% if x %}",
    "{% endif %}",
    "{% if 1 %}{% endfor %}",
    "{% for i in [1] %}",
    "{% else %}",
    "{% for i [1] %}{% endfor %}",
    "{% set %}",
    "{% set 1 = 2 %}",
    "{% set x.y = 2 %}",
    "{% set x = {} %}{% set x.y = 2 %}",
    "{% nonsense %}",
    "{% break %}",
    "{{ 1",
    "{% if 1",
    "{# open",
    "{{ }}",
    "{% if %}x{% endif %}",
    "{% if 1 %}a{% else %}b{% else %}c{% endif %}",
    "{% if 1 == 1 %}{{ raise_exception('no ' ~ 1) }}{% endif %}",
    "{% if false %}{{ raise_exception('no') }}{% endif %}fine",
    "{% macro f(a, b='d', c=a) %}[{{ a }}{{ b }}{{ c }}]{% endmacro %}{{ f(1) }}{{ f(1, 2) }}{{ f(1, c=3) }}{{ f(b=1, a=2) }}{{ f() }}",
    "{% set x = 1 %}{% macro f(x=x, y=z, z=3) %}[{{ x }}{{ y }}{{ z }}]{% endmacro %}{{ f() }}{{ f(2) }}{{ f(z=5) }}{{ f(x=none) }}{{ x }}",
    "{% macro f(a) %}{{ a }}{% endmacro %}{{ f(1, 2) }}",
    "{% macro f(a) %}{{ a }}{% endmacro %}{{ f(b=2) }}",
    "{% macro f(a) %}{{ a }}{% endmacro %}{{ f(1, a=2) }}",
    "{% macro f(a, b=1, c) %}{% endmacro %}",
    "{% macro f(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ f(1, 2, 3, x=4) }}{{ f(1) }}",
    "{% set x = 1 %}{% macro f() %}{{ x }}{% endmacro %}{% set x = 2 %}{{ f() }}",
    "{% macro f() %}{{ y is defined }}{% set y = 1 %}{{ y }}{% endmacro %}{{ f() }}{{ y is defined }}{{ f() }}",
    "{% macro f(n) %}{{ n }}{% if n > 0 %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(3) }}",
    "{% macro f(n) %}{{ f(n) }}{% endmacro %}{{ f(3) }}",
    "{% macro f() %}a{% endmacro %}{{ f }}",
    "{% macro f() %} a {% endmacro %}[{{ f() | trim }}]{{ f() | length }}{{ f is callable }}{{ f() is string }}",
    "{{ f() }}{% macro f() %}a{% endmacro %}",
    "{% for i in [1, 2] %}{% macro f() %}{{ i }}{% endmacro %}{{ f() }}{% endfor %}{{ f is defined }}",
    "{% macro f(x) %}{% for i in x %}{{ loop.index }}{{ i }}{% endfor %}{% endmacro %}{% for i in [1, 2] %}{{ f('ab') }}{{ loop.index }}{% endfor %}",
    "{% set ns = namespace(n=0) %}{% macro f() %}{% set ns.n = ns.n + 1 %}{{ ns.n }}{% endmacro %}{{ f() }}{{ f() }}{{ ns.n }}",
    "{% macro f(title) %}<{{ title }}>{{ caller() }}</>{% endmacro %}{% call f('t') %}in{{ 1 + 1 }}{% endcall %}",
    "{% macro f() %}{% for i in [1, 2] %}{{ caller(i, x='y') }}{% endfor %}{% endmacro %}{% call(a, x) f() %}{{ a }}{{ x }};{% endcall %}",
    "{% macro f() %}{{ caller is defined }}{% endmacro %}{{ f() }}",
    "{% macro f() %}a{% endmacro %}{% call f() %}b{% endcall %}",
    "{% call 1 %}b{% endcall %}",
    "{% set x = 'o' %}{% macro f() %}{{ caller() }}{% endmacro %}{% call f() %}{{ x }}{% set x = 'i' %}{{ x }}{% endcall %}{{ x }}",
    "{% filter upper %}a{{ 'b' }}{% set c = 1 %}{% endfilter %}{{ c is defined }}",
    "{% filter replace('a', 'b') | upper | trim %}  banana {% endfilter %}|",
    "{% filter nofilter %}a{% endfilter %}",
    "{% set x | upper | trim %} a{{ 'b' }} {% endset %}[{{ x }}]",
    "{% set ns = namespace() %}{% set ns.x %}a{{ 1 }}{% endset %}{{ ns.x }}",
    "{% set (a, b), c = (1, 2), 3 %}{{ a }}{{ b }}{{ c }}",
    "{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}",
    "{% for k, v in {'b': 1, 'a': 2} | dictsort %}{{ k }}{{ v }}{% endfor %}{% for k, v in {'b': 1} | items %}{{ k }}{{ v }}{% endfor %}",
    "{% with a = 1, b = 2 %}{{ a }}{{ b }}{% set c = 3 %}{% endwith %}{{ a is defined }}{{ c is defined }}",
    "{% set a = 1 %}{% with a = 2, b = a %}{{ a }}{{ b }}{% endwith %}{{ a }}",
    "{% generation %}said {{ 1 }}{% set q = 1 %}{% endgeneration %}\n{{ q is defined }}",
    "{% for i in [1, 2] %}{% generation %}{{ i }}{% break %}{% endgeneration %}{% endfor %}",
    "{% raw %}{{ x }} {% if %}{# c #}{% endraw %}!",
    "a  {%- raw -%}  {{ x }}  {%- endraw -%}  b",
    "a\n  {% raw %}\n  {{ x }}\n  {% endraw %}\n  b",
    "{% raw %} {% endraw",
    "{%+ raw %}a{% endraw +%}\nb",
    "{% for i in range(5) %}{{ loop.cycle('a', 'b') }}{{ loop.changed(i // 2) }}{{ loop.depth }}{% endfor %}",
    "{% for i in [1] %}{{ loop is mapping }}{{ loop.nothing is defined }}{% endfor %}",
    "{% set s = joiner('|') %}{% for i in 'abc' %}{{ s() }}{{ i }}{% endfor %}",
    "{% set g = [1, 2, 3] | select('odd') %}{{ g | list }}{{ g | list }}{{ 'true' if g }}",
    "{% set g = [1, 2, 3] | map('string') %}{{ g | first }}{{ g | join }}",
    "{% set d = {'a': 1} %}{% for k in d.keys() %}{{ k }}{% endfor %}{% for v in d.values() %}{{ v }}{% endfor %}{% if d.items() %}yes{% endif %}",
    "{% set f = 'x'.upper %}{{ f() }}",
    "{% set o = {'f': range} %}{{ o.f(2) | list }}{{ o['f'](2) | list }}{{ [range][0](1) | list }}",
    "{% macro f(a, b) %}{{ a }}{{ b }}{% endmacro %}{{ f(*[1, 2]) }}{{ f(**{'a': 3, 'b': 4}) }}{{ f(1, **{'b': 5}) }}",
    "{{ 'a\\x41\\u0041\\101\\a\\v\\\nb' }}",
    "{% set messages = [{'role': 'user', 'content': 'x'}] %}{% for m in messages | selectattr('role', 'equalto', 'user') %}{{ loop.length }}{{ m.content }}{% endfor %}",
    "{% import 'x' as y %}",
    "{% set x = [1, 2] %}{{ x.append(3) }}",
    "{% set x = {'a': 1} %}{{ x.update({'b': 2}) }}",
]

# Every sign on both sides of every kind of tag, between kinds of white space.
SPACES = ["", " ", "\n", "  \n", "\n  ", " \n \n "]
TAGS = ["{%%%s if true %s%%}{%%%s endif %s%%}", "{{%s 'v' %s}}{%%%s set q = 1 %s%%}", "{#%s c %s#}{%%%s set q = 1 %s%%}"]


# The time that strftime_now tells.
NOW = datetime.datetime(2025, 3, 7, 9, 5, 4)


class Generation(jinja2.ext.Extension):
    """{% generation %}: what an assistant says; the text is as it would be without it."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("said"), [], [], body).set_lineno(line)

    def said(self, caller):
        return caller()


def to_json(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def refuse(reason):
    """What a template calls to end its rendering; the golden file does not hold the reason."""
    raise jinja2.TemplateRuntimeError(reason)


def environment():
    made = ImmutableSandboxedEnvironment(extensions=["jinja2.ext.loopcontrols", Generation], lstrip_blocks=True, trim_blocks=True)
    made.filters.update(tojson=to_json)  # Jinja's own writes < and & as escapes
    made.globals.update(raise_exception=refuse, strftime_now=NOW.strftime)
    return made


def cases():
    for name, template in TEMPLATES.items():
        for conversation in CONVERSATIONS:
            for extra in ("{% set add_generation_prompt = true %}\n",
                          "{% set tools = [{'name': 'f', 'parameters': {}}] %}\n{% set number_pictures = true %}\n{% set bos = '<b>' %}\n"):
                yield "{% set messages = " + conversation + " %}\n" + extra + template
    for expression in EXPRESSIONS:
        yield "{{ " + expression + " }}"
        if expression != "1, 2":  # a bare tuple as a condition is outside the subset
            yield "{% if " + expression + " %}yes{% else %}no{% endif %}"
    yield from PROGRAMS
    for tag, before, inside, after in itertools.product(TAGS, SPACES, SPACES[1:4], SPACES):
        for signs in (["", "", "", ""], ["-", "", "", ""], ["", "-", "", ""], ["", "", "-", "-"], ["+", "", "+", ""]):
            yield "x" + before + (tag % tuple(signs)).replace("}{", "}" + inside + "{") + after + "y"
    for sign in ("+", "-", ""):
        for before, after in itertools.product(SPACES, SPACES):
            yield before + "{% if true " + sign + "%}" + after + "y{% endif " + sign + "%}" + after


def escape(text):
    return "".join(c if " " <= c <= "~" and c != "\\" else "\\u%04x" % unit
                   for c in text for unit in ([ord(c)] if ord(c) < 0x10000 else
                                              [0xd800 + (ord(c) - 0x10000 >> 10), 0xdc00 + (ord(c) & 0x3ff)]))


def main():
    env = environment()
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "templates.txt")
    seen = set()
    with open(path, "w", encoding="ascii") as f:
        for template in cases():
            if template in seen:
                continue
            seen.add(template)
            try:
                result = escape(env.from_string(template).render())
            except Exception:
                result = "!"
            f.write("%s\t%s\n" % (escape(template), result))


main()
