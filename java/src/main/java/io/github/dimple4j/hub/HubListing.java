package io.github.dimple4j.hub;

import io.github.dimple4j.FetchException;
import io.github.dimple4j.json.MalformedJsonException;
import io.github.dimple4j.json.StrictJson;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.URI;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import tools.jackson.databind.JsonNode;

/** What a hub says of the files in a repository (the {@code tree} call of the Hugging Face Hub's API): a list of objects with type and path. */
final class HubListing {
  private static final int MOST_BYTES = 16 << 20; // of a page
  private static final int MOST_PAGES = 100;

  private HubListing() {}

  /** The names of all files. */
  static List<String> files(HubName name, URI hub, Token token) throws InterruptedException {
    List<String> files = new ArrayList<>();
    Optional<URI> page = Optional.of(name.listing(hub));
    try {
      for (int i = 0; page.isPresent() && i < MOST_PAGES; i++) {
        try (Response response = Response.get(page.get(), Map.of(), token)) {
          read(name, response, token).forEach(entry -> {
            if (entry.path("type").asString("").equals("file")) {
              files.add(entry.path("path").asString(""));
            }
          });
          page = response.next();
        }
      }
    } catch (IOException e) {
      throw new FetchException(Response.shown(name.listing(hub)) + ": cannot be read: " + Download.reason(e), e);
    }
    return files;
  }

  private static JsonNode read(HubName name, Response response, Token token) throws IOException, InterruptedException {
    int status = response.status();
    if (status == 401 || status == 403 || status == 404) {
      throw new FetchException(name + ": the hub has no such repository or revision, or does not show it (status " + status + ")"
          + (token == null ? "; HF_TOKEN in the environment is the token for the hub" : ""));
    }
    if (status != 200) {
      throw new FetchException(Response.shown(response.place()) + ": the server answers with status " + status);
    }
    ByteArrayOutputStream page = new ByteArrayOutputStream();
    for (ByteBuffer bytes = response.body().next(); bytes != null && page.size() < MOST_BYTES; bytes = response.body().next()) {
      byte[] piece = new byte[bytes.remaining()];
      bytes.get(piece);
      page.writeBytes(piece);
    }
    try {
      JsonNode tree = StrictJson.DOUBLES.read(page.toByteArray());
      if (tree.isArray()) {
        return tree;
      }
    } catch (MalformedJsonException e) {
      throw new FetchException(Response.shown(response.place()) + ": is not JSON: " + e.getMessage(), e);
    }
    throw new FetchException(Response.shown(response.place()) + ": is no list of files");
  }
}
