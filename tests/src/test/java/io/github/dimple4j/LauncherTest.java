package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.dimple4j.cli.DimpleCommand;
import java.io.File;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.jar.Attributes;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * The launcher {@code dimple} and the program behind it in environments of all kinds. The scripts below are files in UTF-8, run by {@code sh} in
 * an empty environment, so that nothing hangs on the locale of the tests; $dimple is a built checkout's launcher in a folder with blanks and
 * letters beyond ASCII, $java the program without the launcher.
 */
@EnabledOnOs(value = OS.LINUX, disabledReason = "looks at /dev and /proc")
class LauncherTest {
  private static final String PROMPT = "Grüße, 世界 👋";
  private static final String SETUP = """
      set -u
      cd "$1"
      PATH=/usr/local/bin:/usr/bin:/bin
      export DIMPLE_JAVA_HOME="$2"
      root="$PWD/Übung mit Lücken"
      dimple="$root/dimple"
      java="$2/bin/java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Ddimple.library=$3 -jar $PWD/program.jar"
      mkdir -p "$root/cli/target" "$root/bindings/target/csrc"
      cp "$4/dimple" "$root/dimple"
      cp program.jar "$root/cli/target/dimple.jar"
      ln -sf "$3" "$root/bindings/target/csrc/libdimple.so"
      touch "$root/cli/target/dimple.built"
      model="$4/models/mini/dimple-mini-f16.gguf"
      picture="$4/docs/images/scene.png"
      prompt='%s'
      """.formatted(PROMPT);

  private Path folder;

  @BeforeEach
  void packProgram() throws IOException {
    folder = Files.createTempDirectory(Temporary.folder(), "launcher");
    Manifest manifest = new Manifest();
    Attributes attributes = manifest.getMainAttributes();
    attributes.put(Attributes.Name.MANIFEST_VERSION, "1.0");
    attributes.put(Attributes.Name.MAIN_CLASS, DimpleCommand.class.getName());
    attributes.putValue("Enable-Native-Access", "ALL-UNNAMED");
    List<String> classPath = new ArrayList<>();
    for (String entry : System.getProperty("java.class.path").split(File.pathSeparator)) {
      classPath.add(Path.of(entry).toUri().toString());
    }
    attributes.put(Attributes.Name.CLASS_PATH, String.join(" ", classPath));
    try (OutputStream file = Files.newOutputStream(folder.resolve("program.jar")); JarOutputStream jar = new JarOutputStream(file, manifest)) {
      jar.finish();
    }
  }

  private Outcome run(String script) throws IOException, InterruptedException {
    Path file = Files.writeString(folder.resolve("script.sh"), SETUP + script);
    Path checkout = Path.of("..").toAbsolutePath().normalize();
    Path out = folder.resolve("out.txt"), err = folder.resolve("err.txt");
    ProcessBuilder builder = new ProcessBuilder("sh", file.toString(), folder.toString(), System.getProperty("java.home"),
        System.getProperty("dimple.library"), checkout.toString()).redirectOutput(out.toFile()).redirectError(err.toFile());
    builder.environment().clear();
    Process process = builder.start();
    if (!process.waitFor(3, TimeUnit.MINUTES)) {
      process.destroyForcibly();
      throw new IllegalStateException("did not end within three minutes: " + script);
    }
    return new Outcome(process.exitValue(), Files.readString(out, StandardCharsets.UTF_8), Files.readString(err, StandardCharsets.UTF_8));
  }

  /** Prompt, model, picture and output have letters beyond ASCII, and the launcher is started over a link from another folder. */
  @ParameterizedTest
  @ValueSource(strings = {"", "LC_ALL=POSIX LANG=C.UTF-8", "LC_ALL=xx_XX.UTF-8", "LANG=xx_XX.UTF-8 LC_CTYPE=de_DE@euro"})
  void textAndNamesAreUtf8WhateverTheLocale(String environment) throws IOException, InterruptedException {
    Outcome outcome = run("""
        mkdir 'Ordner mit ß'
        cd 'Ordner mit ß'
        ln -s "$dimple" 'mein dimple'
        ln -s "$model" 'größer 模型.gguf'
        ln -s "$picture" 'ein Bild ü.png'
        env -i DIMPLE_JAVA_HOME="$DIMPLE_JAVA_HOME" %s './mein dimple' trace 'größer 模型.gguf' --prompt "$prompt" --image 'ein Bild ü.png' \\
          --max-new-tokens 2 --json 'Ausgabe é.json' 2>messages || cat messages >&2
        cat 'Ausgabe é.json'
        """.formatted(environment)).assertDone();
    List<Integer> tokens = new ArrayList<>();
    JsonNode trace = JsonMapper.shared().readTree(outcome.out());
    trace.path("prompt_tokens").forEach(token -> tokens.add(token.intValue()));
    try (DimpleModel model = DimpleModel.load(Path.of("../models/mini/dimple-mini-f16.gguf"))) {
      assertThat(model.tokenizer().decode(tokens.stream().mapToInt(i -> i).toArray())).contains(PROMPT);
    }
  }

