package io.github.dimple4j.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.dimple4j.Image;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The page at {@code /}: what it is made of, and what a user does with it. {@code -Ddimple.screenshots=FOLDER} keeps pictures of it. */
class PageTest {
  private static final Map<String, String> FILES = Map.of("/", "text/html; charset=utf-8", "/page.css", "text/css; charset=utf-8", "/page.js",
      "text/javascript; charset=utf-8", "/icon.svg", "image/svg+xml");

  private static DimpleServer server;
  @TempDir private static Path folder;

  @BeforeAll
  static void start() {
    server = Mini.start(Mini.options());
  }

  @AfterAll
  static void stop() {
    server.close();
  }

  private static HttpResponse<String> get(String path) throws IOException, InterruptedException {
    return HttpClient.newHttpClient().send(HttpRequest.newBuilder(server.address().resolve(path)).build(), HttpResponse.BodyHandlers.ofString());
  }

  @Test
  void nothingComesFromElsewhereAndNothingRunsThatIsNotThere() throws IOException, InterruptedException {
    for (Map.Entry<String, String> file : FILES.entrySet()) {
      HttpResponse<String> response = get(file.getKey());
      assertThat(response.statusCode()).isEqualTo(200);
      assertThat(response.headers().firstValue("Content-Type")).contains(file.getValue());
      assertThat(response.headers().firstValue("Content-Security-Policy").orElseThrow()).startsWith("default-src 'none'; ")
          .doesNotContain("unsafe", "http", "*");
      assertThat(response.headers().firstValue("X-Content-Type-Options")).contains("nosniff");
      String text = response.body().replace("http://www.w3.org/2000/svg", "");
      assertThat(text).doesNotContain("http:", "https:", "//cdn", "innerHTML", "eval(", "document.write", "@import", "url(");
      assertThat(Pattern.compile("<script(?! src=\"page\\.js\")|<style|\\son[a-z]+=|\\sstyle=").matcher(text).find()).as(file.getKey()).isFalse();
    }
    assertThat(get("/page.html").statusCode()).isEqualTo(404);
    assertThat(get("/../page.html").statusCode()).isIn(400, 404);
  }

  @Test
  @Timeout(180)
  void aUserAsksWatchesAndScrubs() throws IOException, InterruptedException {
    Optional<String> program = Browser.find();
    assumeTrue(program.isPresent(), "no browser on the PATH, of " + Browser.NAMES);
    try (Browser browser = Browser.open(program.get(), folder)) {
      browser.size(1280, 900, false);
      browser.scheme("light");
      browser.go(server.address().resolve("/"));
      browser.await("document.body.dataset.state === 'ready'");
      assertThat(browser.text("#model")).isEqualTo(Mini.NAME);
      keep(browser, "empty");

      asksAboutAPicture(browser);
      scrubs(browser);
      holdsAnAnswer(browser);
      saysWhatIsWrong(browser);
      stopsWhatRuns(browser);
      fitsAnyScreen(browser);
      assertThat(browser.complaints).as("of scripts, of the policy").allMatch(complaint -> complaint.contains("400"));
    }
  }

  private static void asksAboutAPicture(Browser browser) throws IOException, InterruptedException {
    browser.choose("files", Path.of("../docs/images/scene-01.png"));
    browser.await("document.querySelector('#pictures img')?.complete");
    browser.write("question", "Describe this image.");
    assertThat(browser.evaluate("getComputedStyle(document.getElementById('error')).display").stringValue()).isEqualTo("none");
    browser.pressControlEnter();
    browser.await("document.body.dataset.state === 'done'");
    String answer = Mini.MODEL.ask("Describe this image.", Image.decode(Mini.scene(1), "scene")).text();
    assertThat(browser.evaluate("document.getElementById('text').textContent").stringValue()).isEqualTo(answer);
    browser.await("!document.getElementById('play').classList.contains('on')"); // the iterations were played to the last
    assertThat(tokens(browser)).isEqualTo(answer);
    assertThat(browser.text("#numbers")).contains("iterations", "tokens, 30 of pictures", "prefill");
    assertThat(browser.text("#status")).startsWith(answer);
    keep(browser, "light");
  }

  /** The text on the canvas. */
  private static String tokens(Browser browser) {
    return browser.evaluate("[...document.querySelectorAll('.token:not(.end)')].map(token => token.textContent).join('')").stringValue();
  }

  private static void scrubs(Browser browser) throws InterruptedException {
    int last = Integer.parseInt(browser.evaluate("document.getElementById('at').max").stringValue());
    browser.focus("at");
    browser.press("Home", 36, 0);
    browser.await("document.getElementById('at').value === '0'");
    assertThat(browser.evaluate("document.querySelectorAll('.token').length").intValue()).isEqualTo(64);
    assertThat(browser.evaluate("document.querySelectorAll('.token.masked').length").intValue()).isEqualTo(64);
    browser.press("ArrowRight", 39, 0);
    browser.await("document.getElementById('at').value === '1'");
    assertThat(browser.evaluate("document.querySelectorAll('.token.masked').length").intValue()).isLessThan(64);
    assertThat(browser.text("#where")).isEqualTo("1 of " + last);
    assertThat(browser.evaluate("document.querySelectorAll('#chart rect.done').length").intValue()).isEqualTo(2);
    browser.press("End", 35, 0);
    browser.focus("canvas");
    browser.press("ArrowRight", 39, 0);
    browser.press("ArrowRight", 39, 0);
    assertThat(browser.text("#detail")).matches("Token 2 of 64: \".+\", revealed in iteration \\d+ with confidence [\\d.]+");
  }

