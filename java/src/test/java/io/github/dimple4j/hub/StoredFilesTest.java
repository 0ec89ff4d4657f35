package io.github.dimple4j.hub;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.dimple4j.CancelledException;
import io.github.dimple4j.FetchException;
import io.github.dimple4j.InvalidArgumentException;
import io.github.dimple4j.ModelStore;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class StoredFilesTest {
  private static final byte[] MODEL = "GGUF and so on".getBytes(StandardCharsets.US_ASCII);
  private static final String LISTING = """
      [{"type":"directory","path":"q8"},{"type":"file","path":"README.md"},{"type":"file","path":"mmproj-f16.gguf"},
       {"type":"file","path":"dimple-7b-Q4_K_M.gguf"},{"type":"file","path":"dimple-7b-IQ4_XS.gguf"},
       {"type":"file","path":"q8/dimple-7b-Q8_0-00001-of-00002.gguf"}]""";

  @TempDir private Path folder;

  /** A hub with two pages of files, which says "GGUF and so on" of every one of them. */
  private static FaultyServer hub() throws IOException {
    return new FaultyServer((request, number, out) -> {
      if (!request.path().startsWith("/api/")) {
        FaultyServer.file(request, out, MODEL, "\"t\"", MODEL.length);
      } else if (request.path().contains("missing")) {
        FaultyServer.head(out, 404);
      } else {
        boolean second = request.path().contains("page=2");
        byte[] page = (second ? "[{\"type\":\"file\",\"path\":\"q8/dimple-7b-Q8_0-00002-of-00002.gguf\"}]" : LISTING).getBytes(StandardCharsets.UTF_8);
        FaultyServer.head(out, 200, "Content-Length: " + page.length, second ? "X: y" : "Link: <" + request.path() + "&page=2>; rel=\"next\"");
        out.write(page);
      }
    });
  }

  private ModelStore store(FaultyServer hub) {
    return ModelStore.at(folder).hub(hub.at(""), "secret");
  }

  @Test
  void models() throws IOException {
    try (FaultyServer hub = hub()) {
      ModelStore store = store(hub);
      assertThat(store.find("rp/dimple:q4_k_m")).isEmpty();
      Path file = store.pull("rp/dimple:q4_k_m");
      assertThat(file).isEqualTo(folder.resolve("hub/rp/dimple/main/dimple-7b-Q4_K_M.gguf")).hasBinaryContent(MODEL);
      assertThat(hub.requests().getLast().path()).isEqualTo("/rp/dimple/resolve/main/dimple-7b-Q4_K_M.gguf");
      assertThat(hub.requests().getLast().headers()).containsEntry("authorization", "Bearer secret");
      assertThat(store.find("rp/dimple:Q4_K_M")).contains(file);
      assertThat(store.find("rp/dimple")).contains(file); // the only one here
      assertThat(store.find("rp/dimple/dimple-7b-Q4_K_M.gguf")).contains(file);
      assertThat(store.find("rp/dimple@v2:q4_k_m")).isEmpty();
      assertThat(store.toString()).doesNotContain("secret");
    }
  }

  /** As one with letters beyond ASCII in a locale that has none. */
  @Test
  void aFolderThatIsNoPathIsNamed() {
    System.setProperty("dimple.models", "no\0path");
    try {
      assertThatThrownBy(ModelStore::standard).isInstanceOf(InvalidArgumentException.class).hasMessageContaining("the folder of models is no path here");
    } finally {
      System.clearProperty("dimple.models");
    }
  }

  /** A hub that is not there is not reached for a reason, which Java's exceptions do not always have. */
  @Test
  void whyAHubIsNotReached() throws IOException {
    URI nobody;
    try (FaultyServer hub = hub()) {
      nobody = hub.at("");
    }
    assertThatThrownBy(() -> ModelStore.at(folder).hub(nobody, "secret").pull("rp/dimple")).isInstanceOf(FetchException.class)
        .hasMessageContaining("/api/models/rp/dimple/tree/main").hasMessageEndingWith(": the connection is refused");
    assertThatThrownBy(() -> ModelStore.at(folder).hub(URI.create("http://nowhere.invalid"), "secret").pull("rp/dimple"))
        .isInstanceOf(FetchException.class).hasMessageEndingWith(": no such host");
  }

  @Test
  void everyPartComes() throws IOException {
    try (FaultyServer hub = hub()) {
      Path first = store(hub).pull("rp/dimple:q8_0");
      assertThat(first).isEqualTo(folder.resolve("hub/rp/dimple/main/q8/dimple-7b-Q8_0-00001-of-00002.gguf")).exists();
      assertThat(first.resolveSibling("dimple-7b-Q8_0-00002-of-00002.gguf")).exists();
      assertThat(store(hub).find("rp/dimple:q8_0")).contains(first);
      Files.delete(first.resolveSibling("dimple-7b-Q8_0-00002-of-00002.gguf"));
      assertThat(store(hub).find("rp/dimple:q8_0")).isEmpty();
      assertThat(store(hub).pull("rp/dimple@v1/x/m-00002-of-00003.gguf").getFileName()).hasToString("m-00001-of-00003.gguf");
    }
  }

  @Test
  void namesThatAreNoneOrNotClear() throws IOException {
    try (FaultyServer hub = hub()) {
      ModelStore store = store(hub);
      for (String name : new String[] {"dimple", "a/b/c", "../b/x.gguf", "a/../x.gguf", "a/b/../../x.gguf", "a/b@../x.gguf", "a//x.gguf", "", "a/b:"}) {
        assertThatThrownBy(() -> store.pull(name)).as(name).isInstanceOf(InvalidArgumentException.class).hasMessageContaining("no model's name");
        assertThat(store.find(name)).isEmpty();
      }
      assertThatThrownBy(() -> store.pull("rp/dimple")).isInstanceOf(InvalidArgumentException.class)
          .hasMessageContainingAll("3 files", "dimple-7b-IQ4_XS.gguf");
      assertThatThrownBy(() -> store.pull("rp/dimple:q2_k")).isInstanceOf(InvalidArgumentException.class)
          .hasMessageContainingAll("no file", "dimple-7b-IQ4_XS.gguf");
      assertThatThrownBy(() -> store.pull("rp/missing:q2_k")).isInstanceOf(FetchException.class).hasMessageContainingAll("rp/missing:q2_k", "404");
    }
  }

  @Test
  void addresses() throws IOException {
    try (FaultyServer hub = hub()) {
      ModelStore store = store(hub);
      Path one = store.fetch(hub.at("/a%20b/../m.gguf?sig=secret#part"));
      Path two = store.fetch(hub.at("/a%20b/../m.gguf?sig=other"));
      assertThat(one).isNotEqualTo(two).startsWith(folder.resolve("web"));
      assertThat(one.toString()).doesNotContain("secret").doesNotContain("..");
      for (String address : new String[] {"file:///x.gguf", "ftp://h/x.gguf", "x.gguf", "https:x", "https://user:word@h/x.gguf",
          "http://h:65536/x.gguf"}) {
        assertThatThrownBy(() -> store.fetch(URI.create(address))).as(address).isInstanceOf(InvalidArgumentException.class)
            .hasMessageNotContaining("word");
      }
      assertThatThrownBy(() -> store.fetch(hub.at("/m.gguf"), "12")).isInstanceOf(InvalidArgumentException.class).hasMessageContaining("64 hex");
      assertThatThrownBy(() -> store.hub(URI.create("ftp://h"), null)).isInstanceOf(InvalidArgumentException.class);
      assertThatThrownBy(() -> store.hub(hub.at(""), "a\nb")).isInstanceOf(InvalidArgumentException.class).hasMessageNotContaining("a\nb");
    }
  }

  @Test
  void interruptedThread() throws IOException {
    try (FaultyServer hub = hub()) {
      Thread.currentThread().interrupt();
      assertThatThrownBy(() -> store(hub).fetch(hub.at("/m.gguf"))).isInstanceOf(CancelledException.class);
      assertThat(Thread.interrupted()).isTrue();
    }
  }
}