  /** What only this JDK's own decoding of arguments can get wrong is refused and not worked with. */
  @Test
  void javaWithoutTheLauncherRefusesWhatItCannotRead() throws IOException, InterruptedException {
    run("exec env LC_ALL=C $java run \"$model\" --prompt \"$prompt\"").assertFailed(2, "argument 4", "LC_ALL=C.UTF-8");
    run("exec env LC_ALL=C.UTF-8 $java run \"$model\" --prompt \"$(printf 'Gr\\374n')\"").assertFailed(2, "argument 4", "no UTF-8");
    assertThat(run("exec env LC_ALL=C $java run \"$model\" --prompt Hello --max-new-tokens 2").status()).isZero();
  }

  @Test
  void anArgumentIsNotReplacedByAFile() throws IOException, InterruptedException {
    String trace = " trace \"$model\" --prompt @secret --max-new-tokens 2 --json - | grep -o '^{\"prompt_tokens\":[^]]*]'";
    String tokens = run("echo secret >secret; $java" + trace).out();
    assertThat(tokens).startsWith("{\"prompt_tokens\":[").isEqualTo(run("echo other words >secret; \"$dimple\"" + trace).out());
  }

  @ParameterizedTest
  @ValueSource(strings = {"--version", "run --help", "trace \"$model\" --prompt x --max-new-tokens 2 --json -"})
  void outputThatCannotBeWrittenIsAFailure(String command) throws IOException, InterruptedException {
    run("exec \"$dimple\" " + command + " >/dev/full").assertFailed(1, "standard output", "No space left on device");
  }

  @Test
  void anAnswerThatCannotBeWrittenIsAFailure() throws IOException, InterruptedException {
    String answer = "exec \"$dimple\" run \"$model\" --prompt Hello --max-new-tokens 2 ";
    for (String[] stream : new String[][] {{">/dev/full", "No space left on device"}, {">&-", "Bad file descriptor"}}) {
      Outcome outcome = run(answer + stream[0]);
      assertThat(outcome.err().lines()).last().asString().contains("standard output: ", stream[1]);
      assertThat(outcome.status()).isEqualTo(1);
    }
    assertThat(run(answer + "2>/dev/full").status()).isEqualTo(1);
    assertThat(run(answer + "2>&-").assertDone().out()).isNotEmpty();
  }

  /** Java 25 ends with a segmentation fault where it has no standard input. */
  @Test
  void aClosedStandardInputIsAnEmptyOne() throws IOException, InterruptedException {
    String[] command = {"exec \"$dimple\" trace \"$model\" --max-new-tokens 2 --json - --prompt", " | grep -o '^{\"prompt_tokens\":[^]]*]'"};
    assertThat(run(command[0] + "-file - <&-" + command[1]).assertDone().out()).isEqualTo(run(command[0] + " ''" + command[1]).out()).isNotEmpty();
  }

  /** As a program that SIGPIPE ends: quiet, and with its status. */
  @Test
  void aReaderThatHasGoneIsNoNews() throws IOException, InterruptedException {
    Outcome outcome = run("{ \"$dimple\" gguf inspect --full \"$model\"; echo $? >status; } | true; cat status");
    assertThat(outcome.err()).isEmpty();
    assertThat(outcome.out()).isEqualTo("141\n");
  }

  @Test
  void anotherLibraryMayBeNamed() throws IOException, InterruptedException {
    run("DIMPLE_LIBRARY=/missing/libdimple.so exec \"$dimple\" run \"$model\" --prompt x").assertFailed(1, "/missing/libdimple.so");
  }

