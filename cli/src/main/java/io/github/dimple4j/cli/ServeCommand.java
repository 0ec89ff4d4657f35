package io.github.dimple4j.cli;

import io.github.dimple4j.DimpleModel;
import io.github.dimple4j.InvalidArgumentException;
import io.github.dimple4j.server.DimpleServer;
import io.github.dimple4j.server.ServerOptions;
import java.io.IOException;
import java.io.PrintWriter;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.logging.Level;
import java.util.logging.Logger;
import java.util.regex.Pattern;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code dimple serve}: the model behind an OpenAI-style HTTP interface. */
@Command(name = "serve", mixinStandardHelpOptions = true, description = "Serve a model to OpenAI clients: docs/serving.md.", footer = {"",
    "Answers POST /v1/chat/completions, /v1/completions, GET /v1/models, /health and /metrics, and a page at /. SIGTERM or ^C ends it: what runs "
    + "is finished, or cancelled after the grace time. A second one ends it at once."})
final class ServeCommand implements Callable<Integer> {
  private static final long MEBIBYTE = 1 << 20;
  private static final int MOST_BATCHED = 1024; // ModelOptions
  private static final long SHARED_WEIGHTS = 64 * MEBIBYTE; // docs/serving.md, "Requests in flight together"
  private static final Pattern CUT = Pattern.compile("-\\d{5}-of-\\d{5}\\.gguf$"); // a model in several files

  @Spec private CommandSpec spec;

  @Parameters(arity = "0..1", paramLabel = "MODEL.gguf", description = "The model; without one, the bundled dimple-mini.")
  private Path model;

  @Option(names = "--host", paramLabel = "NAME", defaultValue = "127.0.0.1",
      description = "Name or address to listen at; 0.0.0.0: every one (default: ${DEFAULT-VALUE}).")
  private String host;

  @Option(names = "--port", paramLabel = "N", defaultValue = "8080", description = "Port; 0: any free one (default: ${DEFAULT-VALUE}).")
  private int port;

  @Option(names = "--model-name", paramLabel = "NAME", description = "What requests call the model (default: the file's name without .gguf).")
  private String name;

  @Option(names = "--sessions", paramLabel = "N", defaultValue = "4",
      description = "Requests that are worked on at a time (default: ${DEFAULT-VALUE}).")
  private int sessions;

  @Option(names = "--batch", paramLabel = "N",
      description = "Sessions whose iterations share their passes; 1: none (default: as many as --sessions, 1 for a model of less than 64 MiB).")
  private Integer batch;

  @Option(names = "--queue", paramLabel = "N", defaultValue = "64",
      description = "Requests that wait; more are refused (default: ${DEFAULT-VALUE}).")
  private int queue;

  @Option(names = "--api-key-file", paramLabel = "FILE", description = "Keys, one a line, one of which every request has to bring.")
  private Path keyFile;

  @Option(names = "--max-pixels", paramLabel = "N", defaultValue = "16000000",
      description = "Pixels of all pictures of a request (default: ${DEFAULT-VALUE}).")
  private long maxPixels;

  @Option(names = "--max-tokens", paramLabel = "N", defaultValue = "2048", description = "Tokens of an answer (default: ${DEFAULT-VALUE}).")
  private int maxTokens;

  @Option(names = "--max-body", paramLabel = "MIB", defaultValue = "32", description = "Size of a request in MiB (default: ${DEFAULT-VALUE}).")
  private int maxBody;

  @Option(names = "--timeout", paramLabel = "SECONDS", defaultValue = "600", description = "Time for an answer (default: ${DEFAULT-VALUE}).")
  private int timeout;

  @Option(names = "--grace", paramLabel = "SECONDS", defaultValue = "30",
      description = "Time for what runs at the end (default: ${DEFAULT-VALUE}).")
  private int grace;

  @Option(names = "--cache", paramLabel = "MIB", defaultValue = "256",
      description = "Memory for what is kept for questions and pictures that come again; 0: none (default: ${DEFAULT-VALUE}).")
  private int cache;

