package io.github.dimple4j.cli;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Supplier;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;

/**
 * The {@code dimple} command: {@code run}, {@code chat}, {@code trace}, {@code logits}, {@code eval}, {@code score}, {@code batch}, {@code bench},
 * {@code serve}, {@code devices}, {@code schema}, {@code pull} and {@code gguf}.
 */
@Command(name = "dimple", mixinStandardHelpOptions = true, versionProvider = DimpleCommand.Version.class,
    description = "Run masked-diffusion language models on pictures and text.",
    exitCodeListHeading = "%nExit status:%n",
    exitCodeList = {"0:done", "1:the work failed; one line on standard error says why", "2:wrong usage",
        "141:whoever read standard output has gone, as of a program that SIGPIPE ends"})
public final class DimpleCommand implements Runnable {
  @Option(names = "--debug", scope = ScopeType.INHERIT, description = "Show the stack trace of a failure.")
  private boolean debug;

  @Spec private CommandSpec spec;

  /** The commands by name. Reading the annotations of all of them would take as long as answering with a small model. */
  private static final Map<String, Supplier<Object>> COMMANDS = new LinkedHashMap<>();

  static {
    COMMANDS.put("run", RunCommand::new);
    COMMANDS.put("chat", ChatCommand::new);
    COMMANDS.put("trace", TraceCommand::new);
    COMMANDS.put("logits", LogitsCommand::new);
    COMMANDS.put("eval", EvalCommand::new);
    COMMANDS.put("score", ScoreCommand::new);
    COMMANDS.put("batch", BatchCommand::new);
    COMMANDS.put("bench", BenchCommand::new);
    COMMANDS.put("serve", ServeCommand::new);
    COMMANDS.put("devices", DevicesCommand::new);
    COMMANDS.put("schema", SchemaCommand::new);
    COMMANDS.put("pull", PullCommand::new);
    COMMANDS.put("gguf", GgufCommand::new);
  }

  private DimpleCommand() {}

  /** The version of the jar. */
  static final class Version implements IVersionProvider {
    @Override
    public String[] getVersion() {
      String version = DimpleCommand.class.getPackage().getImplementationVersion();
      return new String[] {"dimple " + (version == null ? "(not packaged)" : version)};
    }
  }

  /**
   * Runs the command line and ends the program with its exit status.
   *
   * @param arguments the command line
   */
  public static void main(String[] arguments) {
    StandardStream output = StandardStream.output();
    StandardStream error = StandardStream.error();
    PrintWriter out = output.writer(false);
    PrintWriter err = error.writer(true);
    int status;
    try {
      status = execute(out, err, Arguments.given(arguments));
    } catch (Arguments.Lost e) {
      status = Failures.wrongUsage(e.getMessage(), err);
    }
    out.flush();
    status = output.status(status, err);
    System.exit(error.status(status, err));
  }

  /** Runs the command line on given streams and returns the exit status. */
  static int execute(PrintWriter out, PrintWriter err, String... arguments) {
    DimpleCommand root = new DimpleCommand();
    CommandLine line = new CommandLine(root);
    boolean named = arguments.length > 0 && COMMANDS.containsKey(arguments[0]);
    COMMANDS.forEach((name, command) -> {
      if (!named || name.equals(arguments[0])) {
        line.addSubcommand(name, command.get());
      }
    });
    line.setOut(out).setErr(err)
        .setExpandAtFiles(false) // an argument is what it says: a prompt may begin with @
        .setAllowOptionsAsOptionParameters(true) // --prompt=--image; without "=" it is refused below
        .registerConverter(Path.class, DimpleCommand::fileName)
        .setExecutionStrategy(DimpleCommand::executeLast)
        .setParameterExceptionHandler(Failures::wrongUsage)
        .setExecutionExceptionHandler((exception, command, parsed) -> Failures.report(exception, err, root.debug));
    try {
      Arguments.refuseSwallowedOptions(line, arguments);
      return line.execute(arguments);
    } catch (ParameterException e) {
      return Failures.wrongUsage(e, arguments);
    } catch (OutOfMemoryError | StackOverflowError | LinkageError e) { // picocli handles exceptions only
      return Failures.report(e, err, root.debug);
    }
  }

  private static int executeLast(ParseResult parsed) {
    if (!parsed.isUsageHelpRequested() && !parsed.isVersionHelpRequested()) {
      OverwrittenInputs.refuse(parsed);
    }
    return new CommandLine.RunLast().execute(parsed);
  }

  /** An empty one would be the working directory, and comes from an unset variable of a shell. */
  private static Path fileName(String text) {
    if (text.isEmpty()) {
      throw new TypeConversionException("'' is not a file name");
    }
    return Path.of(text);
  }

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "Missing command: one of " + String.join(", ", COMMANDS.keySet()));
  }

  /** The exit status of a command whose work failed. */
  static final int FAILED = ExitCode.SOFTWARE;
}
