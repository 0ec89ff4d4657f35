#!/usr/bin/env python3
"""Measure two ways to reuse what earlier iterations computed, on dimple-mini and on a random model: whether they are worth building in.

    python3 models/mini/reuse.py [--scenes 20] [--seed 7] [--length 64]

dKV-Cache (arXiv 2505.15781, "Decode"): a token's keys and values are kept from the iteration after the one that revealed it on, the
prompt's from the first; every N iterations all of it is computed anew. An iteration runs the masked positions, those just revealed, and, as
logits are shifted by one here, the rows that score masked positions.

dLLM-Cache (arXiv 2506.06295): keys, values and the outputs of attention and feed-forward are kept of every row and layer; the prompt's are
computed anew every Kp iterations, the response's every Kr, and in between those of the share rho of response rows in each layer whose values
have turned most against the kept ones (by cosine), for which the values of all response rows are computed first.

Beside them: everything anew (none), and the prompt's keys and values kept from the first pass (prefill, what the library does by default).
Printed: how many descriptions are right, how many answers and tokens equal those of `none`, passes, and the rows that went through a layer, as
a mean over layers; a row of which only values are computed counts by its share of a layer's weights. One token an iteration, and
threshold 0.95. The random model has the shape of dimple-mini's body, logits that are not shifted, and no pictures, like LLaDA.
"""
import argparse

import numpy as np
import torch

import scenes
from evaluate import LENGTH, answer_text
from model import Dimple, mini_config, patches, rotary_tables, rotate, text_positions
from tokenizer import chat_prompt
from unshifted import bundled


