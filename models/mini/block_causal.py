#!/usr/bin/env python3
"""Go on from the bundled dimple-mini with block-causal training: a model that writes block after block, each by masked diffusion.

    python3 models/mini/block_causal.py DIR [--steps 400] [--threads 1]

Positions see their own block of BLOCK positions, counted from the first of the prompt, and all blocks before it (BD3LM, arXiv 2503.09573;
SDAR, arXiv 2510.06303): so do the prompt and its picture, whose tokens lie in blocks like any others. Predictions stay shifted by one, as Dimple
has them and Fast-dLLM v2 (arXiv 2509.26328), by whose rules the model is decoded: the first token of a block is what the last row of the finished
block before it says. Beside the clean conversation stands a noised copy of the blocks of every answer, which sees itself and the clean blocks
before it; each block has its own t uniform in [1e-3, 1], and each token of the answer is masked with probability t, but a block's first, which
the clean row before it learns to predict. An answer ends with <|im_end|>, as the chat template has it, and <|endoftext|> up to the end of the
block. Masks have no complements. The vision tower stays as it is.

DIR/dimple-mini-block is the checkpoint folder, DIR/block.pt lets the same command resume, DIR/train.log has the losses of every 20 steps.
"""
import argparse
import os
import random
import time

import numpy as np
import torch
from torch.nn import functional as F

import scenes
from evaluate import LENGTH, SHORT_LENGTH, answer_text, score
from export import export
from model import patches, rotary_tables, text_positions
from muon import Muon
from tokenizer import chat_prompt
from train import CLIP, SHORT_QUESTIONS, SPEAKING, SYSTEM_SENTENCES, Phase, picture_batch, rate_at, short_question
from unshifted import bundled

BLOCK = 16
CLEAN, FILLER = 0, -1  # copies of positions; the noised ones count from 1
NEXT_TURN = "\n<|im_start|>user\n%s<|im_end|>\n<|im_start|>assistant\n"


# ------------------------------------------------------------------------------------------------------------ network
def sight(places, copies, block):
    """Whether a row may not look at a column, bool [B x 1 x 1 x T x T], of positions at places [B x T] in copies [B x T]: it sees what is of
    its copy and block, and the clean blocks before that."""
    blocks = places // block
    row, column = blocks[:, :, None], blocks[:, None, :]
    mine = (copies[:, :, None] == copies[:, None, :]) & (row == column)
    return ~(mine | ((copies == CLEAN)[:, None, :] & (column < row)))[:, None, None]


def states(model, ids, places, copies, image, grid, block):
    """Final normalised states [B x T x size] of token ids [B x T]. image [B x M x size]: what `look` made of the one picture of each row, whose
    tokens stand at the same place in all of them; None: there is none."""
    x, start = model.model.embed_tokens(ids), 0
    if torch.is_autocast_cpu_enabled():
        x = x.to(torch.get_autocast_cpu_dtype())
    if image is not None:
        start = int((ids[0] == model.cfg["image_token_id"]).nonzero()[0])
        x = torch.cat([x[:, :start], image.to(x.dtype), x[:, start + image.shape[1]:]], 1)
    position = torch.from_numpy(text_positions(int(places.max()) + 1, start, *grid))
    cos, sin = rotary_tables(position[model.axis].T[places] * model.frequencies)
    blocked = sight(places, copies, block)
    for layer in model.model.layers:
        x = layer(x, cos, sin, blocked)
    return model.model.norm(x)


# --------------------------------------------------------------------------------------------------------------- data
def conversation(tokenizer, turns, tokens, system):
    """A conversation of (question, answer) about one picture of `tokens` merged tokens: its ids, and (first, end) of every answer, which ends
    with <|im_end|>."""
    ids, spans = tokenizer.encode(chat_prompt(turns[0][0], tokens, system)), []
    for i, (question, answer) in enumerate(turns):
        if i > 0:
            ids += tokenizer.encode(NEXT_TURN % question)
        first = len(ids)
        ids += tokenizer.encode(answer) + [tokenizer.special["<|im_end|>"]]
        spans.append((first, len(ids)))
    return ids, spans


def with_noised_copies(rng, ids, spans, pad, block):
    """Rows (id, place, copy, answer) of a conversation, clean as far as anything sees it, and of a copy of each answer's blocks, the last of
    which is padded to its end, or, one in four, to anywhere before: a response has any length."""
    rows, seen = [], 0
    for copy, (first, end) in enumerate(spans, 1):
        begin, full = first // block * block, -(-end // block) * block
        stop = full if rng.random() < 0.75 else rng.randint(end, full)
        tokens = ids[begin:end] + [pad] * (stop - end)
        rows += [(token, begin + i, copy, begin + i >= first) for i, token in enumerate(tokens)]
        seen = (stop - 1) // block * block
    return [(token, i, CLEAN, False) for i, token in enumerate(ids[:seen])] + rows


