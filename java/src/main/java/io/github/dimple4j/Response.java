package io.github.dimple4j;

import io.github.dimple4j.tokenizer.StreamingDecoder;
import io.github.dimple4j.tokenizer.Tokenizer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * A response block before decoding: its tokens, masked or fixed, how it divides into slots and fixed text, and which texts end a slot. Knows
 * how to read a canvas of its shape. The arrays are not copied.
 *
 * <p>A slot ends before its first end-of-text token, or before the stop string in front of that which is complete first: so what ends it
 * does not depend on what comes behind, and is known as soon as all before it is revealed.
 */
record Response(Vocabulary vocabulary, int[] tokens, List<Segment> segments, List<String> stops) {
  /** Positions {@code start} to {@code end} exclusive, for the model to fill or fixed. */
  record Segment(int start, int end, boolean slot) {}

  /** Where a stop string ends a slot: so many characters of this position's piece are left, and {@code last} completes the stop string. */
  private record Cut(int position, int characters, int last) {}

  /** A block without stop strings. */
  Response(Vocabulary vocabulary, int[] tokens, List<Segment> segments) {
    this(vocabulary, tokens, segments, List.of());
  }

  /** A block that is one slot; single positions in it may be fixed. */
  static Response ofOneSlot(Vocabulary vocabulary, int[] tokens) {
    return new Response(vocabulary, tokens, List.of(new Segment(0, tokens.length, true)));
  }

  /** The same block, its slots ending at these texts too. */
  Response endingAt(List<String> texts) {
    return new Response(vocabulary, tokens, segments, texts);
  }

  /** The first positions of the block. */
  Response first(int positions) {
    List<Segment> begun = segments.stream().filter(segment -> segment.start < positions)
        .map(segment -> new Segment(segment.start, Math.min(segment.end, positions), segment.slot)).toList();
    return new Response(vocabulary, Arrays.copyOf(tokens, positions), begun, stops);
  }

  /**
   * The block when its positions have moved: where each was before, -1 for a mask that came in behind the one before it. A segment has its positions
   * wherever they are, maybe none any more.
   */
  Response moved(int[] origins) {
    int[] moved = new int[origins.length];
    int[] lengths = new int[segments.size()];
    int segment = 0;
    for (int i = 0; i < origins.length; i++) {
      moved[i] = origins[i] < 0 ? vocabulary.mask() : tokens[origins[i]];
      while (origins[i] >= segments.get(segment).end) {
        segment++;
      }
      lengths[segment]++;
    }
    List<Segment> placed = new ArrayList<>();
    int start = 0;
    for (int s = 0; s < lengths.length; s++) {
      placed.add(new Segment(start, start + lengths[s], segments.get(s).slot));
      start += lengths[s];
    }
    return new Response(vocabulary, moved, List.copyOf(placed), stops);
  }

  /** Whether a segment begins at this position or behind it. */
  boolean beginsBehind(int position) {
    return segments.getLast().start >= position;
  }

  /** A canvas whose positions from there on are masked. */
  int[] hide(int[] canvas, int from) {
    int[] hidden = canvas.clone();
    Arrays.fill(hidden, from, hidden.length, vocabulary.mask());
    return hidden;
  }

  int length() {
    return tokens.length;
  }

  boolean isMasked(int token) {
    return token == vocabulary.mask();
  }

  /** How many positions of a stretch are masked. A loop: every iteration asks, and there are too few of them for streams to become fast. */
  int masked(int[] canvas, int start, int end) {
    int mask = vocabulary.mask();
    int count = 0;
    for (int i = start; i < end; i++) {
      count += canvas[i] == mask ? 1 : 0;
    }
    return count;
  }

  /** Where a segment ends by its tokens: a slot before its first end-of-text token. */
  private int tokenEnd(Segment segment, int[] canvas) {
    int end = segment.start;
    while (end < segment.end && !(segment.slot && vocabulary.endsText(canvas[end]))) {
      end++;
    }
    return end;
  }

  /** A canvas as text: what each position adds, where each segment ends by its tokens, and where by a stop string (null: nowhere). */
  private record Reading(String[] pieces, int[] ends, Cut[] cuts) {}

