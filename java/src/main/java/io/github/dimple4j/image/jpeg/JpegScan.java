package io.github.dimple4j.image.jpeg;

import io.github.dimple4j.image.raster.PictureException;
import java.util.Arrays;

/** The data of some components, or of some bits of some coefficients of them (annexes F and G). */
final class JpegScan {
  private final JpegFrame frame;
  private final JpegBits bits;
  private final int restartInterval;
  private final JpegComponent[] components;
  private final JpegHuffmanTable[] dcTables;
  private final JpegHuffmanTable[] acTables;
  private final int first; // of the coefficients, in zigzag order
  private final int last;
  private final int high; // the lowest bit that is known before, 0 if none is
  private final int low; // the lowest bit that is known afterwards
  private final short[] block = new short[64];
  private final JpegInverseTransform transform = new JpegInverseTransform();
  private int emptyBlocks; // a run of blocks without further coefficients in this scan

  JpegScan(JpegFrame frame, JpegInput header, JpegBits bits, int restartInterval, int[][] quantization, JpegHuffmanTable[] dcTables,
      JpegHuffmanTable[] acTables) throws PictureException {
    this.frame = frame;
    this.bits = bits;
    this.restartInterval = restartInterval;
    int count = header.octet();
    if (count < 1 || count > frame.components.length) {
      throw PictureException.damaged("its data are of " + count + " components");
    }
    this.components = new JpegComponent[count];
    this.dcTables = new JpegHuffmanTable[count];
    this.acTables = new JpegHuffmanTable[count];
    int[] selectors = new int[count];
    for (int i = 0; i < count; i++) {
      components[i] = frame.component(header.octet());
      selectors[i] = header.octet();
    }
    first = header.octet();
    last = header.octet();
    int approximation = header.octet();
    high = approximation >> 4;
    low = approximation & 15;
    checkSpectrum();
    for (int i = 0; i < count; i++) {
      if (first == 0 && high == 0) {
        this.dcTables[i] = table(dcTables, selectors[i] >> 4);
      }
      if (last > 0) {
        this.acTables[i] = table(acTables, selectors[i] & 15);
      }
      start(components[i], quantization);
    }
  }

  private static JpegHuffmanTable table(JpegHuffmanTable[] tables, int number) throws PictureException {
    if (number > 3 || tables[number] == null) {
      throw PictureException.damaged("it uses Huffman table " + number + ", which it does not define");
    }
    return tables[number];
  }

  /** Section G.1.1.1.1: DC and AC coefficients in scans of their own, of one component if AC; bits one by one after the first. */
  private void checkSpectrum() throws PictureException {
    boolean sound = !frame.progressive ? first == 0 && last == 63 && high == 0 && low == 0
        : first <= last && last < 64 && low <= 13 && (high == 0 || high == low + 1) && (first == 0 ? last == 0 : components.length == 1);
    if (!sound) {
      throw PictureException.damaged("its data are of coefficients " + first + " to " + last + ", bits " + low + " to " + high);
    }
  }

  /** Notes what the scan brings of a component, and that it is due. */
  private void start(JpegComponent component, int[][] quantization) throws PictureException {
    if (component.quantization == null) {
      component.quantization = quantization[component.tableNumber];
      if (component.quantization == null) {
        throw PictureException.damaged("it uses quantization table " + component.tableNumber + ", which it does not define");
      }
    } else if (!frame.progressive) {
      throw PictureException.damaged("the data of a component come twice");
    }
    component.prediction = 0;
    for (int k = first; frame.progressive && k <= last; k++) {
      if (component.precision[k] != (high == 0 ? -1 : high)) {
        throw PictureException.damaged("the bits of a coefficient come in the wrong order");
      }
      component.precision[k] = low;
      component.known |= low == 0 ? 1L << k : 0;
    }
  }

  void decode() throws PictureException {
    if (components.length == 1) {
      JpegComponent component = components[0];
      int index = 0;
      for (int y = 0; y < component.blocksHigh; y++) {
        for (int x = 0; x < component.blocksWide; x++) {
          restartBefore(index++);
          block(0, x, y);
        }
      }
      return;
    }
    for (int i = 0; i < frame.mcusWide * frame.mcusHigh; i++) {
      restartBefore(i);
      unit(i % frame.mcusWide, i / frame.mcusWide);
    }
  }

