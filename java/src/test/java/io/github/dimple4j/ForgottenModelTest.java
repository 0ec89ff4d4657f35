package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import com.fasterxml.jackson.annotation.JsonInclude;
import io.github.dimple4j.bindings.NativeLibrary;
import java.io.IOException;
import java.lang.reflect.Array;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.core.JsonParser;
import tools.jackson.databind.ObjectMapper;

/**
 * An application that a server ends, or a development tool restarts, may forget its model. The class loader is closed then, so that what frees the
 * model must not need another class.
 */
class ForgottenModelTest {
  @TempDir private Path folder;

  /** One that looks into the jars first: with the module path of these tests, every loader in Java's own chain finds the classes of its modules. */
  private static final class OwnLoader extends URLClassLoader {
    OwnLoader(URL[] jars) {
      super(jars, ClassLoader.getPlatformClassLoader());
    }

    @Override
    protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
      synchronized (getClassLoadingLock(name)) {
        Class<?> loaded = findLoadedClass(name);
        if (loaded == null && (name.startsWith("io.github.dimple4j.") || name.startsWith("tools.jackson.") || name.startsWith("com.fasterxml."))) {
          loaded = findClass(name);
        }
        return loaded != null ? loaded : super.loadClass(name, resolve);
      }
    }
  }

  private static boolean isMapped(Path file) throws IOException {
    try (Stream<String> maps = Files.lines(Path.of("/proc/self/maps"))) {
      return maps.anyMatch(line -> line.endsWith(file.toString()));
    }
  }

  @Test
  @EnabledOnOs(OS.LINUX) // whose list of mapped files shows the model
  void itIsFreedThoughItsClassLoaderIsClosed() throws Exception {
    assumeFalse("jni".equals(System.getProperty("dimple.core")), "JNI loads a library for one class loader");
    Path file = TinyModel.ofText().write(folder.toRealPath().resolve("forgotten.gguf"));
    run(file);
    for (int i = 0; i < 100 && isMapped(file); i++) {
      System.gc();
      Thread.sleep(50);
    }
    assertThat(isMapped(file)).isFalse();
  }

  /** Loads and uses the model with classes of a loader of their own, and forgets it. */
  private static void run(Path file) throws Exception {
    URL[] jars = Stream.of(DimpleModel.class, NativeLibrary.class, ObjectMapper.class, JsonParser.class, JsonInclude.class)
        .map(type -> type.getProtectionDomain().getCodeSource().getLocation()).toArray(URL[]::new);
    try (URLClassLoader application = new OwnLoader(jars)) {
      Class<?> type = application.loadClass(DimpleModel.class.getName());
      assertThat(type).isNotSameAs(DimpleModel.class);
      Object model = type.getMethod("load", Path.class).invoke(null, file);
      Object noImages = Array.newInstance(application.loadClass(Image.class.getName()), 0);
      Object builder = type.getMethod("session").invoke(model);
      builder.getClass().getMethod("user", String.class, noImages.getClass()).invoke(builder, "cat", noImages);
      Class<?> template = application.loadClass(Template.class.getName());
      Object piece = template.getMethod("integer", long.class, long.class).invoke(null, 1L, 9L);
      Object structure = template.getMethod("of", Object[].class).invoke(null, (Object) new Object[] {piece});
      builder.getClass().getMethod("response", template).invoke(builder, structure);
      Object session = builder.getClass().getMethod("prefill").invoke(builder);
      assertThat(session.toString()).contains("prompt of");
      assertThat(isMapped(file)).isTrue();
    }
  }
}
