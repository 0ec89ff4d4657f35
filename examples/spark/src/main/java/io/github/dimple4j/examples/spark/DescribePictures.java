package io.github.dimple4j.examples.spark;

import io.github.dimple4j.InvalidArgumentException;
import io.github.dimple4j.structure.JsonSchema;
import io.github.dimple4j.structure.SchemaOptions;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.Callable;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.LocatedFileStatus;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RemoteIterator;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaSparkContext;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.json.JsonMapper;

/**
 * Asks a question about every picture in a folder, on as many machines as Spark has, and writes a line of JSON for each. A second run does what the
 * first has not done: pictures that a line tells of are left out, whether it has an answer or an error.
 */
@Command(name = "describe-pictures", mixinStandardHelpOptions = true, description = "Asks a question about every picture in a folder.")
public final class DescribePictures implements Callable<Integer> {
  private static final Set<String> PICTURES = Set.of("png", "jpg", "jpeg", "webp", "gif", "bmp", "tif", "tiff");

  @Parameters(index = "0", description = "The model: a file on each machine, or the name of one given to spark-submit --files.")
  private String model;

  @Parameters(index = "1", description = "The folder of the pictures, with those below it.")
  private String pictures;

  @Parameters(index = "2", description = "The folder of the results: part-*.jsonl.")
  private String output;

  @Option(names = "--question", defaultValue = "Describe this image.", description = "What is asked (\"${DEFAULT-VALUE}\").")
  private String question;

  @Option(names = "--schema", description = "A file with a JSON Schema that answers are held to.")
  private java.nio.file.Path schema;

  @Option(names = "--max-new-tokens", defaultValue = "64", description = "Tokens of an answer (${DEFAULT-VALUE}).")
  private int responseLength;

  @Option(names = "--batch", defaultValue = "32", description = "Pictures of a task: what a lost machine has to do again (${DEFAULT-VALUE}).")
  private int batch;

  private JavaSparkContext given; // null: one of its own
  private long answered;

  private DescribePictures() {}

  /**
   * Runs the command.
   *
   * @param arguments as {@code --help} tells
   */
  public static void main(String[] arguments) {
    CommandLine line = new CommandLine(new DescribePictures());
    line.setExecutionExceptionHandler((failure, where, parsed) -> {
      System.err.println("describe-pictures: " + failure.getMessage());
      return 1;
    });
    int status = line.execute(arguments);
    if (status != 0) {
      System.exit(status);
    }
  }

  /** Runs it in a context that is there already; how many pictures were asked about. */
  static long run(JavaSparkContext spark, String... arguments) throws IOException {
    DescribePictures command = new DescribePictures();
    command.given = spark;
    new CommandLine(command).parseArgs(arguments);
    command.call();
    return command.answered;
  }

  @Override
  public Integer call() throws IOException {
    if (batch < 1) {
      throw new InvalidArgumentException("--batch is " + batch + ", expected at least 1");
    }
    String held = schema == null ? null : Files.readString(schema);
    if (held != null) {
      JsonSchema.of(held).compile(SchemaOptions.PRODUCING); // before any machine is asked for
    }
    JavaSparkContext spark = given == null ? new JavaSparkContext(new SparkConf().setAppName("describe-pictures")
        .setIfMissing("spark.master", "local[*]")) : given;
    try {
      ask(new Job(model, question, held, responseLength, output), spark);
    } finally {
      if (given == null) {
        spark.close();
      }
    }
    return 0;
  }

  private void ask(Job job, JavaSparkContext spark) throws IOException {
    Configuration hadoop = spark.hadoopConfiguration();
    checkJob(job, hadoop);
    Set<String> done = done(hadoop);
    List<String> left = pictures(hadoop);
    int all = left.size();
    left.removeIf(done::contains);
    System.err.printf("%d pictures, %d of them done%n", all, all - left.size());
    if (!left.isEmpty()) {
      PictureTask task = new PictureTask(job, UUID.randomUUID().toString().substring(0, 8), hadoop);
      answered = spark.parallelize(left, Math.ceilDiv(left.size(), batch)).mapPartitions(task).collect().stream().mapToLong(Integer::longValue).sum();
    }
    System.err.printf("%d answered now%n", answered);
  }

  /** The folder of the results says what was asked, so that no run adds answers to another question. */
  private static void checkJob(Job job, Configuration configuration) throws IOException {
    Path file = new Path(job.output(), "_job.json");
    FileSystem files = file.getFileSystem(configuration);
    String asked = JsonMapper.shared().createObjectNode().put("model", new Path(job.model()).getName()).put("question", job.question())
        .put("schema", job.schema()).put("max_new_tokens", job.responseLength()).toString();
    if (!files.exists(file)) {
      try (OutputStream out = files.create(file, false)) {
        out.write(asked.getBytes(StandardCharsets.UTF_8));
      }
      return;
    }
    try (InputStream in = files.open(file)) {
      String before = new String(in.readAllBytes(), StandardCharsets.UTF_8);
      if (!before.equals(asked)) {
        throw new InvalidArgumentException(job.output() + " has answers to " + before + ", expected " + asked + ": take another folder");
      }
    }
  }

  /** The pictures of the folder, in an order that does not depend on the file system. */
  private List<String> pictures(Configuration configuration) throws IOException {
    Path folder = new Path(pictures);
    FileSystem files = folder.getFileSystem(configuration);
    List<String> found = new ArrayList<>();
    RemoteIterator<LocatedFileStatus> all = files.listFiles(folder, true);
    while (all.hasNext()) {
      Path path = all.next().getPath();
      String name = path.getName().toLowerCase(Locale.ROOT);
      if (PICTURES.contains(name.substring(name.lastIndexOf('.') + 1))) {
        found.add(path.toString());
      }
    }
    Collections.sort(found);
    return found;
  }

  /** The pictures that lines of earlier runs tell of. */
  private Set<String> done(Configuration configuration) throws IOException {
    Path folder = new Path(output);
    FileSystem files = folder.getFileSystem(configuration);
    files.mkdirs(folder);
    Set<String> done = new HashSet<>();
    for (FileStatus part : files.listStatus(folder, path -> path.getName().startsWith("part-") && path.getName().endsWith(".jsonl"))) {
      try (BufferedReader lines = new BufferedReader(new InputStreamReader(files.open(part.getPath()), StandardCharsets.UTF_8))) {
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
          done.add(JsonMapper.shared().readTree(line).get("picture").stringValue());
        }
      } catch (JacksonException | NullPointerException wrong) {
        throw new IOException(part.getPath() + " has a line that is none of this program's", wrong);
      }
    }
    return done;
  }
}
