package io.github.dimple4j.gguf.architecture;

import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.checkpoint.JsonSettings;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import tools.jackson.databind.JsonNode;

/**
 * The shape of a SigLIP vision tower, and how LLaVA-NeXT and LLaVA-OneVision cut pictures into tiles for it and pack their features.
 *
 * @param layers those that run: the features are what the last of them gives
 * @param allLayers those that a checkpoint has
 * @param imageSize pixels of a tile's side
 * @param pinpoints heights and widths in pixels, a pair for each way to lay tiles
 * @param aspectRatio {@code anyres_max_N}: of about so many tiles features are kept as they are
 * @param rules whose code cuts and packs: {@code transformers}, or {@code llava}
 * @param pooled whether a tile's features are pooled by two before they are packed
 * @param outputWidth width of the projected tokens
 */
record SiglipVision(int layers, int allLayers, int width, int heads, int feedForward, int imageSize, int patchSize, List<Integer> pinpoints,
    String aspectRatio, String rules, boolean pooled, int outputWidth, double epsilon, List<Float> imageMean, List<Float> imageDeviation) {
  private static final int CHANNELS = 3;
  private static final String TOWER = "vision_tower.vision_model.";
  private static final String LAYER = TOWER + "encoder.layers.";
  private static final String FEATURE_LAYER = "vision_feature_layer";
  private static final String PINPOINTS = "image_grid_pinpoints";
  private static final Pattern LIMITED = Pattern.compile("anyres_max_[1-9][0-9]{0,3}");
  private static final List<Float> HALVES = List.of(0.5f, 0.5f, 0.5f);
  /** LLaVA's way of writing all tilings from one to another. */
  private static final Pattern RANGE = Pattern.compile("\\(([1-9]\\d?)x([1-9]\\d?)\\),\\.\\.\\.,\\(([1-9]\\d?)x([1-9]\\d?)\\)");
  /** What LLaVA's code has for a configuration of its own: google/siglip-so400m-patch14-384 and its second version. */
  private static final JsonSettings SO400M = JsonSettings.of("LLaVA's SigLIP", """
      {"model_type": "siglip_vision_model", "hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27, "num_attention_heads": 16,
       "num_channels": 3, "image_size": 384, "patch_size": 14, "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-6}""");

  /**
   * Reads {@code vision_config} and what is beside it.
   *
   * @param config {@code config.json}
   * @param preprocessor {@code preprocessor_config.json}
   */
  static SiglipVision read(JsonSettings config, JsonSettings preprocessor) {
    JsonSettings vision = config.section("vision_config");
    requireTower(vision);
    vision.requireFlag("vision_use_head", false);
    config.requireText("projector_hidden_act", "gelu");
    config.requireFlag("multimodal_projector_bias", true);
    config.requireFlag("use_image_newline_parameter", true);
    config.requireText("vision_feature_select_strategy", "full");
    String aspectRatio = limited(config, "vision_aspect_ratio", "anyres_max_9");
    int imageSize = vision.size("image_size");
    requirePreparation(preprocessor, imageSize);
    List<Integer> pinpoints = pinpoints(config, imageSize, "a height and a width");
    if (preprocessor.has(PINPOINTS) && !pinpoints(preprocessor, imageSize, "a height and a width").equals(pinpoints)) {
      throw preprocessor.wrong(PINPOINTS, "those of config.json");
    }
    int all = vision.count("num_hidden_layers");
    return new SiglipVision(layers(config, all), all, vision.size("hidden_size"), heads(vision), vision.size("intermediate_size"), imageSize,
        vision.size("patch_size"), pinpoints, aspectRatio, "transformers", false, config.section("text_config").size("hidden_size"),
        vision.positive("layer_norm_eps", 1e-6), preprocessor.floats("image_mean", CHANNELS, HALVES), preprocessor.floats("image_std", CHANNELS, HALVES));
  }

  /**
   * Reads what LLaVA's own code has beside a text model's configuration: the tower is always the same, whose last layer nothing runs, and so is its
   * preparation of pictures. A tower of another shape says so in {@code vision_config}, which theirs have not.
   *
   * @param config {@code config.json}
   */
  static SiglipVision readPlain(JsonSettings config) {
    return readPlain(config, limited(config, "image_aspect_ratio", "square"), false, config.size("hidden_size"));
  }

  /**
   * The same where every tile's features are kept, pooled by two. Their code pools bilinearly, by averages or by maxima; only the first is done.
   *
   * @param config {@code config.json}
   * @param outputWidth the text model's width
   */
  static SiglipVision readPooled(JsonSettings config, int outputWidth) {
    requirePresent(config, "image_aspect_ratio", "anyres");
    requirePresent(config, "mm_spatial_pool_mode", "bilinear");
    return readPlain(config, "anyres", true, outputWidth);
  }

  private static SiglipVision readPlain(JsonSettings config, String aspectRatio, boolean pooled, int outputWidth) {
    JsonSettings vision = config.has("vision_config") ? config.section("vision_config") : SO400M;
    requireTower(vision);
    requirePresent(config, "mm_projector_type", "mlp2x_gelu");
    requirePresent(config, "mm_patch_merge_type", "spatial_unpad");
    config.requireFlag("mm_use_im_start_end", false);
    config.requireFlag("mm_use_im_patch_token", false);
    if (!config.text("mm_vision_tower", "siglip").contains("siglip")) {
      throw config.wrong("mm_vision_tower", "one of SigLIP's");
    }
    int width = vision.size("hidden_size");
    requireEqual(config, "mm_hidden_size", width);
    JsonNode layer = config.node("mm_vision_select_layer");
    if (config.has("mm_vision_select_layer") && !(layer.isIntegralNumber() && layer.canConvertToInt() && layer.intValue() == -2)) {
      throw config.wrong("mm_vision_select_layer", "-2");
    }
    int layers = vision.count("num_hidden_layers") - 1;
    if (layers < 1) {
      throw vision.wrong("num_hidden_layers", "at least 2, of which the last does not run");
    }
    int imageSize = vision.size("image_size");
    return new SiglipVision(layers, layers + 1, width, heads(vision), vision.size("intermediate_size"), imageSize, vision.size("patch_size"),
        plainPinpoints(config, imageSize), aspectRatio, "llava", pooled, outputWidth, vision.positive("layer_norm_eps", 1e-6), HALVES, HALVES);
  }

  private static void requireTower(JsonSettings vision) {
    vision.requireText("model_type", "siglip_vision_model");
    vision.requireText("hidden_act", "gelu_pytorch_tanh");
    requireEqual(vision, "num_channels", CHANNELS);
  }

  private static void requirePresent(JsonSettings config, String key, String only) {
    if (!config.text(key, "").equals(only)) {
      throw config.wrong(key, "\"" + only + "\"");
    }
  }

  private static int heads(JsonSettings vision) {
    int width = vision.size("hidden_size");
    int heads = vision.size("num_attention_heads");
    if (width % heads != 0 || width / heads % 4 != 0) {
      throw vision.wrong("num_attention_heads", "a divisor of hidden_size " + width + " into heads whose size is a multiple of 4");
    }
    return heads;
  }

  private static String limited(JsonSettings config, String key, String otherwise) {
    String ratio = config.text(key, otherwise);
    if (!LIMITED.matcher(ratio).matches()) {
      throw config.wrong(key, "anyres_max_ and a number");
    }
    return ratio;
  }

  /** LLaVA's pairs, which are widths and heights in the order in which it tries them, as heights and widths. */
  private static List<Integer> plainPinpoints(JsonSettings config, int imageSize) {
    List<Integer> pairs = new ArrayList<>();
    if (config.node(PINPOINTS).isString()) {
      Matcher range = RANGE.matcher(config.text(PINPOINTS, ""));
      if (!range.matches()) {
        throw config.wrong(PINPOINTS, "pairs of a width and a height, or all tilings between two, as in \"(1x1),...,(6x6)\"");
      }
      for (int columns = side(range, 1); columns <= side(range, 3); columns++) {
        for (int rows = side(range, 2); rows <= side(range, 4); rows++) {
          pairs.addAll(List.of(rows * imageSize, columns * imageSize));
        }
      }
    } else {
      List<Integer> widthsFirst = pinpoints(config, imageSize, "a width and a height");
      for (int i = 0; i < widthsFirst.size(); i += 2) {
        pairs.addAll(List.of(widthsFirst.get(i + 1), widthsFirst.get(i)));
      }
    }
    if (pairs.isEmpty()) {
      throw config.wrong(PINPOINTS, "a range that is not empty");
    }
    return List.copyOf(pairs);
  }

  private static int side(Matcher range, int group) {
    return Integer.parseInt(range.group(group));
  }

  /** What the tower's preparation of pictures does in any case. */
  private static void requirePreparation(JsonSettings preprocessor, int imageSize) {
    Preparation.requireNormalized(preprocessor);
    preprocessor.requireFlag("do_pad", true);
    if (preprocessor.has("size")) {
      JsonSettings size = preprocessor.section("size");
      size.names().forEach(side -> requireEqual(size, side, imageSize)); // height and width, or the shortest edge
    }
  }

  /** How many layers run: of -1, all; of -2, all but the last; and so on. */
  private static int layers(JsonSettings config, int all) {
    JsonNode layer = config.node(FEATURE_LAYER);
    if (layer.isMissingNode() || layer.isNull()) {
      return all;
    }
    int last = layer.isIntegralNumber() && layer.canConvertToInt() ? layer.intValue() : 0;
    int running = last < 0 ? all + 1 + last : last;
    if (running < 1 || running > all) {
      throw config.wrong(FEATURE_LAYER, "one layer of " + all + ", counted from 1, or from the end as -1, -2, ...");
    }
    return running;
  }

  private static List<Integer> pinpoints(JsonSettings settings, int imageSize, String sides) {
    List<Integer> result = new ArrayList<>();
    for (JsonNode pair : settings.node(PINPOINTS)) {
      boolean whole = pair.size() == 2;
      for (JsonNode side : pair) {
        whole &= side.isIntegralNumber() && side.canConvertToInt() && side.intValue() > 0 && side.intValue() % imageSize == 0;
        result.add(side.intValue(0));
      }
      if (!whole) {
        throw settings.wrong(PINPOINTS, "pairs of " + sides + ", multiples of image_size " + imageSize);
      }
    }
    if (result.isEmpty()) {
      throw settings.wrong(PINPOINTS, "pairs of " + sides);
    }
    return List.copyOf(result);
  }

  private static void requireEqual(JsonSettings settings, String key, int only) {
    if (settings.size(key, only) != only) {
      throw settings.wrong(key, String.valueOf(only));
    }
  }

  /** llama.cpp's keys of LLaVA's mmproj files. */
  Map<String, MetadataValue> metadata() {
    return new ClipKeys().llavaProjector().activation(false, true)
        .sizes(imageSize, patchSize, width, feedForward, layers, outputWidth).colours(imageMean, imageDeviation).attention(heads, epsilon)
        .tiles(aspectRatio, rules, pooled, pinpoints).metadata();
  }

  /** llama.cpp's tensors of LLaVA's mmproj files with such a tower, but for the norm behind it, which nothing reads. */
  List<TensorSource> tensors() {
    long side = imageSize / patchSize;
    List<TensorSource> list = new ArrayList<>();
    list.add(TensorSource.whole("v.patch_embd.weight", TOWER + "embeddings.patch_embedding.weight", width, CHANNELS, patchSize, patchSize));
    list.add(TensorSource.whole("v.patch_embd.bias", TOWER + "embeddings.patch_embedding.bias", width));
    list.add(TensorSource.whole("v.position_embd.weight", TOWER + "embeddings.position_embedding.weight", side * side, width));
    for (int i = 0; i < layers; i++) {
      addLayer(list, i);
    }
    TensorSource.addLinear(list, "mm.0", "multi_modal_projector.linear_1", outputWidth, width);
    TensorSource.addLinear(list, "mm.2", "multi_modal_projector.linear_2", outputWidth, outputWidth);
    list.add(TensorSource.whole("model.image_newline", "image_newline", outputWidth));
    return list;
  }

  private void addLayer(List<TensorSource> list, int i) {
    String to = "v.blk." + i + ".";
    String from = LAYER + i + ".";
    addNorm(list, to + "ln1", from + "layer_norm1");
    TensorSource.addLinear(list, to + "attn_q", from + "self_attn.q_proj", width, width);
    TensorSource.addLinear(list, to + "attn_k", from + "self_attn.k_proj", width, width);
    TensorSource.addLinear(list, to + "attn_v", from + "self_attn.v_proj", width, width);
    TensorSource.addLinear(list, to + "attn_out", from + "self_attn.out_proj", width, width);
    addNorm(list, to + "ln2", from + "layer_norm2");
    TensorSource.addLinear(list, to + "ffn_up", from + "mlp.fc1", feedForward, width);
    TensorSource.addLinear(list, to + "ffn_down", from + "mlp.fc2", width, feedForward);
  }

  private void addNorm(List<TensorSource> list, String to, String from) {
    list.add(TensorSource.whole(to + ".weight", from + ".weight", width));
    list.add(TensorSource.whole(to + ".bias", from + ".bias", width));
  }

  /** Of a checkpoint's tensors those that nothing reads: the norm behind the tower, and layers behind the one whose features are taken. */
  Set<String> unread() {
    Set<String> names = new TreeSet<>(List.of(TOWER + "post_layernorm.weight", TOWER + "post_layernorm.bias"));
    List<TensorSource> behind = new ArrayList<>();
    for (int i = layers; i < allLayers; i++) {
      addLayer(behind, i);
    }
    behind.forEach(source -> names.addAll(source.checkpointNames()));
    return names;
  }
}
