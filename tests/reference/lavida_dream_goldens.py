#!/usr/bin/env python3
"""Makes tests/goldens/lavida-dream: a small checkpoint of LaViDa on Dream with random weights, and what the authors' code makes of prompts with and without
pictures.

    python3 -O tests/reference/lavida_dream_goldens.py LAVIDA [FOLDER]

LAVIDA: a checkout of jacklishufan/LaViDa at 284ef5c, whose llava (network, picture preparation, pooling, generate and dream/generation_utils.py) is run as it
is by transformers and torch on a CPU in float32, but for names that newer libraries lost, and uncompiled. -O: its tower asserts that a tile has 729 features.
Pictures are resized by their rows first, as by every Pillow up to version 12. FOLDER: tests/goldens/lavida-dream.

Left out are runs in which a decision is too close to call or the mask is a guess, and those that their code does not survive: shifted schedules of as many
steps as positions, of which the first is taken before.
"""
import importlib
import json
import os
import sys

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

import lavida_goldens as on_llada
import llada_v_goldens as plain
import random_weights
from dream_vl_goldens import plain_rotary

VOCAB, IMAGE, MASK, END, BEGIN = 160, 159, 158, 157, 156
TOKENS = IMAGE  # as many has the tokenizer: their loader cuts embedding and head to these
CONFIG = dict(model_type="llava_dream", architectures=["LlavaDreamForMaskedDiffusion"], vocab_size=VOCAB, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
              num_attention_heads=4, num_key_value_heads=2, hidden_act="silu", max_position_embeddings=512, rms_norm_eps=1e-6, rope_theta=1e4, rope_scaling=None,
              use_sliding_window=False, attention_dropout=0.0, tie_word_embeddings=False, use_cache=False, mask_token_id=MASK, pad_token_id=END,
              bos_token_id=END, eos_token_id=END, **{k: on_llada.CONFIG[k] for k in on_llada.CONFIG if k.startswith(("mm_", "image_", "use_mm", "tokenizer_"))},
              add_faster_video=False)
SIZES, LEAST_MARGIN = on_llada.SIZES, on_llada.LEAST_MARGIN


def authors_code(path):
    """Their network's module, their mm_utils, siglip_encoder and generation_utils."""
    import transformers.cache_utils
    import transformers.generation.utils
    import transformers.utils
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
    ROPE_INIT_FUNCTIONS["default"] = plain_rotary
    transformers.utils.is_flash_attn_greater_or_equal_2_10 = lambda: False
    transformers.utils.is_flash_attn_2_available = lambda: False
    for name in ("add_start_docstrings", "add_start_docstrings_to_model_forward"):
        setattr(transformers.utils, name, lambda *args, **kwargs: lambda what: what)
    transformers.cache_utils.Cache.__init__ = lambda self: None  # theirs keeps all itself
    torch.compile = lambda what: what
    _, mm_utils, siglip_encoder, _ = on_llada.authors_code(path)
    dream = "llava.model.language_model."
    return importlib.import_module(dream + "llava_dream"), mm_utils, siglip_encoder, importlib.import_module(dream + "dream.generation_utils")


def model_of(llava_dream, generation):
    config = llava_dream.LlavaDreamConfig(**{k: v for k, v in CONFIG.items() if k != "model_type"})
    usual = dict(CONFIG, output_attentions=False, output_hidden_states=False, use_return_dict=True, initializer_range=0.02, sliding_window=None)
    for name in [n for n in usual if n not in ("model_type", "architectures") and not hasattr(config, n)]:
        setattr(config, name, usual[name])
    config._attn_implementation = "sdpa"
    llava_dream.DreamModel._tied_weights_keys = None  # they are not tied
    llava_dream.DreamModel.tie_weights = lambda self, **named: None
    generation.DreamGenerationConfig.validate = lambda self, **named: None  # of other arguments
    return llava_dream.LlavaDreamForMaskedDiffusion(config).float().eval()


def randomise(model, g):
    state = random_weights.fill(model.state_dict(), g)
    state["lm_head.weight"][MASK] *= 0.01  # never a guess
    state["lm_head.weight"][IMAGE] *= 3  # which would be one
    return {k: v for k, v in state.items() if not k.endswith("inv_freq")}


# --------------------------------------------------------------------------------------------------------------------- decodings

