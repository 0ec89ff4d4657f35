package io.github.dimple4j.structure;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.dimple4j.InvalidArgumentException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What each keyword admits and what not; the schemas are written with ' for ". */
class JsonSchemaTest {
  /** A schema, texts that it admits, and texts that it does not. */
  record Row(String schema, List<String> valid, List<String> invalid) {
    @Override
    public String toString() {
      return schema;
    }
  }

  private static Row row(String schema, String valid, String invalid) {
    return new Row(quoted(schema), texts(valid), texts(invalid));
  }

  private static List<String> texts(String joined) {
    return Arrays.stream(joined.split(" \\| ", -1)).map(JsonSchemaTest::quoted).toList();
  }

  private static String quoted(String text) {
    return text.replace('\'', '"');
  }

  static List<Row> rows() {
    return List.of(
        row("{'type':['integer','null']}", "0 | -12 | null", "1.5 | 1.0 | '1' | 01 | -0 | +1 |  | nul"),
        row("{'type':'number'}", "0 | -0.5 | 1e5 | 1E+07 | 12.250", ".5 | 1. | 1e | 1e999 | 0x1 | NaN"),
        row("{'enum':['a',1,null,[1,{'b':2}],{'c':true}]}", "'a' | 1 | null | [1, {'b': 2}] | {'c': true}", "'b' | 2 | [1] | {'c': false} | {}"),
        row("{'const':'a/\\\\b'}", "'a/\\\\b'", "'ab' | 'a/b'"),
        row("{'type':'integer','exclusiveMinimum':-3,'maximum':105}", "-2 | 0 | 99 | 105", "-3 | 106 | 1000"),
        row("{'type':'number','minimum':0.5,'exclusiveMaximum':2}", "0.5 | 0.50 | 1.999 | 1", "0.49 | 2 | 2.0 | 0 | -1"),
        row("{'$schema':'http://json-schema.org/draft-04/schema#','minimum':3,'exclusiveMinimum':true,'type':'integer'}", "4", "3"),
        row("{'type':'string','minLength':2,'maxLength':3}", "'ab' | 'äöü' | '\\n\\\\' | '😀😀'", "'a' | 'abcd' | '😀' | '\\n'"),
        row("{'type':'string','pattern':'b+'}", "'b' | 'abba' | 'xb\\n'", "'a' | ''"),
        row("{'type':'string','pattern':'^a|z$'}", "'abc' | 'xyz'", "'za' | 'ba'"),
        row("{'type':'string','pattern':'^[^x-z\\\\d]{2}$'}", "'ab' | 'é\\''", "'a1' | 'ax' | 'abc'"),
        row("{'type':'string','format':'date'}", "'2024-02-29' | '1999-12-31'", "'2023-02-29' | '2024-13-01' | '2024-1-1' | ''"),
        row("{'type':'string','format':'ipv6'}", "'::' | '1:2::8' | 'fe80::1'", "'1:2' | '1::2::3' | ':::'"),
        row("{'type':'string','format':'unheard-of'}", "'anything'", "1"),
        row("{'type':'array','items':{'type':'boolean'},'minItems':1,'maxItems':2}", "[true] | [true, false] | [true,false]", "[] | [1] | [true,true,true]"),
        row("{'type':'array','prefixItems':[{'const':1}],'items':false}", "[] | [1]", "[2] | [1,2]"),
        row("{'items':[{'const':1}],'additionalItems':{'const':2}}", "[1,2,2] | 'x' | []", "[2] | [1,1]"),
        row("{'properties':{'a':{'const':1},'b':{'const':2}},'required':['b'],'additionalProperties':false,'type':'object'}",
            "{'a': 1, 'b': 2} | {'b':2}", "{} | {'a':1} | {'b':2,'a':1} | {'b':2,'c':3} | {'b':2,'b':2}"),
        row("{'type':'object','properties':{'ab':{'const':1}}}", "{} | {'ab':1,'a':[]} | {'abc':{'x': null}} | {'x':1,'x':2}",
            "{'ab':2} | {'x':1,'ab':1} | {'\\u0061b':2} | {'a\\u0062':2}"),
        row("{'type':'object','patternProperties':{'^n':{'type':'integer'}},'additionalProperties':{'type':'string'}}",
            "{'n':1,'m':'x','nn':2}", "{'n':'x'} | {'m':1}"),
        row("{'type':'object','properties':{'colours':{},'colouring':{},'colourless':{}},'patternProperties':{'^x':{'const':1}}}",
            "{'colours':2,'colourless':3,'x':1}", "{'x':2} | {'colours':2,'x':0}"), // names that begin alike
        row("{'enum':['interesting','interested','interests'],'pattern':'ed$'}", "'interested'", "'interests'"),
        row("{'type':'object','propertyNames':{'maxLength':2}}", "{'ab':1}", "{'abc':1}"),
        row("{'type':'object','minProperties':1,'maxProperties':2,'additionalProperties':{'const':0}}", "{'a':0} | {'a':0,'b':0}",
            "{} | {'a':0,'b':0,'c':0}"),
        row("{'type':'object','properties':{'a':{},'b':{},'c':{}},'minProperties':2,'additionalProperties':false}", "{'a':1,'c':1} | {'a':1,'b':1,'c':1}",
            "{} | {'a':1}"),
        row("{'anyOf':[{'const':'a'},{'type':'string','pattern':'^ab'},{'type':'null'}]}", "'a' | 'abc' | null", "'b' | 1"),
        row("{'oneOf':[{'type':'integer','minimum':3},{'type':'integer','maximum':5}]}", "2 | 6", "3 | 4 | 5"),
        row("{'type':'object','properties':{'a':{},'b':{}},'oneOf':[{'required':['a']},{'required':['b']}]}", "{'a':1} | {'b':1}", "{} | {'a':1,'b':1}"),
        row("{'allOf':[{'type':'object','properties':{'a':{'minimum':2}}},{'properties':{'a':{'type':'integer','maximum':3}},'required':['a']}]}",
            "{'a':2} | {'a':3}", "{} | {'a':1} | {'a':'x'}"),
        row("{'$ref':'#/$defs/a~1b%20','maximum':9,'$defs':{'a/b ':{'type':'integer','minimum':5}}}", "5 | 9", "4 | 10"),
        row("{'$schema':'http://json-schema.org/draft-07/schema#','$ref':'#/definitions/a','maximum':9,'definitions':{'a':{'type':'integer'}}}",
            "5 | 10", "'x'"),
        row("{'$schema':'http://json-schema.org/draft-04/schema#','type':'integer','anyOf':[{'const':1},{'not':{'minimum':9,'const':12}}]}",
            "1 | 8", "9 | 12 | 13"),
        row("{'$schema':'http://json-schema.org/draft-07/schema#','type':'array','prefixItems':[{'maximum':3}],'items':{'type':'integer'}}",
            "[3,4]", "[4] | [1.5] | ['a']"),
        row("{'$schema':'http://json-schema.org/draft-07/schema#','$id':'http://x.y/base/','allOf':[{'$id':'http://x.y/','$ref':'foo.json'}],"
            + "'definitions':{'a':{'$id':'http://x.y/foo.json','type':'string'},'b':{'$id':'foo.json','type':'integer'}}}", "1", "\"a\""),
        row("{'anyOf':[{'$ref':'http://x.y/z'}],'own':{'$id':'http://x.y/z','type':'null'},'$defs':{'a':{'$id':'http://x.y/z','type':'integer'}}}", "1", "null"),
        row("{'$ref':'http://x.y/z','own':{'$id':'http://x.y/z','type':'null'}}", "null", "1"),
        row("{'$id':'http://x.y/z','properties':{'a':{'$ref':'other#in'}},'$defs':{'b':{'$id':'other','$defs':{'c':{'$anchor':'in','const':1}}}}}",
            "{'a':1}", "{'a':2}"),
        row("{'not':{'enum':['a',1,true]},'type':['string','integer','boolean']}", "'b' | 2 | 0 | false", "'a' | 1 | true | null"),
        row("{'type':'object','properties':{'kind':{'enum':['x','y']},'n':{'type':'integer'}},'required':['kind'],"
            + "'if':{'properties':{'kind':{'const':'x'}}},'then':{'required':['n']},'else':{'properties':{'n':false}}}",
            "{'kind':'x','n':1} | {'kind':'y'}", "{'kind':'x'} | {'kind':'y','n':1}"),
        row("{'type':'object','properties':{'a':{'const':1},'b':{'const':2}},'dependentRequired':{'a':['b']}}", "{} | {'b':2} | {'a':1,'b':2}", "{'a':1}"),
        row("true", "1 | {'a':[[[[0]]]]} | '\\ud83d\\ude00\\/' | '\\u00e9'", "'\\ud83d' | '\\ud83dx' | [1,] | {'a'} | [[[[[[1]]]]]]"),
        row("{'type':'object','propertyNames':{'enum':['x','y','zz'],'maxLength':1},'minProperties':2,'additionalProperties':{'const':0}}",
            "{'x':0,'y':0}", "{'x':0} | {'y':0,'y':0} | {'x':0,'y':0,'zz':0}"),
        row("{'type':'string','format':'idn-hostname'}", "'a-b.c'", "'a-B.c'"),
        row("{'type':'array','uniqueItems':true,'maxItems':1}", "[] | [1]", "[1,1]"),
        row("{'anyOf':[{'const':'x'},{'type':'array','maxItems':1,'not':{'uniqueItems':true}}]}", "'x'", "[] | [1] | [1,1]"),
        row("{'enum':[1,2,3],'not':{'multipleOf':2}}", "1 | 3", "2"),
        row("{'oneOf':[{'enum':[4,6,9]},{'multipleOf':2,'enum':[4,5,6]}]}", "9", "4 | 5 | 6"),
        row("{'type':'string','pattern':'^[x\\\\uD800-\\\\uDFFF]$'}", "'x'", "'-'"),
        row("{'type':'string','pattern':'^[a-\\\\uDFFF]$'}", "'a' | 'é'", "'-' | '\ue000'"),
        // A length beyond what is held is no reason to take two cases for apart.
        row("{'oneOf':[{'type':'string','pattern':'^a*$','maxLength':3000},{'type':'string','pattern':'^(a{1500,}|b)$'}]}", "'b' | 'a'",
            "'" + "a".repeat(1500) + "'"),
        // Nor is what only some implementations match, or a format of which a part is held.
        row("{'oneOf':[{'type':'string','pattern':'^\\\\s$'},{'enum':['\u00a0','x']}]}", "'x' | ' '", "'\u00a0'"),
        row("{'oneOf':[{'type':'string','format':'date'},{'type':'string','format':'date-time'},{'type':'string','format':'email'},"
            + "{'type':'string','format':'uri'}]}", "'2024-02-29' | 'a@b.com' | 'a:b'", "'x'"),
        row("{'type':'object','properties':{'\u00a0x':{'type':['string','integer']}},'patternProperties':{'^\\\\s':{'type':'integer'}},"
            + "'additionalProperties':{'type':'null'}}", "{'\u00a0x':1} | {} | {' x':1} | {'x':null}", "{'\u00a0x':'y'} | {'\u00a0y':null}"),
        row("{'type':'string','uniqueItems':true,'multipleOf':2}", "'x'", "1"));
  }

