#!/usr/bin/env python3
"""Turns the image goldens into the tables that image_test.c reads: see README.md. Needs numpy."""
import json
import os
import struct
import zlib

import numpy as np

# Checkpoint folder, number of its picture, index of the picture's first patch in pixel_values.npy: one picture that
# shrinks, one that grows.
PICTURES = [("beta", 0, 0), ("gamma", 1, 60)]
# Patches kept of each: the first merge block, the beginning of the second, the last patch.
PATCHES = [0, 1, 2, 3, 4, -1]


def read_png(path):
    """uint8 [height, width, 3] of an 8-bit RGB PNG that is not interlaced."""
    with open(path, "rb") as f:
        blob = f.read()
    at, data, size = 8, b"", None
    while at < len(blob):
        length, tag = struct.unpack(">I4s", blob[at:at + 8])
        chunk = blob[at + 8:at + 8 + length]
        if tag == b"IHDR":
            size = struct.unpack(">IIBBBBB", chunk)
        elif tag == b"IDAT":
            data += chunk
        at += 12 + length
    width, height, depth, colour, _, _, interlace = size
    if (depth, colour, interlace) != (8, 2, 0):
        raise ValueError(f"{path}: not an 8-bit RGB PNG")
    lines = np.frombuffer(zlib.decompress(data), np.uint8).reshape(height, 1 + 3 * width).astype(int)
    image = np.zeros((height + 1, width + 1, 3), int)  # a row above and a column to the left, both zero
    for y in range(height):
        kind, line = lines[y, 0], lines[y, 1:].reshape(width, 3)
        for x in range(width):
            left, up, corner = image[y + 1, x], image[y, x + 1], image[y, x]
            guess = left + up - corner
            distance = np.abs(np.stack([guess - left, guess - up, guess - corner]))
            paeth = np.choose(distance.argmin(0), [left, up, corner])
            image[y + 1, x + 1] = line[x] + (0, left, up, (left + up) // 2, paeth)[kind] & 255
    return image[1:, 1:].astype(np.uint8)


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    goldens = os.path.join(here, "..", "..", "..", "tests", "goldens")
    with open(os.path.join(goldens, "units", "smart_resize.json")) as f:
        rows = json.load(f)["rows"]
    with open(os.path.join(here, "smart_resize.txt"), "w") as f:
        for *question, answer in rows:
            height, width = answer if isinstance(answer, list) else (0, 0)
            f.write(" ".join(map(str, question + [height, width])) + "\n")
    for folder, number, first in PICTURES:
        folder_path = os.path.join(goldens, folder)
        picture = read_png(os.path.join(folder_path, f"image_{number}.png"))
        resized = read_png(os.path.join(folder_path, f"resized_{number}.png"))
        count = resized.shape[0] * resized.shape[1] // 14 ** 2
        values = np.load(os.path.join(folder_path, "pixel_values.npy"))[first:first + count]
        with open(os.path.join(here, f"image_{folder}_{number}.bin"), "wb") as f:
            f.write(struct.pack("<5i", *picture.shape[1::-1], *resized.shape[1::-1], len(PATCHES)))
            f.write(picture.tobytes() + resized.tobytes())
            for patch in PATCHES:
                f.write(struct.pack("<i", patch % count) + values[patch].astype("<f4").tobytes())


if __name__ == "__main__":
    main()
