package io.github.dimple4j.examples.spark;

import io.github.dimple4j.DimpleModel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import org.apache.spark.SparkFiles;

/** The model of an executor: loaded once in its Java machine, shared by all its tasks, mapped as long as it lives. Thread-safe. */
final class SharedModel {
  private static final Map<String, DimpleModel> LOADED = new HashMap<>();

  private SharedModel() {}

  static synchronized DimpleModel of(String name) {
    return LOADED.computeIfAbsent(name, SharedModel::load);
  }

  /** How many this Java machine has loaded. */
  static synchronized int loaded() {
    return LOADED.size();
  }

  private static DimpleModel load(String name) {
    Path here = Path.of(name);
    return DimpleModel.load(Files.exists(here) ? here : Path.of(SparkFiles.get(here.getFileName().toString())));
  }
}
