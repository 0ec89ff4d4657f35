/**
 * JPEG files (ITU-T T.81): sequential and progressive, Huffman coded, 8 bits per sample, of 1, 3 or 4 components. Cosine transform,
 * upsampling and conversion of colours round as libjpeg-turbo does, so a picture is equal to what Pillow reads; and data that are
 * cut off or damaged are an error, where the platform's reader warns at most and invents the rest.
 */
package io.github.dimple4j.image.jpeg;
