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

/** LaViDa on Dream: Dream's text model, with the tower, the projector and the pooled features of {@link Lavida}. */
public final class LavidaDream implements Architecture {
  private static final String NAME = "lavida-dream";
  private static final String CLASS = "LlavaDreamForMaskedDiffusion";
  /** How many tokens Dream's tokenizer has. Their code cuts embedding and head to as many rows, and in training gave the next one to {@code <image>}. */
  private static final int TOKENS = 151667;

  @Override
  public String name() {
    return NAME;
  }

  @Override
  public List<String> modelTypes() {
    return List.of("llava_dream");
  }

  /** Each row of the logits scores the next position. Tokens that the tokenizer has not are barred. */
  @Override
  public ModelLayout layout(JsonSettings config, JsonSettings preprocessor, Set<String> tensors) {
    config.node("architectures").valueStream().filter(name -> !name.asString("").equals(CLASS)).findAny().ifPresent(other -> {
      throw config.wrong("architectures", "[\"" + CLASS + "\"]");
    });
    TextShape text = QwenText.read(config, tensors);
    SiglipVision vision = SiglipVision.readPooled(config, text.width());
    config.passOver(List.of("mm_pooler_ratio")); // of another kind of projector, whatever it says
    int vocabulary = text.vocabulary();
    int image = LladaV.token(config, "image_token_index", TOKENS, vocabulary);
    Map<String, MetadataValue> metadata = new LinkedHashMap<>(text.metadata(NAME));
    metadata.put("diffusion.shift_logits", MetadataValue.bool(true));
    metadata.put("diffusion.pipeline", MetadataValue.string(NAME));
    metadata.put(LladaV.SUPPRESSED, LladaV.ids(LongStream.range(TOKENS, vocabulary).boxed().toList()));
    metadata.put(NAME + ".image_token_id", MetadataValue.uint32(image));
    metadata.putAll(vision.metadata());
    List<TensorSource> list = new ArrayList<>(QwenText.tensors(text));
    vision.tensors().forEach(source -> list.add(source.named(LladaV::released)));
    return new ModelLayout(NAME, vocabulary, metadata, list, PreTokenizer.QWEN2, SpecialTokens.read(config).withMask(Dream.MASK),
        vision.unread().stream().map(LladaV::released).collect(Collectors.toSet()), Map.of(image, LladaV.IMAGE));
  }

  @Override
  public Map<String, MetadataValue> decoding(JsonSettings generation) {
    return LladaV.barred(generation);
  }
}
