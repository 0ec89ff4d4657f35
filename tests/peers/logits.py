#!/usr/bin/env python3
"""Compares logits with llama.cpp's on the same GGUF files, and both with those of the decoded weights in F32: random `dream`, `llada`,
`llada-moe` and `rnd1` models, and the trained text model of dimple-mini as `dream`: see docs/quantization.md. Needs numpy, the `gguf` package and
llama.cpp's tools.

Usage: logits.py FOLDER [--models NAME ...] [--prompts N] [--cpu KERNELS ...] [--dimple CMD] [--llama-debug CMD]     400 MB in FOLDER"""
import argparse
import json
import os
import shlex
import subprocess

import gguf
import numpy as np

MINI = os.path.join(os.path.dirname(__file__), "..", "..", "models", "mini", "dimple-mini-f16.gguf")
LAYERS, WIDTH, FEED_FORWARD, HEADS, KEY_HEADS, EXPERTS, EXPERT_WIDTH = 4, 512, 1536, 8, 2, 8, 512
TYPES = ["q8_0", "q4_k_m", "q4_0"]
MODELS = ["dream", "llada", "llada-moe", "rnd1", "dimple-mini"]
WITH_EXPERTS = ["llada-moe", "rnd1"]


def mini():
    return gguf.GGUFReader(MINI)


def copy_tokenizer(writer, reader):
    for field in reader.fields.values():
        if field.name.startswith("tokenizer.") and field.name != "tokenizer.chat_template":
            sub = field.types[-1] if len(field.types) > 1 else None
            writer.add_key_value(field.name, field.contents(), field.types[0], sub)


def finish(writer, tensors):
    for name, tensor in tensors.items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_random(path, architecture):
    """Normal weights of standard deviation 0.02, norms around 1, biases where the architecture has them."""
    random, reader = np.random.default_rng(5), mini()
    writer = gguf.GGUFWriter(path, architecture)
    vocabulary = len(reader.fields["tokenizer.ggml.tokens"].data)
    writer.add_block_count(LAYERS)
    writer.add_context_length(512)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEY_HEADS)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(1e4)
    writer.add_vocab_size(vocabulary)
    writer.add_causal_attention(False)
    writer.add_bool("diffusion.shift_logits", architecture in ("dream", "rnd1"))
    if architecture in WITH_EXPERTS:
        writer.add_expert_count(EXPERTS)
        writer.add_expert_used_count(2)
        writer.add_expert_feed_forward_length(EXPERT_WIDTH)
    copy_tokenizer(writer, reader)

    def matrix(*shape):
        return (0.02 * random.standard_normal(shape)).astype(np.float32)

    def norm(size):
        return (1 + 0.1 * random.standard_normal(size)).astype(np.float32)

    tensors, head = {"token_embd.weight": matrix(vocabulary, WIDTH)}, WIDTH // HEADS
    for layer in range(LAYERS):
        at = f"blk.{layer}."
        tensors[at + "attn_norm.weight"], tensors[at + "ffn_norm.weight"] = norm(WIDTH), norm(WIDTH)
        for name, rows in (("q", WIDTH), ("k", KEY_HEADS * head), ("v", KEY_HEADS * head)):
            tensors[f"{at}attn_{name}.weight"] = matrix(rows, WIDTH)
            if architecture == "dream":
                tensors[f"{at}attn_{name}.bias"] = matrix(rows)
        tensors[at + "attn_output.weight"] = matrix(WIDTH, WIDTH)
        if architecture in WITH_EXPERTS:
            tensors[at + "attn_q_norm.weight"], tensors[at + "attn_k_norm.weight"] = norm(head), norm(head)
            tensors[at + "ffn_gate_inp.weight"] = matrix(EXPERTS, WIDTH)
        of, width = ((EXPERTS,), EXPERT_WIDTH) if architecture in WITH_EXPERTS else ((), FEED_FORWARD)
        suffix = "_exps.weight" if of else ".weight"
        tensors[at + "ffn_gate" + suffix], tensors[at + "ffn_up" + suffix] = matrix(*of, width, WIDTH), matrix(*of, width, WIDTH)
        tensors[at + "ffn_down" + suffix] = matrix(*of, WIDTH, width)
    tensors["output_norm.weight"], tensors["output.weight"] = norm(WIDTH), matrix(vocabulary, WIDTH)
    finish(writer, tensors)


