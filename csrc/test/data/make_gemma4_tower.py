"""Writes gemma4_tower_N.gguf, small random vision towers of Gemma 4's kind as mmproj files, and gemma4_tower_N.bin, the features that the
formulas of the transformers library (Gemma4VisionModel and Gemma4MultimodalEmbedder, 5.12) give for the picture of gemma4_tower_test, in
float64 and stored as float32 [tokens x 32].

    python3 make_gemma4_tower.py [GOLDENS]

GOLDENS is a folder with config.json, model.safetensors and image.safetensors, which has pixel_values, image_position_ids and the library's
own image_features of a tiny DiffusionGemma: with it the formulas are held against those first.
"""
import json
import math
import os
import struct
import sys

import numpy as np

OUT = 32  # width of the text model
# layers, width, heads, feed-forward, patch, pool, positions a side, clipped, standardised, columns and rows of tokens
SHAPES = [(2, 24, 3, 20, 4, 3, 16, False, True, 3, 2), (2, 32, 2, 36, 3, 2, 9, True, True, 2, 4), (1, 36, 1, 16, 2, 3, 12, False, False, 4, 1)]


def rms(x, w=None, eps=1e-6):
    y = x / np.sqrt((x * x).mean(-1, keepdims=True) + eps)
    return y if w is None else y * w


def gelu(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3)))


def turn(x, angles):
    """x [n, heads, d], angles [n, d / 2]: element i pairs with i + d / 2."""
    half = x.shape[-1] // 2
    a, b = x[..., :half], x[..., half:]
    c, s = np.cos(angles)[:, None, :], np.sin(angles)[:, None, :]
    return np.concatenate([a * c - b * s, b * c + a * s], -1)


