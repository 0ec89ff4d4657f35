package io.github.dimple4j.cli;

import io.github.dimple4j.DimpleException;
import io.github.dimple4j.file.Printable;
import io.github.dimple4j.gguf.GgufException;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.InvalidPathException;
import java.nio.file.NoSuchFileException;
import picocli.CommandLine;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;

/** One line on standard error for whatever goes wrong. */
final class Failures {
  /** What picocli puts in front of the messages about option groups only. */
  private static final String GROUP_ERROR = "Error: ";

  private Failures() {}

  /** Wrong usage: what is wrong, and where help is. */
  static int wrongUsage(ParameterException exception, String[] arguments) {
    CommandLine command = exception.getCommandLine();
    String message = oneLine(exception.getMessage());
    message = message.startsWith(GROUP_ERROR) ? message.substring(GROUP_ERROR.length()) : message;
    command.getErr().println("dimple: " + message + " (see " + command.getCommandSpec().qualifiedName() + " --help)");
    return ExitCode.USAGE;
  }

  /** Wrong usage: what is wrong, before there is a command. */
  static int wrongUsage(String problem, PrintWriter err) {
    err.println("dimple: " + oneLine(problem));
    return ExitCode.USAGE;
  }

  /** Wrong usage: a value that an option does not take, in the words that picocli has for it. */
  static ParameterException invalidValue(CommandSpec command, String option, String problem) {
    return new ParameterException(command.commandLine(), "Invalid value for option '" + option + "': " + problem);
  }

  /** Work that failed. */
  static int report(Throwable failure, PrintWriter err, boolean debug) {
    if (debug) {
      failure.printStackTrace(err);
    }
    err.println("dimple: " + describe(failure));
    return DimpleCommand.FAILED;
  }

  /** What went wrong, in one line that names the thing. */
  static String describe(Throwable failure) {
    return oneLine(switch (failure) {
      case DimpleException e -> e.getMessage();
      case GgufException e -> e.getMessage();
      case UncheckedIOException e -> describe(e.getCause());
      case NoSuchFileException e -> e.getFile() + ": " + (e.getReason() == null ? "no such file or directory" : e.getReason());
      case AccessDeniedException e -> e.getFile() + ": access denied";
      case FileAlreadyExistsException e when e.getReason() == null -> e.getFile() + ": exists already";
      case FileSystemException e -> e.getMessage();
      case InvalidPathException e -> e.getInput() + ": no valid file name in this locale";
      case CharacterCodingException e -> "the text read is no UTF-8";
      case IOException e when e.getMessage() != null -> e.getMessage();
      case OutOfMemoryError e when e.getMessage() != null && e.getMessage().startsWith("Required array size") ->
          "a file is too large to be read at once (--debug shows which)";
      case OutOfMemoryError e -> "not enough memory for the Java heap (" + e.getMessage() + "); -Xmx in JAVA_TOOL_OPTIONS makes it larger";
      default -> "unexpected " + failure + " (--debug shows where)";
    });
  }

  static String oneLine(String message) {
    return message == null ? "failed without a message" : Printable.line(message.strip());
  }
}
