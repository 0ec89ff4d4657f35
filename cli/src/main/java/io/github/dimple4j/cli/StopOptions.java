package io.github.dimple4j.cli;

import io.github.dimple4j.Decoding;
import io.github.dimple4j.InvalidArgumentException;
import java.util.List;
import java.util.regex.Matcher;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;
import tools.jackson.core.JsonGenerator;

/** When a decoding ends before its schedule does. */
final class StopOptions {
  @Spec(Spec.Target.MIXEE) private CommandSpec spec;

  @Option(names = "--stop", paramLabel = "TEXT", description = "End the answer before this text; may be given several times.")
  private List<String> stops = List.of();

  @Option(names = "--early-stop", paramLabel = "on|off", converter = SwitchName.class,
      description = "End the decoding once the answer is complete, with positions behind its end still masked (default: on for run, batch and chat, "
          + "off for trace and eval, which show the whole decoding).")
  private Switch early; // no Boolean, whose values are picocli's own business

  @Option(names = "--prune", description = "Do not compute positions behind an end of text while others before it are masked; changes what the "
      + "model says of those a little. Not with pipelines that work on a block or a canvas at a time, wino, or guidance.")
  private boolean prune;

  void check() {
    if (stops.contains("")) {
      throw Failures.invalidValue(spec, "--stop", "'', expected a text");
    }
  }

  /** The decoding as it ends here; {@code early}: whether it stops early unless the user says otherwise. */
  Decoding addTo(Decoding decoding, boolean early) {
    Decoding.Builder builder = decoding.toBuilder().stop(stops.toArray(String[]::new)).prune(prune);
    if (this.early != null || !early) { // what suits the algorithm is the library's business
      builder.earlyStop(this.early == Switch.ON);
    }
    try {
      return builder.build();
    } catch (InvalidArgumentException e) {
      throw new ParameterException(spec.commandLine(), onTheCommandLine(e.getMessage()));
    }
  }

  /** Settings that do not go together, by the names of their options. */
  private static String onTheCommandLine(String message) {
    Matcher misplaced = DecodingOptions.OUT_OF_PLACE.matcher(message);
    return !misplaced.matches() ? message : DecodingOptions.option(misplaced.group("setting")) + " does not go with "
        + DecodingOptions.option(misplaced.group("other")) + misplaced.group("rest");
  }

  static void write(JsonGenerator json, Decoding decoding) {
    json.writeBooleanProperty("early_stop", decoding.earlyStop());
    json.writeName("stop");
    json.writeStartArray();
    decoding.stop().forEach(json::writeString);
    json.writeEndArray();
    json.writeBooleanProperty("prune", decoding.prune());
  }

  /** What is switched. */
  enum Switch { ON, OFF }

  /** On or off. */
  static final class SwitchName implements ITypeConverter<Switch> {
    @Override
    public Switch convert(String text) {
      return switch (text) {
        case "on" -> Switch.ON;
        case "off" -> Switch.OFF;
        default -> throw new TypeConversionException("'" + text + "' is neither on nor off");
      };
    }
  }
}
