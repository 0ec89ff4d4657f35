package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.lang.module.Configuration;
import java.lang.module.ModuleDescriptor.Requires;
import java.lang.module.ModuleReader;
import java.lang.module.ModuleReference;
import java.lang.module.ResolvedModule;
import java.lang.reflect.Modifier;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** What {@code import module io.github.dimple4j} imports: names that mean one type each, beside those of java.base. */
class ModuleTest {
  private static final String NAME = "io.github.dimple4j";

  @Test
  void everyNameThatTheModuleImportsIsOneType() throws IOException {
    assumeTrue(Image.class.getModule().isNamed(), "the classes are on the class path");
    Map<String, String> types = new HashMap<>();
    Set<String> ambiguous = new HashSet<>();
    for (ResolvedModule module : imported(ModuleLayer.boot().configuration())) {
      for (String type : exportedTypes(module.reference())) {
        String other = types.put(type.substring(type.lastIndexOf('.') + 1), type);
        if (other != null && (other.startsWith(NAME) || type.startsWith(NAME))) {
          ambiguous.add(other + " and " + type);
        }
      }
    }
    assertThat(ambiguous).isEmpty();
    assertThat(types.values()).contains(NAME + ".Image", NAME + ".structure.JsonSchema", "java.util.List");
  }

  /** The module, what it requires transitively, and java.base. */
  private static Set<ResolvedModule> imported(Configuration modules) {
    Set<ResolvedModule> found = new HashSet<>();
    add(modules.findModule(NAME).orElseThrow(), found);
    found.add(modules.findModule("java.base").orElseThrow());
    return found;
  }

  private static void add(ResolvedModule module, Set<ResolvedModule> found) {
    if (found.add(module)) {
      Set<String> passedOn = module.reference().descriptor().requires().stream()
          .filter(requires -> requires.modifiers().contains(Requires.Modifier.TRANSITIVE)).map(Requires::name).collect(Collectors.toSet());
      module.reads().stream().filter(read -> passedOn.contains(read.name())).forEach(read -> add(read, found));
    }
  }

  /** The public types of a module's exported packages, without nested ones. */
  private static List<String> exportedTypes(ModuleReference module) throws IOException {
    Set<String> packages = module.descriptor().exports().stream().filter(exports -> !exports.isQualified())
        .map(exports -> exports.source()).collect(Collectors.toSet());
    try (ModuleReader reader = module.open(); Stream<String> files = reader.list()) {
      return files.filter(file -> file.endsWith(".class") && !file.contains("$") && file.contains("/"))
          .map(file -> file.substring(0, file.length() - ".class".length()).replace('/', '.'))
          .filter(type -> packages.contains(type.substring(0, type.lastIndexOf('.'))) && isPublic(type)).toList();
    }
  }

  private static boolean isPublic(String type) {
    try {
      return Modifier.isPublic(Class.forName(type, false, Image.class.getClassLoader()).getModifiers());
    } catch (ClassNotFoundException | LinkageError e) { // of what is required at compile time only
      return false;
    }
  }
}
