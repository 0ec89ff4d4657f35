#!/usr/bin/env python3
"""Executable specification of the Dimple vision-language diffusion model, numpy only.

This file defines what an implementation has to compute; SPEC.md says the same in prose.  It favours
plainness over speed, handles one sequence at a time and needs Python 3.9+ and numpy 1.24+.
Shapes in comments: S = sequence length, P = prompt length, N = number of image patches, M = N/4 merged
image tokens, H/D = heads/head size.  "Response" is the block of mask tokens appended to the prompt.

Command line (JSON on stdout, arrays as .npy files with --save-dir):
  dimple_ref.py make-checkpoint --seed 1 --out DIR [--config tiny|gqa|CONFIG.json] [--dtype F32|BF16|F16]
  dimple_ref.py patches  --model DIR --image a.png [--save-dir OUT]
  dimple_ref.py logits   --model DIR --ids 5,6,7 [--image a.png ...] [--append-masks 8] [--save-dir OUT]
  dimple_ref.py generate --model DIR --ids 5,6,7 [--image a.png ...] --max-new-tokens 8 --steps 8
                         --alg maskgit_plus [--cache] [--alg-p-threshold 0.9] [--seed 0] ...
--ids is a comma list or a JSON file with a list.  If it holds exactly one image token per --image, each
is expanded to the number of merged patches of its image.
"""
import argparse
import json
import math
import os
import struct
import zlib

import numpy as np

# ----------------------------------------------------------------- 1. safetensors files, checkpoint folders
def to_bf16_bits(a):
    """float32 -> bfloat16 bit patterns (uint16), round to nearest, ties to even."""
    u = np.ascontiguousarray(a, np.float32).view(np.uint32)
    return ((u + 0x7FFF + ((u >> 16) & 1)) >> 16).astype("<u2")

ENCODE = {"F32": lambda a: a.astype("<f4"), "F16": lambda a: a.astype("<f2"), "BF16": to_bf16_bits}
DECODE = {"F32": lambda b: np.frombuffer(b, "<f4"), "F16": lambda b: np.frombuffer(b, "<f2").astype(np.float32),
          "BF16": lambda b: (np.frombuffer(b, "<u2").astype(np.uint32) << 16).view(np.float32)}

def read_safetensors(path):
    """{name: float32 array}.  Layout: u64 header length, JSON header, then raw little-endian data."""
    with open(path, "rb") as f:
        (n,) = struct.unpack("<Q", f.read(8))
        header = json.loads(f.read(n))
    data, out = np.memmap(path, np.uint8, "r", offset=8 + n), {}
    for name, info in header.items():
        if name != "__metadata__":
            lo, hi = info["data_offsets"]
            out[name] = DECODE[info["dtype"]](data[lo:hi].tobytes()).reshape(info["shape"])
    return out

def write_safetensors(path, tensors, kind="F32"):
    header, blobs, at = {"__metadata__": {"format": "pt"}}, [], 0
    for name in sorted(tensors):
        blob = ENCODE[kind](np.ascontiguousarray(tensors[name], np.float32)).tobytes()
        header[name] = {"dtype": kind, "shape": list(tensors[name].shape), "data_offsets": [at, at + len(blob)]}
        at += len(blob)
        blobs.append(blob)
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(head)) + head + b"".join(blobs))

def read_json(path, default=None):
    if default is None or os.path.exists(path):
        with open(path) as f:
            return json.load(f)
    return default

def load_checkpoint(folder):
    """(config, tensors) from a Hugging Face style folder, one file or sharded with an index."""
    index = read_json(os.path.join(folder, "model.safetensors.index.json"), {"weight_map": {"": "model.safetensors"}})
    tensors = {}
    for name in sorted(set(index["weight_map"].values())):
        tensors.update(read_safetensors(os.path.join(folder, name)))
    return config_with_defaults(read_json(os.path.join(folder, "config.json"))), tensors

# ----------------------------------------------------------------- 2. configuration and list of tensors
VISION_DEFAULTS = dict(depth=32, hidden_size=1280, hidden_act="silu", intermediate_size=3420, num_heads=16,
                       in_channels=3, patch_size=14, spatial_merge_size=2, temporal_patch_size=2, window_size=112,
                       tokens_per_second=2, out_hidden_size=3584, fullatt_block_indexes=[7, 15, 23, 31])
# The released 7B model (body of Dream-v0-Instruct-7B); the authors' config class has other fall-backs for
# the sizes, but a real config.json always states them.
TEXT_DEFAULTS = dict(vocab_size=152064, hidden_size=3584, intermediate_size=18944, num_hidden_layers=28,
                     num_attention_heads=28, num_key_value_heads=4, hidden_act="silu", rms_norm_eps=1e-6,
                     rope_theta=1e6, rope_scaling=None, mrope_section=[16, 24, 24], full_attn_mask=True,
                     max_position_embeddings=131072, tie_word_embeddings=False, mask_token_id=151666,
                     pad_token_id=151643, image_token_id=151655, video_token_id=151656,
                     vision_start_token_id=151652, vision_end_token_id=151653, vision_token_id=151654)

