package io.github.dimple4j.image.jpeg;

import io.github.dimple4j.image.raster.PictureException;
import io.github.dimple4j.image.raster.Pixels;

/** Reads a file from marker to marker (ITU-T T.81, annex B). */
public final class JpegDecoder {
  private static final int SOF0 = 0xC0;
  private static final int SOF15 = 0xCF;
  private static final int DHT = 0xC4;
  private static final int JPG = 0xC8;
  private static final int DAC = 0xCC;
  private static final int SOI = 0xD8;
  private static final int EOI = 0xD9;
  private static final int SOS = 0xDA;
  private static final int DQT = 0xDB;
  private static final int DRI = 0xDD;
  private static final int APP0 = 0xE0;
  private static final int APP14 = 0xEE;

  private final JpegInput in;
  private final int[][] quantization = new int[4][];
  private final JpegHuffmanTable[] dcTables = new JpegHuffmanTable[4];
  private final JpegHuffmanTable[] acTables = new JpegHuffmanTable[4];
  private JpegFrame frame;
  private int restartInterval;
  private boolean jfif;
  private int adobeTransform = JpegColors.NO_ADOBE;

  private JpegDecoder(byte[] file) {
    in = new JpegInput(file);
  }

  /**
   * Decodes a file. What follows its end, such as further pictures, is not looked at.
   *
   * @param file its content
   * @return the picture as it is stored
   * @throws PictureException if the file is cut off, damaged, too large or of a kind that is not read
   */
  public static Pixels decode(byte[] file) throws PictureException {
    return new JpegDecoder(file).decode();
  }

  private Pixels decode() throws PictureException {
    in.skip(2);
    for (int marker = in.marker(); marker != EOI; marker = in.marker()) {
      JpegInput segment = in.segment();
      switch (marker) {
        case DQT -> quantizationTables(segment);
        case DHT -> huffmanTables(segment);
        case DRI -> restartInterval = segment.word();
        case APP0 -> jfif |= segment.remaining() >= 14 && segment.startsWith("JFIF\0");
        case APP14 -> adobe(segment);
        case SOS -> scan(segment);
        default -> {
          if (marker >= SOF0 && marker <= SOF15 && marker != JPG && marker != DAC) {
            frame(marker, segment);
          }
        }
      }
    }
    if (frame == null) {
      throw PictureException.damaged("it ends before its picture begins");
    }
    return new JpegColors(frame, jfif, adobeTransform).picture(frame.finished());
  }

  private void frame(int marker, JpegInput segment) throws PictureException {
    if (frame != null) {
      throw PictureException.damaged("it has two frames");
    }
    frame = JpegFrame.read(marker - SOF0, segment);
  }

  private void scan(JpegInput segment) throws PictureException {
    if (frame == null) {
      throw PictureException.damaged("its data begin before its frame");
    }
    JpegBits bits = new JpegBits(in);
    new JpegScan(frame, segment, bits, restartInterval, quantization, dcTables, acTables).decode();
    bits.finish();
  }

  private void adobe(JpegInput segment) throws PictureException {
    if (segment.remaining() >= 12 && segment.startsWith("Adobe")) {
      segment.skip(11);
      adobeTransform = segment.octet();
    }
  }

  private void quantizationTables(JpegInput segment) throws PictureException {
    while (segment.remaining() > 0) {
      int selector = segment.octet();
      int[] table = new int[64];
      for (int position : JpegFrame.ZIGZAG) {
        table[position] = selector >> 4 == 0 ? segment.octet() : segment.word();
      }
      quantization[slot(selector)] = table;
    }
  }

  private void huffmanTables(JpegInput segment) throws PictureException {
    while (segment.remaining() > 0) {
      int selector = segment.octet();
      JpegHuffmanTable[] tables = selector >> 4 == 0 ? dcTables : acTables;
      tables[slot(selector)] = JpegHuffmanTable.read(segment);
    }
  }

  /** The number of a table, of which a class has four; the class is in the upper half. */
  private static int slot(int selector) throws PictureException {
    if (selector >> 4 > 1 || (selector & 15) > 3) {
      throw PictureException.damaged("it defines a table " + selector);
    }
    return selector & 15;
  }
}
