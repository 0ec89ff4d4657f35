package io.github.dimple4j.gguf.tools;

import io.github.dimple4j.gguf.GgufException;
import io.github.dimple4j.gguf.GgufWriter;
import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.ProgressListener;
import io.github.dimple4j.gguf.architecture.Architectures;
import io.github.dimple4j.gguf.architecture.ModelLayout;
import io.github.dimple4j.gguf.architecture.TensorSource;
import io.github.dimple4j.gguf.checkpoint.Checkpoint;
import io.github.dimple4j.gguf.checkpoint.JsonSettings;
import io.github.dimple4j.gguf.checkpoint.LoraAdapter;
import io.github.dimple4j.gguf.checkpoint.SafetensorsFile;
import io.github.dimple4j.gguf.checkpoint.SpecialTokens;
import io.github.dimple4j.gguf.checkpoint.TokenizerFiles;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * Makes a GGUF file of a Hugging Face model directory: {@code config.json}, {@code model.safetensors} or its shards, and if
 * present the tokenizer, its chat template and {@code preprocessor_config.json} and {@code generation_config.json}. Knows all families that the library
 * runs and Hugging Face directories have. The weights are streamed: memory does not grow with the model. The output takes its name only when it is complete.
 *
 * <pre>{@code
 * WrittenFile report = Converter.of(Path.of("Dimple-7B")).to(Quantization.F16).write(Path.of("dimple-7b-f16.gguf"));
 * }</pre>
 *
 * <p>An adapter of PEFT's is merged on the way ({@link #lora}), and a vision tower may go into a file of its own ({@link #mmproj}).
 *
 * <p>Each tensor has the type that {@link Quantizer} gives it; vectors and the matrices that choose experts are F32.
 *
 * <p>One thread at a time; the work itself uses all cores.
 */
public final class Converter {
  /** What of {@code generation_config.json} is no setting of a decoding. */
  private static final Pattern PROVENANCE = Pattern.compile("_.*|transformers_version|(bos|pad)_token_id");

  private final Path directory;
  private Quantization quantization = Quantization.F16;
  private boolean overwrite;
  private boolean tower;
  private boolean ignoreUnknown;
  private Path lora; // null: none
  private ProgressListener progress = ProgressListener.NONE;

  private Converter(Path directory) {
    this.directory = directory;
  }

  /**
   * Starts the description of a conversion.
   *
   * @param directory a Hugging Face model directory
   * @return a converter to F16 that refuses to replace a file
   */
  public static Converter of(Path directory) {
    Objects.requireNonNull(directory, "directory");
    return new Converter(directory);
  }

  /**
   * Sets what the matrices become: the same as when the file were quantized to it afterwards.
   *
   * @param quantization a type or mixture
   * @return this
   */
  public Converter to(Quantization quantization) {
    Objects.requireNonNull(quantization, "quantization");
    this.quantization = quantization;
    return this;
  }

  /**
   * Allows or forbids to replace an existing file.
   *
   * @param overwrite true to allow it
   * @return this
   */
  public Converter overwrite(boolean overwrite) {
    this.overwrite = overwrite;
    return this;
  }

  /**
   * Chooses whether the vision tower alone is written, as a file to lie beside one of the text model: llama.cpp's "mmproj".
   *
   * @param tower true for the tower
   * @return this
   */
  public Converter mmproj(boolean tower) {
    this.tower = tower;
    return this;
  }

  /**
   * Allows settings in {@code config.json} and in the preparation of pictures that are not known here, and that may make another model of the
   * weights: the file does without them, and {@link WrittenFile#unread()} names them.
   *
   * @param ignore true to allow them; otherwise they are refused by name
   * @return this
   */
  public Converter ignoreUnknown(boolean ignore) {
    this.ignoreUnknown = ignore;
    return this;
  }

