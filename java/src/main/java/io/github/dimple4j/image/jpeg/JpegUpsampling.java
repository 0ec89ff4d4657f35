package io.github.dimple4j.image.jpeg;

import io.github.dimple4j.image.raster.PictureException;

/**
 * Rows of a component at the resolution of the picture. Between samples at half the resolution a triangle filter interpolates (3/4 of the
 * nearer one and 1/4 of the further one); other ratios repeat. Roundings alternate as libjpeg-turbo's do.
 */
abstract class JpegUpsampling {
  final JpegComponent component;

  private JpegUpsampling(JpegComponent component) {
    this.component = component;
  }

  /** Row y of the picture; the array has room for a sample or three more than a row. */
  abstract void row(int y, int[] to);

  /** The value at a place of the component, for columns and rows beyond its edge the one at the edge. */
  final int rowStart(int y) {
    return Math.clamp(y, 0, component.height - 1) * component.stride;
  }

  static JpegUpsampling of(JpegFrame frame, JpegComponent c) throws PictureException {
    if (frame.horizontal % c.horizontal != 0 || frame.vertical % c.vertical != 0) {
      throw PictureException.unsupported("a JPEG whose sampling factors " + frame.horizontal + " and " + c.horizontal + ", "
          + frame.vertical + " and " + c.vertical + " have no whole ratio");
    }
    int across = frame.horizontal / c.horizontal;
    int down = frame.vertical / c.vertical;
    if (across == 1 && down == 2) {
      return new Down(c);
    }
    if (across == 2 && down <= 2 && c.width > 2) {
      return down == 1 ? new Across(c) : new Both(c);
    }
    return new Repeat(c, across, down);
  }

  private static final class Repeat extends JpegUpsampling {
    private final int across;
    private final int down;

    Repeat(JpegComponent component, int across, int down) {
      super(component);
      this.across = across;
      this.down = down;
    }

    @Override
    void row(int y, int[] to) {
      int from = rowStart(y / down);
      for (int x = 0; x < component.width; x++) {
        int sample = component.samples[from + x] & 0xFF;
        for (int i = 0; i < across; i++) {
          to[across * x + i] = sample;
        }
      }
    }
  }

  private static final class Across extends JpegUpsampling {
    Across(JpegComponent component) {
      super(component);
    }

    @Override
    void row(int y, int[] to) {
      int from = rowStart(y);
      int last = component.width - 1;
      for (int x = 0; x <= last; x++) {
        int sample = 3 * (component.samples[from + x] & 0xFF);
        to[2 * x] = sample + (component.samples[from + Math.max(x - 1, 0)] & 0xFF) + 1 >> 2;
        to[2 * x + 1] = sample + (component.samples[from + Math.min(x + 1, last)] & 0xFF) + 2 >> 2;
      }
    }
  }

  private static final class Down extends JpegUpsampling {
    Down(JpegComponent component) {
      super(component);
    }

    @Override
    void row(int y, int[] to) {
      int near = rowStart(y / 2);
      int far = rowStart(y / 2 + (y % 2 == 0 ? -1 : 1));
      int round = y % 2 == 0 ? 1 : 2;
      for (int x = 0; x < component.width; x++) {
        to[x] = 3 * (component.samples[near + x] & 0xFF) + (component.samples[far + x] & 0xFF) + round >> 2;
      }
    }
  }

  private static final class Both extends JpegUpsampling {
    private final int[] sums;

    Both(JpegComponent component) {
      super(component);
      sums = new int[component.width];
    }

    @Override
    void row(int y, int[] to) {
      int near = rowStart(y / 2);
      int far = rowStart(y / 2 + (y % 2 == 0 ? -1 : 1));
      for (int x = 0; x < sums.length; x++) {
        sums[x] = 3 * (component.samples[near + x] & 0xFF) + (component.samples[far + x] & 0xFF);
      }
      int last = sums.length - 1;
      for (int x = 0; x <= last; x++) {
        to[2 * x] = 3 * sums[x] + sums[Math.max(x - 1, 0)] + 8 >> 4;
        to[2 * x + 1] = 3 * sums[x] + sums[Math.min(x + 1, last)] + 7 >> 4;
      }
    }
  }
}
