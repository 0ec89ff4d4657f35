package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.dimple4j.gguf.TensorType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Prompts, pictures and settings that cannot be: one line says what is wrong, and the model is as good as before. */
class OutOfRangeTest {
  private static final Golden ALPHA = Golden.named("alpha"); // 512 token ids, context of 4096
  private static final int CONTEXT = 4096;

  private static DimpleModel model;
  private static int[] answer;

  @TempDir private Path folder;

  @BeforeAll
  static void load() {
    model = ALPHA.load(TensorType.F32, "cpu");
    answer = decode();
  }

  @AfterAll
  static void close() {
    model.close();
  }

  private static int[] decode() {
    try (Session session = ALPHA.imageCase().session(model).responseLength(4).open()) {
      return session.decode(Decoding.builder().earlyStop(false).build()).tokens();
    }
  }

  @AfterEach
  void modelIsAsGoodAsBefore() {
    assertThat(decode()).isEqualTo(answer);
  }

  private static SessionBuilder tokens(int... ids) {
    return model.session().tokens(ids);
  }

  private static void assertRefused(Class<? extends DimpleException> type, SessionBuilder builder, String... parts) {
    assertThatThrownBy(() -> builder.open().close()).isInstanceOf(type).message().doesNotContain("\n")
        .satisfies(message -> assertThat(parts).allSatisfy(part -> assertThat(message).contains(part)));
  }

  @Test
  void promptLongerThanTheContext() {
    int[] ids = IntStream.range(0, CONTEXT).map(i -> i % 100).toArray();
    assertRefused(ContextLimitException.class, tokens(ids).responseLength(1), "4096");
    assertRefused(ContextLimitException.class, tokens(Arrays.copyOf(ids, CONTEXT - 8)).responseLength(9), "4096");
    assertRefused(ContextLimitException.class, tokens(Arrays.copyOf(ids, 20)).contextLength(24).responseLength(5), "24");
    assertRefused(InvalidArgumentException.class, tokens(1).contextLength(CONTEXT + 1), "4097");
    assertRefused(InvalidArgumentException.class, tokens(1).contextLength(-1), "-1");
    tokens(Arrays.copyOf(ids, 20)).contextLength(24).responseLength(4).open().close();
  }

  @ParameterizedTest
  @ValueSource(ints = {-1, 512, Integer.MAX_VALUE, Integer.MIN_VALUE})
  void tokenIdsOutOfRange(int id) {
    assertRefused(InvalidArgumentException.class, tokens(1, id, 2), String.valueOf(id));
    assertRefused(InvalidArgumentException.class, tokens(1).responseLength(4).prior(1, id), String.valueOf(id));
    assertRefused(InvalidArgumentException.class, tokens(1).response(Template.of(Template.tokens(id), Template.slot(1))), String.valueOf(id));
  }

  @Test
  void emptyPrompts() {
    assertRefused(InvalidArgumentException.class, tokens());
    assertRefused(InvalidArgumentException.class, model.session());
  }

  @Test
  void responseLengths() {
    assertRefused(InvalidArgumentException.class, tokens(1).responseLength(0), "0");
    assertRefused(InvalidArgumentException.class, tokens(1).responseLength(-5), "-5");
    for (int length : new int[] {CONTEXT, 1 << 20, Integer.MAX_VALUE}) {
      assertRefused(ContextLimitException.class, tokens(1).responseLength(length), "4096");
    }
    assertRefused(InvalidArgumentException.class, tokens(1).responseLength(4).prior(4, 1), "4");
    assertRefused(InvalidArgumentException.class, tokens(1).responseLength(4).prior(-1, 1), "-1");
    assertRefused(ContextLimitException.class, tokens(1).response(Template.of(Template.slot(Integer.MAX_VALUE), Template.slot(Integer.MAX_VALUE))));
  }

  @Test
  void threads() {
    assertRefused(InvalidArgumentException.class, tokens(1).threads(-1), "-1");
    tokens(1).threads(1000).open().close();
    assertThatThrownBy(() -> DimpleModel.load(ALPHA.file(TensorType.F32), ModelOptions.builder().threads(-1).build()))
        .isInstanceOf(InvalidArgumentException.class).hasMessageContaining("-1");
  }

  @ParameterizedTest
  @MethodSource("decodings")
  void settingsOutOfRange(String name, UnaryOperator<Decoding.Builder> change) {
    assertThatThrownBy(() -> change.apply(Decoding.builder()).build()).isInstanceOf(InvalidArgumentException.class)
        .message().doesNotContain("\n").contains(name);
  }