def features(w, shape, patches, position):
    """w: tensors by GGUF's names as torch has them, [out, in]; patches [n, 3 * patch * patch] in 0 .. 1, channel by channel; position [n, 2]."""
    layers, width, heads, _, _, pool, _, clipped, _, _, _ = shape
    size = width // heads

    def linear(x, name):
        if clipped:
            x = np.clip(x, w[name + ".input_min"], w[name + ".input_max"])
        y = x @ w[name + ".weight"].T
        return np.clip(y, w[name + ".output_min"], w[name + ".output_max"]) if clipped else y

    table = w["v.position_embd.weight"]
    x = (2 * patches - 1) @ w["v.patch_embd.weight"].reshape(width, -1).T + table[0][position[:, 0]] + table[1][position[:, 1]]
    frequency = 100.0 ** (-np.arange(0, size // 2, 2) / (size // 2))
    columns, rows = position[:, :1] * frequency, position[:, 1:] * frequency

    def both(z):
        return np.concatenate([turn(z[..., :size // 2], columns), turn(z[..., size // 2:], rows)], -1)

    for i in range(layers):
        p = "v.blk.%d." % i
        h = rms(x, w[p + "ln1.weight"])
        q, k, v = [linear(h, p + "attn_" + n).reshape(len(h), heads, size) for n in "qkv"]
        q, k, v = both(rms(q, w[p + "attn_q_norm.weight"])), both(rms(k, w[p + "attn_k_norm.weight"])), rms(v)
        scores = np.einsum("qhd,khd->hqk", q, k)
        e = np.exp(scores - scores.max(-1, keepdims=True))
        a = np.einsum("hqk,khd->qhd", e / e.sum(-1, keepdims=True), v).reshape(len(h), width)
        x = x + rms(linear(a, p + "attn_out"), w[p + "attn_post_norm.weight"])
        h = rms(x, w[p + "ln2.weight"])
        h = linear(gelu(linear(h, p + "ffn_gate")) * linear(h, p + "ffn_up"), p + "ffn_down")
        x = x + rms(h, w[p + "ffn_post_norm.weight"])
    across = (position[:, 0].max() + 1) // pool
    token = position[:, 0] // pool + across * (position[:, 1] // pool)
    out = np.zeros((token.max() + 1, width))
    np.add.at(out, token, x)
    out = out / (pool * pool) * math.sqrt(width)
    if "v.std_bias" in w:
        out = (out - w["v.std_bias"]) * w["v.std_scale"]
    return rms(out) @ w["mm.input_projection.weight"].T


def random_tower(rng, shape):
    layers, width, heads, inner, patch, _, positions, clipped, standardised, _, _ = shape
    w = {"v.patch_embd.weight": rng.normal(0, 0.3, (width, 3, patch, patch)), "v.position_embd.weight": rng.normal(0, 0.5, (2, positions, width)),
         "mm.input_projection.weight": rng.normal(0, 0.3, (OUT, width))}
    if standardised:
        w["v.std_bias"], w["v.std_scale"] = rng.normal(0, 1, width), rng.normal(1, 0.3, width)
    for i in range(layers):
        p = "v.blk.%d." % i
        for n, length in [("ln1", width), ("ln2", width), ("attn_post_norm", width), ("ffn_post_norm", width), ("attn_q_norm", width // heads),
                          ("attn_k_norm", width // heads)]:
            w[p + n + ".weight"] = rng.normal(1, 0.2, length)
        for n, rows, columns in [("attn_q", width, width), ("attn_k", width, width), ("attn_v", width, width), ("attn_out", width, width),
                                 ("ffn_gate", inner, width), ("ffn_up", inner, width), ("ffn_down", width, inner)]:
            w[p + n + ".weight"] = rng.normal(0, 0.25, (rows, columns))
            if clipped:
                for bound, mean in [("input_min", -1), ("input_max", 1), ("output_min", -0.8), ("output_max", 0.9)]:
                    w[p + n + "." + bound] = np.array([mean * rng.uniform(0.5, 1.5)])
    return {name: a.astype(np.float32).astype(np.float64) for name, a in w.items()}


def picture(width, height):
    return np.array([(i * 2654435761 % 2 ** 32) >> 24 for i in range(3 * width * height)], np.uint8).reshape(height, width, 3)


def patches_of(shape, rgb):
    patch = shape[4]
    values, position = [], []
    for row in range(rgb.shape[0] // patch):
        for column in range(rgb.shape[1] // patch):
            part = rgb[row * patch:(row + 1) * patch, column * patch:(column + 1) * patch]
            values.append(part.transpose(2, 0, 1).reshape(-1) / 255)
            position.append((column, row))
    return np.array(values), np.array(position)


def write_gguf(path, shape, w):
    layers, width, heads, inner, patch, pool, _, _, _, columns, rows = shape

    def text(s):
        return struct.pack("<Q", len(s)) + s.encode()

    def u32(value):
        return struct.pack("<II", 4, value)

    keys = {"general.architecture": struct.pack("<I", 8) + text("clip"), "clip.has_vision_encoder": struct.pack("<IB", 7, 1),
            "clip.vision.projector_type": struct.pack("<I", 8) + text("gemma4v"), "clip.vision.patch_size": u32(patch),
            "clip.vision.block_count": u32(layers), "clip.vision.embedding_length": u32(width), "clip.vision.feed_forward_length": u32(inner),
            "clip.vision.attention.head_count": u32(heads), "clip.vision.projection_dim": u32(OUT), "clip.vision.image_size": u32(224),
            "clip.vision.projector.scale_factor": u32(pool), "clip.vision.image_max_pixels": u32(columns * rows * (patch * pool) ** 2),
            "clip.vision.attention.layer_norm_epsilon": struct.pack("<If", 6, 1e-6)}
    out = b"GGUF" + struct.pack("<IQQ", 3, len(w), len(keys)) + b"".join(text(k) + v for k, v in keys.items())
    data = b""
    for name, a in w.items():
        out += text(name) + struct.pack("<I", a.ndim) + struct.pack("<%dQ" % a.ndim, *reversed(a.shape)) + struct.pack("<IQ", 0, len(data))
        data += a.astype("<f4").tobytes()
        data += b"\0" * (-len(data) % 32)
    out += b"\0" * (-len(out) % 32)
    with open(path, "wb") as f:
        f.write(out + data)


def read_safetensors(path):
    with open(path, "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        data = f.read()
    kinds = {"F32": "<f4", "I64": "<i8", "I32": "<i4"}
    return {n: np.frombuffer(data[d["data_offsets"][0]:d["data_offsets"][1]], kinds[d["dtype"]]).reshape(d["shape"])
            for n, d in header.items() if n != "__metadata__"}


NAMES = {"input_layernorm.weight": "ln1.weight", "pre_feedforward_layernorm.weight": "ln2.weight",
         "post_attention_layernorm.weight": "attn_post_norm.weight", "post_feedforward_layernorm.weight": "ffn_post_norm.weight",
         "self_attn.q_norm.weight": "attn_q_norm.weight", "self_attn.k_norm.weight": "attn_k_norm.weight", "self_attn.q_proj": "attn_q",
         "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_out", "mlp.gate_proj": "ffn_gate",
         "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}


def check(folder):
    config = json.load(open(os.path.join(folder, "config.json")))["vision_config"]
    patch, pool = config["patch_size"], config["pooling_kernel_size"]
    shape = (config["num_hidden_layers"], config["hidden_size"], config["num_attention_heads"], config["intermediate_size"], patch, pool, 0,
             config["use_clipped_linears"], config["standardize"], 0, 0)
    w = {}
    for name, a in read_safetensors(os.path.join(folder, "model.safetensors")).items():
        if name.startswith("model.encoder.vision_tower.encoder.layers."):
            layer, rest = name[len("model.encoder.vision_tower.encoder.layers."):].split(".", 1)
            rest = rest.replace("_proj.linear.weight", "_proj.weight")
            for theirs, ours in NAMES.items():
                if rest == theirs or rest.startswith(theirs + "."):
                    w["v.blk.%s.%s" % (layer, ours + rest[len(theirs):])] = a.astype(np.float64)
        elif name.startswith("model.encoder.vision_tower.std_"):
            w["v." + name.rsplit(".", 1)[1]] = a.astype(np.float64)
        elif name.endswith("position_embedding_table"):
            w["v.position_embd.weight"] = a.astype(np.float64)
        elif name.endswith("input_proj.weight"):
            w["v.patch_embd.weight"] = a.reshape(-1, patch, patch, 3).transpose(0, 3, 1, 2).astype(np.float64)
        elif name.endswith("embedding_projection.weight"):
            w["mm.input_projection.weight"] = a.astype(np.float64)
    golden = read_safetensors(os.path.join(folder, "image.safetensors"))
    seen = golden["image_position_ids"][:, 0] >= 0
    pixels = golden["pixel_values"][seen].reshape(-1, patch, patch, 3).transpose(0, 3, 1, 2).reshape(seen.sum(), -1).astype(np.float64)
    off = np.abs(features(w, shape, pixels, golden["image_position_ids"][seen]) - golden["image_features"]).max()
    print("%s: off by %.1e" % (folder, off))
    assert off < 1e-5


def main():
    for folder in sys.argv[1:]:
        check(folder)
    here = os.path.dirname(os.path.abspath(__file__))
    rng = np.random.default_rng(20261128)
    for n, shape in enumerate(SHAPES):
        w = random_tower(rng, shape)
        unit = shape[4] * shape[5]
        write_gguf(os.path.join(here, "gemma4_tower_%d.gguf" % n), shape, w)
        features(w, shape, *patches_of(shape, picture(shape[9] * unit, shape[10] * unit))).astype("<f4").tofile(
            os.path.join(here, "gemma4_tower_%d.bin" % n))


main()
