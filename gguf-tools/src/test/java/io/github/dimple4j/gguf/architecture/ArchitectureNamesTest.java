package io.github.dimple4j.gguf.architecture;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * What an architecture is, its own file says, in C and in Java, and a table lists these files. No other source, tests included, asks
 * which architecture it has before it.
 */
class ArchitectureNamesTest {
  private static final Path ROOT = Path.of("..");
  private static final Path CORE = ROOT.resolve("csrc/model/architecture");
  /** Folders of the families' files. */
  private static final List<Path> ROOMS = List.of(CORE, ROOT.resolve("gguf-tools/src/main/java/io/github/dimple4j/gguf/architecture"));
  private static final Pattern NAME_IN_CORE = Pattern.compile("\\.name = \"([^\"]+)\"");
  private static final String COMPARISONS = "equals|equalsIgnoreCase|contentEquals|contains|startsWith|endsWith|indexOf|matches|compareTo"
      + "|isEqualTo|isNotEqualTo|isIn|hasToString|containsEntry|strn?(?:case)?cmp|strstr|memcmp";

  @Test
  void noOtherFileComparesAName() throws IOException {
    List<String> found = new ArrayList<>();
    for (Path file : sources()) {
      for (String comparison : comparisons(Files.readString(file), names())) {
        found.add(file + ": " + comparison);
      }
    }
    assertThat(found).isEmpty();
  }

  @Test
  void whatIsConvertedIsKnownToTheCore() throws IOException {
    assertThat(names()).containsAll(Architectures.ALL.stream().map(Architecture::name).toList());
    assertThat(Architectures.ALL).extracting(Architecture::name).doesNotHaveDuplicates();
  }

  @ParameterizedTest
  @ValueSource(strings = {"if (name.equals(\"x\")) {", "\"x\".equals(name)", "case \"y\", \"x\" -> 1;", "strcmp(m->text.architecture, \"x\") == 0",
      "assertThat(info.architecture())\n    .isEqualTo(\"x\")", "Set.of(\"y\", \"x\").contains(name)", "name == \"x\"",
      "memcmp(value->data, \"x\", 1)", "containsEntry(\"a\", string(\"x\"))"})
  void comparisonsAreFound(String source) {
    assertThat(comparisons(source, Set.of("x"))).hasSize(1);
  }

  @ParameterizedTest
  @ValueSource(strings = {"/* strcmp(name, \"x\") */", "// name.equals(\"x\")", "put(\"general.architecture\", \"x\")",
      "strcmp(pipelines[0]->name, \"x\")", "name.equals(\"xy\")", "f(name.equals(\"y\"), \"x\")"})
  void nothingElseIsFound(String source) {
    assertThat(comparisons(source, Set.of("x"))).isEmpty();
  }

  /** The names of all architectures: those that the core reads, which are more than are converted. */
  private static Set<String> names() throws IOException {
    Set<String> names = new TreeSet<>();
    try (Stream<Path> files = Files.list(CORE)) {
      for (Path file : files.filter(path -> path.toString().endsWith(".c")).toList()) {
        NAME_IN_CORE.matcher(Files.readString(file)).results().forEach(name -> names.add(name.group(1)));
      }
    }
    assertThat(names).isNotEmpty();
    return names;
  }

  private static List<Path> sources() throws IOException {
    List<Path> sources = new ArrayList<>();
    for (String folder : List.of("csrc", "bindings", "java", "gguf-tools", "cli", "tests")) {
      try (Stream<Path> files = Files.walk(ROOT.resolve(folder))) {
        files.filter(path -> path.toString().matches(".*\\.(java|c|h)") && !path.toString().contains("/target/")
            && ROOMS.stream().noneMatch(path::startsWith)).forEach(sources::add);
      }
    }
    assertThat(sources).hasSizeGreaterThan(100);
    return sources;
  }

  /** Where a source compares something with one of the names; Dream's decoding pipeline, which is called like its model, does not count. */
  private static List<String> comparisons(String source, Set<String> names) {
    String literal = "\"(?:" + String.join("|", names.stream().map(Pattern::quote).toList()) + ")\"";
    Pattern comparison = Pattern.compile("\\b(?:" + COMPARISONS + ")\\s*\\((?:[^;{}()]|\\([^()]*\\)|\\()*?" + literal + "|" + literal
        + "\\s*\\.(?:" + COMPARISONS + ")\\(|\\bcase\\s+(?:\"[^\"]*\"\\s*,\\s*)*" + literal + "|[=!]=\\s*" + literal
        + "|\\.of\\([^()]*" + literal + "[^()]*\\)\\s*\\.contains(?:Key)?\\(");
    Matcher matcher = comparison.matcher(source.replaceAll("/\\*[\\s\\S]*?\\*/|//[^\n]*", " "));
    List<String> found = new ArrayList<>();
    while (matcher.find()) {
      if (!matcher.group().contains("pipeline")) {
        found.add(matcher.group());
      }
    }
    return found;
  }
}
