package io.github.dimple4j.gguf.checkpoint;

import io.github.dimple4j.gguf.GgufException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;
import java.util.stream.Collectors;
import tools.jackson.databind.JsonNode;

/**
 * A low-rank adapter (Hu et al., arXiv 2106.09685) as PEFT saves it: {@code adapter_config.json} and {@code adapter_model.safetensors}. A
 * matrix W [out x in] of the checkpoint becomes W + s B A, where A is [rank x in], B [out x rank], and s the module's alpha / rank, or with
 * rank-stabilised LoRA (arXiv 2312.03732) alpha / sqrt(rank); an embedding [vocabulary x width] becomes E + s (B A)', B [width x rank], A
 * [rank x vocabulary]. Tensors that an adapter has whole, biases and modules to save, take the place of the checkpoint's.
 */
public final class LoraAdapter implements AutoCloseable {
  private static final String PREFIX = "base_model.model.";
  private static final String CONFIG = "adapter_config.json";
  private static final String WEIGHTS = "adapter_model.safetensors";
  /** Ways to begin that leave the model as it is; others (PiSSA, OLoRA, CorDA, LoftQ, LoRA-GA) change it, and it is then not the checkpoint that the adapter stands on. */
  private static final Set<String> STARTS = Set.of("gaussian", "eva", "orthogonal", "mica");
  private static final int MOST_ELEMENTS = 1 << 30;
  /** What is asked for where a matrix is merged and where a checkpoint is there, and what says how an adapter was trained, and on what. */
  private static final List<String> PASSED_OVER = List.of("alpha_pattern", "lora_alpha", "r", "rank_pattern", "target_modules", "use_rslora", "auto_mapping", "base_model_name_or_path", "bias", "corda_config", "ensure_weight_tying", "eva_config",
      "exclude_modules", "inference_mode", "layers_pattern", "layers_to_transform", "loftq_config", "lora_dropout", "lora_ga_config", "megatron_core", "modules_to_save", "peft_version",
      "qalora_group_size", "revision", "runtime_config", "task_type");

  /** One side of a product, row by row. */
  private record Matrix(int rows, int columns, float[] values) {
    private Matrix transposed() {
      float[] turned = new float[values.length];
      for (int r = 0; r < rows; r++) {
        for (int c = 0; c < columns; c++) {
          turned[c * rows + r] = values[r * columns + c];
        }
      }
      return new Matrix(columns, rows, turned);
    }

    private boolean isSame(Matrix other) {
      return rows == other.rows && columns == other.columns && Arrays.equals(values, other.values);
    }
  }

  /** What is added to a matrix: scale * up [out x rank] * down [rank x in]. */
  private record Product(float scale, Matrix up, Matrix down) {
    private boolean isSame(Product other) {
      return scale == other.scale && up.isSame(other.up) && down.isSame(other.down);
    }
  }

  private final Path directory;
  private final JsonSettings config;
  private final LoraTargets targets;
  private final SafetensorsFile file;
  private final Map<String, Product> products = new LinkedHashMap<>(); // by the checkpoint's names
  private final Map<String, SafetensorsFile.Tensor> whole = new LinkedHashMap<>();

  private LoraAdapter(Path directory) throws IOException {
    this.directory = directory;
    if (!Files.isRegularFile(directory.resolve(CONFIG))) {
      throw new GgufException(directory + " has no " + CONFIG + ": it is not a directory of PEFT's");
    }
    config = JsonSettings.read(directory.resolve(CONFIG));
    requireSupported();
    targets = new LoraTargets(config);
    Path weights = directory.resolve(WEIGHTS);
    if (!Files.isRegularFile(weights)) {
      throw new GgufException(weights + " is missing" + (Files.exists(directory.resolve("adapter_model.bin"))
          ? "; adapter_model.bin is a pickle, which is not read: save the adapter as safetensors" : ""));
    }
    file = new SafetensorsFile(weights);
  }

  /**
   * Reads an adapter.
   *
   * @param directory of {@code save_pretrained}
   * @throws GgufException if it is damaged, or of a kind that cannot be merged
   */
  public static LoraAdapter read(Path directory) throws IOException {
    LoraAdapter adapter = new LoraAdapter(directory);
    try {
      adapter.readTensors();
      return adapter;
    } catch (IOException | RuntimeException e) {
      adapter.close();
      throw e;
    }
  }