  /**
   * Merges a low-rank adapter into the weights.
   *
   * @param adapter a directory that PEFT's {@code save_pretrained} wrote; every tensor in it has to be for one of the checkpoint's
   * @return this
   */
  public Converter lora(Path adapter) {
    this.lora = Objects.requireNonNull(adapter, "adapter");
    return this;
  }

  /**
   * Sets who hears of the progress.
   *
   * @param progress called from the thread that calls {@link #write}
   * @return this
   */
  public Converter progress(ProgressListener progress) {
    Objects.requireNonNull(progress, "progress");
    this.progress = progress;
    return this;
  }

  /**
   * Converts.
   *
   * @param target the file to write
   * @return what was written
   * @throws GgufException if the checkpoint is damaged, unsupported or does not fit its configuration, if the type cannot be
   *     written, or if the target exists; nothing is left of the target then
   * @throws IOException if reading or writing fails; nothing is left of the target then
   */
  public WrittenFile write(Path target) throws IOException {
    Objects.requireNonNull(target, "target");
    GgufWriter.requireWritable(target, overwrite);
    if (!Files.isDirectory(directory)) {
      throw new GgufException(directory + " is not a directory");
    }
    if (!Files.exists(directory.resolve("config.json"))) {
      throw new GgufException(directory + " has no config.json: it is not a Hugging Face model directory");
    }
    JsonSettings config = JsonSettings.read(directory.resolve("config.json"));
    requirePlainWeights(config);
    if (config.has("text_config")) {
      requirePlainWeights(config.section("text_config"));
    }
    try (Checkpoint checkpoint = new Checkpoint(directory); LoraAdapter adapter = lora == null ? null : LoraAdapter.read(lora)) {
      Map<String, SafetensorsFile.Tensor> tensors = adapter == null ? checkpoint.tensors() : adapter.over(checkpoint.tensors());
      JsonSettings preprocessor = imageProcessor();
      JsonSettings generation = optionalConfig("generation_config.json");
      ModelLayout layout = tower ? Architectures.tower(config, preprocessor, tensors.keySet())
          : Architectures.layout(config, preprocessor, tensors.keySet());
      List<String> leftOut = match(layout, tensors); // first: a vocabulary that no tensor has may be beyond all memory
      if (adapter != null) {
        requireUsed(layout, adapter, checkpoint.tensors()).stream().filter(name -> !leftOut.contains(name)).forEach(leftOut::add);
      }
      Optional<TokenizerFiles> tokenizer = tower ? Optional.empty() : TokenizerFiles.read(directory, layout.vocabulary(), layout.preTokenizer());
      for (Map.Entry<Integer, String> token : layout.added().entrySet()) {
        tokenizer.ifPresent(files -> files.addUnspelled(token.getKey(), token.getValue()));
      }
      if (!tower) { // last: it reads as much as there is twice
        requireTwins(Architectures.twins(config, tensors.keySet()), tensors);
      }
      Map<String, MetadataValue> metadata = metadata(layout, config, generation, tokenizer);
      List<String> unread = unread(config, preprocessor, generation); // last: what nobody has asked for by now, nobody will
      tokenizer.ifPresent(files -> unread.addAll(files.unread()));
      Optional.ofNullable(adapter).flatMap(LoraAdapter::base) // no checkpoint says what it is called
          .ifPresent(base -> unread.add(lora.resolve("adapter_config.json") + ": base_model_name_or_path, " + base + "; whether the checkpoint is that is not known"));
      return new ModelWriter(target, overwrite, progress).checked().write(layout.architecture(), quantization, metadata,
          layout.tensors(), TypeRule.of(Mixture.of(quantization, layout)), leftOut, unread, (tensor, source) -> new CheckpointRows(tensor, source,
              source.checkpointNames().stream().map(tensors::get).toList(), Optional.ofNullable(adapter)));
    }
  }

