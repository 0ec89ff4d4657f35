package io.github.dimple4j.core;

import java.util.Map;
import java.util.ServiceLoader;
import java.util.TreeMap;

/** Which of the providers there are serves. */
final class CoreChoice {
  private static final String PREFERRED = "foreign";

  private static CoreProvider chosen;

  private CoreChoice() {}

  /** The provider, chosen by the first call that finds one. */
  static synchronized CoreProvider provider() {
    if (chosen == null) {
      Map<String, CoreProvider> providers = new TreeMap<>();
      ServiceLoader.load(CoreProvider.class, CoreProvider.class.getClassLoader()).forEach(each -> providers.putIfAbsent(each.name(), each));
      chosen = choose(providers, System.getProperty("dimple.core", ""));
    }
    return chosen;
  }

  /**
   * One of several.
   *
   * @param providers by their names
   * @param wanted a name; empty: the preferred one, or else the first
   */
  static CoreProvider choose(Map<String, CoreProvider> providers, String wanted) {
    CoreProvider provider = providers.get(wanted.isEmpty() ? PREFERRED : wanted);
    if (provider == null && wanted.isEmpty()) {
      provider = providers.values().stream().findFirst().orElse(null);
    }
    if (provider == null) {
      throw new CoreException(CoreException.Kind.LIBRARY, wanted.isEmpty() ? "nothing leads to the C core: no provider of it is there"
          : "system property dimple.core is " + wanted + ", expected one of those that are there: " + String.join(", ", providers.keySet()),
          null);
    }
    return provider;
  }
}
