package io.github.dimple4j.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.PrintStream;
import java.io.StringWriter;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import javax.tools.JavaCompiler;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What README and docs/serving.md say to type does what they say. */
class ExamplesTest {
  private static final Path ROOT = Path.of("..");
  private static final String HERE = "127.0.0.1:8080";
  private static final String SCENE = "A white background with";

  private static final Map<String, String> IMPORTS = Map.of("client", """
      import com.openai.client.OpenAIClient;
      import com.openai.client.okhttp.OpenAIOkHttpClient;
      import com.openai.core.JsonValue;
      import com.openai.core.http.StreamResponse;
      import com.openai.models.chat.completions.*;
      """, "spring", """
      import org.springframework.ai.chat.messages.UserMessage;
      import org.springframework.ai.chat.prompt.Prompt;
      import org.springframework.ai.content.Media;
      import org.springframework.ai.openai.*;
      import org.springframework.core.io.FileSystemResource;
      import org.springframework.util.MimeTypeUtils;
      """, "langchain4j", """
      import dev.langchain4j.data.message.*;
      import dev.langchain4j.model.chat.*;
      import dev.langchain4j.model.openai.OpenAiChatModel;
      """);

  private static final String PROGRAM = """
      %s
      import java.nio.file.*;
      import java.util.*;

      public class Example {
        public static void main(String[] arguments) throws Exception {
      %s
        }
      }
      """;

  @TempDir private static Path folder;
  private static DimpleServer server;

  @BeforeAll
  static void start() {
    server = Mini.start(Mini.options());
  }

  @AfterAll
  static void stop() {
    server.close();
  }

  private static List<String> blocks(String page, String language) {
    try {
      return Pattern.compile("(?ms)^```" + language + "\\n(.*?)^```$").matcher(Files.readString(ROOT.resolve(page))).results()
          .map(block -> block.group(1).replace(HERE, "127.0.0.1:" + server.port())).toList();
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }

  private static boolean isThere(String program) {
    return Stream.of(System.getenv("PATH").split(File.pathSeparator)).anyMatch(path -> Files.isExecutable(Path.of(path, program)));
  }

  private static String run(String... command) throws IOException, InterruptedException {
    Path output = folder.resolve("output");
    Process process = new ProcessBuilder(command).directory(ROOT.toFile()).redirectOutput(output.toFile())
        .redirectError(folder.resolve("errors").toFile()).start();
    assertThat(process.waitFor(1, TimeUnit.MINUTES)).isTrue();
    assertThat(process.exitValue()).as(Files.readString(folder.resolve("errors"))).isZero();
    return Files.readString(output);
  }

  @Test
  void curl() throws IOException, InterruptedException {
    assumeTrue(isThere("bash") && isThere("curl") && isThere("base64"), "no bash, curl or base64 on the PATH");
    List<String> commands = Stream.of("README.md", "docs/serving.md").flatMap(page -> blocks(page, "sh").stream())
        .filter(block -> block.startsWith("curl")).toList();
    assertThat(commands).hasSize(5);
    for (String command : commands) {
      String answer = run("bash", "-c", command);
      assertThat(answer).doesNotContain("\"error\"");
      if (command.contains("\"stream\"")) {
        assertThat(answer).contains("event: dimple.canvas", "data: [DONE]");
      } else if (command.contains("\"suffix\"")) {
        assertThat(answer).contains("text_completion").doesNotContain("at the top left");
      } else {
        String content = Json.read(answer).get("choices").get(0).get("message").get("content").stringValue();
        assertThat(content).startsWith(command.contains("schema") ? "{\"background\": \"white\"" : SCENE);
      }
    }
  }

  @Test
  void python() throws IOException, InterruptedException {
    assumeTrue(isThere("python3"), "no python3 on the PATH");
    assertThat(blocks("docs/serving.md", "python")).singleElement().satisfies(code ->
        assertThat(run("python3", "-c", code)).startsWith(SCENE));
  }

  @ParameterizedTest
  @ValueSource(strings = {"client", "spring", "langchain4j"})
  void java(String library) throws Exception {
    String code = blocks("docs/serving.md", "java " + library).getFirst().replace("Path.of(\"", "Path.of(\"../");
    if (library.equals("client")) {
      code += "client.close();";
    }
    Path classes = Files.createDirectories(folder.resolve(library));
    Path source = Files.writeString(classes.resolve("Example.java"), PROGRAM.formatted(IMPORTS.get(library), code));
    JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
    StringWriter messages = new StringWriter();
    try (var files = compiler.getStandardFileManager(null, null, StandardCharsets.UTF_8)) {
      assertThat(compiler.getTask(messages, files, null, List.of("-proc:none", "-d", classes.toString(), "-cp", System.getProperty("java.class.path")),
          null, files.getJavaFileObjects(source)).call()).as(messages.toString()).isTrue();
    }
    PrintStream before = System.out;
    ByteArrayOutputStream printed = new ByteArrayOutputStream();
    try (URLClassLoader loader = new URLClassLoader(new URL[] {classes.toUri().toURL()})) {
      System.setOut(new PrintStream(printed, true, StandardCharsets.UTF_8));
      loader.loadClass("Example").getMethod("main", String[].class).invoke(null, (Object) new String[0]);
    } finally {
      System.setOut(before);
    }
    assertThat(printed.toString(StandardCharsets.UTF_8)).startsWith(SCENE);
  }
}
