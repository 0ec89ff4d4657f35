package io.github.dimple4j.bindings;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.Properties;
import java.util.Set;

/** The artefact that brings the native library, for whoever lacks it. */
final class Artefact {
  private static final Set<String> PLATFORMS = Set.of("linux-x86_64", "linux-aarch64", "linux-x86_64-musl", "linux-aarch64-musl",
      "windows-x86_64", "macos-aarch64", "macos-x86_64");

  private Artefact() {}

  /** What to add for a platform, by its whole name: group:artifact:version:classifier. */
  static String advice(String platform) {
    String all = "io.github.dimple4j:dimple4j-natives:" + version();
    return PLATFORMS.contains(platform)
        ? "add the artefact " + all + ":" + platform + " (" + all + " has every platform that was built)"
        : "no artefact has a library for " + platform + ": build csrc with CMake, and name the file with the property dimple.library";
  }

  private static String version() {
    Properties properties = new Properties();
    try (InputStream in = Artefact.class.getResourceAsStream("artefact.properties")) {
      properties.load(in);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return properties.getProperty("version");
  }
}
