package io.github.dimple4j.image;

/**
 * A decoded picture: 8-bit RGB. The array is not copied.
 *
 * @param rgb {@code [height x width x 3]}, from the top left
 * @param width pixels per row
 * @param height rows
 */
public record Pixels(byte[] rgb, int width, int height) {}
