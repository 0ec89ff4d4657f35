package io.github.dimple4j.cli;

import io.github.dimple4j.Decoding;
import io.github.dimple4j.DimpleModel;
import io.github.dimple4j.Generation;
import io.github.dimple4j.Image;
import io.github.dimple4j.Session;
import io.github.dimple4j.SessionBuilder;
import io.github.dimple4j.Step;
import io.github.dimple4j.Template;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.Optional;
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
    "Prints the answer and then one line of figures. On a terminal the response is shown while it fills in. A template fixes "
    + "parts of the answer: --response-template '{\"shape\": \"{{slot:6}}\", \"colour\": \"{{slot:4}}\"}'; a slot is a number of tokens."})
final class RunCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Parameters(arity = "0..1", paramLabel = "MODEL.gguf", description = "The model; without one, the bundled dimple-mini.")
  private Path model;

  @Option(names = "--prompt", required = true, paramLabel = "TEXT", description = "The question.")
  private String prompt;

  @Option(names = "--system", paramLabel = "TEXT", description = "The system message (default: that of the model's chat template).")
  private String system;

  @Option(names = "--max-new-tokens", paramLabel = "N",
      description = "Length of the response (default: 64, or that of the template).")
  private Integer maxNewTokens;

  @Option(names = "--response-template", paramLabel = "TEXT", converter = SlotTemplate.class,
      description = "The answer with {{slot:N}} where the model fills in N tokens.")
  private Template template;

  @Option(names = "--live", negatable = true, defaultValue = "true", fallbackValue = "true",
      description = "On a terminal, show the response while it fills in (the default) or not.")
  private boolean live;

  @Mixin private DecodingOptions decodingOptions;

  @Mixin private EngineOptions engine;

  @Override
  public Integer call() throws IOException {
    decodingOptions.check();
    engine.check();
    if (maxNewTokens != null && maxNewTokens < 1) {
      throw new ParameterException(spec.commandLine(), "Invalid value for option '--max-new-tokens': " + maxNewTokens + ", expected 1 or more");
    }
    Decoding decoding = decodingOptions.decoding();
    Image[] images = engine.readImages();
    Path file = model != null ? model : BundledModel.find();
    PrintWriter out = spec.commandLine().getOut();
    long start = System.nanoTime();
    try (DimpleModel loaded = engine.load(file)) {
      long loadNanos = System.nanoTime() - start;
      try (Session session = session(loaded, images)) {
        Terminal terminal = Terminal.ofStandardOutput();
        boolean shown = live && terminal.interactive();
        Generation answer = shown ? decodeLive(session, decoding, terminal, out) : session.decode(decoding);
        out.println(shown ? CanvasFrame.printable(answer.text()) : answer.text());
        out.println(Figures.line(answer, loadNanos, loaded.info().backend(), engine.effectiveThreads()));
        out.flush();
      }
    }
    return 0;
  }

  private Session session(DimpleModel loaded, Image[] images) {
    SessionBuilder builder = loaded.session().user(prompt, images).prefillCache(decodingOptions.prefill()).threads(engine.threads());
    Optional.ofNullable(system).ifPresent(builder::system);
    Optional.ofNullable(template).ifPresent(builder::response);
    Optional.ofNullable(maxNewTokens).ifPresent(builder::responseLength);
    return builder.open();
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
