package io.github.dimple4j.gguf.tools;

import io.github.dimple4j.core.Finding;
import io.github.dimple4j.gguf.GgufException;
import io.github.dimple4j.gguf.GgufParts;
import io.github.dimple4j.gguf.ProgressListener;
import io.github.dimple4j.gguf.TensorInfo;
import io.github.dimple4j.gguf.core.ModelCheck;
import io.github.dimple4j.gguf.core.TensorRows;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.LongStream;

/**
 * Checks the GGUF file of a model: what loading asks of it, and beyond that that the tokenizer is consistent and that every weight is
 * a number. A vision tower alone is checked as that, a model in parts as a whole.
 *
 * <p>One thread at a time; the work itself uses all cores.
 */
public final class Validator {
  private static final long CHUNK_ELEMENTS = 1 << 20;

  private final GgufParts file;
  private final List<String> problems = new ArrayList<>();
  private final List<String> notes = new ArrayList<>();

  private Validator(GgufParts file) {
    this.file = file;
  }

  /**
   * Checks a file, all of its data included. A file with keys or tensors that this library does not know is not sound, as it does not load.
   *
   * @param path a GGUF file, or the first of its parts
   * @param progress called from this thread
   * @return what was found
   * @throws GgufException if it cannot be read or is not a well-formed GGUF file; the message is loading's
   * @throws IOException if reading fails
   */
  public static Result check(Path path, ProgressListener progress) throws IOException {
    return check(path, false, progress);
  }

  /**
   * Checks a file, all of its data included.
   *
   * @param path a GGUF file, or the first of its parts
   * @param ignoreUnknown whether keys and tensors that this library does not know are notes only, as they are for loading with that option
   * @param progress called from this thread
   * @return what was found
   * @throws GgufException if it cannot be read or is not a well-formed GGUF file; the message is loading's
   * @throws IOException if reading fails
   */
  public static Result check(Path path, boolean ignoreUnknown, ProgressListener progress) throws IOException {
    Objects.requireNonNull(path, "path");
    Objects.requireNonNull(progress, "progress");
    List<Finding> findings = ModelCheck.of(path, ignoreUnknown);
    try (GgufParts file = GgufParts.open(path)) {
      Validator validator = new Validator(file);
      findings.forEach(validator::report);
      if (validator.problems.isEmpty()) { // else the keys that the tokenizer is held against may be wrong
        validator.checkTokenizer();
      }
      validator.checkData(progress);
      return new Result(file.tensors().size(), validator.problems, validator.notes);
    }
  }

  /**
   * What was found.
   *
   * @param tensors how many tensors there are
   * @param problems what is wrong, each in one line that names the key or tensor; empty for a sound file
   * @param notes keys and tensors that mean nothing here, each in one line
   */
  public record Result(int tensors, List<String> problems, List<String> notes) {

    /** Copies the lists. */
    public Result {
      problems = List.copyOf(problems);
      notes = List.copyOf(notes);
    }
  }

  private void report(Finding finding) {
    switch (finding.kind()) {
      case PROBLEM -> problems.add(finding.text());
      case UNKNOWN_KEY -> notes.add(finding.name() + " is unknown: what it asks for is not done");
      case UNKNOWN_TENSOR -> notes.add(finding.name() + " is not used");
    }
  }

  private void checkTokenizer() {
    try {
      new TokenizerCheck(file, problems::add).run();
    } catch (GgufException e) { // a key of another type than it must have: the check cannot go on
      problems.add(e.getMessage());
    }
  }

  private void checkData(ProgressListener progress) throws IOException {
    long total = file.tensors().stream().mapToLong(TensorInfo::size).sum();
    long done = 0;
    for (TensorInfo tensor : file.tensors()) {
      if (tensor.type().isEmpty()) {
        problems.add("tensor " + tensor.name() + " is of " + tensor.typeName() + ", which is not read");
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
