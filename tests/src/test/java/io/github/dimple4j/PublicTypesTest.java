package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.dimple4j.gguf.GgufFile;
import io.github.dimple4j.gguf.tools.Inspector;
import java.io.IOException;
import java.lang.module.ModuleDescriptor.Exports;
import java.lang.module.ModuleFinder;
import java.lang.module.ModuleReader;
import java.lang.module.ModuleReference;
import java.lang.reflect.Modifier;
import java.net.URISyntaxException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** What every type of the exported packages owes its users. */
class PublicTypesTest {
  private static final Path MODEL = Path.of("../models/mini/dimple-mini-f16.gguf");

  /** Enumerations, records and exceptions have one; interfaces and classes without instances need none. */
  @Test
  void everyTypeHasAToString() throws Exception {
    List<Class<?>> types = exportedTypes();
    assertThat(types).contains(DimpleModel.class, Decoding.Builder.class, GgufFile.class);
    assertThat(types.stream().filter(type -> !type.isInterface() && !isStaticOnly(type, types)).filter(type -> toStringOf(type) == Object.class))
        .isEmpty();
  }

  @Test
  void textsNameWhatMatters() throws IOException {
    DimpleModel closed;
    try (DimpleModel model = DimpleModel.load(MODEL); Session session = model.session().user("Hello").responseLength(8).open();
        GgufFile file = GgufFile.open(MODEL)) {
      assertThat(model.toString()).matches("DimpleModel\\[dimple on \\S+, \\d+ parameters]");
      assertThat(session.toString()).matches("Session\\[prompt of \\d+ tokens, response of 8, dimple on \\S+]");
      assertThat(session.steps(Decoding.defaults()).toString()).startsWith("Steps[Session[").contains("Decoding[");
      assertThat(model.session().system("a").user("secret")).asString().isEqualTo("SessionBuilder[2 messages, 0 images, response of 64]");
      assertThat(model.conversation().toString()).startsWith("Conversation[0 turns, dimple on ");
      assertThat(Template.of("{\"a\": \"", Template.slot(8), Template.tokens(5), "\"}")).asString()
          .isEqualTo("Template[\"{\"a\": \"\", slot(8), tokens[5], \"\"}\"]");
      assertThat(Template.of(Template.choice("cat", "dog"), " ", Template.string(4))).asString()
          .isEqualTo("Template[(\"cat\" | \"dog\") \" \" string(4)]");
      assertThat(Inspector.of(file, 3)).asString().contains("Inspector[GgufFile[", "dimple-mini-f16.gguf, ", " tensors]]");
      closed = model;
    }
    assertThat(closed.toString()).endsWith(", closed]");
  }

  /** Whether no user ever holds an instance: nothing constructs or returns one, and nothing could be called on it. */
  private static boolean isStaticOnly(Class<?> type, List<Class<?>> types) {
    return type.getConstructors().length == 0
        && Stream.of(type.getDeclaredMethods())
            .noneMatch(method -> (method.getModifiers() & (Modifier.PUBLIC | Modifier.STATIC)) == Modifier.PUBLIC)
        && types.stream().flatMap(other -> Stream.of(other.getMethods())).noneMatch(method -> method.getReturnType() == type);
  }

  private static Class<?> toStringOf(Class<?> type) {
    try {
      return type.getMethod("toString").getDeclaringClass();
    } catch (NoSuchMethodException e) {
      throw new AssertionError(e);
    }
  }

  private static List<Class<?>> exportedTypes() throws Exception {
    List<Class<?>> types = new ArrayList<>();
    for (ModuleReference module : modules()) {
      Set<String> packages = module.descriptor().exports().stream().filter(exports -> !exports.isQualified()).map(Exports::source)
          .collect(Collectors.toSet());
      try (ModuleReader reader = module.open(); Stream<String> files = reader.list()) {
        for (String file : files.filter(name -> name.endsWith(".class") && name.contains("/")).toList()) {
          String name = file.substring(0, file.length() - ".class".length()).replace('/', '.');
          Class<?> type = Class.forName(name, false, DimpleModel.class.getClassLoader());
          if (packages.contains(type.getPackageName()) && isPublic(type)) {
            types.add(type);
          }
        }
      }
    }
    return types;
  }

  private static Set<ModuleReference> modules() throws URISyntaxException {
    Path api = Path.of(DimpleModel.class.getProtectionDomain().getCodeSource().getLocation().toURI());
    Path gguf = Path.of(GgufFile.class.getProtectionDomain().getCodeSource().getLocation().toURI());
    Set<ModuleReference> modules = ModuleFinder.of(api, gguf).findAll();
    assumeTrue(modules.size() == 2, "the classes were compiled without their module descriptors");
    return modules;
  }

  private static boolean isPublic(Class<?> type) {
    return Modifier.isPublic(type.getModifiers()) && (type.getEnclosingClass() == null || isPublic(type.getEnclosingClass()));
  }
}
