#!/usr/bin/env python3
"""Judges architecture.patch: a checkpoint with Qwen3's tensors and random weights, and what its logits have to be.

    tests/additions/qwen3.py write FOLDER                  the checkpoint, and ids.json, a prompt
    tests/additions/qwen3.py check LOGITS.json            logits of `dimple logits` for it against the formulas in float64

Needs numpy."""
import json
import pathlib
import struct
import sys

import numpy as np

VOCABULARY, WIDTH, LAYERS, HEADS, KEY_HEADS, INNER, EPSILON, BASE = 96, 64, 3, 4, 2, 96, 1e-6, 1e4
SIZE = WIDTH // HEADS
CONFIG = {"model_type": "qwen3-mdm", "hidden_act": "silu", "hidden_size": WIDTH, "intermediate_size": INNER, "num_hidden_layers": LAYERS,
          "num_attention_heads": HEADS, "num_key_value_heads": KEY_HEADS, "head_dim": SIZE, "vocab_size": VOCABULARY,
          "max_position_embeddings": 256, "rms_norm_eps": EPSILON, "rope_theta": BASE, "mask_token_id": VOCABULARY - 1,
          "eos_token_id": VOCABULARY - 2, "tie_word_embeddings": False}
IDS = [3, 1, 4, 1, 5, 9, 2, 6, 5, 35, 89, 79]


def shapes():
    yield "model.embed_tokens.weight", (VOCABULARY, WIDTH)
    for i in range(LAYERS):
        layer = f"model.layers.{i}."
        yield layer + "input_layernorm.weight", (WIDTH,)
        yield layer + "post_attention_layernorm.weight", (WIDTH,)
        for name, rows, columns in (("q", WIDTH, WIDTH), ("k", KEY_HEADS * SIZE, WIDTH), ("v", KEY_HEADS * SIZE, WIDTH), ("o", WIDTH, WIDTH)):
            yield f"{layer}self_attn.{name}_proj.weight", (rows, columns)
        for name in "qk":
            yield f"{layer}self_attn.{name}_norm.weight", (SIZE,)
        for name, rows, columns in (("gate", INNER, WIDTH), ("up", INNER, WIDTH), ("down", WIDTH, INNER)):
            yield f"{layer}mlp.{name}_proj.weight", (rows, columns)
    yield "model.norm.weight", (WIDTH,)
    yield "lm_head.weight", (VOCABULARY, WIDTH)


def weights():
    """Matrices that keep the size of a state, norm weights around one: the same at every call."""
    generator = np.random.default_rng(3)
    return {name: (generator.normal(1, 0.2, shape) if len(shape) == 1 else generator.normal(0, shape[1] ** -0.5, shape)).astype(np.float32)
            for name, shape in shapes()}


def write(folder):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "ids.json").write_text(json.dumps(IDS))
    header, at = {}, 0
    for name, w in weights().items():
        header[name] = {"dtype": "F32", "shape": w.shape, "data_offsets": [at, at + w.nbytes]}
        at += w.nbytes
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + b"".join(w.tobytes() for w in weights().values()))


def norm(x, w):
    return w * x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + EPSILON)


def rotate(x):
    """x [positions x heads x SIZE]; element j of a head turns with j + SIZE / 2."""
    half = SIZE // 2
    angle = np.arange(len(x))[:, None, None] * BASE ** (-np.arange(half) / half)
    first, second = x[..., :half], x[..., half:]
    return np.concatenate([first * np.cos(angle) - second * np.sin(angle), second * np.cos(angle) + first * np.sin(angle)], axis=-1)


def attend(q, k, v):
    """All positions see all; query head h reads key head h // (HEADS / KEY_HEADS)."""
    k, v = (np.repeat(each, HEADS // KEY_HEADS, axis=1) for each in (k, v))
    scores = np.einsum("qhs,khs->hqk", q, k) / np.sqrt(SIZE)
    share = np.exp(scores - scores.max(axis=-1, keepdims=True))
    share /= share.sum(axis=-1, keepdims=True)
    return np.einsum("hqk,khs->qhs", share, v).reshape(len(q), WIDTH)


def logits():
    w = {name: each.astype(np.float64) for name, each in weights().items()}
    x = w["model.embed_tokens.weight"][IDS]
    for i in range(LAYERS):
        attention, mlp = f"model.layers.{i}.self_attn.", f"model.layers.{i}.mlp."
        y = norm(x, w[f"model.layers.{i}.input_layernorm.weight"])
        q, k, v = ((y @ w[f"{attention}{name}_proj.weight"].T).reshape(len(x), -1, SIZE) for name in "qkv")
        q, k = rotate(norm(q, w[attention + "q_norm.weight"])), rotate(norm(k, w[attention + "k_norm.weight"]))
        x = x + attend(q, k, v) @ w[attention + "o_proj.weight"].T
        y = norm(x, w[f"model.layers.{i}.post_attention_layernorm.weight"])
        gate = y @ w[mlp + "gate_proj.weight"].T
        x = x + gate / (1 + np.exp(-gate)) * (y @ w[mlp + "up_proj.weight"].T) @ w[mlp + "down_proj.weight"].T
    return norm(x, w["model.norm.weight"]) @ w["lm_head.weight"].T


def check(file):
    given, expected = np.array(json.loads(file.read_text())["logits"]), logits()
    off = np.abs(given - expected).max() / np.abs(expected).max()
    print(f"logits are off by {off:.1e} of the largest")
    return off < 1e-5


if __name__ == "__main__":
    if sys.argv[1] == "write":
        write(pathlib.Path(sys.argv[2]))
    elif not check(pathlib.Path(sys.argv[2])):
        sys.exit(1)
