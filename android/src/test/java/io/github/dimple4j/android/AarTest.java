package io.github.dimple4j.android;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;

/** The AAR, where the profile {@code aar} has made one. */
@EnabledIfSystemProperty(named = "aar", matches = ".+", disabledReason = "made by the profile aar only")
class AarTest {
  private static final int JAVA_8 = 52;
  private static final int AARCH64 = 183;

  private static Map<String, byte[]> aar;
  private static Map<String, byte[]> classes;

  @BeforeAll
  static void open() throws IOException {
    aar = AarFile.unzip(Files.readAllBytes(Path.of(System.getProperty("aar"))));
    classes = AarFile.unzip(aar.get("classes.jar"));
  }

  @Test
  void hasWhatAnAarHas() {
    assertThat(aar).containsOnlyKeys("AndroidManifest.xml", "LICENSE", "R.txt", "classes.jar", "jni/arm64-v8a/libdimple-jni.so",
        "jni/arm64-v8a/libdimple.so", "proguard.txt");
    assertThat(new String(aar.get("AndroidManifest.xml"), StandardCharsets.UTF_8)).contains("minSdkVersion=\"34\"");
    assertThat(new String(classes.get("META-INF/services/io.github.dimple4j.core.CoreProvider"), StandardCharsets.UTF_8).strip())
        .isEqualTo("io.github.dimple4j.jni.JniProvider");
  }

  /** Every class is one of Java 8's, of ours alone, and refers to nothing that API level 34 does not have. */
  @Test
  void androidHasWhatIsReferredTo() throws IOException {
    Map<String, byte[]> compiled = new TreeMap<>(classes);
    compiled.keySet().removeIf(name -> !name.endsWith(".class"));
    assertThat(compiled.keySet()).allMatch(name -> name.startsWith("io/github/dimple4j/")).hasSizeGreaterThan(300);
    assertThat(compiled).allSatisfy((name, content) -> assertThat(content[6] << 8 | content[7]).as(name).isLessThanOrEqualTo(JAVA_8));
    assertThat(AndroidApiTest.undefined(compiled)).isEqualTo(Set.of(AndroidApiTest.POLYMORPHIC));
  }

  /** The shim has a function for each native method, and the libraries are for the processor. */
  @Test
  void librariesFit() throws IOException, ClassNotFoundException {
    for (String name : Set.of("libdimple.so", "libdimple-jni.so")) {
      byte[] library = aar.get("jni/arm64-v8a/" + name);
      assertThat(new String(library, 0, 4, StandardCharsets.ISO_8859_1)).isEqualTo("\u007FELF");
      assertThat(library[18] & 0xFF | library[19] << 8).isEqualTo(AARCH64);
    }
    String shim = new String(aar.get("jni/arm64-v8a/libdimple-jni.so"), StandardCharsets.ISO_8859_1);
    Set<String> methods = new TreeSet<>();
    Stream.of(Class.forName("io.github.dimple4j.jni.Shim").getDeclaredMethods()).filter(method -> Modifier.isNative(method.getModifiers()))
        .map(Method::getName).forEach(methods::add);
    assertThat(methods).hasSizeGreaterThan(40)
        .allSatisfy(method -> assertThat(shim).contains("\0Java_io_github_dimple4j_jni_Shim_" + method.replace("_", "_1") + "\0"));
  }
}