  @ParameterizedTest
  @MethodSource("rows")
  void admitsWhatItSays(Row row) {
    ByteAutomaton automaton = JsonSchema.of(row.schema).compile(SchemaOptions.JUDGING);
    for (String text : row.valid) {
      assertThat(automaton.accepts(text.getBytes(StandardCharsets.UTF_8))).as(text).isTrue();
    }
    for (String text : row.invalid) {
      assertThat(automaton.accepts(text.getBytes(StandardCharsets.UTF_8))).as(text).isFalse();
    }
  }

  /** For producing, names that are listed stand once each and in order. */
  @Test
  void listedNamesAreProducedOnce() {
    String schema = quoted("{'type':'object','propertyNames':{'enum':['x','y']},'additionalProperties':{'const':0}}");
    ByteAutomaton automaton = JsonSchema.of(schema).compile(SchemaOptions.PRODUCING);
    for (String text : List.of("{}", "{'x':0}", "{'y':0}", "{'x':0,'y':0}")) {
      assertThat(automaton.accepts(quoted(text).getBytes(StandardCharsets.UTF_8))).as(text).isTrue();
    }
    for (String text : List.of("{'x':0,'x':0}", "{'y':0,'x':0}", "{'z':0}")) {
      assertThat(automaton.accepts(quoted(text).getBytes(StandardCharsets.UTF_8))).as(text).isFalse();
    }
    assertThat(JsonSchema.of(schema).compile(SchemaOptions.JUDGING).accepts(quoted("{'y':0,'x':0}").getBytes(StandardCharsets.UTF_8))).isTrue();
  }