class Body:
    """The text body over one sequence, with what it has kept of every layer."""

    def __init__(self, model, prompt, image, grid, length, shift):
        self.model, self.shift, self.start = model, shift, len(prompt)
        self.ids = torch.tensor(prompt + [model.cfg["mask_token_id"]] * length)
        self.image, self.at = image, prompt.index(model.cfg["image_token_id"]) if image is not None else 0
        position = torch.from_numpy(text_positions(len(self.ids), self.at, *grid))
        self.cos, self.sin = rotary_tables(position[model.axis].T * model.frequencies)
        self.kept = [{} for _ in model.model.layers]
        self.rows = 0.0  # that went through a layer, by their share of its weights

    def embedded(self):
        x = self.model.model.embed_tokens(self.ids)
        if self.image is not None:
            x[self.at:self.at + len(self.image)] = self.image
        return x

    def qkv(self, layer, x, rows, names):
        a = layer.self_attn
        out = []
        for name in names:
            y = getattr(a, name + "_proj")(x).reshape(1, len(rows), a.heads if name == "q" else a.groups, -1)
            out.append((y if name == "v" else rotate(y, self.cos[rows], self.sin[rows]))[0])
        return out

    def mix(self, layer, q, k, v):
        a = layer.self_attn
        k, v = (t.repeat_interleave(a.heads // a.groups, 1) for t in (k, v))
        weights = (torch.einsum("qhd,khd->hqk", q, k) / q.shape[-1] ** 0.5).softmax(-1)
        return a.o_proj(torch.einsum("hqk,khd->qhd", weights, v).reshape(len(q), -1))

    def whole_rows(self, rows):
        """Runs `rows` through all layers against kept keys and values of the others; what they compute is kept. Returns their logits."""
        x = self.embedded()[rows]
        for layer, kept in zip(self.model.model.layers, self.kept):
            q, k, v = self.qkv(layer, layer.input_layernorm(x), rows, "qkv")
            for name, fresh in (("k", k), ("v", v)):
                kept.setdefault(name, torch.zeros(len(self.ids), *fresh.shape[1:]))[rows] = fresh
            mixed = self.mix(layer, q, kept["k"], kept["v"])
            fed = layer.mlp(layer.post_attention_layernorm(x + mixed))
            for name, fresh in (("mixed", mixed), ("fed", fed)):
                kept.setdefault(name, torch.zeros(len(self.ids), fresh.shape[1]))[rows] = fresh
            x = x + mixed + fed
        self.rows += len(rows)
        return self.model.lm_head(self.model.model.norm(x))

    def changed_rows(self, share):
        """dLLM-Cache between refreshes: of the response's rows, in each layer, those whose values have changed most. Returns all logits."""
        x, response = self.embedded(), torch.arange(self.start - self.shift, len(self.ids))
        for layer, kept in zip(self.model.model.layers, self.kept):
            normed = layer.input_layernorm(x)
            (v,) = self.qkv(layer, normed[response], response, "v")
            alike = torch.cosine_similarity(v.flatten(1), kept["v"][response].flatten(1))
            rows = response[alike.argsort()[:int(share * len(response))]]
            q, k, v = self.qkv(layer, normed[rows], rows, "qkv")
            kept["k"][rows], kept["v"][rows] = k, v
            kept["mixed"][rows] = self.mix(layer, q, kept["k"], kept["v"])
            kept["fed"][rows] = layer.mlp(layer.post_attention_layernorm(x[rows] + kept["mixed"][rows]))
            x = x + kept["mixed"] + kept["fed"]
            weights = sum(p.numel() for p in layer.parameters())
            of_values = layer.self_attn.v_proj.weight.numel() / weights
            self.rows += (len(rows) + (len(response) - len(rows)) * of_values) / len(self.kept)
        return self.model.lm_head(self.model.model.norm(x))


def every_row(body):
    return torch.arange(len(body.ids))


def scoring(body, masked):
    """Rows of a pass that scores masked positions: themselves and the ones that score them."""
    return torch.unique(torch.cat([masked, masked - body.shift]))


class Anew:
    def logits(self, body, masked, fresh, step):
        return every_row(body), body.whole_rows(every_row(body))


class Prefill:
    def logits(self, body, masked, fresh, step):
        rows = every_row(body) if step == 0 else torch.arange(body.start - body.shift, len(body.ids))
        return rows, body.whole_rows(rows)


class DelayedCache:
    def __init__(self, refresh):
        self.refresh = refresh

    def logits(self, body, masked, fresh, step):
        rows = every_row(body) if step % self.refresh == 0 else torch.unique(torch.cat([scoring(body, masked), fresh]))
        return rows, body.whole_rows(rows)


class AdaptiveCache:
    def __init__(self, prompt, response, share):
        self.prompt, self.response, self.share = prompt, response, share

    def logits(self, body, masked, fresh, step):
        if step % self.prompt == 0:
            return every_row(body), body.whole_rows(every_row(body))
        if step % self.response == 0:
            rows = torch.arange(body.start - body.shift, len(body.ids))
            return rows, body.whole_rows(rows)
        return every_row(body), body.changed_rows(self.share)


WAYS = {"none": Anew(), "prefill": Prefill(), "dKV-Cache, N = 2": DelayedCache(2), "dKV-Cache, N = 4": DelayedCache(4),
        "dKV-Cache, N = 8": DelayedCache(8), "dLLM-Cache, Kp 25, Kr 2, rho 0.25": AdaptiveCache(25, 2, 0.25),
        "dLLM-Cache, Kp 25, Kr 5, rho 0.25": AdaptiveCache(25, 5, 0.25), "dLLM-Cache, Kp 50, Kr 8, rho 0.25": AdaptiveCache(50, 8, 0.25)}


@torch.no_grad()
def decode(body, way, threshold):
    """Fills the response; returns its tokens and the number of passes."""
    fresh, step = torch.empty(0, dtype=torch.long), 0
    while True:
        masked = (body.ids == body.model.cfg["mask_token_id"]).nonzero()[:, 0]
        if not len(masked):
            return body.ids[body.start:].tolist(), step
        rows, logits = way.logits(body, masked, fresh, step)
        place = torch.full((len(body.ids),), -1)
        place[rows] = torch.arange(len(rows))
        z = logits[place[masked - body.shift]]
        z[:, body.model.cfg["mask_token_id"]] = -torch.inf
        best, token = z.softmax(-1).max(-1)
        sure = best > threshold if threshold else torch.zeros(len(masked), dtype=torch.bool)
        sure[best.argmax()] = True
        fresh = masked[sure]
        body.ids[fresh] = token[sure]
        step += 1


def table(title, bodies, right):
    """bodies() gives fresh sequences; right(i, tokens): whether answer i is right, None where nothing says so."""
    for threshold in (None, 0.95):
        print("\n%s, %s" % (title, "threshold 0.95" if threshold else "one token an iteration"))
        print("%-36s %6s %13s %12s %7s %14s" % ("", "right", "equal answers", "equal tokens", "passes", "rows / pass"))
        expected = None
        for name, way in WAYS.items():
            outcomes, rows = [], 0
            for body in bodies():
                tokens, passes = decode(body, way, threshold)
                outcomes.append((tokens, passes))
                rows += body.rows
            answers = [tokens for tokens, _ in outcomes]
            expected = expected or answers
            passes = sum(passes for _, passes in outcomes)
            hits = [right(i, a) for i, a in enumerate(answers)]
            same = np.mean([a == b for mine, theirs in zip(answers, expected) for a, b in zip(mine, theirs)])
            shown = "-" if None in hits else "%.0f %%" % (100 * np.mean(hits))
            print("%-36s %6s %11.0f %% %10.1f %% %7.1f %14.1f" % (name, shown, 100 * np.mean([a == b for a, b in zip(answers, expected)]),
                                                                 100 * same, passes / len(answers), rows / passes), flush=True)


def trained(count, seed, length):
    model, tokenizer = bundled()
    examples = scenes.held_out_examples(count, seed)
    pictures = []
    with torch.no_grad():
        for scene, _ in examples:
            grid = (scene.height // 28, scene.width // 28)
            pictures.append((model.look(patches(scenes.draw(scene)[None]), grid)[0], grid))

    def bodies():
        for image, grid in pictures:
            prompt = tokenizer.encode(chat_prompt(scenes.DESCRIBE[0], grid[0] * grid[1]))
            yield Body(model.eval(), prompt, image, grid, length, 1)

    table("dimple-mini, %d descriptions of %d positions" % (count, length), bodies,
          lambda i, tokens: answer_text(tokenizer, tokens) == scenes.describe(examples[i][0]))


def untrained(count, seed, length):
    torch.manual_seed(seed)
    model = Dimple(mini_config(640)).eval()
    rng = np.random.default_rng(seed)
    prompts = [rng.integers(0, 600, 60).tolist() for _ in range(count)]
    table("random model, %d prompts of 60 tokens, %d positions" % (count, length),
          lambda: (Body(model, prompt, None, (0, 0), length, 0) for prompt in prompts), lambda i, tokens: None)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=20)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--length", type=int, default=LENGTH["describe"])
    args = parser.parse_args()
    torch.set_num_threads(1)
    trained(args.scenes, args.seed, args.length)
    untrained(max(2, args.scenes // 4), args.seed, args.length)


if __name__ == "__main__":
    main()
