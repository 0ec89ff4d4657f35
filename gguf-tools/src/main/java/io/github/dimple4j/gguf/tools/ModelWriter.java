package io.github.dimple4j.gguf.tools;

import io.github.dimple4j.gguf.GgufException;
import io.github.dimple4j.gguf.GgufWriter;
import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.ProgressListener;
import io.github.dimple4j.gguf.TensorInfo;
import io.github.dimple4j.gguf.TensorType;
import io.github.dimple4j.gguf.architecture.TensorSource;
import io.github.dimple4j.gguf.codec.BlockCodec;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Writes a model's file: chooses each tensor's type, then streams the tensors. */
final class ModelWriter {
  private static final int QUANTIZATION_VERSION = 2;

  private final Path target;
  private final boolean overwrite;
  private final TensorType type;
  private final ProgressListener progress;

  /** Says how a tensor's data is made. */
  @FunctionalInterface
  interface Weights {
    TensorStream.Producer of(TensorInfo tensor, TensorSource source);
  }

  ModelWriter(Path target, boolean overwrite, TensorType type, ProgressListener progress) {
    this.target = target;
    this.overwrite = overwrite;
    this.type = type;
    this.progress = progress;
  }

  static void requireEncodable(TensorType type) {
    if (!BlockCodec.canEncode(type)) {
      throw new GgufException("the C core does not write type " + type);
    }
  }

  /** Writes the file; {@code metadata} is without the keys for architecture and type. */
  WrittenFile write(String architecture, Map<String, MetadataValue> metadata, List<TensorSource> sources, List<String> leftOut,
      Weights weights) throws IOException {
    List<GgufWriter.Plan> plans = new ArrayList<>();
    List<String> fallbacks = new ArrayList<>();
    for (TensorSource source : sources) {
      plans.add(new GgufWriter.Plan(source.name(), choose(source), source.dimensions()));
      if (isFallback(source)) {
        fallbacks.add(source.name());
      }
    }
    Map<TensorType, Long> bytesPerType = new EnumMap<>(TensorType.class);
    long parameters = 0;
    try (GgufWriter writer = new GgufWriter(target, complete(architecture, metadata), plans, overwrite);
        TensorStream stream = new TensorStream(writer, progress)) {
      for (int i = 0; i < plans.size(); i++) {
        TensorInfo tensor = writer.tensors().get(i);
        stream.write(tensor, weights.of(tensor, sources.get(i)));
        bytesPerType.merge(plans.get(i).type(), tensor.size(), Long::sum);
        parameters += tensor.elements();
      }
      stream.finish();
      writer.commit();
      return new WrittenFile(target, architecture, plans.size(), parameters, writer.fileSize(), bytesPerType, leftOut, fallbacks);
    }
  }

  /** Vectors (norms and biases) stay F32: small, and added as floats. The vision tower of a quantized file stays F16. */
  private TensorType choose(TensorSource source) {
    if (source.dimensions().size() == 1) {
      return TensorType.F32;
    }
    return type.isQuantized() && isVision(source) || isFallback(source) ? TensorType.F16 : type;
  }

  /** Whether a matrix cannot take the type asked for because its rows do not divide into blocks. */
  private boolean isFallback(TensorSource source) {
    return source.dimensions().size() > 1 && source.dimensions().getFirst() % type.blockLength() != 0 && !isVision(source);
  }

  private static boolean isVision(TensorSource source) {
    return source.name().startsWith("v.") || source.name().startsWith("mm.");
  }

  private Map<String, MetadataValue> complete(String architecture, Map<String, MetadataValue> metadata) {
    Map<String, MetadataValue> all = new LinkedHashMap<>();
    all.put("general.architecture", MetadataValue.string(architecture));
    all.put("general.file_type", MetadataValue.uint32(type.fileType()));
    if (type.isQuantized()) {
      all.put("general.quantization_version", MetadataValue.uint32(QUANTIZATION_VERSION));
    }
    all.putAll(metadata);
    return all;
  }
}
