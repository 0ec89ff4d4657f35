package io.github.dimple4j.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** {@code trace --html}: what the page holds, and what a browser makes of it. */
class TracePageTest {
  private static final int LENGTH = 12;
  private static final int STEPS = 4;
  private static final List<String> BROWSERS = List.of("chromium", "chromium-browser", "google-chrome", "chrome");

  @TempDir private static Path folder;
  private static Path page;

  @BeforeAll
  static void writePage() throws IOException {
    page = folder.resolve("a page.html");
    Output output = Output.of("trace", "../models/mini/dimple-mini-f16.gguf", "--prompt", "What is </script><b>this</b>?", "--image",
        "../docs/images/scene.png", "--max-new-tokens", String.valueOf(LENGTH), "--steps", String.valueOf(STEPS), "--threshold", "0", "--prior", "3=9",
        "--html", page.toString());
    assertThat(output.err()).isEmpty();
    assertThat(output.status()).isZero();
    assertThat(output.out()).isEmpty();
  }

  @Test
  void nothingIsLoadedFromElsewhereAndNothingBreaksOut() throws IOException {
    String text = Files.readString(page);
    assertThat(Pattern.compile("(src|href)\\s*=|url\\(|@import|fetch\\(").matcher(text).results().map(found -> text.substring(found.start(),
        Math.min(text.length(), found.end() + 5)))).containsExactly("src = url;");
    assertThat(Pattern.compile("</script>").matcher(text).results()).hasSize(2);
    String json = text.substring(text.indexOf("id=\"trace\">") + 11, text.indexOf("</script>"));
    assertThat(Json.parse(json).toString()).contains("question=What is </script><b>this</b>?", "data:image/png;base64,");
  }

  @Test
  void eitherFileOrBothAreWritten() throws IOException {
    Path both = folder.resolve("both.html");
    Path json = folder.resolve("both.json");
    assertThat(Output.of("trace", "../models/mini/dimple-mini-f16.gguf", "--ids-file", Files.writeString(folder.resolve("ids.json"), "[5,6]").toString(),
        "--max-new-tokens", "4", "--html", both.toString(), "--json", json.toString())).isEqualTo(new Output(0, "", ""));
    assertThat(both).content().contains("\"question\":null");
    assertThat(Json.read(json).keySet().stream().map(Object::toString)).contains("iterations");
    assertThat(Output.of("trace", "../models/mini/dimple-mini-f16.gguf", "--ids-file", folder.resolve("ids.json").toString(),
        "--max-new-tokens", "4", "--html", "-").out()).containsIgnoringCase("<!doctype html>").contains("\"question\":null");
    Output refused = Output.of("trace", "x.gguf", "--ids-file", folder.resolve("ids.json").toString(), "--max-new-tokens", "4", "--html",
        folder.resolve("none/x.html").toString());
    assertThat(refused.status()).isEqualTo(1);
    assertThat(refused.err()).contains("no such directory").contains("x.html");
  }

  @Test
  @Timeout(60)
  void aBrowserPlaysIt() throws IOException, InterruptedException {
    Optional<String> browser = BROWSERS.stream().filter(TracePageTest::isThere).findFirst();
    assumeTrue(browser.isPresent(), "no browser on the PATH, of " + BROWSERS);
    String last = open(browser.get(), "");
    assertThat(last).contains("iteration 4 of 4", "12 tokens in 4 iterations").contains("What is &lt;/script&gt;&lt;b&gt;this&lt;/b&gt;?");
    assertThat(count(last, "class=\"token")).isEqualTo(LENGTH);
    assertThat(count(last, "class=\"token masked")).isZero();
    assertThat(count(last, "<rect ")).isEqualTo(STEPS);
    String begin = open(browser.get(), "#iteration=0");
    assertThat(begin).contains("before the first iteration");
    assertThat(count(begin, "class=\"token masked")).isEqualTo(LENGTH - 1);
    assertThat(count(begin, "class=\"token fixed")).isEqualTo(1);
    assertThat(count(open(browser.get(), "#iteration=2"), "class=\"token masked")).isBetween(1L, LENGTH - 3L);
  }

  private static boolean isThere(String program) {
    return Stream.of(System.getenv().getOrDefault("PATH", "").split(File.pathSeparator))
        .anyMatch(place -> Files.isExecutable(Path.of(place, program)));
  }

  /** The page's elements once its script has run. */
  private static String open(String browser, String fragment) throws IOException, InterruptedException {
    Path dom = folder.resolve("dom.html");
    Process process = new ProcessBuilder(browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
        "--user-data-dir=" + folder.resolve("profile"), "--dump-dom", page.toUri() + fragment)
        .redirectOutput(dom.toFile()).redirectError(ProcessBuilder.Redirect.DISCARD).start();
    assertThat(process.waitFor(30, TimeUnit.SECONDS)).as(browser + " ends").isTrue();
    return Files.readString(dom);
  }

  private static long count(String text, String part) {
    return Pattern.compile(Pattern.quote(part)).matcher(text).results().count();
  }
}
