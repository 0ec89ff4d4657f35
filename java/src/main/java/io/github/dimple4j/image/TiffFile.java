package io.github.dimple4j.image;

import io.github.dimple4j.image.raster.PictureException;
import io.github.dimple4j.image.raster.Pixels;
import java.awt.image.BufferedImage;
import java.awt.image.Raster;
import java.awt.image.WritableRaster;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.stream.LongStream;

/**
 * The first picture of a TIFF file (revision 6.0). The platform's reader undoes compression, strips and tiles; here stands what it leaves
 * open: whether all data are there, which kinds are read, what ink and floating-point samples mean, and samples beside the colours; and what it
 * gets wrong: the codes of faxes, bits from the lowest on, differences of 16 bits, colours multiplied by alpha.
 */
final class TiffFile {
  private static final int WIDTH = 256;
  private static final int HEIGHT = 257;
  private static final int BITS = 258;
  private static final int COMPRESSION = 259;
  private static final int PHOTOMETRIC = 262;
  private static final int FILL_ORDER = 266;
  private static final int STRIP_OFFSETS = 273;
  private static final int SAMPLES = 277;
  private static final int ROWS_PER_STRIP = 278;
  private static final int STRIP_SIZES = 279;
  private static final int PLANES = 284;
  private static final int GROUP_3_OPTIONS = 292;
  private static final int GROUP_4_OPTIONS = 293;
  private static final int TILE_OFFSETS = 324;
  private static final int TILE_SIZES = 325;
  private static final int PREDICTOR = 317;
  private static final int COLOR_MAP = 320;
  private static final short UNUSED = (short) 65000; // among those that stay with whoever writes them
  private static final int TILE_WIDTH = 322;
  private static final int EXTRA_SAMPLES = 338;
  private static final int SAMPLE_FORMAT = 339;
  private static final int CHROMA_SAMPLING = 530;

  private static final int MOST_VALUES = 1 << 22; // of a tag
  private static final int BOTH_KINDS = 1; // of rows: of runs and of changes
  private static final int UNCOMPRESSED = 2;
  private static final int OLD_JPEG = 6;
  private static final int JPEG = 7;
  private static final int HORIZONTAL = 2; // differences of neighbours, the one predictor of TIFF 6.0
  private static final int GREY = 1;
  private static final int RGB = 2;
  private static final int PALETTE = 3;
  private static final int INKS = 5;
  private static final int YCBCR = 6;
  private static final int INTEGER = 1;
  private static final int FLOAT = 3;
  private static final int MULTIPLIED = 1; // kinds of samples beside the colours: alpha, by which these are multiplied
  private static final int ALPHA = 2;
  private static final int[] TYPE_SIZES = {0, 1, 1, 2, 4}; // bytes, characters, 16 and 32 bits

  /** What is read: none, CCITT's three, LZW, JPEG, deflate, PackBits, deflate as it was first numbered. */
  private static final Set<Long> COMPRESSIONS = Set.of(1L, 2L, 3L, 4L, 5L, (long) JPEG, 8L, 32773L, 32946L);

  /** Of these, those before which neighbours may have been subtracted: LZW and deflate. */
  private static final Set<Long> DIFFERING = Set.of(5L, 8L, 32946L);

  /** Bytes that a byte expands to at most, by compression: none, LZW, deflate (two numbers), PackBits. */
  private static final Map<Integer, Long> MOST_EXPANDED = Map.of(1, 1L, 5, 4096L, 8, 1032L, 32946, 1032L, 32773, 64L);

  private final byte[] encoded;
  private final ByteBuffer file;
  private final Map<Integer, Integer> entries = new HashMap<>(); // of tags: where their entry stands

  private TiffFile(byte[] encoded) throws PictureException {
    this.encoded = encoded;
    file = ByteBuffer.wrap(encoded).order(encoded[0] == 'I' ? ByteOrder.LITTLE_ENDIAN : ByteOrder.BIG_ENDIAN);
    long directory = file.getInt(4) & 0xFFFFFFFFL;
    int count = directory + 2 > encoded.length ? 0 : file.getShort((int) directory) & 0xFFFF;
    if (count == 0 || directory + 2 + 12L * count > encoded.length) {
      throw PictureException.damaged("it ends early");
    }
    for (int i = 0; i < count; i++) {
      int entry = (int) directory + 2 + 12 * i;
      entries.putIfAbsent(file.getShort(entry) & 0xFFFF, entry);
    }
  }

