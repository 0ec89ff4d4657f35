package io.github.dimple4j.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.dimple4j.Device;
import org.junit.jupiter.api.Test;

/** What can run models, and options that ask for what cannot. */
class DevicesCommandTest {
  @Test
  void theProcessorIsListed() {
    String[] lines = Output.of("devices").out().split("\\R");
    assertThat(lines[0]).matches("device +free +total +description");
    assertThat(lines[1]).startsWith("cpu ").contains("selected");
  }

  @Test
  void machinesNeedGgml() {
    assumeTrue(Device.list().size() == 1, "GGML is here");
    assertThat(Output.of("devices", "--rpc", "127.0.0.1:50052").err()).contains("rpc:127.0.0.1:50052 needs GGML");
    assertThat(Output.of("run", "none.gguf", "--prompt", "x", "--rpc", "127.0.0.1:50052").err()).contains("rpc:127.0.0.1:50052 needs GGML");
  }

  @Test
  void layersAreCounted() {
    for (String wrong : new String[] {"0", "-1", "all"}) {
      assertThat(Output.of("run", "none.gguf", "--prompt", "x", "--gpu-layers", wrong).err())
          .contains("Invalid value for option '--gpu-layers': " + wrong + ", expected auto or 1 and more");
    }
    assertThat(Output.of("run", "none.gguf", "--prompt", "x", "--device", "ref", "--gpu-layers", "1").err())
        .startsWith("dimple: --gpu-layers goes with devices of --device or --rpc");
  }
}
