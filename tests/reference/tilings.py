#!/usr/bin/env python3
"""Makes csrc/test/data/tilings.txt: how transformers 5.12.1's processor of LLaVA-OneVision cuts pictures into tiles under anyres_max_9.

    python3 tests/reference/tilings.py [FILE]

A line: side of a tile and of a patch; width and height of the picture; rows and columns of tiles; width and height it is enlarged to; its tokens; FNV-1a
(64 bits) of the tiles' bytes as far as patches cover them, one tile after the other, or 0: not asked. Byte i of a picture is the highest of i * 2654435761.
"""
import os
import random
import sys
import types

import numpy as np
from PIL import Image
from transformers.image_processing_utils import get_patch_output_size, select_best_resolution
from transformers.models.llava_onevision.image_processing_llava_onevision import LlavaOnevisionImageProcessor
from transformers.models.llava_onevision.processing_llava_onevision import LlavaOnevisionProcessor


def picture(width, height):
    i = np.arange(3 * width * height, dtype=np.uint64)
    return (i * 2654435761 % 2**32 >> 24).astype(np.uint8).reshape(height, width, 3)


def fnv(data):
    h = 14695981039346656037
    for byte in data:
        h = (h ^ byte) * 1099511628211 % 2**64
    return h


def line(side, patch, width, height, hashed):
    pinpoints = [[side * h, side * w] for h in range(1, 7) for w in range(1, 7)]
    own = types.SimpleNamespace(image_processor=types.SimpleNamespace(image_grid_pinpoints=pinpoints), num_image_tokens=(side // patch) ** 2,
                                vision_aspect_ratio="anyres_max_9")
    own._get_unpadded_features = types.MethodType(LlavaOnevisionProcessor._get_unpadded_features, own)
    tokens = LlavaOnevisionProcessor._get_number_of_features(own, height, width, side, side)
    best = select_best_resolution((height, width), pinpoints)
    large = get_patch_output_size(np.zeros((1, height, width), np.uint8), best, "channels_first")
    found = 0
    if hashed:
        processor = LlavaOnevisionImageProcessor(image_mean=[0.5] * 3, image_std=[0.5] * 3, size=dict(height=side, width=side), image_grid_pinpoints=pinpoints,
                                                 resample=3)
        values = processor(images=[Image.fromarray(picture(width, height))], return_tensors="pt")["pixel_values"][0].numpy()
        seen = side // patch * patch
        found = fnv(np.rint(values * 127.5 + 127.5).astype(np.uint8)[:, :, :seen, :seen].transpose(0, 2, 3, 1).tobytes())
    return "%d %d %d %d %d %d %d %d %d %x" % (side, patch, width, height, best[0] // side, best[1] // side, large[1], large[0], tokens, found)


def main(file):
    r, lines = random.Random(8), []
    sizes = [(1, 1), (14, 14), (13, 200), (200, 13), (2000, 3), (3, 2000), (28, 42), (43, 27), (84, 84), (85, 83), (300, 211), (17, 16), (1, 90), (400, 1)]
    sizes += [(r.randint(1, 120), r.randint(1, 120)) for _ in range(50)]
    lines += [line(14, 4, w, h, True) for w, h in sizes]
    lines += [line(384, 14, w, h, True) for w, h in ((61, 47), (500, 375), (384, 384))]
    sizes = [(384, 768), (640, 480), (480, 640), (1920, 1080), (4000, 3000), (10000, 1), (1, 10000), (50000, 7), (2304, 2304), (2305, 2303), (1153, 767)]
    sizes += [(r.randint(1, 5000), r.randint(1, 5000)) for _ in range(150)] + [(r.randint(1, 40), r.randint(500, 30000)) for _ in range(40)]
    lines += [line(384, 14, w, h, False) for w, h in sizes]
    with open(file, "w") as f:
        f.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "csrc", "test", "data", "tilings.txt"))
