/**
 * The server: {@link io.github.dimple4j.server.DimpleServer} answers OpenAI-style requests with a loaded model. A request becomes a
 * {@code Question} (read and checked on its connection's thread), an {@code AnswerTask} works on it in one of the session threads, and the
 * connection's thread writes what comes of it.
 */
package io.github.dimple4j.server;
