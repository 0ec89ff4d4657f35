package io.github.dimple4j.gguf.checkpoint;

import io.github.dimple4j.gguf.GgufException;
import java.util.List;
import java.util.Set;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import tools.jackson.databind.JsonNode;

/**
 * What the configuration of an adapter says that it changes, by the rules by which PEFT finds modules (0.21.0: check_target_module_exists of tuners_utils.py,
 * _set_trainable of other.py, _get_learnable_bias_state_dict). A module is named as in the checkpoint, without {@code .weight}.
 */
final class LoraTargets {
  private final JsonSettings config;
  private final boolean open; // it does not say which modules
  private final Predicate<String> targets;
  private final Predicate<String> excluded;
  private final List<Predicate<String>> layers;
  private final List<String> saved;
  private final String bias;

  LoraTargets(JsonSettings config) {
    this.config = config;
    JsonNode target = config.node("target_modules");
    open = target.isMissingNode() || target.isNull() || target.asString("").equalsIgnoreCase("all-linear");
    targets = open ? module -> false : named("target_modules");
    excluded = named("exclude_modules");
    layers = target.isArray() && !numbers().isEmpty() ? inLayers() : List.of(module -> true); // PEFT asks for layers beside a list alone
    saved = names("modules_to_save");
    bias = config.text("bias", "none");
    if (!Set.of("none", "all", "lora_only").contains(bias)) {
      throw config.wrong("bias", "none, all or lora_only");
    }
  }

  /** The modules that are there as a whole. */
  List<String> saved() {
    return saved;
  }

  /** Whether a module may have an A and a B. */
  boolean mayChange(String module) {
    return open || readings().anyMatch(reading -> reading.test(module));
  }

  /**
   * Refuses an adapter that has nothing for what it says that it changes.
   *
   * @param matrices of the checkpoint, modules by name
   * @param tensors of the checkpoint
   * @param changed the tensors that the adapter changes or replaces
   * @param file of the adapter, for messages
   */
  void requireAll(Set<String> matrices, Set<String> tensors, Set<String> changed, Object file) {
    List<List<String>> missing = readings().map(reading -> matrices.stream().filter(reading.and(module -> !changed.contains(module + ".weight"))).toList()).toList();
    if (missing.stream().noneMatch(List::isEmpty)) { // an adapter is whole where one version of PEFT finds it so
      throw missing(file, missing.getFirst().getFirst() + ".weight", "target_modules");
    }
    for (String tensor : tensors) {
      if (!changed.contains(tensor)) {
        if (isSaved(tensor)) {
          throw missing(file, tensor, "modules_to_save");
        }
        String module = tensor.replaceFirst("\\.bias$", "");
        if (!module.equals(tensor) && (bias.equals("all") || bias.equals("lora_only") && changed.contains(module + ".weight"))) {
          throw missing(file, tensor, "bias"); // PEFT before 0.21 does not save those of "lora_only"
        }
      }
    }
  }

  private GgufException missing(Object file, String tensor, String key) {
    return new GgufException(file + ": nothing of " + tensor + ", though \"" + key + "\" of " + config + " is " + config.node(key)
        + (key.equals("bias") ? "; where the checkpoint's biases are to stay it has to be \"none\"" : ""));
  }

  /** Whether a tensor belongs to a module, or to a part of one, whose name ends like one that is saved, wherever in a word that begins. */
  private boolean isSaved(String tensor) {
    for (int dot = tensor.indexOf('.'); dot >= 0; dot = tensor.indexOf('.', dot + 1)) {
      String module = tensor.substring(0, dot);
      if (saved.stream().anyMatch(module::endsWith)) {
        return true;
      }
    }
    return false;
  }

  private Stream<Predicate<String>> readings() {
    Predicate<String> whole = module -> saved.stream().anyMatch(name -> ("." + module + ".").contains("." + name + "."));
    return layers.stream().map(layer -> targets.and(layer).and(excluded.or(whole).negate()));
  }

  /** Names by their ends at a dot, or an expression for a whole name. */
  private Predicate<String> named(String key) {
    JsonNode value = config.node(key);
    if (value.isString() && !value.stringValue().isEmpty()) {
      return expression(key, value.stringValue()).asMatchPredicate();
    }
    List<String> endings = names(key);
    return module -> endings.stream().anyMatch(ending -> ("." + module).endsWith("." + ending));
  }

  /**
   * A choice of layers. A module's layer is the first number in its name, and was the last one before PEFT 0.20, an expert's where there is one.
   */
  private List<Predicate<String>> inLayers() {
    Set<String> chosen = numbers().stream().map(String::valueOf).collect(Collectors.toSet());
    JsonNode pattern = config.node("layers_pattern");
    List<String> lists = pattern.isString() && !pattern.stringValue().isEmpty() ? List.of(pattern.stringValue()) : names("layers_pattern");
    Function<String, Predicate<String>> reading = before -> {
      List<Pattern> expressions = (lists.isEmpty() ? List.of("[^.]*") : lists).stream().map(list -> expression("layers_pattern", before + "\\." + list + "\\.(\\d+)\\.")).toList();
      return module -> expressions.stream().map(expression -> expression.matcher(module)).filter(Matcher::lookingAt).findFirst()
          .filter(found -> chosen.contains(found.group(found.groupCount()))).isPresent();
    };
    return List.of(reading.apply(".*?"), reading.apply(".*"));
  }

  private List<Integer> numbers() {
    return config.node("layers_to_transform").isNumber() ? List.of(config.several("layers_to_transform", 0)) : config.integers("layers_to_transform", List.of());
  }

  private Pattern expression(String key, String text) {
    try {
      return Pattern.compile(text);
    } catch (PatternSyntaxException e) {
      throw config.wrong(key, "a regular expression: " + e.getDescription());
    }
  }

  /** A list of names; none where there is something else, an expression for example. */
  private List<String> names(String key) {
    JsonNode value = config.node(key);
    return value.isArray() ? value.valueStream().map(name -> name.asString("")).toList() : List.of();
  }
}