class Watched:
    """What is decided and drawn while generate runs; its head is cut as by their loader."""

    def __init__(self, model, generation, run):
        self.model, self.generation, self.run, self.near, self.draws, self.passes = model, generation, run, 9.0, [], 0

    def __enter__(self):
        self.kept = torch.topk, torch.rand, torch.multinomial, self.generation.sample_tokens, self.model.model.forward, self.model.lm_head.weight
        torch.topk, torch.rand, torch.multinomial, self.generation.sample_tokens, self.model.model.forward = (
            self.listen, self.uniform, self.subset, self.sample, self.pass_on)
        self.model.lm_head.weight = torch.nn.Parameter(self.kept[5][:TOKENS])
        return self

    def __exit__(self, *what):
        (torch.topk, torch.rand, torch.multinomial, self.generation.sample_tokens, self.model.model.forward, self.model.lm_head.weight) = self.kept

    def listen(self, values, k, *given, **named):
        if values.dim() == 1 and k < len(values):  # their choice of positions, among all
            known = values.sort(descending=True).values
            self.near = min(self.near, (known[k - 1] - known[k]).item())
        return self.kept[0](values, k, *given, **named)

    def uniform(self, *shape, **named):
        made = self.kept[1](*shape, **named)
        self.draws.append(["uniform", made.tolist()])
        return made

    def subset(self, weights, num_samples, *given, **named):
        picked = self.kept[2](weights, num_samples, *given, **named)
        if not given and not named.get("replacement"):
            self.draws.append(["subset", picked.tolist()])
        return picked

    def sample(self, logits, temperature=0.0, **named):
        if len(logits) > 0:
            best = self.kept[0](logits, 2).values
            if temperature == 0:
                self.near = min(self.near, (best[:, 0] - best[:, 1]).min().item())
        confidence, tokens = self.kept[3](logits, temperature, **named)
        if temperature > 0 and len(logits) > 0:
            self.draws.append(["categorical", tokens.tolist()])
        return confidence, tokens

    def pass_on(self, *args, **named):
        self.passes += 1
        out = self.kept[4](*args, **named)
        if self.passes == 1:  # the prompt's, which gives the first token
            best = self.kept[0](self.model.lm_head(out[0][0, -1]), 2).values
            self.near = min(self.near, (best[0] - best[1]).item())
        return out


def decode(model, generation, ids, pictures, run):
    """One decoding; None where it guesses the mask or decides by too little."""
    begun = []

    def given(step, x, logits):
        if step is None:
            for at, token in run["prior"].items():
                x[0, at] = token
            begun.append(x[0].tolist())
        return x

    schedule = dict(schedule="shift", schedule_kwargs=dict(shift=run["shift"]), step_ratio=run["steps"] / run["length"]) if run["shift"] else {}
    settings = generation.DreamGenerationConfig(mask_token_id=MASK, pad_token_id=END, bos_token_id=END, eos_token_id=END, top_k=run["top_k"])
    with Watched(model, generation, run) as watched:
        out = model.generate(torch.tensor([ids]), generation_config=settings, max_new_tokens=run["length"], steps=run["steps"], temperature=run["temperature"],
                             top_p=run["top_p"], alg=run["alg"], alg_temp=run["alg_temp"], output_history=True, prefix_lm=True,
                             generation_tokens_hook_func=given, **pictures, **schedule)
    rows = ([] if 0 in run["prior"] else begun) + [x[0].tolist() for x in out.history]
    if watched.near < LEAST_MARGIN or MASK in rows[-1]:
        return None
    while len(rows) > 1 and MASK not in rows[-2]:
        rows.pop()  # nothing was left
    assert out.sequences[0].tolist() == rows[-1]
    settings = {"decoding_pipeline": "lavida-dream", "alg": run["alg"], "steps": run["steps"], "alg_p_threshold": 0, "max_new_tokens": run["length"],
                "temperature": run["temperature"], "top_k": run["top_k"] or 0, "top_p": run["top_p"], "alg_temp": run["alg_temp"], "eps": 1e-3,
                "use_original_confidence": False, "use_cache": True, "schedule_shift": run["shift"]}
    made = {"name": run["name"], "settings": settings, "history": rows, "model_calls": watched.passes}
    if run["prior"]:
        made["prior"] = run["prior"]
    if watched.draws:
        made["draws"] = watched.draws
    return made


