#!/usr/bin/env python3
"""Write the checkpoint folder of the bundled model from its GGUF file, without training it again. Weights are the file's: rounded to float16.

    python3 models/mini/unpack.py DIR [FILE.gguf]
"""
import os
import re
import struct
import sys

import numpy as np
import torch

from export import export
from model import FRAMES, Dimple, mini_config
from tokenizer import Tokenizer

BUNDLED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "dimple-mini-f16.gguf")
ALIGNMENT = 32
FLOATS = {0: "<f4", 1: "<f2"}  # tensor types
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}  # metadata types
STRING, ARRAY = 8, 9

# Names in the checkpoint by names in the file. q, k and v of the vision tower are one matrix there, the frames of a patch's kernel one too.
TEXT = {"attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
        "attn_output": "self_attn.o_proj", "ffn_norm": "post_attention_layernorm", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
        "ffn_down": "mlp.down_proj"}
VISION = {"ln1": "norm1", "ln2": "norm2", "attn_out": "attn.proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
          "ffn_down": "mlp.down_proj"}
OTHER = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head", "v.post_ln": "visual.merger.ln_q",
         "mm.0": "visual.merger.mlp.0", "mm.2": "visual.merger.mlp.2", "mm.img_projector.0": "img_projector.linear_1",
         "mm.img_projector.2": "img_projector.linear_2"}


class Reader:
    """A GGUF file of version 3: its metadata, and its tensors as float32 arrays."""

    def __init__(self, path):
        with open(path, "rb") as f:
            self.data = f.read()
        self.at = 0
        magic, version, tensors, keys = self.take("4sIQQ")
        if (magic, version) != (b"GGUF", 3):
            raise ValueError("%s is not a GGUF file of version 3" % path)
        self.metadata = {self.text(): self.value(*self.take("I")) for _ in range(keys)}
        places = [(self.text(), self.take("%dQ" % self.take("I")[0]), *self.take("IQ")) for _ in range(tensors)]
        start = -(-self.at // ALIGNMENT) * ALIGNMENT
        self.tensors = {}
        for name, shape, kind, offset in places:
            values = np.frombuffer(self.data, FLOATS[kind], int(np.prod(shape)), start + offset)
            self.tensors[name] = values.astype(np.float32).reshape(shape[::-1])

    def take(self, layout):
        values = struct.unpack_from("<" + layout, self.data, self.at)
        self.at += struct.calcsize("<" + layout)
        return values

    def text(self):
        (length,) = self.take("Q")
        return self.take("%ds" % length)[0].decode()

    def value(self, kind):
        if kind == STRING:
            return self.text()
        if kind == ARRAY:
            element, count = self.take("IQ")
            return [self.value(element) for _ in range(count)]
        return self.take(SCALARS[kind])[0]


def checkpoint_name(name):
    """With its suffix; None for what has its place in a larger tensor."""
    stem, _, suffix = name.rpartition(".")
    block = re.fullmatch(r"(v\.)?blk\.(\d+)\.(\w+)", stem)
    if not block:
        return OTHER[stem] + "." + suffix if stem in OTHER else None
    tower, layer, part = block.groups()
    names, place = (VISION, "visual.blocks") if tower else (TEXT, "model.layers")
    return "%s.%s.%s.%s" % (place, layer, names[part], suffix) if part in names else None


def weights(tensors, vision_layers):
    """Arrays by their names in the checkpoint."""
    named = {checkpoint_name(name): values for name, values in tensors.items() if checkpoint_name(name)}
    for layer in range(vision_layers):
        for suffix in ("weight", "bias"):
            parts = [tensors["v.blk.%d.attn_%s.%s" % (layer, part, suffix)] for part in "qkv"]
            named["visual.blocks.%d.attn.qkv.%s" % (layer, suffix)] = np.concatenate(parts)
    frames = ["v.patch_embd.weight"] + ["v.patch_embd.weight.%d" % frame for frame in range(1, FRAMES)]
    named["visual.patch_embed.proj.weight"] = np.stack([tensors[name] for name in frames], 2)
    return named


def main(folder, path=BUNDLED):
    file = Reader(path)
    tokenizer = Tokenizer([tuple(merge.split(" ")) for merge in file.metadata["tokenizer.ggml.merges"]])
    model = Dimple(mini_config(len(tokenizer)))
    named = weights(file.tensors, file.metadata["clip.vision.block_count"])
    model.load_state_dict({name: torch.from_numpy(values.copy()) for name, values in named.items()})
    export(model, tokenizer, folder)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(*sys.argv[1:])
