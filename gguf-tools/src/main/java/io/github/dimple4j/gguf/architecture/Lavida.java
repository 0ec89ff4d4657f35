package io.github.dimple4j.gguf.architecture;

import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.checkpoint.JsonSettings;
import io.github.dimple4j.gguf.checkpoint.PreTokenizer;
import io.github.dimple4j.gguf.checkpoint.SpecialTokens;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.LongStream;

/** LaViDa on LLaDA: the network of {@link LladaV} under OLMo's names, with pooled features and a decoding of its own. */
final class Lavida {
  /** What its checkpoints name in {@code architectures}. */
  static final String CLASS = "LlavaLladaForMaskedDiffusion";

  private Lavida() {}

  /** LLaDA-V's checkpoints have the same model type, and are told apart by the class that they name. */
  static boolean isNamedBy(JsonSettings config) {
    return config.node("architectures").valueStream().anyMatch(name -> name.asString("").equals(CLASS));
  }

  /** Tokens that the tokenizer has not are barred: their code cuts the head to those that it has. */
  static ModelLayout layout(String architecture, JsonSettings config, Set<String> tensors) {
    TextShape text = Llada.read(config, tensors);
    SiglipVision vision = SiglipVision.readPooled(config, text.width());
    config.passOver(List.of("mm_pooler_ratio")); // of another kind of projector, whatever it says
    int vocabulary = text.vocabulary();
    int image = LladaV.token(config, "image_token_index", LladaV.TOKENS, vocabulary);
    Map<String, MetadataValue> metadata = new LinkedHashMap<>(text.metadata(architecture));
    metadata.put("diffusion.shift_logits", MetadataValue.bool(false));
    metadata.put("diffusion.block_length", MetadataValue.uint32(LladaV.BLOCK));
    metadata.put("diffusion.pipeline", MetadataValue.string("lavida"));
    metadata.put(LladaV.SUPPRESSED, LladaV.ids(LongStream.range(LladaV.TOKENS, vocabulary).boxed().toList()));
    metadata.put(architecture + ".image_token_id", MetadataValue.uint32(image));
    metadata.put("tokenizer.ggml.eot_token_id", MetadataValue.uint32(LladaV.token(config, "eot_token_id", LladaV.END_OF_TURN, vocabulary)));
    metadata.putAll(vision.metadata());
    List<TensorSource> list = new ArrayList<>(Llada.plainTensors(text));
    vision.tensors().forEach(source -> list.add(source.named(LladaV::released)));
    return new ModelLayout(architecture, vocabulary, metadata, list, PreTokenizer.LING, SpecialTokens.read(config).withMask(LladaV.MASK),
        vision.unread().stream().map(LladaV::released).collect(Collectors.toSet()), Map.of(image, LladaV.IMAGE));
  }
}
