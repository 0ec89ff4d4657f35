package io.github.dimple4j.cli;

import io.github.dimple4j.ModelStore;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code dimple pull}: a model from the network. */
@Command(name = "pull", mixinStandardHelpOptions = true, description = "Fetch a model by its name or address, and print where it is.", footer = {"",
    "A name is OWNER/REPOSITORY[@REVISION], and then /FILE.gguf, :TYPE for the one file whose name ends in that type (:q4_k_m), or nothing. Other "
    + "commands take the name in the place of a file once it is here. A broken download goes on where it broke; the same command again does that, "
    + "too.",
    "",
    "Environment: DIMPLE_MODELS is the folder for models, HF_ENDPOINT a mirror of the hub, HF_TOKEN the hub's token."})
final class PullCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Parameters(paramLabel = "NAME|ADDRESS", description = "The model: a name on the hub, or an http or https address.")
  private String model;

  @Option(names = "--sha256", paramLabel = "HEX", description = "What the SHA-256 of the file at the ADDRESS is.")
  private String sha256;

  @Option(names = "--force", description = "Fetch the NAME anew, also if it is here: what a branch holds may have changed.")
  private boolean force;

  @Option(names = "--models", paramLabel = "FOLDER", description = "The folder for models.")
  private Path folder;

  @Override
  public Integer call() {
    boolean address = model.contains("://");
    if (sha256 != null && !address) {
      throw new ParameterException(spec.commandLine(), "--sha256 goes with an address; for a name the hub says it");
    }
    if (force && address) {
      throw new ParameterException(spec.commandLine(), "--force goes with a name; a file from an address is fetched anew when --sha256 is another");
    }
    ModelStore store = folder == null ? ModelStore.standard() : ModelStore.at(folder);
    try (ProgressBar bar = new ProgressBar(spec.commandLine().getErr())) {
      ModelStore shown = store.onProgress(now -> bar.progress(now.file(), now.done(), now.total().orElse(Math.max(1, now.done()))));
      spec.commandLine().getOut().println(address ? byAddress(shown) : force ? shown.pullAnew(model) : shown.pull(model));
    }
    return 0;
  }

  private Path byAddress(ModelStore store) {
    URI source;
    try {
      source = new URI(model.strip().replace(" ", "%20"));
    } catch (URISyntaxException e) {
      throw new ParameterException(spec.commandLine(), "'" + model + "' is no address: " + e.getReason());
    }
    return sha256 == null ? store.fetch(source) : store.fetch(source, sha256);
  }
}