  /** A minimum coded unit: from each component as many blocks as its sampling factors say (section A.2.3). */
  private void unit(int column, int row) throws PictureException {
    for (int i = 0; i < components.length; i++) {
      JpegComponent component = components[i];
      for (int y = 0; y < component.vertical; y++) {
        for (int x = 0; x < component.horizontal; x++) {
          block(i, column * component.horizontal + x, row * component.vertical + y);
        }
      }
    }
  }

  private void restartBefore(int index) throws PictureException {
    if (restartInterval > 0 && index > 0 && index % restartInterval == 0) {
      bits.restart((index / restartInterval - 1) & 7);
      emptyBlocks = 0;
      for (JpegComponent component : components) {
        component.prediction = 0;
      }
    }
  }

  private void block(int i, int x, int y) throws PictureException {
    JpegComponent component = components[i];
    if (!frame.progressive) {
      Arrays.fill(block, (short) 0);
      block[0] = (short) nextDc(component, dcTables[i]);
      coefficients(block, 0, acTables[i]);
      transform.block(block, 0, component, x, y);
      return;
    }
    int at = 64 * (y * (component.stride / 8) + x);
    short[] all = component.coefficients;
    if (first > 0 && high > 0) {
      refine(all, at, acTables[i]);
    } else if (first > 0) {
      progressiveCoefficients(all, at, acTables[i]);
    } else if (high > 0) {
      all[at] |= (short) (bits.take(1) << low);
    } else {
      all[at] = (short) (nextDc(component, dcTables[i]) << low);
    }
  }

  private int nextDc(JpegComponent component, JpegHuffmanTable table) throws PictureException {
    component.prediction += bits.signed(table.decode(bits));
    return component.prediction;
  }

  /** AC coefficients of a sequential picture: a symbol is a run of zeros and the length of the number behind it (section F.2.2.2). */
  private void coefficients(short[] to, int at, JpegHuffmanTable table) throws PictureException {
    for (int k = 1; k < 64; k++) {
      int symbol = table.decode(bits);
      int length = symbol & 15;
      if (length == 0 && symbol != 0xF0) {
        return;
      }
      k += symbol >> 4;
      checkPlace(k);
      to[at + JpegFrame.ZIGZAG[k]] = (short) bits.signed(length);
    }
  }

  /** The upper bits of AC coefficients (section G.1.2.2). */
  private void progressiveCoefficients(short[] to, int at, JpegHuffmanTable table) throws PictureException {
    if (emptyBlocks > 0) {
      emptyBlocks--;
      return;
    }
    for (int k = first; k <= last; k++) {
      int symbol = table.decode(bits);
      int length = symbol & 15;
      int run = symbol >> 4;
      if (length == 0 && run < 15) {
        emptyBlocks = (1 << run) + (run == 0 ? 0 : bits.take(run)) - 1;
        return;
      }
      k += run;
      checkPlace(k);
      to[at + JpegFrame.ZIGZAG[k]] = (short) (bits.signed(length) << low);
    }
  }

  /** One bit more of AC coefficients (section G.1.2.3): those that are not zero get theirs in passing, new ones are 1 or -1. */
  private void refine(short[] to, int at, JpegHuffmanTable table) throws PictureException {
    int k = first;
    for (; emptyBlocks == 0 && k <= last; k++) {
      int symbol = table.decode(bits);
      int run = symbol >> 4;
      int fresh = 0;
      if ((symbol & 15) != 0) {
        fresh = bits.take(1) == 1 ? 1 << low : -1 << low;
      } else if (run < 15) {
        emptyBlocks = (1 << run) + (run == 0 ? 0 : bits.take(run));
        break;
      }
      k = refineUpTo(to, at, k, run);
      if (fresh != 0) {
        checkPlace(k);
        to[at + JpegFrame.ZIGZAG[k]] = (short) fresh;
      }
    }
    if (emptyBlocks > 0) {
      refineUpTo(to, at, k, 64);
      emptyBlocks--;
    }
  }

  /** Refines coefficients from k on until so many zeros are passed, and the next one is zero, too; gives its place. */
  private int refineUpTo(short[] to, int at, int from, int zeros) throws PictureException {
    int left = zeros;
    int k = from;
    for (; k <= last; k++) {
      int place = at + JpegFrame.ZIGZAG[k];
      if (to[place] == 0) {
        if (--left < 0) {
          break;
        }
      } else if (bits.take(1) == 1 && (to[place] & 1 << low) == 0) {
        to[place] += (short) (to[place] > 0 ? 1 << low : -1 << low);
      }
    }
    return k;
  }

  private void checkPlace(int k) throws PictureException {
    if (k > last) {
      throw PictureException.damaged("its data hold a run of zeros that leaves the block");
    }
  }
}
