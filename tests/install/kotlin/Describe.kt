import io.github.dimple4j.DimpleModel
import io.github.dimple4j.Image
import java.nio.file.Path

fun main(files: Array<String>) {
  DimpleModel.load(Path.of(files[0])).use { model ->
    println(model.ask("Describe this image.", Image.read(Path.of(files[1]))).text())
  }
}
