#!/usr/bin/env python3
"""Writes a Hugging Face directory of exactly Dimple-7B's shape with random BF16 weights in shards, 16.6 GB, to measure `dimple gguf
convert` and `quantize` at full size: see docs/converting.md. Needs numpy.

Usage: random_dimple_7b.py DIRECTORY [--layers N] [--seed S]     fewer layers, of text model and tower alike, make a smaller checkpoint"""
import argparse
import itertools
import json
import os
import struct

import numpy as np

WIDTH, FEED_FORWARD, HEADS, KEY_HEADS, VOCABULARY = 3584, 18944, 28, 4, 152064
TOWER_WIDTH, TOWER_FEED_FORWARD, MERGED = 1280, 3420, 4 * 1280
SHARD_BYTES = 5 * 10**9
CHUNK = 1 << 24  # weights drawn at a time

FIRST_SPECIAL = 151643
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>", "<|box_end|>",
           "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>",
           "<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>", "<|repo_name|>",
           "<|file_sep|>", "<|beginoftext|>", "<|mask|>"]
CHAT_TEMPLATE = """\
{%- set picture = '<|vision_start|><|image_pad|><|vision_end|>' -%}
{%- for turn in messages -%}
  {%- set pieces = [{'text': turn.content}] if turn.content is string else turn.content -%}
  {{- ['<|im_start|>', turn.role, '\n'] | join -}}
  {%- for piece in pieces -%}
    {{- piece.text | default(picture) -}}
  {%- endfor -%}
  {{- '<|im_end|>\n' -}}
{%- endfor -%}
{{- '<|im_start|>assistant\n' if add_generation_prompt -}}
"""


def token_id(name):
    return FIRST_SPECIAL + SPECIAL.index(name)


def config(layers, tower_layers):
    return {
        "architectures": ["DimpleModel"], "model_type": "dimple", "torch_dtype": "bfloat16", "full_attn_mask": True,
        "hidden_act": "silu", "hidden_size": WIDTH, "intermediate_size": FEED_FORWARD, "num_hidden_layers": layers,
        "num_attention_heads": HEADS, "num_key_value_heads": KEY_HEADS, "max_position_embeddings": 131072, "rms_norm_eps": 1e-6,
        "rope_theta": 1000000.0, "mrope_section": [16, 24, 24], "tie_word_embeddings": False, "vocab_size": VOCABULARY,
        "bos_token_id": token_id("<|beginoftext|>"), "eos_token_id": token_id("<|im_end|>"), "pad_token_id": token_id("<|endoftext|>"),
        "mask_token_id": token_id("<|mask|>"), "image_token_id": token_id("<|image_pad|>"), "video_token_id": token_id("<|video_pad|>"),
        "vision_start_token_id": token_id("<|vision_start|>"), "vision_end_token_id": token_id("<|vision_end|>"),
        "vision_config": {"depth": tower_layers, "hidden_act": "silu", "hidden_size": TOWER_WIDTH, "in_channels": 3,
                          "intermediate_size": TOWER_FEED_FORWARD, "num_heads": 16, "out_hidden_size": WIDTH, "patch_size": 14,
                          "spatial_merge_size": 2, "temporal_patch_size": 2, "window_size": 112,
                          "fullatt_block_indexes": [layer for layer in (7, 15, 23, 31) if layer < tower_layers]}}


def preprocessor_config():
    return {"image_processor_type": "DimpleImageProcessor", "image_mean": [0.48145466, 0.4578275, 0.40821073],
            "image_std": [0.26862954, 0.26130258, 0.27577711], "min_pixels": 3136, "max_pixels": 1003520, "patch_size": 14,
            "merge_size": 2, "temporal_patch_size": 2}