  static Pixels decode(byte[] encoded) throws IOException {
    TiffFile tiff = new TiffFile(encoded);
    tiff.check();
    if (tiff.isFax()) {
      return tiff.faxes();
    }
    BufferedImage image = PlatformReader.read("tiff", tiff.plain());
    if (tiff.isWideDifferences()) {
      tiff.addNeighbours(image.getRaster());
    }
    return switch (tiff.kind()) {
      case FLOAT -> floats(image.getRaster());
      case INKS -> inks(image);
      default -> tiff.hasMore() ? tiff.withMore(image.getRaster()) : PlatformPicture.pixels(image);
    };
  }

  /**
   * The file as the platform's reader has it right: bits from the highest on, differences of 16 bits left as they are, and no palette where
   * samples are no places in one, for that reader would look them up.
   */
  private byte[] plain() throws PictureException {
    boolean reversed = first(FILL_ORDER, 1) == 2 && first(COMPRESSION, 1) != JPEG;
    boolean idle = entries.containsKey(COLOR_MAP) && first(PHOTOMETRIC, 0) != PALETTE;
    if (!reversed && !idle && !isWideDifferences()) {
      return encoded;
    }
    byte[] plain = encoded.clone();
    ByteBuffer copy = ByteBuffer.wrap(plain).order(file.order());
    if (idle) {
      copy.putShort(entries.get(COLOR_MAP), UNUSED);
    }
    if (isWideDifferences()) {
      put(copy, PREDICTOR, 1);
    }
    if (reversed) {
      put(copy, FILL_ORDER, 1);
      boolean tiled = entries.containsKey(TILE_OFFSETS);
      long[] offsets = values(tiled ? TILE_OFFSETS : STRIP_OFFSETS);
      long[] sizes = values(tiled ? TILE_SIZES : STRIP_SIZES);
      if (sizes.length < offsets.length || LongStream.of(sizes).anyMatch(size -> size == 0)) { // the platform's reader might guess them
        throw PictureException.damaged("it does not say how long its strips are");
      }
      for (int i = 0; i < offsets.length; i++) {
        for (int at = (int) offsets[i]; at < offsets[i] + sizes[i]; at++) {
          plain[at] = (byte) (Integer.reverse(encoded[at]) >>> 24);
        }
      }
    }
    return plain;
  }

  /** Another value of a tag that has one, of 16 or 32 bits. */
  private void put(ByteBuffer copy, int tag, int value) {
    int entry = entries.get(tag);
    if (file.getShort(entry + 2) == 4) {
      copy.putInt(entry + 8, value);
    } else {
      copy.putShort(entry + 8, (short) value);
    }
  }

  private boolean isWideDifferences() throws PictureException {
    return first(PREDICTOR, 1) == HORIZONTAL && first(BITS, 1) == 16 && DIFFERING.contains(first(COMPRESSION, 1));
  }

  /** Undoes differences: in a row of a strip or tile each sample was written less its left neighbour, of 16 bits. */
  private void addNeighbours(WritableRaster raster) throws PictureException {
    int width = raster.getWidth();
    int tile = (int) Math.min(entries.containsKey(TILE_OFFSETS) ? Math.max(1, first(TILE_WIDTH, width)) : width, width);
    int[] row = new int[width];
    for (int y = 0; y < raster.getHeight(); y++) {
      for (int band = 0; band < raster.getNumBands(); band++) {
        raster.getSamples(0, y, width, 1, band, row);
        for (int x = 1; x < width; x++) {
          row[x] = x % tile == 0 ? row[x] : row[x] + row[x - 1] & 0xFFFF;
        }
        raster.setSamples(0, y, width, 1, band, row);
      }
    }
  }

  /** Whether there is a palette, whose levels are of 16 bits, or samples beside those of the colours. */
  private boolean hasMore() throws PictureException {
    long photometric = first(PHOTOMETRIC, 0);
    boolean more = (photometric <= GREY || photometric == RGB) && first(SAMPLES, 1) > colours();
    return first(COMPRESSION, 1) != JPEG && (more || photometric == PALETTE);
  }

