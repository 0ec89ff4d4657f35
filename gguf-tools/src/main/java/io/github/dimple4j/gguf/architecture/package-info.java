/** What the files of each architecture hold, and where a checkpoint has it. */
package io.github.dimple4j.gguf.architecture;
