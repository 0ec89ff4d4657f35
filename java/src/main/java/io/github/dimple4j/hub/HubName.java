package io.github.dimple4j.hub;

import io.github.dimple4j.InvalidArgumentException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * The name of a model on a hub: {@code OWNER/REPOSITORY[@REVISION]}, and then {@code /FILE.gguf}, {@code :TYPE}, which is the end of a
 * file's name, or nothing where there is but one file.
 *
 * @param owner of the repository
 * @param repository its name
 * @param revision a branch, a tag or a commit
 * @param file with its folders; empty: to be looked for
 * @param type of its tensors, by which a file is looked for; empty: any
 */
public record HubName(String owner, String repository, String revision, Optional<String> file, Optional<String> type) {
  private static final Pattern NAME = Pattern.compile("([\\w.-]+)/([\\w.-]+)(?:@([\\w.-]+))?(?:/(.+\\.gguf)|:([\\w.-]+))?");
  private static final Pattern PART = Pattern.compile("(.+)-(\\d{5})-of-(\\d{5})\\.gguf");

  /**
   * Reads a name.
   *
   * @param text of the form above
   * @return its parts; empty if it is of another form
   */
  public static Optional<HubName> parse(String text) {
    Matcher m = NAME.matcher(text);
    if (!m.matches()) {
      return Optional.empty();
    }
    boolean climbs = Arrays.stream(text.split("[/@:]", -1)).anyMatch(part -> part.isEmpty() || part.matches("\\.+"));
    return climbs ? Optional.empty() : Optional.of(new HubName(m.group(1), m.group(2), Optional.ofNullable(m.group(3)).orElse("main"),
        Optional.ofNullable(m.group(4)), Optional.ofNullable(m.group(5))));
  }

  /** Where the hub lists the files: {@code /api/models/OWNER/REPOSITORY/tree/REVISION}. */
  URI listing(URI hub) {
    return under(hub, "/api/models/" + owner + "/" + repository + "/tree/" + revision + "?recursive=true");
  }

  /** Where the hub has a file: {@code /OWNER/REPOSITORY/resolve/REVISION/FILE}. */
  URI location(URI hub, String path) {
    String escaped = Arrays.stream(path.split("/")).map(HubName::escape).collect(Collectors.joining("/"));
    return under(hub, "/" + owner + "/" + repository + "/resolve/" + revision + "/" + escaped);
  }

  private static URI under(URI hub, String path) {
    return URI.create(hub.toString().replaceFirst("/+$", "") + path);
  }

  private static String escape(String segment) {
    StringBuilder escaped = new StringBuilder();
    for (byte b : segment.getBytes(StandardCharsets.UTF_8)) {
      boolean plain = b > 0 && (Character.isLetterOrDigit(b) || "-._~".indexOf(b) >= 0);
      escaped.append(plain ? String.valueOf((char) b) : String.format(Locale.ROOT, "%%%02X", b));
    }
    return escaped.toString();
  }

  /**
   * Which of a repository's files are meant: one, or all parts of one.
   *
   * @param all names of files
   * @throws InvalidArgumentException if there are none or several of that description; the message lists what there is
   */
  List<String> choose(List<String> all) {
    List<String> models = all.stream().filter(name -> name.endsWith(".gguf")).sorted().toList();
    List<String> wanted = models.stream().filter(this::fits).toList();
    long different = wanted.stream().map(HubName::whole).distinct().count();
    if (different == 1) {
      return wanted;
    }
    String there = models.isEmpty() ? "it has no GGUF file" : "it has " + String.join(", ", models);
    throw new InvalidArgumentException(this + " names " + (different == 0 ? "no file" : different + " files") + ", expected one: " + there);
  }

  private boolean fits(String name) {
    if (file.isPresent()) {
      return whole(name).equals(whole(file.get()));
    }
    String whole = whole(name).toLowerCase(Locale.ROOT);
    boolean tower = whole.substring(whole.lastIndexOf('/') + 1).startsWith("mmproj");
    return !tower && type.map(end -> whole.matches(".*[-._]" + Pattern.quote(end.toLowerCase(Locale.ROOT)) + "\\.gguf")).orElse(true);
  }

  /** The name that all parts of a file in parts share. */
  private static String whole(String name) {
    Matcher part = PART.matcher(name);
    return part.matches() ? part.group(1) + ".gguf" : name;
  }

  /** Whether a file is one of several. */
  static boolean isPart(String name) {
    return PART.matcher(name).matches();
  }

  /** All parts of a file in parts, in order; of another file, itself. */
  static List<String> parts(String name) {
    Matcher part = PART.matcher(name);
    if (!part.matches()) {
      return List.of(name);
    }
    int count = Integer.parseInt(part.group(3));
    if (count < 1) {
      throw new InvalidArgumentException(name + ": part of " + count + " parts, expected at least 1");
    }
    return IntStream.rangeClosed(1, count)
        .mapToObj(i -> String.format(Locale.ROOT, "%s-%05d-of-%05d.gguf", part.group(1), i, count)).toList();
  }

  @Override
  public String toString() {
    return owner + "/" + repository + (revision.equals("main") ? "" : "@" + revision) + file.map(name -> "/" + name).orElse("")
        + type.map(end -> ":" + end).orElse("");
  }
}
