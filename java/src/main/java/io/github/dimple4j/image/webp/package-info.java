/**
 * WebP files: lossy (VP8 key frames, RFC 6386), lossless (VP8L, RFC 9649), alpha, and the first frame of animations. Upsampling and
 * conversion of colours round as libwebp does, so a picture is equal to what Pillow reads; data that are cut off are an error.
 */
package io.github.dimple4j.image.webp;
