package io.github.dimple4j.core;

/**
 * A picture.
 *
 * @param pixels three bytes a pixel, row by row from the top left, without gaps; not copied
 * @param width pixels
 * @param height pixels
 */
public record Rgb(byte[] pixels, int width, int height) {}
