import io.github.dimple4j.DimpleModel;
import io.github.dimple4j.Image;
import java.nio.file.Path;

class Describe {
  public static void main(String[] files) {
    try (var model = DimpleModel.load(Path.of(files[0]))) {
      System.out.println(model.ask("Describe this image.", Image.read(Path.of(files[1]))).text());
    }
  }
}