  private void requireSupported() {
    config.requireText("peft_type", "LORA");
    for (String key : List.of("use_dora", "fan_in_fan_out", "use_qalora", "lora_bias")) {
      config.requireFlag(key, false);
    }
    JsonNode start = config.node("init_lora_weights");
    if (config.has("init_lora_weights") && !start.isBoolean() && !STARTS.contains(start.asString("").toLowerCase(Locale.ROOT))) {
      throw config.wrong("init_lora_weights", "a start that leaves the model as it is; convert the adapter with PEFT's path_initial_model_for_weight_conversion");
    }
    for (String key : List.of("target_parameters", "trainable_token_indices", "megatron_config", "layer_replication", "alora_invocation_tokens")) {
      if (config.has(key) && !(config.node(key).isContainer() && config.node(key).isEmpty())) {
        throw config.wrong(key, "null");
      }
    }
  }

  /** What nobody here knows may change what is merged. */
  private void requireKnown() {
    config.passOver(PASSED_OVER);
    List<String> unknown = config.unknown();
    if (!unknown.isEmpty()) {
      throw new GgufException(directory.resolve(CONFIG) + ": \"" + String.join("\", \"", unknown) + "\": not known here, and may change what is merged");
    }
  }

  /** Of each module that is there as a whole there has to be something. */
  private void requireSaved() {
    for (String module : targets.saved()) {
      if (whole.keySet().stream().noneMatch(name -> ("." + name).contains("." + module + "."))) {
        throw new GgufException(file.path() + ": nothing of module " + module + ", which " + CONFIG + " lists as \"modules_to_save\"");
      }
    }
  }

  private void readTensors() throws IOException {
    Map<String, Map<String, SafetensorsFile.Tensor>> modules = new LinkedHashMap<>();
    for (SafetensorsFile.Tensor tensor : file.tensors().values()) {
      String name = tensor.name();
      if (!name.startsWith(PREFIX)) {
        throw wrong(tensor, "its name does not begin with " + PREFIX);
      }
      if (!tensor.type().isWeight()) {
        throw wrong(tensor, "it is of " + tensor.type() + ", expected weights");
      }
      String inner = name.substring(PREFIX.length());
      int lora = inner.indexOf(".lora_");
      if (lora < 0) {
        String changed = inner.replaceFirst("\\.modules_to_save(\\.default)?\\.", ".").replaceFirst("\\.base_layer\\.", "."); // a bias beside an A and a B
        if (whole.put(changed, tensor) != null) {
          throw wrong(tensor, "the adapter has it twice");
        }
        continue;
      }
      String part = inner.substring(lora + 1).replaceFirst("\\.default", "").replaceFirst("\\.weight$", "");
      if (!Set.of("lora_A", "lora_B", "lora_embedding_A", "lora_embedding_B").contains(part)) {
        throw wrong(tensor, "parts of this kind are not merged" + (part.contains("magnitude") ? " (DoRA)" : ""));
      }
      if (modules.computeIfAbsent(inner.substring(0, lora), module -> new HashMap<>()).put(part, tensor) != null) {
        throw wrong(tensor, "the adapter has it twice");
      }
    }
    for (Map.Entry<String, Map<String, SafetensorsFile.Tensor>> module : modules.entrySet()) {
      products.put(module.getKey() + ".weight", product(module.getKey(), module.getValue()));
    }
    requireSaved();
    requireKnown();
  }

