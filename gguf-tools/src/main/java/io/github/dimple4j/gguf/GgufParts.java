package io.github.dimple4j.gguf;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A model in one file or, as llama.cpp's gguf-split cuts it, in several that lie side by side. Metadata is that of the first
 * part without {@code split.*}. Any number of threads may read.
 */
public final class GgufParts implements AutoCloseable {
  private static final String ARCHITECTURE = "general.architecture";
  private static final Pattern PART_NAME = Pattern.compile("(.*)-00001-of-(\\d{5})\\.gguf", Pattern.DOTALL);
  private static final String SPLIT_KEYS = "split.";

  private final List<GgufFile> parts = new ArrayList<>();
  private final Map<String, GgufFile> holders = new LinkedHashMap<>();
  private final List<TensorInfo> tensors = new ArrayList<>();
  private final Map<String, MetadataValue> metadata = new LinkedHashMap<>();

  private GgufParts() {}

  /**
   * Opens a file and, if it is the first of several parts, the others.
   *
   * @param path the file
   * @return the open model
   * @throws GgufException if a part is not a well-formed GGUF file, is missing, or does not belong to the others
   * @throws IOException if reading fails
   */
  public static GgufParts open(Path path) throws IOException {
    Objects.requireNonNull(path, "path");
    GgufParts model = new GgufParts();
    try {
      GgufFile first = GgufFile.open(path);
      model.add(first);
      first.metadata().forEach((key, value) -> {
        if (!key.startsWith(SPLIT_KEYS)) {
          model.metadata.put(key, value);
        }
      });
      long count = number(first, "split.count", 1);
      if (count > 1) {
        model.addOthers(path, count);
      }
      return model;
    } catch (IOException | RuntimeException e) {
      model.close();
      throw e;
    }
  }

  /**
   * The first part's metadata.
   *
   * @return in its order, without what says how the model is cut; immutable
   */
  public Map<String, MetadataValue> metadata() {
    return Collections.unmodifiableMap(metadata);
  }

  /**
   * The model's architecture.
   *
   * @return {@code general.architecture}; empty where the key is missing
   */
  public String architecture() {
    MetadataValue value = metadata.get(ARCHITECTURE);
    return value != null && value.value() instanceof String name ? name : "";
  }

  /**
   * All parts' tensors.
   *
   * @return in the files' order; immutable
   */
  public List<TensorInfo> tensors() {
    return Collections.unmodifiableList(tensors);
  }

  /**
   * The tensor with a name.
   *
   * @param name e.g. {@code token_embd.weight}
   * @return empty if no part has one
   */
  public Optional<TensorInfo> tensor(String name) {
    return Optional.ofNullable(holders.get(name)).flatMap(part -> part.tensor(name));
  }

  /**
   * The part that a tensor is in.
   *
   * @param tensor one of {@link #tensors()}
   * @return its file, open as long as this is
   */
  public GgufFile part(TensorInfo tensor) {
    return holders.get(tensor.name());
  }

  /** Closes all parts. May be called again. */
  @Override
  public void close() throws IOException {
    for (GgufFile part : parts) {
      part.close();
    }
  }

  private void addOthers(Path path, long count) throws IOException {
    Matcher name = PART_NAME.matcher(path.getFileName().toString());
    if (number(parts.getFirst(), "split.no", 0) != 0 || !name.matches() || Long.parseLong(name.group(2)) != count) {
      throw new GgufException(path + " is a part of a model in " + count + " files; expected the first, NAME-00001-of-"
          + five(count) + ".gguf");
    }
    for (long i = 1; i < count; i++) {
      GgufFile part = GgufFile.open(path.resolveSibling(name.group(1) + "-" + five(i + 1) + "-of-" + name.group(2) + ".gguf"));
      add(part);
      if (number(part, "split.no", -1) != i || number(part, "split.count", -1) != count) {
        throw new GgufException(part.path() + ": split.no and split.count do not say that it is part " + (i + 1) + " of " + count);
      }
      MetadataValue model = part.metadata().get(ARCHITECTURE);
      if (model != null && parts.getFirst().metadata().containsKey(ARCHITECTURE) && !model.equals(parts.getFirst().metadata().get(ARCHITECTURE))) {
        throw new GgufException(part.path() + " is a part of another model: its key " + ARCHITECTURE + " is not that of the first part");
      }
    }
    for (GgufFile part : parts) {
      long wanted = number(part, "split.tensors.count", tensors.size());
      if (wanted != tensors.size()) {
        throw new GgufException(part.path() + ": the parts have " + tensors.size() + " tensors, split.tensors.count says " + wanted);
      }
    }
  }

  private void add(GgufFile part) {
    parts.add(part);
    for (TensorInfo tensor : part.tensors()) {
      if (holders.put(tensor.name(), part) != null) {
        throw new GgufException(part.path() + ": tensor " + tensor.name() + " is in an earlier part too");
      }
      tensors.add(tensor);
    }
  }

  private static long number(GgufFile file, String key, long otherwise) {
    MetadataValue value = file.metadata().get(key);
    return value != null && value.value() instanceof Long number ? number : otherwise;
  }

  private static String five(long number) {
    return String.format(Locale.ROOT, "%05d", number);
  }

  /**
   * Parts and size, for logs; of closed parts, too.
   *
   * @return for example {@code "GgufParts[2 parts, 339 tensors]"}
   */
  @Override
  public String toString() {
    return "GgufParts[" + parts.size() + " parts, " + tensors.size() + " tensors]";
  }
}
