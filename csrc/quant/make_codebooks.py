#!/usr/bin/env python3
"""Writes codebooks.c: the codebooks of the formats IQ1, IQ2 and IQ3, which are part of these formats. They are published in ggml's
src/ggml-common.h (iq2xxs_grid and so on, MIT license) and in llama.cpp's gguf-py/gguf/quants.py, where this reads them. Needs numpy and
the `gguf` package.

An entry is 8 levels of 2 bits, or in IQ3 4 levels of 3 bits, the first lowest: numbers of the level's magnitude, of the smallest first."""
import os

import numpy as np
from gguf import quants

BOOKS = {"iq1": quants.IQ1_S, "iq2_xxs": quants.IQ2_XXS, "iq2_xs": quants.IQ2_XS, "iq2_s": quants.IQ2_S, "iq3_xxs": quants.IQ3_XXS, "iq3_s": quants.IQ3_S}


def entries(book):
    """One number per entry."""
    book.init_grid()
    grid = np.asarray(book.grid).reshape(book.grid_shape)
    levels = np.searchsorted(np.asarray(book.grid_map, np.float32), grid)
    assert (np.asarray(book.grid_map, np.float32)[levels] == grid).all()
    bits = 2 if book.grid_shape[1] == 8 else 3
    return (levels << bits * np.arange(book.grid_shape[1])).sum(axis=1)


def main():
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "codebooks.c"), "w") as f:
        f.write("/* Written by make_codebooks.py, which names the source. */\n#include \"codebooks.h\"\n")
        for name, book in BOOKS.items():
            numbers = entries(book)
            f.write(f"\nconst uint16_t codebook_{name}[{len(numbers)}] = {{\n")
            for i in range(0, len(numbers), 16):
                f.write("    " + ", ".join(f"0x{number:04x}" for number in numbers[i:i + 16]) + ",\n")
            f.write("};\n")


if __name__ == "__main__":
    main()
