package io.github.dimple4j.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.dimple4j.Generation;
import io.github.dimple4j.Session;
import io.github.dimple4j.Template;
import io.github.dimple4j.chat.ContentPart;
import io.github.dimple4j.chat.Tool;
import io.github.dimple4j.chat.ToolChoice;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.JsonNode;

/** What requests may say, and what the answers are. */
class RequestTest {
  private static DimpleServer server;

  @BeforeAll
  static void start() {
    server = Mini.start(Mini.options().maxPixels(100_000).maxBodyBytes(1 << 20).imageHosts(Set.of("127.0.0.1")));
  }

  @AfterAll
  static void stop() {
    server.close();
  }

  private static String question(String fields) {
    return "{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}], \"max_tokens\": 8" + (fields.isEmpty() ? "" : ", " + fields) + "}";
  }

  private static String withPicture(String url) {
    return "{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"image_url\", \"image_url\": {\"url\": \"" + url + "\"}}, "
        + "{\"type\": \"text\", \"text\": \"Describe this image.\"}]}]}";
  }

  /** A double would make 1.000000000000000000001 of it, and 1 a valid answer. */
  @Test
  void boundsOfASchemaKeepEveryDigit() {
    HttpResponse<String> answer = Http.chat(server, question("\"response_format\": {\"type\": \"json_schema\", \"json_schema\": {\"schema\": "
        + "{\"type\": \"integer\", \"minimum\": 1.000000000000000000001, \"maximum\": 2.999999999999999999999}}}"));
    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    assertThat(Http.content(answer)).isEqualTo("2");
  }

  /** JSON between programs is UTF-8: what is not is no other text in silence. */
  @Test
  void bodiesAreUtf8() {
    byte[] body = question("").getBytes(StandardCharsets.UTF_8);
    byte[] marked = Arrays.copyOf("\ufeff".getBytes(StandardCharsets.UTF_8), body.length + 3);
    System.arraycopy(body, 0, marked, 3, body.length);
    assertThat(Http.chat(server, marked).statusCode()).isEqualTo(200);
    byte[] overlong = question("\"user\": \"a.\"").getBytes(StandardCharsets.ISO_8859_1);
    for (int i = 0; i < overlong.length; i++) {
      if (overlong[i] == '.') {
        overlong[i - 1] = (byte) 0xc0; // another spelling of a slash
        overlong[i] = (byte) 0xaf;
      }
    }
    for (byte[] wrong : List.of(overlong, question("").getBytes(StandardCharsets.UTF_16), question("").getBytes(StandardCharsets.UTF_16LE),
        question("\"user\": \"\u00e9\"").getBytes(StandardCharsets.ISO_8859_1))) {
      HttpResponse<String> answer = Http.chat(server, wrong);
      assertThat(answer.statusCode()).as(answer.body()).isEqualTo(400);
      assertThat(Http.error(answer).get("code").stringValue()).isEqualTo("invalid_json");
    }
  }

  /** Where positions see blocks, questions that begin alike share that; answers are those of a server that keeps nothing. */
  @Test
  void beginningsAreSharedWherePositionsSeeBlocks() {
    String begin = "<|im_start|>user\\nA long story, told once, about shapes on a background.";
    try (DimpleServer keeps = Mini.start(Mini.options()); DimpleServer forgets = Mini.start(Mini.options().cacheBytes(0))) {
      int shared = 0;
      for (String end : List.of(" How many are there?", " Which one is red?", " Which one is large?")) {
        String body = "{\"prompt\": \"" + begin + end + "<|im_end|>\\n<|im_start|>assistant\\n\", \"max_tokens\": 16, \"temperature\": 1, \"seed\": 4, \"logprobs\": 0, "
            + "\"diffusion\": {\"pipeline\": \"sdar\", \"block_length\": 8}}";
        JsonNode answer = Json.read(Http.send(Http.post(keeps, "/v1/completions", body)).body());
        JsonNode alone = Json.read(Http.send(Http.post(forgets, "/v1/completions", body)).body());
        assertThat(answer.get("choices")).as(answer.toString()).isEqualTo(alone.get("choices"));
        int cached = answer.get("usage").get("prompt_tokens_details").get("cached_tokens").intValue();
        assertThat(cached % 8).isZero();
        assertThat(cached).isLessThan(answer.get("usage").get("prompt_tokens").intValue());
        shared += cached;
      }
      assertThat(shared).isPositive();
      assertThat(Http.metric(keeps, "dimple_prefill_shared_tokens_total")).isEqualTo(shared);
    }
  }