def settings_of():
    for length, steps, shift, alg, temperature, top_p, top_k, alg_temp, prior in (
            (16, 16, 0, "topk_margin", 0, 1.0, None, 0, {}),  # as their evaluation
            (16, 8, 0.33, "topk_margin", 0, 1.0, None, 0, {}),  # as their captions
            (12, 40, 0, "maskgit_plus", 0, 1.0, None, 0, {}), (20, 7, 0, "entropy", 0, 1.0, None, 0, {}), (24, 12, 3, "entropy", 0, 0.9, None, 0, {}),
            (24, 6, 0.33, "maskgit_plus", 0, 1.0, 7, 0, {}), (16, 15, 2.5, "topk_margin", 0, 1.0, None, 0, {}), (20, 10, 0.33, "maskgit_plus", 0, 1.0, None, 0, {2: 7, 3: 8, 12: 9}),
            (20, 9, 0, "topk_margin", 0, 1.0, None, 0, {0: 4, 9: 5}), (18, 9, 0.1, "entropy", 0, 1.0, None, 0, {0: 6}),
            (14, 7, 0, "maskgit_plus", 0.8, 0.9, None, 0, {}), (14, 7, 0.33, "entropy", 1.2, 1.0, 9, 0.5, {}), (12, 6, 0, "origin", 0, 1.0, None, 0, {}),
            (12, 5, 0, "origin", 0.7, 1.0, None, 0, {4: 11}), (1, 1, 0, "maskgit_plus", 0, 1.0, None, 0, {}), (2, 1, 0.5, "maskgit_plus", 0, 1.0, None, 0, {})):
        yield dict(name="%d-%d-%g-%s%s%s" % (length, steps, shift, alg, "-drawn" if temperature else "", "-prior" if prior else ""), length=length, steps=steps,
                   shift=shift, alg=alg, temperature=temperature, top_p=top_p, top_k=top_k, alg_temp=alg_temp, prior=prior)


def main(path, folder):
    torch.set_grad_enabled(False)
    torch.manual_seed(5)
    os.makedirs(folder, exist_ok=True)
    llava_dream, mm_utils, siglip_encoder, generation = authors_code(path)
    model = model_of(llava_dream, generation)
    processor = plain.processor_of(siglip_encoder)
    g = torch.Generator().manual_seed(34)
    save_file({k: v.contiguous() for k, v in randomise(model, g).items()}, os.path.join(folder, "model.safetensors"))
    for name, value in (("config.json", dict(CONFIG, torch_dtype="float32", vision_config=plain.VISION, image_token_index=IMAGE)),
                        ("generation_config.json", dict(bos_token_id=END, eos_token_id=END, pad_token_id=END, suppress_tokens=[IMAGE]))):
        with open(os.path.join(folder, name), "w") as f:
            json.dump(value, f, indent=1)
    noise = np.random.default_rng(4)
    pictures = []
    for i, (width, height) in enumerate(SIZES):
        small = Image.fromarray(noise.integers(0, 256, (5, 6, 3), dtype=np.uint8))
        pictures.append(small.resize((width, height)))
        pictures[-1].save(os.path.join(folder, "image_%d.png" % i))
    cases = []
    for name, shown, texts in (("text", [], (7,)), ("one", [0], (5, 6)), ("small", [3], (0, 4)), ("two", [1, 2], (2, 1, 4))):
        tiles, features, counts = plain.features_of(model, mm_utils, processor, [pictures[i] for i in shown]) if shown else (None, None, [])
        given = dict(images=tiles, image_sizes=[pictures[i].size for i in shown], modalities=["image"] * len(shown)) if shown else {}
        if shown:
            np.save(os.path.join(folder, "image_embeds_%s.npy" % name), features.numpy())
        for attempt in range(4000):
            ids, asked = [], []
            for i, n in enumerate(texts):
                text = torch.randint(0, 150, (n,), generator=g).tolist()
                ids += text + ([IMAGE] * counts[i] if i < len(counts) else [])
                asked += text + ([-200] if i < len(counts) else [])
            runs = [decode(model, generation, asked, given, run) for run in settings_of()]
            runs = [r for r in runs if r]
            if len(runs) >= 12:
                break
        else:
            raise SystemExit("no prompt for " + name)
        inputs = model.model.embed_tokens(torch.tensor([asked])) if not shown else model.prepare_inputs_labels_for_multimodal(
            torch.tensor([asked]), None, None, None, None, tiles, ["image"] * len(shown), image_sizes=given["image_sizes"])[4]
        assert inputs.shape[1] == len(ids)
        appended = 6
        masks = model.model.embed_tokens(torch.tensor([[MASK] * appended]))
        logits = model.forward_dream(inputs_embeds=torch.cat([inputs, masks], 1)).logits[0]
        np.save(os.path.join(folder, "logits_%s.npy" % name), logits.numpy())
        with open(os.path.join(folder, "trajectories_%s.json" % name), "w") as f:
            f.write('{"runs": [\n' + ",\n".join(json.dumps(r, separators=(",", ":")) for r in runs) + "\n]}\n")
        cases.append({"name": name, "prompt_ids": ids, "appended_masks": appended, "images": ["image_%d.png" % i for i in shown]})
        print(name, len(ids), "tokens, pictures of", counts, len(runs), "runs after", attempt + 1, "prompts", [len(r["history"]) for r in runs])
    with open(os.path.join(folder, "inputs.json"), "w") as f:
        json.dump({"images": ["image_%d.png" % i for i in range(len(SIZES))], "cases": cases}, f)


if __name__ == "__main__":
    here = os.path.dirname(os.path.abspath(__file__))
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else os.path.join(here, "..", "goldens", "lavida-dream"))
