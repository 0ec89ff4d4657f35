package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * What CONTRIBUTING.md says of additions is so: the patch beside each kind applies to the tree as it is, and touches the files that the
 * table names and no other. That they build and pass their tests says tests/additions/try.
 */
class AdditionsTest {
  private static final Path ROOT = Path.of("..");
  private static final Path FOLDER = ROOT.resolve("tests/additions");

  /** A line of the table: what is added, which files, where its tests are, the patch that shows it. */
  private static final Pattern ROW = Pattern.compile("(?m)^\\| (.+) \\| (.+) \\| (.+) \\| \\[([\\w-]+)\\]\\(tests/additions/\\4\\.patch\\) \\|$");
  private static final Pattern FILE = Pattern.compile("(?<isNew>new )?`(?<path>[^`]*/[^`]*)`");

  /** A kind of addition, by the name of its patch. */
  record Kind(String name, List<Named> files) {
    @Override
    public String toString() {
      return name;
    }
  }

  /** A file of the table. NAME stands for a name, … for any folders. */
  record Named(boolean isNew, String path) {
    boolean is(Change change) {
      String pattern = Stream.of(path.split("(?=NAME|…)|(?<=NAME|…)"))
          .map(part -> part.equals("NAME") ? "[^/]+" : part.equals("…") ? ".+" : Pattern.quote(part)).collect(Collectors.joining());
      return isNew == change.isNew() && change.path().matches(pattern);
    }
  }

  /** What a patch does to a file: stretches of lines that it expects there, in their order; none for a new file. */
  record Change(String path, boolean isNew, List<List<String>> expected) {

    /** The first stretch that is not found exactly once behind the one before; empty: the change fits. */
    List<String> missing(List<String> lines) {
      int from = 0;
      for (List<String> stretch : expected) {
        List<String> rest = lines.subList(from, lines.size());
        int at = Collections.indexOfSubList(rest, stretch);
        if (at < 0 || at != Collections.lastIndexOfSubList(rest, stretch)) {
          return stretch;
        }
        from += at + stretch.size();
      }
      return List.of();
    }
  }

  static List<Kind> kinds() {
    return ROW.matcher(text(ROOT.resolve("CONTRIBUTING.md"))).results().map(row -> new Kind(row.group(4),
        FILE.matcher(row.group(2) + row.group(3)).results().map(AdditionsTest::named).toList())).toList();
  }

  private static Named named(MatchResult file) {
    return new Named(file.group("isNew") != null, file.group("path"));
  }

  private static String text(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Reads a unified diff. A line of a hunk begins with a blank (kept), a minus (removed) or a plus (added). */
  private static List<Change> changes(List<String> patch) {
    List<Change> changes = new ArrayList<>();
    for (int i = 0; i < patch.size(); i++) {
      String line = patch.get(i);
      if (line.startsWith("+++ b/")) {
        changes.add(new Change(line.substring(6), patch.get(i - 1).equals("--- /dev/null"), new ArrayList<>()));
      } else if (line.startsWith("@@ ") && !changes.getLast().isNew()) {
        changes.getLast().expected().add(new ArrayList<>());
      } else if ((line.startsWith(" ") || line.startsWith("-")) && !line.startsWith("--- ")) {
        changes.getLast().expected().getLast().add(line.substring(1));
      }
    }
    return changes;
  }

  private static List<Change> changes(Kind kind) {
    return changes(text(FOLDER.resolve(kind.name() + ".patch")).lines().toList());
  }

  @Test
  void everyPatchHasARowAndIsTried() throws IOException {
    List<String> names = kinds().stream().map(Kind::name).toList();
    try (Stream<Path> files = Files.list(FOLDER)) {
      assertThat(files.map(file -> file.getFileName().toString()).filter(file -> file.endsWith(".patch")))
          .containsExactlyInAnyOrderElementsOf(names.stream().map(name -> name + ".patch").toList());
    }
    assertThat(text(FOLDER.resolve("try"))).contains(names.stream().map(name -> "\ntry_" + name.replace('-', '_') + "() {\n").toList());
    assertThat(names).contains("architecture", "tensor-type", "algorithm", "setting", "isa-level", "backend", "template-filter",
        "picture-format", "flag");
  }

  @ParameterizedTest
  @MethodSource("kinds")
  void patchApplies(Kind kind) {
    assertThat(changes(kind)).isNotEmpty().allSatisfy(change -> {
      Path file = ROOT.resolve(change.path());
      if (change.isNew()) {
        assertThat(file).as("a file that %s.patch adds", kind).doesNotExist();
      } else {
        assertThat(change.missing(text(file).lines().toList())).as("""
            tests/additions/%1$s.patch no longer fits %2$s: these lines are not there exactly once. To make it anew, from a clean checkout:
              git apply --reject tests/additions/%1$s.patch     # then mend by hand what it refuses
              git add -N . && git diff >/tmp/%1$s.patch && git reset -q && git stash -u -q
              grep -v '^index ' /tmp/%1$s.patch >tests/additions/%1$s.patch && tests/additions/try %1$s
            """, kind, change.path()).isEmpty();
      }
    });
  }

  @ParameterizedTest
  @MethodSource("kinds")
  void patchTouchesTheFilesOfItsRow(Kind kind) {
    List<Change> changes = changes(kind);
    assertThat(changes).as("files of %s.patch", kind).allSatisfy(change ->
        assertThat(kind.files()).as("the row that names %s", change.path()).anyMatch(named -> named.is(change)));
    assertThat(kind.files()).as("files of the row of %s.patch", kind).isNotEmpty().allSatisfy(named ->
        assertThat(changes).as("the change of %s", named.path()).anyMatch(named::is));
  }

  @Test
  void aBackendTouchesNoneOfTheModel() {
    Kind backend = kinds().stream().filter(kind -> kind.name().equals("backend")).findFirst().orElseThrow();
    assertThat(changes(backend)).extracting(Change::path).isNotEmpty()
        .noneMatch(path -> path.matches("csrc/(model|transformer|vision|diffusion)/.*"));
  }

  /** One that a later seam has and the patch has not would be a call of nothing. */
  @Test
  void theBackendHasEveryOperationOfTheReference() {
    assertThat(members(FOLDER.resolve("backend.patch"), "device")).isNotEmpty().containsExactlyElementsOf(members(ROOT.resolve("csrc/backend/ref/ref.c"), "ref"));
  }

  private static List<String> members(Path file, String prefix) {
    return Pattern.compile("(?m)^\\+? {4}\\.(\\w+) = " + prefix + "_").matcher(text(file)).results().map(match -> match.group(1)).toList();
  }

  @Test
  void aPatchThatNoLongerFitsIsNoticed() {
    Change change = changes("--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n@@ -8 +8,2 @@\n z\n+y\n".lines().toList()).getFirst();
    assertThat(change).isEqualTo(new Change("x", false, List.of(List.of("a", "b"), List.of("z"))));
    Map<String, List<String>> missing = Map.of("a b z", List.of(), "k a b l z", List.of(), "a c z", List.of("a", "b"), "a b a b z",
        List.of("a", "b"), "z a b", List.of("z"));
    missing.forEach((lines, stretch) -> assertThat(change.missing(List.of(lines.split(" ")))).as(lines).isEqualTo(stretch));
  }
}
