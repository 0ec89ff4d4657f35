package io.github.dimple4j.gguf.checkpoint;

import io.github.dimple4j.gguf.GgufException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import tools.jackson.databind.JsonNode;

/**
 * The weights of a Hugging Face directory: {@code model.safetensors}, or the shards that {@code model.safetensors.index.json}
 * names. The index and the shards must agree: every tensor is in exactly the shard that the index says.
 */
public final class Checkpoint implements AutoCloseable {
  private static final String SINGLE = "model.safetensors";
  private static final String INDEX = "model.safetensors.index.json";

  private final Map<String, SafetensorsFile> files = new LinkedHashMap<>();
  private final Map<String, SafetensorsFile.Tensor> tensors = new LinkedHashMap<>();

  public Checkpoint(Path directory) throws IOException {
    try {
      Path index = directory.resolve(INDEX);
      if (Files.exists(index)) {
        openShards(directory, index);
      } else if (Files.exists(directory.resolve(SINGLE))) {
        tensors.putAll(open(directory, SINGLE).tensors());
      } else {
        throw new GgufException(directory + " has neither " + SINGLE + " nor " + INDEX);
      }
    } catch (IOException | RuntimeException e) {
      close();
      throw e;
    }
  }

  /** All tensors by name. */
  public Map<String, SafetensorsFile.Tensor> tensors() {
    return tensors;
  }

  @Override
  public void close() throws IOException {
    for (SafetensorsFile file : files.values()) {
      file.close();
    }
  }

  private void openShards(Path directory, Path index) throws IOException {
    JsonNode map = Json.read(index).path("weight_map");
    if (!map.isObject()) {
      throw new GgufException(index + ": \"weight_map\" is missing");
    }
    for (Map.Entry<String, JsonNode> entry : map.properties()) {
      String name = entry.getKey();
      String shard = entry.getValue().asString("");
      SafetensorsFile.Tensor tensor = open(directory, shard).tensors().get(name);
      if (tensor == null) {
        throw new GgufException(index + ": tensor " + name + " is not in " + shard);
      }
      tensors.put(name, tensor);
    }
    if (Files.exists(directory.resolve(SINGLE)) && !files.containsKey(SINGLE)) {
      throw new GgufException(directory + " has " + SINGLE + " and " + INDEX + ", which does not name it: which one is the model's is not known");
    }
    for (SafetensorsFile file : files.values()) {
      for (SafetensorsFile.Tensor tensor : file.tensors().values()) {
        if (tensors.get(tensor.name()) != tensor) {
          throw new GgufException(file.path() + ": tensor " + tensor.name() + " is not listed for this file in " + INDEX);
        }
      }
    }
  }

  /** Whether a name leads to no other folder; however the directory itself was spelled. */
  private static boolean isFileName(Path directory, String name) {
    try {
      Path file = directory.getFileSystem().getPath(name);
      return file.equals(file.getFileName()) && !name.isEmpty() && !name.equals(".") && !name.equals("..");
    } catch (InvalidPathException e) {
      return false;
    }
  }

  private SafetensorsFile open(Path directory, String name) throws IOException {
    SafetensorsFile file = files.get(name);
    if (file == null) {
      if (!isFileName(directory, name)) {
        throw new GgufException(directory.resolve(INDEX) + ": \"" + name + "\" is not the name of a file beside it");
      }
      Path path = directory.resolve(name);
      if (!Files.isRegularFile(path)) {
        throw new GgufException(path + " is missing");
      }
      file = new SafetensorsFile(path);
      files.put(name, file);
    }
    return file;
  }
}