  @ParameterizedTest
  @MethodSource("refusals")
  void refusesByName(Refusal row) {
    assertThatExceptionOfType(RefusedSchemaException.class).isThrownBy(() -> JsonSchema.of(quoted(row.schema)).compile(SchemaOptions.PRODUCING))
        .withMessage(row.message);
  }

  /** A schema and why it is refused. */
  record Refusal(String schema, String message) {}

  static List<Refusal> refusals() {
    return List.of(
        new Refusal("{'properties':{'a':{'type':'array','uniqueItems':true}}}", "#/properties/a/uniqueItems: uniqueItems"),
        new Refusal("{'multipleOf':3}", "#/multipleOf: multipleOf"),
        new Refusal("{'type':'object','properties':{'a':{}},'required':['a'],'minProperties':3,'additionalProperties':{'const':1}}",
            "#: 3 properties, of which 1 are spelled out; the names of others may repeat each other"),
        new Refusal("{'type':'string','pattern':'^[[:alpha:]]$'}", "#/pattern: a class of POSIX, which implementations read differently, at character 2 "
            + "of the regular expression ^[[:alpha:]]$"),
        new Refusal("{'type':'string','pattern':'[a-z--[b]]'}", "#/pattern: --[ in brackets, which implementations read differently, at character 4 "
            + "of the regular expression [a-z--[b]]"),
        new Refusal("{'type':'string','pattern':'[a-z&&[^b]]'}", "#/pattern: && in brackets, which implementations read differently, at character 4 "
            + "of the regular expression [a-z&&[^b]]"),
        new Refusal("{'type':'array','contains':{}}", "#/contains: contains"),
        new Refusal("{'type':'array','maxItems':1,'contains':{'const':5}}", "#/contains: contains"),
        new Refusal("{'type':'array','maxItems':1,'unevaluatedItems':false}", "#/unevaluatedItems: unevaluatedItems"),
        new Refusal("{'type':'array','maxItems':1,'not':{'items':{'type':'string'}}}",
            "#/not/items: what does not fit items (asked for by not, oneOf, if or dependencies)"),
        new Refusal("{'not':{'multipleOf':2}}", "#/not/multipleOf: what does not fit multipleOf (asked for by not, oneOf, if or dependencies)"),
        new Refusal("{'type':'string','pattern':'a(?=b)'}", "#/pattern: lookaround at character 1 of the regular expression a(?=b)"),
        new Refusal("{'type':'string','pattern':'(a)\\\\1'}", "#/pattern: a back reference at character 5 of the regular expression (a)\\1"),
        new Refusal("{'type':'string','pattern':'('}", "#/pattern: a ( without its ) at character 1 of the regular expression ("),
        new Refusal("{'properties':{'a':{'$ref':'#'}}}", "#/properties/a: recursive: a value of this schema lies within another"),
        new Refusal("{'$ref':'#/$defs/a','$defs':{'a':{'$ref':'#/$defs/a'}}}", "#/$defs/a: refers to itself"),
        new Refusal("{'$ref':'#/$defs/a'}", "#/$ref: the reference #/$defs/a leads nowhere"),
        new Refusal("{'properties':{'default':{'type':'int'},'enum':{'$ref':'#/properties/default'}}}", "#/properties/default/type: the unknown type int"),
        new Refusal("{'$id':'http://x.y/z','$ref':'list','$defs':{'own':{'$dynamicAnchor':'T','type':'string'},'list':{'$id':'list','items':{'$dynamicRef':'#T'},"
            + "'$defs':{'any':{'$dynamicAnchor':'T'}}}}}",
            "#/$defs/list/items/$dynamicRef: what #T means hangs on where it is met: several schemas have that anchor"),
        new Refusal("{'not':{'enum':'a'}}", "#/not/enum: not a list"),
        new Refusal("{'type':'string','pattern':'a{,5}'}", "#/pattern: {,n}, which implementations read differently, at character 4 "
            + "of the regular expression a{,5}"),
        new Refusal("{'type':'string','pattern':'^a{2}{3}$'}", "#/pattern: nothing to repeat at character 5 of the regular expression ^a{2}{3}$"),
        new Refusal("{'type':'string','pattern':'(|{2})'}", "#/pattern: nothing to repeat at character 2 of the regular expression (|{2})"),
        new Refusal("{'type':'string','pattern':'^\\\\012$'}", "#/pattern: an octal escape, which implementations read differently, at character 3 "
            + "of the regular expression ^\\012$"),
        new Refusal("{'type':'string','pattern':'\\\\c1'}", "#/pattern: an escape \\c without its letter at character 3 of the regular expression \\c1"),
        new Refusal("{'type':'string','pattern':'\\\\x4\u0661'}", "#/pattern: an escape without its 2 hexadecimal digits at character 4 of the regular "
            + "expression \\x4\u0661"),
        new Refusal("{'$schema':'http://json-schema.org/draft-07/schema#','type':'array','contains':{'const':1},'minContains':0}", "#/contains: contains"),
        new Refusal("{'oneOf':[{'type':'string','format':'idn-email'},{'const':'\u00fc@example.com'}]}",
            "#/oneOf/0/format: what does not fit format (asked for by not, oneOf, if or dependencies)"),
        new Refusal("{'oneOf':[{'type':'object','required':['\u00a0x'],'propertyNames':{'pattern':'^\\\\s'}},{'type':'object','required':['\u00a0x']}]}",
            "#/oneOf/0/propertyNames: what does not fit propertyNames (asked for by not, oneOf, if or dependencies)"),
        new Refusal("{'$schema':'http://json-schema.org/draft-03/schema#','type':'integer','divisibleBy':5}", "#/divisibleBy: divisibleBy, a keyword of draft 3"),
        new Refusal("{'$ref':'http://x.y/z'}", "#/$ref: the reference http://x.y/z leads out of the document"),
        new Refusal("{'oneOf':[{'items':{'type':'string'}},{'items':{'type':'integer'}}]}",
            "#/oneOf/1/items: what does not fit items (asked for by not, oneOf, if or dependencies)"),
        new Refusal("{'type':'object','unevaluatedProperties':false}", "#/unevaluatedProperties: unevaluatedProperties"),
        new Refusal("{'type':'integer','minimum':3,'maximum':2}", "#: no value fits the schema"),
        new Refusal("{'type':'int'}", "#/type: the unknown type int"),
        new Refusal("{'minLength':-1}", "#/minLength: not a count"),
        new Refusal("{'minimum':1e2147483647}", "#/minimum: a number of more than 2000 digits"),
        new Refusal("{'maxItems':1e99999999}", "#/maxItems: a number of more than 2000 digits"),
        new Refusal("{'multipleOf':1e-99999999}", "#/multipleOf: a number of more than 2000 digits"),
        new Refusal("{'const':[1e2147483647]}", "#: a value that is a number of more than 2000 digits"),
        new Refusal("{'not':{'enum':[1e-2147483]}}", "#: a value that is a number of more than 2000 digits"),
        new Refusal("{'type':'array','minItems':300000,'items':{'const':1}}", "#: needs more than 65536 states"));
  }