def config_with_defaults(d):
    cfg = dict(TEXT_DEFAULTS, **d)
    cfg["vision_config"] = dict(VISION_DEFAULTS, **(d.get("vision_config") or {}))
    if sum(cfg["mrope_section"]) * 2 != cfg["hidden_size"] // cfg["num_attention_heads"]:
        raise ValueError("mrope_section must add up to half the head size")
    return cfg

def tensor_shapes(cfg):
    """Every tensor of a checkpoint, in model order: {name: shape}.  Linear weights are (out, in)."""
    v, out = cfg["vision_config"], {}

    def linear(name, n_in, n_out, bias):
        out[name + ".weight"] = (n_out, n_in)
        if bias:
            out[name + ".bias"] = (n_out,)

    def swiglu(name, n_in, n_mid, bias):
        linear(name + ".gate_proj", n_in, n_mid, bias)
        linear(name + ".up_proj", n_in, n_mid, bias)
        linear(name + ".down_proj", n_mid, n_in, bias)

    h, p, wide = v["hidden_size"], v["patch_size"], v["hidden_size"] * v["spatial_merge_size"] ** 2
    out["visual.patch_embed.proj.weight"] = (h, v["in_channels"], v["temporal_patch_size"], p, p)
    for i in range(v["depth"]):
        b = "visual.blocks.%d." % i
        out[b + "norm1.weight"] = out[b + "norm2.weight"] = (h,)
        linear(b + "attn.qkv", h, 3 * h, True)
        linear(b + "attn.proj", h, h, True)
        swiglu(b + "mlp", h, v["intermediate_size"], True)
    out["visual.merger.ln_q.weight"] = (h,)
    linear("visual.merger.mlp.0", wide, wide, True)
    linear("visual.merger.mlp.2", wide, v["out_hidden_size"], True)
    t = cfg["hidden_size"]
    kv = t // cfg["num_attention_heads"] * cfg["num_key_value_heads"]
    out["model.embed_tokens.weight"] = (cfg["vocab_size"], t)
    for i in range(cfg["num_hidden_layers"]):
        b = "model.layers.%d." % i
        linear(b + "self_attn.q_proj", t, t, True)
        linear(b + "self_attn.k_proj", t, kv, True)
        linear(b + "self_attn.v_proj", t, kv, True)
        linear(b + "self_attn.o_proj", t, t, False)
        swiglu(b + "mlp", t, cfg["intermediate_size"], False)
        out[b + "input_layernorm.weight"] = out[b + "post_attention_layernorm.weight"] = (t,)
    out["model.norm.weight"] = (t,)
    linear("lm_head", t, cfg["vocab_size"], False)
    linear("img_projector.linear_1", v["out_hidden_size"], t, True)
    linear("img_projector.linear_2", t, t, True)
    return out

# ----------------------------------------------------------------- 3. random toy checkpoints
SPECIAL = ["pad", "bos", "eos", "vision_start", "vision_end", "vision", "image", "video", "mask"]
PRESETS = {"tiny": {}, "gqa": dict(hidden_size=128, num_key_value_heads=1, mrope_section=[4, 6, 6],
                                   intermediate_size=160, num_hidden_layers=3)}

def tiny_config(vision_config=None, vocab_size=512, **over):
    """config.json of a toy model; the special tokens are the last ones of a small vocabulary."""
    cfg = dict(architectures=["DimpleModel"], model_type="dimple", vocab_size=vocab_size, hidden_size=64,
               intermediate_size=128, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
               hidden_act="silu", max_position_embeddings=4096, rms_norm_eps=1e-6, rope_theta=1e6,
               rope_scaling=None, mrope_section=[2, 3, 3], tie_word_embeddings=False, attention_dropout=0.0,
               initializer_range=0.02, use_cache=False, use_sliding_window=False, full_attn_mask=True,
               **{k + "_token_id": vocab_size - len(SPECIAL) + i for i, k in enumerate(SPECIAL)})
    cfg.update(over)
    cfg["vision_config"] = dict(VISION_DEFAULTS, model_type="dimple", depth=4, hidden_size=64, intermediate_size=80,
                                num_heads=4, out_hidden_size=64, fullatt_block_indexes=[1, 3])
    cfg["vision_config"].update(vision_config or {})
    return cfg

def random_tensors(cfg, seed, head_gain=4.0):
    """Weights that keep activations at unit scale, make attention sharp enough for positions to differ and
    logits wide enough (head_gain) for confidences between about 0.1 and 0.99."""
    rng, out = np.random.default_rng(seed), {}
    gains = {"q_proj": 1.6, "k_proj": 1.6, "qkv": 1.6, "lm_head": head_gain, "img_projector": 2.0}
    for name, shape in tensor_shapes(config_with_defaults(cfg)).items():
        z = rng.standard_normal(shape).astype(np.float32)
        if len(shape) == 1:
            out[name] = 0.2 * z if name.endswith("bias") else 1 + 0.1 * z
        elif name == "model.embed_tokens.weight":
            out[name] = z
        else:
            gain = [g for key, g in gains.items() if key in name] + [1.0]
            out[name] = z * np.float32(gain[0] / math.sqrt(np.prod(shape[1:])))
    return out

