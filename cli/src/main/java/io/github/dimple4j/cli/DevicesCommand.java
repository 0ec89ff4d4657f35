package io.github.dimple4j.cli;

import io.github.dimple4j.Device;
import java.io.PrintWriter;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code dimple devices}: what can run models here. */
@Command(name = "devices", mixinStandardHelpOptions = true, description = "List what can run models: the processor, and GGML's devices.", footer = {"",
    "Each device is tried with a few operations; one whose results are wrong is listed with the operation's name, and not used.",
    "",
    "Environment: DIMPLE_GGML is the file of libdimple-ggml, without which there is the processor alone."})
final class DevicesCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Option(names = "--rpc", paramLabel = "HOST:PORT[,HOST:PORT...]", split = ",", description = "List the devices that these machines serve, too.")
  private List<String> servers = List.of();

  @Override
  public Integer call() {
    PrintWriter out = spec.commandLine().getOut();
    out.printf("%-28s %12s %12s  %s%n", "device", "free", "total", "description");
    Device.list().forEach(device -> print(out, device));
    servers.forEach(server -> Device.list("rpc:" + server).forEach(device -> print(out, device)));
    out.flush();
    return 0;
  }

  private static void print(PrintWriter out, Device device) {
    out.printf("%-28s %12s %12s  %s%n", device.name(), memory(device.memoryFree(), device), memory(device.memoryTotal(), device),
        device.problem().orElse(device.description()));
  }

  private static String memory(long bytes, Device device) {
    return device.memoryTotal() == 0 ? "-" : String.format(Locale.ROOT, "%d MiB", bytes >> 20);
  }
}
