package io.github.dimple4j.examples.spark;

import io.github.dimple4j.DimpleException;
import io.github.dimple4j.DimpleModel;
import io.github.dimple4j.Generation;
import io.github.dimple4j.Image;
import io.github.dimple4j.Session;
import io.github.dimple4j.SessionBuilder;
import io.github.dimple4j.Template;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.security.AccessControlException;
import org.apache.spark.SerializableWritable;
import org.apache.spark.TaskContext;
import org.apache.spark.api.java.function.FlatMapFunction;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * Answers about the pictures of one partition, on an executor. The lines are written to a file that gets its name when it is whole: a task that is
 * killed leaves nothing behind that counts, and one that Spark runs twice writes the same file.
 */
final class PictureTask implements FlatMapFunction<Iterator<String>, Integer> {
  private static final long serialVersionUID = 1;

  private final Job job;
  private final String run; // tells the files of one run from those of another
  private final SerializableWritable<Configuration> hadoop;

  PictureTask(Job job, String run, Configuration hadoop) {
    this.job = job;
    this.run = run;
    this.hadoop = new SerializableWritable<>(hadoop);
  }

  @Override
  public Iterator<Integer> call(Iterator<String> pictures) throws IOException {
    if (!pictures.hasNext()) {
      return List.<Integer>of().iterator();
    }
    TaskContext task = TaskContext.get();
    DimpleModel model = SharedModel.of(job.model());
    Template template = job.schema() == null ? null : Template.json(job.schema());
    Configuration configuration = hadoop.value();
    List<String> lines = new ArrayList<>();
    while (pictures.hasNext()) {
      task.killTaskIfInterrupted();
      lines.add(line(pictures.next(), model, template, task.cpus(), configuration));
    }
    write(lines, task, configuration);
    return List.of(lines.size()).iterator();
  }

  /** A line of JSON; of a picture that cannot be answered about, with what is wrong. */
  private String line(String picture, DimpleModel model, Template template, int threads, Configuration configuration) throws IOException {
    ObjectNode line = JsonMapper.shared().createObjectNode().put("picture", picture);
    try {
      SessionBuilder session = model.session().user(job.question(), read(picture, configuration)).threads(threads)
          .responseLength(job.responseLength());
      if (template != null) {
        session.response(template);
      }
      try (Session open = session.open()) {
        Generation answer = open.decode(model.decoding());
        if (template == null) {
          line.put("answer", answer.text());
        } else {
          line.set("answer", JsonMapper.shared().readTree(answer.text()));
        }
        line.put("finish", answer.finish().name()).put("iterations", answer.iterations())
            .put("milliseconds", answer.timings().total().toMillis());
      }
    } catch (DimpleException | FileNotFoundException | AccessDeniedException | AccessControlException wrong) { // others Spark tries again
      line.put("error", wrong.getMessage());
    }
    return line.toString();
  }

  private static Image read(String picture, Configuration configuration) throws IOException {
    Path path = new Path(picture);
    try (InputStream in = path.getFileSystem(configuration).open(path)) {
      return Image.decode(in.readAllBytes(), path.getName());
    }
  }

  private void write(List<String> lines, TaskContext task, Configuration configuration) throws IOException {
    Path file = new Path(job.output(), "part-%s-%05d.jsonl".formatted(run, task.partitionId()));
    Path unfinished = new Path(job.output(), "_unfinished-%s-%d".formatted(run, task.taskAttemptId()));
    FileSystem files = file.getFileSystem(configuration);
    try (OutputStream out = files.create(unfinished, true)) {
      for (String line : lines) {
        out.write((line + "\n").getBytes(StandardCharsets.UTF_8));
      }
    }
    if (!files.rename(unfinished, file)) {
      files.delete(unfinished, false);
      if (!files.exists(file)) { // not the work of another attempt
        throw new IOException("cannot rename " + unfinished + " to " + file);
      }
    }
  }
}