  /** Which positions of a segment are apart from its text, marks included; masked ones never are. */
  private BitSet apart(Segment segment, int end, int[] canvas) {
    BitSet apart = new BitSet();
    if (segment.slot) {
      vocabulary.markup().spans(canvas, segment.start, end).forEach(span -> apart.set(span.start() - 1, Math.min(span.end() + 1, end)));
    }
    return apart;
  }

  /** What is apart from the text of a canvas: what the model thinks, or the calls of tools that it writes, of these such that nothing is masked in. */
  List<String> parts(int[] canvas, boolean thoughts) {
    List<String> parts = new ArrayList<>();
    for (Segment segment : segments) {
      int end = tokenEnd(segment, canvas);
      for (AnswerMarkup.Span span : segment.slot ? vocabulary.markup().spans(canvas, segment.start, end) : List.<AnswerMarkup.Span>of()) {
        if (span.thought() == thoughts && (thoughts || Arrays.stream(canvas, span.start(), span.end()).noneMatch(this::isMasked))) {
          int[] ids = Arrays.stream(canvas, span.start(), span.end())
              .filter(id -> !isMasked(id) && id < vocabulary.tokenizer().size()).toArray();
          parts.add(vocabulary.tokenizer().decode(ids, !thoughts));
        }
      }
    }
    return parts;
  }

