/* What a file may claim: far above every known model, and small enough that no product of two overflows 64 bits. */
#ifndef DIMPLE_LIMITS_H
#define DIMPLE_LIMITS_H

enum {
  MAX_LAYERS = 1024,
  MAX_VISION_LAYERS = 256,
  MAX_WIDTH = 1 << 17,
  MAX_FEED_FORWARD = 1 << 20,
  MAX_HEADS = 1024,
  MAX_EXPERTS = 1024,
  MAX_VOCAB = 1 << 23,
  MAX_CONTEXT = 1 << 24,
};

#endif
