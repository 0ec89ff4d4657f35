package io.github.dimple4j.core;

import io.github.dimple4j.core.CoreException.Kind;
import java.io.File;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystems;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;

/**
 * Names of files as the core takes them: in UTF-8, in the default file system. A {@link Path} has bytes, and its text is these bytes decoded by the
 * locale that Java was started in, so that the text may be another name. Such a path is refused: the file of the other name may be there.
 */
public final class FileName {
  private FileName() {}

  /**
   * The name of a file.
   *
   * @param file any path
   * @return its text
   * @throws CoreException of kind {@link Kind#ARGUMENT} if the file is in another file system, or its text is not its name
   */
  public static String of(Path file) {
    return of(file, encoding(System.getProperty("sun.jnu.encoding")));
  }

  /** The charset of that name. Without one it is Android's, whose names of files are in UTF-8; those of Windows are text, whatever its charset. */
  private static Charset encoding(String name) {
    if (name == null || File.separatorChar == '\\') {
      return StandardCharsets.UTF_8;
    }
    return Charset.isSupported(name) ? Charset.forName(name) : StandardCharsets.US_ASCII;
  }

  /** The same for an encoding that Java has names of files in. */
  static String of(Path file, Charset encoding) {
    if (file.getFileSystem() != FileSystems.getDefault()) {
      throw wrong(file, "is inside " + file.getFileSystem() + "; the core opens files of their own only");
    }
    String name = file.toString();
    if (!isText(file, name)) {
      throw wrong(file, "the name has bytes that are no text in " + encoding + ", in which Java was started");
    }
    if (!encoding.equals(StandardCharsets.UTF_8) && name.chars().anyMatch(c -> c > 127)) {
      throw wrong(file, "Java was started in " + encoding + ", and names that are not ASCII need UTF-8, such as LC_ALL=C.UTF-8");
    }
    return name;
  }

  /** Whether the text leads back to the path. */
  private static boolean isText(Path file, String name) {
    try {
      return Path.of(name).equals(file);
    } catch (InvalidPathException e) {
      return false;
    }
  }

  private static CoreException wrong(Path file, String what) {
    return new CoreException(Kind.ARGUMENT, file + ": " + what, null);
  }
}
