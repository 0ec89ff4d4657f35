package io.github.dimple4j.cli;

import io.github.dimple4j.DimpleModel;
import io.github.dimple4j.InvalidArgumentException;
import io.github.dimple4j.KvType;
import io.github.dimple4j.MachinePeaks;
import io.github.dimple4j.ModelOptions;
import io.github.dimple4j.ModelStore;
import io.github.dimple4j.UnsupportedException;
import io.github.dimple4j.gguf.tools.TokenizerReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** What runs the model, for every command that has one run. */
final class EngineOptions {
  @Spec(Spec.Target.MIXEE) private CommandSpec spec;

  @Option(names = "--mmproj", paramLabel = "FILE", description = "A vision tower in a GGUF file of its own.")
  private Path mmproj;

  @Option(names = "--tokenizer", paramLabel = "DIR|FILE",
      description = "A tokenizer for a file that has none: a Hugging Face directory, its tokenizer.json, or a GGUF file.")
  private Path tokenizer;

  @Option(names = {"--backend", "--device"}, paramLabel = "NAME[,NAME...]", defaultValue = "auto",
      description = "What runs the model: auto, cpu, ref, cpu- and an instruction set, or ggml: and a device that `dimple devices` lists; several "
          + "share the layers (default: ${DEFAULT-VALUE}).")
  private String backend;

  @Option(names = "--rpc", paramLabel = "HOST:PORT[,HOST:PORT...]", split = ",",
      description = "Machines whose devices run the model, beside those of --device: GGML's rpc-server serves them.")
  private List<String> servers = List.of();

  @Option(names = "--gpu-layers", paramLabel = "N|auto", defaultValue = "auto",
      description = "How many layers the devices take; the others run on the last --device, if it is none of GGML's, or the CPU. auto: as many as fit "
          + "(default: ${DEFAULT-VALUE}).")
  private String deviceLayers;

  @Option(names = "--threads", paramLabel = "N", defaultValue = "0",
      description = "Threads; 0 is one per processor. Results do not depend on it (default: ${DEFAULT-VALUE}).")
  private int threads;

  @Option(names = "--ignore-unknown", description = "Run a file that has keys or tensors this program does not know, without them.")
  private boolean ignoreUnknown;

  @Option(names = "--unpacked", description = "Leave the weights in the file, for little memory: slower, with the same results.")
  private boolean unpacked;

  @Option(names = "--weight-memory", paramLabel = "MIB|auto", defaultValue = "auto",
      description = "MiB that packed weights may take: experts beyond that stay in the file, slower, with the same results. auto: seven eighths of the "
          + "memory that is available (default: ${DEFAULT-VALUE}).")
  private String weightMemory;

  @Option(names = "--pack-cache", description = "Keep packed weights in a file beside the model's: later loadings map it, processes share it.")
  private boolean packCache;

  @Option(names = "--kv-type", paramLabel = "TYPE", defaultValue = "f32", converter = KvTypeName.class, completionCandidates = KvTypeName.class,
      description = "What keys and values are kept in, ${COMPLETION-CANDIDATES}: rounded ones take half the memory, or a quarter (default: ${DEFAULT-VALUE}).")
  private KvType kvType;

  /** The names of what keys and values are kept in. */
  static final class KvTypeName extends DecodingOptions.Names<KvType> {
    KvTypeName() {
      super(KvType.values(), KvType::label);
    }
  }

  /** Asks the core whether there can be so many threads, before anything is loaded. */
  void check() {
    try {
      effectiveThreads();
    } catch (InvalidArgumentException e) {
      throw Failures.invalidValue(spec, "--threads", e.getMessage().replaceFirst("^threads is ", ""));
    }
    if (deviceLayers() > 0 && backends().indexOf(':') < 0) {
      throw new ParameterException(spec.commandLine(), "--gpu-layers goes with devices of --device or --rpc");
    }
    if (unpacked && (weightMemory() > 0 || packCache)) {
      throw new ParameterException(spec.commandLine(), (weightMemory() > 0 ? "--weight-memory" : "--pack-cache")
          + " does not go with --unpacked, which leaves no weights to pack");
    }
  }

