package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.lang.module.Configuration;
import java.lang.module.ModuleFinder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Modules that have a class loader each, as application servers lay them out: the native library is in another one than the bindings. */
class ModuleLayerTest {
  @TempDir Path folder;

  @Test
  void theNativeLibraryIsFoundInAModuleOfAnotherLoader() throws Exception {
    String modules = String.join(File.pathSeparator, Stream.of(System.getProperty("java.class.path").split(File.pathSeparator))
        .filter(entry -> Files.exists(Path.of(entry)) && entry.matches(".*(dimple4j|jackson|/(java|bindings|natives)/target/classes).*")
            && !entry.matches(".*(dimple4j-(cli|gguf|jni)|test-classes|validator|dataformat).*")).toList());
    assumeTrue(modules.contains("natives"), "the native libraries are not on the class path");
    List<String> command = List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-Ddimple.cache=" + folder, "-cp",
        Path.of(Program.class.getProtectionDomain().getCodeSource().getLocation().toURI()).toString(), Program.class.getName(), modules);
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.environment().remove("DIMPLE_LIBRARY");
    Process process = builder.start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor()).as(output).isZero();
    assertThat(output).contains("loaders 3 ");
    try (Stream<Path> unpacked = Files.walk(folder)) {
      assertThat(unpacked.filter(Files::isRegularFile)).hasSize(1);
    }
  }

  /** Asks the library what the processor is, in a layer of the modules that the argument lists. */
  static final class Program {
    public static void main(String[] arguments) throws Exception {
      List<Path> modules = new ArrayList<>();
      for (String entry : arguments[0].split(File.pathSeparator)) {
        modules.add(Path.of(entry));
      }
      Configuration configuration = ModuleLayer.boot().configuration()
          .resolveAndBind(ModuleFinder.of(modules.toArray(Path[]::new)), ModuleFinder.of(), Set.of("io.github.dimple4j"));
      ModuleLayer layer = ModuleLayer.boot().defineModulesWithManyLoaders(configuration, ClassLoader.getPlatformClassLoader());
      long loaders = Stream.of("io.github.dimple4j", "io.github.dimple4j.bindings", "io.github.dimple4j.natives")
          .map(layer::findLoader).distinct().count();
      Class<?> model = layer.findLoader("io.github.dimple4j").loadClass("io.github.dimple4j.DimpleModel");
      System.out.println("loaders " + loaders + " " + model.getMethod("cpuDescription").invoke(null));
    }
  }
}
