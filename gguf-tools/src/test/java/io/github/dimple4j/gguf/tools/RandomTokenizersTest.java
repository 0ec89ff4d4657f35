package io.github.dimple4j.gguf.tools;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.dimple4j.chat.ChatMessage;
import io.github.dimple4j.chat.ChatTemplate;
import io.github.dimple4j.chat.Tool;
import io.github.dimple4j.gguf.GgufException;
import io.github.dimple4j.tokenizer.ModelTokenizer;
import io.github.dimple4j.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Tokenizers of checkpoints at random, beside what the transformers library makes of them: tests/peers/random_tokenizers.py writes such folders, and {@code -Ddimple.tokenizers=FOLDER}
 * names others than those of the resources (12, of seed 9).
 */
class RandomTokenizersTest {
  private static final Path FOLDERS = Path.of(System.getProperty("dimple.tokenizers", "src/test/resources/io/github/dimple4j/gguf/tools/tokenizers"));
  private static final JsonMapper JSON = new JsonMapper();
  private static final List<ChatMessage> TALK = List.of(ChatMessage.of("user", "hi"), ChatMessage.of("assistant", "yo"), ChatMessage.of("user", "q"));
  private static final Tool TOOL = new Tool("f", "d", "{\"type\": \"object\", \"properties\": {}}");

  @Test
  void areTheLibrarys() throws IOException {
    List<String> differences = new ArrayList<>();
    int compared = 0;
    int all = 0;
    try (Stream<Path> folders = Files.list(FOLDERS)) {
      for (Path folder : folders.sorted().toList()) {
        all++;
        try {
          compare(folder, differences);
          compared++;
        } catch (GgufException e) { // by its name; everything else is done
          assertThat(e).as(folder.toString()).hasMessageContaining("its post-processor puts");
        }
      }
    }
    assertThat(differences).isEmpty();
    assertThat(compared).isGreaterThan(all / 2);
  }

  private static void compare(Path folder, List<String> differences) throws IOException {
    JsonNode expected = JSON.readTree(Files.readAllBytes(folder.resolve("expected.json")));
    ModelTokenizer read = TokenizerReader.read(folder);
    Tokenizer tokenizer = Tokenizer.of(read.data());
    Map<String, Integer> ids = Map.of("bos", tokenizer.bosId(), "eos", tokenizer.eosId(), "pad", tokenizer.padId(), "mask", tokenizer.maskId());
    Map<String, Object> names = new HashMap<>();
    ids.forEach((name, id) -> {
      differ(differences, folder + " " + name, expected.get(name + "_id").asInt(-1), id);
      if (id >= 0) {
        names.put(name + "_token", tokenizer.token(id));
      }
    });
    for (int i = 0; i < expected.get("texts").size(); i++) {
      int[] theirs = expected.get("ids").get(i).valueStream().mapToInt(JsonNode::asInt).toArray();
      boolean twice = theirs.length > 1 && theirs[0] == tokenizer.bosId() && theirs[1] == tokenizer.bosId(); // a beginning that a text brings is the only one here
      int[] wanted = twice && read.data().addBos() ? Arrays.copyOfRange(theirs, 1, theirs.length) : theirs;
      String text = expected.get("texts").get(i).asString();
      differ(differences, folder + " " + text, IntStream.of(wanted).boxed().toList(), IntStream.of(tokenizer.encodePrompt(text)).boxed().toList());
    }
    Optional<ChatTemplate> template = read.chatTemplate().map(ChatTemplate::parse).map(usual -> read.toolTemplate().map(source -> usual.withTools(ChatTemplate.parse(source))).orElse(usual));
    differ(differences, folder + " without tools", Optional.ofNullable(expected.get("chat")).map(JsonNode::asString), template.map(written -> written.ownPrompt(TALK, List.of(), false, names).text()));
    differ(differences, folder + " with tools", Optional.ofNullable(expected.get("chat_with_tools")).map(JsonNode::asString),
        template.map(written -> written.ownPrompt(TALK, List.of(TOOL), false, names).text()));
  }

  private static void differ(List<String> differences, String what, Object theirs, Object ours) {
    if (!theirs.equals(ours)) {
      differences.add(what + ": " + theirs + ", here " + ours);
    }
  }
}
