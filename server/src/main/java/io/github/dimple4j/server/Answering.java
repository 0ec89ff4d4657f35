package io.github.dimple4j.server;

import java.io.IOException;

/** One way of the interface: what a request asks, and how the answer is written. For one request and the connection's thread. */
interface Answering {
  Question question();

  /** Whether it wants to hear of iterations. */
  boolean watches();

  void iteration(Exchange exchange, AnswerTask.Iteration iteration) throws IOException;

  void choice(Exchange exchange, AnswerTask.Choice choice) throws IOException;

  void done(Exchange exchange, AnswerTask.Done done) throws IOException;
}
