package io.github.dimple4j.hub;

import java.net.URI;

/**
 * A server of repositories, with addresses as the Hugging Face Hub has them.
 *
 * @param address its beginning
 * @param token for it; may be null
 */
public record Hub(URI address, Token token) {}
