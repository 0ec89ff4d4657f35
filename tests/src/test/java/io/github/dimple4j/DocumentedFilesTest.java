package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** What the pages of the repository name is there: links lead to a file, and to a heading of it; scripts can be run as they are written. */
class DocumentedFilesTest {
  private static final Path ROOT = Path.of("..");
  private static final Pattern LINK = Pattern.compile("]\\(([^)\\s]+)\\)"), HEADING = Pattern.compile("(?m)^#+ (.*)$");
  private static final Pattern SCRIPT = Pattern.compile("(?:tests|models|csrc|java|gguf-tools|bindings|android)/[A-Za-z0-9/_.-]+");

  @Test
  void everyLinkLeadsSomewhere() throws IOException {
    List<String> broken = new ArrayList<>();
    for (Path page : pages())
      for (String link : find(LINK, Files.readString(page)))
        if (!link.matches("[a-z]+:.*") && !leads(page, link)) broken.add(ROOT.relativize(page) + " -> " + link);
    assertThat(broken).isEmpty();
  }

  @Test
  void everyScriptThatPagesNameCanBeRun() throws IOException {
    List<String> named = new ArrayList<>();
    for (Path page : pages())
      for (Path folder : List.of(ROOT, page.getParent()))
        SCRIPT.matcher(Files.readString(page)).results().map(MatchResult::group).filter(name -> isScript(folder.resolve(name)))
            .map(name -> ROOT.relativize(folder.resolve(name)).toString()).forEach(named::add);
    assertThat(named).hasSizeGreaterThan(20).allSatisfy(name -> assertThat(ROOT.resolve(name)).isExecutable());
  }

  private static List<Path> pages() throws IOException {
    try (Stream<Path> files = Stream.of("docs", "models", "tests", "examples", "").map(ROOT::resolve).flatMap(DocumentedFilesTest::below)) {
      // paper-text.md is what docs/paper.md is made of, and speaks from there.
      return files.filter(file -> file.toString().endsWith(".md") && !file.endsWith("paper-text.md")).sorted().toList();
    }
  }

  private static Stream<Path> below(Path folder) {
    try {
      return Files.walk(folder, folder.equals(ROOT.resolve("")) ? 1 : 9).filter(file -> !file.toString().contains("/target/"));
    } catch (IOException unreadable) {
      throw new java.io.UncheckedIOException(unreadable);
    }
  }

  private static boolean leads(Path page, String link) throws IOException {
    String[] parts = link.split("#", 2);
    Path file = parts[0].isEmpty() ? page : page.resolveSibling(parts[0]);
    if (!Files.exists(file)) return false;
    return parts.length == 1 || !file.toString().endsWith(".md") || headings(Files.readString(file)).contains(parts[1]);
  }

  /** The anchors that hubs of repositories make of headings: small letters, blanks as hyphens, no other signs. */
  private static Set<String> headings(String text) {
    return find(HEADING, text).stream().map(heading -> heading.strip().toLowerCase(Locale.ROOT).replaceAll("\\[([^]]*)]\\([^)]*\\)", "$1"))
        .map(heading -> heading.replaceAll("[^\\p{L}\\p{N}_ -]", "").replace(' ', '-')).collect(Collectors.toSet());
  }

  private static List<String> find(Pattern pattern, String text) {
    return pattern.matcher(text).results().map(found -> found.group(1)).toList();
  }

  private static boolean isScript(Path file) {
    try {
      return Files.isRegularFile(file) && Files.size(file) < 1 << 20 && new String(Files.readAllBytes(file), java.nio.charset.StandardCharsets.ISO_8859_1).startsWith("#!");
    } catch (IOException unreadable) {
      return false;
    }
  }
}
