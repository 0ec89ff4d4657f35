package io.github.dimple4j.android;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import org.codehaus.mojo.animal_sniffer.SignatureChecker;
import org.codehaus.mojo.animal_sniffer.logging.Logger;
import org.junit.jupiter.api.Test;

/**
 * Holds every class, method and field that the AAR's classes refer to against the AAR's own classes and those of Android 14 (API level 34),
 * as the artefact {@code com.toasttab.android:gummy-bears-api-34} lists them from the platform's own files.
 */
class AndroidApiTest {
  private static final Pattern UNDEFINED = Pattern.compile("Undefined reference: (.*)");
  /** VarHandle is Android's since API level 33; its methods have whatever descriptor the caller gives them. */
  static final String POLYMORPHIC = "long java.lang.invoke.VarHandle.get(byte[], int)";
  /** What an app brings with us. */
  private static final Set<String> BESIDE = Set.of("tools.jackson.*", "com.fasterxml.jackson.*");

  /** Before D8: what it supplies is in a list, with nothing else. */
  @Test
  void androidHasWhatIsReferredTo() throws IOException {
    Map<String, byte[]> classes = AndroidClasses.of(AarFile.CLASSES);
    assertThat(classes).containsKeys("io/github/dimple4j/DimpleModel.class", "io/github/dimple4j/jni/JniCore.class",
        "io/github/dimple4j/android/Backports.class").doesNotContainKeys("io/github/dimple4j/core/ForeignCore.class", "module-info.class");
    Set<String> listed = new TreeSet<>();
    for (String line : Files.readAllLines(Path.of("src/test/resources/io/github/dimple4j/android/supplied-by-d8.txt"))) {
      if (!line.startsWith("#")) {
        listed.add(line);
      }
    }
    assertThat(undefined(classes)).isEqualTo(listed);
    assertThat(listed).contains(POLYMORPHIC);
  }

  /** What the classes refer to and API level 34 does not have. */
  static Set<String> undefined(Map<String, byte[]> classes) throws IOException {
    Set<String> found = new TreeSet<>();
    try (var signatures = Files.newInputStream(Path.of(System.getProperty("android.signatures")))) {
      Set<String> known = new TreeSet<>(BESIDE);
      classes.keySet().forEach(name -> known.add(name.replace(".class", "").replace('/', '.')));
      var checker = new Checker(signatures, known, new Collector(found));
      for (var file : classes.entrySet()) {
        checker.process(file.getKey(), new ByteArrayInputStream(file.getValue()));
      }
    }
    return found;
  }

  /** Opens to this package what takes one class. */
  private static final class Checker extends SignatureChecker {
    Checker(InputStream signatures, Set<String> known, Logger log) throws IOException {
      super(signatures, known, log);
      setSourcePath(List.of());
    }

    @Override
    protected void process(String name, InputStream content) throws IOException {
      super.process(name, content);
    }
  }

  /** Keeps what a checker finds. */
  private record Collector(Set<String> found) implements Logger {
    private void keep(String message) {
      var match = UNDEFINED.matcher(message);
      if (match.find()) {
        found.add(match.group(1));
      }
    }

    @Override
    public void error(String message) {
      keep(message);
    }

    @Override
    public void error(String message, Throwable failure) {
      keep(message);
    }

    @Override
    public void warn(String message) {}

    @Override
    public void warn(String message, Throwable failure) {}

    @Override
    public void info(String message) {}

    @Override
    public void info(String message, Throwable failure) {}

    @Override
    public void debug(String message) {}

    @Override
    public void debug(String message, Throwable failure) {}
  }
}
