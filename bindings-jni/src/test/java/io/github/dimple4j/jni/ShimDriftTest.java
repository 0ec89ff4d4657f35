package io.github.dimple4j.jni;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class ShimDriftTest {
  @Test
  void whatIsCommittedIsWhatTheHeaderGives() throws IOException {
    for (var file : ShimGenerator.files().entrySet()) {
      assertThat(file.getKey()).as("bindings-jni/generate writes it").hasContent(file.getValue());
    }
  }

  /** The C file has a function for every native method, by the name that JNI looks for. */
  @Test
  void everyMethodHasItsFunction() throws IOException {
    String c = Files.readString(Path.of("src", "main", "c", "dimple_jni.c"));
    var methods = Stream.of(Shim.class.getDeclaredMethods()).filter(method -> Modifier.isNative(method.getModifiers()))
        .map(Method::getName).toList();
    assertThat(methods).hasSizeGreaterThan(40).allSatisfy(name -> assertThat(c).contains(", " + name.replace("_", "_1") + ")(JNIEnv"));
  }
}