  /** Names what the file does without of the settings, and refuses what may make another model of it. */
  private List<String> unread(JsonSettings config, JsonSettings preprocessor, JsonSettings generation) {
    List<String> unread = new ArrayList<>();
    for (JsonSettings settings : List.of(tower ? config.section("vision_config") : config, preprocessor)) {
      List<String> unknown = settings.isRead() ? settings.unknown() : List.of();
      if (!unknown.isEmpty() && !ignoreUnknown) {
        throw settings.unknown(unknown);
      }
      unknown.forEach(name -> unread.add(settings + ": " + name));
    }
    if (!tower) {
      generation.unread().stream().filter(name -> !PROVENANCE.matcher(name).matches()).forEach(name -> unread.add(generation + ": " + name));
    }
    return unread;
  }

  /** A directory's last name, which the root of a file system has not. */
  static String nameOf(Path directory) {
    return Objects.toString(directory.getFileName(), "model");
  }

  /** What a checkpoint holds twice has to be the same: the file has it once. */
  private static void requireTwins(Map<String, String> twins, Map<String, SafetensorsFile.Tensor> tensors) throws IOException {
    for (Map.Entry<String, String> entry : twins.entrySet()) {
      SafetensorsFile.Tensor twin = tensors.get(entry.getKey());
      SafetensorsFile.Tensor read = tensors.get(entry.getValue());
      if (!twin.isSame(read)) {
        throw new GgufException(twin.file().path() + ": tensor " + twin.name() + " is another one than " + read.name() + ", its twin");
      }
    }
  }

  /** An adapter of what neither file of the checkpoint has would be lost, and so would one that has nothing for this file. Returns what is the other file's. */
  private List<String> requireUsed(ModelLayout layout, LoraAdapter adapter, Map<String, SafetensorsFile.Tensor> checkpoint) throws IOException {
    Set<String> used = new HashSet<>();
    layout.tensors().forEach(source -> used.addAll(source.checkpointNames()));
    List<String> others = adapter.names().stream().filter(name -> !used.contains(name)).toList();
    Set<String> other = new HashSet<>();
    if (!others.isEmpty() && others.size() < adapter.names().size()) {
      JsonSettings config = JsonSettings.read(directory.resolve("config.json")); // anew: what the other file asks for is not asked for by this one
      if (tower) {
        Architectures.layout(config, imageProcessor(), checkpoint.keySet()).tensors().forEach(source -> other.addAll(source.checkpointNames()));
      } else if (Architectures.hasSeparateTower(config)) {
        Architectures.tower(config, imageProcessor(), checkpoint.keySet()).tensors().forEach(source -> other.addAll(source.checkpointNames()));
      }
    }
    for (String name : others) {
      if (!other.contains(name)) {
        throw new GgufException(adapter + " changes " + name + ", which has no place in the file");
      }
    }
    adapter.requireWhole(checkpoint, used);
    requireUntied(layout, adapter);
    return others;
  }

  /** PEFT adapts the embedding of such a model and leaves the matrix of its logits as it was: the file has one for both. */
  private static void requireUntied(ModelLayout layout, LoraAdapter adapter) {
    Map<String, List<String>> names = new LinkedHashMap<>();
    layout.tensors().forEach(source -> names.put(source.name(), source.checkpointNames()));
    if (names.containsKey("output.weight") || adapter.keepsTies()) {
      return;
    }
    names.getOrDefault("token_embd.weight", List.of()).stream().filter(adapter.names()::contains).findFirst().ifPresent(name -> {
      throw new GgufException(adapter + " changes " + name + ", which makes this model's logits, too, and those PEFT leaves as they were; expected an adapter "
          + "with ensure_weight_tying, or a checkpoint with an output matrix of its own");
    });
  }

  /** How pictures are prepared: a file of its own, or a part of that of newer checkpoints. */
  private JsonSettings imageProcessor() throws IOException {
    JsonSettings own = optionalConfig("preprocessor_config.json");
    JsonSettings all = optionalConfig("processor_config.json");
    return own.names().isEmpty() && all.has("image_processor") ? all.section("image_processor") : own;
  }

