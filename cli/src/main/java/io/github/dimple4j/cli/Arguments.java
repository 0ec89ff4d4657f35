package io.github.dimple4j.cli;

import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import picocli.CommandLine;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParameterException;

/**
 * The command line as Java gives it to a program: decoded by the locale, with U+FFFD for what the locale's encoding has not. The launcher sees
 * to a locale whose encoding is UTF-8; {@code java -jar} runs in any.
 */
final class Arguments {
  private static final char REPLACEMENT = '\uFFFD';

  private Arguments() {}

  /** What is wrong with the first argument that may be another one than was given. */
  static Optional<String> problem(String[] arguments) {
    return problem(arguments, Charset.forName(System.getProperty("sun.jnu.encoding"), StandardCharsets.US_ASCII));
  }

  /** The same for an encoding that the arguments were decoded by. */
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
      OptionSpec option = command.getCommandSpec().findOption(arguments[i]);
      if (option == null) {
        command = command.getSubcommands().getOrDefault(arguments[i], command);
      } else if (option.arity().min() > 0 && command.getCommandSpec().findOption(arguments[i + 1]) != null) {
        throw new ParameterException(command, "Option '" + arguments[i] + "' needs a value and is followed by '" + arguments[i + 1] + "'; "
            + arguments[i] + "=" + arguments[i + 1] + " makes that its value");
      }
    }
  }
}
