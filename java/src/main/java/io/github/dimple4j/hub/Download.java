package io.github.dimple4j.hub;

import io.github.dimple4j.CancelledException;
import io.github.dimple4j.FetchException;
import io.github.dimple4j.FetchProgress;
import java.io.IOException;
import java.net.ConnectException;
import java.net.SocketTimeoutException;
import java.net.URI;
import java.net.http.HttpTimeoutException;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.UnresolvedAddressException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalLong;
import java.util.function.Consumer;

/**
 * One GGUF file on its way from a server to its place in a folder. A connection that breaks is made again, and goes on behind the bytes that
 * are there (HTTP range requests, RFC 9110 section 14), also those of an earlier program. The file takes its place when it is whole, is a GGUF
 * file, and has the SHA-256 that is asked for or that the hub says. For one thread.
 */
public final class Download {
  private static final int TRIES = 6; // in a row without a single byte
  private static final long PROGRESS_NANOS = 100_000_000;
  private static final byte[] MAGIC = "GGUF".getBytes(StandardCharsets.US_ASCII);

  private final URI source;
  private final Path target;
  private final Token token;
  private final Duration pause;
  private final Consumer<FetchProgress> listener;
  private String wanted; // null: nobody has said it
  private long shown;

  /**
   * Describes the work.
   *
   * @param source http or https
   * @param target where the file goes
   * @param sha256 64 digits in lower case; null: what the hub says
   * @param token for the server that it belongs to; null: none
   * @param pause after the first failure; twice as long after each further one, or as long as the server says
   * @param listener hears of the progress, in the thread that runs
   */
  public Download(URI source, Path target, String sha256, Token token, Duration pause, Consumer<FetchProgress> listener) {
    this.source = source;
    this.target = target;
    this.wanted = sha256;
    this.token = token;
    this.pause = pause;
    this.listener = listener;
  }

  /** A failure that another try may mend. */
  private static final class Interruption extends IOException {
    private static final long serialVersionUID = 1;
    private final transient OptionalLong seconds; // to wait, as the server says

    Interruption(String message, OptionalLong seconds) {
      super(message);
      this.seconds = seconds;
    }
  }

