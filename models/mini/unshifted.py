#!/usr/bin/env python3
"""Make a dimple-mini whose positions predict themselves, as LLaDA's do, to measure what needs such a model (WINO, docs/decoding.md).

    python3 models/mini/unshifted.py DIR [STEPS]

begins with the bundled model and goes on with masked diffusion (train.py) for STEPS updates (200) of everything but the vision tower, with
predictions that are not shifted by one. DIR/unshifted.gguf is the result, in F32, DIR/dimple-mini its checkpoint. About 10 minutes on a core
with bfloat16 instructions.
"""
import os
import random
import subprocess
import sys

import numpy as np
import torch

from export import export
from model import Dimple, mini_config
from muon import Muon
from tokenizer import Tokenizer
from train import CLIP, SPEAKING, Phase, diffusion_loss, picture_batch, question_batches, rate_at
from unpack import BUNDLED, Reader, weights

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SHIFT = b"diffusion.shift_logits"


def bundled():
    """The bundled model and its tokenizer."""
    file = Reader(BUNDLED)
    tokenizer = Tokenizer([tuple(merge.split(" ")) for merge in file.metadata["tokenizer.ggml.merges"]])
    model = Dimple(mini_config(len(tokenizer)))
    named = weights(file.tensors, file.metadata["clip.vision.block_count"])
    model.load_state_dict({name: torch.from_numpy(values.copy()) for name, values in named.items()})
    return model, tokenizer


def train(model, tokenizer, phase, seed=1):
    for name, p in model.named_parameters():
        p.requires_grad_(name.split(".")[0] in phase.trained)
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    matrices = [n for n, p in trained.items() if p.dim() == 2 and n not in ("model.embed_tokens.weight", "lm_head.weight")]
    optimizer = Muon([trained[n] for n in matrices], [p for n, p in trained.items() if n not in matrices], phase.rate)
    recent = []
    for step in range(phase.steps):
        rng, noise = random.Random("%d %s %d" % (seed, phase.name, step)), np.random.default_rng([seed, step])
        optimizer.rate = rate_at(phase, step)
        batch, pixels, grid = picture_batch(rng, phase.pictures, phase.crowded)
        losses = []
        with torch.autocast("cpu", dtype=torch.bfloat16):
            with torch.no_grad():
                features = model.visual(pixels, *grid)
            image = model.img_projector(features)
            for each, (ids, valid, answer) in question_batches(rng, tokenizer, batch, grid[0] * grid[1], varied=True):
                seen = image.repeat_interleave(each, 0)
                losses.append(diffusion_loss(model, ids, seen, grid, valid, answer, noise, shift=0))
        sum(losses).backward()
        torch.nn.utils.clip_grad_norm_(list(trained.values()), CLIP)
        optimizer.step()
        optimizer.zero_grad()
        recent.append([loss.item() for loss in losses])
        if (step + 1) % 50 == 0:
            print("%d/%d  %s" % (step + 1, phase.steps, " ".join("%.4f" % x for x in np.mean(recent, 0))), flush=True)
            recent = []


def main(folder, steps=200):
    torch.set_num_threads(1)
    torch.manual_seed(1)
    os.makedirs(folder, exist_ok=True)
    model, tokenizer = bundled()
    train(model, tokenizer, Phase("unshifted", int(steps), 16, 0, 1.5e-3, SPEAKING))
    checkpoint, path = os.path.join(folder, "dimple-mini"), os.path.join(folder, "unshifted.gguf")
    export(model, tokenizer, checkpoint)
    subprocess.run([os.path.join(ROOT, "dimple"), "gguf", "convert", checkpoint, "-o", path, "--type", "f32", "--force"], check=True)
    with open(path, "r+b") as file:  # a Dimple's checkpoint has no word for it; its file has
        value = file.read(1 << 20).index(SHIFT) + len(SHIFT) + 4  # behind the name stands the kind of the value
        file.seek(value)
        file.write(b"\0")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(*sys.argv[1:])