  /** UTF-8 has no half of a surrogate pair: such a text is none that an answer could be. */
  @Test
  void halfOfASurrogatePairIsNoText() {
    JsonSchema one = JsonSchema.of("{\"enum\": [\"\\ud800\", \"\\ud83d\\ude00\"]}");
    ByteAutomaton automaton = one.compile(SchemaOptions.PRODUCING);
    assertThat(new String(automaton.shortest(), StandardCharsets.UTF_8)).isEqualTo("\"\ud83d\ude00\"");
    assertThat(automaton.accepts("\"?\"".getBytes(StandardCharsets.UTF_8))).isFalse();
    assertThatThrownBy(() -> JsonSchema.of("{\"const\": \"\\ud800\"}").compile(SchemaOptions.PRODUCING))
        .isInstanceOf(RefusedSchemaException.class).hasMessageContaining("no value fits");
    assertThatThrownBy(() -> Piece.choice("a", "\ud800")).isInstanceOf(InvalidArgumentException.class).hasMessageContaining("surrogate");
  }

  /** One of them would be passed over in silence. */
  @Test
  void aKeyTwiceIsRefused() {
    assertThatThrownBy(() -> JsonSchema.of("{\"type\": \"object\", \"required\": [\"a\"], \"required\": [\"b\"]}"))
        .isInstanceOf(InvalidArgumentException.class).hasMessageContaining("required");
  }

