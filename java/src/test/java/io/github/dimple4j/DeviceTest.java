package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Devices as Java meets them; what they compute, the core's tests and those of tests/peers/ggml say. */
class DeviceTest {
  @TempDir private Path folder;

  @Test
  void theProcessorIsTheFirst() {
    List<Device> devices = Device.list();
    assertThat(devices.get(0)).satisfies(cpu -> {
      assertThat(cpu.name()).isEqualTo("cpu");
      assertThat(cpu.description()).contains("selected");
      assertThat(cpu.problem()).isEmpty();
    }).asString().startsWith("cpu (");
    assertThat(Device.list("ref", "cpu-plain")).extracting(Device::name).containsExactly("ref", "cpu-plain");
    assertThat(new Device("ggml:X", "a card", Optional.of("attention"), 1L << 30, 2L << 30))
        .hasToString("ggml:X (a card), 1.0 of 2.0 GiB free, not used: attention");
  }

  @Test
  void whatIsNoDeviceIsRefused() {
    assertThatExceptionOfType(InvalidArgumentException.class).isThrownBy(() -> Device.list("ref", "ref")).withMessageContaining("named twice");
    assertThatExceptionOfType(InvalidArgumentException.class).isThrownBy(() -> ModelOptions.builder().devices("a,b")).withMessageContaining("a,b");
    assertThatExceptionOfType(InvalidArgumentException.class).isThrownBy(() -> ModelOptions.builder().devices()).withMessageContaining("no devices");
    assertThatExceptionOfType(InvalidArgumentException.class).isThrownBy(() -> ModelOptions.builder().deviceLayers(-1).build()).withMessageContaining("-1");
    assertThatExceptionOfType(UnsupportedException.class).isThrownBy(() -> Device.list("ggml:None")).withMessageContaining("\"ggml:None\"");
  }

  @Test
  void withoutGgmlThereAreNoMachines() {
    assumeTrue(Device.list().size() == 1, "GGML is here");
    assertThatExceptionOfType(UnsupportedException.class).isThrownBy(() -> Device.list("rpc:127.0.0.1:50052"))
        .withMessageContaining("rpc:127.0.0.1:50052 needs GGML").withMessageContaining("libdimple-ggml");
  }

  @Test
  void aSplitModelGivesTheSameTokens() throws IOException {
    Path file = TinyModel.ofText().write(folder.resolve("model.gguf"));
    ModelOptions split = ModelOptions.builder().devices("ref", "cpu-plain").build();
    try (var whole = DimpleModel.load(file, ModelOptions.builder().backend("ref").build()); var parts = DimpleModel.load(file, split);
        var expected = whole.session().user("cat").responseLength(16).open(); var found = parts.session().user("cat").responseLength(16).open()) {
      assertThat(parts.info().backend()).isEqualTo("ref,cpu-plain");
      assertThat(found.decode(Decoding.defaults()).canvas()).isEqualTo(expected.decode(Decoding.defaults()).canvas());
    }
    assertThatExceptionOfType(InvalidArgumentException.class)
        .isThrownBy(() -> DimpleModel.load(file, ModelOptions.builder().devices("ref").deviceLayers(1).build())).withMessageContaining("ref is no device");
  }
}
