package io.github.dimple4j.gguf.architecture;

import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.checkpoint.JsonSettings;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * How rotary embeddings are stretched to longer contexts: {@code rope_scaling} of a configuration, or {@code rope_parameters} of newer ones, as
 * the transformers library reads it (its modeling_rope_utils.py), in llama.cpp's keys.
 *
 * @param metadata keys behind {@code rope.scaling.}; none for plain rotary embeddings
 */
public record RotaryScaling(Map<String, MetadataValue> metadata) {
  /** No scaling. */
  public static final RotaryScaling NONE = new RotaryScaling(Map.of());

  private static final String PARAMETERS = "rope_parameters";
  private static final List<String> KINDS = List.of("rope_scaling", PARAMETERS);
  private static final String SECTIONS = "mrope_section";
  private static final String TURNING_PART = "partial_rotary_factor";
  private static final Set<String> PLAIN = Set.of("default", "mrope");
  private static final double BETA_FAST = 32;
  private static final double BETA_SLOW = 1;
  /** What the two kinds read, and what says nothing of scaling. */
  private static final Set<String> KEYS = Set.of("rope_type", "type", "factor", "original_max_position_embeddings", "attention_factor", "beta_fast",
      "beta_slow", "mscale", "mscale_all_dim", "truncate", "rope_theta", TURNING_PART, SECTIONS, "finetuned");

  /** The base of the frequencies, which newer configurations keep with the kind; {@code otherwise} as the family's own code has it. */
  static double base(JsonSettings config, double otherwise) {
    double base = holder(config, "rope_theta").positive("rope_theta", otherwise);
    if (config.has("rope_theta") && config.positive("rope_theta", base) != base) { // the library's versions take one or the other
      throw config.wrong("rope_theta", "that of " + PARAMETERS + ", " + base);
    }
    return base;
  }

  /** The same where the codes of a family do not agree on one: it has to be there. */
  static double base(JsonSettings config) {
    JsonSettings holder = holder(config, "rope_theta");
    if (!holder.has("rope_theta")) {
      throw holder.wrong("rope_theta", "a positive number");
    }
    return base(config, 1);
  }

  /** Which part of a head turns; 1, all of it, where the configuration does not say. */
  static double turningPart(JsonSettings config) {
    return holder(config, TURNING_PART).positive(TURNING_PART, 1);
  }

  /** The same where the codes of a family do not agree on one: it has to be there. */
  static double givenTurningPart(JsonSettings config) {
    JsonSettings holder = holder(config, TURNING_PART);
    if (!holder.has(TURNING_PART)) {
      throw holder.wrong(TURNING_PART, "a positive number");
    }
    return turningPart(config);
  }

  private static JsonSettings holder(JsonSettings config, String key) {
    return isObject(config, PARAMETERS) && config.section(PARAMETERS).has(key) ? config.section(PARAMETERS) : config;
  }

  /** Angles that follow time, row and column, which configurations keep beside the kind or without it; {@code otherwise} as the authors' code has it. */
  static List<Integer> sections(JsonSettings config, List<Integer> otherwise) {
    List<Integer> sections = config.integers(SECTIONS, List.of());
    for (String key : KINDS) {
      List<Integer> other = isObject(config, key) ? config.section(key).integers(SECTIONS, List.of()) : List.of();
      if (!other.isEmpty() && !sections.isEmpty() && !other.equals(sections)) {
        throw config.section(key).wrong(SECTIONS, "that beside it, " + sections);
      }
      sections = other.isEmpty() ? sections : other;
    }
    return sections.isEmpty() ? otherwise : sections;
  }

  /** Refuses heads that turn in part. */
  static void requireWholeHeads(JsonSettings config) {
    if (turningPart(config) != 1) {
      throw holder(config, TURNING_PART).wrong(TURNING_PART, "1");
    }
  }

