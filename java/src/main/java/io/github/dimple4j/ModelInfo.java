package io.github.dimple4j;

import java.util.List;
import java.util.OptionalInt;

/**
 * Facts about a loaded model.
 *
 * @param architecture {@code general.architecture} of the file
 * @param backend what runs the model, e.g. {@code "cpu-avx512-vnni"}
 * @param vocabSize number of token ids
 * @param contextLength largest prompt + response in tokens, from the file
 * @param layerCount decoder blocks
 * @param embeddingLength width of the residual stream
 * @param headCount attention heads for queries
 * @param headCountKv attention heads for keys and values
 * @param headSize elements of a head
 * @param bidirectional true for full attention, false for causal (autoregressively trained)
 * @param shiftLogits true if row j of the logits scores position j + 1, false if it scores position j
 * @param maskTokenId the token of undecided positions, if the file names one
 * @param bosTokenId the begin-of-text token, if the file names one
 * @param eosTokenId the end-of-turn token, if the file names one
 * @param padTokenId the padding token, with which a response may end too, if the file names one
 * @param imageTokenId the placeholder that image features replace, if the file names one
 * @param hasVision whether prompts may hold pictures
 * @param patchSize pixels per side of a patch; 0 without vision
 * @param mergeSize patches per side of one image token; 0 without vision
 * @param minPixels smallest area that a picture is resized to
 * @param maxPixels largest area that a picture is resized to
 * @param parameterCount elements of all tensors
 * @param fileSize bytes of the file, and of the vision file beside it
 * @param weightSize bytes that the packed weights take in memory
 * @param unpackedSize bytes of matrices that passes read from the mapped file, because of {@link ModelOptions#unpacked()} or
 *     {@link ModelOptions#weightMemory()}; 0 where all are packed
 * @param kvBytesPerToken bytes of keys and values of one position of a session; in layers with windows positions that no later one sees
 *     fall out
 * @param ignored keys and tensors of the file that the model runs without, {@code "key NAME"} or {@code "tensor NAME"}; empty unless
 *     {@link ModelOptions#ignoreUnknown()} allowed it
 */
public record ModelInfo(String architecture, String backend, int vocabSize, int contextLength, int layerCount, int embeddingLength,
    int headCount, int headCountKv, int headSize, boolean bidirectional, boolean shiftLogits, OptionalInt maskTokenId,
    OptionalInt bosTokenId, OptionalInt eosTokenId, OptionalInt padTokenId, OptionalInt imageTokenId, boolean hasVision, int patchSize,
    int mergeSize, long minPixels, long maxPixels, long parameterCount, long fileSize, long weightSize, long unpackedSize, long kvBytesPerToken,
    List<String> ignored) {
  /** Copies the list. */
  public ModelInfo {
    ignored = List.copyOf(ignored);
  }
}
