package io.github.dimple4j.bindings;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.URL;
import java.net.URLClassLoader;
import org.junit.jupiter.api.Test;

/** What reloads an application, as servers and development tools do, loads the library once more. */
class ClassLoadersTest {
  /** The bindings' classes, of a class loader of their own: the platform's would find those of the module that is loaded. */
  private static URLClassLoader loader() {
    URL classes = NativeLibrary.class.getProtectionDomain().getCodeSource().getLocation();
    return new URLClassLoader(new URL[] {classes}, null);
  }

  private static int version(ClassLoader loader) throws ReflectiveOperationException {
    return (int) loader.loadClass(Dimple.class.getName()).getMethod("dimple_api_version").invoke(null);
  }

  @Test
  void severalClassLoadersLoadTheLibrary() throws IOException, ReflectiveOperationException {
    assertThat(Dimple.dimple_api_version()).isEqualTo(Dimple.DIMPLE_API_VERSION());
    try (URLClassLoader first = loader(); URLClassLoader second = loader()) {
      assertThat(version(first)).isEqualTo(Dimple.DIMPLE_API_VERSION());
      assertThat(version(second)).isEqualTo(Dimple.DIMPLE_API_VERSION());
      assertThat(first.loadClass(Dimple.class.getName())).isNotSameAs(second.loadClass(Dimple.class.getName()));
    }
  }
}
