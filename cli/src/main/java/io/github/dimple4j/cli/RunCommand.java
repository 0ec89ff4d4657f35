package io.github.dimple4j.cli;

import io.github.dimple4j.Decoding;
import io.github.dimple4j.DimpleModel;
import io.github.dimple4j.Generation;
import io.github.dimple4j.Image;
import io.github.dimple4j.Session;
import io.github.dimple4j.SessionBuilder;
import io.github.dimple4j.Step;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code dimple run}: an answer for people. */
@Command(name = "run", mixinStandardHelpOptions = true, description = "Answer a question, about pictures or not.", footer = {"",
    "Prints the answer, and one line of figures on standard error. On a terminal the response is shown while it fills in. A template fixes "
    + "parts of the answer: --response-template '{\"shape\": \"{{slot:6}}\", \"colour\": \"{{slot:4}}\"}'; a slot is a number of tokens."})
final class RunCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Parameters(arity = "0..1", paramLabel = "MODEL.gguf", description = "The model; without one, the bundled dimple-mini.")
  private Path model;

  @Option(names = "--live", negatable = true, defaultValue = "true", fallbackValue = "true",
      description = "On a terminal, show the response while it fills in (the default) or not.")
  private boolean live;

  @Option(names = "--quiet", description = "Nothing but the answer on standard output, on a terminal too: no live response.")
  private boolean quiet;

  @Mixin private PromptOptions.OfText promptOptions;

  @Mixin private CanvasOption canvasOption;

  @Mixin private StructureOptions structureOptions;

  @Mixin private DecodingOptions decodingOptions;

  @Mixin private StopOptions stopOptions;

  @Mixin private EngineOptions engine;

  @Override
  public Integer call() throws IOException {
    if (quiet && live && spec.commandLine().getParseResult().hasMatchedOption("--live")) {
      throw new ParameterException(spec.commandLine(), "--live does not go with --quiet");
    }
    decodingOptions.check(model, structureOptions.isGiven());
    stopOptions.check();
    engine.check();
    promptOptions.check();
    canvasOption.check();
    structureOptions.read();
    Prompt prompt = structureOptions.hold(promptOptions.prompt());
    Image[] images = prompt.readImages(promptOptions.imageOptions());
    Path file = model != null ? model : BundledModel.find();
    PrintWriter out = spec.commandLine().getOut();
    long start = System.nanoTime();
    try (DimpleModel loaded = engine.load(file)) {
      long loadNanos = System.nanoTime() - start;
      decodingOptions.follow(loaded);
      Decoding decoding = stopOptions.addTo(decodingOptions.decoding(), true);
      SessionBuilder builder = decodingOptions.fit(prompt.session(loaded, images)).threads(engine.threads())
          .kvType(engine.kvType());
      try (Session session = canvasOption.addTo(builder).open()) {
        Terminal terminal = Terminal.ofStandardOutput();
        boolean shown = live && !quiet && terminal.interactive();
        Generation answer = shown ? decodeLive(session, decoding, terminal, out) : session.decode(decoding);
        out.println(shown ? CanvasFrame.printable(answer.text()) : answer.text());
        out.flush();
        answer.thinking().lines().forEach(thought -> spec.commandLine().getErr().println("thought: " + CanvasFrame.printable(thought)));
        spec.commandLine().getErr().println(Figures.line(answer, loadNanos, loaded.info().backend(), engine.effectiveThreads()));
      }
    }
    return 0;
  }

  private static Generation decodeLive(Session session, Decoding decoding, Terminal terminal, PrintWriter out) {
    try (LiveCanvas canvas = new LiveCanvas(out, terminal)) {
      for (Step step : session.steps(decoding)) {
        canvas.show(step);
      }
    }
    return session.generation();
  }
}
