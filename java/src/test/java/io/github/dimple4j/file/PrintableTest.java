package io.github.dimple4j.file;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.dimple4j.DimpleException;
import org.junit.jupiter.api.Test;

class PrintableTest {
  @Test
  void aLineIsOneLineAndCommandsNoTerminal() {
    assertThat(Printable.line(null)).isNull();
    assertThat(Printable.line("plain, \u05d0\u05d1, \ud83d\ude00\u200d\ud83d\ude00")).isEqualTo("plain, \u05d0\u05d1, \ud83d\ude00\u200d\ud83d\ude00");
    assertThat(Printable.line("a \r\n b\u2028c\td")).isEqualTo("a b c d");
    assertThat(Printable.line("\u001b[31m\u009b\u007f\0|\u202e\u2067\u200f\u061c")).isEqualTo("?[31m???|????");
    assertThat(Printable.isCommand('\u202e')).isTrue();
    assertThat(Printable.isCommand('a')).isFalse();
  }

  @Test
  void messagesOfExceptionsAreSuchLines() {
    assertThat(new DimpleException("x\u001b\ny").getMessage()).isEqualTo("x? y");
    assertThat(new DimpleException("x\u202e", new IllegalStateException()).getMessage()).isEqualTo("x?");
  }
}