  /** Of the same pictures at the same places; another picture ends what is alike. */
  @Test
  void beginningsWithPicturesAreShared() {
    try (DimpleServer keeps = Mini.start(Mini.options()); DimpleServer forgets = Mini.start(Mini.options().cacheBytes(0))) {
      List<Integer> cached = new ArrayList<>();
      for (int[] asked : new int[][] {{1, 0}, {1, 1}, {2, 1}, {1, 0}}) {
        String text = List.of("Describe this image.", "How many shapes are there?").get(asked[1]);
        String body = "{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"image_url\", \"image_url\": {\"url\": \"" + Mini.dataUrl(Mini.scene(asked[0]))
            + "\"}}, {\"type\": \"text\", \"text\": \"" + text + "\"}]}], \"max_tokens\": 16, \"temperature\": 1, \"logprobs\": true, "
            + "\"diffusion\": {\"pipeline\": \"sdar\", \"block_length\": 4}}";
        JsonNode answer = Json.read(Http.chat(keeps, body).body());
        assertThat(answer.get("choices")).isEqualTo(Json.read(Http.chat(forgets, body).body()).get("choices"));
        cached.add(answer.get("usage").get("prompt_tokens_details").get("cached_tokens").intValue());
      }
      assertThat(cached.get(0)).isZero();
      assertThat(cached.get(1)).as("the picture's 30 tokens among them").isGreaterThan(40);
      assertThat(cached.get(2)).as("up to the picture").isBetween(4, 40);
      assertThat(cached.get(3)).as("all of it").isGreaterThan(cached.get(1));
    }
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', quoteCharacter = '`', value = {"1e400 | temperature", "-1e400 | temperature", "1e-400 | ", "1e99999999999 | exponent"})
  void numbersBeyondADouble(String number, String named) {
    HttpResponse<String> answer = Http.chat(server, question("\"temperature\": " + number));
    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(named == null ? 200 : 400);
    if (named != null) {
      assertThat(Http.error(answer).get("message").stringValue()).contains(named);
    }
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', quoteCharacter = '`', value = {
      "max_tokens | {\"messages\": [{\"role\": \"user\", \"content\": \"x\"}], \"max_tokens\": 0}",
      "max_tokens | {\"messages\": [{\"role\": \"user\", \"content\": \"x\"}], \"max_tokens\": 5000}",
      "max_tokens | {\"messages\": [{\"role\": \"user\", \"content\": \"x\"}], \"max_tokens\": 1.5}",
      "messages | {}",
      "messages | {\"messages\": []}",
      "messages | {\"messages\": \"x\"}",
      "messages[0] | {\"messages\": [\"x\"]}",
      "messages[0].role | {\"messages\": [{\"content\": \"x\"}]}",
      "messages[0].role | {\"messages\": [{\"role\": \"king\", \"content\": \"x\"}]}",
      "messages[0].content | {\"messages\": [{\"role\": \"user\"}]}",
      "messages[0].content | {\"messages\": [{\"role\": \"user\", \"content\": 3}]}",
      "messages[0].content[0].type | {\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"input_audio\", \"input_audio\": {}}]}]}",
      "messages[0].content[0].image_url.url | {\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"image_url\", \"image_url\": {}}]}]}",
      "messages[0].content | {\"messages\": [{\"role\": \"user\", \"content\": \"a\\ud800b\"}]}",
      "messages[0].content[0].text | {\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": \"\\udc00\\ud800\"}]}]}",
      "messages[0].tool_call_id | {\"messages\": [{\"role\": \"tool\", \"tool_call_id\": \"a\", \"content\": \"x\"}]}",
      "messages[0].tool_calls[1].id | {\"messages\": [{\"role\": \"assistant\", \"tool_calls\": [{\"id\": \"a\", \"function\": {\"name\": \"f\"}}, {\"id\": \"a\", \"function\": {\"name\": \"g\"}}]}]}",
      "messages[0].tool_calls[0].function.arguments | {\"messages\": [{\"role\": \"assistant\", \"tool_calls\": [{\"function\": {\"name\": \"f\", \"arguments\": \"[\"}}]}]}"})
  void namesTheField(String param, String body) {
    HttpResponse<String> answer = Http.chat(server, body);
    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(400);
    assertThat(Http.error(answer).get("param").stringValue()).isEqualTo(param);
    assertThat(Http.error(answer).get("message").stringValue()).contains(param);
    assertThat(Http.error(answer).get("type").stringValue()).isEqualTo("invalid_request_error");
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', quoteCharacter = '`', value = {
      "temperature | \"temperature\": -1", "temperature | \"temperature\": 1e-9", "top_p | \"top_p\": 2", "n | \"n\": 0", "n | \"n\": 1000",
      "seed | \"seed\": \"a\"", "stop | \"stop\": \"\"", "stop | \"stop\": {}", "stream | \"stream\": 1", "frequency_penalty | \"frequency_penalty\": 1",
      "top_logprobs | \"logprobs\": true, \"top_logprobs\": 21", "top_logprobs | \"top_logprobs\": 3", "logit_bias.01 | \"logit_bias\": {\"01\": 1}",
      "parallel_tool_calls | \"tools\": [], \"parallel_tool_calls\": \"no\"", "stop[1] | \"stop\": [\"a\", \"\\ud800\"]", "chat_template_kwargs.enable_thinking | \"chat_template_kwargs\": {\"enable_thinking\": 1}",
      "logit_bias.99999999 | \"logit_bias\": {\"99999999\": 1}",
      "logit_bias.1 | \"logit_bias\": {\"1\": 1000}", "modalities | \"modalities\": [\"text\", \"audio\"]", "functions | \"functions\": []",
      "diffusion | \"diffusion\": 1", "diffusion.speed | \"diffusion\": {\"speed\": 1}", "diffusion.threshold | \"diffusion\": {\"threshold\": -1}",
      "diffusion.steps | \"diffusion\": {\"steps\": 0}", "diffusion.algorithm | \"diffusion\": {\"algorithm\": \"best\"}",
      "diffusion.pipeline | \"diffusion\": {\"pipeline\": \"x\"}", "diffusion.block_length | \"diffusion\": {\"block_length\": 4}",
      "diffusion.template[0] | \"diffusion\": {\"template\": [0]}", "diffusion.events | \"diffusion\": {\"events\": true}",
      "diffusion.canvas_length | \"diffusion\": {\"canvas_length\": 0}, \"response_format\": {\"type\": \"json_object\"}",
      "response_format.type | \"response_format\": {\"type\": \"xml\"}", "response_format.regex | \"response_format\": {\"type\": \"regex\", \"regex\": \"(\"}",
      "response_format.json_schema.schema | \"response_format\": {\"type\": \"json_schema\", \"json_schema\": {\"schema\": {\"type\": 3}}}",
      "response_format.json_schema.schema | \"response_format\": {\"type\": \"json_schema\", \"json_schema\": {\"schema\": {\"type\": \"array\", \"minItems\": 2, \"items\": {\"type\": \"integer\"}, \"uniqueItems\": true}}}",
      "response_format.choice | \"response_format\": {\"type\": \"choice\", \"choice\": []}",
      "max_tokens | \"response_format\": {\"type\": \"choice\", \"choice\": [\"a text that is much longer than eight tokens of any kind that a model may have\"]}",
      "response_format | \"response_format\": {\"type\": \"json_object\"}, \"diffusion\": {\"prefix\": \"a\"}",
      "stop | \"response_format\": {\"type\": \"json_object\"}, \"stop\": \"a\"",
      "tools[0].type | \"tools\": [{\"type\": \"oracle\"}]", "tools[0].function.name | \"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"a b\"}}]",
      "tool_choice | \"tool_choice\": \"required\"",
      "tool_choice.function.name | \"tool_choice\": {\"type\": \"function\", \"function\": {\"name\": \"f\"}}"})
  void namesTheSetting(String param, String fields) {
    namesTheField(param, question(fields));
  }

  /** Every setting that docs/serving.md shows is one, though not all go together. */
  @Test
  void knowsTheSettingsThatAreDescribed() throws IOException {
    Matcher shown = Pattern.compile("(?s)```json\\n\\{\"diffusion\": (\\{\"threshold.*?})}\\n```").matcher(Files.readString(Path.of("../docs/serving.md")));
    assertThat(shown.find()).isTrue();
    JsonNode settings = Json.read(shown.group(1));
    assertThat(settings.size()).isGreaterThan(12);
    for (String name : settings.propertyNames()) {
      HttpResponse<String> answer = Http.chat(server, question("\"diffusion\": {\"" + name + "\": " + settings.get(name) + "}"));
      assertThat(answer.body()).as(name).doesNotContain("unknown_parameter");
    }
  }

  @Test
  void ignoresWhatSaysNothing() {
    HttpResponse<String> plain = Http.chat(server, question(""));
    HttpResponse<String> more = Http.chat(server, question("\"user\": \"me\", \"store\": false, \"metadata\": {}, \"presence_penalty\": 0, "
        + "\"logit_bias\": null, \"made_up\": null, \"enable_thinking\": false, \"stream_options\": {\"continuous_usage_stats\": false},  \"top_k\": -1, \"repetition_penalty\": 1.0, \"tools\": [], \"tool_choice\": \"none\", \"response_format\": {\"type\": \"text\"}"));
    assertThat(more.statusCode()).isEqualTo(200);
    assertThat(Http.content(more)).isEqualTo(Http.content(plain));
  }

  @Test
  void ignoresWhatSaysWhoAsksAndHowSoon() {
    for (String name : OtherFields.IGNORED) {
      assertThat(Http.chat(server, question("\"" + name + "\": \"low\"")).statusCode()).as(name).isEqualTo(200);
    }
    assertThat(OtherFields.IGNORED).contains("user", "store", "metadata", "service_tier", "safety_identifier", "prompt_cache_key", "prediction",
        "reasoning_effort", "verbosity");
  }

  /** What other servers know, and what is misspelt: left out, the answer would be another one than was asked for. */
  @ParameterizedTest
  @CsvSource(delimiter = '|', value = {"made_up | 1", "made_up | 1e999999999", "temperatur | 1", "top_k | 5", "top_k | -1e999999999", "min_p | 0.1", "repetition_penalty | 1.1", "best_of | 2",
      "guided_json | {}", "guided_regex | \"a\"", "guided_choice | [\"a\"]", "grammar | \"a\"", "json_schema | {}", "structured_outputs | {}",
      "stop_token_ids | [1]", "bad_words | [\"a\"]", "min_tokens | 4", "ignore_eos | true", "chat_template | \"a\"", "documents | [{}]",
      "add_generation_prompt | false", "continue_final_message | true", "skip_special_tokens | false", "web_search_options | {}",
      "functions | []", "prompt | \"a\"", "echo | true", "suffix | \"a\"", "stream_options | {\"continuous_usage_stats\": true}",
      "chat_template_kwargs | {\"thinking\": true}", "response_format | {\"type\": \"json_object\", \"schema\": {\"type\": \"object\"}}",
      "response_format | {\"type\": \"json_schema\", \"json_schema\": {\"schema\": {}, \"schemas\": {}}}",
      "tools | [{\"type\": \"function\", \"function\": {\"name\": \"f\", \"returns\": {}}}]", "enable_thinking | true",
      "tool_choice | {\"type\": \"function\", \"function\": {\"name\": \"f\", \"x\": 1}}, \"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"f\"}}]",
      "tool_choice | {\"type\": \"function\", \"mode\": 1, \"function\": {\"name\": \"f\"}}, \"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"f\"}}]"})
  void refusesWhatItDoesNotKnow(String name, String value) {
    HttpResponse<String> answer = Http.chat(server, question("\"" + name + "\": " + value));
    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(400);
    assertThat(Http.error(answer).get("param").stringValue()).startsWith(name);
    assertThat(Http.error(answer).get("code").stringValue()).isIn("unknown_parameter", "unsupported_parameter");
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', value = {"messages[0].prefix | {\"role\": \"user\", \"content\": \"x\", \"prefix\": true}",
      "messages[0].refusal | {\"role\": \"user\", \"content\": \"x\", \"refusal\": \"no\"}", "messages[0].tool_call_id | {\"role\": \"user\", \"content\": \"x\", \"tool_call_id\": \"a\"}",
      "messages[0].refusal | {\"role\": \"assistant\", \"content\": \"x\", \"refusal\": \"no\"}", "messages[0].reasoning | {\"role\": \"user\", \"content\": \"x\", \"reasoning\": \"no\"}",
      "messages[0].tool_calls | {\"role\": \"user\", \"content\": \"x\", \"tool_calls\": [{\"id\": \"a\", \"function\": {\"name\": \"f\"}}]}",
      "messages[0].content[0].tex | {\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": \"x\", \"tex\": \"y\"}]}"})
  void refusesWhatAMessageDoesNotHave(String param, String message) {
    HttpResponse<String> answer = Http.chat(server, "{\"messages\": [" + message + "], \"max_tokens\": 8}");
    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(400);
    assertThat(Http.error(answer).get("param").stringValue()).isEqualTo(param);
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', quoteCharacter = '`', value = {"400 | {", "400 | [1", "400 | []", "400 | `null`", "400 | {\"a\": 1, \"a\": 2}", "400 | {} {}",
      "400 | {\"a\": \"\u0001\"}", "400 | {\"seed\": 1e999999999}"})
  void refusesWhatIsNoJson(int status, String body) {
    HttpResponse<String> answer = Http.chat(server, body);
    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(status);
    assertThat(Http.error(answer).get("message").stringValue()).isNotBlank();
  }

  @Test
  void refusesDeepNesting() {
    assertThat(Http.chat(server, "[".repeat(100_000)).statusCode()).isEqualTo(400);
    assertThat(Http.chat(server, "{\"messages\": ".repeat(5000)).statusCode()).isEqualTo(400);
  }

  @Test
  void refusesPicturesThatAreNone() {
    for (String url : List.of("https://example.org/a.png", "file:///etc/passwd", "ftp://127.0.0.1/a", "http://127.0.0.1@example.org/", "data:image/png,abc",
        "data:image/png;base64,", "data:image/png;base64,!!!!", "data:image/png;base64,AAAA", "x", "")) {
      HttpResponse<String> answer = Http.chat(server, withPicture(url));
      assertThat(answer.statusCode()).as(url + answer.body()).isEqualTo(400);
      assertThat(Http.error(answer).get("param").stringValue()).isEqualTo("messages[0].content[0].image_url.url");
    }
  }

  @Test
  void refusesLargePicturesBeforeTheyAreDecoded() {
    byte[] gif = Base64.getDecoder().decode("R0lGODlhAQABAAAAACwAAAAAAQABAAA=");
    gif[6] = gif[7] = gif[8] = gif[9] = (byte) 0x7f; // 32,639 pixels a side
    HttpResponse<String> answer = Http.chat(server, withPicture("data:image/gif;base64," + Base64.getEncoder().encodeToString(gif)));
    assertThat(answer.statusCode()).isEqualTo(400);
    assertThat(Http.error(answer).get("message").stringValue()).contains("more than 100000");
  }

  @Test
  void fetchesPicturesOfHostsThatAreAllowed() throws IOException {
    byte[] scene = Mini.scene(1);
    try (ServerSocket pictures = new ServerSocket(0, 10, InetAddress.getLoopbackAddress())) {
      Thread.ofPlatform().daemon().start(() -> serve(pictures, scene));
      String place = "127.0.0.1:" + pictures.getLocalPort();
      String host = "http://" + place;
      HttpResponse<String> port = Http.chat(server, withPicture(host + "/scene.png"));
      assertThat(Http.error(port).get("message").stringValue()).as("the host, and not all of its ports").contains("host '" + place + "' is not one");
      try (DimpleServer server = Mini.start(Mini.options().imageHosts(Set.of(place)))) {
        assertThat(Http.content(Http.chat(server, withPicture(host + "/scene.png"))))
            .isEqualTo(Http.content(Http.chat(server, withPicture(Mini.dataUrl(scene)))));
        assertThat(Http.chat(server, withPicture(host + "/elsewhere")).statusCode()).isEqualTo(400);
      }
      try (DimpleServer server = Mini.start(Mini.options().imageHosts(Set.of(place)).maxBodyBytes(scene.length * 3L / 2))) {
        String part = "{\"type\": \"image_url\", \"image_url\": {\"url\": \"" + host + "/scene.png\"}}";
        HttpResponse<String> two = Http.chat(server, "{\"messages\": [{\"role\": \"user\", \"content\": [" + part + ", " + part + "]}]}");
        assertThat(Http.error(two).get("message").stringValue()).as("all pictures together")
            .contains("messages[0].content[1].image_url.url: has more than " + scene.length / 2 + " bytes, what the request's other pictures leave");
      }
    }
  }

  /** A picture at /scene.png, and redirections to it elsewhere. */
  private static void serve(ServerSocket pictures, byte[] scene) {
    while (!pictures.isClosed()) {
      try (Socket client = pictures.accept()) {
        BufferedReader lines = new BufferedReader(new InputStreamReader(client.getInputStream(), StandardCharsets.US_ASCII));
        boolean found = lines.readLine().startsWith("GET /scene.png ");
        while (!lines.readLine().isEmpty()) {
          // The rest of the head.
        }
        String head = found ? "200 OK\r\nContent-Length: " + scene.length : "302 Found\r\nLocation: /scene.png\r\nContent-Length: 0";
        client.getOutputStream().write(("HTTP/1.1 " + head + "\r\nConnection: close\r\n\r\n").getBytes(StandardCharsets.US_ASCII));
        client.getOutputStream().write(found ? scene : new byte[0]);
      } catch (IOException e) {
        // The test is over.
      }
    }
  }

  @Test
  void resultsStandInTheOrderOfTheirCalls() {
    String call = "{\"id\": \"%s\", \"function\": {\"name\": \"f\", \"arguments\": \"{}\"}}";
    String result = "{\"role\": \"tool\", \"tool_call_id\": \"%1$s\", \"content\": \"of %1$s\"}";
    Fields request = Fields.of(Json.read("{\"messages\": [{\"role\": \"assistant\", \"tool_calls\": [" + call.formatted("b") + ", " + call.formatted("a")
        + "]}, " + result.formatted("a") + ", " + result.formatted("b") + ", {\"role\": \"user\", \"content\": \"x\"}, " + result.formatted("b") + "]}"));
    assertThat(new ChatRequest(null).messages(request)).extracting(message -> message.message().parts())
        .containsExactly(List.of(), text("of b"), text("of a"), text("x"), text("of b"));
  }

  @Test
  void refusalsAreWhatWasSaid() {
    Fields request = Fields.of(Json.read("{\"messages\": [{\"role\": \"assistant\", \"content\": null, \"refusal\": \"no\", \"tool_calls\": []}, {\"role\": \"user\", \"content\": \"x\", \"refusal\": null, "
        + "\"tool_calls\": [], \"tool_call_id\": \"\"}]}"));
    assertThat(new ChatRequest(null).messages(request)).extracting(message -> message.message().parts()).containsExactly(text("no"), text("x"));
  }

  /** Some of the tools, in OpenAI's newer form. */
  @Test
  void someToolsMayBeAllowed() {
    String tools = "\"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"f\"}}, {\"type\": \"function\", \"function\": {\"name\": \"g\"}}]";
    String allowed = "{" + tools + ", \"tool_choice\": {\"type\": \"allowed_tools\", \"allowed_tools\": {\"mode\": \"%s\", \"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"%s\"}}]}}}";
    ToolRequest some = ToolRequest.of(Fields.of(Json.read(allowed.formatted("required", "g"))));
    assertThat(some.told()).hasSize(2);
    assertThat(some.callable()).extracting(Tool::name).containsExactly("g");
    assertThat(some.choice()).isEqualTo(ToolChoice.REQUIRED);
    assertThat(ToolRequest.of(Fields.of(Json.read(allowed.formatted("auto", "f")))).choice()).isEqualTo(ToolChoice.AUTO);
    assertThatThrownBy(() -> ToolRequest.of(Fields.of(Json.read(allowed.formatted("auto", "h"))))).hasMessageContaining("tool_choice.allowed_tools.tools[0].function.name: is 'h', which is none of the tools");
    assertThatThrownBy(() -> ToolRequest.of(Fields.of(Json.read(allowed.formatted("any", "f"))))).hasMessageContaining("tool_choice.allowed_tools.mode: is 'any', expected auto or required");
  }

  /** An answer that comes back brings what was thought before it, which its template may write. */
  @Test
  void thoughtsComeBackWithTheirAnswer() {
    for (String fields : List.of("\"reasoning_content\": \"t\"", "\"reasoning\": \"t\"", "\"reasoning\": \"t\", \"reasoning_content\": \"t\"",
        "\"reasoning\": null, \"reasoning_content\": \"t\"")) {
      Fields request = Fields.of(Json.read("{\"messages\": [{\"role\": \"assistant\", \"content\": \"a\", " + fields + "}]}"));
      assertThat(new ChatRequest(null).messages(request)).as(fields).extracting(message -> message.message().thoughts()).containsExactly("t");
    }
    assertThatThrownBy(() -> new ChatRequest(null).messages(Fields.of(Json.read("{\"messages\": [{\"role\": \"assistant\", \"content\": \"a\", "
        + "\"reasoning\": \"t\", \"reasoning_content\": \"u\"}]}")))).hasMessage("messages[0].reasoning: is another text than reasoning_content");
  }

  private static List<ContentPart> text(String text) {
    return List.of(new ContentPart.Text(text));
  }

  @Test
  void aModelMayHaveAnyName() {
    try (DimpleServer named = Mini.start(Mini.options().model("my model \u00e9"))) {
      assertThat(Json.read(Http.get(named, "/v1/models/my%20model%20%C3%A9")).get("id").stringValue()).isEqualTo("my model \u00e9");
    }
  }

  @Test
  void waitsAsLongAsThereIs() {
    DimpleServer patient = Mini.start(Mini.options().timeout(Duration.ofSeconds(Long.MAX_VALUE)).graceTime(Duration.ofSeconds(Long.MAX_VALUE)));
    assertThat(Http.chat(patient, question("")).statusCode()).isEqualTo(200);
    patient.close();
  }

  @Test
  void keepsStructures() {
    assertThat(Http.content(Http.chat(server, question("\"response_format\": {\"type\": \"regex\", \"regex\": \"[ab]{3}[0-9]\"}")))).matches("[ab]{3}[0-9]");
    assertThat(Http.content(Http.chat(server, question("\"response_format\": {\"type\": \"choice\", \"choice\": [\"yes\", \"no\"]}")))).isIn("yes", "no");
    HttpResponse<String> object = Http.chat(server, question("\"response_format\": {\"type\": \"json_object\"}"));
    assertThat(Json.read(Http.content(object)).isObject()).isTrue();
    assertThat(Json.read(object.body()).get("choices").get(0).get("finish_reason").stringValue()).isEqualTo("stop");
  }

  @Test
  void fillsTemplates() {
    try (Session session = Mini.MODEL.session().user("x").response(Template.of("A ", Template.slot(2), " circle")).open()) {
      Generation direct = session.decode(Mini.MODEL.decoding());
      assertThat(Http.content(Http.chat(server, question("\"diffusion\": {\"template\": [\"A \", 2, \" circle\"]}")))).isEqualTo(direct.text());
    }
    assertThat(Http.content(Http.chat(server, question("\"diffusion\": {\"prefix\": \"Well, \", \"suffix\": \" indeed.\"}"))))
        .startsWith("Well, ").endsWith(" indeed.");
  }

  /** Events of a stream: name or "", and data. */
  private record Event(String name, String data) {}

  private static List<Event> events(String stream) {
    List<Event> events = new ArrayList<>();
    for (String event : stream.split("\n\n")) {
      String name = event.startsWith("event: ") ? event.substring(7, event.indexOf('\n')) : "";
      events.add(new Event(name, event.substring(event.indexOf("data: ") + 6)));
    }
    return events;
  }

  @Test
  void tellsEveryIteration() {
    String body = withPicture(Mini.dataUrl(Mini.scene(2))).replaceFirst("\\{",
        "{\"stream\": true, \"n\": 2, \"temperature\": 1, \"diffusion\": {\"events\": true, \"threshold\": 0, \"steps\": 8}, ");
    List<Event> events = events(Http.chat(server, body).body());
    assertThat(events.getLast().data()).isEqualTo("[DONE]");
    for (int choice = 0; choice < 2; choice++) {
      int index = choice;
      List<JsonNode> all = events.subList(0, events.size() - 1).stream().map(event -> Json.read(event.data())).filter(node -> node.has("iteration")
          ? node.get("index").intValue() == index : node.get("choices").get(0).get("index").intValue() == index).toList();
      List<JsonNode> canvases = all.stream().filter(node -> node.has("iteration")).toList();
      assertThat(canvases).hasSizeBetween(2, 8);
      int remaining = 64;
      for (JsonNode canvas : canvases) {
        List<JsonNode> pieces = StreamSupport.stream(canvas.get("pieces").spliterator(), false).toList();
        assertThat(pieces).hasSize(64);
        assertThat(pieces.stream().filter(JsonNode::isNull)).hasSize(canvas.get("remaining").intValue());
        assertThat(canvas.get("remaining").intValue()).isLessThan(remaining);
        remaining = canvas.get("remaining").intValue();
        for (JsonNode position : canvas.get("revealed")) {
          assertThat(canvas.get("confidence").get(position.intValue()).doubleValue()).isBetween(0.0, 1.0);
        }
      }
      assertThat(canvases.getLast().get("done").booleanValue()).isTrue();
      // What stays is sent as it comes: the text joined of the parts is the whole, and none of it is taken back.
      String text = String.join("", all.stream().filter(node -> node.has("choices")).map(node -> node.get("choices").get(0).get("delta").get("content"))
          .filter(content -> content != null && content.isString()).map(JsonNode::stringValue).toList());
      assertThat(text).startsWith(canvases.get(canvases.size() - 2).get("stable").stringValue()).isEqualTo(canvases.getLast().get("stable").stringValue());
    }
  }

  @Test
  void sendsTheFirstTextBeforeTheLastIteration() {
    String body = withPicture(Mini.dataUrl(Mini.scene(2))).replaceFirst("\\{",
        "{\"stream\": true, \"diffusion\": {\"events\": true, \"threshold\": 0, \"algorithm\": \"autoregressive\"}, ");
    List<String> kinds = events(Http.chat(server, body).body()).stream().map(event -> event.data().contains("\"done\":true") ? "last"
        : event.data().contains("\"content\":\"A\"") ? "text" : "").filter(kind -> !kind.isEmpty()).toList();
    assertThat(kinds).containsSubsequence("text", "last");
  }

  @Test
  void answersTheSameFromTheCache() {
    String body = withPicture(Mini.dataUrl(Mini.scene(3))).replaceFirst("\\{", "{\"temperature\": 1, \"seed\": 9, \"diffusion\": {\"threshold\": 0.8}, ");
    try (DimpleServer without = Mini.start(Mini.options().cacheBytes(0))) {
      HttpResponse<String> fresh = Http.chat(without, body);
      assertThat(Json.read(fresh.body()).get("usage").get("prompt_tokens_details").get("cached_tokens").intValue()).isZero();
      Http.chat(server, withPicture(Mini.dataUrl(Mini.scene(3)))); // with other settings
      HttpResponse<String> cached = Http.chat(server, body);
      assertThat(Json.read(cached.body()).get("usage").get("prompt_tokens_details").get("cached_tokens").intValue()).isPositive();
      assertThat(Http.content(cached)).isEqualTo(Http.content(fresh));
      assertThat(Http.metric(server, "dimple_prefill_cache_total{result=\"hit\"}")).isPositive();
    }
  }

  /** A fixed text that reads as the schema does that another request has in its place. */
  @Test
  void shapesOfOtherKindsAreOthersToTheCache() {
    String fixed = "\"diffusion\": {\"template\": [\"true\"]}";
    String schema = "\"response_format\": {\"type\": \"json_schema\", \"json_schema\": {\"schema\": true}}";
    try (DimpleServer kept = Mini.start(Mini.options()); DimpleServer without = Mini.start(Mini.options().cacheBytes(0))) {
      for (String shape : List.of(fixed, schema, fixed)) {
        assertThat(Http.content(Http.chat(kept, question(shape)))).isEqualTo(Http.content(Http.chat(without, question(shape))));
      }
      assertThat(Http.metric(kept, "dimple_prefill_cache_total{result=\"hit\"}")).isEqualTo(1);
    }
  }

  @Test
  void seesAPictureOnce() {
    try (DimpleServer kept = Mini.start(Mini.options()); DimpleServer without = Mini.start(Mini.options().cacheBytes(0))) {
      for (String text : List.of("Describe this image.", "How many shapes are there?", "What is the background?")) {
        for (int scene = 6; scene <= 8; scene++) {
          String body = withPicture(Mini.dataUrl(Mini.scene(scene))).replace("Describe this image.", text);
          assertThat(Http.content(Http.chat(kept, body))).isEqualTo(Http.content(Http.chat(without, body)));
        }
      }
      assertThat(Http.metric(kept, "dimple_feature_cache_total{result=\"miss\"}")).isEqualTo(3);
      assertThat(Http.metric(kept, "dimple_feature_cache_total{result=\"hit\"}")).isEqualTo(6);
      assertThat(Http.metric(kept, "dimple_feature_cache_bytes")).isPositive();
      assertThat(Http.metric(without, "dimple_feature_cache_total{result=\"hit\"}")).isZero();
    }
  }

  @Test
  void keepsNoMoreThanItsBytes() {
    try (DimpleServer small = Mini.start(Mini.options().cacheBytes(12 << 20))) {
      for (int scene = 1; scene <= 5; scene++) {
        Http.chat(small, withPicture(Mini.dataUrl(Mini.scene(scene))));
      }
      assertThat(Http.metric(small, "dimple_prefill_cache_bytes")).isBetween(1L, 6L << 20);
      assertThat(Http.metric(small, "dimple_prefill_cache_sessions")).isBetween(1L, 4L);
    }
  }

  @Test
  void tellsWhatItServes() {
    assertThat(Json.read(Http.get(server, "/health")).get("status").stringValue()).isEqualTo("ok");
    JsonNode model = Json.read(Http.get(server, "/v1/models/" + Mini.NAME));
    assertThat(model.get("id").stringValue()).isEqualTo(Mini.NAME);
    assertThat(model.get("dimple").get("max_tokens").intValue()).isEqualTo(model.get("dimple").get("context_length").intValue()); // what is taken
    assertThat(Http.get(server, "/metrics").getBytes(StandardCharsets.UTF_8).length).isPositive();
    assertThat(Http.get(server, "/metrics")).contains("# TYPE dimple_step_seconds histogram", "dimple_step_seconds_bucket{le=\"+Inf\"}");
  }
}
