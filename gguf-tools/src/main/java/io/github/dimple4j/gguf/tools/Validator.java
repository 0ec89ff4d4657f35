package io.github.dimple4j.gguf.tools;

import io.github.dimple4j.gguf.GgufException;
import io.github.dimple4j.gguf.GgufParts;
import io.github.dimple4j.gguf.MetadataType;
import io.github.dimple4j.gguf.ProgressListener;
import io.github.dimple4j.gguf.TensorInfo;
import io.github.dimple4j.gguf.architecture.ExpectedTensors;
import io.github.dimple4j.gguf.architecture.ModelKeys;
import io.github.dimple4j.gguf.architecture.TensorSource;
import io.github.dimple4j.gguf.codec.TensorRows;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.LongStream;

/**
 * Checks a GGUF file: its structure, that the keys of its architecture are there and in range, that its tensors are those and
 * have the shapes that these keys ask for, that the tokenizer is consistent, and that every weight is a number. Knows
 * {@code dimple}, {@code dream}, {@code llada}, {@code llada-moe} and vision towers beside them. A model in parts is checked as a
 * whole.
 *
 * <p>One thread at a time; the work itself uses all cores.
 */
public final class Validator {
  private static final long CHUNK_ELEMENTS = 1 << 20;

  private final GgufParts file;
  private final ModelKeys config;
  private final List<String> problems = new ArrayList<>();

  private Validator(GgufParts file) {
    this.file = file;
    this.config = new ModelKeys(file.metadata());
  }

  /**
   * Checks a file, all of its data included.
   *
   * @param path a GGUF file, or the first of its parts
   * @param progress called from this thread
   * @return what was found
   * @throws GgufException if it is not a well-formed GGUF file
   * @throws IOException if reading fails
   */
  public static Result check(Path path, ProgressListener progress) throws IOException {
    try (GgufParts file = GgufParts.open(path)) {
      Validator validator = new Validator(file);
      validator.check(validator::checkTensors);
      validator.check(validator::checkTokenizer);
      validator.checkData(progress);
      return new Result(file.tensors().size(), validator.problems);
    }
  }

  /**
   * What was found.
   *
   * @param tensors how many tensors there are
   * @param problems what is wrong, each in one line that names the key or tensor; empty for a sound file
   */
  public record Result(int tensors, List<String> problems) {

    /** Copies the list. */
    public Result {
      problems = List.copyOf(problems);
    }
  }

  /** Runs a check; one that cannot go on says so by an exception. */
  private void check(Runnable check) {
    try {
      check.run();
    } catch (GgufException e) {
      problems.add(e.getMessage());
    }
  }

  private void checkTensors() {
    compare(ExpectedTensors.of(config, file.tensor("output.weight").isEmpty()));
  }

  private void compare(List<TensorSource> expected) {
    Set<String> known = new HashSet<>();
    for (TensorSource source : expected) {
      known.add(source.name());
      Optional<TensorInfo> tensor = file.tensor(source.name());
      if (tensor.isEmpty()) {
        problems.add("tensor " + source.name() + " is missing; expected shape " + TensorInfo.shape(source.dimensions()));
      } else if (!tensor.get().dimensions().equals(source.dimensions())) {
        problems.add("tensor " + source.name() + " has shape " + tensor.get().shape() + "; expected "
            + TensorInfo.shape(source.dimensions()));
      }
    }
    for (TensorInfo tensor : file.tensors()) {
      if (!known.contains(tensor.name())) {
        problems.add("tensor " + tensor.name() + " has no place in this architecture");
      }
    }
  }

  private void checkTokenizer() {
    List<?> tokens = config.array("tokenizer.ggml.tokens", MetadataType.STRING);
    int vocabulary = tokens.isEmpty() ? vocabularyOfEmbedding() : tokens.size();
    for (String key : file.metadata().keySet()) {
      if (key.endsWith("_token_id")) {
        int id = config.integer(key, 0);
        if (vocabulary > 0 && id >= vocabulary) {
          problems.add("key " + key + " is " + id + "; the vocabulary ends at " + (vocabulary - 1));
        }
      }
    }
    if (tokens.isEmpty()) {
      return;
    }
    List<?> types = config.array("tokenizer.ggml.token_type", MetadataType.INT32);
    if (!types.isEmpty() && types.size() != tokens.size()) {
      problems.add("key tokenizer.ggml.token_type has " + types.size() + " elements for " + tokens.size() + " tokens");
    }
    checkMerges(tokens);
  }

  private int vocabularyOfEmbedding() {
    return file.tensor("token_embd.weight").map(tensor -> (int) Math.min(Integer.MAX_VALUE, tensor.rows())).orElse(0);
  }

  private void checkMerges(List<?> tokens) {
    Map<Object, Integer> ids = new HashMap<>();
    for (int id = 0; id < tokens.size(); id++) {
      Integer other = ids.put(tokens.get(id), id);
      if (other != null) {
        problems.add("key tokenizer.ggml.tokens: tokens " + other + " and " + id + " are the same");
      }
    }
    for (Object merge : config.array("tokenizer.ggml.merges", MetadataType.STRING)) {
      String text = (String) merge;
      int space = text.indexOf(' ', 1);
      if (space < 0 || !ids.containsKey(text.substring(0, space)) || !ids.containsKey(text.substring(space + 1))
          || !ids.containsKey(text.substring(0, space) + text.substring(space + 1))) {
        problems.add("key tokenizer.ggml.merges: \"" + text + "\" does not make a token of two tokens");
      }
    }
  }

  private void checkData(ProgressListener progress) throws IOException {
    long total = file.tensors().stream().mapToLong(TensorInfo::size).sum();
    long done = 0;
    for (TensorInfo tensor : file.tensors()) {
      if (tensor.type().isEmpty()) {
        problems.add("tensor " + tensor.name() + " is of unknown " + tensor.typeName());
        continue;
      }
      try {
        firstBad(tensor).ifPresent(problems::add);
      } catch (UncheckedIOException e) {
        throw e.getCause();
      }
      done += tensor.size();
      progress.progress(tensor.name(), done, total);
    }
  }

  /** Where the first weight that is not a finite number stands. */
  private Optional<String> firstBad(TensorInfo tensor) {
    long step = Math.max(1, CHUNK_ELEMENTS / tensor.columns());
    long chunks = (tensor.rows() + step - 1) / step;
    return LongStream.range(0, chunks).parallel().mapToObj(chunk -> firstBad(tensor, chunk * step, step)).flatMap(Optional::stream)
        .findFirst();
  }

  private Optional<String> firstBad(TensorInfo tensor, long first, long step) {
    float[] weights;
    try {
      weights = TensorRows.read(file.part(tensor), tensor, first, (int) Math.min(step, tensor.rows() - first));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    for (int i = 0; i < weights.length; i++) {
      if (!Float.isFinite(weights[i])) {
        return Optional.of("tensor " + tensor.name() + " has a weight of " + weights[i] + " in row " + (first + i / tensor.columns())
            + ", column " + i % tensor.columns());
      }
    }
    return Optional.empty();
  }
}
