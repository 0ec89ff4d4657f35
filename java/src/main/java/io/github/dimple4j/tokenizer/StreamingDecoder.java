package io.github.dimple4j.tokenizer;

import io.github.dimple4j.InvalidArgumentException;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;

/**
 * Decodes token ids one at a time. A token may end in the middle of a character: its bytes wait for the rest, so that the pieces handed
 * out are whole characters and, joined, equal {@link Tokenizer#decode(int[], boolean)} of all ids. For one thread.
 */
public final class StreamingDecoder {
  private final Tokenizer tokenizer;
  private final boolean showControl;
  private final CharsetDecoder utf8 = StandardCharsets.UTF_8.newDecoder()
      .onMalformedInput(CodingErrorAction.REPLACE)
      .onUnmappableCharacter(CodingErrorAction.REPLACE);
  private byte[] waiting = new byte[0];

  StreamingDecoder(Tokenizer tokenizer, boolean showControl) {
    this.tokenizer = tokenizer;
    this.showControl = showControl;
  }

  /**
   * Takes the next token.
   *
   * @param id a token id
   * @return the characters that are complete now, often all of the token, sometimes none
   * @throws InvalidArgumentException if the id is outside the vocabulary
   */
  public String accept(int id) {
    return tokenizer.isControl(id) && !showControl ? "" : decode(tokenizer.tokenBytes(id), false);
  }

  /**
   * Ends the stream; the decoder is then ready for another one.
   *
   * @return U+FFFD for a character that was never completed, otherwise ""
   */
  public String finish() {
    String rest = decode(new byte[0], true);
    utf8.reset();
    return rest;
  }

  private String decode(byte[] more, boolean end) {
    ByteBuffer in = ByteBuffer.allocate(waiting.length + more.length).put(waiting).put(more).flip();
    CharBuffer out = CharBuffer.allocate(in.remaining() + 1); // UTF-8 never has fewer bytes than UTF-16 has units
    utf8.decode(in, out, end);
    waiting = new byte[in.remaining()];
    in.get(waiting);
    return out.flip().toString();
  }

  /**
   * What is held back, for logs.
   *
   * @return for example {@code "StreamingDecoder[2 bytes waiting]"}
   */
  @Override
  public String toString() {
    return "StreamingDecoder[" + waiting.length + " bytes waiting]";
  }
}
