#!/usr/bin/env python3
"""Decode answers by masked diffusion with the PyTorch model and count exact matches on held-out scenes.

    python3 models/mini/evaluate.py --model DIR --scenes 200 --seed 1

DIR is a checkpoint folder.  Two ways of decoding are compared: one token per step (pipeline dim, maskgit_plus) and
confident decoding at a threshold.  "iterations" is the number of steps over the length of the response.

    python3 models/mini/evaluate.py --model DIR --half --scenes 50 --seed 1 --write tests/goldens/mini

writes held-out pictures without noise, which are small files, and answers.jsonl: what PyTorch answers with the weights of an
F16 file, one token per step and with confident decoding, for a test of the engine.
"""
import argparse
import json
import os
import random
import struct
import time

import numpy as np
import torch

import scenes
from model import Dimple, patches
from tokenizer import Tokenizer, chat_prompt

LENGTH = {"describe": 64, "json": 32}  # response length given to the decoder
SHORT_LENGTH = 16


def load(folder, half=False):
    """(model, tokenizer) from a checkpoint folder written by export.py.  half: weights rounded to float16."""
    with open(os.path.join(folder, "config.json")) as f:
        model = Dimple(json.load(f))
    with open(os.path.join(folder, "model.safetensors"), "rb") as f:
        (size,) = struct.unpack("<Q", f.read(8))
        header, data = json.loads(f.read(size)), f.read()
    tensors = {name: torch.from_numpy(np.frombuffer(data[slice(*info["data_offsets"])], "<f4").reshape(info["shape"]).copy())
               for name, info in header.items() if name != "__metadata__"}
    model.load_state_dict({name: t.half().float() if half and t.dim() > 1 else t for name, t in tensors.items()})
    return model.eval(), Tokenizer.load(folder)


def unmask_count(now, total, step, levels):
    """How many tokens the `dim` pipeline reveals at a step when `now` of `total` masks remain."""
    share = np.float32(now) / np.float32(total)
    below = np.flatnonzero(levels < share)
    for level in levels[max(int(below[0]), step + 1):] if len(below) else ():
        if level <= levels[-1]:
            break
        count = int(np.float32(now) * (np.float32(1) - level / share))
        if count:
            return count
    return now


@torch.no_grad()
def decode(model, ids, image, grid, valid, steps, threshold=None):
    """Fill the mask tokens of ids [B x S], each row by itself, greedily and without cache: pipeline dim,
    maskgit_plus.  Returns (ids, number of iterations of each row)."""
    mask_id, ids = model.cfg["mask_token_id"], ids.clone()
    total, used = (ids == mask_id).sum(1).tolist(), [0] * len(ids)
    levels = np.linspace(1, 1e-3, steps + 1).astype(np.float32)
    for step in range(steps):
        rows = (ids == mask_id).any(1).nonzero()[:, 0]
        if not len(rows):
            break
        z = model.lm_head(model.hidden(ids[rows], image[rows], grid, valid=valid[rows])[:, :-1]).float()
        best, token = z.softmax(-1).max(-1)
        for k, row in enumerate(rows.tolist()):
            at = (ids[row, 1:] == mask_id).nonzero()[:, 0]  # position j + 1 is scored by row j
            sure = at[best[k, at] > threshold] if threshold else at[:0]
            if threshold and step == steps - 1:
                sure = at
            if not len(sure):
                count = unmask_count(len(at), total[row], step, levels)
                sure = at[best[k, at].argsort(descending=True, stable=True)[:count]]
            ids[row, sure + 1] = token[k, sure]
            used[row] = step + 1
    return ids, used


def layout(tokenizer, prompts, responses):
    """Rows prompt + response, filled on the right: (ids [B x S], valid [B x S], first index of each response)."""
    size = max(len(p) + len(r) for p, r in zip(prompts, responses))
    ids = torch.full((len(prompts), size), tokenizer.special["<|endoftext|>"])
    valid, starts = torch.zeros(ids.shape, dtype=torch.bool), []
    for i, (prompt, response) in enumerate(zip(prompts, responses)):
        ids[i, :len(prompt) + len(response)] = torch.tensor(prompt + response)
        valid[i, :len(prompt) + len(response)] = True
        starts.append(len(prompt))
    return ids, valid, starts


def answer_text(tokenizer, ids):
    """Text of a response, cut at the first <|im_end|> or <|endoftext|>."""
    for end, i in enumerate(ids):
        if i in (tokenizer.special["<|im_end|>"], tokenizer.special["<|endoftext|>"]):
            return tokenizer.decode(ids[:end])
    return tokenizer.decode(ids)


