package io.github.dimple4j.json;

import java.io.ByteArrayInputStream;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamReadConstraints;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.core.json.JsonFactory;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Reads JSON as RFC 8259 has it, and nothing else: one value, nothing behind it, no key twice in an object, since one of the two values would be
 * dropped. What is wrong is said by {@link JsonFaults}, in words of its own.
 *
 * <p>Immutable; any thread.
 */
public final class StrictJson {
  /** Objects and lists within each other. */
  public static final int DEEPEST = 200;

  /** Numbers that are no integers are decimal ones, to their last digit. */
  public static final StrictJson DECIMALS = new StrictJson(1000, true);

  /** They are doubles. */
  public static final StrictJson DOUBLES = new StrictJson(1000, false);

  private static final String MARK = "\ufeff";
  private static final byte[] MARK_BYTES = MARK.getBytes(StandardCharsets.UTF_8);

  private final int longestNumber;
  private final JsonMapper mapper;

  private StrictJson(int longestNumber, boolean decimals) {
    this.longestNumber = longestNumber;
    StreamReadConstraints limits = StreamReadConstraints.builder().maxNestingDepth(DEEPEST).maxNumberLength(longestNumber)
        .maxStringLength(Integer.MAX_VALUE).maxNameLength(Integer.MAX_VALUE).build(); // a text that is too long has been read already
    mapper = JsonMapper.builder(JsonFactory.builder().streamReadConstraints(limits).enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION).build())
        .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
        .configure(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS, decimals).build();
  }

  /**
   * A reader as {@link #DECIMALS}.
   *
   * @param longestNumber characters of a number at most
   * @return the reader
   */
  public static StrictJson decimals(int longestNumber) {
    return new StrictJson(longestNumber, true);
  }

  /**
   * Reads a value.
   *
   * @param text the text; a mark of the byte order may stand before it
   * @return the value; a missing one where the text is blank
   * @throws MalformedJsonException says what is wrong, and where
   */
  public JsonNode read(String text) throws MalformedJsonException {
    String json = text.startsWith(MARK) ? text.substring(1) : text;
    try {
      return mapper.readTree(json);
    } catch (JacksonException | NumberFormatException wrong) { // the latter of an exponent beyond all bounds
      throw new MalformedJsonException(JsonFaults.find(json, longestNumber));
    }
  }

  /**
   * Reads a value from UTF-8, which is decoded as it is read.
   *
   * @param text the text; a mark of the byte order may stand before it
   * @return the value; a missing one where the text is blank
   * @throws MalformedJsonException says what is wrong, and where
   */
  public JsonNode read(byte[] text) throws MalformedJsonException {
    int from = Arrays.mismatch(MARK_BYTES, text) == MARK_BYTES.length ? MARK_BYTES.length : 0;
    try {
      return mapper.readTree(new InputStreamReader(new ByteArrayInputStream(text, from, text.length - from), StandardCharsets.UTF_8.newDecoder()));
    } catch (JacksonException | NumberFormatException wrong) {
      ByteBuffer bytes = ByteBuffer.wrap(text, from, text.length - from);
      CharBuffer decoded = CharBuffer.allocate(text.length);
      if (!StandardCharsets.UTF_8.newDecoder().decode(bytes, decoded, true).isUnderflow()) {
        throw new MalformedJsonException("byte " + bytes.position() + " is no UTF-8");
      }
      throw new MalformedJsonException(JsonFaults.find(decoded.flip().toString(), longestNumber));
    }
  }
}
