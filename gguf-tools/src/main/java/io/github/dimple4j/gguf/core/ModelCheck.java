package io.github.dimple4j.gguf.core;

import io.github.dimple4j.core.Core;
import io.github.dimple4j.core.CoreException;
import io.github.dimple4j.core.FileName;
import io.github.dimple4j.core.Finding;
import io.github.dimple4j.gguf.GgufException;
import java.nio.file.Path;
import java.util.List;

/** The C core's check of a model's file, which is the one that loading makes. Any thread. */
public final class ModelCheck {
  private ModelCheck() {}

  /**
   * Checks keys and tensors.
   *
   * @param path a GGUF file, or the first of its parts
   * @param ignoreUnknown whether a file with unknown keys or tensors is sound
   * @return problems first
   * @throws GgufException if it is not a well-formed GGUF file; the message is loading's
   */
  public static List<Finding> of(Path path, boolean ignoreUnknown) {
    try {
      return Core.instance().check(FileName.of(path), ignoreUnknown);
    } catch (CoreException e) {
      throw new GgufException(e.getMessage(), e);
    }
  }
}
