package io.github.dimple4j.hub;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.dimple4j.CancelledException;
import io.github.dimple4j.FetchException;
import io.github.dimple4j.FetchProgress;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.OptionalLong;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class DownloadTest {
  private static final byte[] MODEL = model(1);
  private static final byte[] OTHER = model(2);
  private static final String TAG = "\"one\"";

  @TempDir private Path folder;
  private final List<FetchProgress> progress = new ArrayList<>();

  private static byte[] model(int seed) {
    byte[] content = new byte[300_000];
    new Random(seed).nextBytes(content);
    System.arraycopy("GGUF".getBytes(), 0, content, 0, 4);
    return content;
  }

  private static String hash(byte[] content) {
    return HexFormat.of().formatHex(FileHash.digest().digest(content));
  }

  private Path target() {
    return folder.resolve("a/model.gguf");
  }

  private Path part() {
    return folder.resolve("a/model.gguf.part");
  }

  private void fetch(URI source, String sha256) {
    new Download(source, target(), sha256, null, Duration.ofMillis(1), progress::add).run(false);
  }

  private void assertFetched(byte[] content) throws IOException {
    assertThat(Files.readAllBytes(target())).isEqualTo(content);
    try (var left = Files.list(target().getParent())) {
      assertThat(left.map(file -> file.getFileName().toString())).containsExactlyInAnyOrder("model.gguf", "model.gguf.sha256", "model.gguf.lock");
    }
  }

  @Test
  void brokenConnectionsGoOnWhereTheyBroke() throws IOException {
    try (FaultyServer server = new FaultyServer((request, number, out) -> FaultyServer.file(request, out, MODEL, TAG, 45_000))) {
      fetch(server.at("/model.gguf"), hash(MODEL));
      assertThat(server.requests()).hasSize(7).allSatisfy(request -> assertThat(request.first() % 45_000).isZero());
      assertThat(server.requests().get(1).headers()).containsEntry("if-range", TAG);
    }
    assertFetched(MODEL);
    assertThat(progress.getLast()).isEqualTo(new FetchProgress("model.gguf", MODEL.length, OptionalLong.of(MODEL.length)));
    assertThat(progress).extracting(FetchProgress::done).isSorted();
  }

  @Test
  void whatIsThereIsNotAskedForAgain() throws IOException {
    try (FaultyServer server = new FaultyServer((request, number, out) -> FaultyServer.file(request, out, MODEL, TAG, MODEL.length))) {
      fetch(server.at("/model.gguf"), hash(MODEL));
      fetch(server.at("/model.gguf"), hash(MODEL));
      fetch(server.at("/model.gguf"), null);
      Files.delete(folder.resolve("a/model.gguf.sha256")); // then it is read
      fetch(server.at("/model.gguf"), hash(MODEL));
      Files.write(folder.resolve("a/model.gguf.sha256"), new byte[] {(byte) 0xff}); // damaged
      fetch(server.at("/model.gguf"), hash(MODEL));
      assertThat(server.requests()).hasSize(1);
      Files.write(target(), OTHER);
      fetch(server.at("/model.gguf"), hash(MODEL)); // another one is fetched anew
      assertThat(server.requests()).hasSize(2);
    }
    assertFetched(MODEL);
  }

  @Test
  void aLaterProgramGoesOn() throws IOException {
    try (FaultyServer server = new FaultyServer((request, number, out) -> {
      if (number == 0) {
        FaultyServer.file(request, out, MODEL, TAG, 100_000);
      } else if (number < 7) {
        FaultyServer.head(out, 503);
      } else {
        FaultyServer.file(request, out, MODEL, TAG, MODEL.length);
      }
    })) {
      assertThatThrownBy(() -> fetch(server.at("/model.gguf?token=secret"), null)).isInstanceOf(FetchException.class)
          .hasMessageContainingAll("status 503", "6 times", "100000 bytes received stay").hasMessageNotContaining("secret");
      assertThat(target()).doesNotExist();
      assertThat(part()).hasSize(100_000);
      fetch(server.at("/model.gguf?token=secret"), null);
      assertThat(server.requests().getLast().first()).isEqualTo(100_000);
    }
    assertFetched(MODEL);
  }

  @Test
  void aFileThatChangedMeanwhileBeginsAnew() throws IOException {
    try (FaultyServer server = new FaultyServer((request, number, out) -> FaultyServer.file(request, out, number == 0 ? MODEL : OTHER,
        number == 0 ? TAG : "\"two\"", number == 0 ? 100_000 : OTHER.length))) {
      fetch(server.at("/model.gguf"), null);
    }
    assertFetched(OTHER);
  }

  /** Without a validator only the hash tells, and there is one more try. */
  @Test
  void aMixtureOfTwoStatesIsFetchedAnew() throws IOException {
    Files.createDirectories(target().getParent());
    Files.write(part(), Arrays.copyOf(OTHER, 100_000));
    try (FaultyServer server = new FaultyServer((request, number, out) -> FaultyServer.file(request, out, MODEL, TAG, MODEL.length))) {
      fetch(server.at("/model.gguf"), hash(MODEL));
      assertThat(server.requests()).extracting(FaultyServer.Request::first).containsExactly(100_000L, 0L);
    }
    assertFetched(MODEL);
  }

  @Test
  void serversThatDoNotKnowRangesSendAllAgain() throws IOException {
    try (FaultyServer server = new FaultyServer((request, number, out) -> {
      FaultyServer.head(out, 200, "Content-Length: " + MODEL.length);
      out.write(MODEL, 0, number == 0 ? 100_000 : MODEL.length);
    })) {
      fetch(server.at("/model.gguf"), hash(MODEL));
    }
    assertFetched(MODEL);
  }

  @Test
  void aWrongRangeIsNotTaken() throws IOException {
    try (FaultyServer server = new FaultyServer((request, number, out) -> {
      if (number == 1) {
        FaultyServer.head(out, 206, "Content-Length: 10", "Content-Range: bytes 50-59/" + MODEL.length);
        out.write(MODEL, 50, 10);
      } else {
        FaultyServer.file(request, out, MODEL, TAG, number == 0 ? 100_000 : MODEL.length);
      }
    })) {
      fetch(server.at("/model.gguf"), null);
    }
    assertFetched(MODEL);
  }

  /** Servers that heed no If-Range: what they say of the file's state and size is compared all the same. */
  @Test
  void aPartOfAnotherStateIsNotTaken() throws IOException {
    for (String said : new String[] {"ETag: \"%d\"", "Last-Modified: Sat, 28 Nov 2026 20:00:0%d GMT"}) {
      try (FaultyServer server = new FaultyServer((request, number, out) -> {
        byte[] content = number == 0 ? MODEL : OTHER;
        String state = said.formatted(number == 0 ? 1 : 2);
        int first = (int) request.first();
        if (first == 0) {
          FaultyServer.head(out, 200, "Content-Length: " + content.length, state);
        } else {
          FaultyServer.head(out, 206, "Content-Length: " + (content.length - first), state,
              "Content-Range: bytes " + first + "-" + (content.length - 1) + "/" + content.length);
        }
        out.write(content, first, number == 0 ? 100_000 : content.length - first);
      })) {
        fetch(server.at("/model.gguf"), null);
        assertThat(server.requests()).extracting(FaultyServer.Request::first).containsExactly(0L, 100_000L, 0L);
      }
      assertFetched(OTHER);
      Files.delete(target());
    }
  }

  /** A weak tag, or none, says nothing of the bytes. */
  @Test
  void whatNothingTellsApartBeginsAnew() throws IOException {
    for (String tag : new String[] {"ETag: W/\"one\"", "X: y"}) {
      FaultyServer.Script script = (request, number, out) -> {
        byte[] content = number == 0 ? MODEL : OTHER;
        int first = (int) request.first();
        String range = "Content-Range: bytes " + first + "-" + (content.length - 1) + "/" + content.length;
        FaultyServer.head(out, first == 0 ? 200 : 206, "Content-Length: " + (content.length - first), tag, first == 0 ? "X: z" : range);
        out.write(content, first, number == 0 ? 100_000 : content.length - first);
      };
      try (FaultyServer server = new FaultyServer(script)) {
        fetch(server.at("/model.gguf"), null);
        assertThat(server.requests()).extracting(FaultyServer.Request::first).containsExactly(0L, 0L);
      }
      assertFetched(OTHER);
      Files.delete(target());
      try (FaultyServer server = new FaultyServer((request, number, out) -> script.answer(request, 0, out))) { // which breaks each time
        assertThatThrownBy(() -> fetch(server.at("/model.gguf"), null)).isInstanceOf(FetchException.class)
            .hasMessageContainingAll("6 times", "100000 bytes received", "begins anew");
      }
      try (FaultyServer server = new FaultyServer(script)) { // with a hash they are tried
        Files.delete(part());
        fetch(server.at("/model.gguf"), hash(OTHER));
        assertThat(server.requests()).extracting(FaultyServer.Request::first).containsExactly(0L, 100_000L, 0L);
      }
      assertFetched(OTHER);
      Files.delete(target());
    }
  }

  @Test
  void sizesThatAreNotSaidAgainOrAreWrong() throws IOException {
    try (FaultyServer server = new FaultyServer((request, number, out) -> { // "bytes 100-199/*"; then more bytes than there are
      int first = (int) request.first();
      int last = Math.min(first + 99_999, MODEL.length - 1);
      String range = "Content-Range: bytes " + first + "-" + last + "/" + (number == 1 ? "*" : String.valueOf(MODEL.length));
      FaultyServer.head(out, first == 0 ? 200 : 206, "Content-Length: " + (first == 0 ? MODEL.length : last + 1 - first), "ETag: " + TAG, range);
      out.write(MODEL, first, last + 1 - first);
      out.write(new byte[first == 0 ? 0 : 5_000]);
    })) {
      fetch(server.at("/model.gguf"), hash(MODEL));
    }
    assertFetched(MODEL);
    Files.delete(target());
    try (FaultyServer server = new FaultyServer((request, number, out) -> {
      if (number == 1) {
        FaultyServer.head(out, 206, "Content-Length: 300000", "ETag: " + TAG, "Content-Range: bytes 100000-299999/300000");
        out.write(OTHER);
      } else {
        FaultyServer.file(request, out, MODEL, TAG, number == 0 ? 100_000 : MODEL.length);
      }
    })) {
      fetch(server.at("/model.gguf"), hash(MODEL));
    }
    assertFetched(MODEL);
  }

  @Test
  void codingsThatWereNotAskedFor() throws IOException {
    try (FaultyServer server = new FaultyServer((request, number, out) -> {
      FaultyServer.head(out, 200, "Content-Length: 9", "Content-Encoding: gzip");
      out.write(new byte[9]);
    })) {
      assertThatThrownBy(() -> fetch(server.at("/model.gguf"), null)).isInstanceOf(FetchException.class).hasMessageContaining("coding 'gzip'");
      assertThat(server.requests().getFirst().headers()).containsEntry("accept-encoding", "identity");
    }
    try (FaultyServer server = new FaultyServer((request, number, out) -> {
      FaultyServer.head(out, 200, "Content-Length: " + MODEL.length, "Content-Encoding: identity");
      out.write(MODEL);
    })) {
      fetch(server.at("/model.gguf"), null);
    }
    assertFetched(MODEL);
  }

  @Test
  void aDamagedNote() throws IOException {
    byte[][] notes = {{0, 0, 0, '\n', '1', '\n'}, {(byte) 0xff, (byte) 0xfe, '\n', '3', '0', '0', '0', '0', '0', '\n'}, {}, {'"', '\t', '"', '\n', '\n'}};
    for (byte[] note : notes) {
      Files.createDirectories(target().getParent());
      Files.write(part(), Arrays.copyOf(MODEL, 100_000));
      Files.write(part().resolveSibling("model.gguf.part.note"), note);
      try (FaultyServer server = new FaultyServer((request, number, out) -> FaultyServer.file(request, out, MODEL, TAG, MODEL.length))) {
        fetch(server.at("/model.gguf"), null);
      }
      assertFetched(MODEL);
      Files.delete(target());
    }
  }

  @Test
  void allBytesWereThere() throws IOException {
    Files.createDirectories(target().getParent());
    Files.write(part(), MODEL);
    try (FaultyServer server = new FaultyServer((request, number, out) -> FaultyServer.file(request, out, MODEL, TAG, MODEL.length))) {
      fetch(server.at("/model.gguf"), hash(MODEL));
      assertThat(server.requests()).hasSize(1);
    }
    assertFetched(MODEL);
  }

  /** All bytes are there, one of them another: the hub's hash tells, though nothing is left to send. */
  @Test
  void allBytesWereThereButDamaged() throws IOException {
    byte[] damaged = MODEL.clone();
    damaged[1000] ^= 1;
    Files.createDirectories(target().getParent());
    Files.write(part(), damaged);
    Files.writeString(folder.resolve("a/model.gguf.part.note"), TAG + "\n" + MODEL.length + "\n");
    try (FaultyServer store = new FaultyServer((request, number, out) -> FaultyServer.file(request, out, MODEL, TAG, MODEL.length));
        FaultyServer hub = new FaultyServer((request, number, out) -> FaultyServer.head(out, 302, "Location: " + store.at("/blob"),
            "X-Linked-ETag: \"" + hash(MODEL) + "\""))) {
      fetch(hub.at("/model.gguf"), null);
      assertThat(store.requests()).hasSize(2);
    }
    assertFetched(MODEL);
  }

  @Test
  void lengthsThatNobodySays() throws IOException {
    try (FaultyServer server = new FaultyServer((request, number, out) -> {
      FaultyServer.head(out, 200, "Transfer-Encoding: chunked");
      out.write((Integer.toHexString(MODEL.length) + "\r\n").getBytes());
      out.write(MODEL);
      out.write((number == 0 ? "" : "\r\n0\r\n\r\n").getBytes()); // the first one breaks before the end
    })) {
      fetch(server.at("/model.gguf"), null);
    }
    assertFetched(MODEL);
  }

  @Test
  void wrongContentIsRefused() throws IOException {
    try (FaultyServer server = new FaultyServer((request, number, out) -> FaultyServer.file(request, out, MODEL, TAG, MODEL.length))) {
      assertThatThrownBy(() -> fetch(server.at("/model.gguf"), hash(OTHER))).isInstanceOf(FetchException.class)
          .hasMessageContainingAll(hash(MODEL), hash(OTHER), "/model.gguf");
      assertThat(target()).doesNotExist();
      assertThat(part()).doesNotExist();
    }
    byte[] page = "<!DOCTYPE html>\n<p>Sign in".getBytes();
    try (FaultyServer server = new FaultyServer((request, number, out) -> FaultyServer.file(request, out, page, TAG, page.length))) {
      assertThatThrownBy(() -> fetch(server.at("/model.gguf"), null)).isInstanceOf(FetchException.class)
          .hasMessageContaining("is no GGUF file: it begins with '<!DOCTYPE html>.<p>Sign in'");
      assertThat(part()).doesNotExist();
    }
  }

  @Test
  void statusesThatNoOtherTryMends() throws IOException {
    for (int status : new int[] {401, 403, 404, 410, 418}) {
      try (FaultyServer server = new FaultyServer((request, number, out) -> FaultyServer.head(out, status))) {
        assertThatThrownBy(() -> fetch(server.at("/model.gguf"), null)).isInstanceOf(FetchException.class).hasMessageContaining("status " + status);
        assertThat(server.requests()).hasSize(1);
      }
    }
    URI nobody;
    try (FaultyServer server = new FaultyServer((request, number, out) -> {})) {
      nobody = server.at("/model.gguf");
      assertThatThrownBy(() -> fetch(nobody, null)).isInstanceOf(FetchException.class).hasMessageContaining("6 times");
    }
    assertThatThrownBy(() -> fetch(nobody, null)).isInstanceOf(FetchException.class).hasMessageContaining("refused");
    assertThatThrownBy(() -> fetch(URI.create("http://nowhere.invalid/model.gguf"), null)).isInstanceOf(FetchException.class)
        .hasMessageContaining("no such host");
  }

  @Test
  void theTokenGoesToItsServerOnlyAndTheHubSaysTheHash() throws IOException {
    try (FaultyServer store = new FaultyServer((request, number, out) -> FaultyServer.file(request, out, MODEL, TAG, MODEL.length));
        FaultyServer hub = new FaultyServer((request, number, out) -> FaultyServer.head(out, 302, "Location: " + store.at("/blob?sig=1"),
            "X-Linked-ETag: \"" + hash(MODEL) + "\""))) {
      Token token = new Token("secret", hub.at(""));
      new Download(hub.at("/model.gguf"), target(), null, token, Duration.ofMillis(1), progress::add).run(false);
      assertThat(hub.requests().getFirst().headers()).containsEntry("authorization", "Bearer secret");
      assertThat(store.requests().getFirst().headers()).doesNotContainKey("authorization");
      assertThat(token.toString()).doesNotContain("secret");
      assertThat(new Token("secret", URI.create("http://example.org")).isFor(URI.create("http://example.org/x"))).isFalse(); // not encrypted
      assertThat(new Token("secret", URI.create("https://example.org")).isFor(URI.create("https://EXAMPLE.org:443/x"))).isTrue();
      assertThat(new Token("secret", URI.create("https://example.org")).isFor(URI.create("https://example.org.evil.net/x"))).isFalse();
    }
    assertFetched(MODEL);
    try (FaultyServer store = new FaultyServer((request, number, out) -> FaultyServer.file(request, out, MODEL, TAG, MODEL.length));
        FaultyServer hub = new FaultyServer((request, number, out) -> FaultyServer.head(out, 302, "Location: " + store.at("/blob"),
            "X-Linked-ETag: \"" + hash(OTHER) + "\""))) {
      Files.delete(target());
      assertThatThrownBy(() -> fetch(hub.at("/model.gguf"), null)).hasMessageContainingAll(hash(MODEL), hash(OTHER));
    }
  }

  @Test
  void redirectionsThatLeadNowhere() throws IOException {
    for (String location : new String[] {"/again", "file:///etc/passwd", "ftp://example.org/x", "http://", "::", "http://127.0.0.1:99999/x", "https://user:secret@[::1/x",
        "http://a b/"}) {
      try (FaultyServer server = new FaultyServer((request, number, out) -> FaultyServer.head(out, 302, "Location: " + location))) {
        assertThatThrownBy(() -> fetch(server.at("/model.gguf"), null)).as(location).isInstanceOf(FetchException.class)
            .hasMessageContaining("redirect").hasMessageNotContaining("secret").hasNoCause();
      }
    }
  }

  @Test
  void anInterruptEndsItAtOnceAndKeepsWhatCame() throws Exception {
    CountDownLatch sent = new CountDownLatch(1);
    CountDownLatch over = new CountDownLatch(1);
    try (FaultyServer server = new FaultyServer((request, number, out) -> {
      FaultyServer.head(out, 200, "Content-Length: " + MODEL.length, "ETag: " + TAG);
      out.write(MODEL, 0, 100_000);
      out.flush();
      sent.countDown();
      try {
        over.await();
      } catch (InterruptedException e) {
        throw new IOException(e);
      }
    })) {
      Thread reader = Thread.currentThread();
      Thread.ofVirtual().start(() -> {
        try {
          sent.await();
          Thread.sleep(200);
        } catch (InterruptedException e) {
          throw new IllegalStateException(e);
        }
        reader.interrupt();
      });
      assertThatThrownBy(() -> fetch(server.at("/model.gguf"), null)).isInstanceOf(CancelledException.class);
      assertThat(Thread.interrupted()).isTrue();
      over.countDown();
    }
    assertThat(part()).hasSize(100_000);
  }

  @Test
  void severalFetchOneFile() throws Exception {
    try (FaultyServer server = new FaultyServer((request, number, out) -> FaultyServer.file(request, out, MODEL, TAG, 150_000))) {
      List<Thread> threads = IntStream.range(0, 4).mapToObj(i -> Thread.ofPlatform().start(() -> fetchQuietly(server.at("/model.gguf")))).toList();
      for (Thread thread : threads) {
        thread.join();
      }
      assertThat(server.requests()).hasSize(2);
    }
    assertFetched(MODEL);
  }

  private void fetchQuietly(URI source) {
    new Download(source, target(), hash(MODEL), null, Duration.ofMillis(1), now -> {}).run(false);
  }
}
