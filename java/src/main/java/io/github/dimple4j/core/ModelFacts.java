package io.github.dimple4j.core;

/**
 * {@code dimple_model_info}. Token ids are -1 where the file names none.
 *
 * @param architecture {@code general.architecture}
 * @param backend what runs the model
 * @param kvBytesPerToken bytes of keys and values of one position of a session
 * @param unpackedSize bytes of matrices that passes read from the file
 * @param packCache {@code dimple_pack_cache}
 * @param packCacheNote why there is no file of packed weights, or that one was damaged; empty: nothing is to be said
 */
public record ModelFacts(String architecture, String backend, int vocabSize, int contextLength, int layerCount, int embeddingLength,
    int headCount, int headCountKv, int headSize, boolean bidirectional, boolean shiftLogits, int maskToken, int bosToken, int eosToken,
    int padToken, int imageToken, boolean hasVision, int patchSize, int mergeSize, long minPixels, long maxPixels, long parameterCount,
    long fileSize, long weightSize, long kvBytesPerToken, long unpackedSize, int packCache, String packCacheNote) {}
