#!/usr/bin/env python3
"""Makes tests/goldens/dimple-block: a small Dimple with random weights under block diffusion, and what the network that trains dimple-mini so
(models/mini/block_causal.py: the forward pass of training, uncached) makes of prompts with and without a picture.

    python3 tests/reference/dimple_block_goldens.py [FOLDER]

Needs PyTorch. Prompts are drawn until every decision of every decoding is clear: best logits and confidences MARGIN apart, confidences so far from
the threshold.
"""
import json
import os
import sys

import numpy as np
import torch

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "models", "mini"))
import block_causal  # noqa: E402
import scenes  # noqa: E402
from export import export  # noqa: E402
from model import Dimple, mini_config, patches  # noqa: E402

VOCAB, BLOCK, APPENDED, MARGIN = 120, 8, 11, 1e-4
GRID = (3, 5)  # merged tokens of the picture: more columns than a window has
# (response length, positions revealed at a time, threshold)
RUNS = [(24, 8, 0.4), (21, 4, 0.3), (13, 2, 0.6), (5, 8, 0.2), (30, 1, 0.9), (17, 8, 0.9)]


class NoTokenizer:
    def save(self, folder):
        pass


def config():
    c = mini_config(VOCAB)
    c.update(hidden_size=48, intermediate_size=56, num_hidden_layers=3, mrope_section=[2, 1, 3], rope_theta=1e4, max_position_embeddings=128)
    c["vision_config"].update(depth=2, hidden_size=16, num_heads=2, intermediate_size=24, out_hidden_size=40, fullatt_block_indexes=[1])
    return c


def random_model(seed):
    torch.manual_seed(seed)
    model = Dimple(config())
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.dim() == 1:
                p.add_(0.2 * torch.randn(p.shape))
            elif "patch_embed" in name:
                p.copy_(0.05 * torch.randn(p.shape))
        model.lm_head.weight.mul_(2.2)
        model.lm_head.weight[model.cfg["eos_token_id"]].mul_(1.5)  # now and then the best
        model.lm_head.weight[model.cfg["mask_token_id"]].zero_()
    return model.eval()


def decoded(model, prompt, image, grid, run):
    """(history, ended early), or None if a decision was close."""
    length, part, threshold = run
    near, plain = [9.0], block_causal.logits

    def watched(model, ids, *rest):
        z = plain(model, ids, *rest)
        rows = z[max(0, (len(ids) - 1) // BLOCK * BLOCK - 1):]
        best = rows.topk(2).values
        sure = rows.softmax(-1).max(-1).values.sort().values
        near[0] = min([near[0], (best[:, 0] - best[:, 1]).min().item(), (sure - threshold).abs().min().item()] + (sure[1:] - sure[:-1]).tolist())
        return z

    block_causal.logits = watched
    try:
        response, passes = block_causal.decode(model, prompt, image, grid, length, BLOCK, part, threshold)
    finally:
        block_causal.logits = plain
    if near[0] < MARGIN:
        return None
    canvas, history = [model.cfg["mask_token_id"]] * length, []
    for written in passes:
        for position, token in written:
            canvas[position] = token
        history.append(list(canvas))
    assert history[-1] == response
    return history, model.cfg["mask_token_id"] in response


@torch.no_grad()
def main(folder):
    os.makedirs(folder, exist_ok=True)
    model, rng = random_model(11), np.random.default_rng(3)
    export(model, NoTokenizer(), folder, block=BLOCK)
    os.remove(os.path.join(folder, "generation_config.json"))
    picture = np.clip(rng.integers(0, 256, (GRID[0], GRID[1], 3)).repeat(28, 0).repeat(28, 1) + rng.integers(-2, 3, (GRID[0] * 28, GRID[1] * 28, 3)), 0, 255)
    picture = picture.astype(np.uint8)
    scenes.write_png(os.path.join(folder, "image_0.png"), picture)
    image = model.look(patches(picture[None]), GRID)
    np.save(os.path.join(folder, "image_embeds.npy"), image[0].numpy())
    c, cases, early = model.cfg, [], 0
    for name, before, after in (("image", 3, 7), ("whole", 2, 5), ("text", 0, 11), ("short", 0, 3), ("block", 0, 8)):
        seen, grid = (image, GRID) if before else (None, (0, 0))
        shown = [c["vision_start_token_id"]] + [c["image_token_id"]] * (GRID[0] * GRID[1]) + [c["vision_end_token_id"]] if before else []
        while True:
            words = rng.integers(0, VOCAB - 9, before + after).tolist()
            ids = words[:before] + shown + words[before:]
            made = []
            for run in RUNS:
                made.append(decoded(model, ids, seen, grid, run))
                if not made[-1]:
                    break
            if made[-1]:
                break
        masked = ids + [c["mask_token_id"]] * APPENDED
        np.save(os.path.join(folder, "logits_%s.npy" % name), block_causal.logits(model, masked, seen, grid, BLOCK).numpy())
        runs = [dict(name="%d-by-%d-%g" % run, settings=dict(decoding_pipeline="fast-dllm-v2", alg="low_confidence_dynamic", steps=run[0],
                                                             max_new_tokens=run[0], sub_block_length=run[1], alg_p_threshold=run[2], use_cache=True, eps=1e-3,
                                                             use_original_confidence=True),
                     history=history, model_calls=len(history) + 1) for run, (history, _) in zip(RUNS, made)]
        early += sum(e for _, e in made)
        with open(os.path.join(folder, "trajectories_%s.json" % name), "w") as f:
            f.write('{"runs": [\n' + ",\n".join(json.dumps(r, separators=(",", ":")) for r in runs) + "\n]}\n")
        cases.append(dict(name=name, prompt_ids=ids, appended_masks=APPENDED, images=["image_0.png"] if before else []))
        print(name, len(ids), "tokens,", [len(h) for h, _ in made], "passes")
    assert 0 < early < len(RUNS) * len(cases), early
    with open(os.path.join(folder, "inputs.json"), "w") as f:
        json.dump({"images": ["image_0.png"], "cases": cases}, f)
    print(early, "decodings end early")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, "..", "goldens", "dimple-block"))
