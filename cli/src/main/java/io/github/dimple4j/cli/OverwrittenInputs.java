package io.github.dimple4j.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;

/**
 * Files that a command reads and is to write, too: a model, or the questions, would be lost to the answers. Whatever option or parameter names a
 * file counts. The commands of {@code gguf} are left out, which replace no file unless they are told to.
 */
final class OverwrittenInputs {
  private static final Set<String> OUTPUTS = Set.of("--json", "--html", "--output");

  private OverwrittenInputs() {}

  /** Fails if a file is written twice, or read and written. */
  static void refuse(ParseResult whole) {
    ParseResult parsed = whole;
    while (parsed.hasSubcommand()) {
      parsed = parsed.subcommand();
      if (parsed.commandSpec().name().equals("gguf")) {
        return;
      }
    }
    Map<Path, String> outputs = new LinkedHashMap<>();
    for (ArgSpec argument : parsed.matchedArgs()) {
      String name = name(argument);
      for (Path file : OUTPUTS.contains(name) ? written(argument) : List.<Path>of()) {
        refuse(parsed, outputs, file, name);
        outputs.put(file, name);
      }
    }
    for (ArgSpec argument : parsed.matchedArgs()) {
      String name = name(argument);
      for (Path file : OUTPUTS.contains(name) ? List.<Path>of() : read(argument)) {
        refuse(parsed, outputs, file, name);
      }
    }
    refuseBundledModel(parsed, outputs);
  }

  /** Of a command to which no model was given, the one that it takes then is read, too. */
  private static void refuseBundledModel(ParseResult parsed, Map<Path, String> outputs) {
    for (PositionalParamSpec parameter : parsed.commandSpec().positionalParameters()) {
      if (parameter.paramLabel().contains("MODEL") && parsed.matchedArgs().stream().noneMatch(parameter::equals)) {
        try {
          refuse(parsed, outputs, BundledModel.find(), "the model");
        } catch (NoSuchFileException e) {
          return; // the command says so
        }
      }
    }
  }

  private static void refuse(ParseResult parsed, Map<Path, String> outputs, Path file, String name) {
    outputs.forEach((output, option) -> {
      if (same(output, file)) {
        throw new ParameterException(parsed.commandSpec().commandLine(), output + ": is both " + name + " and " + option);
      }
    });
  }

  /** A device or a pipe may be both. */
  private static boolean same(Path output, Path file) {
    try {
      return Files.exists(output) ? Files.isRegularFile(output) && Files.exists(file) && Files.isSameFile(output, file)
          : output.toAbsolutePath().normalize().equals(file.toAbsolutePath().normalize());
    } catch (IOException e) {
      return false; // whoever opens it says why
    }
  }

  private static String name(ArgSpec argument) {
    return argument instanceof OptionSpec option ? option.longestName() : ((PositionalParamSpec) argument).paramLabel();
  }

  private static List<Path> written(ArgSpec argument) {
    return argument.stringValues().stream().filter(name -> !name.isEmpty() && !name.equals("-")).map(Path::of).toList();
  }

  private static List<Path> read(ArgSpec argument) {
    List<Path> files = new ArrayList<>();
    for (Object value : argument.typedValues()) {
      for (Object each : value instanceof Collection<?> several ? several : List.of(value)) {
        if (each instanceof Path file) {
          files.add(EngineOptions.file(file));
        } else if (each instanceof TextSource text && !text.isStandardInput()) {
          files.add(Path.of(text.name()));
        } else if (each instanceof SchemaText schema) {
          schema.file().ifPresent(files::add);
        }
      }
    }
    return files;
  }
}
