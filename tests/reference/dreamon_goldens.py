#!/usr/bin/env python3
"""Makes tests/goldens/dreamon: a small Dream checkpoint with random weights and an expand token, and what DreamOn's own code writes with it.

    python3 tests/reference/dreamon_goldens.py FOLDER [TARGET]

FOLDER holds generation_utils.py of Dream-org/DreamOn-v0-7B, whose DreamOnGenerationMixin._sample runs as it is on Qwen2ForCausalLM of transformers under the
mask that it gives, which lets all see all. torch on a CPU in float32. TARGET: tests/goldens.

Left out are runs in which a decision is too close to call, and those in which the function does what it hardly means: several expansions of one iteration
that overrun its budget or its length. dreamon_test has these.
"""
import json
import os
import random
import sys
from types import SimpleNamespace

import torch
from safetensors.torch import save_file
from transformers import Qwen2Config, Qwen2ForCausalLM

VOCAB, EXPAND, EOS, MASK = 96, 91, 93, 95
SHAPE = dict(vocab_size=VOCAB, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, rms_norm_eps=1e-6,
             max_position_embeddings=256, tie_word_embeddings=False, hidden_act="silu", rope_theta=1e4, use_sliding_window=False,
             bos_token_id=90, eos_token_id=EOS, pad_token_id=EOS)
LEAST_MARGIN = 2e-4


def make_model(seed):
    config = Qwen2Config(**SHAPE)
    config._attn_implementation = "eager"
    model = Qwen2ForCausalLM(config).eval()
    g, state = torch.Generator().manual_seed(seed), model.state_dict()
    for name, t in state.items():
        if t.dim() == 1:
            t.copy_((1 if "norm" in name else 0) + 0.3 * torch.randn(t.shape, generator=g))
        else:
            t.copy_(torch.randn(t.shape, generator=g) * (1 if "embed_tokens" in name else 1.3 / t.shape[1] ** 0.5))
    state["lm_head.weight"] *= 2
    state["lm_head.weight"][MASK] *= 0.01  # never a guess
    state["lm_head.weight"][EXPAND] *= 3.2
    state["lm_head.weight"][EOS] *= 2.4
    return model, state


class Recorder:
    """The network as _sample calls it, and what is decided between its calls."""

    def __init__(self, mixin, module, model):
        self.mixin, self.module, self.model = mixin, module, model
        self.original = module.sample_tokens

    def __call__(self, x, attention_mask, positions):
        self.canvases.append(x[0, :int(attention_mask[0, 0, 0].sum())].tolist())
        bias = torch.zeros(attention_mask.shape).masked_fill(~attention_mask, torch.finfo(torch.float32).min)
        return self.model(input_ids=x, attention_mask=bias, position_ids=positions)

    def sample(self, logits, **settings):
        confidence, tokens = self.original(logits, **settings)
        if settings["temperature"] > 0:
            self.draws.append(["categorical", tokens.tolist()])
        else:
            best = torch.topk(logits, 2, dim=-1)[0]
            self.margin = min(self.margin, float((best[:, 0] - best[:, 1]).min()))
        ranked = torch.sort(confidence, descending=True)[0]
        if self.by_rank and len(ranked) > self.transfer:
            self.margin = min(self.margin, float(ranked[self.transfer - 1] - ranked[self.transfer]))
        self.scored, self.tokens = len(tokens), tokens
        return confidence, tokens

    def run(self, prompt, response, settings):
        self.canvases, self.draws, self.margin = [], [], 1e9
        self.transfer, self.by_rank = settings["number_transfer_tokens"], not settings["alg_temp"]
        ids = torch.tensor([prompt + response])
        masks = response.count(MASK)
        config = SimpleNamespace(output_history=True, return_dict_in_generate=True, eps=1e-3, eos_token_id=EOS, delete_token_id=EOS, expand_token_id=EXPAND,
                                 mask_token_id=MASK, max_length=settings["max_new_tokens"] + ids.shape[1] - masks, **settings)
        multinomial, self.module.sample_tokens = torch.multinomial, self.sample

        def chosen(weights, num_samples):
            picked = multinomial(weights, num_samples)
            self.draws.append(["subset", picked.tolist()])
            return picked

        self.module.torch.multinomial = chosen if settings["alg_temp"] else multinomial
        try:
            output = self.mixin._sample(self, ids, len(prompt) + response.index(MASK), masks, config)
        finally:
            self.module.torch.multinomial, self.module.sample_tokens = multinomial, self.original
        history = [entry.tolist() for entry in output.history]
        final = history[-1]
        budget = settings["expand_budget"]
        self.overran = overran(history, config.max_length, 1 << 30 if budget is None else budget)
        return [canvas[len(prompt):] for canvas in self.canvases[1:] + [final]]


