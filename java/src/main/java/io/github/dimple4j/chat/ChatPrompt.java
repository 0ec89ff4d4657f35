package io.github.dimple4j.chat;

import java.util.BitSet;

/**
 * A conversation as a template wrote it.
 *
 * @param text the prompt text
 * @param said the indices of the characters (UTF-16) that come out of {@link ContentPart.Text}, or may do so; the others are the template's
 *     or {@link ContentPart.Markup}'s. Not copied
 */
public record ChatPrompt(String text, BitSet said) {}