  private Product product(String module, Map<String, SafetensorsFile.Tensor> parts) throws IOException {
    boolean embedding = parts.containsKey("lora_embedding_A") || parts.containsKey("lora_embedding_B");
    SafetensorsFile.Tensor first = parts.get(embedding ? "lora_embedding_A" : "lora_A");
    SafetensorsFile.Tensor second = parts.get(embedding ? "lora_embedding_B" : "lora_B");
    if (first == null || second == null || parts.size() != 2) {
      throw new GgufException(file.path() + ": module " + module + " has " + parts.keySet() + ", expected an A and a B");
    }
    Matrix a = matrix(first);
    Matrix b = matrix(second);
    if (a.rows != b.columns) {
      throw wrong(second, "its shape " + second.shape() + " does not fit that of its A, " + first.shape());
    }
    int rank = config.node("rank_pattern").isEmpty() && config.has("r") ? config.size("r") : (int) pattern("rank_pattern", module, config.size("r"));
    if (a.rows != rank) {
      throw wrong(first, "its shape " + first.shape() + " is not of rank " + rank + ", as " + CONFIG + " has it");
    }
    double alpha = pattern("alpha_pattern", module, config.positive("lora_alpha", 8)); // PEFT's default
    float scale = (float) (alpha / (config.flag("use_rslora", false) ? Math.sqrt(rank) : rank));
    return embedding ? new Product(scale, a.transposed(), b.transposed()) : new Product(scale, b, a);
  }

  /** The number of the first pattern that the end of a module's name matches, at a dot. */
  private double pattern(String key, String module, double otherwise) {
    if (!config.has(key)) {
      return otherwise;
    }
    JsonSettings patterns = config.section(key);
    patterns.passOver(patterns.names());
    for (String pattern : patterns.names()) {
      try {
        if (Pattern.matches("(.*\\.)?(" + pattern + ")", module)) {
          return patterns.positive(pattern, otherwise);
        }
      } catch (PatternSyntaxException e) {
        throw config.wrong(key, "regular expressions: " + e.getDescription());
      }
    }
    return otherwise;
  }

  private Matrix matrix(SafetensorsFile.Tensor tensor) throws IOException {
    if (tensor.shape().size() != 2 || tensor.elements() == 0 || tensor.elements() > MOST_ELEMENTS) {
      throw wrong(tensor, "its shape is " + tensor.shape() + ", expected a matrix");
    }
    ByteBuffer bytes = ByteBuffer.allocate(Math.multiplyExact((int) tensor.elements(), tensor.type().size())).order(ByteOrder.LITTLE_ENDIAN);
    file.read(tensor.offset(), bytes);
    float[] values = new float[(int) tensor.elements()];
    for (int i = 0; i < values.length; i++) {
      values[i] = switch (tensor.type()) {
        case F64 -> (float) bytes.getDouble(8 * i);
        case F32 -> bytes.getFloat(4 * i);
        case F16 -> Float.float16ToFloat(bytes.getShort(2 * i));
        case BF16 -> Float.intBitsToFloat(bytes.getShort(2 * i) << 16);
        default -> throw wrong(tensor, "it is of " + tensor.type());
      };
      if (!Float.isFinite(values[i])) {
        throw wrong(tensor, "element " + i + " is " + values[i]);
      }
    }
    return new Matrix(tensor.shape().get(0).intValue(), tensor.shape().get(1).intValue(), values);
  }

  private GgufException wrong(SafetensorsFile.Tensor tensor, String what) {
    return new GgufException(file.path() + ": tensor " + tensor.name() + ": " + what);
  }

  /**
   * Holds the adapter against a checkpoint.
   *
   * @param checkpoint its tensors by name
   * @return the same, those that the adapter has whole being its own
   * @throws GgufException if a tensor of the adapter is for none of the checkpoint's, or for one of another shape
   */
  public Map<String, SafetensorsFile.Tensor> over(Map<String, SafetensorsFile.Tensor> checkpoint) throws IOException {
    Map<String, SafetensorsFile.Tensor> all = new LinkedHashMap<>(checkpoint);
    if (keepsTies()) {
      dropTies(checkpoint.keySet());
    }
    products.forEach((name, product) -> {
      List<Long> shape = List.of((long) product.up.rows, (long) product.down.columns);
      if (!checkpoint.containsKey(name) || !checkpoint.get(name).shape().equals(shape)) {
        throw new GgufException(file.path() + ": the adapter changes " + name + " of shape " + shape + "; "
            + (checkpoint.containsKey(name) ? "the checkpoint's has shape " + checkpoint.get(name).shape() : "the checkpoint has no such tensor"));
      }
      if (!targets.mayChange(moduleOf(name))) {
        throw new GgufException(file.path() + ": the adapter changes " + name + ", which " + CONFIG + " does not name: \"target_modules\" are "
            + config.node("target_modules"));
      }
    });
    whole.forEach((name, tensor) -> {
      if (!checkpoint.containsKey(name) || !checkpoint.get(name).shape().equals(tensor.shape())) {
        throw wrong(tensor, "the checkpoint " + (checkpoint.containsKey(name) ? "has " + name + " in shape " + checkpoint.get(name).shape()
            : "has no tensor " + name));
      }
      all.put(name, tensor);
    });
    return all;
  }

