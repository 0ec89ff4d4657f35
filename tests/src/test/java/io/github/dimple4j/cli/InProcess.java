package io.github.dimple4j.cli;

import io.github.dimple4j.Outcome;
import java.io.PrintWriter;
import java.io.StringWriter;

/** The command line inside this process: what its main method does, without ending the program. */
public final class InProcess {
  private InProcess() {}

  public static Outcome dimple(String... arguments) {
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    int status = DimpleCommand.execute(new PrintWriter(out, true), new PrintWriter(err, true), arguments);
    return new Outcome(status, out.toString(), err.toString());
  }
}
