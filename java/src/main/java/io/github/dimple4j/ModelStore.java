package io.github.dimple4j;

import io.github.dimple4j.core.ForeignCacheFolder;
import io.github.dimple4j.hub.Hub;
import io.github.dimple4j.hub.StoredFiles;
import io.github.dimple4j.hub.Token;
import java.net.URI;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Consumer;

/**
 * A folder of model files that were fetched from the network: by address ({@link #fetch}), or by name from a hub ({@link #pull}).
 *
 * <p>A name is {@code OWNER/REPOSITORY[@REVISION]} and then {@code /FILE.gguf}, {@code :TYPE} for the one file whose name ends in that type
 * ({@code :q4_k_m}), or nothing for a repository with one model. A file in parts comes with all of them.
 *
 * <p>A broken connection goes on where it broke, in this program or a later one. A file takes its place when it is whole and is what was asked
 * for: its SHA-256 is held against the one given, or else against the one that the hub says. What is there is not asked for again. Several
 * threads and processes may fetch into one folder; what another one is fetching is waited for. Interrupting the thread ends a call with
 * {@link CancelledException} and keeps what was received.
 *
 * <p>Immutable and thread-safe.
 */
public final class ModelStore {
  private static final String HUB = "https://huggingface.co";

  private final Path folder;
  private final Hub hub;
  private final Consumer<FetchProgress> listener;

  private ModelStore(Path folder, Hub hub, Consumer<FetchProgress> listener) {
    this.folder = folder;
    this.hub = hub;
    this.listener = listener;
  }

  /**
   * The user's own: the folder that the system property {@code dimple.models} or the environment variable {@code DIMPLE_MODELS} names, or else
   * {@code models} in the folder of unpacked native libraries ({@code ~/.cache/dimple4j} on Linux). The hub is the one that the
   * environment variable {@code HF_ENDPOINT} names, or else the Hugging Face Hub; {@code HF_TOKEN} is the token that it, and no other server,
   * gets.
   *
   * @return the store
   * @throws InvalidArgumentException if {@code HF_ENDPOINT} is no http or https address, or the folder's name is none in the locale that Java was started in
   */
  public static ModelStore standard() {
    String named = System.getProperty("dimple.models", "");
    named = named.isEmpty() ? Objects.requireNonNullElse(System.getenv("DIMPLE_MODELS"), "") : named;
    Path folder;
    try {
      folder = named.isEmpty() ? ForeignCacheFolder.path().resolve("models") : Path.of(named);
    } catch (InvalidPathException e) {
      throw new InvalidArgumentException("the folder of models is no path here: " + e.getMessage() + "; the property dimple.models names another");
    }
    return at(folder);
  }

  /**
   * A store in a folder of yours, with the hub of {@link #standard}.
   *
   * @param folder made when something is fetched
   * @return the store
   * @throws InvalidArgumentException if {@code HF_ENDPOINT} is no http or https address
   */
  public static ModelStore at(Path folder) {
    String mirror = System.getenv("HF_ENDPOINT");
    URI address = StoredFiles.webAddress(mirror == null || mirror.isEmpty() ? HUB : mirror, "HF_ENDPOINT");
    ModelStore store = new ModelStore(Objects.requireNonNull(folder, "folder").toAbsolutePath(), new Hub(address, null), progress -> {});
    String secret = System.getenv("HF_TOKEN");
    return secret == null || secret.isBlank() ? store : store.token(secret.strip());
  }

  /**
   * The same store with another hub.
   *
   * @param address of a mirror, without the path of a repository; http or https
   * @param token what it wants to see; null: nothing
   * @return the store
   * @throws InvalidArgumentException if it is no such address
   */
  public ModelStore hub(URI address, String token) {
    URI checked = StoredFiles.webAddress(Objects.requireNonNull(address, "address").toString(), "the hub");
    ModelStore store = new ModelStore(folder, new Hub(checked, null), listener);
    return token == null ? store : store.token(token);
  }

  private ModelStore token(String secret) {
    if (!secret.chars().allMatch(c -> c > ' ' && c < 0x7f)) {
      throw new InvalidArgumentException("the token for the hub has characters that none has");
    }
    return new ModelStore(folder, new Hub(hub.address(), new Token(secret, hub.address())), listener);
  }

  /**
   * The same store with a listener.
   *
   * @param progress called about ten times a second while bytes come, and when a file is whole, by the thread that fetches
   * @return the store
   */
  public ModelStore onProgress(Consumer<FetchProgress> progress) {
    return new ModelStore(folder, hub, Objects.requireNonNull(progress, "progress"));
  }

  /**
   * Where the files are.
   *
   * @return the folder, absolute
   */
  public Path folder() {
    return folder;
  }

  /**
   * Fetches a file by its address, unless it is there.
   *
   * @param source http or https
   * @param sha256 what the file's SHA-256 is, in hexadecimal; a file of another one is fetched anew, and refused if it stays so
   * @return the file
   * @throws InvalidArgumentException if the address or the hash is none
   * @throws FetchException if the file cannot be had, is no GGUF file, or has another hash
   * @throws CancelledException if the thread is interrupted
   */
  public Path fetch(URI source, String sha256) {
    Objects.requireNonNull(source, "source");
    Objects.requireNonNull(sha256, "sha256");
    return files(false).fetch(source, StoredFiles.hash(sha256));
  }

  /**
   * Fetches a file by its address, unless it is there. Nothing says that it is the right one, unless the server does.
   *
   * @param source http or https
   * @return the file
   * @throws InvalidArgumentException if the address is none
   * @throws FetchException if the file cannot be had, or is no GGUF file
   * @throws CancelledException if the thread is interrupted
   */
  public Path fetch(URI source) {
    return files(false).fetch(Objects.requireNonNull(source, "source"), null);
  }

  /**
   * Fetches a model by its name, unless it is there.
   *
   * @param name of the form above
   * @return the file, of several parts the first
   * @throws InvalidArgumentException if it is no name, or names none or several of the repository's files
   * @throws FetchException if the file cannot be had, is no GGUF file, or has another hash than the hub says
   * @throws CancelledException if the thread is interrupted
   */
  public Path pull(String name) {
    return files(false).pull(Objects.requireNonNull(name, "name"));
  }

  /**
   * Fetches a model by its name, also if it is there: what a branch names may have changed.
   *
   * @param name of the form above
   * @return the file, of several parts the first
   * @throws DimpleException as {@link #pull} does
   */
  public Path pullAnew(String name) {
    return files(true).pull(Objects.requireNonNull(name, "name"));
  }

  /**
   * Looks for a model that was pulled, without the network.
   *
   * @param name of the form above
   * @return the file, of several parts the first; empty if it is not there or the text is no such name
   */
  public Optional<Path> find(String name) {
    return files(false).find(Objects.requireNonNull(name, "name"));
  }

  private StoredFiles files(boolean anew) {
    return new StoredFiles(folder, hub, listener, anew);
  }

  /** Folder and hub, without the token. */
  @Override
  public String toString() {
    return "ModelStore[" + folder + ", " + hub.address() + "]";
  }
}
