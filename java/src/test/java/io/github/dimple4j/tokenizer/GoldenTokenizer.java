package io.github.dimple4j.tokenizer;

import io.github.dimple4j.EscapedText;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;
import java.util.function.ToIntFunction;

/** The small vocabulary that make_goldens.py trains, and the cases it encodes with it. */
public final class GoldenTokenizer {
  record Case(int[] ids, String text) {}

  private GoldenTokenizer() {}

  /** The folder of another run of make_goldens.py instead of the resources, for a larger comparison. */
  private static final String FOLDER = System.getProperty("dimple.tokenizer.goldens");

  static Tokenizer load(String rule) {
    return load(rule, AddedTokenFlags.NONE);
  }

  /** The flags of make_goldens.py. */
  static Tokenizer flagged(String rule) {
    List<String> spellings = lines("vocabulary.txt").stream().map(l -> l.substring(2)).toList();
    Function<List<String>, int[]> ids = names -> names.stream().mapToInt(spellings::indexOf).toArray();
    return load(rule, new AddedTokenFlags(ids.apply(List.of("<|mask|>", "<tool_call>", "<|im|>")),
        ids.apply(List.of("<|mask|>", "</tool_call>", "<|im_end|>")), ids.apply(List.of("<|im|>", "naïve token", "<tool_call>")),
        ids.apply(List.of("naïve token", "<|im_start|>", "<tool_call>"))));
  }

  private static Tokenizer load(String rule, AddedTokenFlags flags) {
    return Tokenizer.of(data(rule, flags));
  }

  /**
   * The vocabulary as a file has it: merged tokens, control tokens behind them, then user-defined ones.
   *
   * @param rule of words
   * @return what a tokenizer is made of
   */
  public static TokenizerData data(String rule) {
    return data(rule, AddedTokenFlags.NONE);
  }

  /**
   * The vocabulary without the types of its tokens, as a file may leave them out.
   *
   * @param rule of words
   * @return what a tokenizer is made of
   */
  public static TokenizerData untyped(String rule) {
    TokenizerData data = data(rule);
    return new TokenizerData(data.model(), rule, data.tokens(), null, data.merges(), false, data.bosId(),
        data.eosId(), data.padId(), data.maskId());
  }

  private static TokenizerData data(String rule, AddedTokenFlags flags) {
    List<String> lines = lines("vocabulary.txt");
    int[] types = lines.stream().mapToInt(l -> l.charAt(0) - '0').toArray();
    Utf8Strings tokens = Utf8Strings.of(lines.stream().map(l -> l.substring(2)).toList());
    int first = (int) Arrays.stream(types).filter(t -> t == 1).count(); // control tokens follow the ordinary ones
    return new TokenizerData("gpt2", rule, tokens, types, Utf8Strings.of(lines("merges.txt")), false, first + 1, first + 2, first,
        first + 6, new int[0], flags, null);
  }

  /**
   * The vocabulary in SentencePiece's spelling: bytes, merged pieces, and added tokens, as a file has it.
   *
   * @param name {@code "gemma4"}, {@code "gemma4-newlines"}, where runs of newlines are user-defined, {@code "llama"} or {@code "llama-prefix"}
   * @param prefix whether text begins with a blank
   * @return what a tokenizer is made of
   */
  public static TokenizerData sentencePiece(String name, boolean prefix) {
    List<String[]> rows = lines("vocabulary-" + name + ".txt").stream().map(l -> l.split(" ", 3)).toList();
    List<String> spellings = rows.stream().map(row -> EscapedText.read(row[2])).toList();
    float[] scores = new float[rows.size()];
    for (int id = 0; id < scores.length; id++) {
      scores[id] = Float.parseFloat(rows.get(id)[1]);
    }
    boolean merged = name.startsWith("gemma4");
    List<String> merges = merged ? lines("merges-gemma4.txt").stream().map(EscapedText::read).toList() : List.of();
    ToIntFunction<String> id = spellings::indexOf;
    return new TokenizerData(merged ? "gemma4" : "llama", null, Utf8Strings.of(spellings), rows.stream().mapToInt(row -> row[0].charAt(0) - '0').toArray(),
        Utf8Strings.of(merges), false, id.applyAsInt("<bos>"), id.applyAsInt("<eos>"), id.applyAsInt("<pad>"), id.applyAsInt("<mask>"),
        new int[0], AddedTokenFlags.NONE, null, new SentencePieceData(scores, prefix, id.applyAsInt("<unk>")));
  }

  static List<Case> cases(String rule) {
    List<Case> cases = new ArrayList<>();
    for (String line : lines(rule + ".txt")) {
      int tab = line.indexOf('\t');
      String ids = line.substring(0, tab);
      cases.add(new Case(ids.isEmpty() ? new int[0] : Arrays.stream(ids.split(" ")).mapToInt(Integer::parseInt).toArray(),
          EscapedText.read(line.substring(tab + 1))));
    }
    return cases;
  }

  private static List<String> lines(String name) {
    try (InputStream in = FOLDER == null ? GoldenTokenizer.class.getResourceAsStream(name)
        : Files.newInputStream(Path.of(FOLDER, name))) {
      return Arrays.asList(new String(in.readAllBytes(), StandardCharsets.UTF_8).split("\n"));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