def write_mini(path):
    """dimple-mini's text model; for text alone its rotary sections are the plain rotation."""
    reader, writer = mini(), gguf.GGUFWriter(path, "dream")
    for field in reader.fields.values():
        if field.name.startswith("dimple.") and not field.name.endswith(("_token_id", "dimension_sections")):
            writer.add_key_value(field.name.replace("dimple.", "dream."), field.contents(), field.types[0])
    writer.add_bool("diffusion.shift_logits", True)
    copy_tokenizer(writer, reader)
    finish(writer, {tensor.name: decode(tensor) for tensor in reader.tensors if not tensor.name.startswith(("v.", "mm."))})


def decode(tensor):
    shape = [int(size) for size in reversed(tensor.shape)]
    return np.ascontiguousarray(gguf.quants.dequantize(tensor.data, tensor.tensor_type).reshape(shape), np.float32)


def write_decoded(path, source):
    """The same model with every tensor decoded to F32."""
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(path, reader.fields["general.architecture"].contents())
    for field in reader.fields.values():
        if not field.name.startswith(("GGUF.", "general.")):
            writer.add_key_value(field.name, field.contents(), field.types[0], field.types[-1] if len(field.types) > 1 else None)
    finish(writer, {tensor.name: decode(tensor) for tensor in reader.tensors})


def run(command, **environment):
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})
    if done.returncode:
        raise SystemExit(f"{shlex.join(command)}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


class Engines:
    """Both give the logits of the last position of every prompt, [prompts x vocabulary]."""

    def __init__(self, options):
        self.options = options
        random = np.random.default_rng(6)
        words = "a red circle is left of the small blue square and above two green triangles in this image".split()
        self.prompts = [" ".join(random.choice(words, 40)) for _ in range(options.prompts)]
        self.ids = None

    def llama(self, model, *flags):
        rows, ids = [], []
        for prompt in self.prompts:
            run(self.options.llama_debug + ["-m", model, "-p", prompt, "--save-logits", "--logits-output-dir", self.options.folder, "-t", "1",
                                            "-c", "512", "--no-warmup", *flags])
            saved = os.path.join(self.options.folder, "llamacpp-" + os.path.splitext(os.path.basename(model))[0])
            rows.append(np.fromfile(saved + ".bin", np.float32))
            ids.append(np.fromfile(saved + "-tokens.bin", np.int32).tolist())
        assert self.ids in (None, ids)
        self.ids = ids
        return np.array(rows, np.float64)

    def dimple(self, model, kernels):
        rows = []
        for ids in self.ids:
            path, out = (os.path.join(self.options.folder, name) for name in ("ids.json", "logits.json"))
            with open(path, "w") as f:
                json.dump(ids, f)
            run(self.options.dimple + ["logits", model, "--ids-file", path, "--threads", "1", "--json", out], DIMPLE_CPU=kernels)
            with open(out) as f:
                rows.append(json.load(f)["logits"][-1])
        return np.array(rows, np.float64)


def distance(a, b):
    """Relative L2 over all logits, and the largest difference over the largest logit."""
    return f"{np.linalg.norm(a - b) / np.linalg.norm(b):.1e} / {np.abs(a - b).max() / np.abs(b).max():.1e}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder")
    parser.add_argument("--models", nargs="+", default=MODELS, choices=MODELS)
    parser.add_argument("--prompts", type=int, default=4)
    parser.add_argument("--cpu", nargs="+", default=["plain", "avx2"], help="values of DIMPLE_CPU")
    parser.add_argument("--dimple", default="./dimple", type=shlex.split)
    parser.add_argument("--llama-debug", default="llama-debug", type=shlex.split)
    options = parser.parse_args()
    os.makedirs(options.folder, exist_ok=True)
    engines = Engines(options)
    print("Each cell: relative L2 / largest difference over largest logit. A: llama.cpp, B: llama.cpp with -fa off, C: B on decoded weights\n")
    print("| model | type | A to C | B to C | " + " | ".join(f"{kernels} to B | {kernels} to C" for kernels in options.cpu) + " |")
    print("|---|---|---|---|" + "---|---|" * len(options.cpu))
    for model in options.models:
        source, decoded = (os.path.join(options.folder, f"{model}-{name}.gguf") for name in ("f32", "decoded"))
        write_mini(source) if model == "dimple-mini" else write_random(source, model)
        for kind in ["f32"] + TYPES:
            file = os.path.join(options.folder, f"{model}-{kind}.gguf")
            if kind != "f32":
                run(options.dimple + ["gguf", "quantize", source, file, kind, "--force"])
            write_decoded(decoded, file)
            exact, theirs = engines.llama(decoded, "-fa", "off"), engines.llama(file, "-fa", "off")
            cells = [distance(engines.llama(file), exact), distance(theirs, exact)]
            for kernels in options.cpu:
                ours = engines.dimple(file, kernels)
                cells += [distance(ours, theirs), distance(ours, exact)]
            print(f"| {model} | {kind} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
