package io.github.dimple4j.gguf.architecture;

import io.github.dimple4j.gguf.MetadataType;
import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.architecture.QwenText.Projections;
import io.github.dimple4j.gguf.checkpoint.JsonSettings;
import io.github.dimple4j.gguf.checkpoint.PreTokenizer;
import io.github.dimple4j.gguf.checkpoint.SpecialTokens;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.LongStream;

/** LLaDA-V: LLaDA's body under Hugging Face's LLaMA names, with LLaVA's SigLIP and its projector; and {@link Lavida}, the same network under other names. */
public final class LladaV implements Architecture {
  private static final String NAME = "llada-v";
  private static final String CLASS = "LlavaLLaDAModelLM";
  /** The mask token that the authors' function names. */
  static final int MASK = 126336;
  /** {@code <|eot_id|>}, which ends an answer of theirs. */
  static final int END_OF_TURN = 126348;
  /** Tokens that their function bars: beginning and end of text, both sides of a role. */
  private static final List<Integer> BARRED = List.of(126080, 126081, 126346, 126347);
  /** How many tokens their tokenizer has. Their code cuts the head to as many rows, so that the others are never taken. */
  static final int TOKENS = 126349;
  /** The beginning of a text in the configuration that their training starts from, which is no token of theirs. */
  private static final int NO_BEGINNING = 128000;
  /** The length of a block where nobody gives another to their function. */
  static final int BLOCK = 128;
  /** How a picture is spelled in their prompts. No token of theirs is spelled so: the first row that none has is it here. */
  static final String IMAGE = "<image>";
  static final String SUPPRESSED = "diffusion.suppress_tokens";
  private static final String ROOT = "model.";
  private static final String TOWER = ROOT + "vision_tower.";

  @Override
  public String name() {
    return NAME;
  }

  @Override
  public List<String> modelTypes() {
    return List.of("llava_llada");
  }

  /** Each row of the logits scores its own position. */
  @Override
  public ModelLayout layout(JsonSettings config, JsonSettings preprocessor, Set<String> tensors) {
    if (Lavida.isNamedBy(config)) {
      return Lavida.layout(NAME, config, tensors);
    }
    config.node("architectures").valueStream().filter(name -> !name.asString("").equals(CLASS)).findAny().ifPresent(other -> {
      throw config.wrong("architectures", "[\"" + CLASS + "\"], or LaViDa's [\"" + Lavida.CLASS + "\"]");
    });
    config.requireFlag("attention_bias", false);
    TextShape text = QwenText.read(config, tensors);
    SiglipVision vision = SiglipVision.readPlain(config);
    int vocabulary = text.vocabulary();
    int image = token(config, "image_token_index", TOKENS, vocabulary);
    Map<String, MetadataValue> metadata = new LinkedHashMap<>(text.metadata(NAME));
    metadata.put("diffusion.shift_logits", MetadataValue.bool(false));
    metadata.put("diffusion.block_length", MetadataValue.uint32(BLOCK));
    metadata.put("diffusion.pipeline", MetadataValue.string("llada-v"));
    metadata.put(SUPPRESSED, ids(LongStream.concat(BARRED.stream().filter(id -> id < vocabulary).mapToLong(Integer::longValue),
        LongStream.range(TOKENS, vocabulary)).boxed().toList()));
    metadata.put(NAME + ".image_token_id", MetadataValue.uint32(image));
    metadata.put("tokenizer.ggml.eot_token_id", MetadataValue.uint32(token(config, "eot_token_id", END_OF_TURN, vocabulary)));
    metadata.putAll(vision.metadata());
    List<TensorSource> list = new ArrayList<>(QwenText.tensors(text, Projections.PLAIN));
    vision.tensors().forEach(source -> list.add(source.named(LladaV::released)));
    return new ModelLayout(NAME, vocabulary, metadata, list, PreTokenizer.LING, special(config, vocabulary),
        vision.unread().stream().map(LladaV::released).collect(Collectors.toSet()), Map.of(image, IMAGE));
  }

  /** A token of the configuration, or else the authors', that has a row in the embedding matrix. */
  static int token(JsonSettings config, String key, int otherwise, int vocabulary) {
    int id = config.token(key).orElse(otherwise);
    if (id >= vocabulary) {
      throw config.wrong(key, "an id below vocab_size " + vocabulary + "; without one it is " + otherwise);
    }
    return id;
  }

  /** Where the configuration names what is no token, the tokenizer says how a text begins. */
  private static SpecialTokens special(JsonSettings config, int vocabulary) {
    SpecialTokens read = SpecialTokens.read(config).withMask(MASK);
    int bos = read.bos().orElse(0);
    if (bos < vocabulary) {
      return read;
    }
    if (bos != NO_BEGINNING) {
      throw config.wrong("bos_token_id", "an id below vocab_size " + vocabulary + ", or the authors' " + NO_BEGINNING + ", which is passed over");
    }
    return new SpecialTokens(OptionalInt.empty(), read.eos(), read.padding(), read.mask());
  }

  /** In the authors' checkpoints. */
  static String released(String name) {
    if (name.startsWith("vision_tower.")) {
      return TOWER + name;
    }
    return ROOT + name.replace("multi_modal_projector.linear_1", "mm_projector.0").replace("multi_modal_projector.linear_2", "mm_projector.2");
  }

  @Override
  public Map<String, MetadataValue> decoding(JsonSettings generation) {
    return barred(generation);
  }

  /** Tokens that a generation's configuration bars take the place of the authors'. */
  static Map<String, MetadataValue> barred(JsonSettings generation) {
    List<Integer> suppressed = generation.integers("suppress_tokens", List.of());
    return suppressed.isEmpty() ? Map.of() : Map.of(SUPPRESSED, ids(suppressed.stream().sorted().distinct().map(Integer::longValue).toList()));
  }

  static MetadataValue ids(List<Long> tokens) {
    return MetadataValue.array(MetadataType.INT32, tokens);
  }
}
