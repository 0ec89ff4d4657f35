package io.github.dimple4j;

import java.util.Objects;
import java.util.OptionalInt;

/**
 * What becomes of transparent and of small pictures. The defaults are those of the models' authors: transparency is dropped, and a
 * picture with a side too short for the model is refused. Immutable.
 *
 * @param background the colour behind a transparent picture, {@code 0xRRGGBB}; empty: a transparent pixel has the colour that the file
 *     stores for it
 * @param minimumSide a picture whose shorter side has fewer pixels is enlarged (bicubically, its proportions kept) until it has as many; 0:
 *     none is. Models with Qwen2.5-VL's vision tower, Dimple among them, need 28
 * @param maximumPixels a file that announces more pixels is refused before memory is taken for them; at most {@link Image#MAX_PIXELS}
 */
public record ImageOptions(OptionalInt background, int minimumSide, long maximumPixels) {
  /** The longest that {@link #minimumSide} may be, in pixels. */
  public static final int MAX_MINIMUM_SIDE = 4096;

  /**
   * Checks the values.
   *
   * @throws InvalidArgumentException if the colour is not from 0 to {@code 0xFFFFFF}, the side not from 0 to {@link #MAX_MINIMUM_SIDE}, or
   *     the pixels not from 1 to {@link Image#MAX_PIXELS}
   */
  public ImageOptions {
    Objects.requireNonNull(background, "background");
    if (background.isPresent() && background.getAsInt() >>> 24 != 0) {
      throw new InvalidArgumentException("a background of " + background.getAsInt() + ", expected a colour from 0 to 0xFFFFFF");
    }
    if (minimumSide < 0 || minimumSide > MAX_MINIMUM_SIDE) {
      throw new InvalidArgumentException("a minimum side of " + minimumSide + " pixels, expected 0 to " + MAX_MINIMUM_SIDE);
    }
    if (maximumPixels < 1 || maximumPixels > Image.MAX_PIXELS) {
      throw new InvalidArgumentException("at most " + maximumPixels + " pixels, expected 1 to " + Image.MAX_PIXELS);
    }
  }

  /**
   * Starts from the defaults.
   *
   * @return a builder
   */
  public static Builder builder() {
    return new Builder();
  }

  /** Collects options. For one thread. */
  public static final class Builder {
    private OptionalInt background = OptionalInt.empty();
    private int minimumSide;
    private long maximumPixels = Image.MAX_PIXELS;

    private Builder() {}

    /**
     * Blends transparent pictures with a colour.
     *
     * @param rgb {@code 0xRRGGBB}
     * @return this
     */
    public Builder background(int rgb) {
      background = OptionalInt.of(rgb);
      return this;
    }

    /**
     * Enlarges small pictures.
     *
     * @param pixels see {@link ImageOptions#minimumSide()}
     * @return this
     */
    public Builder minimumSide(int pixels) {
      minimumSide = pixels;
      return this;
    }

    /**
     * Refuses large pictures.
     *
     * @param pixels see {@link ImageOptions#maximumPixels()}
     * @return this
     */
    public Builder maximumPixels(long pixels) {
      maximumPixels = pixels;
      return this;
    }

    /**
     * Makes the options.
     *
     * @return immutable options
     * @throws InvalidArgumentException if a value is out of its range
     */
    public ImageOptions build() {
      return new ImageOptions(background, minimumSide, maximumPixels);
    }

    /**
     * The options so far, for logs.
     *
     * @return for example {@code "ImageOptions.Builder[background=OptionalInt.empty, minimumSide=28, maximumPixels=100000000]"}
     */
    @Override
    public String toString() {
      return "ImageOptions.Builder[background=" + background + ", minimumSide=" + minimumSide
          + ", maximumPixels=" + maximumPixels + "]";
    }
  }
}
