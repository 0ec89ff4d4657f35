package io.github.dimple4j;

import java.util.OptionalLong;

/**
 * How far a file has come.
 *
 * @param file its name, without folders
 * @param done bytes that are there, those of earlier tries included
 * @param total bytes of the whole file; empty while the server does not say
 */
public record FetchProgress(String file, long done, OptionalLong total) {}