  /**
   * Reads it.
   *
   * @param context the configuration's longest text, of which yarn takes a part as the original one
   * @throws io.github.dimple4j.gguf.GgufException for any kind but linear and yarn
   */
  static RotaryScaling read(JsonSettings config, int context) {
    RotaryScaling read = NONE;
    for (String key : KINDS) {
      if (isObject(config, key)) {
        requireSame(config, config.section(key), TURNING_PART, 1);
        requireSame(config, config.section(key), "rope_theta", 0);
        RotaryScaling found = of(config.section(key), context);
        if (!found.equals(NONE) && !read.equals(NONE) && !found.equals(read)) {
          throw config.wrong(key, "what " + KINDS.getFirst() + " says");
        }
        read = found.equals(NONE) ? read : found;
      }
    }
    return read;
  }

  /** Whether a kind is named; some say with false that there is none. */
  private static boolean isObject(JsonSettings config, String key) {
    return config.has(key) && !(config.node(key).isBoolean() && !config.node(key).booleanValue());
  }

  /** Refuses a setting that says something else than the place where it is taken from. */
  private static void requireSame(JsonSettings config, JsonSettings section, String setting, double otherwise) {
    double taken = holder(config, setting).positive(setting, otherwise);
    if (section.has(setting) && section.positive(setting, 1) != taken) {
      throw section.wrong(setting, taken == 0 ? "it beside this" : taken == 1 ? "1" : String.valueOf(taken));
    }
  }

  private static RotaryScaling of(JsonSettings settings, int context) {
    String spelling = settings.has("rope_type") ? "rope_type" : "type";
    String kind = settings.text(spelling, "default");
    boolean plain = PLAIN.contains(kind);
    String other = settings.text("type", kind);
    if (!other.equals(kind) && !(plain && PLAIN.contains(other))) { // the library's versions take one or the other
      throw settings.wrong("type", "that of rope_type, \"" + kind + "\"");
    }
    if (!plain && !kind.equals("linear") && !kind.equals("yarn")) {
      throw settings.wrong(spelling, "\"default\", \"mrope\", \"linear\" or \"yarn\"");
    }
    for (String name : settings.names()) {
      if (!KEYS.contains(name)) {
        throw settings.wrong(name, "no such setting with \"" + kind + "\"");
      }
    }
    settings.passOver(settings.names());
    if (plain) {
      return NONE;
    }
    if (!settings.has("factor")) {
      throw settings.wrong("factor", "a positive number");
    }
    double factor = settings.positive("factor", 1);
    Map<String, MetadataValue> keys = new LinkedHashMap<>();
    keys.put("type", MetadataValue.string(kind));
    keys.put("factor", MetadataValue.float32(factor));
    if (kind.equals("yarn")) {
      addYarn(settings, factor, context, keys);
    }
    return new RotaryScaling(keys);
  }

  private static void addYarn(JsonSettings settings, double factor, int context, Map<String, MetadataValue> keys) {
    keys.put("original_context_length", MetadataValue.uint32(settings.size("original_max_position_embeddings", context)));
    double fast = settings.positive("beta_fast", BETA_FAST);
    double slow = settings.positive("beta_slow", BETA_SLOW);
    double attention = attention(settings, factor) / magnitude(factor, 1); // a reader multiplies the latter in
    if (Math.abs(attention - 1) > 1e-6) {
      keys.put("attn_factor", MetadataValue.float32(attention));
    }
    if (fast != BETA_FAST) {
      keys.put("yarn_beta_fast", MetadataValue.float32(fast));
    }
    if (slow != BETA_SLOW) {
      keys.put("yarn_beta_slow", MetadataValue.float32(slow));
    }
    if (!settings.flag("truncate", true)) {
      keys.put("yarn_truncate", MetadataValue.bool(false));
    }
  }

  /** What queries and keys are multiplied by, in all. */
  private static double attention(JsonSettings settings, double factor) {
    boolean both = settings.has("mscale") && settings.has("mscale_all_dim");
    double magnitude = both ? magnitude(factor, settings.positive("mscale", 1)) / magnitude(factor, settings.positive("mscale_all_dim", 1))
        : magnitude(factor, 1);
    return settings.positive("attention_factor", magnitude);
  }

  private static double magnitude(double factor, double scale) {
    return factor <= 1 ? 1 : 0.1 * scale * Math.log(factor) + 1;
  }
}
