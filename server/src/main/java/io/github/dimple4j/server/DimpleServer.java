package io.github.dimple4j.server;

import io.github.dimple4j.DimpleModel;
import java.io.IOException;
import java.net.URI;
import java.time.Duration;
import java.util.Objects;
import org.eclipse.jetty.http.UriCompliance;
import org.eclipse.jetty.server.HttpConfiguration;
import org.eclipse.jetty.server.HttpConnectionFactory;
import org.eclipse.jetty.server.NetworkConnectionLimit;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.util.VirtualThreads;
import org.eclipse.jetty.util.thread.QueuedThreadPool;

/**
 * A model behind an OpenAI-style HTTP interface; docs/serving.md says what it answers. Thread-safe.
 *
 * <pre>{@code
 * try (var model = DimpleModel.load(file);
 *     var server = DimpleServer.start(model, ServerOptions.builder().port(8080).build())) {
 *   System.out.println(server.address());
 *   Thread.sleep(Long.MAX_VALUE);
 * }
 * }</pre>
 */
public final class DimpleServer implements AutoCloseable {
  private static final int THREADS = 16; // that select and accept; requests have virtual ones
  private static final int MOST_CONNECTIONS = 4096;
  private static final int HEADER_BYTES = 16 << 10;
  private static final Duration IDLE = Duration.ofSeconds(60);

  private final ServerOptions options;
  private final Service service;
  private final Server http;
  private final ServerConnector connector;
  private boolean closed;

  private DimpleServer(ServerOptions options, Service service, Server http, ServerConnector connector) {
    this.options = options;
    this.service = service;
    this.http = http;
    this.connector = connector;
  }

  /**
   * Starts a server. It listens when this returns.
   *
   * @param model the model; it stays open until the server is closed, and is not closed with it
   * @param options how it listens, and what it takes on
   * @return the server
   * @throws IOException if it cannot listen at that address
   */
  public static DimpleServer start(DimpleModel model, ServerOptions options) throws IOException {
    Objects.requireNonNull(model, "model");
    Objects.requireNonNull(options, "options");
    Service service = new Service(model, options);
    QueuedThreadPool threads = new QueuedThreadPool(THREADS);
    threads.setName("dimple-http");
    threads.setDaemon(true);
    threads.setVirtualThreadsExecutor(VirtualThreads.getNamedVirtualThreadsExecutor("dimple-request-"));
    Server http = new Server(threads);
    HttpConfiguration configuration = new HttpConfiguration();
    configuration.setSendServerVersion(false);
    configuration.setRequestHeaderSize(HEADER_BYTES);
    configuration.setUriCompliance(UriCompliance.RFC3986);
    ServerConnector connector = new ServerConnector(http, 1, 1, new HttpConnectionFactory(configuration));
    connector.setHost(options.host());
    connector.setPort(options.port());
    connector.setIdleTimeout(IDLE.toMillis());
    http.addConnector(connector);
    http.addBean(new NetworkConnectionLimit(MOST_CONNECTIONS, connector));
    http.setHandler(service.gate());
    http.setErrorHandler(new Malformed());
    http.setStopTimeout(0);
    try {
      http.start();
    } catch (Exception e) { // as Jetty declares it
      stop(http);
      service.close();
      throw new IOException("cannot listen at " + options.host() + ":" + options.port() + ": " + reason(e), e);
    }
    return new DimpleServer(options, service, http, connector);
  }

  /** What the system says; Jetty's own words name the address again. */
  private static String reason(Exception failure) {
    boolean unknown = failure.getMessage() != null && failure.getMessage().contains("<unresolved>");
    return unknown ? "there is no such host" : failure instanceof IOException && failure.getCause() instanceof IOException system ? system.getMessage() : failure.getMessage();
  }

  /**
   * The port.
   *
   * @return the one that was asked for, or the free one that was found
   */
  public int port() {
    return connector.getLocalPort();
  }

  /**
   * Where the server is.
   *
   * @return for example {@code http://127.0.0.1:8080}
   */
  public URI address() {
    String host = options.host().contains(":") ? "[" + options.host() + "]" : options.host();
    return URI.create("http://" + host + ":" + port());
  }

  /**
   * Ends the server: takes no new requests, waits {@link ServerOptions#graceTime} for those that it has, and cancels what takes longer.
   * Idempotent. An interrupted thread cancels all at once.
   */
  @Override
  public synchronized void close() {
    if (closed) {
      return;
    }
    closed = true;
    connector.close(); // no new connections; those that are there go on
    try {
      service.lanes().stop(options.graceTime());
      service.awaitWritten();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    service.close();
    stop(http);
  }

  private static void stop(Server http) {
    try {
      http.stop();
    } catch (Exception e) { // as Jetty declares it
      System.getLogger(DimpleServer.class.getName()).log(System.Logger.Level.WARNING, "the HTTP server did not stop cleanly", e);
    }
  }

  /**
   * Where it is and what it serves, for logs.
   *
   * @return for example {@code "DimpleServer[http://127.0.0.1:8080, dimple-mini]"}
   */
  @Override
  public String toString() {
    return "DimpleServer[" + options.host() + ":" + port() + ", " + options.model() + "]";
  }
}
