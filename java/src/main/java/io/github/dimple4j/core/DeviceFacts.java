package io.github.dimple4j.core;

/**
 * {@code dimple_device}.
 *
 * @param name as {@link Core#load} takes it
 * @param description as its maker calls it
 * @param problem why it is not used; empty: it is
 * @param memoryFree bytes; 0 where it does not say
 * @param memoryTotal bytes; 0 where it does not say
 */
public record DeviceFacts(String name, String description, String problem, long memoryFree, long memoryTotal) {}
