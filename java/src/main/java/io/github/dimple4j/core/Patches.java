package io.github.dimple4j.core;

/**
 * A picture as the vision tower takes it.
 *
 * @param values one row per patch, in the order that the model takes them
 * @param resized the resized picture before it was normalised, three bytes a pixel
 */
public record Patches(float[][] values, byte[] resized) {}
