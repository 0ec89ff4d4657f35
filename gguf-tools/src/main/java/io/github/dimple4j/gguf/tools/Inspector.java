package io.github.dimple4j.gguf.tools;

import io.github.dimple4j.core.Finding;
import io.github.dimple4j.file.Printable;
import io.github.dimple4j.gguf.GgufException;
import io.github.dimple4j.gguf.GgufFile;
import io.github.dimple4j.gguf.MetadataType;
import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.TensorInfo;
import io.github.dimple4j.gguf.core.ModelCheck;
import java.math.BigInteger;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** Shows what a GGUF file holds, for people and for programs. Immutable; any thread. */
public final class Inspector {
  private static final int SHOWN_TEXT = 100;

  private final GgufFile file;
  private final int shown;

  private Inspector(GgufFile file, int shown) {
    this.file = file;
    this.shown = shown;
  }

  /**
   * An inspector of a file.
   *
   * @param file stays open as long as the inspector is used
   * @param shownElements how many elements of a long array are shown, at least 0
   * @return the inspector
   */
  public static Inspector of(GgufFile file, int shownElements) {
    Objects.requireNonNull(file, "file");
    if (shownElements < 0) {
      throw new IllegalArgumentException("shownElements is " + shownElements + "; expected at least 0");
    }
    return new Inspector(file, shownElements);
  }

  /** Keys and tensors that loading refuses or leaves aside; none where the file is no model. */
  private List<String> unknown() {
    try {
      return ModelCheck.of(file.path(), true).stream().filter(finding -> finding.kind() != Finding.Kind.PROBLEM).map(Finding::name).toList();
    } catch (GgufException e) { // a part that is not the first, or damaged
      return List.of();
    }
  }

  /**
   * The file as text: a summary, the metadata, the tensors, and what of them is unknown, so that the model is run without at most.
   *
   * @return lines, each ended by a newline
   */
  public String text() {
    StringBuilder out = new StringBuilder();
    long parameters = file.tensors().stream().mapToLong(TensorInfo::elements).sum();
    out.append(format("%s: GGUF v%d, %,d bytes, %d keys, %d tensors, %,d parameters, %.2f bits per parameter%n", file.path(),
        file.version(), file.fileSize(), file.metadata().size(), file.tensors().size(), parameters,
        parameters == 0 ? 0 : 8.0 * file.tensors().stream().mapToLong(TensorInfo::size).sum() / parameters));
    out.append(format("%nTypes%n"));
    typeTotals().forEach((type, total) -> out.append(format("  %-8s %5d tensors %,16d bytes%n", type, total[0], total[1])));
    out.append(format("%nMetadata%n"));
    file.metadata().forEach((key, value) -> out.append(format("  %-46s %-16s %s%n", escaped(key), value.typeName(), shortened(value))));
    out.append(format("%nTensors (fastest dimension first)%n"));
    for (TensorInfo tensor : file.tensors()) {
      out.append(format("  %-34s %-7s %-24s at %,d%n", escaped(tensor.name()), tensor.typeName(), tensor.shape(),
          file.dataStart() + tensor.offset()));
    }
    List<String> unknown = unknown();
    if (!unknown.isEmpty()) {
      out.append(format("%nUnknown: loading refuses the file, or ignores this if asked to%n"));
      unknown.forEach(name -> out.append(format("  %s%n", escaped(name))));
    }
    return out.toString();
  }

  /**
   * The file as a JSON object with {@code path}, {@code version}, {@code size}, {@code alignment}, {@code metadata} (each key with
   * {@code type}, {@code value} and for an array {@code count}) and {@code tensors} ({@code name}, {@code type}, {@code shape}
   * fastest first, {@code offset} from the start of the file, {@code size}), and {@code unknown}, a list of {@code "key NAME"} and
   * {@code "tensor NAME"}.
   *
   * @return indented JSON without a newline at its end
   */
  public String json() {
    JsonMapper mapper = new JsonMapper();
    ObjectNode root = mapper.createObjectNode();
    root.put("path", file.path().toString()).put("version", file.version()).put("size", file.fileSize());
    root.put("alignment", file.alignment());
    ObjectNode metadata = root.putObject("metadata");
    file.metadata().forEach((key, value) -> describe(metadata.putObject(key), value));
    ArrayNode tensors = root.putArray("tensors");
    for (TensorInfo tensor : file.tensors()) {
      ObjectNode node = tensors.addObject().put("name", tensor.name()).put("type", tensor.typeName());
      tensor.dimensions().forEach(node.withArray("shape")::add);
      node.put("offset", file.dataStart() + tensor.offset()).put("size", tensor.size());
    }
    unknown().forEach(root.putArray("unknown")::add);
    return root.toPrettyString();
  }

  private void describe(ObjectNode node, MetadataValue value) {
    node.put("type", value.typeName());
    if (value.type() == MetadataType.ARRAY) {
      node.put("count", value.elements().size());
      ArrayNode elements = node.putArray("value");
      value.elements().stream().limit(shown).map(element -> unsigned(value.elementType(), element)).forEach(elements::addPOJO);
    } else {
      node.putPOJO("value", value.type() == MetadataType.UINT64 ? Long.toUnsignedString((Long) value.value()) : value.value());
    }
  }

  /** Count and bytes of the tensors of each type. */
  private Map<String, long[]> typeTotals() {
    Map<String, long[]> totals = new TreeMap<>();
    for (TensorInfo tensor : file.tensors()) {
      long[] total = totals.computeIfAbsent(tensor.typeName(), name -> new long[2]);
      total[0]++;
      total[1] += tensor.size();
    }
    return totals;
  }

  private String shortened(MetadataValue value) {
    if (value.type() != MetadataType.ARRAY) {
      return shortened(unsigned(value.type(), value.value()));
    }
    List<?> elements = value.elements();
    StringBuilder out = new StringBuilder("[");
    for (int i = 0; i < Math.min(shown, elements.size()); i++) {
      out.append(i == 0 ? "" : ", ").append(shortened(unsigned(value.elementType(), elements.get(i))));
    }
    int more = elements.size() - shown;
    return out.append(more > 0 ? (shown == 0 ? "" : ", ") + format("%,d more", more) : "").append("]").toString();
  }

  /** A number above 2^63 as itself, and not as the negative one of the same bits. */
  private static Object unsigned(MetadataType type, Object value) {
    return type == MetadataType.UINT64 && value instanceof Long bits && bits < 0 ? new BigInteger(Long.toUnsignedString(bits)) : value;
  }

  /** One line of a value that a terminal can take: a text quoted, its control characters escaped. */
  private static String shortened(Object value) {
    if (!(value instanceof String text)) {
      return String.valueOf(value);
    }
    String start = text.codePointCount(0, text.length()) > SHOWN_TEXT ? text.substring(0, text.offsetByCodePoints(0, SHOWN_TEXT)) + "..." : text;
    return '"' + escaped(start) + '"';
  }

  private static String escaped(String text) {
    StringBuilder out = new StringBuilder();
    text.codePoints().forEach(c -> {
      if (c == '\n') {
        out.append("\\n");
      } else if (Printable.isCommand(c)) {
        out.append(format("\\u%04x", c));
      } else {
        out.appendCodePoint(c);
      }
    });
    return out.toString();
  }

  private static String format(String format, Object... arguments) {
    return String.format(Locale.ROOT, format, arguments);
  }

  /**
   * What is shown, for logs; {@link #text} is the report.
   *
   * @return for example {@code "Inspector[GgufFile[model.gguf, 339 tensors]]"}
   */
  @Override
  public String toString() {
    return "Inspector[" + file + "]";
  }
}
