package io.github.dimple4j;

import io.github.dimple4j.tokenizer.StreamingDecoder;
import io.github.dimple4j.tokenizer.Tokenizer;
import java.util.Arrays;
import java.util.List;

/**
 * A response block before decoding: its tokens, masked or fixed, and how it divides into slots and fixed text. Knows how to read a
 * canvas of its shape. The arrays are not copied.
 */
record Response(Vocabulary vocabulary, int[] tokens, List<Segment> segments) {
  /** Positions {@code start} to {@code end} exclusive, for the model to fill or fixed. */
  record Segment(int start, int end, boolean slot) {}

  /** A block that is one slot; single positions in it may be fixed. */
  static Response ofOneSlot(Vocabulary vocabulary, int[] tokens) {
    return new Response(vocabulary, tokens, List.of(new Segment(0, tokens.length, true)));
  }

  int length() {
    return tokens.length;
  }

  /** End of what a reader sees of a segment: a slot ends with its first end-of-text token. */
  private int visibleEnd(Segment segment, int[] canvas) {
    int end = segment.start;
    while (end < segment.end && !(segment.slot && vocabulary.endsText(canvas[end]))) {
      end++;
    }
    return end;
  }

  boolean isMasked(int token) {
    return token == vocabulary.mask();
  }

  /** What each position adds to the text: {@code mask} if it is masked, nothing behind an end. */
  List<String> pieces(int[] canvas, String mask) {
    Tokenizer tokenizer = vocabulary.tokenizer();
    StreamingDecoder decoder = tokenizer.streamingDecoder(false);
    String[] pieces = new String[canvas.length];
    Arrays.fill(pieces, "");
    int last = -1; // the position whose character may wait for more bytes
    for (Segment segment : segments) {
      int end = visibleEnd(segment, canvas);
      for (int i = segment.start; i < end; i++) {
        boolean text = !isMasked(canvas[i]) && canvas[i] < tokenizer.size();
        if (text) {
          pieces[i] = decoder.accept(canvas[i]);
          last = i;
        } else {
          if (last >= 0) {
            pieces[last] += decoder.finish();
          }
          // A model may have more ids than its tokenizer has tokens.
          pieces[i] = isMasked(canvas[i]) ? mask : "\uFFFD";
          last = -1;
        }
      }
    }
    if (last >= 0) {
      pieces[last] += decoder.finish();
    }
    return List.of(pieces);
  }

  List<String> slots(int[] canvas, String mask) {
    List<String> pieces = pieces(canvas, mask);
    return segments.stream().filter(Segment::slot).map(slot -> String.join("", pieces.subList(slot.start, slot.end))).toList();
  }

  Finish finish(int[] canvas) {
    if (Arrays.stream(canvas).anyMatch(this::isMasked)) {
      return Finish.MASKED;
    }
    Segment last = segments.getLast();
    return visibleEnd(last, canvas) < last.end ? Finish.END_OF_TEXT : Finish.LENGTH;
  }
}
