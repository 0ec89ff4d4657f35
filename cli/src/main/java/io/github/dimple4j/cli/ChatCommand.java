package io.github.dimple4j.cli;

import io.github.dimple4j.CancelledException;
import io.github.dimple4j.ContextLimitException;
import io.github.dimple4j.Conversation;
import io.github.dimple4j.DimpleException;
import io.github.dimple4j.DimpleModel;
import io.github.dimple4j.Generation;
import io.github.dimple4j.Image;
import io.github.dimple4j.ImageException;
import io.github.dimple4j.Part;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code dimple chat}: a conversation of several turns. */
@Command(name = "chat", mixinStandardHelpOptions = true, description = "Talk with a model over several turns, about pictures or not.", footer = {"",
    "Reads a line a turn from standard input, in UTF-8, and answers it. A line that begins with / is a command: /help lists them. "
    + "^C stops an answer, and ends the program where none is under way, as ^D does."})
final class ChatCommand implements Callable<Integer> {
  private static final String HELP = """
      /image FILE    a picture for the next message; may be given several times
      /system TEXT   what the model is told to be; without a text, what its template says
      /reset         forget all turns
      /help          this list
      /quit          end; so do ^D, and ^C where no answer is under way
      //...          a message that begins with one /
      ^C             stop the answer; the question then does not count""";

  @Spec private CommandSpec spec;

  @Parameters(arity = "0..1", paramLabel = "MODEL.gguf", description = "The model; without one, the bundled dimple-mini.")
  private Path model;

  @Option(names = "--quiet", description = "Nothing but the answers on standard output: no live response, no prompt, and no figures.")
  private boolean quiet;

  @Mixin private PromptOptions.OfConversation promptOptions;

  @Mixin private CanvasOption canvasOption;

  @Mixin private DecodingOptions decodingOptions;

  @Mixin private StopOptions stopOptions;

  @Mixin private EngineOptions engine;

  private final List<Part> pictures = new ArrayList<>(); // for the next message
  private PrintWriter out;
  private PrintWriter err;
  private DimpleModel loaded;
  private Conversation conversation;
  private long loadNanos;
  private volatile boolean answering;

  @Override
  public Integer call() throws IOException {
    decodingOptions.check(model, false);
    stopOptions.check();
    engine.check();
    promptOptions.check();
    canvasOption.check();
    promptOptions.pictures().forEach(this::addPicture);
    out = spec.commandLine().getOut();
    err = spec.commandLine().getErr();
    long start = System.nanoTime();
    try (DimpleModel opened = engine.load(model != null ? model : BundledModel.find())) {
      loaded = opened;
      loadNanos = System.nanoTime() - start;
      decodingOptions.follow(opened);
      conversation = opened.conversation().system(promptOptions.system()).threads(engine.threads())
          .kvType(engine.kvType()).prefillCache(decodingOptions.prefill())
          .decoding(stopOptions.addTo(decodingOptions.decoding(), true));
      promptOptions.length().ifPresent(conversation::responseLength);
      canvasOption.addTo(conversation);
      ControlC.does(this::interrupt);
      talk();
    }
    return 0;
  }

  /** On a thread of its own. */
  private void interrupt() {
    if (answering) {
      conversation.cancel();
    } else {
      out.println();
      out.flush();
      Runtime.getRuntime().exit(0);
    }
  }

  private void talk() throws IOException {
    boolean asked = !quiet && Terminal.isTerminal(Terminal.STANDARD_INPUT);
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8.newDecoder()
        .onMalformedInput(CodingErrorAction.REPORT)));
    if (asked) {
      out.println("/help lists the commands.");
    }
    for (String line = next(lines, asked); line != null && !line.strip().equals("/quit"); line = next(lines, asked)) {
      if (line.startsWith("/") && !line.startsWith("//")) {
        obey(line.strip());
      } else if (!line.isBlank()) {
        say(line.startsWith("//") ? line.substring(1) : line);
      }
    }
  }

  private String next(BufferedReader lines, boolean asked) throws IOException {
    if (asked) {
      out.print("> ");
      out.flush();
    }
    String line = lines.readLine();
    if (line == null && asked) {
      out.println();
    }
    return line;
  }

  private void obey(String command) {
    int space = command.indexOf(' ');
    String argument = space < 0 ? "" : command.substring(space).strip();
    switch (space < 0 ? command : command.substring(0, space)) {
      case "/image" -> {
        if (argument.isEmpty()) {
          complain("/image needs a file");
          return;
        }
        try {
          addPicture(Path.of(argument));
        } catch (ImageException | InvalidPathException e) {
          complain(e.getMessage());
        }
      }
      case "/system" -> conversation.system(argument.isEmpty() ? null : argument);
      case "/reset" -> {
        conversation.reset();
        pictures.clear();
      }
      case "/help" -> out.println(HELP);
      default -> complain("there is no command " + command.split(" ", 2)[0] + "; /help lists them");
    }
    out.flush();
  }

  private void addPicture(Path file) {
    pictures.add(Image.read(file, promptOptions.imageOptions()));
  }

  private void say(String text) {
    List<Part> parts = new ArrayList<>(pictures);
    parts.add(Part.text(text));
    Terminal terminal = Terminal.ofStandardOutput();
    boolean shown = !quiet && terminal.interactive();
    answering = true;
    try {
      Generation answer = shown ? answerLive(parts, terminal) : conversation.ask(parts, step -> { });
      pictures.clear();
      out.println(shown ? CanvasFrame.printable(answer.text()) : answer.text());
      out.flush();
      if (!quiet) {
        err.println(Figures.line(answer, loadNanos, loaded.info().backend(), engine.effectiveThreads()));
      }
    } catch (CancelledException e) {
      complain("stopped; the question does not count");
    } catch (ContextLimitException e) {
      complain(e.getMessage() + "; /reset forgets what was said");
    } catch (DimpleException e) {
      complain(e.getMessage());
    } finally {
      answering = false;
    }
  }

  private Generation answerLive(List<Part> parts, Terminal terminal) {
    try (LiveCanvas canvas = new LiveCanvas(out, terminal)) {
      return conversation.ask(parts, canvas::show);
    }
  }

  /** What does not end the conversation. */
  private void complain(String problem) {
    out.flush();
    err.println("dimple: " + problem);
    err.flush();
  }
}