  /**
   * Fetches the file unless it is there. Another process that fetches it is waited for.
   *
   * @param anew also if it is there
   * @throws FetchException if it cannot be had
   * @throws CancelledException if the thread is interrupted
   */
  public void run(boolean anew) {
    try {
      Files.createDirectories(target.getParent());
      try (FolderLock _ = FolderLock.of(target)) {
        if (anew || !isThere()) {
          fetch();
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw interrupted();
    } catch (ClosedByInterruptException e) {
      throw interrupted();
    } catch (IOException e) {
      throw new FetchException(target + ": cannot be written: " + e.getMessage(), e);
    }
  }

  private static CancelledException interrupted() {
    return new CancelledException("fetching was interrupted; what was received stays for the next try");
  }

  /** Whether the file is in its place, and is the one that is asked for. */
  private boolean isThere() throws IOException {
    if (!Files.isRegularFile(target)) {
      return false;
    }
    if (wanted == null) {
      return true;
    }
    Path note = target.resolveSibling(target.getFileName() + ".sha256");
    String known = wanted + " " + Files.size(target) + "\n";
    if (Files.isRegularFile(note) && Files.readString(note, StandardCharsets.ISO_8859_1).equals(known)) {
      return true;
    }
    return FileHash.of(target).equals(wanted);
  }

  private void fetch() throws IOException, InterruptedException {
    try (PartFile part = new PartFile(target)) {
      receive(part);
      if (wanted != null && !part.hash().equals(wanted) && part.isResumed()) { // bytes of another state of the file, perhaps
        part.restart();
        receive(part);
      }
      check(part);
      String note = part.hash() + " " + part.size() + "\n";
      part.finish();
      Files.writeString(target.resolveSibling(target.getFileName() + ".sha256"), note);
    }
  }

  private void check(PartFile part) throws IOException {
    String hash = part.hash();
    if (!Arrays.equals(part.beginning(MAGIC.length), MAGIC)) {
      String beginning = new String(part.beginning(40), StandardCharsets.ISO_8859_1).replaceAll("[^ -~]", ".");
      part.restart();
      throw new FetchException(Response.shown(source) + " is no GGUF file: it begins with '" + beginning + "'");
    }
    if (wanted != null && !hash.equals(wanted)) {
      part.restart();
      throw new FetchException(Response.shown(source) + " has SHA-256 " + hash + ", expected " + wanted + "; what was received is deleted");
    }
  }

  /** Tries until the file is whole. */
  private void receive(PartFile part) throws IOException, InterruptedException {
    int failures = 0;
    while (true) {
      long before = part.size();
      try {
        attempt(part);
        report(part, true);
        return;
      } catch (ClosedByInterruptException | LocalFailure e) {
        throw e;
      } catch (IOException e) {
        failures = part.size() > before ? 1 : failures + 1;
        if (failures == TRIES) {
          throw new FetchException(Response.shown(source) + ": " + reason(e) + " (" + TRIES + " times)" + kept(part), e);
        }
        OptionalLong asked = e instanceof Interruption said ? said.seconds : OptionalLong.empty();
        Duration wait = asked.isPresent() ? Duration.ofSeconds(Math.min(asked.getAsLong(), 120)) : pause.multipliedBy(1L << (failures - 1));
        Thread.sleep(wait.toMillis());
      }
    }
  }

  /** What becomes of the bytes that are there. */
  private String kept(PartFile part) {
    if (part.size() == 0) {
      return "";
    }
    return canGoOn(part) ? "; the " + part.size() + " bytes received stay for the next try"
        : "; neither the server (ETag, Last-Modified) nor a SHA-256 given says which file the " + part.size() + " bytes received are of: a try begins anew";
  }

  /** Whether something tells the bytes that are there from those of another state of the file. */
  private boolean canGoOn(PartFile part) {
    return part.validator().isPresent() || wanted != null;
  }

  /** Why a connection failed. */
  static String reason(IOException e) {
    return switch (e) {
      case Interruption i -> i.getMessage();
      case SocketTimeoutException t -> t.getMessage();
      case HttpTimeoutException t -> "the server does not answer";
      case ConnectException c when c.getCause() != null && c.getCause().getCause() instanceof UnresolvedAddressException -> "no such host";
      case ConnectException c -> c.getMessage() == null ? "the connection is refused" : c.getMessage();
      default -> e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage();
    };
  }

  /** A failure of this machine's own, which no other try mends. */
  private static final class LocalFailure extends IOException {
    private static final long serialVersionUID = 1;

    LocalFailure(IOException cause) {
      super(cause.getMessage(), cause);
    }
  }

  private void attempt(PartFile part) throws IOException, InterruptedException {
    if (part.size() > 0 && !canGoOn(part)) {
      part.restart();
    }
    Map<String, String> headers = new HashMap<>();
    if (part.size() > 0) {
      headers.put("Range", "bytes=" + part.size() + "-");
      part.validator().ifPresent(state -> headers.put("If-Range", state));
    }
    try (Response response = Response.get(source, headers, token)) {
      if (wanted == null) {
        wanted = response.linkedHash().orElse(null);
      }
      switch (response.status()) {
        case 200, 206 -> receive(part, response);
        case 416 -> settle(part, response);
        default -> refuse(response);
      }
    }
  }

  private void receive(PartFile part, Response response) throws IOException, InterruptedException {
    OptionalLong total = response.total();
    if (response.coding().isPresent()) {
      throw new FetchException(Response.shown(response.place()) + ": is sent in the coding '" + response.coding().get() + "', which was not asked for");
    }
    if (part.size() > 0 && (response.first() != part.size() || isOfAnother(part, response))) {
      part.restart();
    }
    if (response.first() != part.size()) {
      throw new Interruption("the server sends from byte " + response.first() + ", expected " + part.size(), OptionalLong.empty());
    }
    total = total.isPresent() ? total : part.total();
    checkRoom(part, total);
    part.describe(response.validator().or(part::validator), total);
    copy(part, response);
    if (total.isPresent() && part.size() != total.getAsLong()) {
      throw new Interruption("the connection ended after " + part.size() + " of " + total.getAsLong() + " bytes", OptionalLong.empty());
    }
  }

  /** Whether the server says that the file is not the one that the first bytes are of; some do not heed If-Range. */
  private static boolean isOfAnother(PartFile part, Response response) {
    boolean otherState = part.validator().isPresent() && response.validator().isPresent() && !part.validator().equals(response.validator());
    boolean otherSize = part.total().isPresent() && response.total().isPresent() && !part.total().equals(response.total());
    return otherState || otherSize;
  }

  private void copy(PartFile part, Response response) throws IOException, InterruptedException {
    for (ByteBuffer bytes = response.body().next(); bytes != null; bytes = response.body().next()) {
      try {
        part.append(bytes);
      } catch (ClosedByInterruptException e) {
        throw e;
      } catch (IOException e) {
        throw new LocalFailure(e);
      }
      report(part, false);
    }
  }

  /** Nothing is left to send: all is there, or what is there is of another file. */
  private void settle(PartFile part, Response response) throws IOException {
    OptionalLong total = response.total();
    if (total.isEmpty() || total.getAsLong() != part.size() || isOfAnother(part, response)) {
      part.restart();
      throw new Interruption("the server has no byte " + part.size(), OptionalLong.empty());
    }
  }

  private void refuse(Response response) throws IOException {
    int status = response.status();
    String address = Response.shown(response.place());
    switch (status) {
      case 401, 403 -> throw new FetchException(address + ": access denied (status " + status + "); "
          + (token == null || !token.isFor(response.place()) ? "HF_TOKEN in the environment is the token for the hub" : "the token given does not open it"));
      case 404, 410 -> throw new FetchException(address + ": no such file (status " + status + ")");
      case 408, 425, 429, 500, 502, 503, 504 -> throw new Interruption("the server answers with status " + status, response.retryAfter());
      default -> throw new FetchException(address + ": the server answers with status " + status);
    }
  }

  private void checkRoom(PartFile part, OptionalLong total) throws IOException {
    long free = Files.getFileStore(target.getParent()).getUsableSpace();
    if (total.isPresent() && total.getAsLong() - part.size() > free) {
      throw new FetchException(String.format(Locale.ROOT, "%s: %d bytes are to come, and %s has room for %d",
          Response.shown(source), total.getAsLong() - part.size(), target.getParent(), free));
    }
  }

  private void report(PartFile part, boolean last) {
    long now = System.nanoTime();
    if (last || now - shown >= PROGRESS_NANOS) {
      shown = now;
      OptionalLong total = last ? OptionalLong.of(part.size()) : part.total();
      listener.accept(new FetchProgress(target.getFileName().toString(), part.size(), total));
    }
  }
}
