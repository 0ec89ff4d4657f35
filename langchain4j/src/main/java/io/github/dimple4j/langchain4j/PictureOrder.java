package io.github.dimple4j.langchain4j;

/** Where the pictures of a message stand in the prompt. */
public enum PictureOrder {
  /**
   * Before the texts of their message, whatever the message's order: as Dimple was trained. {@code AiServices} puts the text first, so that
   * nothing else would be asked there.
   */
  FIRST,
  /** In the message's order, for texts that say which picture is which. */
  AS_GIVEN
}
