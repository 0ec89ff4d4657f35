#!/usr/bin/env python3
"""Writes mixtures.txt beside this script: the types that llama-quantize gives to the matrices of the three models of MixtureTest. Needs numpy,
the `gguf` package and llama.cpp's tools (ggml 0.27).

    python3 make_mixtures.py FOLDER [--llama-quantize CMD]     some 100 MB in FOLDER"""
import argparse
import itertools
import os
import re
import shlex
import subprocess

import gguf
import numpy as np

WIDTH, VOCABULARY = 256, 320
# Architecture, layers, heads, key heads, feed-forward width, experts.
MODELS = {"deep": ("dream", 18, 8, 2, 352, 0), "odd": ("dream", 2, 8, 4, 40, 0), "moe": ("llada-moe", 9, 8, 8, 256, 8)}
QUANTIZATIONS = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K_S", "Q3_K_M", "Q3_K_L", "Q4_K_S", "Q4_K_M", "Q5_K_S", "Q5_K_M",
                 "Q6_K", "IQ4_NL", "IQ4_XS"]
WITH_IMPORTANCE = ["Q4_0", "Q5_0", "IQ4_NL", "IQ4_XS", "Q4_K_M"]  # of "deep"
HEAD = """\
# What llama-quantize of llama.cpp (ggml 0.27) makes of three models: `make_mixtures.py`. Per kind of matrix the types of
# the layers in order, "type*count". Shapes of the models: MixtureTest.
"""


def shapes(layers, heads, key_heads, feed_forward, experts):
    """Names and shapes, rows first as numpy has them."""
    keys = WIDTH // heads * key_heads
    yield "token_embd.weight", (VOCABULARY, WIDTH)
    yield "output.weight", (VOCABULARY, WIDTH)
    yield "output_norm.weight", (WIDTH,)
    for block in ("blk.%d." % i for i in range(layers)):
        yield block + "attn_norm.weight", (WIDTH,)
        yield block + "attn_q.weight", (WIDTH, WIDTH)
        yield block + "attn_q.bias", (WIDTH,)
        yield block + "attn_k.weight", (keys, WIDTH)
        yield block + "attn_v.weight", (keys, WIDTH)
        yield block + "attn_output.weight", (WIDTH, WIDTH)
        if experts:
            yield block + "ffn_gate_inp.weight", (experts, WIDTH)
        bank, kind = ((experts,), "_exps") if experts else ((), "")
        for name, shape in (("gate", (feed_forward, WIDTH)), ("up", (feed_forward, WIDTH)), ("down", (WIDTH, feed_forward))):
            yield "%sffn_%s%s.weight" % (block, name, kind), bank + shape


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_model(path, architecture, layers, heads, key_heads, feed_forward, experts):
    writer, random = gguf.GGUFWriter(path, architecture), np.random.default_rng(7)
    writer.add_block_count(layers)
    writer.add_context_length(512)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(feed_forward)
    writer.add_head_count(heads)
    writer.add_head_count_kv(key_heads)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_vocab_size(VOCABULARY)
    if experts:
        writer.add_expert_count(experts)
        writer.add_expert_used_count(2)
    for name, shape in shapes(layers, heads, key_heads, feed_forward, experts):
        writer.add_tensor(name, (0.02 * random.standard_normal(shape)).astype(np.float32))
    finish(writer)


def write_importance(path, model):
    """The same importance everywhere; whether there is one at all changes the choice."""
    writer = gguf.GGUFWriter(path, "")
    writer.add_type("imatrix")
    writer.add_array("imatrix.datasets", ["none.txt"])
    writer.add_uint32("imatrix.chunk_count", 1)
    writer.add_uint32("imatrix.chunk_size", 512)
    for name, shape in shapes(*model[1:]):
        if len(shape) > 1:
            writer.add_tensor(name + ".in_sum2", np.full((1, shape[-1]), 512, np.float32))
            writer.add_tensor(name + ".counts", np.full((1, 1), 512, np.float32))
    finish(writer)


def chosen(path):
    """Per kind of matrix the runs of equal types over the layers."""
    kinds = {}
    for tensor in sorted(gguf.GGUFReader(path).tensors, key=lambda t: [int(n) for n in re.findall(r"\d+", t.name)]):
        if tensor.name.endswith(".weight") and not tensor.name.endswith("_norm.weight"):
            kind = re.sub(r"^blk\.\d+\.|\.weight$", "", tensor.name)
            kinds.setdefault(kind, []).append(tensor.tensor_type.name.lower())
    runs = {kind: [(name, len(list(run))) for name, run in itertools.groupby(types)] for kind, types in kinds.items()}
    return " ".join("%s=%s" % (kind, ",".join(name if count == 1 else "%s*%d" % (name, count) for name, count in runs[kind]))
                    for kind in sorted(runs))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder")
    parser.add_argument("--llama-quantize", default="llama-quantize")
    options = parser.parse_args()
    command, out = shlex.split(options.llama_quantize), os.path.join(options.folder, "out.gguf")
    files = {name: os.path.join(options.folder, name + ".gguf") for name in MODELS}
    for name, model in MODELS.items():
        write_model(files[name], *model)
    importance = os.path.join(options.folder, "importance.gguf")
    write_importance(importance, MODELS["deep"])
    runs = [(name, quantization, []) for name in MODELS for quantization in QUANTIZATIONS]
    runs += [("deep", quantization, ["--imatrix", importance]) for quantization in WITH_IMPORTANCE]
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "mixtures.txt"), "w") as f:
        f.write(HEAD)
        for name, quantization, extra in runs:
            subprocess.run([*command, *extra, files[name], out, quantization], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            f.write("%s %s %s\n" % (name + ("+imatrix" if extra else ""), quantization, chosen(out)))


if __name__ == "__main__":
    main()