def batch_of(rng, tokenizer, conversations, tokens, system, block):
    """Tensors [B x T] of conversations: ids, places, copies and answer, which is true where a token is to be predicted."""
    pad = tokenizer.special["<|endoftext|>"]
    rows = [with_noised_copies(rng, *conversation(tokenizer, turns, tokens, system), pad, block) for turns in conversations]
    size = max(map(len, rows))
    filled = [row + [(pad, 0, FILLER, False)] * (size - len(row)) for row in rows]
    return [torch.tensor([[entry[k] for entry in row] for row in filled]) for k in range(4)]


def batches(rng, tokenizer, batch, tokens, block):
    """Two batches about the same pictures: a description or JSON of each, and a conversation of short questions, into which now and then one of
    the others is mixed."""
    def full(scene):
        kind = rng.choice(["json", "fields"]) if rng.random() < 0.25 else "describe"
        return scenes.ask(rng, scene, kind) or scenes.ask(rng, scene, "describe")

    def several(scene):
        turns = [short_question(rng, scene) for _ in range(SHORT_QUESTIONS)]
        if rng.random() < 0.25:
            turns[rng.randrange(SHORT_QUESTIONS)] = full(scene)
        return turns

    system = "You are a helpful assistant."
    if rng.random() < 0.1:
        system = " ".join(rng.choices(SYSTEM_SENTENCES, k=rng.randint(1, 16)))
    return [batch_of(rng, tokenizer, [make(scene) for scene in batch], tokens, system, block)
            for make in (lambda scene: [full(scene)], several)]


def scoring_rows(places, block):
    """Which row [B x T] scores each position of the noised copies: the one before it; before a block's first, of the clean ones, which stand
    where their places say."""
    own = torch.arange(places.shape[1])[None] - 1
    return torch.where(places % block == 0, places - 1, own).clamp(min=0)


