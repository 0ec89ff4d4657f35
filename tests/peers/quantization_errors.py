#!/usr/bin/env python3
"""Quantizes one file of random matrices to every type with `dimple gguf quantize` and with llama-quantize, with and without an importance
matrix, and prints the errors beside each other: see docs/quantization.md. Needs numpy, the `gguf` package and llama.cpp's tools.

Usage: quantization_errors.py FOLDER [--dimple CMD] [--llama-quantize CMD]     some 200 MB in FOLDER"""
import argparse
import os
import shlex
import subprocess

import gguf
import numpy as np

TYPES = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS"]
MIXTURES = {"Q3_K": "Q3_K_S", "Q4_K": "Q4_K_S", "Q5_K": "Q5_K_S"}  # what llama-quantize calls them; --pure makes them one type
ROWS, COLUMNS = 512, 4096
NAMES = {"normal": "blk.0.attn_q.weight", "Laplace": "blk.0.attn_k.weight", "Student t, 3": "blk.0.ffn_up.weight"}


def matrices():
    """[ROWS x COLUMNS] of each distribution, with a standard deviation near 0.02, rows of different sizes as trained ones have."""
    random = np.random.default_rng(3)
    shape = (ROWS, COLUMNS)
    drawn = {"normal": random.standard_normal(shape), "Laplace": random.laplace(size=shape) / 2**0.5,
             "Student t, 3": random.standard_t(3, shape) / 3**0.5}
    return {kind: (0.02 * np.exp(0.3 * random.standard_normal((ROWS, 1))) * x).astype(np.float32) for kind, x in drawn.items()}


def write_model(path, matrices):
    writer = gguf.GGUFWriter(path, "dream")
    writer.add_block_count(1)
    writer.add_context_length(512)
    writer.add_embedding_length(COLUMNS)
    writer.add_feed_forward_length(ROWS)
    writer.add_head_count(32)
    writer.add_layer_norm_rms_eps(1e-6)
    for kind, matrix in matrices.items():
        writer.add_tensor(NAMES[kind], matrix)
    finish(writer)


def write_importance(path, importance):
    """As llama-imatrix does: per matrix the sums of squared inputs of every column, and how many inputs there were."""
    writer = gguf.GGUFWriter(path, "")
    writer.add_type("imatrix")
    writer.add_array("imatrix.datasets", ["random.txt"])
    writer.add_uint32("imatrix.chunk_count", 1)
    writer.add_uint32("imatrix.chunk_size", 512)
    for name in NAMES.values():
        writer.add_tensor(name + ".in_sum2", (512 * importance).reshape(1, -1).astype(np.float32))
        writer.add_tensor(name + ".counts", np.full((1, 1), 512, np.float32))
    finish(writer)


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def errors(path, type_name, matrices, importance):
    """Of every matrix: root mean square of the rounding over that of the weights, columns weighted by their importance."""
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}
    result = {}
    for kind, matrix in matrices.items():
        tensor = tensors[NAMES[kind]]
        assert tensor.tensor_type.name == type_name, f"{path}: {tensor.name} is {tensor.tensor_type.name}"
        x = matrix.astype(np.float64)
        wrong = x - gguf.quants.dequantize(tensor.data, tensor.tensor_type).reshape(x.shape)
        result[kind] = np.sqrt((importance * wrong**2).sum() / (importance * x**2).sum())
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder")
    parser.add_argument("--dimple", default="./dimple", type=shlex.split)
    parser.add_argument("--llama-quantize", default="llama-quantize", type=shlex.split)
    options = parser.parse_args()
    os.makedirs(options.folder, exist_ok=True)
    source, measured, ours, theirs = (os.path.join(options.folder, name + ".gguf") for name in ("source", "imatrix", "ours", "theirs"))
    x = matrices()
    importance = np.random.default_rng(4).lognormal(0, 1.5, COLUMNS)  # the squares of activations differ this much
    write_model(source, x)
    write_importance(measured, importance)

    def run(command):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{shlex.join(command)}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")

    print("Each cell: ours / llama-quantize's\n")
    print("| type | " + " | ".join(list(NAMES) + [f"{kind}, importance" for kind in NAMES]) + " |")
    print("|---|" + "---|" * 2 * len(NAMES))
    for name in TYPES:
        cells = []
        for matrix, weights in ([], np.ones(COLUMNS)), (["--imatrix", measured], importance):
            run(options.dimple + ["gguf", "quantize", source, ours, MIXTURES.get(name, name), "--tensor-type", f".={name}", "--force"] + matrix)
            run(options.llama_quantize + ["--pure"] + matrix + [source, theirs, MIXTURES.get(name, name)])
            a, b = errors(ours, name, x, weights), errors(theirs, name, x, weights)
            cells += [f"{a[kind]:.4f} / {b[kind]:.4f}" for kind in NAMES]
        print(f"| {name.lower()} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
