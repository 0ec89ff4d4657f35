package io.github.dimple4j.gguf.architecture;

import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.checkpoint.PreTokenizer;
import io.github.dimple4j.gguf.checkpoint.SpecialTokens;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * What a model's GGUF file holds: keys that describe the model, without the tokenizer's, and tensors with their places in a
 * checkpoint.
 *
 * @param architecture {@code general.architecture}
 * @param vocabulary rows of the embedding matrix
 * @param metadata keys and values in the file's order
 * @param tensors in the file's order
 * @param preTokenizer where the tokenizer's files do not tell
 * @param special ids from the configuration
 * @param elsewhere names of the checkpoint's tensors that are in another file, or in this one under another name, or that the model's own code does not read
 * @param added tokens that the tokenizer has not, by their ids, which are those of rows of the embedding matrix that no token has
 */
public record ModelLayout(String architecture, int vocabulary, Map<String, MetadataValue> metadata, List<TensorSource> tensors,
    PreTokenizer preTokenizer, SpecialTokens special, Set<String> elsewhere, Map<Integer, String> added) {
  private static final Pattern ROTARY_TABLE = Pattern.compile("(.*\\.)?rotary_(pos_)?emb\\.inv_freq");

  /** One whose tokens are its tokenizer's. */
  public ModelLayout(String architecture, int vocabulary, Map<String, MetadataValue> metadata, List<TensorSource> tensors, PreTokenizer preTokenizer,
      SpecialTokens special, Set<String> elsewhere) {
    this(architecture, vocabulary, metadata, tensors, preTokenizer, special, elsewhere, Map.of());
  }

  /** One that has all of a checkpoint. */
  public ModelLayout(String architecture, int vocabulary, Map<String, MetadataValue> metadata, List<TensorSource> tensors, PreTokenizer preTokenizer,
      SpecialTokens special) {
    this(architecture, vocabulary, metadata, tensors, preTokenizer, special, Set.of());
  }

  /** Whether a file deliberately does without a checkpoint's tensor: rotary frequencies follow from the configuration. */
  public static boolean isLeftOut(String checkpointName) {
    return ROTARY_TABLE.matcher(checkpointName).matches();
  }
}
