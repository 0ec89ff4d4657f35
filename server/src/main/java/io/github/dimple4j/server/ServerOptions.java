package io.github.dimple4j.server;

import io.github.dimple4j.Image;
import io.github.dimple4j.InvalidArgumentException;
import io.github.dimple4j.KvType;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * How a server listens, and what it takes on. Immutable.
 *
 * @param host name or address to listen at
 * @param port 0 to 65535; 0: any free one, which {@link DimpleServer#port} tells
 * @param model what the model is called in requests and answers
 * @param sessions how many requests are worked on at a time, at least 1; each takes a session's memory
 * @param queue how many more may wait for one of these, at least 0
 * @param apiKeys keys of visible ASCII characters, one of which every request has to bring; empty: none is asked for
 * @param maxPixels of all pictures of a request together, 1 to {@link Image#MAX_PIXELS}
 * @param maxTokens of an answer, at least 1
 * @param maxBodyBytes of a request, at least 1
 * @param timeout from a request's last byte to its answer's
 * @param graceTime how long {@link DimpleServer#close} waits for requests before it cancels them
 * @param imageHosts hosts from which pictures are fetched, {@code HOST} or, of a port other than 80 and 443, {@code HOST:PORT}; empty: pictures come in the
 *     requests
 * @param cacheBytes memory for what is kept, half of it for prefilled sessions, half for the features of pictures; 0: nothing is
 * @param threads that work for a session at a time; 0: one per processor
 * @param kvType what keys and values are kept in
 */
public record ServerOptions(String host, int port, String model, int sessions, int queue, List<String> apiKeys, long maxPixels, int maxTokens,
    long maxBodyBytes, Duration timeout, Duration graceTime, Set<String> imageHosts, long cacheBytes, int threads, KvType kvType) {
  private static final int MOST_SESSIONS = 1024;
  private static final int MOST_WAITING = 1 << 20;
  private static final Pattern KEY = Pattern.compile("[\\x21-\\x7e]+");
  private static final Pattern IMAGE_HOST = Pattern.compile("(\\[[0-9A-Fa-f:.]+]|[^\\s:/@\\[\\]]+)(:\\d{1,5})?");

  /**
   * Checks the values and copies the collections.
   *
   * @throws InvalidArgumentException if one is out of its range; the message names it
   */
  public ServerOptions {
    Objects.requireNonNull(host, "host");
    Objects.requireNonNull(model, "model");
    Objects.requireNonNull(kvType, "kvType");
    apiKeys = List.copyOf(apiKeys);
    imageHosts = Set.copyOf(imageHosts);
    check("port", port, 0, 65_535);
    check("sessions", sessions, 1, MOST_SESSIONS);
    check("queue", queue, 0, MOST_WAITING);
    check("maxPixels", maxPixels, 1, Image.MAX_PIXELS);
    check("maxTokens", maxTokens, 1, Integer.MAX_VALUE);
    check("maxBodyBytes", maxBodyBytes, 1, Integer.MAX_VALUE / 2);
    check("cacheBytes", cacheBytes, 0, Long.MAX_VALUE);
    check("threads", threads, 0, Integer.MAX_VALUE);
    if (timeout.isNegative() || timeout.isZero()) {
      throw new InvalidArgumentException("timeout is " + timeout + ", expected a time above 0");
    }
    if (graceTime.isNegative()) {
      throw new InvalidArgumentException("graceTime is " + graceTime + ", expected no negative time");
    }
    for (int i = 0; i < apiKeys.size(); i++) { // not the key itself: messages are logged
      if (!KEY.matcher(apiKeys.get(i)).matches()) {
        throw new InvalidArgumentException("API key " + (i + 1) + " is blank or has blanks or characters other than those of ASCII: no request can bring it");
      }
    }
    for (String pictures : imageHosts) {
      if (!IMAGE_HOST.matcher(pictures).matches()) {
        throw new InvalidArgumentException("image host '" + pictures + "' is neither HOST nor HOST:PORT");
      }
    }
  }

  private static void check(String name, long value, long least, long most) {
    if (value < least || value > most) {
      throw new InvalidArgumentException(name + " is " + value + ", expected " + least + " to " + most);
    }
  }

  /**
   * Starts from the defaults: 127.0.0.1, port 8080, 4 sessions and 64 waiting, no key, 16 million pixels, 2048 tokens, 32 MiB, 10 minutes,
   * 30 seconds of grace, no hosts, 256 MiB of what is kept.
   *
   * @return a builder
   */
  public static Builder builder() {
    return new Builder();
  }

  /**
   * The options without the keys, for logs.
   *
   * @return for example {@code "ServerOptions[127.0.0.1:8080, dimple-mini, 4 sessions, 64 waiting, 0 keys]"}
   */
  @Override
  public String toString() {
    return "ServerOptions[" + host + ":" + port + ", " + model + ", " + sessions + " sessions, " + queue + " waiting, " + apiKeys.size()
        + " keys]";
  }

  /** Collects options. For one thread. */
  public static final class Builder {
    private String host = "127.0.0.1";
    private int port = 8080;
    private String model = "dimple";
    private int sessions = 4;
    private int queue = 64;
    private List<String> apiKeys = List.of();
    private long maxPixels = 16_000_000;
    private int maxTokens = 2048;
    private long maxBodyBytes = 32 << 20;
    private Duration timeout = Duration.ofMinutes(10);
    private Duration graceTime = Duration.ofSeconds(30);
    private Set<String> imageHosts = Set.of();
    private long cacheBytes = 256 << 20;
    private int threads;
    private KvType kvType = KvType.F32;

    private Builder() {}

    /**
     * Sets where it listens.
     *
     * @param host see {@link ServerOptions#host()}
     * @return this
     */
    public Builder host(String host) {
      this.host = host;
      return this;
    }

    /**
     * Sets the port.
     *
     * @param port see {@link ServerOptions#port()}
     * @return this
     */
    public Builder port(int port) {
      this.port = port;
      return this;
    }

    /**
     * Names the model.
     *
     * @param model see {@link ServerOptions#model()}
     * @return this
     */
    public Builder model(String model) {
      this.model = model;
      return this;
    }

    /**
     * Sets how many requests are worked on at a time.
     *
     * @param sessions see {@link ServerOptions#sessions()}
     * @return this
     */
    public Builder sessions(int sessions) {
      this.sessions = sessions;
      return this;
    }

    /**
     * Sets how many requests may wait.
     *
     * @param queue see {@link ServerOptions#queue()}
     * @return this
     */
    public Builder queue(int queue) {
      this.queue = queue;
      return this;
    }

    /**
     * Asks every request for a key.
     *
     * @param apiKeys see {@link ServerOptions#apiKeys()}
     * @return this
     */
    public Builder apiKeys(List<String> apiKeys) {
      this.apiKeys = apiKeys;
      return this;
    }

    /**
     * Limits pictures.
     *
     * @param maxPixels see {@link ServerOptions#maxPixels()}
     * @return this
     */
    public Builder maxPixels(long maxPixels) {
      this.maxPixels = maxPixels;
      return this;
    }

    /**
     * Limits answers.
     *
     * @param maxTokens see {@link ServerOptions#maxTokens()}
     * @return this
     */
    public Builder maxTokens(int maxTokens) {
      this.maxTokens = maxTokens;
      return this;
    }

    /**
     * Limits requests.
     *
     * @param maxBodyBytes see {@link ServerOptions#maxBodyBytes()}
     * @return this
     */
    public Builder maxBodyBytes(long maxBodyBytes) {
      this.maxBodyBytes = maxBodyBytes;
      return this;
    }

    /**
     * Limits how long a request takes.
     *
     * @param timeout see {@link ServerOptions#timeout()}
     * @return this
     */
    public Builder timeout(Duration timeout) {
      this.timeout = timeout;
      return this;
    }

    /**
     * Sets how long the end waits.
     *
     * @param graceTime see {@link ServerOptions#graceTime()}
     * @return this
     */
    public Builder graceTime(Duration graceTime) {
      this.graceTime = graceTime;
      return this;
    }

    /**
     * Allows pictures to be fetched.
     *
     * @param imageHosts see {@link ServerOptions#imageHosts()}
     * @return this
     */
    public Builder imageHosts(Set<String> imageHosts) {
      this.imageHosts = imageHosts;
      return this;
    }

    /**
     * Limits what is kept for questions that come again.
     *
     * @param cacheBytes see {@link ServerOptions#cacheBytes()}
     * @return this
     */
    public Builder cacheBytes(long cacheBytes) {
      this.cacheBytes = cacheBytes;
      return this;
    }

    /**
     * Limits the threads.
     *
     * @param threads see {@link ServerOptions#threads()}
     * @return this
     */
    public Builder threads(int threads) {
      this.threads = threads;
      return this;
    }

    /**
     * Chooses what keys and values are kept in.
     *
     * @param kvType see {@link ServerOptions#kvType()}
     * @return this
     */
    public Builder kvType(KvType kvType) {
      this.kvType = kvType;
      return this;
    }

    /**
     * Makes the options.
     *
     * @return immutable options
     * @throws InvalidArgumentException if a value is out of its range
     */
    public ServerOptions build() {
      return new ServerOptions(host, port, model, sessions, queue, apiKeys, maxPixels, maxTokens, maxBodyBytes, timeout, graceTime, imageHosts,
          cacheBytes, threads, kvType);
    }

    /**
     * The options so far without the keys, for logs.
     *
     * @return for example {@code "ServerOptions.Builder[127.0.0.1:8080, dimple, 4 sessions, 64 waiting]"}
     */
    @Override
    public String toString() {
      return "ServerOptions.Builder[" + host + ":" + port + ", " + model + ", " + sessions + " sessions, " + queue + " waiting]";
    }
  }
}