def write_tokenizer(folder):
    """A byte-level vocabulary without training: the bytes, then pairs and triples of letters, then the real special tokens."""
    printable = [b for b in range(256) if 33 <= b <= 126 or b >= 161 and b != 173]
    moved = [b for b in range(256) if b not in printable]
    tokens = [chr(b) if b in printable else chr(256 + moved.index(b)) for b in range(256)]
    letters = [tokens[ord(" ")]] + [chr(c) for c in range(ord("A"), ord("z") + 1) if chr(c).isalpha()]
    pairs = [(a, b) for a, b in itertools.product(letters, letters)]
    longer = ((a + b, c) for a, b in pairs for c in letters)
    longest = ((a + b + c, d) for a, b in pairs for c in letters for d in letters)
    merges = list(itertools.islice(itertools.chain(pairs, longer, longest), FIRST_SPECIAL - len(tokens)))
    tokens += [a + b for a, b in merges]
    write_json(folder, "vocab.json", {token: index for index, token in enumerate(tokens)})
    with open(os.path.join(folder, "merges.txt"), "w", encoding="utf-8") as f:
        f.write("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
    write_json(folder, "tokenizer_config.json", {
        "tokenizer_class": "DimpleTokenizer", "add_bos_token": False, "bos_token": "<|beginoftext|>", "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>", "mask_token": "<|mask|>", "chat_template": CHAT_TEMPLATE,
        "added_tokens_decoder": {str(token_id(name)): {"content": name, "special": name.startswith("<|")} for name in SPECIAL}})


def shapes(layers, tower_layers):
    """(name, shape, centre, standard deviation) of every tensor, in the order of a checkpoint. A matrix keeps the size of its input."""
    def matrix(name, rows, columns, gain=1.0):
        return name + ".weight", (rows, columns), 0.0, gain / columns**0.5

    def bias(name, size):
        return name + ".bias", (size,), 0.0, 0.05

    def norm(name, size):
        return name + ".weight", (size,), 1.0, 0.05

    yield "model.embed_tokens.weight", (VOCABULARY, WIDTH), 0.0, 1.0
    for layer in range(layers):
        at, kv = f"model.layers.{layer}.", WIDTH // HEADS * KEY_HEADS
        yield norm(at + "input_layernorm", WIDTH)
        for name, rows in (("q_proj", WIDTH), ("k_proj", kv), ("v_proj", kv)):
            yield matrix(at + "self_attn." + name, rows, WIDTH)
            yield bias(at + "self_attn." + name, rows)
        yield matrix(at + "self_attn.o_proj", WIDTH, WIDTH)
        yield norm(at + "post_attention_layernorm", WIDTH)
        yield matrix(at + "mlp.gate_proj", FEED_FORWARD, WIDTH)
        yield matrix(at + "mlp.up_proj", FEED_FORWARD, WIDTH)
        yield matrix(at + "mlp.down_proj", WIDTH, FEED_FORWARD)
    yield norm("model.norm", WIDTH)
    yield matrix("lm_head", VOCABULARY, WIDTH, gain=4.0)

    yield "visual.patch_embed.proj.weight", (TOWER_WIDTH, 3, 2, 14, 14), 0.0, 1176**-0.5
    for layer in range(tower_layers):
        at = f"visual.blocks.{layer}."
        yield norm(at + "norm1", TOWER_WIDTH)
        yield norm(at + "norm2", TOWER_WIDTH)
        for name, rows, columns in (("attn.qkv", 3 * TOWER_WIDTH, TOWER_WIDTH), ("attn.proj", TOWER_WIDTH, TOWER_WIDTH),
                                    ("mlp.gate_proj", TOWER_FEED_FORWARD, TOWER_WIDTH), ("mlp.up_proj", TOWER_FEED_FORWARD, TOWER_WIDTH),
                                    ("mlp.down_proj", TOWER_WIDTH, TOWER_FEED_FORWARD)):
            yield matrix(at + name, rows, columns)
            yield bias(at + name, rows)
    yield norm("visual.merger.ln_q", TOWER_WIDTH)
    for name, rows, columns in (("visual.merger.mlp.0", MERGED, MERGED), ("visual.merger.mlp.2", WIDTH, MERGED),
                                ("img_projector.linear_1", WIDTH, WIDTH), ("img_projector.linear_2", WIDTH, WIDTH)):
        yield matrix(name, rows, columns)
        yield bias(name, rows)


def size_of(shape):
    return 2 * int(np.prod(shape))


def in_shards(tensors):
    """Lists of tensors that stay below SHARD_BYTES together."""
    shards, filled = [[]], 0
    for tensor in tensors:
        if filled + size_of(tensor[1]) > SHARD_BYTES:
            shards.append([])
            filled = 0
        shards[-1].append(tensor)
        filled += size_of(tensor[1])
    return shards


def bfloat16(values):
    """The upper half of float32, rounded to the nearest, ties to even."""
    bits = values.view(np.uint32)
    return ((bits + np.uint32(0x7FFF) + (bits >> np.uint32(16) & np.uint32(1))) >> np.uint32(16)).astype("<u2")


def write_shard(path, tensors, random):
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, shape, _, _ in tensors:
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [at, at + size_of(shape)]}
        at += size_of(shape)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for _, shape, centre, deviation in tensors:
            left = int(np.prod(shape))
            while left:
                count = min(left, CHUNK)
                f.write(bfloat16(random.standard_normal(count, np.float32) * np.float32(deviation) + np.float32(centre)).tobytes())
                left -= count


def write_json(folder, name, content):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
        f.write(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("directory")
    parser.add_argument("--layers", type=int, default=32, help="at most so many layers; Dimple-7B's text model has 28, its tower 32")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    layers, tower_layers = min(options.layers, 28), min(options.layers, 32)
    os.makedirs(options.directory, exist_ok=True)
    write_json(options.directory, "config.json", config(layers, tower_layers))
    write_json(options.directory, "preprocessor_config.json", preprocessor_config())
    write_tokenizer(options.directory)
    shards = in_shards(list(shapes(layers, tower_layers)))
    random, weight_map, total = np.random.default_rng(options.seed), {}, 0
    for index, tensors in enumerate(shards, 1):
        name = f"model-{index:05d}-of-{len(shards):05d}.safetensors"
        write_shard(os.path.join(options.directory, name), tensors, random)
        weight_map.update((tensor[0], name) for tensor in tensors)
        total += sum(size_of(tensor[1]) for tensor in tensors)
    write_json(options.directory, "model.safetensors.index.json", {"metadata": {"total_size": total}, "weight_map": weight_map})


if __name__ == "__main__":
    main()
