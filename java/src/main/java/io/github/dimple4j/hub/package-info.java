/** Fetching model files over HTTP: names on a hub, resumed downloads, and where they are kept. */
package io.github.dimple4j.hub;