  /** Loads a file, or a model that was pulled under that name. */
  DimpleModel load(Path named) {
    return load(named, 1);
  }

  /** The same for so many sessions that step together. */
  DimpleModel load(Path named, int batchSteps) {
    Path file = file(named);
    ModelOptions.Builder options = options().batchSteps(batchSteps);
    if (tokenizer != null) {
      try {
        options.tokenizer(TokenizerReader.read(tokenizer));
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
    DimpleModel model = load(file, (mmproj == null ? options : options.mmproj(mmproj)).build());
    model.info().ignored().forEach(name -> spec.commandLine().getErr().println("note: " + file + ": ignored " + name));
    if (!unpacked && model.info().unpackedSize() > 0) {
      spec.commandLine().getErr().println("note: " + file + ": " + (model.info().unpackedSize() >> 20) + " MiB of experts stay in the file, "
          + "because packed they would take more than --weight-memory; passes are slower for it");
    }
    spec.commandLine().getErr().flush();
    return model;
  }

  private static DimpleModel load(Path file, ModelOptions options) {
    try {
      return DimpleModel.load(file, options);
    } catch (InvalidArgumentException e) {
      throw e.getMessage().startsWith("deviceLayers ") ? new InvalidArgumentException(e.getMessage().replaceFirst("deviceLayers", "--gpu-layers")) : e;
    }
  }

  /** A file, or that of a model that was pulled under that name. */
  static Path file(Path named) {
    return Files.exists(named) ? named : ModelStore.standard().find(named.toString()).orElse(named);
  }

  private ModelOptions.Builder options() {
    return ModelOptions.builder().backend(backends()).threads(threads).ignoreUnknown(ignoreUnknown).unpacked(unpacked).deviceLayers(deviceLayers())
        .weightMemory(weightMemory()).packCache(packCache);
  }

  /** The devices of other machines stand before a backend that is none, which runs the layers that are left. */
  private String backends() {
    String remote = servers.stream().map(server -> "rpc:" + server).collect(Collectors.joining(","));
    if (remote.isEmpty() || backend.equals("auto")) {
      return remote.isEmpty() ? backend : remote;
    }
    int last = backend.lastIndexOf(',') + 1;
    return backend.indexOf(':', last) >= 0 ? backend + "," + remote : backend.substring(0, last) + remote + "," + backend.substring(last);
  }

  private int deviceLayers() {
    if (deviceLayers.equals("auto")) {
      return 0;
    }
    try {
      int layers = Integer.parseInt(deviceLayers);
      if (layers > 0) {
        return layers;
      }
    } catch (NumberFormatException e) {
      // refused below
    }
    throw Failures.invalidValue(spec, "--gpu-layers", deviceLayers + ", expected auto or 1 and more (none at all is --device cpu)");
  }

  private long weightMemory() {
    if (weightMemory.equals("auto")) {
      return 0;
    }
    try {
      long mebibytes = Long.parseLong(weightMemory);
      if (mebibytes > 0 && mebibytes <= Long.MAX_VALUE >> 20) {
        return mebibytes << 20;
      }
    } catch (NumberFormatException e) {
      // refused below
    }
    throw Failures.invalidValue(spec, "--weight-memory", weightMemory + ", expected auto or a number of MiB from 1 on");
  }

  /** What the machine does at most; nothing for a backend that cannot say. */
  Optional<MachinePeaks> peaks() {
    try {
      return Optional.of(MachinePeaks.measure(options().build()));
    } catch (UnsupportedException e) {
      return Optional.empty();
    }
  }

  KvType kvType() {
    return kvType;
  }

  int threads() {
    return threads;
  }

  /** The number of threads that 0 stands for, too. */
  int effectiveThreads() {
    return DimpleModel.threadCount(threads);
  }
}