  static Stream<Arguments> decodings() {
    Stream<Arguments> steps = IntStream.of(0, -1, Integer.MIN_VALUE, Integer.MAX_VALUE)
        .mapToObj(value -> Arguments.of("steps", (UnaryOperator<Decoding.Builder>) d -> d.steps(value)));
    Stream<Arguments> topK = Stream.of(Arguments.of("top_k", (UnaryOperator<Decoding.Builder>) d -> d.topK(-1)));
    Stream<Arguments> floats = Stream.of(Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY, -0.5f).flatMap(value -> Map
        .<String, UnaryOperator<Decoding.Builder>>of("threshold", d -> d.threshold(value), "temperature", d -> d.temperature(value), "top_p",
            d -> d.topP(value), "algorithm_temperature", d -> d.algorithmTemperature(value), "epsilon", d -> d.epsilon(value))
        .entrySet().stream().map(entry -> Arguments.of(entry.getKey(), entry.getValue())));
    Stream<Arguments> others = Stream.of(Arguments.of("top_p", (UnaryOperator<Decoding.Builder>) d -> d.topP(1.5f)),
        Arguments.of("epsilon", (UnaryOperator<Decoding.Builder>) d -> d.epsilon(0)), Arguments.of("epsilon", (UnaryOperator<Decoding.Builder>) d -> d.epsilon(1)),
        Arguments.of("origin", (UnaryOperator<Decoding.Builder>) d -> d.pipeline(Pipeline.DREAM).algorithm(Algorithm.ORIGIN_RATIO)));
    return Stream.of(steps, topK, floats, others).flatMap(arguments -> arguments);
  }

  @Test
  void picturesThatTheVisionTowerCannotTake() {
    for (int[] size : new int[][] {{1, 1}, {20000, 10}, {10, 20000}, {27, 100}, {8000, 30}}) {
      Image image = Image.rgb(new byte[3 * size[0] * size[1]], size[0], size[1]);
      assertThatThrownBy(() -> model.imageGrid(size[0], size[1])).isInstanceOf(InvalidArgumentException.class)
          .message().doesNotContain("\n").contains(String.valueOf(size[0]), String.valueOf(size[1]));
      assertRefused(InvalidArgumentException.class, model.session().tokens(ALPHA.imageCase().prompt(), image), String.valueOf(size[0]));
    }
    for (int[] size : new int[][] {{0, 10}, {-1, 10}, {Integer.MAX_VALUE, 28}, {10, Integer.MIN_VALUE}}) {
      assertThatThrownBy(() -> model.imageGrid(size[0], size[1])).isInstanceOf(InvalidArgumentException.class);
    }
  }

  @Test
  void placeholdersAndPicturesThatDisagree() {
    Golden.Case prompt = ALPHA.imageCase();
    Image image = prompt.images().getFirst();
    assertRefused(InvalidArgumentException.class, model.session().tokens(prompt.prompt()), "image");
    assertRefused(InvalidArgumentException.class, model.session().tokens(prompt.prompt(), image, image), "image");
    assertRefused(InvalidArgumentException.class, tokens(1, 2, 3, 4).tokens(new int[] {1, 2}, image), "image");
    assertRefused(InvalidArgumentException.class, model.session().tokens(prompt.prompt(), Image.rgb(new byte[3 * 100 * 100], 100, 100)));
  }

  @Test
  void pictureWithoutAVisionTower() throws IOException {
    Path blind = RewrittenFile.of(ALPHA.file(TensorType.F32)).text("dimple").write(folder.resolve("text-model.gguf"));
    try (DimpleModel text = DimpleModel.load(blind)) {
      assertThat(text.info().hasVision()).isFalse();
      assertRefused(UnsupportedException.class, text.session().tokens(ALPHA.imageCase().prompt(), ALPHA.images().getFirst()), "vision tower");
    }
  }

  @Test
  void filesThatAreNoPictures() throws IOException {
    Path text = Files.writeString(folder.resolve("text.png"), "This is not a picture.");
    byte[] png = Files.readAllBytes(ALPHA.folder().resolve("image_0.png"));
    Path cut = Files.write(folder.resolve("cut.png"), Arrays.copyOf(png, png.length / 2));
    Path empty = Files.write(folder.resolve("empty.jpg"), new byte[0]);
    for (Path file : new Path[] {text, cut, empty, folder, folder.resolve("missing.png")}) {
      assertThatThrownBy(() -> Image.read(file)).isInstanceOf(ImageException.class).message().contains(file.toString()).doesNotContain("\n");
    }
  }

  @Test
  void textWithoutATokenizer() {
    assertRefused(NoTokenizerException.class, model.session().user("What is this?"), "tokenizer");
    assertRefused(NoTokenizerException.class, model.session().prompt("What is this?"), "tokenizer");
  }

  @Test
  void backendsThatAreNotThere() {
    for (String backend : new String[] {"", "gpu", "cpu-", "cpu-mmx", "REF"}) {
      assertThatThrownBy(() -> ALPHA.load(TensorType.F32, backend)).isInstanceOfAny(UnsupportedException.class, InvalidArgumentException.class)
          .message().contains("\"" + backend + "\"", "cpu-plain", "ref").doesNotContain("\n");
    }
  }
}
