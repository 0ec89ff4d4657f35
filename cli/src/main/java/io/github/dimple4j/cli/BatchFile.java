package io.github.dimple4j.cli;

import io.github.dimple4j.file.UnfinishedFile;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * The output of a batch as a file that a later run goes on with. Answers are appended to {@code FILE.part}, each by one write, in the order in
 * which they come; the end of a batch writes all lines in the items' order and renames them to {@code FILE}. So {@code FILE} is always whole, and
 * whatever moment a run is killed at, the next one finds the answers that were there. An answer is known by the {@code request} in its line.
 */
final class BatchFile implements AutoCloseable {
  private final Path file;
  private final Path part;
  private final FileChannel channel;
  private final Map<String, String> answers = new HashMap<>();
  private final List<String> finished; // the requests of the file in its order; null: there is no file

  private BatchFile(Path file, Path part, FileChannel channel, List<String> finished) {
    this.file = file;
    this.part = part;
    this.channel = channel;
    this.finished = finished;
  }

  /**
   * Opens an output for the answers to some requests.
   *
   * @param replace whether answers to other requests, or something that is no output of a batch, may be there, and are dropped
   * @throws FileAlreadyExistsException if they are there and may not
   */
  static BatchFile open(Path target, Set<String> requests, boolean replace) throws IOException {
    Path file = Files.exists(target) ? target.toRealPath() : target;
    Path part = file.resolveSibling(file.getFileName() + ".part");
    FileChannel channel = FileChannel.open(part, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE);
    try {
      lock(channel, target);
      boolean exists = Files.exists(file);
      Map<String, String> before = exists ? finished(file, replace) : Map.of();
      Map<String, String> begun = begun(channel);
      BatchFile opened = new BatchFile(file, part, channel, exists ? List.copyOf(before.keySet()) : null);
      for (Map<String, String> answers : List.of(before, begun)) {
        for (Map.Entry<String, String> answer : answers.entrySet()) {
          if (requests.contains(answer.getKey())) {
            opened.answers.put(answer.getKey(), answer.getValue());
          } else if (!replace && !answer.getKey().isEmpty()) {
            throw new FileAlreadyExistsException((answers == before ? file : part).toString(), null,
                "has answers to other items, or of other settings or another model; --force drops them");
          }
        }
      }
      return opened;
    } catch (IOException | RuntimeException e) {
      boolean empty = channel.size() == 0;
      channel.close();
      if (empty) {
        Files.deleteIfExists(part);
      }
      throw e;
    }
  }

  private static void lock(FileChannel channel, Path target) throws IOException {
    FileLock lock;
    try {
      lock = channel.tryLock();
    } catch (OverlappingFileLockException e) {
      lock = null;
    }
    if (lock == null) {
      throw new IOException(target + ": another run is writing it");
    }
  }

  /** The lines of a whole output by their requests; those that tell of a failure have none, and share the empty one. */
  private static Map<String, String> finished(Path file, boolean replace) throws IOException {
    Map<String, String> lines = new LinkedHashMap<>();
    try (BufferedReader reader = Files.newBufferedReader(file)) {
      for (String line = reader.readLine(); line != null; line = reader.readLine()) {
        JsonNode node = object(line).filter(object -> object.has("error") || object.path("request").isString()).orElseThrow(() -> foreign(file));
        lines.put(node.path("request").asString(""), line);
      }
      return lines;
    } catch (FileAlreadyExistsException | CharacterCodingException e) {
      if (replace) {
        return Map.of();
      }
      throw foreign(file);
    }
  }

  private static FileAlreadyExistsException foreign(Path file) {
    return new FileAlreadyExistsException(file.toString(), null, "is there already and is no output of a batch; --force replaces it");
  }

  /** The answers of a run that did not end. What it had not written to the end is cut off, so that the next line begins one. */
  private static Map<String, String> begun(FileChannel channel) throws IOException {
    long end = endOfLines(channel);
    channel.truncate(end).position(0);
    // Not closed: that would close the channel, whose lock another one of this file would take along.
    BufferedReader reader = new BufferedReader(Channels.newReader(channel, StandardCharsets.UTF_8));
    Map<String, String> lines = new LinkedHashMap<>();
    for (String line = reader.readLine(); line != null; line = reader.readLine()) {
      String answer = line;
      object(line).map(node -> node.path("request")).filter(JsonNode::isString).ifPresent(request -> lines.put(request.stringValue(), answer));
    }
    channel.position(end);
    return lines;
  }

  private static long endOfLines(FileChannel channel) throws IOException {
    ByteBuffer bytes = ByteBuffer.allocate(1 << 16);
    for (long end = channel.size(); end > 0; ) {
      long start = Math.max(0, end - bytes.capacity());
      bytes.clear().limit((int) (end - start));
      int read = channel.read(bytes, start);
      for (int i = read - 1; i >= 0; i--) {
        if (bytes.get(i) == '\n') {
          return start + i + 1;
        }
      }
      end = start;
    }
    return 0;
  }

  private static Optional<JsonNode> object(String line) {
    try {
      return Optional.of(JsonMapper.shared().readTree(line)).filter(JsonNode::isObject);
    } catch (JacksonException e) {
      return Optional.empty();
    }
  }

  /** Whether the file has the answers to these requests in this order already, and nothing else. */
  boolean isComplete(List<String> requests) {
    return requests.equals(finished);
  }

  /** The line of an answer, from an earlier run or this one; null: there is none. */
  String answer(String request) {
    return answers.get(request);
  }

  void add(String request, String line) throws IOException {
    write(channel, part, line);
    answers.put(request, line);
  }

  /** Ends the batch: the lines become the file. */
  void finish(List<String> lines) throws IOException {
    try (UnfinishedFile whole = OutputFile.unfinished(file)) {
      try (FileChannel output = whole.open(path -> FileChannel.open(path, StandardOpenOption.CREATE, StandardOpenOption.TRUNCATE_EXISTING, StandardOpenOption.WRITE))) {
        for (String line : lines) {
          write(output, file, line);
        }
        output.force(true); // before the name is: a crash of the machine must not leave the name alone
      }
      whole.finish();
      Files.deleteIfExists(part);
    }
  }

  private static void write(FileChannel output, Path name, String line) throws IOException {
    ByteBuffer bytes = StandardCharsets.UTF_8.encode(line + "\n");
    try {
      while (bytes.hasRemaining()) {
        output.write(bytes);
      }
    } catch (IOException e) {
      throw new IOException(name + ": " + e.getMessage(), e);
    }
  }

  /** Leaves the answers so far for the next run. */
  @Override
  public void close() throws IOException {
    boolean unused = channel.size() == 0;
    channel.close();
    if (unused) {
      Files.deleteIfExists(part);
    }
  }
}
