package io.github.dimple4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A file that a command reads is not replaced by what the command writes, however both are named: an answer in a model's place would be its end. */
class OverwrittenInputsTest {
  private static final Path BUNDLED = Path.of("../models/mini/dimple-mini-f16.gguf").toAbsolutePath().normalize();
  private static final Path SCENE = Path.of("../docs/images/scene.png").toAbsolutePath().normalize();

  @TempDir private Path folder;
  private String model;
  private String picture;
  private String ids;
  private String answer;
  private String prompt;
  private String schema;
  private String template;
  private String questions;
  private String lines;

  @BeforeEach
  void makeInputs() throws IOException {
    model = Files.copy(BUNDLED, folder.resolve("model.gguf")).toString();
    picture = Files.copy(SCENE, folder.resolve("picture.png")).toString();
    ids = write("ids.json", "[1, 2]");
    answer = write("answer.json", "[3]");
    prompt = write("prompt.txt", "hi");
    schema = write("schema.json", "{\"type\": \"integer\"}");
    template = write("template.jinja", "{{ messages[0].content }}");
    questions = write("questions.jsonl", "{\"image\": \"picture.png\", \"task\": \"count\", \"question\": \"?\", \"answer\": \"1\"}\n");
    lines = write("lines.jsonl", "{\"prompt\": \"hi\"}\n");
  }

  private String write(String name, String text) throws IOException {
    return Files.writeString(folder.resolve(name), text).toString();
  }

  private void assertRefused(String file, String names, String... arguments) throws IOException {
    byte[] before = Files.readAllBytes(Path.of(file));
    Output output = Output.of(arguments);
    assertThat(Files.readAllBytes(Path.of(file))).as(String.join(" ", arguments)).isEqualTo(before);
    assertThat(output.err()).contains(": is both " + names);
    assertThat(output.status()).isEqualTo(2);
    try (Stream<Path> left = Files.list(folder)) {
      assertThat(left).hasSizeLessThanOrEqualTo(11);
    }
  }

  @Test
  void whatIsReadIsNotReplaced() throws IOException {
    assertRefused(model, "MODEL.gguf and --json", "trace", model, "--prompt", "hi", "--max-new-tokens", "2", "--json", model);
    assertRefused(model, "MODEL.gguf and --html", "trace", model, "--prompt", "hi", "--max-new-tokens", "2", "--html", model);
    assertRefused(picture, "--image and --html", "trace", model, "--prompt", "hi", "--image", picture, "--max-new-tokens", "2", "--html", picture);
    assertRefused(ids, "--ids-file and --json", "trace", model, "--ids-file", ids, "--max-new-tokens", "2", "--json", ids);
    assertRefused(prompt, "--prompt-file and --json", "trace", model, "--prompt-file", prompt, "--max-new-tokens", "2", "--json", prompt);
    assertRefused(template, "--chat-template and --json", "trace", model, "--prompt", "hi", "--chat-template", template, "--json", template);
    assertRefused(schema, "--json-schema and --json", "trace", model, "--prompt", "hi", "--json-schema", schema, "--json", schema);
    assertRefused(ids, "--ids-file and --json", "logits", model, "--ids-file", ids, "--json", ids);
    assertRefused(model, "MODEL.gguf and --json", "logits", model, "--ids-file", ids, "--json", model);
    assertRefused(answer, "--answer-ids-file and --json", "score", model, "--ids-file", ids, "--answer-ids-file", answer, "--json", answer);
    assertRefused(model, "MODEL.gguf and --json", "bench", model, "--rows", "2", "--repeat", "1", "--prompt-tokens", "2", "--json", model);
    assertRefused(questions, "QUESTIONS.jsonl and --json", "eval", questions, model, "--json", questions);
    assertRefused(lines, "IN.jsonl and --output", "batch", lines, model, "-o", lines, "--force");
    assertRefused(model, "MODEL.gguf and --output", "batch", lines, model, "-o", model, "--force");
  }

  @Test
  void anotherNameOfAnInputIsTheInput() throws IOException {
    Path link = Files.createSymbolicLink(folder.resolve("link.gguf"), Path.of("model.gguf"));
    assertRefused(model, "MODEL.gguf and --json", "logits", model, "--ids-file", ids, "--json", link.toString());
    assertRefused(model, "MODEL.gguf and --json", "logits", model, "--ids-file", ids, "--json", folder.resolve("x/../model.gguf").toString().replace("x/../", "./"));
  }

  @Test
  void theModelThatIsNotNamedIsReadToo() throws IOException {
    String before = System.getProperty("dimple.model");
    System.setProperty("dimple.model", model);
    try {
      assertRefused(model, "the model and --json", "eval", questions, "--json", model);
      assertRefused(model, "the model and --output", "batch", lines, "-o", model, "--force");
    } finally {
      if (before == null) {
        System.clearProperty("dimple.model");
      } else {
        System.setProperty("dimple.model", before);
      }
    }
  }

  @Test
  void twoOutputsAreTwoFiles() {
    String page = folder.resolve("page.html").toString();
    Output output = Output.of("trace", model, "--prompt", "hi", "--max-new-tokens", "2", "--json", page, "--html", page);
    assertThat(output.err()).contains("page.html: is both --html and --json");
    assertThat(output.status()).isEqualTo(2);
    assertThat(Path.of(page)).doesNotExist();
  }

  @Test
  void otherOutputsAreWritten() {
    Path json = folder.resolve("out.json");
    for (int run = 0; run < 2; run++) { // the second replaces what is no input
      assertThat(Output.of("logits", model, "--ids-file", ids, "--json", json.toString()).status()).isZero();
    }
    assertThat(json).isNotEmptyFile();
  }
}
