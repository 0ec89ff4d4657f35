package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.github.dimple4j.cli.InProcess;
import io.github.dimple4j.gguf.GgufException;
import io.github.dimple4j.gguf.GgufFile;
import io.github.dimple4j.gguf.TensorType;
import io.github.dimple4j.gguf.tools.Converter;
import io.github.dimple4j.gguf.tools.Quantization;
import io.github.dimple4j.server.DimpleServer;
import io.github.dimple4j.server.ServerOptions;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A model that denoises canvases, with its tower beside it, as users convert, run and serve it: how it is decoded, its checkpoint says. */
class CanvasCommandTest {
  private static final Path CHECKPOINT = Path.of("goldens/diffusion-gemma-clipped");
  private static final Path PICTURE = CHECKPOINT.resolve("picture_0.png");
  private static final int STEPS = 3;
  private static final String GENERATION = """
      {"max_denoising_steps": 3, "t_min": 0.25, "t_max": 0.5, "stability_threshold": 0, "confidence_threshold": 1e-9,
       "sampler_config": {"_cls_name": "EntropyBoundSamplerConfig", "entropy_bound": 0.75}}""";
  private static final JsonMapper JSON = new JsonMapper();

  @TempDir static Path folder;
  private static String model;
  private static String tower;

  @BeforeAll
  static void convert() throws IOException {
    Path converted = convert(GENERATION, "model.gguf");
    model = converted.toString();
    tower = folder.resolve("mmproj.gguf").toString();
    Converter.of(folder.resolve("model.gguf.checkpoint")).to(Quantization.of(TensorType.F32.toString()).orElseThrow()).mmproj(true).write(Path.of(tower));
  }

  private static Path convert(String generation, String name) throws IOException {
    Path checkpoint = Files.createDirectories(folder.resolve(name + ".checkpoint"));
    for (String part : List.of("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "processor_config.json")) {
      Files.copy(CHECKPOINT.resolve(part), checkpoint.resolve(part));
    }
    Files.writeString(checkpoint.resolve("generation_config.json"), generation);
    Path file = folder.resolve(name);
    Converter.of(checkpoint).to(Quantization.of(TensorType.F32.toString()).orElseThrow()).write(file);
    return file;
  }

  private static JsonNode traced(String... more) throws IOException {
    Path json = Files.createTempFile(folder, "trace", ".json");
    Outcome outcome = InProcess.dimple(Stream.concat(Stream.of("trace", model, "--mmproj", tower, "--prompt", "a cat", "--max-new-tokens", "20", "--threads",
        "1", "--json", json.toString()), Stream.of(more)).toArray(String[]::new));
    assertThat(outcome.err()).isEmpty();
    return JSON.readTree(json);
  }

  @Test
  void theCheckpointsSettingsAreTheCommandsDefaults() throws IOException {
    JsonNode settings = traced().path("settings");
    assertThat(settings.path("pipeline").asString()).isEqualTo(Pipeline.DIFFUSION_GEMMA.label());
    assertThat(settings.path("steps").asInt()).isEqualTo(STEPS);
    assertThat(settings.path("t_min").asDouble()).isEqualTo(0.25);
    assertThat(settings.path("t_max").asDouble()).isEqualTo(0.5);
    assertThat(settings.path("gamma").asDouble()).isEqualTo(0.75);
    assertThat(settings.path("stability_threshold").asInt()).isZero();
    assertThat(settings.path("confidence_threshold").asDouble()).isBetween(0.9e-9, 1.1e-9);
    assertThat(traced("--steps", "2", "--t-max", "0.75").path("settings").path("steps").asInt()).isEqualTo(2); // options go before
  }

  @Test
  void aPictureIsPartOfThePrompt() throws IOException {
    JsonNode blind = traced();
    JsonNode seeing = traced("--image", PICTURE.toString());
    assertThat(seeing.path("prompt_tokens").size()).isGreaterThan(blind.path("prompt_tokens").size());
    Outcome outcome = InProcess.dimple("run", model, "--mmproj", tower, "--image", PICTURE.toString(), "--prompt", "a cat", "--max-new-tokens", "20");
    assertThat(outcome.status()).as(outcome.err()).isZero();
    Outcome alone = InProcess.dimple("run", model, "--image", PICTURE.toString(), "--prompt", "a cat", "--max-new-tokens", "20");
    assertThat(alone.status()).isEqualTo(1);
    assertThat(alone.err()).contains("has no vision tower");
  }

  @Test
  void theServersDefaultsAreTheFiles() throws IOException, InterruptedException {
    String picture = "data:image/png;base64," + Base64.getEncoder().encodeToString(Files.readAllBytes(PICTURE));
    try (DimpleModel loaded = DimpleModel.load(Path.of(model), ModelOptions.builder().mmproj(Path.of(tower)).build());
        DimpleServer server = DimpleServer.start(loaded, ServerOptions.builder().port(0).build());
        HttpClient client = HttpClient.newHttpClient()) {
      List<Integer> iterations = new ArrayList<>();
      for (String more : List.of("", ", \"diffusion\": {\"steps\": 2}")) {
        String body = "{\"max_tokens\": 10, \"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": \"a cat\"}, "
            + "{\"type\": \"image_url\", \"image_url\": {\"url\": \"" + picture + "\"}}]}]" + more + "}";
        HttpResponse<String> answer = client.send(HttpRequest.newBuilder(URI.create(server.address() + "/v1/chat/completions"))
            .header("Content-Type", "application/json").POST(HttpRequest.BodyPublishers.ofString(body)).build(), HttpResponse.BodyHandlers.ofString());
        assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
        iterations.add(JSON.readTree(answer.body()).path("usage").path("diffusion").path("iterations").asInt());
      }
      assertThat(iterations).containsExactly(STEPS, 2);
    }
  }

  /** What conversion leaves out has the library's default. */
  @Test
  void aCheckpointThatSaysNothingHasTheLibrarysDefaults() throws IOException {
    Path file = convert("{}", "plain.gguf");
    try (GgufFile plain = GgufFile.open(file); DimpleModel loaded = DimpleModel.load(file)) {
      assertThat(plain.metadata().keySet()).noneMatch(key -> key.startsWith("diffusion.eb_"));
      assertThat(loaded.decoding().tMax()).isEqualTo(0.8f);
      assertThat(loaded.decoding().gamma()).isEqualTo(0.1f);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"{\"max_denoising_steps\": 0}", "{\"t_min\": -1}", "{\"t_max\": \"hot\"}", "{\"stability_threshold\": -1}",
      "{\"sampler_config\": {\"_cls_name\": \"OtherSamplerConfig\"}}", "{\"sampler_config\": {\"entropy_bound\": 0}}"})
  void settingsThatCannotBeAreRefused(String generation) {
    String key = generation.replaceAll("\\{\"(\\w+)\".*", "$1");
    assertThatExceptionOfType(GgufException.class).isThrownBy(() -> convert(generation, "bad" + generation.hashCode() + ".gguf"))
        .withMessageContaining("generation_config.json").withMessageContaining(key);
  }
}
