package io.github.dimple4j.gguf.tools;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.TensorInfo;
import io.github.dimple4j.gguf.TensorType;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Holds the choice of types to llama-quantize's, matrix by matrix. */
class MixtureTest {
  private static final long WIDTH = 256;
  private static final long VOCABULARY = 320;

  /** A text model as far as the choice depends on it. */
  private record Model(String architecture, int layers, int heads, int keyValueHeads, int feedForward, int experts) {
    static final Map<String, Model> ALL = Map.of("deep", new Model("dream", 18, 8, 2, 352, 0),
        "odd", new Model("dream", 2, 8, 4, 40, 0), "moe", new Model("llada-moe", 9, 8, 8, 256, 8));

    Map<String, MetadataValue> metadata() {
      Map<String, MetadataValue> metadata = new LinkedHashMap<>();
      metadata.put("general.architecture", MetadataValue.string(architecture));
      metadata.put(architecture + ".block_count", MetadataValue.uint32(layers));
      metadata.put(architecture + ".attention.head_count", MetadataValue.uint32(heads));
      metadata.put(architecture + ".attention.head_count_kv", MetadataValue.uint32(keyValueHeads));
      if (experts > 0) {
        metadata.put(architecture + ".expert_count", MetadataValue.uint32(experts));
      }
      return metadata;
    }

    List<TensorInfo> tensors() {
      List<TensorInfo> list = new ArrayList<>();
      add(list, "token_embd.weight", WIDTH, VOCABULARY);
      add(list, "output.weight", WIDTH, VOCABULARY);
      add(list, "output_norm.weight", WIDTH);
      long keyWidth = WIDTH / heads * keyValueHeads;
      for (int i = 0; i < layers; i++) {
        String block = "blk." + i + ".";
        add(list, block + "attn_norm.weight", WIDTH);
        add(list, block + "attn_q.weight", WIDTH, WIDTH);
        add(list, block + "attn_q.bias", WIDTH);
        add(list, block + "attn_k.weight", WIDTH, keyWidth);
        add(list, block + "attn_v.weight", WIDTH, keyWidth);
        add(list, block + "attn_output.weight", WIDTH, WIDTH);
        if (experts > 0) {
          add(list, block + "ffn_gate_inp.weight", WIDTH, experts);
          add(list, block + "ffn_gate_exps.weight", WIDTH, feedForward, experts);
          add(list, block + "ffn_up_exps.weight", WIDTH, feedForward, experts);
          add(list, block + "ffn_down_exps.weight", feedForward, WIDTH, experts);
        } else {
          add(list, block + "ffn_gate.weight", WIDTH, feedForward);
          add(list, block + "ffn_up.weight", WIDTH, feedForward);
          add(list, block + "ffn_down.weight", feedForward, WIDTH);
        }
      }
      return list;
    }

    private static void add(List<TensorInfo> list, String name, long... dimensions) {
      list.add(new TensorInfo(name, TensorType.F32.number(), Arrays.stream(dimensions).boxed().toList(), 0));
    }
  }

  static Stream<String> goldens() throws IOException {
    try (BufferedReader in = new BufferedReader(new InputStreamReader(MixtureTest.class.getResourceAsStream("mixtures.txt"),
        StandardCharsets.UTF_8))) {
      return in.lines().filter(line -> !line.startsWith("#")).toList().stream();
    }
  }

  @ParameterizedTest
  @MethodSource("goldens")
  void typesAreThoseOfLlamaQuantize(String golden) {
    String[] words = golden.split(" ");
    boolean important = words[0].endsWith("+imatrix");
    Model model = Model.ALL.get(words[0].replace("+imatrix", ""));
    TypeRule rule = TypeRule.of(new Mixture(Quantization.of(words[1]).orElseThrow(), important, model.metadata(), model.tensors()));
    Map<String, List<String>> chosen = new TreeMap<>();
    for (TensorInfo tensor : model.tensors()) {
      if (tensor.name().endsWith(".weight") && !tensor.name().endsWith("_norm.weight")) {
        String kind = tensor.name().replaceFirst("^blk\\.\\d+\\.", "").replaceFirst("\\.weight$", "");
        chosen.computeIfAbsent(kind, each -> new ArrayList<>()).add(rule.choose(tensor).used().toString());
      }
    }
    Map<String, List<String>> expected = new TreeMap<>();
    for (int i = 2; i < words.length; i++) {
      String[] kind = words[i].split("=");
      List<String> types = expected.computeIfAbsent(kind[0], each -> new ArrayList<>());
      for (String run : kind[1].split(",")) {
        String[] times = run.split("\\*");
        for (int n = 0; n < (times.length > 1 ? Integer.parseInt(times[1]) : 1); n++) {
          types.add(times[0]);
        }
      }
    }
    assertThat(chosen).isEqualTo(expected);
  }
}
