package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Templates that know no pictures, of models whose pictures are spelled in the text: LLaVA's on one line, before what is said. */
class PicturePlaceholderTest {
  /** As LLaDA-V's: what is said is one string. */
  private static final String TEMPLATE = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] | trim + '<|im_end|>' }}"
      + "{% endfor %}{{ '<|im_start|>assistant\\n' }}";

  @TempDir private Path folder;

  @Test
  void picturesAreALineOfTheirOwn() throws IOException {
    TinyModel tiny = TinyModel.ofText().withVision();
    String[] tokens = TinyModel.vocabulary().toArray(String[]::new);
    tokens[TinyModel.IMAGE] = "<image>";
    Path file = tiny.put("tokenizer.ggml.tokens", tokens).put("tokenizer.chat_template", TEMPLATE).write(folder.resolve("model.gguf"));
    Image picture = Image.rgb(new byte[3 * 84 * 56], 84, 56);
    try (DimpleModel model = DimpleModel.load(file); Session session = model.session().user("cat <image> dog", picture, picture).responseLength(4).open()) {
      int many = model.imageGrid(84, 56).tokens();
      assertThat(IntStream.of(session.promptTokens()).filter(id -> id == TinyModel.IMAGE).count()).as("what is said is no picture").isEqualTo(2L * many);
      int[] once = IntStream.range(0, session.promptTokens().length).filter(i -> i == 0 || session.promptTokens()[i] != TinyModel.IMAGE
          || session.promptTokens()[i - 1] != TinyModel.IMAGE).map(i -> session.promptTokens()[i]).toArray();
      assertThat(model.tokenizer().decode(once, true)).contains("user\n<image> <image>\ncat <image> dog<|im_end|>");
    }
  }
}
