package io.github.dimple4j.server;

import java.util.Map;
import java.util.Set;
import tools.jackson.databind.JsonNode;

/**
 * Fields of a request that are none of this server's. Those that say nothing to a diffusion model are passed over, and those of other servers
 * where their value asks for nothing; any other one is refused by name, for the answer would be another one than was asked for.
 */
final class OtherFields {
  /** What says who asks, what is kept of an answer and how soon it comes, and how much a model is to think or to say. */
  static final Set<String> IGNORED = Set.of("user", "store", "metadata", "service_tier", "safety_identifier", "prompt_cache_key",
      "prompt_cache_retention", "prompt_cache_options", "prediction", "reasoning_effort", "reasoning", "verbosity", "cache_prompt", "id_slot",
      "slot_id", "keep_alive", "request_id", "priority", "timings_per_token", "return_progress");

  /** Values that ask for nothing, as JSON. */
  private static final Map<String, Set<String>> NOTHING = Map.ofEntries(Map.entry("top_k", Set.of("0", "-1")), Map.entry("min_p", Set.of("0")),
      Map.entry("typical_p", Set.of("1")), Map.entry("repetition_penalty", Set.of("1")), Map.entry("repeat_penalty", Set.of("1")),
      Map.entry("length_penalty", Set.of("1")), Map.entry("best_of", Set.of("1")), Map.entry("use_beam_search", Set.of("false")),
      Map.entry("echo", Set.of("false")), Map.entry("suffix", Set.of("\"\"")), Map.entry("ignore_eos", Set.of("false")),
      Map.entry("min_tokens", Set.of("0")), Map.entry("stop_token_ids", Set.of("[]")), Map.entry("bad_words", Set.of("[]")),
      Map.entry("include_stop_str_in_output", Set.of("false")), Map.entry("skip_special_tokens", Set.of("true")),
      Map.entry("spaces_between_special_tokens", Set.of("true")), Map.entry("add_generation_prompt", Set.of("true")),
      Map.entry("continue_final_message", Set.of("false")), Map.entry("add_special_tokens", Set.of("false")),
      Map.entry("documents", Set.of("[]")), Map.entry("enable_thinking", Set.of("false")), Map.entry("tools", Set.of("[]")),
      Map.entry("tool_choice", Set.of("\"none\"", "\"auto\"")), Map.entry("parallel_tool_calls", Set.of("true", "false")));

  private static final String STRUCTURE = "use response_format";

  /** What does here what such a field does elsewhere. */
  private static final Map<String, String> INSTEAD = Map.of("top_k", "use diffusion.top_k", "guided_json", STRUCTURE, "guided_regex", STRUCTURE,
      "guided_choice", STRUCTURE, "guided_grammar", STRUCTURE, "structured_outputs", STRUCTURE, "json_schema", STRUCTURE, "grammar", STRUCTURE,
      "functions", "use tools", "function_call", "use tool_choice");

  private OtherFields() {}

  /** To be called when all fields that there are have been asked for. */
  static void refuse(Fields request) {
    for (String name : request.unread()) {
      boolean nothing = IGNORED.contains(name) || NOTHING.getOrDefault(name, Set.of()).contains(spelled(request.node().get(name)));
      if (!nothing && INSTEAD.containsKey(name)) {
        request.refuse(name, INSTEAD.get(name));
      }
      if (!nothing) {
        throw request.unknown(name);
      }
    }
  }

  /** A number with its exponent: written out it could be a gigabyte. */
  private static String spelled(JsonNode value) {
    return value.isNumber() ? value.decimalValue().stripTrailingZeros().toString() : Json.text(value);
  }
}