@torch.no_grad()
def answers(model, tokenizer, examples, threshold=None, length=None, batch=32):
    """Decode examples [(scene, task, question, answer)]: [(text, iterations / response length)] in their order."""
    out, groups = [None] * len(examples), {}
    for i, (scene, task, _, _) in enumerate(examples):
        size = length or LENGTH.get(task, SHORT_LENGTH)
        groups.setdefault((scene.height // 28, scene.width // 28, size), []).append(i)
    for (rows, cols, size), members in sorted(groups.items()):
        for part in (members[k:k + batch] for k in range(0, len(members), batch)):
            prompts = [tokenizer.encode(chat_prompt(examples[i][2], rows * cols)) for i in part]
            ids, valid, starts = layout(tokenizer, prompts, [[model.cfg["mask_token_id"]] * size] * len(part))
            image = model.look(patches(np.stack([scenes.draw(examples[i][0]) for i in part])), (rows, cols))
            ids, used = decode(model, ids, image, (rows, cols), valid, size, threshold)
            for k, i in enumerate(part):
                response = ids[k, starts[k]:starts[k] + size].tolist()
                out[i] = (answer_text(tokenizer, response), used[k] / size)
    return out


def score(examples, results):
    """{task: (share of exact answers, mean iterations / length, number)}; "short" is every task but describe."""
    table = {}
    for (_, task, _, truth), (text, share) in zip(examples, results):
        for name in {task, "describe" if task == "describe" else "short"}:
            table.setdefault(name, []).append((text == truth, share))
    return {k: (float(np.mean([r for r, _ in v])), float(np.mean([s for _, s in v])), len(v)) for k, v in table.items()}


def write_answers(model, tokenizer, folder, count, seed):
    """Pictures and PyTorch's answers, without prompt cache, for the engine to reach."""
    os.makedirs(folder, exist_ok=True)
    rng, examples = random.Random(seed), []
    for i in range(count):
        task = scenes.TASKS[i % len(scenes.TASKS)]
        scene, question, answer = scenes.random_example(rng, True, task)
        scene = scene._replace(noise=(0, 0, 0))
        scenes.write_png(os.path.join(folder, "%02d.png" % i), scenes.draw(scene))
        examples += [(scene, "describe", scenes.DESCRIBE[0], scenes.describe(scene)), (scene, task, question, answer)]
    one, confident = answers(model, tokenizer, examples), answers(model, tokenizer, examples, 0.95)
    with open(os.path.join(folder, "answers.jsonl"), "w", encoding="utf-8") as lines:
        for i, (_, task, question, _) in enumerate(examples):
            line = dict(image="%02d.png" % (i // 2), task=task, question=question, one_token_per_step=one[i][0], confident=confident[i][0])
            lines.write(json.dumps(line, ensure_ascii=False) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="checkpoint folder")
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threshold", type=float, default=0.95)
    parser.add_argument("--length", type=int, help="response length for every task")
    parser.add_argument("--bf16", action="store_true", help="bfloat16 activations: faster on processors that have them")
    parser.add_argument("--skip-one-per-step", action="store_true")
    parser.add_argument("--show", type=int, default=0, help="print this many wrong answers")
    parser.add_argument("--half", action="store_true", help="round the weights to float16, as in an F16 file")
    parser.add_argument("--write", metavar="DIR", help="write pictures and answers for a test of another engine, and do nothing else")
    args = parser.parse_args()
    torch.set_num_threads(1)
    model, tokenizer = load(args.model, args.half)
    if args.write:
        return write_answers(model, tokenizer, args.write, args.scenes, args.seed)
    examples = [(scene,) + q for scene, qs in scenes.held_out_examples(args.scenes, args.seed) for q in qs]
    for threshold in [args.threshold] + ([] if args.skip_one_per_step else [None]):
        started = time.time()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=args.bf16):
            results = answers(model, tokenizer, examples, threshold, args.length)
        print("threshold %s, %.0f s" % (threshold or "none: one token per step", time.time() - started))
        for task, (exact, share, count) in sorted(score(examples, results).items()):
            print("  %-10s exact %6.2f %%  iterations/length %.3f  (%d)" % (task, 100 * exact, share, count))
        wrong = [(e[2], e[3], r[0]) for e, r in zip(examples, results) if e[3] != r[0]]
        for question, truth, text in wrong[:args.show]:
            print("  Q %s\n    right %s\n    given %s" % (question, truth, text))


if __name__ == "__main__":
    main()
