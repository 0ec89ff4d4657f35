#!/usr/bin/env python3
"""Train dimple-mini from nothing on one CPU core.

    python3 models/mini/train.py --out DIR

Phases, in order (sizes and rates in RECIPES):
  vision       the tower alone predicts, per merged token of crowded scenes, what covers it; the predicting layer is thrown away
  language     autoregressive, text without pictures: the body learns the sentences
  alignment    autoregressive, causal: only img_projector learns          (paper, stage 1)
  instruction  autoregressive, causal: body, head and projector            (paper, stage 2)
  diffusion    masked diffusion, full attention: body, head and projector  (paper, stage 3)
  sight        the tower alone again, from the dense labels of ordinary scenes: places and ranks among few shapes
  refinement   masked diffusion with everything learning, the tower also from dense labels

DIR/dimple-mini is the checkpoint folder, replaced every few minutes; DIR/state.pt lets the same command resume; DIR/PHASE.pt are the
weights at the end of a phase; DIR/losses.jsonl has the losses of every 50 steps.  Every step draws its data from (seed,
phase, step), so that a resumed run sees what an uninterrupted one would have seen.

    python3 models/mini/train.py --recipe ar --start DIR/language.pt --out OTHER

trains one of the three recipes that the paper compares, for the same number of updates and with the paper's padding only.
"""
import argparse
import json
import os
import random
import time
from collections import namedtuple

import numpy as np
import torch
from torch.nn import functional as F

import scenes
from evaluate import answers, layout, score
from export import export
from model import Dimple, mini_config, patches
from muon import Muon
from tokenizer import Tokenizer, chat_prompt, train_merges