  private int colours() throws PictureException {
    return first(PHOTOMETRIC, 0) == RGB ? 3 : 1;
  }

  /**
   * Colours and what stands beside them: the first sample that is alpha, if one is; others mean nothing. Where nothing is said of a single one it
   * is alpha, by which nothing is multiplied.
   */
  private Pixels withMore(Raster raster) throws PictureException {
    int bits = (int) first(BITS, 1);
    int bands = (int) first(SAMPLES, 1);
    long photometric = first(PHOTOMETRIC, 0);
    long[] palette = photometric == PALETTE ? values(COLOR_MAP) : new long[0];
    boolean sound = photometric == PALETTE ? palette.length == 3 << bits && (bits == 8 || bits < 8 && bands == 1) : bits >= 8 && photometric != 0;
    if (!sound || raster.getNumBands() != bands) {
      throw PictureException.unsupported("a TIFF of " + bands + " samples of " + bits + " bits per pixel, of the photometric kind " + photometric);
    }
    long[] kinds = values(EXTRA_SAMPLES);
    int at = kinds.length == 0 && bands == colours() + 1 ? colours() : -1;
    boolean multiplied = false;
    for (int i = 0; i < kinds.length && at < 0; i++) {
      if ((kinds[i] == MULTIPLIED || kinds[i] == ALPHA) && colours() + i < bands) {
        at = colours() + i;
        multiplied = kinds[i] == MULTIPLIED;
      }
    }
    boolean grey = colours() == 1;
    int width = raster.getWidth();
    int height = raster.getHeight();
    byte[] rgb = new byte[3 * width * height];
    byte[] alpha = at < 0 ? null : new byte[width * height];
    int[] row = new int[bands * width];
    for (int y = 0, pixel = 0; y < height; y++) {
      raster.getPixels(0, y, width, 1, row);
      for (int x = 0; x < width; x++, pixel++) {
        int opacity = at < 0 ? 255 : row[bands * x + at] >> bits - 8; // alpha has 8 or 16 bits
        for (int channel = 0; channel < 3; channel++) {
          int sample = row[bands * x + (grey ? 0 : channel)];
          int level = palette.length > 0 ? (int) palette[(channel << bits) + sample] >> 8 : sample >> bits - 8;
          rgb[3 * pixel + channel] = (byte) (!multiplied ? level : opacity == 0 ? 0 : Math.min(255, 255 * level / opacity));
        }
        if (alpha != null) {
          alpha[pixel] = (byte) opacity;
        }
      }
    }
    return new Pixels(rgb, alpha, width, height);
  }

  private boolean isFax() throws PictureException {
    long compression = first(COMPRESSION, 1);
    return compression >= FaxDecoder.RUNS && compression <= FaxDecoder.GROUP_4;
  }

  /** Black and white, in strips. */
  private Pixels faxes() throws PictureException {
    int compression = (int) first(COMPRESSION, 1);
    long photometric = first(PHOTOMETRIC, 0);
    if (photometric > 1 || first(BITS, 1) != 1 || first(SAMPLES, 1) != 1 || entries.containsKey(TILE_OFFSETS)) {
      throw PictureException.unsupported("a TIFF of fax codes (compression " + compression + ") that is not black and white in strips");
    }
    long options = compression == FaxDecoder.RUNS ? 0 : first(compression == FaxDecoder.GROUP_4 ? GROUP_4_OPTIONS : GROUP_3_OPTIONS, 0);
    if ((options & UNCOMPRESSED) != 0) {
      throw PictureException.unsupported("a TIFF of fax codes with uncompressed parts");
    }
    int width = (int) first(WIDTH, 0);
    int height = (int) first(HEIGHT, 0);
    long rows = Math.min(first(ROWS_PER_STRIP, height), height);
    long[] offsets = values(STRIP_OFFSETS);
    long[] sizes = values(STRIP_SIZES);
    if (rows < 1 || sizes.length < offsets.length || offsets.length != (height + rows - 1) / rows) {
      throw PictureException.damaged("its strips are not those of its rows");
    }
    byte[][] black = new byte[height][width];
    for (int i = 0; i < offsets.length; i++) {
      int first = (int) (i * rows);
      FaxDecoder.decode(encoded, offsets[i], sizes[i], first(FILL_ORDER, 1) == 2, compression, (options & BOTH_KINDS) != 0, width,
          Arrays.copyOfRange(black, first, (int) Math.min(first + rows, height)));
    }
    byte[] rgb = new byte[3 * width * height];
    for (int y = 0; y < height; y++) {
      for (int x = 0; x < width; x++) {
        int at = 3 * (y * width + x);
        Arrays.fill(rgb, at, at + 3, (byte) (black[y][x] == photometric ? 255 : 0));
      }
    }
    return new Pixels(rgb, width, height);
  }

