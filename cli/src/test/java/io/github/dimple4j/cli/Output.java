package io.github.dimple4j.cli;

import java.io.PrintWriter;
import java.io.StringWriter;

/** What the command line printed, and its exit status. */
record Output(int status, String out, String err) {
  static Output of(String... arguments) {
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    int status = DimpleCommand.execute(new PrintWriter(out), new PrintWriter(err, true), arguments);
    return new Output(status, out.toString(), err.toString());
  }
}
