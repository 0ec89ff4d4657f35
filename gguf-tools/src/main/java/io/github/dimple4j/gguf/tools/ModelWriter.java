package io.github.dimple4j.gguf.tools;

import io.github.dimple4j.core.CoreException;
import io.github.dimple4j.core.Finding;
import io.github.dimple4j.gguf.GgufException;
import io.github.dimple4j.gguf.GgufWriter;
import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.ProgressListener;
import io.github.dimple4j.gguf.TensorInfo;
import io.github.dimple4j.gguf.TensorType;
import io.github.dimple4j.gguf.architecture.TensorSource;
import io.github.dimple4j.gguf.core.BlockCodec;
import io.github.dimple4j.gguf.core.ModelCheck;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Writes a model's file: gives each tensor its type, then streams the tensors. */
final class ModelWriter {
  private final Path target;
  private final boolean overwrite;
  private final ProgressListener progress;
  private boolean checked;

  /** Says how a tensor's data is made. */
  @FunctionalInterface
  interface Weights {
    TensorStream.Producer of(TensorInfo tensor, TensorSource source);
  }

  ModelWriter(Path target, boolean overwrite, ProgressListener progress) {
    this.target = target;
    this.overwrite = overwrite;
    this.progress = progress;
  }

  /** The same, but a file whose keys and tensors loading would refuse is refused before there is any data. */
  ModelWriter checked() {
    checked = true;
    return this;
  }

  static void requireEncodable(TensorType type) {
    if (!BlockCodec.canEncode(type)) {
      throw new GgufException("the C core does not write type " + type);
    }
  }

  private void requireLoadable(GgufWriter writer) throws IOException {
    Optional<Path> unfinished = writer.unfinished();
    if (unfinished.isEmpty()) {
      return;
    }
    Optional<String> problem;
    try {
      problem = ModelCheck.of(unfinished.get(), false).stream().findFirst()
          .map(first -> first.kind() == Finding.Kind.PROBLEM ? first.text() : first.name() + " is unknown");
    } catch (GgufException e) {
      problem = isOutOfReach(e) ? Optional.empty() : Optional.of(e.getMessage());
    }
    if (problem.isPresent()) { // which names the unfinished file first
      throw new GgufException(target + " would not load: " + problem.get().replace(unfinished.get() + ": ", ""));
    }
  }

  /** Whether the core cannot look into the file, which says nothing of it: where it lies has a name that the core does not take, or is not mapped. */
  private static boolean isOutOfReach(GgufException e) {
    return e.getCause() instanceof CoreException core && (core.kind() == CoreException.Kind.ARGUMENT || core.kind() == CoreException.Kind.IO);
  }

  /**
   * Writes the file.
   *
   * @param quantization what the file says that it was made with
   * @param metadata without the keys for architecture and type
   * @param rule what each tensor becomes
   * @param leftOut for the report
   * @param unread for the report
   */
  WrittenFile write(String architecture, Quantization quantization, Map<String, MetadataValue> metadata, List<TensorSource> sources,
      TypeRule rule, List<String> leftOut, List<String> unread, Weights weights) throws IOException {
    List<GgufWriter.Plan> plans = new ArrayList<>();
    List<TypeFallback> fallbacks = new ArrayList<>();
    for (TensorSource source : sources) {
      TypeRule.Choice choice = rule.choose(source);
      plans.add(new GgufWriter.Plan(source.name(), choice.used(), source.dimensions()));
      if (choice.used() != choice.wanted()) {
        fallbacks.add(new TypeFallback(source.name(), choice.wanted(), choice.used()));
      }
    }
    plans.stream().map(GgufWriter.Plan::type).distinct().forEach(ModelWriter::requireEncodable);
    Map<String, MetadataValue> all = new LinkedHashMap<>();
    all.put("general.architecture", MetadataValue.string(architecture));
    all.putAll(quantization.metadata());
    all.putAll(metadata);
    Map<TensorType, Long> bytesPerType = new EnumMap<>(TensorType.class);
    long parameters = 0;
    try (GgufWriter writer = new GgufWriter(target, all, plans, overwrite);
        TensorStream stream = new TensorStream(writer, progress)) {
      if (checked) {
        requireLoadable(writer);
      }
      for (int i = 0; i < plans.size(); i++) {
        TensorInfo tensor = writer.tensors().get(i);
        stream.write(tensor, weights.of(tensor, sources.get(i)));
        bytesPerType.merge(plans.get(i).type(), tensor.size(), Long::sum);
        parameters += tensor.elements();
      }
      stream.finish();
      writer.commit();
      return new WrittenFile(target, architecture, plans.size(), parameters, writer.fileSize(), bytesPerType, leftOut, unread, fallbacks);
    }
  }
}