def block_loss(model, ids, places, copies, answer, image, grid, noise, block):
    """Mean cross entropy of the masked tokens and of the first ones of their blocks."""
    levels = 1e-3 + (1 - 1e-3) * noise.random((len(ids), int(places.max()) // block + 1))
    t = torch.from_numpy(levels).gather(1, places // block)
    first = answer & (places % block == 0)
    masked = answer & ~first & (torch.from_numpy(noise.random(tuple(ids.shape))) < t)
    wanted = masked | first
    if not bool(wanted.any()):
        return model.lm_head.weight.sum() * 0
    h = states(model, ids.masked_fill(masked, model.cfg["mask_token_id"]), places, copies, image, grid, block)
    row, position = wanted.nonzero().T
    return F.cross_entropy(model.lm_head(h[row, scoring_rows(places, block)[row, position]]).float(), ids[wanted])


# ----------------------------------------------------------------------------------------------------------- decoding
@torch.no_grad()
def logits(model, ids, image, grid, block):
    """Logits [S x vocabulary] of one pass over ids [S], without any cache."""
    ids = torch.as_tensor(ids)[None]
    places = torch.arange(ids.shape[1])[None]
    return model.lm_head(states(model, ids, places, torch.zeros_like(places), image, grid, block))[0].float()


def decode(model, prompt, image, grid, length, block, part, threshold):
    """Fill `length` masks behind `prompt` as Fast-dLLM v2 does, `part` positions of a block at a time: each pass reveals the masks of the part
    whose confidence is above the threshold, and the best in any case; the pass over a full block gives the next one's first token. It is over
    when an <|im_end|> has nothing masked before it. Nothing is cached. Returns (response, [[position, token], ...] of every pass)."""
    mask_id, end_id = model.cfg["mask_token_id"], model.cfg["eos_token_id"]
    ids, passes, start = list(prompt) + [mask_id] * length, [], len(prompt)

    def look(end, positions):
        """[(confidence, token)] of positions after a pass over everything up to `end`."""
        z = logits(model, ids[:end], image, grid, block)[[i - 1 for i in positions]]
        z[:, mask_id] = -float("inf")
        best, token = z.softmax(-1).max(-1)
        return list(zip(best.tolist(), token.tolist()))

    def reveal(found):
        passes.append([[i - start, token] for i, token in found])
        for i, token in found:
            ids[i] = token

    def over():
        response = ids[start:]
        known = response.index(mask_id) if mask_id in response else length
        return known == length or end_id in response[:known]

    begin = start // block * block
    if begin == start:  # the prompt's last row gives the first token
        reveal([(start, look(start, [start])[0][1])])
    while not over():
        end = min(begin + block, len(ids))
        open_ = [i for i in range(max(begin, start), end) if ids[i] == mask_id]
        if open_:
            last = begin + ((open_[0] - begin) // part + 1) * part
            open_ = [i for i in open_ if i < last]
            scored = look(end, open_)
            best = max(range(len(open_)), key=lambda k: scored[k][0])
            reveal([(i, token) for k, (i, (sure, token)) in enumerate(zip(open_, scored)) if sure > threshold or k == best])
        else:
            reveal([(end, look(end, [end])[0][1])])
            begin = end
    return ids[start:], passes


@torch.no_grad()
def answers(model, tokenizer, examples, part, threshold):
    """[(text, passes / response length)] of every question of held_out_examples, with responses that end with a block."""
    results = []
    for scene, asked in examples:
        grid = (scene.height // 28, scene.width // 28)
        image = model.look(patches(scenes.draw(scene)[None]), grid)
        for task, question, _ in asked:
            prompt = tokenizer.encode(chat_prompt(question, grid[0] * grid[1]))
            length = LENGTH.get(task, SHORT_LENGTH)
            length += -(len(prompt) + length) % BLOCK
            response, passes = decode(model, prompt, image, grid, length, BLOCK, part, threshold)
            results.append((answer_text(tokenizer, response), len(passes) / length))
    return results


# ----------------------------------------------------------------------------------------------------------- training
def optimizer_of(model, phase):
    for name, p in model.named_parameters():
        p.requires_grad_(name.split(".")[0] in phase.trained)
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    matrices = [n for n, p in trained.items() if p.dim() == 2 and n not in ("model.embed_tokens.weight", "lm_head.weight")]
    return Muon([trained[n] for n in matrices], [p for n, p in trained.items() if n not in matrices], phase.rate), list(trained.values())


def train(model, tokenizer, phase, folder, seed, log):
    optimizer, trained = optimizer_of(model, phase)
    state, first, recent, last_save = os.path.join(folder, "block.pt"), 0, [], time.time()
    if os.path.exists(state):
        saved = torch.load(state)
        first = saved["step"]
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        log("resuming at step %d" % first)
    for step in range(first, phase.steps):
        rng, noise = random.Random("%d %s %d" % (seed, phase.name, step)), np.random.default_rng([seed, step])
        optimizer.rate = rate_at(phase, step)
        batch, pixels, grid = picture_batch(rng, phase.pictures, phase.crowded)
        losses = []
        with torch.autocast("cpu", dtype=torch.bfloat16):
            with torch.no_grad():
                features = model.visual(pixels, *grid)
            image = model.img_projector(features)
            for ids, places, copies, answer in batches(rng, tokenizer, batch, grid[0] * grid[1], BLOCK):
                losses.append(block_loss(model, ids, places, copies, answer, image, grid, noise, BLOCK))
        sum(losses).backward()
        torch.nn.utils.clip_grad_norm_(trained, CLIP)
        optimizer.step()
        optimizer.zero_grad()
        recent.append([loss.item() for loss in losses])
        done = step + 1
        if done % 20 == 0:
            log("%d/%d  %s" % (done, phase.steps, " ".join("%.4f" % x for x in np.mean(recent, 0))))
            recent = []
        if time.time() - last_save > 120 or done == phase.steps:
            torch.save(dict(model=model.state_dict(), optimizer=optimizer.state_dict(), step=done), state + ".new")
            os.replace(state + ".new", state)
            export(model, tokenizer, os.path.join(folder, "dimple-mini-block"), block=BLOCK)
            last_save = time.time()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", metavar="DIR", help="folder for the checkpoint, the state and the log")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    os.makedirs(args.out, exist_ok=True)
    log_file = open(os.path.join(args.out, "train.log"), "a", buffering=1)

    def log(text):
        line = time.strftime("%H:%M:%S ") + text
        print(line, flush=True)
        log_file.write(line + "\n")

    model, tokenizer = bundled()
    train(model, tokenizer, Phase("block", args.steps, 8, 0, 8e-4, SPEAKING, 0.6), args.out, args.seed, log)
    held_out = scenes.held_out_examples(50, args.seed)
    table = score([(scene,) + question for scene, asked in held_out for question in asked],
                  answers(model.eval(), tokenizer, held_out, BLOCK, 0.95))
    log("held out, threshold 0.95: " + "  ".join("%s %.3f" % (k, v[0]) for k, v in sorted(table.items())))


if __name__ == "__main__":
    main()
