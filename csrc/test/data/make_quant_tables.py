#!/usr/bin/env python3
"""Writes the tables of quant_test.c with upstream's own decoder and encoders: see README.md. Needs the `gguf` package and
ggml's shared library. Usage: make_quant_tables.py [LIBRARY]"""
import ctypes
import os
import struct
import sys

import numpy as np
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType as Type
from gguf.quants import dequantize

TYPES = [Type.Q4_0, Type.Q4_1, Type.Q5_0, Type.Q5_1, Type.Q8_0, Type.Q2_K, Type.Q3_K, Type.Q4_K, Type.Q5_K, Type.Q6_K,
         Type.IQ4_NL, Type.IQ4_XS]
READ_ONLY = [Type.IQ3_S, Type.IQ3_XXS, Type.IQ2_S, Type.IQ2_XS, Type.IQ2_XXS, Type.IQ1_M, Type.IQ1_S, Type.TQ2_0, Type.TQ1_0, Type.MXFP4,
             Type.NVFP4]
# Byte offsets of the half floats in a block; those of IQ1_M stand in the upper quarters of four words.
HALVES = {Type.TQ1_0: [52], Type.TQ2_0: [64], Type.MXFP4: [], Type.NVFP4: [], Type.IQ1_M: [], Type.Q4_1: [0, 2], Type.Q5_1: [0, 2], Type.Q2_K: [80, 82], Type.Q3_K: [108], Type.Q4_K: [0, 2], Type.Q5_K: [0, 2],
          Type.Q6_K: [208]}
ELEMENTS = 1024  # decoded per type
ROWS, COLUMNS = 16, 1024  # encoded per type, kind of data and importance
HERE = os.path.dirname(os.path.abspath(__file__))


class Traits(ctypes.Structure):
    """The beginning of ggml.h's struct ggml_type_traits."""
    _fields_ = [("name", ctypes.c_char_p), ("block", ctypes.c_int64), ("interleave", ctypes.c_int64), ("size", ctypes.c_size_t),
                ("quantized", ctypes.c_bool), ("to_float", ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64))]


def decode(library, kind, blocks, length):
    """As the library decodes them."""
    ggml = ctypes.CDLL(library)
    ggml.ggml_get_type_traits.restype = ctypes.POINTER(Traits)
    traits = ggml.ggml_get_type_traits(int(kind)).contents
    assert (traits.block, traits.size) == (length, blocks.shape[1]), kind
    out = np.zeros((1, len(blocks) * length), "<f4")
    traits.to_float(np.ascontiguousarray(blocks).ctypes.data, out.ctypes.data, out.size)
    return out


def write_rows(library):
    """Blocks of random bits, so that every position matters, with finite scales of either sign."""
    rng = np.random.default_rng(20250516)
    with open(os.path.join(HERE, "quant_rows.bin"), "wb") as f:
        for kind in TYPES + READ_ONLY:
            length, size = GGML_QUANT_SIZES[kind]
            blocks = rng.integers(0, 256, (ELEMENTS // length, size), dtype=np.uint8)
            if kind == Type.IQ1_M:
                scale = (rng.standard_normal(len(blocks)) * 0.1).astype("<f2").view("<u2")
                words = blocks[:, 48:].copy().view("<u2") & 0x0fff
                blocks[:, 48:] = (words | (scale[:, None] >> np.array([0, 4, 8, 12], np.uint16) & 15) << 12).astype("<u2").view(np.uint8)
            for at in HALVES.get(kind, [0]):
                scale = (rng.standard_normal(len(blocks)) * 10.0 ** rng.integers(-7, 4, len(blocks))).astype("<f2")
                blocks[:, at:at + 2] = scale.view(np.uint8).reshape(-1, 2)
            f.write(struct.pack("<2i", int(kind), blocks.size) + blocks.tobytes())
            decoded = dequantize(blocks.reshape(1, -1), kind).astype("<f4")
            assert decoded.tobytes() == decode(library, kind, blocks, length).tobytes(), kind
            f.write(decoded.tobytes())


def uniforms(seed, count):
    """splitmix64, the upper 53 bits as a double in [0, 1)."""
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ z >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ z >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
        return (z ^ z >> np.uint64(31)).__rshift__(np.uint64(11)).astype(np.float64) * 2.0 ** -53


def near_normal(seed, draws, first, count):
    """Of each sample, which has so many draws: the sum of the 12 from `first` on, less 6."""
    u = uniforms(seed, draws * count).reshape(-1, draws)
    total = np.zeros(count)
    for i in range(12):
        total += u[:, first + i]
    return total - 6


def sample(kind):
    """[ROWS x COLUMNS]: 0 normal; 1 the same over the square root of a uniform; 2 Laplace; 3 Student's t with 3 degrees of freedom."""
    seed, count = 1 + kind, ROWS * COLUMNS
    if kind == 2:
        u = uniforms(seed, 2 * count).reshape(-1, 2) + 2.0 ** -54
        x = np.log(u[:, 0] / u[:, 1]) * 0.02
    elif kind == 3:
        z = [near_normal(seed, 48, 12 * i, count) for i in range(4)]
        x = z[0] * 0.02 / np.sqrt((z[1] * z[1] + z[2] * z[2] + z[3] * z[3]) / 3)
    else:
        x = near_normal(seed, 13, 0, count) * 0.02
        x = x / np.sqrt(uniforms(seed, 13 * count)[12::13] + 0.002) if kind else x
    return x.astype(np.float32).reshape(ROWS, COLUMNS)


def write_errors(library):
    ggml = ctypes.CDLL(library)
    pointer, count = ctypes.c_void_p, ctypes.c_int64
    ggml.ggml_quantize_chunk.argtypes = [ctypes.c_int, pointer, pointer, count, count, count, pointer]
    importance = (1 / (uniforms(9, COLUMNS) + 0.01)).astype(np.float32)
    with open(os.path.join(HERE, "quant_errors.txt"), "w") as f:
        for kind in TYPES:
            length, size = GGML_QUANT_SIZES[kind]
            for data in range(4):
                for weighted in (0, 1):
                    x, out = sample(data), np.zeros((ROWS, COLUMNS // length * size), np.uint8)
                    ggml.ggml_quantize_chunk(int(kind), x.ctypes.data, out.ctypes.data, 0, ROWS, COLUMNS,
                                             importance.ctypes.data if weighted else None)
                    weights = importance.astype(np.float64) if weighted else np.ones(COLUMNS)
                    wrong = x.astype(np.float64) - dequantize(out, kind)
                    error = np.sqrt((weights * wrong ** 2).sum() / (weights * x.astype(np.float64) ** 2).sum())
                    f.write(f"{int(kind)} {data} {weighted} {error:.6f}\n")


if __name__ == "__main__":
    ggml_library = sys.argv[1] if len(sys.argv) > 1 else "libggml-base.so.0"
    write_rows(ggml_library)
    write_errors(ggml_library)
