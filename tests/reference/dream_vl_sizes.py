#!/usr/bin/env python3
"""Makes csrc/test/data/enlarged_sizes.txt: what sizes Dream-VL's own smart_resize gives pictures with a side below 28 pixels, and some others.

    python3 tests/reference/dream_vl_sizes.py DREAM_VLX [FILE]

DREAM_VLX: as for dream_vl_goldens.py. A line: height, width, least and most pixels, height and width afterwards; 0 0 where the function fails, or comes to
a side of 0, which no tower takes.
"""
import os
import random
import sys

import transformers.image_utils

transformers.image_utils.VideoInput = list  # a name of older libraries


def main(path, file):
    sys.path.insert(0, path)
    from dreamvl.image_processing_dreamvl import smart_resize
    r, lines = random.Random(5), []
    sizes = [(1, 1), (27, 27), (28, 27), (27, 28), (1, 5000), (5000, 1), (13, 13), (14, 42), (42, 14), (3, 8), (2, 401), (20, 30), (27, 5401), (28, 5600), (28, 5601)]
    sizes += [(r.randint(1, 40), r.randint(1, 60)) for _ in range(90)] + [(r.randint(1, 27), r.randint(100, 4000)) for _ in range(25)]
    sizes += [(r.randint(100, 4000), r.randint(1, 27)) for _ in range(20)]
    for height, width in sizes:
        least, most = r.choice([(3136, 1003520), (3136, 12845056), (784, 4000), (50000, 60000)])
        try:
            size = smart_resize(height, width, 28, least, most)
        except ValueError:
            size = (0, 0)
        lines.append("%d %d %d %d %d %d" % ((height, width, least, most) + (size if min(size) > 0 else (0, 0))))
    with open(file, "w") as f:
        f.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else os.path.join(os.path.dirname(__file__), "..", "..", "csrc", "test", "data", "enlarged_sizes.txt"))
