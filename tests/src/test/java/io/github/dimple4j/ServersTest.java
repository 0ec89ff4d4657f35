package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.dimple4j.gguf.TensorType;
import io.github.dimple4j.gguf.tools.Synth;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
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

    /** Sends it a signal by the system's command. */
    void signal(String name) throws IOException, InterruptedException {
      assertThat(new ProcessBuilder("kill", "-" + name, Long.toString(process.pid())).inheritIO().start().waitFor()).isZero();
    }

    void kill() {
      process.destroyForcibly().onExit().join();
    }

    @Override
    public void close() {
      kill();
    }
  }

  /** A way to a server that carries what is sent, until it is told to carry nothing more, as a cable does that is cut: no side is told. */
  private static final class Cable implements AutoCloseable {
    private final ServerSocket near = new ServerSocket(0, 8, InetAddress.getLoopbackAddress());
    private final List<Socket> ends = Collections.synchronizedList(new ArrayList<>());
    private volatile boolean cut;

    /** Turns the major version in the server's first answer, behind the eight bytes of that one's size, into another one. */
    private final boolean otherVersion;

    Cable(int port, boolean otherVersion) throws IOException {
      this.otherVersion = otherVersion;
      Thread.ofPlatform().daemon().start(() -> {
        try {
          while (true) {
            Socket here = near.accept();
            Socket there = new Socket(InetAddress.getLoopbackAddress(), port);
            ends.addAll(List.of(here, there));
            carry(here, there, false);
            carry(there, here, otherVersion);
          }
        } catch (IOException e) {
          // It is closed.
        }
      });
    }

    private void carry(Socket from, Socket to, boolean altered) {
      Thread.ofPlatform().daemon().start(() -> {
        byte[] bytes = new byte[1 << 16];
        try {
          if (altered) {
            byte[] first = from.getInputStream().readNBytes(9);
            first[8] += 10;
            to.getOutputStream().write(first);
          }
          for (int count; (count = from.getInputStream().read(bytes)) >= 0;) {
            if (!cut) {
              to.getOutputStream().write(bytes, 0, count);
            }
          }
          to.close();
        } catch (IOException e) {
          // One of the ends is closed.
        }
      });
    }

    String device() {
      return "rpc:127.0.0.1:" + near.getLocalPort();
    }

    @Override
    public void close() throws IOException {
      near.close();
      for (Socket end : ends) {
        end.close();
      }
    }
  }

  /** The environment's limit, which {@code tests/peers/ggml} sets to a few seconds. */
  private static Duration limit() {
    return Duration.ofSeconds(Long.parseLong(System.getenv().getOrDefault("DIMPLE_RPC_TIMEOUT", "600")));
  }

  /** Logits are asked for until something happens in the middle of a call: that one ends, in time, and later ones at once. */
  private static void expectEnd(Session session, String device, String why, Duration most) {
    long start = System.nanoTime();
    Throwable failure = null;
    while (failure == null && System.nanoTime() - start < most.toNanos()) {
      failure = catchThrowable(session::logits);
    }
    assertThat(failure).isInstanceOf(DimpleException.class).hasMessageContaining("device " + device + " is lost").hasMessageContaining(why);
    assertThat(Duration.ofNanos(System.nanoTime() - start)).isLessThan(most);
    assertThat(catchThrowable(session::logits)).isInstanceOf(DimpleException.class).hasMessageContaining(device);
  }

  @Test
  void aServerThatIsStoppedEndsTheCall() throws Exception {
    Golden golden = Golden.named("alpha");
    Path file = golden.file(TensorType.F32);
    try (Server first = Server.start(); Server second = Server.start()) {
      try (DimpleModel model = load(file, first.device(), second.device());
          Session session = golden.cases().getFirst().session(model).responseLength(64).open()) {
        float[][] expected = session.logits();
        Thread.ofPlatform().start(() -> {
          try {
            Thread.sleep(20);
            second.signal("STOP");
          } catch (IOException | InterruptedException e) {
            throw new AssertionError(e);
          }
        });
        expectEnd(session, second.device(), "no answer for", limit().plusSeconds(40));
        second.kill(); // let go on, it would end by itself: it writes to a connection that is closed
        try (Server same = Server.start(second.port()); DimpleModel again = load(file, first.device(), same.device());
            Session other = golden.cases().getFirst().session(again).responseLength(64).open()) {
          assertThat(other.logits()).isDeepEqualTo(expected);
        }
      }
    }
  }

  /** GGML's CPU in a process of its own: this one goes on, and so does the next model, in a new one. */
  @Test
  void aProcessForADeviceThatIsKilledEndsTheCall() throws Exception {
    String device = "child:ggml:CPU";
    Golden golden = Golden.named("alpha");
    Path file = golden.file(TensorType.F32);
    for (int i = 0; i < 3; i++) {
      try (DimpleModel model = load(file, device); Session session = golden.cases().getFirst().session(model).responseLength(64).open()) {
        session.logits();
        ProcessHandle child = ProcessHandle.current().children()
            .filter(process -> process.info().command().orElse("").endsWith("dimple-ggml-server")).findFirst().orElseThrow();
        int wait = 10 * i;
        Thread.ofPlatform().start(() -> {
          try {
            Thread.sleep(wait);
          } catch (InterruptedException e) {
            throw new AssertionError(e);
          }
          child.destroyForcibly();
        });
        expectEnd(session, device, "its process was ended by signal 9", limit().plusSeconds(40));
      }
    }
  }

  @Test
  void aConnectionThatCarriesNothingMoreEndsTheCall() throws Exception {
    Golden golden = Golden.named("alpha");
    Path file = golden.file(TensorType.F32);
    try (Server first = Server.start(); Server second = Server.start(); Cable cable = new Cable(second.port(), false);
        DimpleModel model = load(file, first.device(), cable.device());
        Session session = golden.cases().getFirst().session(model).responseLength(64).open()) {
      session.logits();
      Thread.ofPlatform().start(() -> {
        try {
          Thread.sleep(20);
        } catch (InterruptedException e) {
          throw new AssertionError(e);
        }
        cable.cut = true;
      });
      expectEnd(session, cable.device(), "no answer for", limit().plusSeconds(40));
    }
  }

  /** One that closes every connection, and one that answers with something else. */
  @Test
  void whatIsNoServerIsSaidToBeNone() throws Exception {
    for (byte[] greeting : new byte[][] {{}, "HTTP/1.1 400 Bad Request\r\n\r\n".getBytes(StandardCharsets.US_ASCII)}) {
      try (ServerSocket other = new ServerSocket(0, 8, InetAddress.getLoopbackAddress())) {
        Thread.ofPlatform().daemon().start(() -> {
          try {
            while (true) {
              try (Socket socket = other.accept()) {
                socket.getOutputStream().write(greeting);
              }
            }
          } catch (IOException e) {
            // It is closed.
          }
        });
        String address = "127.0.0.1:" + other.getLocalPort();
        assertRefused("rpc:" + address, address);
      }
    }
  }

  @Test
  void aServerOfAnotherVersionIsRefused() throws Exception {
    try (Server server = Server.start(); Cable cable = new Cable(server.port(), true)) {
      assertRefused(cable.device(), cable.device().substring(4));
    }
  }

  @Test
  void addressesThatAreNoneAreNamed() {
    assertRefused("rpc:127.0.0.1:1", "cannot connect to 127.0.0.1:1: Connection refused");
    assertRefused("rpc:[::1]:1", "cannot connect to [::1]:1");
    assertRefused("rpc:no.such.host.invalid:50052", "host no.such.host.invalid");
    for (String malformed : List.of("", "host", ":50052", "host:", "host:0", "host:65536", "host:port", "host:-1", "::1:50052", "[]:50052", "[::1]50052",
        "[::1:50052", "h".repeat(80) + ":50052")) {
      assertRefused("rpc:" + malformed, "is no server, expected HOST:PORT");
    }
  }

  private static void assertRefused(String device, String message) {
    Throwable failure = catchThrowable(() -> Device.list(device));
    System.out.println("ServersTest: " + device + ": " + (failure == null ? "taken" : failure.getMessage()));
    assertThat(failure).as(device).isInstanceOf(DimpleException.class).hasMessageContaining(message);
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

  /** With the environment's {@code DIMPLE_RPC_FUSED=1}: otherwise servers' attention is of other operations, and the random weights' logits are about equal. */
  @Test
  void theShapeOfSevenBillionGivesTheSameTokensHereAsOnServers(@TempDir Path folder) throws Exception {
    assumeTrue("1".equals(System.getenv("DIMPLE_RPC_FUSED")), "without DIMPLE_RPC_FUSED=1");
    Path file = folder.resolve("7b.gguf");
    Synth.of("dimple-7b").layers(Integer.getInteger("dimple.layers", 2)).type(TensorType.Q4_0).write(file);
    try (Server first = Server.start(); Server second = Server.start()) {
      int[] here = tokens(file, "ggml:CPU");
      assertThat(tokens(file, first.device())).as("one server").isEqualTo(here);
      assertThat(tokens(file, first.device(), second.device())).as("two servers").isEqualTo(here);
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
