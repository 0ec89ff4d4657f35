package io.github.dimple4j.benchmark;

import io.github.dimple4j.DimpleModel;
import io.github.dimple4j.Image;
import io.github.dimple4j.ModelOptions;
import io.github.dimple4j.Session;
import io.github.dimple4j.SessionBuilder;
import java.nio.file.Path;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/** A loaded model with a question about a picture. {@code -p model=FILE -p backend=NAME -p threads=N} choose others. */
@State(Scope.Benchmark)
public class BenchmarkModel {
  @Param("../models/mini/dimple-mini-f16.gguf")
  public String model;

  @Param("auto")
  public String backend;

  @Param("0")
  public int threads;

  @Param("64")
  public int responseLength;

  private DimpleModel loaded;
  private Image picture;

  @Setup(Level.Trial)
  public void load() {
    loaded = open();
    picture = Image.read(Path.of("../docs/images/scene.png"));
  }

  @TearDown(Level.Trial)
  public void close() {
    loaded.close();
  }

  DimpleModel open() {
    return DimpleModel.load(Path.of(model), ModelOptions.builder().backend(backend).threads(threads).build());
  }

  DimpleModel loaded() {
    return loaded;
  }

  SessionBuilder aboutAPicture() {
    return loaded.session().user("Describe this image.", picture).responseLength(responseLength).threads(threads);
  }

  SessionBuilder ofText() {
    return loaded.session().user("Describe this image.").responseLength(responseLength).threads(threads);
  }
}
