package io.github.dimple4j.structure;

import static io.github.dimple4j.Template.choice;
import static io.github.dimple4j.Template.integer;
import static io.github.dimple4j.Template.list;
import static io.github.dimple4j.Template.number;
import static io.github.dimple4j.Template.optional;
import static io.github.dimple4j.Template.pattern;
import static io.github.dimple4j.Template.slot;
import static io.github.dimple4j.Template.string;
import static io.github.dimple4j.Template.text;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.dimple4j.InvalidArgumentException;
import io.github.dimple4j.Template;
import io.github.dimple4j.UnsupportedException;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

class PieceTest {
  private static boolean accepts(Object piece, String text) {
    ByteAutomaton automaton = Template.of(piece, Piece.literal("")).automaton().orElseThrow();
    return automaton.accepts(text.getBytes(StandardCharsets.UTF_8));
  }

  @Test
  void wholeNumbersWithinBounds() {
    for (int[] bounds : new int[][] {{0, 0}, {0, 9}, {1, 10}, {-5, 5}, {-120, -7}, {95, 1234}, {-1000, 999}, {100, 100}}) {
      ByteAutomaton automaton = integer(bounds[0], bounds[1]).compile();
      for (int value = -1300; value <= 1300; value++) {
        boolean expected = value >= bounds[0] && value <= bounds[1];
        assertThat(automaton.accepts(Integer.toString(value).getBytes(StandardCharsets.UTF_8))).as("%d", value).isEqualTo(expected);
      }
      for (String odd : new String[] {"", "-", "-0", "00", "01", "+1", "1.0", "1e1"}) {
        assertThat(automaton.accepts(odd.getBytes(StandardCharsets.UTF_8))).as(odd).isFalse();
      }
    }
    assertThat(accepts(integer(Long.MIN_VALUE, Long.MAX_VALUE), "-9223372036854775808")).isTrue();
    assertThat(accepts(integer(Long.MIN_VALUE, Long.MAX_VALUE), "9223372036854775808")).isFalse();
  }

  /** Half of a surrogate pair would become a question mark. */
  @Test
  void textsThatUtf8CannotHaveAreRefused() {
    for (String half : new String[] {"\ud83d", "a\udc00b", "\udc00\ud83d"}) {
      for (Runnable made : new Runnable[] {() -> choice("x", half), () -> list(0, 2, half, "x"), () -> optional(half)}) {
        assertThatThrownBy(made::run).isInstanceOf(InvalidArgumentException.class)
            .hasMessage("a literal has half of a surrogate pair, which is no character");
      }
    }
    assertThat(accepts(choice("\ud83d\ude00"), "😀")).isTrue();
  }

  @Test
  void numbersWithinBounds() {
    for (String[] bounds : new String[][] {{"0", "1"}, {"-1.25", "0.5"}, {"0.05", "0.06"}, {"9.99", "10.01"}, {"-0.3", "-0.2"}, {"2.5", "2.5"}}) {
      BigDecimal low = new BigDecimal(bounds[0]);
      BigDecimal high = new BigDecimal(bounds[1]);
      ByteAutomaton automaton = Piece.number(low, high).compile();
      for (int thousandths = -2000; thousandths <= 11_000; thousandths++) {
        BigDecimal value = BigDecimal.valueOf(thousandths, 3);
        boolean expected = value.compareTo(low) >= 0 && value.compareTo(high) <= 0;
        String plain = value.toPlainString();
        assertThat(automaton.accepts(plain.getBytes(StandardCharsets.UTF_8))).as(plain).isEqualTo(expected);
        String shorter = value.signum() == 0 ? "0" : value.stripTrailingZeros().toPlainString();
        assertThat(automaton.accepts(shorter.getBytes(StandardCharsets.UTF_8))).as(shorter).isEqualTo(expected);
      }
    }
    assertThat(accepts(number(0, 1), "1.")).isFalse();
    assertThat(accepts(number(0, 1), ".5")).isFalse();
    assertThat(accepts(number(-1, 1), "-0.0")).isFalse();
  }

  @Test
  void piecesOneAfterTheOther() {
    Template animal = Template.of("Animal: ", choice("cat", "catfish"), optional(", ", pattern("[a-z]+ly")), ".\nNumbers: ",
        list(1, 3, ", ", integer(1, 20)), text(5), "!");
    ByteAutomaton automaton = animal.automaton().orElseThrow();
    assertThat(automaton.accepts("Animal: cat.\nNumbers: 1!".getBytes(StandardCharsets.UTF_8))).isTrue();
    assertThat(automaton.accepts("Animal: catfish, mostly.\nNumbers: 1, 20, 7 größer! als!".getBytes(StandardCharsets.UTF_8))).isTrue();
    assertThat(automaton.accepts("Animal: cow.\nNumbers: 1!".getBytes(StandardCharsets.UTF_8))).isFalse();
    assertThat(automaton.accepts("Animal: cat.\nNumbers: 21?".getBytes(StandardCharsets.UTF_8))).isFalse();
    assertThat(automaton.accepts("Animal: cat, most.\nNumbers: 1!".getBytes(StandardCharsets.UTF_8))).isFalse();
    assertThat(automaton.accepts(new byte[] {(byte) 0xC3})).isFalse();
    assertThat(automaton.shortest()).asString(StandardCharsets.UTF_8).isEqualTo("Animal: cat.\nNumbers: 1!");
  }

  @Test
  void stringsAreSlotsWithoutTheirQuotationMarks() {
    ByteAutomaton automaton = Template.of("[", string(4), ",", string(7), "]").automaton().orElseThrow();
    assertThat(automaton.slotTokens()).containsExactlyInAnyOrder(4, 7);
    int[] slots = automaton.stateSlot();
    int bracket = automaton.next(0, (byte) '[');
    int inside = automaton.next(bracket, (byte) '"');
    assertThat(slots[bracket]).isEqualTo(-1);
    assertThat(automaton.slotTokens()[slots[inside]]).isEqualTo(4);
    assertThat(slots[automaton.next(inside, (byte) '"')]).isEqualTo(-1);
  }

  @Test
  void refusesWhatCannotBe() {
    assertThatThrownBy(() -> Template.of("a", slot(2), integer(1, 2))).isInstanceOf(InvalidArgumentException.class)
        .hasMessageContaining("expected one kind");
    assertThatThrownBy(() -> integer(2, 1)).hasMessage("no number is at least 2 and at most 1");
    assertThatThrownBy(() -> list(2, 1, ",", "a")).hasMessageStartingWith("a list of 2 to 1 items");
    assertThatThrownBy(() -> choice()).hasMessage("a choice of no texts");
    assertThatThrownBy(() -> text(0)).hasMessage("maxTokens is 0, expected at least 1");
    assertThatThrownBy(() -> pattern("a(?=b)")).isInstanceOf(UnsupportedException.class).hasMessageStartingWith("lookaround at character 1");
    assertThatThrownBy(() -> pattern("(".repeat(100_000))).isInstanceOf(UnsupportedException.class)
        .hasMessageStartingWith("groups within each other more than 200 deep at character 201");
    assertThatThrownBy(() -> pattern("[]")).hasMessage("nothing matches the regular expression []");
    assertThat(Template.of("a", slot(2)).automaton()).isEmpty();
  }
}
