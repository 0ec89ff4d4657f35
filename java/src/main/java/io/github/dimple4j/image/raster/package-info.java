/** What every decoder of pictures makes, and how it refuses. Not exported: callers meet {@link io.github.dimple4j.Image}. */
package io.github.dimple4j.image.raster;
