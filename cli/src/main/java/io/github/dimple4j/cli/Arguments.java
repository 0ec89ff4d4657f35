package io.github.dimple4j.cli;

import java.io.File;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParameterException;

/**
 * The command line as Java gives it to a program: decoded by the locale, with U+FFFD for what the locale's encoding has not. The launcher sees
 * to a locale whose encoding is UTF-8; {@code java -jar} runs in any. On Windows the system is asked once more ({@link WindowsArguments}).
 */
final class Arguments {
  private static final char REPLACEMENT = '\uFFFD';

  private Arguments() {}

  /** Not what was given, or no text. */
  static final class Lost extends Exception {
    private static final long serialVersionUID = 1;

    Lost(String message) {
      super(message);
    }
  }

  /**
   * The arguments as they were given.
   *
   * @param decoded as Java has them
   * @throws Lost if the first of them that the message names may be another one
   */
  static String[] given(String[] decoded) throws Lost {
    if (File.separatorChar == '\\') {
      return onWindows(decoded, WindowsArguments.commandLine());
    }
    Optional<String> problem = problem(decoded, Charset.forName(System.getProperty("sun.jnu.encoding"), StandardCharsets.US_ASCII));
    if (problem.isPresent()) {
      throw new Lost(problem.get());
    }
    return decoded;
  }

  /** The same on Windows, from the command line as the system has it. */
  static String[] onWindows(String[] decoded, Optional<String> line) throws Lost {
    String text = line.orElseThrow(() -> new Lost("arguments may be others than were given: Java decodes them by the system's code page, and the system may not be asked for "
        + "them; start Java with --enable-native-access=ALL-UNNAMED"));
    String[] given = WindowsArguments.given(decoded, text).orElseThrow(() -> new Lost("arguments may be others than were given: the command line has letters beyond ASCII, "
        + "which Java decodes by the system's code page, and does not say the same; put what has * or ? between quotation marks"));
    for (int i = 0; i < given.length; i++) {
      if (!StandardCharsets.UTF_16.newEncoder().canEncode(given[i])) {
        throw new Lost("argument " + (i + 1) + ", '" + given[i] + "', has half of a surrogate pair");
      }
    }
    return given;
  }

  /** What is wrong with the first argument that may be another one than was given, decoded by this encoding. */
  static Optional<String> problem(String[] arguments, Charset encoding) {
    boolean utf8 = encoding.equals(StandardCharsets.UTF_8);
    for (int i = 0; i < arguments.length; i++) {
      String argument = arguments[i];
      if (utf8 ? argument.indexOf(REPLACEMENT) >= 0 : argument.chars().anyMatch(c -> c > 127)) {
        return Optional.of("argument " + (i + 1) + ", '" + argument + "', " + (utf8 ? "has bytes that are no UTF-8"
            : "is not ASCII, and Java reads arguments as " + encoding + " here and not as UTF-8; start it with LC_ALL=C.UTF-8 in the environment, "
                + "as the launcher ./dimple does"));
      }
    }
    return Optional.empty();
  }

  /**
   * Refuses a value that is an option's name: in {@code --prompt --image x.png} the prompt is missing. {@code --prompt=--image} means it.
   *
   * @throws ParameterException that names both options
   */
  static void refuseSwallowedOptions(CommandLine line, String[] arguments) {
    CommandLine command = line;
    for (int i = 0; i + 1 < arguments.length && !arguments[i].equals("--"); i++) {
      OptionSpec option = option(command, arguments[i]);
      if (option == null) {
        command = command.getSubcommands().getOrDefault(arguments[i], command);
      } else if (option.arity().min() > 0 && option(command, arguments[i + 1]) != null) {
        throw new ParameterException(command, "Option '" + arguments[i] + "' needs a value and is followed by '" + arguments[i + 1] + "'; "
            + arguments[i] + "=" + arguments[i + 1] + " makes that its value");
      }
    }
  }

  /** The option of this name, with its dashes: picocli's own search finds one for {@code seed}, too. Null: none. */
  private static OptionSpec option(CommandLine command, String name) {
    CommandSpec spec = command.getCommandSpec();
    return spec.optionsMap().getOrDefault(name, spec.negatedOptionsMap().get(name));
  }
}