MERGES = 375
LONGEST = 64  # longest response seen in training, in tokens
EVERYTHING = ["visual", "img_projector", "model", "lm_head"]
# pictures per step; how many of them are crowded, which only the dense labels use; peak rate; parts that learn; share of the
# steps in which the rate falls to zero
Phase = namedtuple("Phase", "name steps pictures crowded rate trained decay", defaults=[0.4])
SPEAKING = ["img_projector", "model", "lm_head"]
TUNING = 1500  # updates of a recipe that is compared
RECIPES = {
    "mini": [
        Phase("vision", 5000, 32, 32, 4e-3, ["visual"]),
        Phase("language", 200, 24, 0, 2e-3, ["model", "lm_head"]),
        Phase("alignment", 100, 24, 0, 1e-3, ["img_projector"]),
        Phase("instruction", 1000, 16, 0, 1.5e-3, SPEAKING),
        Phase("diffusion", 2000, 16, 0, 1.5e-3, SPEAKING),
        Phase("sight", 1500, 32, 8, 2e-3, ["visual"]),
        Phase("refinement", 7300, 20, 4, 1e-3, EVERYTHING, 0.57),
    ],
    "ar": [
        Phase("alignment", 100, 16, 0, 1e-3, ["img_projector"]),
        Phase("instruction", TUNING - 100, 16, 0, 1.5e-3, SPEAKING),
    ],
    "diffusion": [Phase("diffusion", TUNING, 16, 0, 1.5e-3, SPEAKING)],
    "ar-then-diffusion": [
        Phase("alignment", 100, 16, 0, 1e-3, ["img_projector"]),
        Phase("instruction", TUNING // 2 - 100, 16, 0, 1.5e-3, SPEAKING),
        Phase("diffusion", TUNING // 2, 16, 0, 1.5e-3, SPEAKING),
    ],
}
CLIP = 1.0  # largest norm of the gradient
SYSTEM_SENTENCES = ["You are a helpful assistant.", "Answer in one sentence.", "Look at the image.", "Describe what you see.",
                    "The image has shapes.", "Count the shapes.", "Read the number.", "Answer as it is asked."]
SHORT_QUESTIONS = 3  # per picture, beside its description or JSON
TASK_WEIGHTS = {"count": 5, "yesno": 5, "locate": 2, "attribute": 3, "compare": 6, "number": 2}


# ------------------------------------------------------------------------------------------------------------ data
def picture_batch(rng, count, crowded):
    """Training scenes of one picture size, the first `crowded` of them with many shapes, and their patches."""
    height, width = rng.choice(scenes.SIDES), rng.choice(scenes.SIDES)
    batch = []
    while len(batch) < count:
        scene = scenes.random_scene(rng, False, height, width, len(batch) < crowded)
        if scene.number or len(batch) % 2 == 0:  # numbers take longest to learn: most scenes have one
            batch.append(scene)
    return batch, patches(np.stack([scenes.draw(s) for s in batch])), (height // 28, width // 28)


def short_question(rng, scene):
    while True:
        task = rng.choices(list(TASK_WEIGHTS), list(TASK_WEIGHTS.values()))[0]
        asked = scenes.ask(rng, scene, task)
        if asked:
            return asked


def padded_length(rng, n, long):
    """Length of an answer of n tokens with its pads.  As in the paper: up to the next power of two above n (n < 16) or the
    next multiple of 16 above n; `long`: up to the longest response, so that a decoder may be given any length."""
    if long:
        return rng.randint(n + 1, LONGEST)
    return rng.randint(n + 1, 1 << n.bit_length() if n < 16 else (n // 16 + 1) * 16)


def text_batch(rng, tokenizer, questions, tokens, long, system):
    """Rows of (question, answer) about pictures of `tokens` merged tokens: ids, valid, and which positions are answers."""
    prompts = [tokenizer.encode(chat_prompt(q, tokens, system)) for q, _ in questions]
    responses = [tokenizer.encode(a) for _, a in questions]
    pad = tokenizer.special["<|endoftext|>"]
    responses = [r + [pad] * (padded_length(rng, len(r), rng.random() < long) - len(r)) for r in responses]
    ids, valid, starts = layout(tokenizer, prompts, responses)
    answer = valid & (torch.arange(ids.shape[1])[None] >= torch.tensor(starts)[:, None])
    return ids, valid, answer


def question_batches(rng, tokenizer, batch, tokens, paper_pads=False, varied=False):
    """Two text batches about the same pictures, each with the number of its questions per picture: descriptions and
    JSON, and short questions.  Some are padded far, to teach any response length (paper_pads: none); varied: some have a
    longer system message, and JSON has any keys."""
    long_answers = 0.0 if paper_pads else 0.35
    long_short = 0.8 if not paper_pads and rng.random() < 0.25 else 0.0
    full = [(rng.random() < 0.2 and scenes.ask(rng, s, rng.choice(["json", "fields"]) if varied else "json"))
            or scenes.ask(rng, s, "describe") for s in batch]
    short = [short_question(rng, s) for s in batch for _ in range(SHORT_QUESTIONS)]
    system = "You are a helpful assistant."
    if varied and rng.random() < 0.1:
        system = " ".join(rng.choices(SYSTEM_SENTENCES, k=rng.randint(1, 16)))
    return [(1, text_batch(rng, tokenizer, full, tokens, long_answers, system)),
            (SHORT_QUESTIONS, text_batch(rng, tokenizer, short, tokens, long_short, system))]


# -------------------------------------------------------------------------------------------------------- objectives
def answer_loss(model, ids, image, grid, valid, wanted, causal, given=None, shift=1):
    """Cross entropy at the wanted positions, each predicted from the position `shift` before it.  `given`: the ids that the
    model sees, if not the true ones."""
    h = model.hidden(ids if given is None else given, image, grid, causal, valid)
    return F.cross_entropy(model.lm_head(h[:, :ids.shape[1] - shift][wanted[:, shift:]]).float(), ids[wanted])


def diffusion_loss(model, ids, image, grid, valid, answer, noise, shift=1):
    """Masked diffusion: per row t uniform in [1e-3, 1], each answer token masked with probability t, plain mean of the
    cross entropy over the masked positions."""
    t = 1e-3 + (1 - 1e-3) * noise.random((len(ids), 1))
    masked = answer & torch.from_numpy(noise.random(ids.shape) < t)
    if not bool(masked.any()):  # a batch without any mask has no loss; its gradient is zero
        return model.lm_head.weight.sum() * 0
    given = ids.masked_fill(masked, model.cfg["mask_token_id"])
    return answer_loss(model, ids, image, grid, valid, masked, False, given, shift)


MASKED = ["diffusion", "refinement"]  # phases with the loss of masked diffusion
DENSE_PHASES = {"vision": 1.0, "sight": 1.0, "refinement": 0.2}  # phases with dense labels: weight of that loss
# shape or none or number, color, size, row, col, rank, tens, ones, background; where the shape's centre lies from the
# token's, in steps of 7 pixels down and across, and its diameter: without these, shapes are learned several times later
DENSE_HEADS = [8, 8, 2, 3, 3, 4, 11, 10, 4, 8, 8, 5]


def dense_labels(batch):
    """What covers each merged token most, int [B x M x heads]; -100 where a head has nothing to say."""
    out = []
    for scene in batch:
        rows, cols = scene.height // 28, scene.width // 28
        owner = scenes.owners(scene).reshape(rows, 28, cols, 28).transpose(0, 2, 1, 3).reshape(rows * cols, -1)
        cover = np.stack([(owner == k).sum(1) for k in range(1, 10)], 1)
        labels = np.full((rows * cols, len(DENSE_HEADS)), -100)
        labels[:, 8] = list(scenes.BACKGROUNDS).index(scene.background)
        for token, (k, pixels) in enumerate(zip(cover.argmax(1), cover.max(1))):
            if pixels == 0:
                labels[token, 0] = 0
            elif pixels >= 12 and k == 8:
                n = scene.number
                tens = int(n.text) // 10 if len(n.text) == 2 else 10
                labels[token, [0, 3, 4, 6, 7]] = 7, n.row, n.col, tens, int(n.text) % 10
            elif pixels >= 12:
                o = scene.items[k]
                size = list(scenes.SIZES).index(o.size)
                labels[token, :6] = (scenes.SHAPES.index(o.shape) + 1, list(scenes.COLORS).index(o.color), size, o.row,
                                     o.col, k if k < 4 else -100)
                down, across = o.y - 28 * (token // cols) - 14, o.x - 28 * (token % cols) - 14
                labels[token, 9:] = (min(7, max(0, down // 7 + 4)), min(7, max(0, across // 7 + 4)),
                                     (o.diameter - 28) // 4 + 3 if size else (o.diameter - 14) // 2)
        out.append(labels)
    return torch.from_numpy(np.stack(out))


def dense_loss(predictor, features, labels):
    """Loss of the dense prediction from the tower's features, and the share of right labels per head."""
    z = predictor(features).float()
    loss, right = 0, []
    for part, label in zip(z.split(DENSE_HEADS, -1), labels.unbind(-1)):
        known = label != -100
        right.append(float((part.argmax(-1) == label)[known].float().mean()))
        if bool(known.any()):
            weight = torch.ones(part.shape[-1])
            if len(right) == 1:
                weight[0] = 0.2  # most tokens show background only
            loss = loss + F.cross_entropy(part[known], label[known], weight)
    return loss, right


# -------------------------------------------------------------------------------------------------------------- loop
def rate_at(phase, step):
    """Warm-up over 3 % of the steps, constant, then linear to zero over the last steps."""
    fall = (phase.steps - step) / (phase.decay * phase.steps) if phase.decay else 1
    return phase.rate * min(1, (step + 1) / (0.03 * phase.steps + 1), fall)


def build_tokenizer(seed):
    rng, texts = random.Random(seed), []
    for _ in range(4000):
        for task in ["describe"] + scenes.TASKS:
            _, question, answer = scenes.random_example(rng, False, task)
            texts += [chat_prompt(question), answer]
    return Tokenizer(train_merges(texts, MERGES))


@torch.no_grad()
def causal_accuracy(model, tokenizer, seed, count=3):
    """Share of held-out answers that greedy left-to-right decoding gets right: (descriptions and JSON, short answers).
    All tokens are right given the right prefix exactly when greedy decoding writes the right answer."""
    rng, right = random.Random(seed), [[], []]
    for _ in range(count):
        height, width = rng.choice(scenes.SIDES), rng.choice(scenes.SIDES)
        batch = [scenes.random_scene(rng, True, height, width) for _ in range(32)]
        grid = (height // 28, width // 28)
        image = model.look(patches(np.stack([scenes.draw(s) for s in batch])), grid)
        for kind, (each, (ids, valid, answer)) in enumerate(question_batches(rng, tokenizer, batch, grid[0] * grid[1])):
            seen = image.repeat_interleave(each, 0)
            token = model.lm_head(model.hidden(ids, seen, grid, True, valid)[:, :-1]).argmax(-1)
            right[kind] += ((token == ids[:, 1:]) | ~answer[:, 1:]).all(1).tolist()
    return [float(np.mean(r)) for r in right]


def diffusion_accuracy(model, tokenizer, seed, count):
    """Held-out accuracy with confident decoding at 0.95, as one line of text."""
    examples = [(scene,) + q for scene, qs in scenes.held_out_examples(count, seed) for q in qs]
    table = score(examples, answers(model, tokenizer, examples, 0.95))
    return "  ".join("%s %.3f" % (k, v[0]) for k, v in sorted(table.items())) + \
        "  describe iterations/length %.3f" % table["describe"][1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, help="folder for the checkpoint, the state and the log")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--recipe", choices=list(RECIPES), default="mini", help="phases to train (default: mini)")
    parser.add_argument("--start", metavar="PHASE.pt", help="weights to begin with, instead of random ones")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the steps of every phase")
    parser.add_argument("--steps", action="append", default=[], metavar="PHASE=N", help="steps of one phase")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--float32", action="store_true", help="no bfloat16, for processors without it (much slower)")
    args = parser.parse_args()
    steps = dict(item.split("=") for item in args.steps)
    phases = [p._replace(steps=int(steps.get(p.name, round(p.steps * args.scale)))) for p in RECIPES[args.recipe]]
    paper_pads = args.recipe != "mini"
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    os.makedirs(args.out, exist_ok=True)
    log_file = open(os.path.join(args.out, "train.log"), "a", buffering=1)
    loss_file = open(os.path.join(args.out, "losses.jsonl"), "a", buffering=1)

    def log(text):
        line = time.strftime("%H:%M:%S ") + text
        print(line, flush=True)
        log_file.write(line + "\n")

    tokenizer = build_tokenizer(args.seed)
    model = Dimple(mini_config(len(tokenizer)))
    predictor = torch.nn.Linear(model.cfg["vision_config"]["out_hidden_size"], sum(DENSE_HEADS))
    log("%d tokens, %d parameters" % (len(tokenizer), sum(p.numel() for p in model.parameters())))
    if args.start:
        model.load_state_dict(torch.load(args.start))
    state_path, saved = os.path.join(args.out, "state.pt"), None
    if os.path.exists(state_path):
        saved = torch.load(state_path)
        model.load_state_dict(saved["model"])
        predictor.load_state_dict(saved["predictor"])
        log("resuming phase %s at step %d" % (phases[saved["phase"]].name, saved["step"]))

    def save(phase_index, step, optimizer):
        torch.save(dict(model=model.state_dict(), predictor=predictor.state_dict(), phase=phase_index, step=step,
                        optimizer=optimizer.state_dict()), state_path + ".new")
        os.replace(state_path + ".new", state_path)
        if step == phases[phase_index].steps:
            torch.save(model.state_dict(), os.path.join(args.out, phases[phase_index].name + ".pt"))
        causal = phases[-1].name == "instruction"  # a model that only ever learned to write from left to right
        export(model, tokenizer, os.path.join(args.out, "dimple-mini"), causal)

    for phase_index, phase in enumerate(phases):
        if saved and phase_index < saved["phase"]:
            continue
        for name, p in model.named_parameters():
            p.requires_grad_(name.split(".")[0] in phase.trained)
        named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
        named += list(predictor.named_parameters("predictor")) if phase.name in DENSE_PHASES else []
        trained = [p for _, p in named]
        matrices = [p for n, p in named if p.dim() == 2 and n.split(".")[0] != "predictor"
                    and n not in ("model.embed_tokens.weight", "lm_head.weight")]
        chosen = {id(p) for p in matrices}
        optimizer = Muon(matrices, [p for p in trained if id(p) not in chosen], phase.rate)
        first = 0
        if saved and phase_index == saved["phase"]:
            first = saved["step"]
            optimizer.load_state_dict(saved["optimizer"])
        recent, last_save = [], time.time()
        for step in range(first, phase.steps):
            rng = random.Random("%d %s %d" % (args.seed, phase.name, step))
            noise = np.random.default_rng([args.seed, phase_index, step])
            optimizer.rate = rate_at(phase, step)
            batch, pixels, grid = picture_batch(rng, phase.pictures, phase.crowded)
            spoken = batch[phase.crowded:] if phase.trained != ["visual"] else []
            losses = []
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=not args.float32):
                if phase.name == "language":
                    image, grid = None, (0, 0)
                else:
                    with torch.set_grad_enabled("visual" in phase.trained):
                        features = model.visual(pixels, *grid)
                    image = model.img_projector(features[phase.crowded:])
                if spoken:
                    for each, (ids, valid, answer) in question_batches(rng, tokenizer, spoken, grid[0] * grid[1], paper_pads,
                                                                      not paper_pads and phase.name in MASKED):
                        seen = image if image is None else image.repeat_interleave(each, 0)
                        if phase.name in MASKED:
                            losses.append(diffusion_loss(model, ids, seen, grid, valid, answer, noise))
                        else:
                            losses.append(answer_loss(model, ids, seen, grid, valid, answer, True))
                if phase.name in DENSE_PHASES:
                    loss, right = dense_loss(predictor, features, dense_labels(batch))
                    losses.append(loss * DENSE_PHASES[phase.name])
            recent.append([x.item() for x in losses] + (right if phase.name in DENSE_PHASES else []))
            loss = sum(losses)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, CLIP)
            optimizer.step()
            optimizer.zero_grad()
            done = step + 1
            if done % 50 == 0 or done == phase.steps:
                means = np.nanmean(recent, 0).tolist()
                log("%s %d/%d  %s" % (phase.name, done, phase.steps, " ".join("%.4f" % x for x in means)))
                loss_file.write(json.dumps(dict(phase=phase.name, step=done, losses=means[:len(losses)])) + "\n")
                recent = []
            if done % 500 == 0 or done == phase.steps:
                with torch.autocast("cpu", dtype=torch.bfloat16, enabled=not args.float32):
                    if phase.name == "instruction":
                        log("  held out, left to right: describe %.3f, short %.3f" %
                            tuple(causal_accuracy(model, tokenizer, args.seed)))
                    elif phase.name in MASKED:
                        log("  held out, confident decoding: " +
                            diffusion_accuracy(model, tokenizer, args.seed, 40))
            if time.time() - last_save > 120 or done == phase.steps:
                save(phase_index, done, optimizer)
                last_save = time.time()
        saved = None


if __name__ == "__main__":
    main()
