#!/usr/bin/env python3
"""Compares the logits of random models whose rotary embedding is scaled with llama.cpp's on the same GGUF files; the last column is how far
scaling moves the logits at all. The keys yarn_* are not read by llama.cpp 0.7 for these models, so there the two differ; rope_scaling_test
holds them beside the transformers library. Needs numpy, the `gguf` package and llama.cpp's tools.

Usage: rope_scaling.py FOLDER [--dimple CMD] [--llama-debug CMD]     30 MB in FOLDER"""
import argparse
import os
import shlex

import gguf
import numpy as np

import logits

logits.LAYERS, logits.WIDTH, logits.FEED_FORWARD, logits.HEADS, logits.KEY_HEADS, logits.EXPERTS, logits.EXPERT_WIDTH = 2, 256, 512, 4, 2, 4, 128

YARN = {"type": "yarn", "factor": 4.0, "original_context_length": 32}
CASES = {
    "linear 4": {"type": "linear", "factor": 4.0},
    "a factor without a type": {"factor": 2.5},
    "scale_linear 3": {"rope.scale_linear": 3.0},
    "scale_linear beside a factor": {"rope.scale_linear": 3.0, "factor": 2.0},
    "linear 0.5": {"type": "linear", "factor": 0.5},
    "none with a factor": {"type": "none", "factor": 4.0},
    "linear with an attention factor": {"type": "linear", "factor": 2.0, "attn_factor": 1.25},
    "yarn 4": YARN,
    "yarn 1.5": YARN | {"factor": 1.5},
    "yarn 40": YARN | {"factor": 40.0},
    "yarn 0.5": YARN | {"factor": 0.5},
    "yarn 4 of the whole context": {"type": "yarn", "factor": 4.0},
    "yarn 4 of 8192": YARN | {"original_context_length": 8192},
    "yarn 4, attention factor": YARN | {"attn_factor": 1.5},
    "yarn 4, yarn_attn_factor": YARN | {"yarn_attn_factor": 1.5},
    "yarn 4, ext_factor 0.5": YARN | {"yarn_ext_factor": 0.5},
    "yarn 4, ext_factor 0": YARN | {"yarn_ext_factor": 0.0},
    "yarn 4, ext_factor 0, yarn_attn_factor": YARN | {"yarn_ext_factor": 0.0, "yarn_attn_factor": 1.5},
    "linear 4, ext_factor 1": {"type": "linear", "factor": 4.0, "original_context_length": 32, "yarn_ext_factor": 1.0},
    "yarn 4, betas": YARN | {"yarn_beta_fast": 8.0, "yarn_beta_slow": 2.0},
    "yarn 4, log multiplier 0.1": YARN | {"yarn_log_multiplier": 0.1},
    "yarn 4, log multiplier 1": YARN | {"yarn_log_multiplier": 1.0},
    "yarn 4, not truncated": YARN | {"yarn_truncate": False},
}


def write_scaled(path, source, keys):
    """The same model with keys of rope.scaling, or a whole name, in addition."""
    reader = gguf.GGUFReader(source)
    architecture = reader.fields["general.architecture"].contents()
    writer = gguf.GGUFWriter(path, architecture)
    for field in reader.fields.values():
        if not field.name.startswith(("GGUF.", "general.")):
            writer.add_key_value(field.name, field.contents(), field.types[0], field.types[-1] if len(field.types) > 1 else None)
    add = {str: writer.add_string, float: writer.add_float32, int: writer.add_uint32, bool: writer.add_bool}
    for key, value in keys.items():
        add[type(value)](f"{architecture}.{key if key.startswith('rope.') else 'rope.scaling.' + key}", value)
    logits.finish(writer, {tensor.name: logits.decode(tensor) for tensor in reader.tensors})


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder")
    parser.add_argument("--dimple", default="./dimple", type=shlex.split)
    parser.add_argument("--llama-debug", default="llama-debug", type=shlex.split)
    options = parser.parse_args()
    options.prompts = 1
    os.makedirs(options.folder, exist_ok=True)
    engines = logits.Engines(options)
    print("| model | keys | dimple to llama.cpp | llama.cpp to no scaling |\n|---|---|---|---|")
    for model in ("dream", "llada"):
        source, scaled = (os.path.join(options.folder, f"{model}-{name}.gguf") for name in ("plain", "scaled"))
        logits.write_random(source, model)
        plain = engines.llama(source, "-fa", "off")
        for name, keys in CASES.items():
            write_scaled(scaled, source, keys)
            theirs = engines.llama(scaled, "-fa", "off")
            ours = engines.dimple(scaled, "plain")
            print(f"| {model} | {name} | {logits.distance(ours, theirs)} | {logits.distance(theirs, plain)} |", flush=True)


if __name__ == "__main__":
    main()