def make_checkpoint(folder, cfg, seed, kind="F32", head_gain=4.0):
    os.makedirs(folder, exist_ok=True)
    v = cfg["vision_config"]
    image = dict(PIXELS, patch_size=v["patch_size"], merge_size=v["spatial_merge_size"], image_mean=MEAN, image_std=STD,
                 temporal_patch_size=v["temporal_patch_size"], image_processor_type="DimpleImageProcessor")
    cfg = dict(cfg, torch_dtype={"F32": "float32", "BF16": "bfloat16", "F16": "float16"}[kind])
    for name, content in (("config.json", cfg), ("preprocessor_config.json", image)):
        with open(os.path.join(folder, name), "w") as f:
            f.write(json.dumps(content, indent=2, sort_keys=True) + "\n")
    write_safetensors(os.path.join(folder, "model.safetensors"), random_tensors(cfg, seed, head_gain), kind)

# ----------------------------------------------------------------- 4. images
MEAN = [0.48145466, 0.4578275, 0.40821073]
STD = [0.26862954, 0.26130258, 0.27577711]
PIXELS = dict(min_pixels=56 * 56, max_pixels=28 * 28 * 1280)

def read_image(path):
    """uint8 (height, width, 3) from an 8-bit non-interlaced PNG, or from a .npy holding such an array.
    Alpha is dropped and grey repeated, as PIL's convert("RGB") does."""
    if path.endswith(".npy"):
        return np.load(path)
    with open(path, "rb") as f:
        blob = f.read()
    at, chunks = 8, {}
    while at < len(blob):
        (n,), tag = struct.unpack(">I", blob[at:at + 4]), blob[at + 4:at + 8]
        chunks[tag] = chunks.get(tag, b"") + blob[at + 8:at + 8 + n]
        at += 12 + n
    w, h, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    if depth != 8 or interlace:
        raise ValueError("only 8-bit non-interlaced PNG is supported")
    c = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    raw = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(h, 1 + w * c)
    out = np.zeros((h + 1, w + 1, c), np.int64)  # one extra row above and column to the left, both zero
    for y in range(h):
        kind, line = raw[y, 0], raw[y, 1:].reshape(w, c).astype(np.int64)
        for x in range(w):
            a, b, d = out[y + 1, x], out[y, x + 1], out[y, x]  # left, above, above left
            pa, pb, pc = abs(b - d), abs(a - d), abs(a + b - 2 * d)
            paeth = np.where((pa <= pb) & (pa <= pc), a, np.where(pb <= pc, b, d)) if kind == 4 else 0
            out[y + 1, x + 1] = (line[x] + (0, a, b, (a + b) // 2, paeth)[kind]) & 255
    img = out[1:, 1:].astype(np.uint8)
    if colour == 3:
        return np.frombuffer(chunks[b"PLTE"], np.uint8).reshape(-1, 3)[img[:, :, 0]]
    return np.repeat(img[:, :, :1], 3, 2) if c < 3 else img[:, :, :3]

def smart_resize(height, width, factor=28, min_pixels=PIXELS["min_pixels"], max_pixels=PIXELS["max_pixels"]):
    """Target size: both sides multiples of factor, area within limits.  round() is round-half-to-even."""
    if min(height, width) < factor or max(height, width) / min(height, width) > 200:
        raise ValueError("image side below %d pixels or aspect ratio above 200" % factor)
    new_h, new_w = round(height / factor) * factor, round(width / factor) * factor
    if new_h * new_w > max_pixels:
        shrink = math.sqrt(height * width / max_pixels)
        new_h, new_w = (math.floor(x / shrink / factor) * factor for x in (height, width))
    elif new_h * new_w < min_pixels:
        grow = math.sqrt(min_pixels / (height * width))
        new_h, new_w = (math.ceil(x * grow / factor) * factor for x in (height, width))
    return new_h, new_w

def _resample_axis0(img, size):
    """One pass of PIL's 8-bit convolution resize along axis 0: antialiased bicubic (a = -0.5), weights
    rounded to 22 fractional bits, result rounded and clipped back to uint8."""
    old = img.shape[0]
    if size == old:
        return img
    scale = old / size
    stretch, wide = max(scale, 1.0), img.astype(np.int64)
    out = np.empty((size,) + img.shape[1:], np.uint8)
    for i in range(size):
        centre = (i + 0.5) * scale
        lo, hi = max(int(centre - 2 * stretch + 0.5), 0), min(int(centre + 2 * stretch + 0.5), old)
        x = np.abs((np.arange(lo, hi) - centre + 0.5) * (1.0 / stretch))
        w = np.where(x < 1, (1.5 * x - 2.5) * x * x + 1, np.where(x < 2, ((-0.5 * x + 2.5) * x - 4) * x + 2, 0.0))
        w = w / w.sum()
        k = np.trunc(w * (1 << 22) + np.where(w < 0, -0.5, 0.5)).astype(np.int64)
        out[i] = np.clip((np.tensordot(k, wide[lo:hi], axes=(0, 0)) + (1 << 21)) >> 22, 0, 255)
    return out

def resize_bicubic(img, height, width):
    """uint8 (h, w, 3) -> uint8 (height, width, 3); horizontal pass first, as PIL up to version 12 does."""
    img = _resample_axis0(img.transpose(1, 0, 2), width).transpose(1, 0, 2)
    return _resample_axis0(img, height)

def image_patches(img, cfg=None, **pixel_limits):
    """uint8 (h, w, 3) -> float32 patches (N, 3*T*p*p) and the grid (1, rows, cols) counted in patches.

    Patch order: 2x2 merge blocks row by row, the four patches of a block row by row, so that four
    consecutive patches form one merged token.  Inside a patch: channel, frame, row, column; a still image
    is repeated for the T frames."""
    v = (cfg or {}).get("vision_config", VISION_DEFAULTS)
    p, m, frames = v["patch_size"], v["spatial_merge_size"], v["temporal_patch_size"]
    h, w = smart_resize(img.shape[0], img.shape[1], p * m, **pixel_limits)
    x = (resize_bicubic(img, h, w).astype(np.float64) * (1 / 255)).astype(np.float32)
    x = (x - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
    rows, cols = h // p, w // p
    x = x.reshape(rows // m, m, p, cols // m, m, p, 3).transpose(0, 3, 1, 4, 6, 2, 5)
    x = np.repeat(x.reshape(rows * cols, 3, 1, p, p), frames, axis=2)
    return x.reshape(rows * cols, -1), (1, rows, cols)

def expand_image_tokens(ids, grids, cfg):
    """Replace the k-th image token by rows*cols/4 copies of it (one per merged patch)."""
    unit, out, grids = cfg["vision_config"]["spatial_merge_size"] ** 2, [], list(grids)
    for t in ids:
        out += [t] * (int(np.prod(grids.pop(0))) // unit) if t == cfg["image_token_id"] else [t]
    return out

# ----------------------------------------------------------------- 5. shared maths
def rms_norm(x, w, eps):
    return w * (x / np.sqrt(np.mean(x * x, -1, keepdims=True) + x.dtype.type(eps)))

def silu(x):
    return x / (1 + np.exp(-x))

def gelu(x, erf=np.vectorize(math.erf, otypes=[np.float64])):
    """The exact (erf) form, not the tanh approximation."""
    return (0.5 * x * (1 + erf(x / math.sqrt(2)))).astype(x.dtype)

def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)

def rotate(x, angle):
    """Rotary embedding, "half split" form: element j pairs with j + D/2.  x (S, H, D), angle (S, D/2)."""
    c, s = np.cos(angle)[:, None], np.sin(angle)[:, None]
    a, b = np.split(x, 2, -1)
    return np.concatenate([a * c - b * s, b * c + a * s], -1)

def attend(q, k, v, allowed=None):
    """q (Sq, Hq, D); k, v (Sk, Hk, D); query head h reads key head h // (Hq/Hk); allowed (Sq, Sk) bool.
    A query that may look at nothing yields zeros."""
    group = q.shape[1] // k.shape[1]
    k, v = np.repeat(k, group, 1), np.repeat(v, group, 1)
    s = np.einsum("qhd,khd->hqk", q, k) / q.dtype.type(math.sqrt(q.shape[-1]))
    if allowed is None:
        return np.einsum("hqk,khd->qhd", softmax(s), v)
    p = softmax(np.where(allowed, s, s.dtype.type(-1e30))) * allowed.any(-1)[:, None]
    return np.einsum("hqk,khd->qhd", p.astype(q.dtype), v)

# ----------------------------------------------------------------- 6. orders and positions
def window_order(grids, vis):
    """Order in which the vision tower processes merged tokens, and the window lengths in that order.

    Each frame is cut into squares of window_size / (patch*merge) merged tokens per side (4 for 112 px);
    squares at the right and bottom edge are simply smaller.  Squares go row by row, tokens inside a square
    row by row.  Returns (order, lengths): order[i] = natural index of the i-th processed token."""
    m, order, lengths, base = vis["spatial_merge_size"], [], [], 0
    side = vis["window_size"] // m // vis["patch_size"]
    for t, h, w in grids:
        h, w = h // m, w // m
        for _ in range(t):
            for y in range(0, h, side):
                for x in range(0, w, side):
                    cells = [base + i * w + j for i in range(y, min(y + side, h)) for j in range(x, min(x + side, w))]
                    order += cells
                    lengths.append(len(cells))
            base += h * w
    return np.array(order), lengths

def patch_coordinates(grids, m):
    """Row and column of each patch, in patch order (see image_patches): int (N, 2)."""
    out = []
    for t, h, w in grids:
        y, x = np.meshgrid(np.arange(h), np.arange(w), indexing="ij")
        out += [np.stack([y, x], -1).reshape(h // m, m, w // m, m, 2).transpose(0, 2, 1, 3, 4).reshape(-1, 2)] * t
    return np.concatenate(out)

def rope_positions(ids, grids, cfg, valid=None):
    """mRoPE coordinates, int (3, S) = (time, row, column), and delta = next free position - S.

    Text advances all three together by one.  An image occupying t*(h/2)*(w/2) tokens starts at the next
    free position b: token (f, y, x) gets (b+f, b+y, b+x), and the next free position becomes
    b + max(t, h/2, w/2).  Positions where valid == 0 (left padding) are skipped and hold 1."""
    m, free, todo, grids = cfg["vision_config"]["spatial_merge_size"], 0, [], list(grids or [])
    pos = np.ones((3, len(ids)), np.int64)
    for i in range(len(ids)) if valid is None else np.flatnonzero(valid):
        if not todo and grids and ids[i] == cfg["image_token_id"]:
            t, h, w = grids.pop(0)
            todo = [(free + f, free + y, free + x) for f in range(t) for y in range(h // m) for x in range(w // m)]
            free += max(t, h // m, w // m)
        if todo:
            pos[:, i] = todo.pop(0)
        else:
            pos[:, i] = free
            free += 1
    return pos, free - len(ids)

# ----------------------------------------------------------------- 7. the model
class Dimple:
    """model = Dimple(*load_checkpoint(folder)); dtype np.float64 gives a high-precision variant."""

    def __init__(self, cfg, tensors, dtype=np.float32):
        self.cfg, self.dtype = config_with_defaults(cfg), dtype
        for name, shape in tensor_shapes(self.cfg).items():
            if tuple(tensors[name].shape) != tuple(shape):
                raise ValueError("%s: shape %s, expected %s" % (name, tensors[name].shape, shape))
        self.w = {k: v.astype(dtype) for k, v in tensors.items()}

    def linear(self, name, x):
        y = x @ self.w[name + ".weight"].T
        return y + self.w[name + ".bias"] if name + ".bias" in self.w else y

    def swiglu(self, name, x):
        gate = silu(self.linear(name + ".gate_proj", x))
        return self.linear(name + ".down_proj", gate * self.linear(name + ".up_proj", x))

    def vision(self, pixels, grids):
        """Patches of all images, stacked (N, 1176) -> merged features (M, out_hidden_size), natural order."""
        vis, dt = self.cfg["vision_config"], self.dtype
        unit, heads = vis["spatial_merge_size"] ** 2, vis["num_heads"]
        size = vis["hidden_size"] // heads
        kernel = self.w["visual.patch_embed.proj.weight"]
        x = pixels.astype(dt) @ kernel.reshape(kernel.shape[0], -1).T  # a convolution whose stride = kernel
        # 2D rotary angles: the first half of the D/2 angles follows the row, the second half the column
        freq = (1.0 / 10000.0 ** (np.arange(0, size // 2, 2, dtype=np.float32) / (size // 2))).astype(dt)
        yx = patch_coordinates(grids, vis["spatial_merge_size"]).astype(dt)
        angle = np.concatenate([yx[:, :1] * freq, yx[:, 1:] * freq], 1)
        order, lengths = window_order(grids, vis)
        patch_order = (order[:, None] * unit + np.arange(unit)).reshape(-1)
        x, angle = x[patch_order], angle[patch_order]
        windows = np.concatenate([[0], np.cumsum(np.array(lengths) * unit)])
        frames = np.concatenate([[0], np.cumsum([h * w for t, h, w in grids for _ in range(t)])])
        for i in range(vis["depth"]):
            b = "visual.blocks.%d." % i
            y = rms_norm(x, self.w[b + "norm1.weight"], 1e-6)
            q, k, v = self.linear(b + "attn.qkv", y).reshape(len(x), 3, heads, size).transpose(1, 0, 2, 3)
            q, k = rotate(q, angle), rotate(k, angle)
            cuts = frames if i in vis["fullatt_block_indexes"] else windows
            o = np.concatenate([attend(q[s:e], k[s:e], v[s:e]) for s, e in zip(cuts[:-1], cuts[1:])])
            x = x + self.linear(b + "attn.proj", o.reshape(len(x), -1))
            x = x + self.swiglu(b + "mlp", rms_norm(x, self.w[b + "norm2.weight"], 1e-6))
        x = rms_norm(x, self.w["visual.merger.ln_q.weight"], 1e-6).reshape(len(x) // unit, -1)
        out = np.empty((len(x), vis["out_hidden_size"]), dt)
        out[order] = self.linear("visual.merger.mlp.2", gelu(self.linear("visual.merger.mlp.0", x)))
        return out

    def project(self, features):
        """Vision features -> text embedding space (M, hidden_size)."""
        return self.linear("img_projector.linear_2", silu(self.linear("img_projector.linear_1", features)))

    def embed(self, ids, image_embeds=None, upto=None):
        """Token embeddings; image tokens before index upto take the rows of image_embeds in order."""
        ids = np.asarray(ids)
        x = self.w["model.embed_tokens.weight"][ids]
        if image_embeds is not None:
            at = np.flatnonzero(ids[:upto] == self.cfg["image_token_id"])
            if len(at) != len(image_embeds):
                raise ValueError("%d image tokens but %d image features" % (len(at), len(image_embeds)))
            x[at] = image_embeds
        return x

    def body(self, x, pos, past=None, allowed=None, inputs=None):
        """Decoder layers.  x (S, hidden), pos (3, S); past: per layer (k, v) of earlier tokens, keys already
        rotated; inputs: a list that receives every layer's x.  Returns final normalised hidden states and the
        per-layer (k, v) of past + present."""
        cfg = self.cfg
        heads, kv_heads, eps = cfg["num_attention_heads"], cfg["num_key_value_heads"], cfg["rms_norm_eps"]
        size = cfg["hidden_size"] // heads
        freq = (1.0 / cfg["rope_theta"] ** (np.arange(0, size, 2, dtype=np.float32) / size)).astype(self.dtype)
        axis = np.repeat([0, 1, 2], cfg["mrope_section"])  # which coordinate drives each of the D/2 angles
        angle, present = pos[axis].T.astype(self.dtype) * freq, []
        for i in range(cfg["num_hidden_layers"]):
            b = "model.layers.%d." % i
            if inputs is not None:
                inputs.append(x)
            y = rms_norm(x, self.w[b + "input_layernorm.weight"], eps)
            q = rotate(self.linear(b + "self_attn.q_proj", y).reshape(len(x), heads, size), angle)
            k = rotate(self.linear(b + "self_attn.k_proj", y).reshape(len(x), kv_heads, size), angle)
            v = self.linear(b + "self_attn.v_proj", y).reshape(len(x), kv_heads, size)
            if past is not None:
                k, v = np.concatenate([past[i][0], k]), np.concatenate([past[i][1], v])
            present.append((k, v))
            x = x + self.linear(b + "self_attn.o_proj", attend(q, k, v, allowed).reshape(len(x), -1))
            x = x + self.swiglu(b + "mlp", rms_norm(x, self.w[b + "post_attention_layernorm.weight"], eps))
        return rms_norm(x, self.w["model.norm.weight"], eps), present

    def mask(self, total, valid=None):
        """Who may attend to whom, bool (total, total), or None when everybody sees everybody."""
        causal = not self.cfg["full_attn_mask"]
        if valid is None and not causal:
            return None
        ok = np.ones(total, bool) if valid is None else np.asarray(valid, bool)
        pairs = ok[:, None] & ok[None, :]
        return pairs & np.tri(total, dtype=bool) if causal else pairs | np.eye(total, dtype=bool)

    def logits(self, ids, pixels=None, grids=None, valid=None):
        """Raw logits (S, vocab) for a whole sequence: row j scores the token at position j + 1."""
        e = self.project(self.vision(pixels, grids)) if pixels is not None else None
        pos, _ = rope_positions(ids, grids, self.cfg, valid)
        h, _ = self.body(self.embed(ids, e), pos, None, self.mask(len(ids), valid))
        return self.linear("lm_head", h)

# ----------------------------------------------------------------- 8. choosing tokens
class Draws:
    """Source of every random choice.  Pass an object with the same four methods to replay known draws."""

    def __init__(self, seed=0):
        self.rng = np.random.default_rng(seed)

    def uniform(self, n):
        """n independent floats in [0, 1)."""
        return self.rng.random(n, dtype=np.float32)

    def permutation(self, n):
        """A random ordering of 0..n-1."""
        return self.rng.permutation(n)

    def categorical(self, probs):
        """One index per row of probs (rows sum to 1)."""
        c = np.cumsum(probs.astype(np.float64), -1)
        u = self.rng.random(len(probs))[:, None] * c[:, -1:]
        return np.minimum((c <= u).sum(-1), probs.shape[-1] - 1)

    def subset(self, weights, k):
        """k different indices, drawn one after the other with probability proportional to weight."""
        w = weights.astype(np.float64)
        return self.rng.choice(len(w), k, replace=False, p=w / w.sum())

def keep_top_p(z, top_p):
    """Per row keep the most likely tokens; a token survives if the mass before it is <= top_p."""
    order = np.argsort(-z, -1, kind="stable")
    mass = np.cumsum(softmax(np.take_along_axis(z, order, -1)), -1)
    drop_sorted, drop = np.zeros(z.shape, bool), np.zeros(z.shape, bool)
    drop_sorted[:, 1:] = (mass > z.dtype.type(top_p))[:, :-1]
    np.put_along_axis(drop, order, drop_sorted, -1)
    return np.where(drop, np.finfo(z.dtype).min, z)

def keep_top_k(z, top_k):
    kth = np.sort(z, -1)[:, -min(top_k, z.shape[-1])][:, None]
    return np.where(z < kth, np.finfo(z.dtype).min, z)

def pick(z, opt, draws, kind="prob", original=True):
    """For logits z (n, vocab): candidate token and confidence of every row.

    kind: "prob" = probability of the chosen token; "margin" = best minus second best probability;
    "entropy" = sum p log(p + 1e-10), i.e. minus the entropy, always <= 0.  original: measure confidence on
    softmax(z) instead of on the distribution after temperature and top-p/top-k."""
    base, hot = softmax(z), opt["temperature"] > 0
    if hot:
        z = z / z.dtype.type(opt["temperature"])
    if opt["top_p"] is not None and opt["top_p"] < 1:
        z = keep_top_p(z, opt["top_p"])
    if opt["top_k"] is not None:
        z = keep_top_k(z, opt["top_k"])
    probs = softmax(z)
    token = np.asarray(draws.categorical(probs) if hot else probs.argmax(-1), np.int64)
    judge = base if original else probs
    if kind == "margin":
        top = np.sort(judge, -1)
        return token, top[:, -1] - top[:, -2]
    if kind == "entropy":
        return token, (judge * np.log(judge + judge.dtype.type(1e-10))).sum(-1)
    return token, np.take_along_axis(judge, token[:, None], -1)[:, 0]

def best(conf, k, alg_temp, draws):
    """k positions to unmask: the most confident (ties: lowest index first), or a weighted random subset."""
    if alg_temp:
        return draws.subset(softmax(conf / conf.dtype.type(alg_temp)), k)
    return np.argsort(-conf, kind="stable")[:k]

# ----------------------------------------------------------------- 9. diffusion decoding
KINDS = {"origin": "prob", "origin-ratio": "prob", "autoregressive": "prob", "maskgit_plus": "prob",
         "topk_margin": "margin", "entropy": "entropy"}
DEFAULTS = dict(max_new_tokens=16, steps=16, eps=1e-3, decoding_pipeline="dim", alg="origin", alg_temp=None,
                alg_p_threshold=None, use_original_confidence=True, temperature=0.0, top_p=None, top_k=None,
                use_cache=False)

def noise_levels(steps, eps):
    """steps + 1 float32 levels from 1 down to eps; the step is a float32, each level is rounded once (fused
    multiply-add) and the second half is counted back from the end point."""
    end, n = float(np.float32(eps)), steps + 1
    step = float(np.float32(np.float32(end) - np.float32(1)) / np.float32(steps))
    return np.array([1 + step * i if i < n // 2 else end - step * (n - 1 - i) for i in range(n)]).astype(np.float32)

def transfer_count(now, s, t):
    """int(now * (1 - s/t)) with every operation rounded to float32."""
    return int(np.float32(now) * (np.float32(1) - np.float32(s) / np.float32(t)))

def dim_schedule(now, total, i, levels):
    """"dim" pipeline: (how many to unmask, level s, level t) when `now` of `total` masks remain at step i.

    t is the share still masked.  s starts at the first level below t, but never before level i + 1, and
    moves on until at least one token is due; the last level releases everything."""
    t = np.float32(now) / np.float32(total)
    below = np.flatnonzero(levels < t)
    if len(below) == 0:  # t <= eps, needs >= 1000 masks: the authors raise here, we release everything
        return now, levels[-1], t
    for s in levels[max(int(below[0]), i + 1):]:
        count = transfer_count(now, s, t) if s > levels[-1] else now
        if count >= 1:
            return count, s, t

def choose(z, i, total, levels, opt, draws):
    """One decoding step on the logits z (n, vocab) of the n still masked positions, in sequence order.
    Returns (tokens, positions to unmask)."""
    n, alg, last = len(z), opt["alg"], i == opt["steps"] - 1
    if opt["decoding_pipeline"] == "dream":
        t, s = levels[i], levels[i + 1]
        if alg in ("origin", "autoregressive"):  # positions first, then tokens for these only
            at = np.arange(1)
            if alg == "origin":
                at = np.flatnonzero(draws.uniform(n) < (np.float32(1) if last else np.float32(1) - s / t))
            tokens = np.zeros(n, np.int64)
            if len(at):
                tokens[at] = pick(z[at], opt, draws, "prob", False)[0]
            return tokens, at
        tokens, conf = pick(z, opt, draws, KINDS[alg], False)
        count = n if last else transfer_count(n, s, t)
        return tokens, best(conf, count, opt["alg_temp"], draws) if count else np.arange(0)

    tokens, conf = pick(z, opt, draws, KINDS[alg], opt["use_original_confidence"])
    if opt["alg_p_threshold"]:  # confident decoding: unmask everything above the threshold, if anything is
        at = np.arange(n) if last else np.flatnonzero(conf > conf.dtype.type(opt["alg_p_threshold"]))
        if len(at):
            return tokens, at
    count, s, t = dim_schedule(n, total, i, levels)
    if alg == "origin":
        return tokens, np.asarray(draws.permutation(n))[:count]
    if alg == "origin-ratio":
        p = np.float32(1) - s / t if s > levels[-1] else np.float32(1)
        return tokens, np.flatnonzero(draws.uniform(n) < p)
    if alg == "autoregressive":
        return tokens, np.arange(1)
    return tokens, best(conf, count, opt["alg_temp"], draws)

def generate(model, prompt, pixels=None, grids=None, draws=None, prior=None, observe=None, **settings):
    """Fill max_new_tokens mask tokens after the prompt.

    prior: {response index: token} fixed before the first pass.  observe(i, positions, logits) is called in
    every step with the absolute positions still masked and their (shifted) logits.  Returns a dict with
    tokens (response), history (response after every step), steps_run, forward_passes."""
    opt = dict(DEFAULTS, **settings)
    dim = opt["decoding_pipeline"] == "dim"
    if set(opt) != set(DEFAULTS) or opt["alg"] not in KINDS or not (
            dim or opt["decoding_pipeline"] == "dream" and opt["alg"] != "origin-ratio"):
        raise ValueError("bad settings %s" % opt)
    draws, cfg, P = draws or Draws(0), model.cfg, len(prompt)
    mask_id = cfg["mask_token_id"]
    ids = np.array(list(prompt) + [mask_id] * opt["max_new_tokens"], np.int64)
    for j, token in (prior or {}).items():
        ids[P + int(j)] = token
    levels, total = noise_levels(opt["steps"], opt["eps"]), int((ids == mask_id).sum())
    # Image features, positions and the attention pattern depend on the prompt only: computed once.  The
    # response continues from the prompt's next free position, all three coordinates equal.
    features = model.project(model.vision(pixels, grids)) if pixels is not None else None
    pos, delta = rope_positions(ids[:P], grids, cfg)
    pos = np.concatenate([pos, np.tile(delta + np.arange(P, len(ids)), (3, 1))], 1)
    allowed = model.mask(len(ids))
    past, start, history, passes = None, 0, [], 0
    for i in range(opt["steps"]):
        masked = np.flatnonzero(ids == mask_id)
        if len(masked):
            # Pass 0 runs over everything.  With the cache, later passes run over the last prompt token and
            # the response only, against the keys/values that pass 0 produced for prompt[:-1].
            x = model.embed(ids[start:], None if start else features, P)
            h, kv = model.body(x, pos[:, start:], past, None if allowed is None else allowed[start:])
            passes += 1
            z = model.linear("lm_head", h[masked - 1 - start])  # shift by one: position j is scored by row j-1
            if opt["use_cache"] and past is None and P > 1:
                past, start = [(k[:P - 1], v[:P - 1]) for k, v in kv], P - 1
            if observe:
                observe(i, masked, z)
            tokens, at = choose(z, i, total, levels, opt, draws)
            ids[masked[at]] = tokens[at]
        history.append(ids[P:].tolist())
        if dim and not (ids == mask_id).any():
            break
    return dict(tokens=ids[P:].tolist(), history=history, steps_run=len(history), forward_passes=passes)

# ----------------------------------------------------------------- 10. command line
def main(argv=None):
    top = argparse.ArgumentParser(description="Dimple reference in numpy")
    sub = top.add_subparsers(dest="command", required=True)
    p = sub.add_parser("make-checkpoint", help="write a random toy checkpoint")
    p.add_argument("--out", required=True)
    p.add_argument("--config", default="tiny", help="tiny, gqa, or a config.json to take the sizes from")
    p.add_argument("--dtype", default="F32", choices=sorted(ENCODE))
    for key, kind, default in (("seed", int, 0), ("head-gain", float, 4.0)):
        p.add_argument("--" + key, type=kind, default=default)
    for name in ("patches", "logits", "generate"):
        p = sub.add_parser(name)
        p.add_argument("--model", required=True)
        p.add_argument("--image", action="append", default=[])
        p.add_argument("--ids", default="", help="comma list or JSON file")
        p.add_argument("--float64", action="store_true")
        p.add_argument("--save-dir", help="also write arrays as .npy files here")
        if name == "logits":
            p.add_argument("--append-masks", type=int, default=0)
        if name == "generate":
            p.add_argument("--seed", type=int, default=0)
            p.add_argument("--cache", dest="use_cache", action="store_true")
            p.add_argument("--confidence-after-filter", dest="use_original_confidence", action="store_false")
            kinds = dict(max_new_tokens=int, steps=int, top_k=int, alg=str, decoding_pipeline=str)
            for key in sorted(DEFAULTS.keys() - {"use_cache", "use_original_confidence"}):
                p.add_argument("--" + key.replace("_", "-"), type=kinds.get(key, float), default=DEFAULTS[key])
    args = top.parse_args(argv)
    if args.command == "make-checkpoint":
        cfg = tiny_config(**PRESETS[args.config]) if args.config in PRESETS else read_json(args.config)
        return make_checkpoint(args.out, cfg, args.seed, args.dtype, args.head_gain)
    cfg, tensors = load_checkpoint(args.model)
    limits = read_json(os.path.join(args.model, "preprocessor_config.json"), {})
    parts = [image_patches(read_image(i), cfg, **{k: limits[k] for k in PIXELS if k in limits}) for i in args.image]
    pixels, grids = (np.concatenate([a for a, _ in parts]), [g for _, g in parts]) if parts else (None, None)
    ids = read_json(args.ids) if os.path.exists(args.ids) else [int(i) for i in args.ids.split(",") if i]
    if parts and ids.count(cfg["image_token_id"]) == len(parts):
        ids = expand_image_tokens(ids, grids, cfg)
    save = {} if pixels is None else {"patches": pixels}
    result = dict(grid_thw=grids)
    if args.command != "patches":
        model = Dimple(cfg, tensors, np.float64 if args.float64 else np.float32)
    if args.command == "logits":
        ids = ids + [cfg["mask_token_id"]] * args.append_masks
        z = model.logits(ids, pixels, grids)
        pos, delta = rope_positions(ids, grids, cfg)
        save.update(logits=z, position_ids=pos)
        result.update(ids=ids, rope_delta=delta, argmax=z.argmax(-1).tolist(),
                      top_probability=[round(float(x), 6) for x in softmax(z).max(-1)])
    if args.command == "generate":
        settings = {k: getattr(args, k) for k in DEFAULTS}
        result.update(generate(model, ids, pixels, grids, Draws(args.seed), **settings), prompt=ids)
    for k, a in save.items() if args.save_dir else ():
        os.makedirs(args.save_dir, exist_ok=True)
        np.save(os.path.join(args.save_dir, k + ".npy"), a)
    print(json.dumps(result))

if __name__ == "__main__":
    main()