  @Test
  void producesWhatIsSpelledOut() {
    String schema = quoted("{'type':'object','properties':{'b':{'type':'object'},'a':{'type':'object','properties':{'x':{}}}}}");
    ByteAutomaton closed = JsonSchema.of(schema).compile(SchemaOptions.PRODUCING);
    assertThat(closed.accepts(bytes("{'b': {'any': 1}, 'a': {'x': 1}}"))).isTrue();
    assertThat(closed.accepts(bytes("{'b': {}, 'a': {'y': 1}}"))).isFalse();
    assertThat(closed.accepts(bytes("{'b':  {}}"))).isFalse();
    ByteAutomaton compact = JsonSchema.of(schema).compile(SchemaOptions.PRODUCING.withSpacing(Spacing.COMPACT)
        .withKeyOrder(SchemaOptions.KeyOrder.ALPHABETICAL).withOpenObjects(true));
    assertThat(compact.accepts(bytes("{'a':{'y':1},'b':{}}"))).isTrue();
    assertThat(compact.accepts(bytes("{'b':{},'a':{}}"))).isFalse();
    assertThat(compact.accepts(bytes("{'a': {}}"))).isFalse();
  }

  private static byte[] bytes(String text) {
    return quoted(text).getBytes(StandardCharsets.UTF_8);
  }

  @Test
  void schemasThatAreNone() {
    assertThatThrownBy(() -> JsonSchema.of("[]")).isInstanceOf(InvalidArgumentException.class).hasMessage("a schema is an object, true or false, not ARRAY");
    assertThatThrownBy(() -> JsonSchema.of("{'a':")).isInstanceOf(InvalidArgumentException.class).hasMessageStartingWith("the schema is not JSON: ");
    assertThatThrownBy(() -> SchemaOptions.JUDGING.withMaxStates(0)).hasMessage("maxStates is 0, expected at least 1");
    assertThat(JsonSchema.of("{\"const\":1}").compile(SchemaOptions.JUDGING.withMaxStates(Integer.MAX_VALUE)).stateCount()).isEqualTo(2);
  }
}
