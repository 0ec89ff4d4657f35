package io.github.dimple4j.gguf.tools;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.dimple4j.DimpleModel;
import io.github.dimple4j.Generation;
import io.github.dimple4j.InvalidArgumentException;
import io.github.dimple4j.ModelOptions;
import io.github.dimple4j.Session;
import io.github.dimple4j.gguf.GgufException;
import io.github.dimple4j.gguf.GgufFile;
import io.github.dimple4j.gguf.GgufWriter;
import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.TensorInfo;
import io.github.dimple4j.tokenizer.ModelTokenizer;
import io.github.dimple4j.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The bundled model without its tokenizer, given it again from elsewhere, is the bundled model. */
class TokenizerReaderTest {
  private static final Path MINI = Path.of("../models/mini/dimple-mini-f16.gguf");
  private static final Path GOLDENS = Path.of("../java/src/test/resources/io/github/dimple4j/tokenizer");

  @TempDir private Path folder;

  /** The same file without tokens, template and what belongs to them, but for the ids that a model without a tokenizer needs. */
  private Path bare() throws IOException {
    Path target = folder.resolve("bare.gguf");
    try (GgufFile file = GgufFile.open(MINI)) {
      Map<String, MetadataValue> keys = new LinkedHashMap<>(file.metadata());
      keys.keySet().removeIf(key -> key.startsWith("tokenizer.") && !key.endsWith("_token_id"));
      keys.remove("general.alignment"); // which the writer says itself
      List<GgufWriter.Plan> plans = file.tensors().stream()
          .map(tensor -> new GgufWriter.Plan(tensor.name(), tensor.type().orElseThrow(), tensor.dimensions())).toList();
      try (GgufWriter writer = new GgufWriter(target, keys, plans, false)) {
        for (int i = 0; i < plans.size(); i++) {
          TensorInfo tensor = file.tensors().get(i);
          ByteBuffer bytes = ByteBuffer.allocate((int) tensor.size());
          file.read(tensor, 0, bytes);
          writer.write(bytes.flip());
        }
        writer.commit();
      }
    }
    return target;
  }

  private static String answer(DimpleModel model) {
    try (Session session = model.session().user("Say something.").responseLength(16).open()) {
      Generation generation = session.decode(model.decoding());
      return generation.text() + generation.finish();
    }
  }

  @Test
  void aFileWithoutATokenizerIsGivenOne() throws IOException {
    ModelTokenizer tokenizer = TokenizerReader.read(MINI);
    assertThat(tokenizer.chatTemplate()).isPresent();
    try (DimpleModel whole = DimpleModel.load(MINI);
        DimpleModel given = DimpleModel.load(bare(), ModelOptions.builder().tokenizer(tokenizer).build())) {
      assertThat(given.hasTokenizer()).isTrue();
      assertThat(given.endTokenIds()).isEqualTo(whole.endTokenIds());
      assertThat(answer(given)).isEqualTo(answer(whole));
    }
  }

  @Test
  void whatDoesNotFitIsRefused() throws IOException {
    ModelTokenizer tokenizer = TokenizerReader.read(MINI);
    assertThatThrownBy(() -> DimpleModel.load(MINI, ModelOptions.builder().tokenizer(tokenizer).build())).isInstanceOf(InvalidArgumentException.class)
        .hasMessageContaining("has a tokenizer of its own");
    Path bare = bare();
    ModelTokenizer larger = TokenizerReader.read(GOLDENS.resolve("gemma4"));
    assertThatThrownBy(() -> DimpleModel.load(bare, ModelOptions.builder().tokenizer(larger).build())).isInstanceOf(InvalidArgumentException.class)
        .hasMessageContaining("and the tokenizer given " + larger.data().tokens().size());
    ModelTokenizer another = TokenizerReader.read(TestCheckpoint.GOLDENS.resolve("sdar"));
    assertThatThrownBy(() -> DimpleModel.load(bare, ModelOptions.builder().tokenizer(another).build())).isInstanceOf(InvalidArgumentException.class)
        .hasMessageContaining("has the mask token 639, and the tokenizer given 603");
    assertThatThrownBy(() -> TokenizerReader.read(bare)).isInstanceOf(GgufException.class).hasMessageContaining("has no tokenizer");
    assertThatThrownBy(() -> TokenizerReader.read(folder)).isInstanceOf(GgufException.class).hasMessageContaining("has neither tokenizer.json nor vocab.json");
    Path renamed = Files.copy(GOLDENS.resolve("gemma4").resolve("tokenizer.json"), folder.resolve("other.json"));
    assertThatThrownBy(() -> TokenizerReader.read(renamed)).isInstanceOf(GgufException.class).hasMessageContaining(renamed + " is not a GGUF file").hasMessageContaining("a file tokenizer.json");
    Path model = Files.copy(MINI, folder.resolve("model.json"));
    assertThat(TokenizerReader.read(model).data().tokens().size()).isEqualTo(tokenizer.data().tokens().size());
  }

  /** A directory, and the file in it; its ids end where its tokens do. */
  @Test
  void directoriesAndFilesInThem() throws IOException {
    int size = Files.readAllLines(GOLDENS.resolve("vocabulary-gemma4.txt")).size();
    for (Path path : List.of(GOLDENS.resolve("gemma4"), GOLDENS.resolve("gemma4").resolve("tokenizer.json"))) {
      Tokenizer tokenizer = Tokenizer.of(TokenizerReader.read(path).data());
      assertThat(tokenizer.size()).isEqualTo(size);
      assertThat(tokenizer.decode(tokenizer.encode("a blank é"))).isEqualTo("a blank é");
    }
  }
}
