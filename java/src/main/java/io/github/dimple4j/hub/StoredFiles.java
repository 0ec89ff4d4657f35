package io.github.dimple4j.hub;

import io.github.dimple4j.CancelledException;
import io.github.dimple4j.FetchException;
import io.github.dimple4j.FetchProgress;
import io.github.dimple4j.InvalidArgumentException;
import java.io.IOException;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.stream.Stream;

/**
 * The files of a store: {@code hub/OWNER/REPOSITORY/REVISION/FILE}, which is the same for every mirror, and {@code web/HOST/PATH}. For one
 * thread.
 */
public final class StoredFiles {
  private static final Duration PAUSE = Duration.ofSeconds(1);

  private final Path folder;
  private final Hub hub;
  private final Consumer<FetchProgress> listener;
  private final boolean anew;

  /**
   * Opens a store.
   *
   * @param folder need not exist
   * @param hub for names
   * @param listener hears of progress
   * @param anew also what is there is fetched
   */
  public StoredFiles(Path folder, Hub hub, Consumer<FetchProgress> listener, boolean anew) {
    this.folder = folder;
    this.hub = hub;
    this.listener = listener;
    this.anew = anew;
  }

  /**
   * Checks an address.
   *
   * @param text what should be one
   * @param what it is, for the message
   * @return the address, without a fragment
   * @throws InvalidArgumentException if it is none of http or https
   */
  public static URI webAddress(String text, String what) {
    try {
      URI address = new URI(text.strip());
      boolean web = "http".equalsIgnoreCase(address.getScheme()) || "https".equalsIgnoreCase(address.getScheme());
      if (web && address.getHost() != null && address.getRawUserInfo() == null && address.getPort() <= Response.MOST_PORT) {
        return new URI(address.toString().replaceFirst("#.*$", ""));
      }
    } catch (URISyntaxException e) {
      // said below; the exception's own message has the whole address, in which a secret may be
    }
    throw new InvalidArgumentException(what + " is no http or https address of the form https://HOST/PATH");
  }

  /**
   * Checks a hash.
   *
   * @param text 64 hexadecimal digits
   * @return them in lower case
   * @throws InvalidArgumentException if they are none
   */
  public static String hash(String text) {
    String hash = text.strip().toLowerCase(Locale.ROOT);
    if (!hash.matches("[0-9a-f]{64}")) {
      throw new InvalidArgumentException("'" + text + "' is no SHA-256, expected 64 hexadecimal digits");
    }
    return hash;
  }

  /**
   * Fetches by address.
   *
   * @param source http or https
   * @param sha256 in lower case; null: not known
   * @return the file
   */
  public Path fetch(URI source, String sha256) {
    URI address = webAddress(Objects.requireNonNull(source, "source").toString(), "the file's address");
    Path target = folder.resolve("web").resolve(segment(address.getHost() + (address.getPort() < 0 ? "" : "_" + address.getPort())));
    for (String part : address.getRawPath().split("/")) {
      target = part.isEmpty() ? target : target.resolve(segment(part));
    }
    if (address.getRawQuery() != null) {
      String name = target.getFileName().toString();
      target = target.resolveSibling(shortHash(address.getRawQuery())).resolve(name);
    }
    download(address, target, sha256);
    return target;
  }

  /**
   * Fetches by name.
   *
   * @param text the name
   * @return the file, of several parts the first
   */
  public Path pull(String text) {
    HubName name = HubName.parse(Objects.requireNonNull(text, "name")).orElseThrow(() -> new InvalidArgumentException("'" + text
        + "' is no model's name, expected OWNER/REPOSITORY[@REVISION], and then /FILE.gguf, :TYPE, or nothing"));
    List<String> files = name.file().map(HubName::parts).orElseGet(() -> listed(name));
    for (String file : files) {
      download(name.location(hub.address(), file), place(name, file), null);
    }
    return place(name, files.getFirst());
  }

  private List<String> listed(HubName name) {
    try {
      List<String> chosen = name.choose(HubListing.files(name, hub.address(), hub.token()));
      return chosen.stream().flatMap(file -> HubName.parts(file).stream()).distinct().toList();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new CancelledException("fetching was interrupted");
    }
  }

  private void download(URI source, Path target, String sha256) {
    new Download(source, target, sha256, hub.token(), PAUSE, listener).run(anew);
  }

  /**
   * Looks for what was pulled.
   *
   * @param text perhaps a name
   * @return the file, of several parts the first
   */
  public Optional<Path> find(String text) {
    HubName name = HubName.parse(text).orElse(null);
    Path root = name == null ? null : root(name);
    if (root == null || !Files.isDirectory(root)) {
      return Optional.empty();
    }
    try (Stream<Path> all = Files.walk(root)) {
      List<String> files = all.filter(Files::isRegularFile).map(file -> root.relativize(file).toString().replace('\\', '/')).toList();
      List<String> chosen = name.file().isPresent() ? List.of(segments(name.file().get())) : name.choose(files);
      boolean whole = chosen.stream().flatMap(file -> HubName.parts(file).stream()).allMatch(file -> Files.isRegularFile(root.resolve(file)));
      return whole ? Optional.of(root.resolve(HubName.parts(chosen.getFirst()).getFirst())) : Optional.empty();
    } catch (InvalidArgumentException e) { // none or several fit
      return Optional.empty();
    } catch (IOException e) {
      throw new FetchException(root + ": cannot be read: " + e.getMessage(), e);
    }
  }

  private Path root(HubName name) {
    return folder.resolve("hub").resolve(name.owner()).resolve(name.repository()).resolve(name.revision());
  }

  private Path place(HubName name, String file) {
    return root(name).resolve(segments(file));
  }

  private static String segments(String path) {
    return String.join("/", Arrays.stream(path.split("/")).map(StoredFiles::segment).toList());
  }

  /** A part of an address as the name of a file that every system takes; different parts stay different. */
  private static String segment(String part) {
    String plain = part.replaceAll("[^\\w.-]", "_");
    return plain.equals(part) && !part.matches("\\.+") ? part : shortHash(part) + "-" + plain.replaceFirst("^\\.+", "");
  }

  private static String shortHash(String text) {
    return HexFormat.of().formatHex(FileHash.digest().digest(text.getBytes(StandardCharsets.UTF_8)), 0, 6);
  }
}
