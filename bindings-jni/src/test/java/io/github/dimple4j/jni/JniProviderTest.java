package io.github.dimple4j.jni;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.github.dimple4j.DimpleModel;
import io.github.dimple4j.LibraryException;
import io.github.dimple4j.core.Core;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class JniProviderTest {
  /** Says what loading the core by JNI fails with. */
  static final class Loading {
    private Loading() {}

    public static void main(String[] arguments) {
      try {
        System.out.print(DimpleModel.cpuDescription());
      } catch (LibraryException e) {
        System.out.print(e.getMessage());
      }
    }
  }

  @Test
  void thePropertyLeadsHere() {
    assertThat(Core.instance()).isInstanceOf(JniCore.class);
    assertThat(DimpleModel.cpuDescription()).contains("plain");
  }

  @Test
  void aTextWithANulIsRefused() {
    assertThatIllegalArgumentException().isThrownBy(() -> Core.instance().load("a\0b", null, null, 1, false, false, 0, 0, false));
  }

  @Test
  void aLibraryThatIsNotThereIsNamed(@TempDir Path folder) throws Exception {
    Path library = folder.resolve("libdimple.so");
    assertThat(load(library)).startsWith("no native library libdimple-jni.so: ").contains(library.toString());
    Files.copy(Path.of(System.getProperty("dimple.library")), library);
    assertThat(load(library)).startsWith("no native library libdimple-jni.so: ").contains(folder.resolve("libdimple-jni.so").toString());
  }

  private static String load(Path library) throws IOException, InterruptedException {
    var process = new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-XX:TieredStopAtLevel=1",
        "--enable-native-access=ALL-UNNAMED", "-Ddimple.core=jni", "-Ddimple.library=" + library, "-cp",
        System.getProperty("java.class.path"), Loading.class.getName()).redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    process.waitFor();
    return output;
  }
}