  private JsonSettings optionalConfig(String name) throws IOException {
    Path path = directory.resolve(name);
    return Files.exists(path) ? JsonSettings.read(path) : JsonSettings.empty(path.toString());
  }

  /**
   * Refuses weights that another program has quantized, whatever of them stands among the tensors. A checkpoint that an adapter was merged into may still
   * say that it was trained on bitsandbytes' types; these are none of the plain ones, and refused as tensors where they are.
   */
  private static void requirePlainWeights(JsonSettings config) {
    if (config.has("quantization_config") && !config.node("quantization_config").path("quant_method").asString("").equals("bitsandbytes")) {
      throw config.wrong("quantization_config", "none: weights that another program has quantized are not read");
    }
  }

  /** Holds the checkpoint's tensors against the layout's; returns those that are left out. */
  private List<String> match(ModelLayout layout, Map<String, SafetensorsFile.Tensor> checkpoint) {
    Set<String> used = new LinkedHashSet<>();
    for (TensorSource source : layout.tensors()) {
      for (String name : source.checkpointNames()) {
        requireWeights(name, source.checkpointShape(), checkpoint.get(name));
        used.add(name);
      }
    }
    List<String> leftOut = new ArrayList<>();
    for (Map.Entry<String, SafetensorsFile.Tensor> entry : checkpoint.entrySet()) {
      String name = entry.getKey();
      SafetensorsFile.Tensor tensor = entry.getValue();
      if (used.contains(name)) {
        continue;
      }
      if (tower && !name.contains("vision")) {
        continue; // the rest is the text model's file's
      }
      if (ModelLayout.isLeftOut(name) || layout.elsewhere().contains(name) || !tensor.type().isWeight()) { // integers are buffers, such as the numbers of positions
        leftOut.add(name);
      } else {
        throw new GgufException(tensor.file().path() + ": tensor " + name + " has no place in a " + layout.architecture()
            + " model of this config.json");
      }
    }
    return leftOut;
  }

  private void requireWeights(String name, List<Long> shape, SafetensorsFile.Tensor tensor) {
    if (tensor == null) {
      throw new GgufException(directory + ": tensor " + name + " is missing; config.json asks for one of shape " + shape);
    }
    if (!tensor.shape().equals(shape)) {
      throw new GgufException(tensor.file().path() + ": tensor " + name + " has shape " + tensor.shape() + "; config.json asks for " + shape);
    }
    if (!tensor.type().isWeight()) {
      throw new GgufException(tensor.file().path() + ": tensor " + name + " is of integers, " + tensor.type() + "; a weight is expected here");
    }
  }

  private Map<String, MetadataValue> metadata(ModelLayout layout, JsonSettings config, JsonSettings generation,
      Optional<TokenizerFiles> tokenizer) throws IOException {
    Map<String, MetadataValue> metadata = new LinkedHashMap<>();
    metadata.put("general.name", MetadataValue.string(nameOf(directory.toRealPath())));
    metadata.putAll(layout.metadata());
    if (tower) {
      return metadata;
    }
    SpecialTokens special = layout.special();
    if (tokenizer.isPresent()) {
      metadata.putAll(tokenizer.get().metadata());
      special = tokenizer.get().complete(special);
    }
    metadata.putAll(Architectures.decoding(config, generation));
    SpecialTokens framing = special.withEnds(config, generation, layout.vocabulary());
    metadata.putAll(framing.metadata());
    if (tokenizer.isPresent()) {
      metadata.putAll(tokenizer.get().chatTemplates(framing));
    }
    return metadata;
  }

  /**
   * What is converted to what, for logs.
   *
   * @return for example {@code "Converter[Dimple-7B to F16]"}
   */
  @Override
  public String toString() {
    return "Converter[" + directory + " to " + quantization + "]";
  }
}
