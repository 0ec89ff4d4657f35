package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.dimple4j.cli.InProcess;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** {@code dimple trace} reaches everything that decodes in blocks: one recorded run of each function, option by option. */
class BlockCommandTest {
  /** The pipelines, and the authors' functions that are called like them. */
  private static final String DREAM = "dream";
  private static final String LLADA = "llada";

  /** Options that are called as their setting is recorded, or otherwise. */
  private static final List<String[]> OPTIONS = List.of(new String[] {"block_length", "--block-length"}, new String[] {"steps", "--steps"},
      new String[] {"threshold", "--threshold"}, new String[] {"factor", "--factor"}, new String[] {"eps", "--eps"},
      new String[] {"conf_threshold", "--threshold"}, new String[] {"kl_threshold", "--kl-threshold"},
      new String[] {"kl_history_length", "--kl-history"}, new String[] {"unmask_strategy", "--unmask"},
      new String[] {"threshold_back", "--threshold-back"}, new String[] {"gamma", "--gamma"}, new String[] {"error_proxy", "--order"},
      new String[] {"max_steps", "--steps"}, new String[] {"credit_alpha", "--credit-alpha"}, new String[] {"boost_gamma", "--boost-gamma"},
      new String[] {"decay_beta", "--decay-beta"}, new String[] {"low_threshold", "--low-threshold"},
      new String[] {"expected_tpf", "--expected-tpf"}, new String[] {"maximum_unroll", "--maximum-unroll"});

  /** The last run of each function: the first ones have the defaults. */
  static Stream<Arguments> runs() {
    return Stream.of("llada-eos", "dream").map(BlockGolden::named).flatMap(golden -> {
      Set<String> seen = new HashSet<>();
      return golden.runs().reversed().stream().filter(run -> !run.word("alg").equals("entropy") && !run.word("alg").equals("topk_margin")
          && seen.add(run.function())).map(run -> Arguments.of(golden, run.function(), run));
    });
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("runs")
  void canvasesOfATraceAreTheAuthors(BlockGolden golden, String function, BlockGolden.Run run, @TempDir Path folder) throws IOException {
    Path ids = Files.writeString(folder.resolve("ids.json"), Arrays.toString(run.prompt()));
    Path json = folder.resolve("trace.json");
    List<String> arguments = new ArrayList<>(List.of("trace", golden.file().toString(), "--ids-file", ids.toString(), "--json", json.toString(),
        "--max-new-tokens", String.valueOf(run.length()), "--threads", "1", "--pipeline", function.startsWith(DREAM) ? DREAM : LLADA));
    arguments.addAll(way(run));
    OPTIONS.stream().filter(option -> run.isSet(option[0])).forEach(option -> arguments.addAll(List.of(option[1], run.word(option[0]))));
    Outcome outcome = InProcess.dimple(arguments.toArray(String[]::new));
    assertThat(outcome.err()).isEmpty();
    JsonNode trace = new JsonMapper().readTree(json);
    List<int[]> canvases = trace.path("iterations").valueStream()
        .map(step -> step.path("tokens").valueStream().mapToInt(JsonNode::asInt).toArray()).toList();
    assertThat(canvases.toArray(int[][]::new)).as("%s", arguments).isDeepEqualTo(run.canvases().toArray(int[][]::new));
    boolean remasked = trace.path("iterations").valueStream().anyMatch(step -> step.has("remasked"));
    assertThat(remasked).isEqualTo(run.integer("remasked") > 0);
  }

  /** What the function is called on the command line. */
  private static List<String> way(BlockGolden.Run run) {
    return switch (run.function()) {
      case LLADA -> flags(run);
      case "fastdllm" -> List.of("--cache", "none");
      case "prefix", "dual" -> List.of("--cache", run.function());
      case "dream-prefix", "dream-dual" -> List.of("--cache", run.function().substring("dream-".length()), "--alg", run.word("alg"));
      case "klass", "dream-klass" -> List.of("--alg", "klass");
      case "eb" -> run.flag("mask_excluded") ? List.of("--alg", "entropy_bound", "--no-mask-logits") : List.of("--alg", "entropy_bound");
      case "dinfer-threshold" -> List.of("--alg", "credit", "--credit-alpha", "0");
      case "dinfer-credit" -> List.of("--alg", "credit");
      case "dinfer-hierarchy" -> run.isSet("low_threshold") ? List.of("--alg", "hierarchy") : List.of("--alg", "hierarchy", "--low-threshold", "0");
      case String name -> List.of("--alg", name);
    };
  }

  private static List<String> flags(BlockGolden.Run run) {
    List<String> flags = new ArrayList<>(List.of("--guidance-scale", run.word("cfg_scale")));
    if (run.flag("logits_eos_inf")) {
      flags.add("--no-eos-logits");
    }
    if (run.flag("confidence_eos_eot_inf")) {
      flags.add("--no-eos-confidence");
    }
    return flags;
  }
}
