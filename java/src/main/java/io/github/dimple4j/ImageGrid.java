package io.github.dimple4j;

/**
 * What the vision tower makes of a picture of a certain size.
 *
 * @param resizedWidth pixels after the resize, a multiple of patch size times merge size
 * @param resizedHeight pixels after the resize
 * @param rows patches from top to bottom
 * @param columns patches from left to right
 * @param tokens places the picture takes in a prompt: {@code rows * columns / mergeSize^2}
 */
public record ImageGrid(int resizedWidth, int resizedHeight, int rows, int columns, int tokens) {}
