package io.github.dimple4j.image.jpeg;

import io.github.dimple4j.image.raster.PictureException;
import io.github.dimple4j.image.raster.Pixels;

/** The frame header (section B.2.2) and the planes it announces. */
final class JpegFrame {
  /** Where the coefficients of a block stand, row by row, in the order in which they are coded (figure A.6). */
  static final int[] ZIGZAG = {0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7,
      14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55,
      62, 63};

  private static final int PROGRESSIVE = 2;
  private static final String[] KINDS = {"baseline", "sequential", "progressive", "lossless", "", "hierarchical", "hierarchical",
      "hierarchical", "", "arithmetic-coded", "arithmetic-coded", "lossless arithmetic-coded", "", "hierarchical", "hierarchical", "hierarchical"};

  final int width;
  final int height;
  final boolean progressive;
  final JpegComponent[] components;
  final int horizontal; // the largest sampling factors
  final int vertical;
  final int mcusWide; // minimum coded units: blocks of all components
  final int mcusHigh;

  private JpegFrame(int width, int height, boolean progressive, JpegComponent[] components) {
    this.width = width;
    this.height = height;
    this.progressive = progressive;
    this.components = components;
    int h = 1;
    int v = 1;
    for (JpegComponent component : components) {
      h = Math.max(h, component.horizontal);
      v = Math.max(v, component.vertical);
    }
    horizontal = h;
    vertical = v;
    mcusWide = Math.ceilDiv(width, 8 * h);
    mcusHigh = Math.ceilDiv(height, 8 * v);
    for (JpegComponent component : components) {
      component.width = Math.ceilDiv(width * component.horizontal, h);
      component.height = Math.ceilDiv(height * component.vertical, v);
      component.blocksWide = Math.ceilDiv(component.width, 8);
      component.blocksHigh = Math.ceilDiv(component.height, 8);
      component.stride = 8 * mcusWide * component.horizontal;
    }
  }

  /** Refuses a frame that the file cannot hold: a block has two codes at least, and in a progressive picture one, of a bit at least. */
  private void checkSize(int fileSize) throws PictureException {
    long blocks = 0;
    for (JpegComponent component : components) {
      blocks += (long) component.blocksWide * component.blocksHigh;
    }
    if (blocks * (progressive ? 1 : 2) / 8 > fileSize) {
      throw PictureException.tooShort(fileSize, width, height);
    }
  }

  private void allocate() {
    for (JpegComponent component : components) {
      int size = Math.multiplyExact(component.stride, 8 * mcusHigh * component.vertical);
      if (progressive) {
        component.coefficients = new short[size];
      } else {
        component.samples = new byte[size];
      }
    }
  }

  static JpegFrame read(int kind, JpegInput segment) throws PictureException {
    if (kind > PROGRESSIVE) {
      throw PictureException.unsupported("a JPEG of the kind " + KINDS[kind]);
    }
    int precision = segment.octet();
    if (precision != 8) {
      throw PictureException.unsupported("a JPEG with " + precision + " bits per sample");
    }
    int height = segment.word();
    int width = segment.word();
    Pixels.checkSize(width, height);
    int count = segment.octet();
    if (count != 1 && count != 3 && count != 4) {
      throw PictureException.unsupported("a JPEG of " + count + " components");
    }
    JpegComponent[] components = new JpegComponent[count];
    for (int i = 0; i < count; i++) {
      components[i] = new JpegComponent(segment.octet(), segment.octet(), segment.octet());
      checkComponent(components[i]);
    }
    JpegFrame frame = new JpegFrame(width, height, kind == PROGRESSIVE, components);
    frame.checkSize(segment.fileSize());
    frame.allocate();
    return frame;
  }

  private static void checkComponent(JpegComponent c) throws PictureException {
    if (c.horizontal < 1 || c.horizontal > 4 || c.vertical < 1 || c.vertical > 4 || c.tableNumber > 3) {
      throw PictureException.damaged("a component has sampling factors " + c.horizontal + " x " + c.vertical + " and table "
          + c.tableNumber);
    }
  }

  JpegComponent component(int id) throws PictureException {
    for (JpegComponent component : components) {
      if (component.id == id) {
        return component;
      }
    }
    throw PictureException.damaged("its data are of a component " + id + ", which its frame does not have");
  }

  /** The components with their samples, once all scans are read. */
  JpegComponent[] finished() throws PictureException {
    for (JpegComponent component : components) {
      if (component.quantization == null || progressive && component.known != -1) {
        throw PictureException.damaged("it ends before all of its picture has come");
      }
      if (progressive) {
        transform(component);
      }
    }
    return components;
  }

  private static void transform(JpegComponent component) {
    component.samples = new byte[component.coefficients.length];
    var transform = new JpegInverseTransform();
    int perRow = component.stride / 8;
    for (int y = 0; y < component.blocksHigh; y++) {
      for (int x = 0; x < component.blocksWide; x++) {
        transform.block(component.coefficients, 64 * (y * perRow + x), component, x, y);
      }
    }
    component.coefficients = null;
  }
}
