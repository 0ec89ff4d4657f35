package io.github.dimple4j.chat;

import java.util.Objects;
import java.util.stream.IntStream;

/** Image placeholders of a prompt: templates write one token per picture, the model takes one per merged image token. */
public final class ImagePlaceholders {
  private ImagePlaceholders() {}

  /**
   * Puts each placeholder between the tokens that begin and end a picture, where it is not already.
   *
   * @param ids token ids with one placeholder per picture
   * @param imageTokenId the placeholder
   * @param begin what stands in front of a picture; negative: nothing
   * @param end what stands behind it; negative: nothing
   * @return the ids with what was missing
   */
  public static int[] frame(int[] ids, int imageTokenId, int begin, int end) {
    Objects.requireNonNull(ids, "ids");
    IntStream.Builder out = IntStream.builder();
    for (int i = 0; i < ids.length; i++) {
      boolean picture = ids[i] == imageTokenId;
      if (picture && begin >= 0 && (i == 0 || ids[i - 1] != begin)) {
        out.add(begin);
      }
      out.add(ids[i]);
      if (picture && end >= 0 && (i + 1 == ids.length || ids[i + 1] != end)) {
        out.add(end);
      }
    }
    return out.build().toArray();
  }

  /**
   * Repeats each placeholder as often as its picture has image tokens.
   *
   * @param ids token ids with one placeholder per picture
   * @param imageTokenId the placeholder
   * @param tokensPerImage image tokens of the pictures, in order
   * @return token ids with the placeholders expanded
   * @throws ChatTemplateException if there are more or fewer placeholders than pictures
   */
  public static int[] expand(int[] ids, int imageTokenId, int... tokensPerImage) {
    Objects.requireNonNull(ids, "ids");
    Objects.requireNonNull(tokensPerImage, "tokensPerImage");
    IntStream.Builder out = IntStream.builder();
    int images = 0;
    for (int id : ids) {
      int copies = 1;
      if (id == imageTokenId) {
        copies = images < tokensPerImage.length ? tokensPerImage[images] : 0;
        images++;
      }
      for (int i = 0; i < copies; i++) {
        out.add(id);
      }
    }
    if (images != tokensPerImage.length) {
      throw new ChatTemplateException("the prompt has " + images + " image placeholder(s) for " + tokensPerImage.length + " image(s)");
    }
    return out.build().toArray();
  }
}