  /**
   * Refuses an adapter without something that its configuration says it changes.
   *
   * @param checkpoint its tensors by name
   * @param used the names of those that matter
   */
  public void requireWhole(Map<String, SafetensorsFile.Tensor> checkpoint, Set<String> used) {
    Set<String> tensors = checkpoint.keySet().stream().filter(used::contains).collect(Collectors.toCollection(LinkedHashSet::new));
    Set<String> matrices = tensors.stream().filter(name -> name.endsWith(".weight") && checkpoint.get(name).shape().size() > 1).map(LoraAdapter::moduleOf)
        .collect(Collectors.toCollection(LinkedHashSet::new));
    targets.requireAll(matrices, tensors, names(), file.path());
  }

  private static String moduleOf(String weight) {
    return weight.substring(0, weight.length() - ".weight".length());
  }

  /** Takes out what PEFT saves of the logits' matrix beside an embedding that is the same one: the same numbers once more. */
  private void dropTies(Set<String> checkpoint) throws IOException {
    for (String name : names()) {
      if (!checkpoint.contains(name)) {
        for (String twin : names()) {
          if (checkpoint.contains(twin) && isTwin(name, twin)) {
            products.remove(name);
            whole.remove(name);
            break;
          }
        }
      }
    }
  }

  private boolean isTwin(String name, String other) throws IOException {
    Product one = products.get(name);
    Product two = products.get(other);
    SafetensorsFile.Tensor tensor = whole.get(name);
    SafetensorsFile.Tensor twin = whole.get(other);
    return (one == null ? two == null : two != null && one.isSame(two)) && (tensor == null ? twin == null : twin != null && tensor.isSame(twin));
  }

  /** Whether what two modules share stays shared where one of them is adapted. */
  public boolean keepsTies() {
    return config.flag("ensure_weight_tying", false);
  }

  /** The model that it says it was trained on; empty: it says none. */
  public Optional<String> base() {
    return Optional.of(config.text("base_model_name_or_path", "")).filter(name -> !name.isEmpty());
  }

  /** The checkpoint's tensors that the adapter changes or replaces. */
  public Set<String> names() {
    Set<String> names = new LinkedHashSet<>(products.keySet());
    names.addAll(whole.keySet());
    return names;
  }

  /**
   * Adds what the adapter adds to elements of a checkpoint's tensor. Any number of threads.
   *
   * @param name the checkpoint's
   * @param first element
   * @param floats the elements
   */
  public void add(String name, long first, MemorySegment floats) {
    Product product = products.get(name);
    if (product == null) {
      return;
    }
    int columns = product.down.columns;
    int rank = product.down.rows;
    long count = floats.byteSize() / Float.BYTES;
    float[] sum = new float[columns];
    for (long at = 0; at < count; ) {
      int row = (int) ((first + at) / columns);
      int from = (int) ((first + at) % columns);
      int to = (int) Math.min(columns, from + count - at);
      Arrays.fill(sum, from, to, 0);
      for (int k = 0; k < rank; k++) {
        float factor = product.up.values[row * rank + k];
        int line = k * columns;
        for (int c = from; c < to; c++) {
          sum[c] += factor * product.down.values[line + c];
        }
      }
      for (int c = from; c < to; c++, at++) {
        long offset = at * Float.BYTES;
        floats.set(ValueLayout.JAVA_FLOAT_UNALIGNED, offset, floats.get(ValueLayout.JAVA_FLOAT_UNALIGNED, offset) + product.scale * sum[c]);
      }
    }
  }

  @Override
  public void close() throws IOException {
    file.close();
  }

  /** Where it is, for logs. */
  @Override
  public String toString() {
    return "LoraAdapter[" + directory + ", " + products.size() + " matrices]";
  }
}
