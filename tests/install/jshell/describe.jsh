import module io.github.dimple4j
var model = DimpleModel.load(Path.of("model.gguf"))
System.out.println(model.ask("Describe this image.", Image.read(Path.of("picture.png"))).text())
/exit