def overran(history, most, budget):
    """Whether an iteration's expansions took more room or more of the budget than there was."""
    for entry, following in zip(history, history[1:]):
        doubled = entry.count(EXPAND)
        if doubled == 0 or EXPAND in following:
            continue
        budget -= doubled
        if len(entry) + doubled > most or budget < 0:
            return True
    return False


def case(r):
    prompt = [r.randrange(80) for _ in range(r.randint(1, 12))]
    response = [MASK] * r.randint(1, 7)
    if r.random() < 0.3:  # two places to fill
        response += [r.randrange(80) for _ in range(r.randint(1, 3))] + [MASK] * r.randint(1, 3)
    if r.random() < 0.7:
        response += [r.randrange(80) for _ in range(r.randint(0, 4))] + [EOS]
    if r.random() < 0.2:
        response = [r.randrange(80)] + response
    masks = response.count(MASK)
    drawn = r.random() < 0.35
    settings = dict(alg=r.choice(["entropy", "maskgit_plus", "topk_margin"]), alg_temp=r.choice([0, 0, 0, 0.4]) if drawn else 0,
                    temperature=r.choice([0.7, 1.3]) if drawn else 0, top_p=r.choice([None, None, 0.8]), top_k=r.choice([None, None, 5]),
                    max_new_tokens=masks + r.choice([0, 1, 2, 5, 12]), expand_budget=r.choice([None, None, 0, 1, 3]),
                    number_transfer_tokens=r.choice([1, 1, 1, 2]), pad_delete_to_right=r.random() < 0.4)
    return prompt, response, settings


def main(folder, target):
    sys.path.insert(0, folder)
    import generation_utils as module
    torch.set_grad_enabled(False)
    torch.manual_seed(3)
    model, state = make_model(5)
    os.makedirs(target, exist_ok=True)
    save_file({k: v.contiguous() for k, v in state.items()}, os.path.join(target, "model.safetensors"))
    special = dict(mask_token_id=MASK, expand_token_id=EXPAND, eos_token_id=EOS, pad_token_id=EOS, bos_token_id=90)
    for name, value in (("config.json", dict(SHAPE, model_type="Dream", torch_dtype="float32", mask_token_id=MASK)), ("generation_config.json", special)):
        with open(os.path.join(target, name), "w") as f:
            json.dump(value, f, indent=1)
    recorder, r, runs, close, over = Recorder(module.DreamOnGenerationMixin, module, model), random.Random(11), [], 0, 0
    while len(runs) < 60:
        prompt, response, settings = case(r)
        try:
            canvases = recorder.run(prompt, response, settings)
        except RuntimeError:  # fewer masks than it is to transfer
            continue
        if recorder.overran:
            over += 1
            continue
        if recorder.margin < LEAST_MARGIN or any(MASK in c for c in canvases[-1:]):
            close += 1
            continue
        runs.append(dict(name="run-%d" % len(runs), prompt_ids=prompt, response=response, canvases=canvases, draws=recorder.draws, **settings))
    with open(os.path.join(target, "trajectories.json"), "w") as f:
        f.write("[\n" + ",\n".join(json.dumps(run) for run in runs) + "]\n")
    lengths = [[len(run["response"])] + [len(c) for c in run["canvases"]] for run in runs]
    print("%d runs, %d iterations; %d grow, %d shrink, %d end empty of what was masked; %d too close, %d overran" % (
        len(runs), sum(len(run["canvases"]) for run in runs), sum(any(b > a for a, b in zip(x, x[1:])) for x in lengths),
        sum(any(b < a for a, b in zip(x, x[1:])) for x in lengths),
        sum(len(run["canvases"][-1]) == len(run["response"]) - run["response"].count(MASK) for run in runs), close, over))


if __name__ == "__main__":
    main(sys.argv[1], os.path.join(sys.argv[2] if len(sys.argv) > 2 else os.path.join(os.path.dirname(__file__), "..", "goldens"), "dreamon"))
