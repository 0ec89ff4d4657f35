package io.github.dimple4j.bindings;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.GroupLayout;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemoryLayout.PathElement;
import java.lang.foreign.ValueLayout;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Holds {@code dimple.h} and the committed classes together without jextract: what the header's text declares must be what the
 * classes bind, in both directions, and the C compiler must agree to every size, offset and constant of the classes.
 */
class HeaderDriftTest {
  private static Header header;

  @BeforeAll
  static void readHeader() throws IOException {
    header = Header.read();
    assertThat(header.functions()).isNotEmpty();
    assertThat(header.structs()).isNotEmpty();
    assertThat(header.constants()).isNotEmpty();
  }

  @Test
  void functionsAreTheHeaders() throws ReflectiveOperationException {
    var bound = Stream.of(Dimple.class.getDeclaredMethods()).map(Method::getName)
        .filter(name -> name.endsWith("$descriptor")).map(name -> name.replace("$descriptor", "")).toList();
    assertThat(bound).containsExactlyInAnyOrderElementsOf(header.functions().keySet());
    for (var function : header.functions().entrySet()) {
      assertThat(Dimple.class.getMethod(function.getKey() + "$descriptor").invoke(null))
          .as(function.getKey()).isEqualTo(descriptor(function.getValue()));
    }
  }

  /** GraalVM's native-image prepares the calls that this file lists, and no others. */
  @Test
  void nativeImagesHaveEveryKindOfCall() throws ReflectiveOperationException, IOException {
    var calls = new TreeSet<String>();
    for (String function : header.functions().keySet()) {
      var descriptor = (FunctionDescriptor) Dimple.class.getMethod(function + "$descriptor").invoke(null);
      calls.add("{\"returnType\": \"" + descriptor.returnLayout().map(HeaderDriftTest::canonicalName).orElse("void") + "\", \"parameterTypes\": ["
          + descriptor.argumentLayouts().stream().map(type -> '"' + canonicalName(type) + '"').collect(Collectors.joining(", ")) + "]}");
    }
    try (var in = Dimple.class.getResourceAsStream("/META-INF/native-image/io.github.dimple4j/dimple4j-bindings/reachability-metadata.json")) {
      String metadata = new String(in.readAllBytes(), StandardCharsets.UTF_8);
      assertThat(metadata.lines().map(String::strip).filter(line -> line.contains("returnType")).map(line -> line.replaceAll(",$", "")))
          .containsExactlyElementsOf(calls);
    }
  }

  private static String canonicalName(MemoryLayout type) {
    return Map.of(ValueLayout.JAVA_INT, "int", ValueLayout.JAVA_LONG, "long long", ValueLayout.JAVA_FLOAT, "float", DimpleSymbols.C_POINTER, "void*")
        .get(type);
  }

  @Test
  void structsAreTheHeaders() throws ReflectiveOperationException, IOException {
    assertThat(generatedStructs()).isEqualTo(header.structs().keySet());
    for (var struct : header.structs().entrySet()) {
      var members = layout(struct.getKey()).memberLayouts().stream().filter(member -> member.name().isPresent()).toList();
      var expected = struct.getValue().stream().map(field -> {
        var element = layoutOf(field.type());
        return (field.length() == 0 ? element : MemoryLayout.sequenceLayout(field.length(), element)).withName(field.name());
      }).toList();
      assertThat(members).as(struct.getKey()).isEqualTo(expected);
    }
  }

  @Test
  void constantsAreTheHeaders() {
    assertThat(generatedConstants().keySet()).isEqualTo(header.constants());
  }

  /** Sizes, offsets and values as the classes have them, as assertions in C. */
  @Test
  void compilerAgreesToSizesOffsetsAndValues(@TempDir Path folder) throws Exception {
    List<String> lines = new ArrayList<>(List.of("#include <stddef.h>", "#include \"dimple.h\""));
    for (String struct : generatedStructs()) {
      GroupLayout layout = layout(struct);
      lines.add("_Static_assert(sizeof(%s) == %d, \"size of %1$s\");".formatted(struct, layout.byteSize()));
      lines.add("_Static_assert(_Alignof(%s) == %d, \"alignment of %1$s\");".formatted(struct, layout.byteAlignment()));
      layout.memberLayouts().stream().flatMap(member -> member.name().stream()).forEach(field -> lines.add(
          "_Static_assert(offsetof(%s, %s) == %d, \"offset of %1$s.%2$s\");"
              .formatted(struct, field, layout.byteOffset(PathElement.groupElement(field)))));
    }
    generatedConstants().forEach((name, value) ->
        lines.add("_Static_assert(%s == %d, \"value of %1$s\");".formatted(name, value)));
    Path source = Files.write(folder.resolve("layouts.c"), lines);
    assertThat(Compiler.run("-std=c11", "-fsyntax-only", "-I", Header.FILE.getParent().toString(), source.toString())).isEmpty();
  }

  private static TreeSet<String> generatedStructs() throws IOException {
    try (var files = Files.list(Path.of("src/main/java/io/github/dimple4j/bindings"))) {
      return files.map(file -> file.getFileName().toString()).filter(name -> name.startsWith("dimple_"))
          .map(name -> name.replace(".java", "")).collect(Collectors.toCollection(TreeSet::new));
    }
  }

  private static Map<String, Integer> generatedConstants() {
    return Stream.of(Dimple.class.getDeclaredMethods())
        .filter(method -> method.getName().startsWith("DIMPLE_") && Modifier.isPublic(method.getModifiers()))
        .collect(Collectors.toMap(Method::getName, method -> {
          try {
            return (Integer) method.invoke(null);
          } catch (ReflectiveOperationException e) {
            throw new AssertionError(e);
          }
        }));
  }

  private static GroupLayout layout(String struct) throws ReflectiveOperationException {
    return (GroupLayout) Class.forName("io.github.dimple4j.bindings." + struct).getMethod("layout").invoke(null);
  }

  private static FunctionDescriptor descriptor(List<String> types) {
    var parameters = types.stream().skip(1).map(HeaderDriftTest::layoutOf).toArray(MemoryLayout[]::new);
    return types.getFirst().equals("void")
        ? FunctionDescriptor.ofVoid(parameters) : FunctionDescriptor.of(layoutOf(types.getFirst()), parameters);
  }

  private static MemoryLayout layoutOf(String type) {
    return switch (type) {
      case "*" -> Dimple.C_POINTER;
      case "char", "int8_t", "uint8_t" -> Dimple.C_CHAR;
      case "int32_t", "uint32_t", "dimple_status" -> Dimple.C_INT;
      case "int64_t", "uint64_t" -> Dimple.C_LONG;
      case "float" -> Dimple.C_FLOAT;
      case "double" -> Dimple.C_DOUBLE;
      default -> throw new AssertionError("no layout known for the C type " + type);
    };
  }
}
