package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.StringWriter;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import javax.tools.JavaCompiler;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The Java of README, docs and Javadoc compiles and runs, each snippet as the body of a method. What a snippet takes for granted is a field
 * or method of {@link #PRELUDE}; for files that nobody has here the bundled model, one of its pictures and a small checkpoint stand in.
 */
class SnippetsTest {
  private static final Path ROOT = Path.of("..");
  private static final String PRELUDE = """
      import io.github.dimple4j.*;
      import io.github.dimple4j.gguf.*;
      import io.github.dimple4j.gguf.tools.*;
      import io.github.dimple4j.server.*;
      import io.github.dimple4j.structure.*;
      import java.nio.file.Path;
      import java.util.*;
      import java.util.concurrent.*;
      import java.util.stream.*;
      import static io.github.dimple4j.Template.*;

      public class %s implements AutoCloseable {
        record Animal(String name, Optional<Integer> legs) {}

        final Path path = Path.of("models/mini/dimple-mini-f16.gguf"), file = path, vision = path, before = Path.of("docs/images/scene-01.png"),
            after = Path.of("docs/images/scene-02.png");
        final Image picture = Image.read(before);
        final DimpleModel model = DimpleModel.load(path);
        final Decoding decoding = ConfidentDecoding.threshold(0.95f);
        final Session session = model.session().user("Describe this image.", picture).responseLength(64).open();
        final String sha256 = "0".repeat(64);
        final String schema = "{\\"type\\": \\"object\\", \\"properties\\": {\\"name\\": {\\"type\\": \\"string\\"}}}";
        final List<SessionBuilder> prompts = List.of(model.session().user("Describe this image.", picture));
        final CountDownLatch received = new CountDownLatch(1);
        final Flow.Subscriber<Step> subscriber = new Flow.Subscriber<>() {
          public void onSubscribe(Flow.Subscription all) { all.request(Long.MAX_VALUE); }
          public void onNext(Step step) {}
          public void onError(Throwable error) { received.countDown(); }
          public void onComplete() { received.countDown(); }
        };

        void show(String text) { System.out.println(text); }
        void print(Object... parts) { System.out.println(Arrays.toString(parts)); }
        boolean enough(Step step) { return step.iteration() > 3; }
        void save(long index, Generation answer) { System.out.println(answer.text()); }

        public void run() throws Exception {
      %s
        }

        public void close() {
          session.close();
          model.close();
        }
      }
      """;

  private static final Pattern OUTPUT = Pattern.compile("write\\(Path\\.of\\(\"([^\"]*)\"\\)\\)");
  private static final Pattern IN_MARKDOWN = Pattern.compile("^```java\\n(.*?)^```$", Pattern.DOTALL | Pattern.MULTILINE);
  private static final Pattern IN_JAVADOC = Pattern.compile("<pre>\\{@code\\n(.*?)^ *\\* *\\}</pre>", Pattern.DOTALL | Pattern.MULTILINE);

  private record Snippet(String file, int number, String code) {
    String name() {
      return file.replaceAll("\\W", "_") + "_" + number;
    }

    boolean runs() {
      return !code.contains(".mmproj(vision)") // a tower in a file of its own, which no bundled model has
          && !code.matches("(?s).*\\.(pull|fetch)\\(.*"); // the network
    }

    /** With files that are here; the tests run in a folder of the repository. */
    String with(Path outputs) {
      String written = OUTPUT.matcher(code).replaceAll(path ->
          Matcher.quoteReplacement("write(Path.of(\"" + outputs.toUri().getPath() + path.group(1) + "\"))"));
      return written.replace("Thread.sleep(Long.MAX_VALUE)", "Thread.sleep(1)").replaceAll("Path.of\\(\"dimple-7b[^\"]*gguf\"", "Path.of(\"models/mini/dimple-mini-f16.gguf\"")
          .replace("Path.of(\"Dimple-7B\"", "Path.of(\"tests/goldens/alpha\"")
          .replace("Path.of(\"cat.jpg\"", "Path.of(\"docs/images/scene-01.png\"");
    }

    @Override
    public String toString() {
      return file + " " + number;
    }
  }

  @TempDir static Path folder;

  static Stream<Snippet> snippets() throws IOException {
    List<Snippet> all = new ArrayList<>();
    addFrom(ROOT.resolve("README.md"), IN_MARKDOWN, all);
    for (Path file : files(ROOT.resolve("docs"), ".md")) {
      addFrom(file, IN_MARKDOWN, all);
    }
    for (String module : List.of("java", "gguf-tools", "server")) { // langchain4j has its own
      for (Path file : files(ROOT.resolve(module).resolve("src/main/java"), ".java")) {
        addFrom(file, IN_JAVADOC, all);
      }
    }
    return all.stream();
  }

  private static List<Path> files(Path under, String ending) throws IOException {
    try (Stream<Path> files = Files.walk(under)) {
      return files.filter(file -> file.toString().endsWith(ending)).sorted().toList();
    }
  }

  private static void addFrom(Path file, Pattern fence, List<Snippet> all) throws IOException {
    String text = Files.readString(file);
    List<MatchResult> found = fence.matcher(text).results().toList();
    if (fence == IN_JAVADOC) {
      assertThat(text.split("<pre>|@snippet", -1)).as("%s: examples stand in <pre>{@code", file).hasSize(found.size() + 1);
    }
    for (int i = 0; i < found.size(); i++) {
      all.add(new Snippet(ROOT.relativize(file).toString(), i + 1, found.get(i).group(1).replaceAll("(?m)^ +\\* ?", "")));
    }
  }

  /** What it prints. */
  private static String run(Snippet snippet) throws Exception {
    Path source = Files.createDirectories(folder.resolve(snippet.name())).resolve(snippet.name() + ".java");
    String code = snippet.with(source.getParent());
    String imports = code.lines().filter(line -> line.startsWith("import ")).reduce("", (all, line) -> all + line + "\n");
    String body = code.lines().filter(line -> !line.startsWith("import ")).reduce("", (all, line) -> all + line + "\n");
    String text = imports + PRELUDE.formatted(snippet.name(), body.replace("{ ... }", "{ }"));
    Files.writeString(source, text.replaceAll("Path\\.of\\(\"(?=[^/])", "Path.of(\"../"));
    JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
    StringWriter messages = new StringWriter();
    try (var manager = compiler.getStandardFileManager(null, null, StandardCharsets.UTF_8)) {
      boolean compiles = compiler.getTask(messages, manager, null,
          List.of("-proc:none", "-d", source.getParent().toString(), "-cp", System.getProperty("java.class.path")), null,
          manager.getJavaFileObjects(source)).call();
      assertThat(compiles).as("%s%n%s", messages, text).isTrue();
    }
    if (!snippet.runs()) {
      return "";
    }
    PrintStream before = System.out;
    ByteArrayOutputStream printed = new ByteArrayOutputStream();
    try (URLClassLoader loader = new URLClassLoader(new URL[] {source.getParent().toUri().toURL()})) {
      System.setOut(new PrintStream(printed, true, StandardCharsets.UTF_8));
      Class<?> program = loader.loadClass(snippet.name());
      try (AutoCloseable instance = (AutoCloseable) program.getConstructor().newInstance()) {
        program.getMethod("run").invoke(instance);
      }
    } finally {
      System.setOut(before);
    }
    return printed.toString(StandardCharsets.UTF_8);
  }

  @ParameterizedTest
  @MethodSource("snippets")
  void compilesAndRuns(Snippet snippet) throws Exception {
    run(snippet);
  }

  /** No page has Java that no test knows of: this one's, or one of a library that another module has beside it. */
  @Test
  void allJavaOfAllPagesIsTested() throws IOException {
    List<String> others = List.of("docs/serving.md: ```java client", "docs/serving.md: ```java spring", "docs/serving.md: ```java langchain4j",
        "docs/langchain4j.md: ```java langchain4j"); // ExamplesTest of server, DocumentationTest of langchain4j
    List<Path> pages = new ArrayList<>(files(ROOT.resolve("docs"), ".md"));
    for (String page : List.of("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "models/mini/README.md", "examples/spark/README.md")) {
      pages.add(ROOT.resolve(page));
    }
    for (Path page : pages) {
      String name = ROOT.relativize(page).toString();
      boolean here = name.equals("README.md") || name.startsWith("docs");
      assertThat(Pattern.compile("(?mi)^.*[`~]{3,} *java\\b.*$").matcher(Files.readString(page)).results().map(MatchResult::group))
          .as(name).allMatch(fence -> here && fence.equals("```java") || others.contains(name + ": " + fence));
    }
  }

  /** The README's ten lines print what their comment says. */
  @Test
  void readmesExamplePrintsARecord() throws Exception {
    Snippet first = snippets().filter(snippet -> snippet.code().contains("record Scene(")).findFirst().orElseThrow();
    MatchResult comment = Pattern.compile("// (Scene\\[.*])").matcher(first.code()).results().findFirst().orElseThrow();
    assertThat(run(first).lines()).contains(comment.group(1)).hasSize(2);
  }

  /** What README and guide say of adding it to a project is what {@code tests/install/try} tries. */
  @ParameterizedTest
  @ValueSource(strings = {"README.md", "docs/guide.md"})
  void installingIsDescribedAsItIsTried(String page) throws IOException {
    List<String> tried = new ArrayList<>();
    for (Path file : files(Path.of("install"), "")) {
      if (Files.isRegularFile(file)) {
        tried.add(words(Files.readString(file)));
      }
    }
    String section = Files.readString(ROOT.resolve(page)).split("(?m)^## Add it to your project$")[1].split("(?m)^## ")[0]
        .replaceAll("(?s)\\R### Native access.*", "");
    List<String> blocks = Pattern.compile("^```\\w+\\n(.*?)^```$", Pattern.DOTALL | Pattern.MULTILINE).matcher(section)
        .results().map(block -> block.group(1)).toList();
    assertThat(blocks).hasSizeGreaterThan(3);
    for (String block : blocks) {
      List<String> parts = page.equals("README.md") && block.startsWith("mvn ") ? block.lines().toList() : List.of(block.split("\\n\\n"));
      for (String part : parts) { // of several files, or of one that has more between them
        assertThat(tried).as(part).anyMatch(file -> file.contains(words(part)));
      }
    }
  }

  private static String words(String text) {
    return text.replaceAll("\\s+", " ").strip();
  }
}
