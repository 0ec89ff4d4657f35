/** Byte-pair encoding, byte-level or in SentencePiece's spelling, from the arrays of a model file: text to token ids and back. Plain Java, no native code. */
package io.github.dimple4j.tokenizer;
