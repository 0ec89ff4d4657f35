package io.github.dimple4j.examples.spark;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.dimple4j.DimpleModel;
import io.github.dimple4j.Image;
import io.github.dimple4j.InvalidArgumentException;
import io.github.dimple4j.structure.RefusedSchemaException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaSparkContext;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Spark in this Java machine, with two tasks at a time, on pictures of the bundled model's kind. */
class DescribePicturesTest {
  private static final Path ROOT = Path.of("../..");
  private static final Path MODEL = ROOT.resolve("models/mini/dimple-mini-f16.gguf");
  private static final String QUESTION = "Describe this image.";

  @TempDir Path folder;

  private Path pictures;
  private Path output;

  @Test
  void eachPictureIsAskedAboutOnce() throws IOException {
    pictures = Files.createDirectories(folder.resolve("pictures"));
    output = folder.resolve("answers");
    for (int i = 1; i <= 6; i++) {
      copy(i, i < 4 ? "" : "below/");
    }
    Files.writeString(pictures.resolve("broken.png"), "no picture");
    Files.writeString(pictures.resolve("notes.txt"), "no picture either");
    SparkConf conf = new SparkConf().setMaster("local[2]").setAppName("test").set("spark.ui.enabled", "false").set("spark.driver.bindAddress", "127.0.0.1")
        .set("spark.driver.host", "127.0.0.1").set("spark.local.dir", folder.resolve("spark").toString());
    try (JavaSparkContext spark = new JavaSparkContext(conf); DimpleModel model = DimpleModel.load(MODEL)) {
      spark.setLogLevel("WARN");
      assertThat(run(spark)).isEqualTo(7);
      assertThat(SharedModel.loaded()).as("tasks share the model").isEqualTo(1);
      Map<String, JsonNode> answers = answers();
      assertThat(answers.keySet()).hasSize(7);
      for (int i = 1; i <= 6; i++) {
        JsonNode line = answers.get(name(i));
        String direct = model.ask(QUESTION, Image.read(ROOT.resolve("docs/images/" + name(i)))).text();
        assertThat(line.get("answer").stringValue()).isEqualTo(direct);
        assertThat(line.get("finish").stringValue()).isEqualTo("END_OF_TEXT");
        assertThat(line.get("iterations").intValue()).isPositive();
      }
      assertThat(answers.get("broken.png").get("error").stringValue()).contains("broken.png");
      assertThat(answers.get("broken.png").has("answer")).isFalse();

      // Again, after one picture more came, one result was lost, and a task was killed while it wrote.
      assertThat(run(spark)).isZero();
      copy(7, "");
      Path lost = parts().filter(part -> text(part).contains(name(1))).findFirst().orElseThrow();
      int inIt = Files.readAllLines(lost).size();
      Files.delete(lost);
      Files.writeString(output.resolve("_unfinished-x-1"), "{\"picture\": \"half a li");
      assertThat(run(spark)).isEqualTo(1 + inIt);
      assertThat(answers().keySet()).hasSize(8).containsAll(answers.keySet()).contains(name(7));
      assertThat(answers().get(name(1)).get("answer")).isEqualTo(answers.get(name(1)).get("answer"));
      assertThat(SharedModel.loaded()).isEqualTo(1);

      holdsAnswers(spark);
      output = folder.resolve("answers");
      Files.writeString(output.resolve("part-x.jsonl"), "not ours\n");
      assertThatThrownBy(() -> run(spark)).hasMessageEndingWith("part-x.jsonl has a line that is none of this program's");
    }
  }

  private void holdsAnswers(JavaSparkContext spark) throws IOException {
    Path schema = Files.writeString(folder.resolve("schema.json"), "{\"type\": \"object\", \"properties\": {\"background\": {\"enum\": [\"white\", \"gray\", "
        + "\"black\", \"brown\"]}, \"shapes\": {\"type\": \"integer\"}}, \"required\": [\"background\", \"shapes\"]}");
    output = folder.resolve("objects");
    assertThat(run(spark, "--schema", schema.toString(), "--question", "Summarize the image as JSON.", "--max-new-tokens", "32")).isEqualTo(8);
    assertThat(answers().get(name(1)).get("answer").get("background").stringValue()).isEqualTo("white");
    assertThatThrownBy(() -> run(spark, "--question", "Another?")).isInstanceOf(InvalidArgumentException.class).hasMessageContaining("take another folder");
    assertThatThrownBy(() -> run(spark, "--schema", Files.writeString(schema, "{\"type\": 7}").toString())).isInstanceOf(RefusedSchemaException.class);
  }

  private long run(JavaSparkContext spark, String... more) throws IOException {
    return DescribePictures.run(spark, Stream.concat(Stream.of(MODEL.toString(), pictures.toString(), output.toString(), "--batch", "2"), Stream.of(more))
        .toArray(String[]::new));
  }

  private static String name(int number) {
    return "scene-%02d.png".formatted(number);
  }

  private void copy(int number, String below) throws IOException {
    Path to = pictures.resolve(below + name(number));
    Files.createDirectories(to.getParent());
    Files.copy(ROOT.resolve("docs/images/" + name(number)), to);
  }

  private Stream<Path> parts() throws IOException {
    try (Stream<Path> files = Files.list(output)) {
      return files.filter(file -> file.getFileName().toString().matches("part-.*\\.jsonl")).toList().stream();
    }
  }

  private static String text(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** By the pictures' names; that there are two of one fails. */
  private Map<String, JsonNode> answers() throws IOException {
    List<JsonNode> lines = parts().flatMap(part -> text(part).lines()).map(JsonMapper.shared()::readTree).toList();
    return lines.stream().collect(Collectors.toMap(line -> {
      String path = line.get("picture").stringValue();
      return path.substring(path.lastIndexOf('/') + 1);
    }, Function.identity()));
  }
}
