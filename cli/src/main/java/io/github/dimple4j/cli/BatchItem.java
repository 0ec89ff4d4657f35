package io.github.dimple4j.cli;

import io.github.dimple4j.Template;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.IntNode;

/**
 * What a line of a batch asks.
 *
 * @param id a text or whole number, the line's number if it says none
 * @param prompt the question
 * @param seed of its draws; empty: the command's
 */
record BatchItem(JsonNode id, Prompt prompt, OptionalLong seed) {
  private static final Set<String> KEYS = Set.of("id", "prompt", "images", "system", "length", "template", "seed");
  private static final Pattern FIRST_PART = Pattern.compile("(?<name>.*)-00001-of-(?<count>\\d{5})\\.gguf", Pattern.DOTALL);
  private static final Pattern OF_TOKENIZER = Pattern.compile(".*\\.(json|txt|jinja)", Pattern.DOTALL);

  /**
   * Reads a line.
   *
   * @param source where it stands, which names of pictures are relative to
   * @param number from 1
   * @param length of the response, where the line says none
   */
  static BatchItem parse(TextSource source, int number, String text, PromptFormat format, int length) throws IOException {
    JsonLine line = JsonLine.parse("", text, KEYS);
    List<Path> pictures = line.has("images") ? line.images("images", source) : List.of();
    String system = line.system(format);
    Template template = line.template();
    OptionalInt own = line.length();
    Prompt prompt = new Prompt(line.text("prompt"), null, system, pictures, template, own, Map.of(), format).orLength(length);
    return new BatchItem(id(line, number), prompt, seed(line));
  }

  private static JsonNode id(JsonLine line, int number) throws IOException {
    JsonNode id = line.node().get("id");
    if (id == null) {
      return IntNode.valueOf(number);
    }
    if (!id.isString() && !id.isIntegralNumber()) {
      throw line.wrong("\"id\" is " + id + ", expected a text or a whole number");
    }
    return id;
  }

  private static OptionalLong seed(JsonLine line) throws IOException {
    JsonNode seed = line.node().get("seed");
    if (seed == null) {
      return OptionalLong.empty();
    }
    if (!seed.isIntegralNumber() || seed.bigIntegerValue().signum() < 0 || seed.bigIntegerValue().bitLength() > Long.SIZE) {
      throw line.wrong("\"seed\" is " + seed + ", expected a whole number from 0 to 2^64 - 1");
    }
    return OptionalLong.of(seed.bigIntegerValue().longValue());
  }

  /** All that its answer hangs on but for the command's settings: the line, its place if that is its id, and which files its pictures are. */
  String fingerprint(String line) throws IOException {
    StringBuilder all = new StringBuilder(line.strip()).append('\n').append(id);
    for (Path picture : prompt.pictures()) {
      all.append('\n').append(fingerprint(picture));
    }
    return all.toString();
  }

  /** A file's name, size and time, and those of the others of a model in several files, or of a folder's tokenizer; the name alone if it is not there. */
  static String fingerprint(Path file) throws IOException {
    if (Files.isDirectory(file)) {
      try (Stream<Path> files = Files.list(file)) {
        StringBuilder all = new StringBuilder(file.toString());
        for (Path one : files.filter(of -> OF_TOKENIZER.matcher(of.getFileName().toString()).matches()).sorted().toList()) {
          all.append(' ').append(ofOne(one));
        }
        return all.toString();
      }
    }
    StringBuilder all = new StringBuilder(ofOne(file));
    Matcher first = FIRST_PART.matcher(String.valueOf(file.getFileName()));
    for (int i = 2; first.matches() && i <= Integer.parseInt(first.group("count")); i++) {
      Path part = file.resolveSibling(String.format(Locale.ROOT, "%s-%05d-of-%s.gguf", first.group("name"), i, first.group("count")));
      if (!Files.exists(part)) {
        break; // loading says so
      }
      all.append(' ').append(ofOne(part));
    }
    return all.toString();
  }

  private static String ofOne(Path file) throws IOException {
    return Files.isRegularFile(file) ? file + " " + Files.size(file) + " " + Files.getLastModifiedTime(file) : file.toString();
  }
}