  @Option(names = "--image-hosts", paramLabel = "HOST", split = ",",
      description = "HOST or HOST:PORT, from which pictures are fetched by address (default: none, pictures come in the requests).")
  private List<String> imageHosts = List.of();

  @Mixin private EngineOptions engine;

  /** The HTTP library's; held, or it would forget its level. */
  private static final Logger HTTP = Logger.getLogger("org.eclipse.jetty");

  @Override
  public Integer call() throws IOException, InterruptedException {
    engine.check();
    if (System.getProperty("java.util.logging.config.file") == null) {
      HTTP.setLevel(Level.WARNING); // of its start and end this says enough
    }
    Path file = model != null ? model : BundledModel.find();
    ServerOptions options = options(file);
    PrintWriter err = spec.commandLine().getErr();
    CountDownLatch ended = new CountDownLatch(1);
    try (DimpleModel loaded = load(file, err)) {
      ControlC.orTerminationDoes(() -> {
        if (ended.getCount() == 0) {
          Runtime.getRuntime().halt(DimpleCommand.FAILED);
        }
        ended.countDown();
      });
      try (DimpleServer server = DimpleServer.start(loaded, options)) {
        warn(err);
        err.println("dimple: " + options.model() + " at " + server.address() + "/v1");
        err.flush();
        ended.await();
        err.println("dimple: ending");
        err.flush();
      }
    }
    return 0;
  }

  private ServerOptions options(Path file) throws IOException {
    if (batch != null && (batch < 1 || batch > MOST_BATCHED)) {
      throw Failures.invalidValue(spec, "--batch", batch + ", expected 1 to " + MOST_BATCHED);
    }
    String fileName = Objects.toString(file.getFileName(), file.toString()); // a root has no name
    try {
      return ServerOptions.builder().host(host).port(port).model(name != null ? name : fileName.replaceFirst("(?i)\\.gguf$", ""))
          .sessions(sessions).queue(queue).apiKeys(keyFile == null ? List.of() : keys())
          .maxPixels(maxPixels).maxTokens(maxTokens).maxBodyBytes(maxBody * MEBIBYTE)
          .timeout(Duration.ofSeconds(timeout)).graceTime(Duration.ofSeconds(grace)).cacheBytes(cache * MEBIBYTE)
          .imageHosts(Set.copyOf(imageHosts)).threads(engine.threads()).kvType(engine.kvType()).build();
    } catch (InvalidArgumentException e) {
      throw new ParameterException(spec.commandLine(), e.getMessage());
    }
  }

  /** One a line; blank lines and those that begin with # say nothing. */
  private List<String> keys() throws IOException {
    List<String> keys = new TextSource(keyFile.toString()).read().lines().map(String::strip)
        .filter(line -> !line.isEmpty() && !line.startsWith("#")).toList();
    if (keys.isEmpty()) {
      throw new IOException(keyFile + ": has no key");
    }
    return keys;
  }

  /** What steps save by sharing a pass is reading the weights, which costs nothing while they lie in the processor's cache; meeting always costs. */
  private int usualBatch(Path file) {
    boolean cached = file.toFile().length() < SHARED_WEIGHTS && !CUT.matcher(file.toString()).find() && Files.exists(file);
    return cached ? 1 : sessions;
  }

  private DimpleModel load(Path file, PrintWriter err) {
    long start = System.nanoTime();
    err.println("dimple: loading " + file);
    err.flush();
    DimpleModel loaded = engine.load(file, batch == null ? usualBatch(file) : batch);
    err.println("dimple: loaded " + (loaded.info().weightSize() >> 20) + " MiB of weights in " + Figures.time(System.nanoTime() - start) + ", "
        + loaded.info().backend() + ", " + engine.effectiveThreads() + " threads");
    err.flush();
    return loaded;
  }

  /** Who can reach the machine can use it. */
  private void warn(PrintWriter err) {
    if (keyFile == null && !isLoopback()) {
      err.println("dimple: warning: everyone who reaches " + host + " can use this server; --api-key-file asks for a key");
    }
  }

  private boolean isLoopback() {
    try {
      return InetAddress.getByName(host).isLoopbackAddress();
    } catch (UnknownHostException e) {
      return false;
    }
  }
}