  /** Java would take the class data for that of the new place, and the program for one in the old place. */
  @Test
  void aCheckoutThatWasMovedIsNotTheOldOne() throws IOException, InterruptedException {
    Outcome outcome = run("""
        cat >java.sh <<'JAVA'
        #!/bin/sh
        for option; do case $option in -XX:SharedArchiveFile=*) echo "${option#*=}" ;; esac; done
        JAVA
        mkdir -p jdk/bin
        mv java.sh jdk/bin/java
        chmod +x jdk/bin/java
        echo 'JAVA_VERSION="25"' >jdk/release
        export DIMPLE_JAVA_HOME="$PWD/jdk"
        "$dimple"
        readlink -f "$root" >"$root/cli/target/dimple.built"
        "$dimple" | sed 's:.*/Ü:Ü:'
        mv "$root" moved
        moved/dimple
        ln -s "$PWD/moved" "$root"
        "$root/dimple"
        """).assertDone();
    assertThat(outcome.out().lines()).containsExactly("/dev/null", "Übung mit Lücken/cli/target/dimple.jsa", "/dev/null", "/dev/null");
  }

  /** Its own words are of classes and configuration files that it does not find. */
  @Test
  void foldersInWhichJavaStartsNothingAreNamed() throws IOException, InterruptedException {
    for (String name : List.of("a:b", "a!")) {
      run("mkdir -p '" + name + "/c'; cp \"$dimple\" '" + name + "/c/dimple'; exec '" + name + "/c/dimple' --version").assertFailed(1, "Java", name + "/c");
    }
  }

  /** Building, by a Maven that only counts. */
  private Outcome build(String script) throws IOException, InterruptedException {
    return run("""
        mkdir bin
        PATH="$PWD/bin:$PATH" count="$PWD/count" program="$PWD/program.jar"
        export PATH count program root
        for tool in cmake cc; do ln -s "$(which true)" bin/$tool; done
        cat >bin/mvn <<'MAVEN'
        #!/bin/sh
        echo "$LC_ALL" >>"$count"
        sleep 0.3
        [ -z "${broken:-}" ] || { echo '[ERROR] broken on purpose'; exit 1; }
        mkdir -p "$root/cli/target"
        cp "$program" "$root/cli/target/dimple.jar"
        MAVEN
        chmod +x bin/mvn
        touch "$root/pom.xml"
        """ + script + "\nwc -l <\"$count\"\n");
  }

  @Test
  void twoThatFindNoBuildMakeOne() throws IOException, InterruptedException {
    Outcome outcome = build("""
        rm -r "$root/cli/target"
        "$dimple" --version >first 2>&1 & "$dimple" --version >second 2>&1; wait
        cat first second | grep -v building | sed 's/^dimple [^a-z].*/version/' | sort | uniq -c | sed 's/^ *//'
        "$dimple" --version >/dev/null
        """).assertDone();
    assertThat(outcome.out().lines()).containsExactlyInAnyOrder("1 dimple: another build is running; waiting for its end", "2 version", "1");
  }

  @Test
  void whatAKilledBuildLeftIsNotUsed() throws IOException, InterruptedException {
    Outcome outcome = build("""
        rm "$root/cli/target/dimple.built"
        mkdir -p "$root/java/target/classes"
        (setsid "$dimple" --version & echo $! >leader; wait) 2>/dev/null &
        while [ ! -s "$count" ]; do sleep 0.05; done
        touch "$root/java/target/classes/Half.class"
        kill -9 -"$(cat leader)"
        wait
        "$dimple" --version 2>/dev/null | cut -d ' ' -f 1
        ls "$root/java/target" 2>/dev/null
        touch "$root/pom.xml"
        "$dimple" --version 2>/dev/null | cut -d ' ' -f 1
        """);
    assertThat(outcome.out().lines()).containsExactly("dimple", "dimple", "3");
  }

  @Test
  void aBuildThatFailsSaysWhy() throws IOException, InterruptedException {
    Outcome outcome = build("touch \"$root/pom.xml\"; broken=yes \"$dimple\" --version; echo $?");
    assertThat(outcome.err()).contains("[ERROR] broken on purpose", "the build failed; see ", "dimple-build.log");
    assertThat(outcome.out().lines()).containsExactly("1", "1");
  }
}
