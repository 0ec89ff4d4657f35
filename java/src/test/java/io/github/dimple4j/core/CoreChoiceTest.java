package io.github.dimple4j.core;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.util.Map;
import java.util.function.Supplier;
import org.junit.jupiter.api.Test;

class CoreChoiceTest {
  private record Provider(String name) implements CoreProvider {
    @Override
    public Core core() {
      throw new UnsupportedOperationException("not asked for");
    }

    @Override
    public void log(Level level, Supplier<String> message, Throwable failure) {
      throw new UnsupportedOperationException("not asked for");
    }
  }

  private static final CoreProvider FOREIGN = new Provider("foreign");
  private static final CoreProvider JNI = new Provider("jni");
  private static final Map<String, CoreProvider> BOTH = Map.of("foreign", FOREIGN, "jni", JNI);

  @Test
  void foreignFunctionsAreTakenWhereThereAreSome() {
    assertThat(CoreChoice.choose(BOTH, "")).isSameAs(FOREIGN);
    assertThat(CoreChoice.choose(Map.of("jni", JNI), "")).isSameAs(JNI);
  }

  @Test
  void thePropertyChooses() {
    assertThat(CoreChoice.choose(BOTH, "jni")).isSameAs(JNI);
    assertThat(CoreChoice.choose(BOTH, "foreign")).isSameAs(FOREIGN);
  }

  @Test
  void whatIsNotThereIsNamed() {
    assertThatExceptionOfType(CoreException.class).isThrownBy(() -> CoreChoice.choose(Map.of("foreign", FOREIGN), "jni"))
        .withMessage("system property dimple.core is jni, expected one of those that are there: foreign")
        .matches(e -> e.kind() == CoreException.Kind.LIBRARY);
    assertThatExceptionOfType(CoreException.class).isThrownBy(() -> CoreChoice.choose(Map.of(), ""))
        .withMessage("nothing leads to the C core: no provider of it is there");
  }
}