  private static void holdsAnAnswer(Browser browser) throws IOException, InterruptedException {
    browser.evaluate("document.getElementById('structure').open = true");
    browser.evaluate("document.getElementById('example').click()");
    browser.pressControlEnter();
    browser.await("document.body.dataset.state === 'done' && document.getElementById('text').textContent.includes('{')");
    JsonNode answer = JsonMapper.shared().readTree(browser.text("#text"));
    assertThat(answer).isEqualTo(JsonMapper.shared().readTree("{\"background\": \"white\", \"shapes\": 3, \"number\": \"7\"}"));
    keep(browser, "schema");
  }

  private static void saysWhatIsWrong(Browser browser) throws InterruptedException {
    browser.write("schema", "{\"type\": ");
    browser.pressControlEnter();
    browser.await("document.getElementById('error').textContent.startsWith('The schema is not JSON')");
    browser.write("schema", "{\"type\": \"thing\"}");
    browser.pressControlEnter();
    browser.await("document.body.dataset.state === 'failed'");
    assertThat(browser.text("#error")).contains("thing");
    browser.write("schema", "");
  }

  private static void stopsWhatRuns(Browser browser) throws InterruptedException {
    browser.evaluate("const slider = document.getElementById('threshold'); slider.value = 1; slider.dispatchEvent(new Event('input')); null");
    browser.evaluate("document.getElementById('decoding').open = true");
    browser.write("length", "700");
    browser.write("question", "x");
    browser.pressControlEnter();
    browser.await("document.querySelectorAll('.token').length > 0");
    assertThat(browser.evaluate("document.body.dataset.state").stringValue()).isEqualTo("running");
    browser.press("Escape", 27, 0);
    browser.await("document.body.dataset.state === 'stopped'");
    assertThat(browser.text("#where")).matches("\\d+ of \\d+.*");
    browser.write("length", "64");
  }

  private static void fitsAnyScreen(Browser browser) throws IOException, InterruptedException {
    browser.write("question", "Describe this image.");
    browser.pressControlEnter();
    browser.await("document.body.dataset.state === 'done' && !document.getElementById('play').classList.contains('on')");
    browser.evaluate("document.getElementById('play').click(); null"); // asked for, it plays where motion is not wanted
    browser.await("document.getElementById('at').value > 2 && document.getElementById('at').value < 60");
    browser.evaluate("document.querySelectorAll('details').forEach(part => { part.open = false; }); document.activeElement.blur(); null");
    browser.evaluate("document.getElementById('at').value = 17; document.getElementById('at').dispatchEvent(new Event('input')); null");
    for (String scheme : List.of("light", "dark")) {
      browser.scheme(scheme);
      for (int width : new int[] {1280, 390}) {
        browser.size(width, 844, width < 1000);
        assertThat(browser.evaluate("document.documentElement.scrollWidth").intValue()).as(scheme + " " + width).isLessThanOrEqualTo(width);
        assertThat(browser.evaluate(CONTRAST).asString()).as("texts that are hard to read, " + scheme).isEmpty();
        keep(browser, scheme + "-" + width);
      }
    }
  }

  /** Texts with less contrast than WCAG's AA asks for (4.5), by their colours and those behind them. */
  private static final String CONTRAST = """
      (() => {
        const pen = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
        const rgb = colour => { pen.clearRect(0, 0, 1, 1); pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1);
          return [...pen.getImageData(0, 0, 1, 1).data]; };
        const light = c => [0.2126, 0.7152, 0.0722].reduce((sum, w, i) => sum + w
          * ((c[i] /= 255) <= 0.03928 ? c[i] / 12.92 : ((c[i] + 0.055) / 1.055) ** 2.4), 0);
        const behind = e => {
          for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c[3] === 255) return c; }
          return [255, 255, 255];
        };
        return [...document.querySelectorAll('h1, p, label, summary, button:enabled, dt, dd, small, .token:not(.masked), #where, pre')]
          .filter(e => e.checkVisibility() && e.textContent.trim()).filter(e => {
            const [a, b] = [light(rgb(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x);
            return (a + 0.05) / (b + 0.05) < 4.5;
          }).map(e => e.tagName + '.' + e.className + ' ' + e.textContent.trim().slice(0, 20)).join('; ');
      })()""";

  private static void keep(Browser browser, String name) throws IOException {
    String kept = System.getProperty("dimple.screenshots");
    if (kept != null) {
      browser.screenshot(Files.createDirectories(Path.of(kept)).resolve(name + ".png"));
    }
  }
}
