package io.github.dimple4j.gguf.architecture;

import io.github.dimple4j.gguf.checkpoint.JsonSettings;
import java.util.List;

/** How pictures are prepared in any case; a {@code preprocessor_config.json} that wants them otherwise is refused. */
final class Preparation {
  /** Pillow's number of its bicubic filter. */
  private static final int BICUBIC = 3;

  private Preparation() {}

  /** Refuses other steps than resizing by the bicubic filter to numbers from 0 to 1. */
  static void require(JsonSettings preprocessor) {
    for (String step : List.of("do_resize", "do_rescale", "do_convert_rgb")) {
      preprocessor.requireFlag(step, true);
    }
    preprocessor.requireFlag("do_center_crop", false);
    preprocessor.passOver(List.of("crop_size"));
    if (preprocessor.size("resample", BICUBIC) != BICUBIC) {
      throw preprocessor.wrong("resample", String.valueOf(BICUBIC));
    }
    if (Math.abs(preprocessor.positive("rescale_factor", 1 / 255.0) * 255 - 1) > 1e-6) {
      throw preprocessor.wrong("rescale_factor", "1 / 255");
    }
  }

  /**
   * A limit of a picture's area, which stands by its own name, or in {@code size}, by that name or as an edge, which it is none of; the first goes before the others,
   * as for every version of the transformers library.
   */
  static int pixels(JsonSettings preprocessor, String name, String edge, int otherwise) {
    JsonSettings size = preprocessor.has("size") ? preprocessor.section("size") : preprocessor;
    return preprocessor.size(name, size.size(edge, size.size(name, otherwise)));
  }

  /** The same, and what makes numbers around 0 of them, by means and deviations that the caller reads. */
  static void requireNormalized(JsonSettings preprocessor) {
    require(preprocessor);
    preprocessor.requireFlag("do_normalize", true);
  }
}
