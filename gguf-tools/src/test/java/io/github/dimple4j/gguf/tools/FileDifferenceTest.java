package io.github.dimple4j.gguf.tools;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.ProgressListener;
import io.github.dimple4j.gguf.TensorType;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class FileDifferenceTest {
  private static final String Q = "blk.0.attn_q.weight";

  @TempDir private Path folder;
  private final SmallModel model = SmallModel.ofAllKinds();
  private Path first;

  @BeforeEach
  void writeFirst() throws IOException {
    first = model.write(folder.resolve("a.gguf"), TensorType.F32);
  }

  private FileDifference toChanged(TensorType type) throws IOException {
    return FileDifference.between(first, model.write(folder.resolve("b.gguf"), type), ProgressListener.NONE);
  }

  @Test
  void equalFilesDoNotDiffer() throws IOException {
    model.tensors.putFirst(Q, model.tensors.get(Q)); // the order does not count
    FileDifference difference = toChanged(TensorType.F32);
    assertThat(difference.isEmpty()).isTrue();
    assertThat(difference.equalTensors()).isEqualTo(model.tensors.size());
  }

  @Test
  void keysAreCompared() throws IOException {
    model.metadata.put("general.name", MetadataValue.string("other"));
    model.metadata.remove("dream.block_count");
    model.metadata.put("new", MetadataValue.bool(true));
    assertThat(toChanged(TensorType.F32).keys()).containsExactlyInAnyOrder(
        new FileDifference.Key("general.name", Optional.of(MetadataValue.string("all kinds")), Optional.of(MetadataValue.string("other"))),
        new FileDifference.Key("dream.block_count", Optional.of(MetadataValue.uint32(1)), Optional.empty()),
        new FileDifference.Key("new", Optional.empty(), Optional.of(MetadataValue.bool(true))));
  }

  @Test
  void weightsAreMeasured() throws IOException {
    float[] values = model.tensors.get(Q).values();
    double squares = 0;
    for (float value : values) {
      squares += value * (double) value;
    }
    values[1000] += 0.5f;
    FileDifference difference = toChanged(TensorType.F32);
    assertThat(difference.tensors()).hasSize(1);
    FileDifference.Tensor tensor = difference.tensors().getFirst();
    assertThat(tensor.name()).isEqualTo(Q);
    FileDifference.Weights weights = tensor.weights().orElseThrow();
    assertThat(weights.largest()).isCloseTo(0.5, within(1e-6));
    assertThat(weights.rmse()).isCloseTo(Math.sqrt(0.25 / values.length), within(1e-7));
    assertThat(weights.relative()).isCloseTo(Math.sqrt(0.25 / squares), within(1e-6));
    values[1000] = Float.NaN;
    assertThat(toChanged(TensorType.F32).tensors().getFirst().weights().orElseThrow().rmse()).isNaN();
  }

  @Test
  void typesShapesAndMissingTensorsAreTold() throws IOException {
    model.tensors.put(Q, new SmallModel.Weights(List.of(64L, 256L), model.tensors.get(Q).values()));
    model.tensors.remove("mm.0.bias");
    model.add("mm.1.bias", 3);
    FileDifference difference = toChanged(TensorType.F16);
    assertThat(difference.tensors()).filteredOn(tensor -> tensor.first().isEmpty()).extracting(FileDifference.Tensor::name)
        .containsExactly("mm.1.bias");
    assertThat(difference.tensors()).filteredOn(tensor -> tensor.second().isEmpty()).extracting(FileDifference.Tensor::name)
        .containsExactly("mm.0.bias");
    assertThat(difference.tensors()).filteredOn(tensor -> tensor.name().equals(Q)).allMatch(tensor -> tensor.weights().isEmpty());
    assertThat(difference.tensors()).filteredOn(tensor -> tensor.name().equals("output.weight")).hasSize(1)
        .allMatch(tensor -> tensor.second().orElseThrow().typeName().equals("f16"))
        .allMatch(tensor -> tensor.weights().orElseThrow().largest() < 1e-3);
    assertThat(difference.equalTensors()).isEqualTo(3); // the vectors that are left
  }
}
