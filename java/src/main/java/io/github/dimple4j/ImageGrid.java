package io.github.dimple4j;

/**
 * What the vision tower makes of a picture of a certain size. Tiles, where a picture is cut into such, lie one below the other.
 *
 * @param resizedWidth pixels after the resize, a multiple of patch size times merge size
 * @param resizedHeight pixels after the resize
 * @param rows patches from top to bottom
 * @param columns patches from left to right
 * @param tokens places the picture takes in a prompt: {@code rows * columns / mergeSize^2}; of pictures in tiles, what is left of these, and one behind each
 *     row
 */
public record ImageGrid(int resizedWidth, int resizedHeight, int rows, int columns, int tokens) {}