  private int kind() throws PictureException {
    return first(SAMPLE_FORMAT, INTEGER) == FLOAT ? FLOAT : first(PHOTOMETRIC, 0) == INKS ? INKS : INTEGER;
  }

  private void check() throws PictureException {
    Pixels.checkSize(first(WIDTH, 0), first(HEIGHT, 0));
    checkKind();
    boolean tiled = entries.containsKey(TILE_OFFSETS);
    long[] offsets = values(tiled ? TILE_OFFSETS : STRIP_OFFSETS);
    long[] sizes = values(tiled ? TILE_SIZES : STRIP_SIZES);
    for (int i = 0; i < offsets.length; i++) {
      if (i < sizes.length && offsets[i] + sizes[i] > encoded.length) {
        throw PictureException.damaged("it ends early");
      }
    }
    if (offsets.length == 0) {
      throw PictureException.damaged("it does not say where its pixels are");
    }
    checkData(LongStream.of(sizes).sum());
  }

  /** Before memory is taken for the pixels: whether their data can expand to as many. */
  private void checkData(long data) throws PictureException {
    long width = first(WIDTH, 0);
    long height = first(HEIGHT, 0);
    Long most = MOST_EXPANDED.get((int) first(COMPRESSION, 1));
    boolean known = most != null && data > 0 && first(PHOTOMETRIC, 0) != YCBCR;
    if (known && height * (width * first(SAMPLES, 1) * first(BITS, 1) / 8) > data * most) {
      throw PictureException.tooShort(data, width, height);
    }
  }

  private void checkKind() throws PictureException {
    long photometric = first(PHOTOMETRIC, -1);
    if (photometric < 0 || photometric > YCBCR || photometric == 4) {
      throw PictureException.unsupported("a TIFF of the photometric kind " + photometric);
    }
    if (photometric == PALETTE && values(COLOR_MAP).length < 3L << Math.min(first(BITS, 1), 16)) {
      throw PictureException.damaged("its palette has " + values(COLOR_MAP).length / 3 + " colours for samples of " + first(BITS, 1) + " bits");
    }
    if (first(COMPRESSION, 1) == OLD_JPEG) {
      throw PictureException.unsupported("a TIFF of compression 6 (JPEG as before 1995)");
    }
    if (!COMPRESSIONS.contains(first(COMPRESSION, 1))) {
      throw PictureException.unsupported("a TIFF of compression " + first(COMPRESSION, 1));
    }
    if (first(COMPRESSION, 1) == JPEG) {
      checkJpeg();
    }
    if (first(PREDICTOR, 1) > HORIZONTAL) {
      throw PictureException.unsupported("a TIFF of predictor " + first(PREDICTOR, 1));
    }
    if (photometric == YCBCR && first(PLANES, 1) == 2) {
      throw PictureException.unsupported("a TIFF of YCbCr in planes");
    }
    long format = first(SAMPLE_FORMAT, INTEGER);
    long bits = first(BITS, 1);
    long samples = first(SAMPLES, 1);
    boolean differences = first(PREDICTOR, 1) == HORIZONTAL && DIFFERING.contains(first(COMPRESSION, 1));
    if (differences && (bits != 8 && (bits != 16 || photometric == 0) || format == FLOAT)) {
      throw PictureException.unsupported("a TIFF of predictor 2 with samples of " + bits + " bits, of the photometric kind " + photometric);
    }
    boolean sound = format == FLOAT ? samples == 1 && photometric <= 1 && (bits == 32 || bits == 64)
        : format == INTEGER && (bits == 1 || bits == 2 || bits == 4 || bits == 8 || bits == 16);
    if (!sound) {
      String[] names = {"undefined", "unsigned", "signed", "floating-point"};
      throw PictureException.unsupported("a TIFF of " + samples + " samples of " + bits + " bits ("
          + names[format >= 1 && format <= FLOAT ? (int) format : 0] + ") per pixel");
    }
  }

