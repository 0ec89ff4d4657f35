package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import io.github.dimple4j.gguf.TensorType;
import io.github.dimple4j.gguf.tools.Synth;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.io.TempDir;

/**
 * Two of GGML's servers on this machine, which run parts of a model. Only where the property {@code dimple.rpcServer} names GGML's
 * {@code rpc-server}, and libdimple-ggml is there: {@code tests/peers/ggml} sees to both.
 */
@EnabledIfSystemProperty(named = "dimple.rpcServer", matches = ".+")
class ServersTest {
  private static final int KILLS = 20;

  /** GGML's server, with one thread on the processor. */
  private record Server(int port, Process process) implements AutoCloseable {
    static Server start(int port) throws IOException, InterruptedException {
      Process process = new ProcessBuilder(System.getProperty("dimple.rpcServer"), "-t", "1", "-d", "CPU", "-p", Integer.toString(port))
          .redirectErrorStream(true).redirectOutput(ProcessBuilder.Redirect.DISCARD).start();
      for (int i = 0; i < 300; i++) {
        try (Socket socket = new Socket()) {
          socket.connect(new InetSocketAddress("127.0.0.1", port), 1000);
          return new Server(port, process);
        } catch (IOException e) {
          Thread.sleep(100);
        }
      }
      throw new IOException("no server at port " + port);
    }

    static Server start() throws IOException, InterruptedException {
      int port;
      try (ServerSocket any = new ServerSocket(0)) {
        port = any.getLocalPort();
      }
      return start(port);
    }

    String device() {
      return "rpc:127.0.0.1:" + port;
    }

    @Override
    public void close() {
      process.destroyForcibly().onExit().join();
    }
  }

  private static DimpleModel load(Path file, String... devices) {
    return DimpleModel.load(file, ModelOptions.builder().devices(devices).build());
  }

  @Test
  void aKilledServerEndsTheCallAndNothingElse() throws Exception {
    Golden golden = Golden.named("alpha");
    Path file = golden.file(TensorType.F32);
    Random random = new Random(1);
    float[][] expected = null;
    try (Server first = Server.start()) {
      Server second = Server.start();
      int port = second.port();
      for (int round = 0; round < KILLS; round++) {
        try (DimpleModel model = load(file, first.device(), second.device());
            Session session = golden.cases().getFirst().session(model).responseLength(64).open()) {
          float[][] logits = session.logits();
          assertThat(logits).isDeepEqualTo(expected == null ? logits : expected);
          expected = logits;
          Server victim = second;
          Thread killer = Thread.ofPlatform().start(() -> {
            try {
              TimeUnit.MICROSECONDS.sleep(2000 + random.nextInt(60_000));
            } catch (InterruptedException e) {
              return;
            }
            victim.process().destroyForcibly();
          });
          long deadline = System.nanoTime() + Duration.ofSeconds(60).toNanos();
          Throwable failure = null;
          while (failure == null && System.nanoTime() < deadline) {
            failure = catchThrowable(session::logits);
          }
          killer.join();
          assertThat(failure).as("round " + round).isInstanceOf(DimpleException.class).hasMessageContaining("device " + second.device() + " is lost");
          assertThat(catchThrowable(session::logits)).as("later calls").isInstanceOf(DimpleException.class).hasMessageContaining(second.device());
        }
        second.close();
        second = Server.start(port); // the next round finds it again where it was
      }
      second.close();
      assertThat(catchThrowable(() -> load(file, first.device(), "rpc:127.0.0.1:" + port))).isInstanceOf(DimpleException.class)
          .hasMessageContaining("127.0.0.1:" + port);
      System.out.println("ServersTest: " + KILLS + " servers killed, each ended one call");
    }
  }

  @Test
  void theShapeOfSevenBillionGivesTheSameTokensOnTwoServersAsOnOne(@TempDir Path folder) throws Exception {
    Path file = folder.resolve("7b.gguf");
    Synth.of("dimple-7b").layers(Integer.getInteger("dimple.layers", 2)).type(TensorType.Q4_0).write(file);
    try (Server first = Server.start(); Server second = Server.start()) {
      int[] whole = tokens(file, first.device());
      int[] split = tokens(file, first.device(), second.device());
      assertThat(split).isEqualTo(whole);
    } finally {
      Files.delete(file);
    }
  }

  private static int[] tokens(Path file, String... devices) {
    long start = System.nanoTime();
    try (DimpleModel model = load(file, devices);
        Session session = model.session().tokens(new int[] {1000, 2000, 3000, 4000, 5000, 6000}).responseLength(16).open()) {
      assertThat(model.info().backend().split(",")).hasSize(devices.length);
      long loaded = System.nanoTime();
      int[] tokens = session.decode(Decoding.builder().steps(4).build()).canvas().tokens();
      System.out.printf("ServersTest: %s: loaded in %d s, decoded in %d s%n", model.info().backend(), (loaded - start) / 1_000_000_000,
          (System.nanoTime() - loaded) / 1_000_000_000);
      return tokens;
    }
  }
}
