package io.github.dimple4j.core;

/**
 * {@code dimple_image_grid}.
 *
 * @param resizedWidth pixels
 * @param resizedHeight pixels
 * @param rows patches
 * @param columns patches
 * @param tokens image tokens
 */
public record Grid(int resizedWidth, int resizedHeight, int rows, int columns, int tokens) {}