  /** The platform's reader gives black where four samples are compressed together, and is 62 levels off where only rows are halved. */
  private void checkJpeg() throws PictureException {
    long samples = first(SAMPLES, 1);
    if (samples != 1 && samples != 3) {
      throw PictureException.unsupported("a TIFF of " + samples + " samples per pixel compressed as JPEG");
    }
    long[] sampling = values(CHROMA_SAMPLING);
    if (sampling.length == 2 && sampling[0] == 1 && sampling[1] == 2) {
      throw PictureException.unsupported("a TIFF compressed as JPEG with colours in half of the rows");
    }
  }

  private long first(int tag, long missing) throws PictureException {
    long[] values = values(tag);
    return values.length == 0 ? missing : values[0];
  }

  /** The numbers of a tag; none if it is missing. */
  private long[] values(int tag) throws PictureException {
    Integer entry = entries.get(tag);
    if (entry == null) {
      return new long[0];
    }
    int type = file.getShort(entry + 2) & 0xFFFF;
    long count = file.getInt(entry + 4) & 0xFFFFFFFFL;
    int size = type < TYPE_SIZES.length ? TYPE_SIZES[type] : 0;
    if (size == 0 || count > MOST_VALUES) {
      throw PictureException.damaged("tag " + tag + " has " + count + " values of type " + type);
    }
    long at = count * size <= 4 ? entry + 8 : file.getInt(entry + 8) & 0xFFFFFFFFL;
    if (at + count * size > encoded.length) {
      throw PictureException.damaged("it ends early");
    }
    long[] values = new long[(int) count];
    for (int i = 0; i < values.length; i++) {
      int place = (int) at + i * size;
      values[i] = size == 1 ? file.get(place) & 0xFF : size == 2 ? file.getShort(place) & 0xFFFF : file.getInt(place) & 0xFFFFFFFFL;
    }
    return values;
  }

  /** Floating-point samples are taken as grey from 0 to 255; what is outside is cut off, and so are fractions. */
  private static Pixels floats(Raster raster) {
    int width = raster.getWidth();
    int height = raster.getHeight();
    byte[] rgb = new byte[3 * width * height];
    double[] row = new double[width];
    for (int y = 0, to = 0; y < height; y++) {
      raster.getSamples(0, y, width, 1, 0, row);
      for (double sample : row) {
        byte grey = (byte) (int) Math.clamp(sample, 0.0, 255.0);
        rgb[to++] = grey;
        rgb[to++] = grey;
        rgb[to++] = grey;
      }
    }
    return new Pixels(rgb, width, height);
  }

  /** Cyan, magenta, yellow and black: what the colours leave of what black leaves. No profile is applied. */
  private static Pixels inks(BufferedImage image) throws PictureException {
    Raster raster = image.getRaster();
    if (raster.getNumBands() != 4) {
      throw PictureException.unsupported("a TIFF of " + raster.getNumBands() + " inks");
    }
    int width = raster.getWidth();
    int height = raster.getHeight();
    int shift = raster.getSampleModel().getSampleSize(0) - 8;
    byte[] rgb = new byte[3 * width * height];
    int[] row = new int[4 * width];
    for (int y = 0, to = 0; y < height; y++) {
      raster.getPixels(0, y, width, 1, row);
      for (int x = 0; x < width; x++) {
        int light = 255 - (row[4 * x + 3] >> shift);
        for (int ink = 0; ink < 3; ink++) {
          rgb[to++] = (byte) (light - Math.round((row[4 * x + ink] >> shift) * light / 255f));
        }
      }
    }
    return new Pixels(rgb, width, height);
  }
}
