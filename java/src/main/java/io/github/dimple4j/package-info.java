/**
 * Load, prompt, prefill, decode.
 *
 * <pre>{@code
 * try (var model = DimpleModel.load(Path.of("dimple-7b-q4_k_m.gguf"));
 *     var session = model.session()
 *         .user("Describe this image.", Image.read(Path.of("cat.jpg")))
 *         .responseLength(64)
 *         .prefill()) {
 *   Generation g = session.decode(ConfidentDecoding.threshold(0.95f));
 *   System.out.println(g.text());
 * }
 * }</pre>
 *
 * <p>Words. The <i>prompt</i> is everything before the answer, as token ids. The <i>response</i> is a block of a length fixed
 * beforehand; each of its positions holds the mask token until it is revealed, or a token fixed from the start (a structure
 * prior). The <i>canvas</i> is the response as it stands. One <i>iteration</i> runs the model once and reveals any number of
 * masked positions.
 *
 * <p>Every failure is a {@link io.github.dimple4j.DimpleException}, whose message is one line, except that a null argument is a
 * {@link java.lang.NullPointerException}. Reference for the methods: "Dimple: Discrete Diffusion Multimodal Large Language
 * Model with Parallel Decoding", arXiv 2505.16990.
 */
package io.github.dimple4j;
