package io.github.dimple4j.langchain4j;

/** Where the pictures of a message stand in the prompt. */
public enum PictureOrder {
  /**
   * Before the texts of their message, as Dimple was trained, where all of them stand behind; otherwise in the message's order. {@code AiServices} puts
   * the text first.
   */
  FIRST,
  /** In the message's order. */
  AS_GIVEN
}