  private Reading read(int[] canvas, String mask) {
    Tokenizer tokenizer = vocabulary.tokenizer();
    StreamingDecoder decoder = tokenizer.streamingDecoder(false);
    Reading reading = new Reading(new String[canvas.length], new int[segments.size()], new Cut[segments.size()]);
    String[] pieces = reading.pieces;
    Arrays.fill(pieces, "");
    int last = -1; // the position whose character may wait for more bytes
    for (int s = 0; s < segments.size(); s++) {
      Segment segment = segments.get(s);
      int end = tokenEnd(segment, canvas);
      BitSet apart = apart(segment, end, canvas);
      for (int i = segment.start; i < end; i++) {
        if (apart.get(i) && !isMasked(canvas[i])) {
          continue;
        }
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
      reading.ends[s] = end;
      reading.cuts[s] = segment.slot ? cut(segment.start, end, pieces, canvas) : null;
      if (reading.cuts[s] != null) {
        Cut cut = reading.cuts[s];
        pieces[cut.position] = pieces[cut.position].substring(0, cut.characters);
        Arrays.fill(pieces, cut.position + 1, end, "");
        decoder.finish(); // a character begun behind the cut
        last = -1;
      }
    }
    if (last >= 0) {
      pieces[last] += decoder.finish();
    }
    return reading;
  }

  /** The stop string in positions {@code start} to {@code end}, none of which is masked in between, that is complete first. */
  private Cut cut(int start, int end, String[] pieces, int[] canvas) {
    StringBuilder text = new StringBuilder();
    int[] begins = new int[pieces.length]; // of the pieces in the text
    int first = start; // position of the text
    for (int i = start; i < end && !stops.isEmpty(); i++) {
      if (isMasked(canvas[i])) {
        text.setLength(0);
        first = i + 1;
        continue;
      }
      begins[i] = text.length();
      text.append(pieces[i]);
      Optional<int[]> found = firstStop(text, begins[i]);
      if (found.isPresent()) {
        int at = found.get()[0];
        int position = IntStream.rangeClosed(first, i)
            .filter(p -> begins[p] <= at && at < begins[p] + pieces[p].length()).findFirst().orElse(i);
        return new Cut(position, at - begins[position], i);
      }
    }
    return null;
  }

  /** Start and end of the stop string that ends first behind {@code from}; of several that end there the longest. */
  private Optional<int[]> firstStop(StringBuilder text, int from) {
    List<int[]> found = new ArrayList<>();
    for (String stop : stops) {
      int at = text.indexOf(stop, Math.max(0, from - stop.length() + 1));
      if (at >= 0) {
        found.add(new int[] {at, at + stop.length()});
      }
    }
    return found.stream().min(Comparator.<int[]>comparingInt(place -> place[1]).thenComparingInt(place -> place[0]));
  }

  /** What each position adds to the text: {@code mask} if it is masked, nothing behind an end. */
  List<String> pieces(int[] canvas, String mask) {
    return List.of(read(canvas, mask).pieces);
  }

  List<String> slots(int[] canvas, String mask) {
    List<String> pieces = pieces(canvas, mask);
    return segments.stream().filter(Segment::slot).map(slot -> String.join("", pieces.subList(slot.start, slot.end))).toList();
  }

  /** The tokens of the text: those of each segment up to its end, without the token that ends it. */
  int[] textTokens(int[] canvas) {
    Reading reading = stops.isEmpty() ? null : read(canvas, "");
    IntStream.Builder ids = IntStream.builder();
    for (int s = 0; s < segments.size(); s++) {
      Cut cut = reading == null ? null : reading.cuts[s];
      int end = cut == null ? tokenEnd(segments.get(s), canvas) : cut.position + (cut.characters > 0 ? 1 : 0);
      Arrays.stream(canvas, segments.get(s).start, end).forEach(ids::add);
    }
    return ids.build().toArray();
  }

  /** Whether every position that the text depends on is revealed. Needs no tokenizer where there are no stop strings. */
  boolean isComplete(int[] canvas) {
    Reading reading = stops.isEmpty() ? null : read(canvas, "");
    for (int s = 0; s < segments.size(); s++) {
      Cut cut = reading == null ? null : reading.cuts[s];
      int end = cut == null ? tokenEnd(segments.get(s), canvas) : cut.last + 1;
      if (masked(canvas, segments.get(s).start, end) > 0) {
        return false;
      }
    }
    return true;
  }

  /** How many positions are in front of what no text shows: up to the first end-of-text token of a slot that is last. */
  int usedLength(int[] canvas) {
    Segment last = segments.getLast();
    return Math.min(tokenEnd(last, canvas) + 1, length());
  }

  /** Why the text ends where it does, if it is complete. */
  Finish finish(int[] canvas) {
    if (!isComplete(canvas)) {
      return Finish.MASKED;
    }
    int last = segments.size() - 1;
    if (!stops.isEmpty() && read(canvas, "").cuts[last] != null) {
      return Finish.STOP_STRING;
    }
    return tokenEnd(segments.get(last), canvas) < segments.get(last).end ? Finish.END_OF_TEXT : Finish.LENGTH;
  }

  /** The beginning of the text that no further token changes, as long as what is revealed stays. */
  String stableText(int[] canvas) {
    Reading reading = read(canvas, "");
    StreamingDecoder decoder = vocabulary.tokenizer().streamingDecoder(false);
    StringBuilder stable = new StringBuilder();
    for (int s = 0; s < segments.size(); s++) {
      Segment segment = segments.get(s);
      Cut cut = reading.cuts[s];
      int end = cut == null ? reading.ends[s] : cut.last + 1;
      StringBuilder text = new StringBuilder();
      BitSet apart = apart(segment, end, canvas);
      for (int i = segment.start; i < end; i++) {
        if (apart.get(i) && !isMasked(canvas[i])) {
          continue;
        }
        if (isMasked(canvas[i])) { // what may be the beginning of a stop string waits, as a character's first bytes do
          return stable.append(text, 0, text.length() - beginningOfStop(text)).toString();
        }
        text.append(canvas[i] < vocabulary.tokenizer().size() ? decoder.accept(canvas[i]) : decoder.finish() + "\uFFFD");
      }
      if (cut != null) {
        decoder.finish();
        text.setLength(0);
        Arrays.stream(reading.pieces, segment.start, end).forEach(text::append);
      }
      stable.append(text);
    }
    return stable.append(decoder.finish()).toString();
  }

  /** How many characters at the end of a text may begin a stop string. */
  private int beginningOfStop(StringBuilder text) {
    int longest = 0;
    for (String stop : stops) {
      for (int length = Math.min(stop.length() - 1, text.length()); length > longest; length--) {
        if (stop.startsWith(text.substring(text.length() - length))) {
          longest = length;
        }
      }
    }
    return longest;
  }
}
