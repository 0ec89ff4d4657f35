#!/usr/bin/env python3
"""Makes tests/goldens/lavida: a small LaViDa checkpoint with random weights, and what the authors' code makes of prompts with and without pictures.

    python3 -O tests/reference/lavida_goldens.py LAVIDA [FOLDER]
    python3 tests/reference/lavida_goldens.py LAVIDA --schedules [FILE]

LAVIDA: a checkout of jacklishufan/LaViDa at 284ef5c, whose llava (network, picture preparation, pooling, llada/generate.py) is run as it is by transformers
and torch on a CPU in float32, but for names that newer libraries lost. -O: its tower asserts that a tile has 729 features. Pictures are resized by their
rows first, as by every Pillow up to version 12. FOLDER: tests/goldens/lavida. --schedules: csrc/test/data/shifted_schedules.txt, a line a schedule: masks,
steps, shift, and how many positions each step reveals.
"""
import dataclasses
import json
import os
import sys
import types

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

import llada_v_goldens as plain
import random_weights

VOCAB, IMAGE, MASK, END, TURN, BEGIN = 160, 159, 158, 157, 156, 155
TOKENS = IMAGE  # as many has the tokenizer: their loader cuts the embedding, and with it the head, to these
TILE, VISION = plain.TILE, plain.VISION
GRID = [[TILE * w, TILE * h] for w, h in ((1, 2), (2, 1), (2, 2), (3, 1), (1, 3))]  # as their script's "[(384, 768), (768, 384), ...]"
CONFIG = dict(model_type="llava_llada", architectures=["LlavaLladaForMaskedDiffusion"], vocab_size=VOCAB, embedding_size=VOCAB, d_model=32, n_heads=4,
              n_kv_heads=4, n_layers=2, mlp_hidden_size=48, mlp_ratio=4, activation_type="silu", block_type="llama", block_group_size=1, layer_norm_type="rms",
              rope=True, rope_theta=5e5, rope_full_precision=True, rms_norm_eps=1e-5, alibi=False, attention_layer_norm=False, include_bias=False,
              include_qkv_bias=False, input_emb_norm=False, scale_logits=False, flash_attention=False, weight_tying=False, max_sequence_length=1024,
              attention_dropout=0.0, residual_dropout=0.0, embedding_dropout=0.0, eos_token_id=END, pad_token_id=END, mask_token_id=MASK,
              mm_vision_tower="siglip", mm_hidden_size=24, mm_projector_type="mlp2x_gelu", mm_vision_select_layer=-2, mm_vision_select_feature="patch",
              mm_patch_merge_type="spatial_unpad", mm_newline_position="grid", mm_use_im_start_end=False, mm_use_im_patch_token=False, use_mm_proj=True,
              mm_pooler_ratio=2, mm_spatial_pool_mode="bilinear", mm_spatial_pool_stride=None, add_faster_video=False, image_aspect_ratio="anyres",
              image_grid_pinpoints=GRID, tokenizer_padding_side="right", tokenizer_model_max_length=4096)
SIZES = [(83, 61), (11, 47), (97, 4), (13, 13)]  # of the pictures: of four tiles, upright, flat, and small
LEAST_MARGIN = 5e-5
REMASKING = {"low_confidence": "maskgit_plus", "entrophy": "entropy", "margin": "topk_margin"}


def authors_code(path):
    """Their network's module, their mm_utils, siglip_encoder and generate."""
    import importlib
    import transformers
    import transformers.pytorch_utils
    Image.Image.resize = plain.rows_first
    sys.path.insert(0, path)
    if not hasattr(transformers.generation.utils, "GenerateOutput"):
        transformers.generation.utils.GenerateOutput = plain.Anything
    plain.module("accelerate")  # these are for training
    plain.module("accelerate.utils", reduce=None)
    plain.module("deepspeed", checkpointing=types.SimpleNamespace(checkpoint=None))
    for name in ("llava", "llava.model", "llava.model.multimodal_encoder"):
        plain.module(name)
        sys.modules[name].__path__ = [os.path.join(path, *name.split("."))]
    towers = "llava.model.multimodal_encoder."
    for name, classes in (("clip_encoder", ("CLIPVisionTower", "CLIPVisionTowerS2")), ("imagebind", ("ImageBindWrapper",)),
                          ("open_clip_encoder", ("OpenCLIPVisionTower",)), ("hf_vision", ("HFVisionTower",)),
                          ("mlcd_encoder", ("MLCDVisionTower", "MLCDVisionTowerS2"))):
        plain.module(towers + name, **{c: plain.Anything for c in classes})
    plain.module("llava.model.multimodal_resampler")
    plain.module("llava.model.multimodal_resampler.builder", build_vision_resampler=lambda *args, **kwargs: None)  # which nothing calls
    plain.module("llava.utils", rank0_print=print, rank_print=print)
    from llava import mm_utils
    from llava.model.multimodal_encoder import siglip_encoder
    own = siglip_encoder.SigLipVisionConfig
    siglip_encoder.SigLipVisionConfig = lambda **given: own(**dict(VISION, **given))
    siglip_encoder.SigLipVisionModel.from_pretrained = classmethod(lambda cls, *args, **kwargs: cls(siglip_encoder.SigLipVisionConfig()))
    from llava.model.language_model import llava_llada
    return llava_llada, mm_utils, siglip_encoder, importlib.import_module("llava.model.language_model.llada.generate")


def model_of(llava_llada):
    config = llava_llada.LlavaLladaConfig(**{k: v for k, v in CONFIG.items() if k != "model_type"})
    usual = sys.modules["llava.model.language_model.llada.configuration_llada"].ModelConfig()
    for field in dataclasses.fields(usual):  # which newer libraries leave out
        setattr(config, field.name, CONFIG.get(field.name, getattr(usual, field.name)))
    for name in [n for n in CONFIG if n not in ("model_type", "architectures") and not hasattr(config, n)]:
        setattr(config, name, CONFIG[name])
    llava_llada.LLaDAModelLM.tie_weights = lambda self, **named: None  # they are not tied
    network = llava_llada.LlavaLladaForMaskedDiffusion(config)
    network.model.set_activation_checkpointing(None)
    return network.float().eval()


def randomise(model, g):
    state = random_weights.fill(model.state_dict(), g)
    state["model.transformer.ff_out.weight"][MASK] *= 0.01  # never a guess
    state["model.transformer.ff_out.weight"][IMAGE] *= 3  # which would be one
    return {k: v for k, v in state.items() if not k.endswith("inv_freq")}


# --------------------------------------------------------------------------------------------------------------------- decodings

class Watched:
    """torch.topk and the inner model, listened to while generate runs; its head is cut as by their loader."""

    def __init__(self, model):
        self.model, self.near, self.logits, self.passes = model, 9.0, None, 0

    def __enter__(self):
        self.topk, self.inner, self.head = torch.topk, self.model.model.forward, self.model.model.transformer.ff_out.weight
        torch.topk = self.listen
        self.model.model.forward = self.pass_on
        self.model.model.transformer.ff_out.weight = torch.nn.Parameter(self.head[:TOKENS])
        return self

    def __exit__(self, *what):
        torch.topk, self.model.model.forward = self.topk, self.inner
        self.model.model.transformer.ff_out.weight = self.head

    def listen(self, confidence, k):
        values, index = self.topk(confidence, k=k)
        known = confidence[torch.isfinite(confidence)].sort(descending=True).values
        if len(known) > len(values):
            self.near = min(self.near, (known[len(values) - 1] - known[len(values)]).item())
        for at in index.tolist():
            best = self.topk(self.logits[at], k=2).values
            self.near = min(self.near, (best[0] - best[1]).item())
        return values, index

    def pass_on(self, *args, **kwargs):
        out = self.inner(*args, **kwargs)
        self.logits = out.logits[0]
        self.passes += 1
        return out


def decode(model, generate, inputs, run):
    """One decoding; None where it guesses the mask or decides by too little."""
    length, block = run["length"], run["block"]
    draft = None
    if run["prior"]:
        row = [MASK] * (max(run["prior"]) + 1)
        for at, token in run["prior"].items():
            row[at] = token
        draft = torch.tensor([row])
    schedule = dict(schedule="shift", schedule_kwargs=dict(shift=run["shift"])) if run["shift"] else {}
    with Watched(model) as watched:
        answer, history = generate.generate(model.model, inputs_embeds=inputs, max_new_tokens=length, block_length=block, temperature=0.0,
                                            remasking=run["remasking"], mask_id=MASK, verbose=True, prefix_lm=True, draft_tokens=draft,
                                            step_ratio=run["ratio"], **schedule)
    rows = [x[0].tolist() for x in history]
    if watched.near < LEAST_MARGIN or MASK in rows[-1]:
        return None
    assert answer[0].tolist() == rows[-1] and watched.passes == 1 + len(rows)
    settings = {"decoding_pipeline": "lavida", "alg": REMASKING[run["remasking"]], "steps": length // block * int(block * run["ratio"]), "alg_p_threshold": 0,
                "max_new_tokens": length, "temperature": 0, "top_k": 0, "top_p": 1.0, "alg_temp": 0, "eps": 1e-3, "use_original_confidence": True,
                "use_cache": True, "block_length": block, "schedule_shift": run["shift"]}
    out = {"name": run["name"], "settings": settings, "history": rows, "model_calls": watched.passes}
    if run["prior"]:
        out["prior"] = run["prior"]
    return out


def settings_of():
    for length, block, ratio, shift, remasking, prior in (
            (16, 16, 1.0, 0, "low_confidence", {}), (16, 16, 0.5, 0, "low_confidence", {}), (16, 16, 0.5, 0.33, "low_confidence", {}),
            (16, 16, 0.5, 3, "low_confidence", {}), (24, 8, 0.5, 0.33, "margin", {}), (24, 8, 0.75, 3, "entrophy", {}),
            (32, 16, 0.25, 0.33, "low_confidence", {}), (32, 32, 0.5, 2.5, "margin", {}), (20, 10, 1.0, 0.33, "low_confidence", {2: 7, 3: 8, 12: 9}),
            (20, 10, 0.7, 3, "low_confidence", {0: 4, 9: 5}), (21, 7, 0.5, 0.1, "entrophy", {})):
        yield dict(name="%d-%d-%g-%g-%s%s" % (length, block, ratio, shift, REMASKING[remasking], "-prior" if prior else ""), length=length, block=block,
                   ratio=ratio, shift=shift, remasking=remasking, prior=prior)


def main(path, folder):
    torch.set_grad_enabled(False)
    torch.manual_seed(5)
    os.makedirs(folder, exist_ok=True)
    llava_llada, mm_utils, siglip_encoder, generate = authors_code(path)
    model = model_of(llava_llada)
    processor = plain.processor_of(siglip_encoder)
    g = torch.Generator().manual_seed(34)
    save_file({k: v.contiguous() for k, v in randomise(model, g).items()}, os.path.join(folder, "model.safetensors"))
    for name, value in (("config.json", dict(CONFIG, torch_dtype="float32", vision_config=VISION, image_token_index=IMAGE, eot_token_id=TURN)),
                        ("generation_config.json", dict(bos_token_id=BEGIN, eos_token_id=END, suppress_tokens=[IMAGE]))):
        with open(os.path.join(folder, name), "w") as f:
            json.dump(value, f, indent=1)
    noise = np.random.default_rng(4)
    pictures = []
    for i, (width, height) in enumerate(SIZES):
        small = Image.fromarray(noise.integers(0, 256, (5, 6, 3), dtype=np.uint8))
        pictures.append(small.resize((width, height)))
        pictures[-1].save(os.path.join(folder, "image_%d.png" % i))
    embed = model.model.transformer.wte
    cases = []
    for name, shown, texts in (("text", [], (7,)), ("short", [], (2,)), ("one", [0], (5, 6)), ("small", [3], (0, 4)), ("two", [1, 2], (2, 1, 4))):
        tiles, features, counts = plain.features_of(model, mm_utils, processor, [pictures[i] for i in shown]) if shown else (None, None, [])
        if shown:
            np.save(os.path.join(folder, "image_embeds_%s.npy" % name), features.numpy())
        for attempt in range(4000):
            ids, asked = [], []
            for i, n in enumerate(texts):
                text = torch.randint(0, 150, (n,), generator=g).tolist()
                ids += text + ([IMAGE] * counts[i] if i < len(counts) else [])
                asked += text + ([-200] if i < len(counts) else [])
            inputs = embed(torch.tensor([asked])) if not shown else model.prepare_inputs_labels_for_multimodal(
                torch.tensor([asked]), None, None, None, None, tiles, ["image"] * len(shown), image_sizes=[pictures[i].size for i in shown])[4]
            assert inputs.shape[1] == len(ids)
            runs = [decode(model, generate, inputs, run) for run in settings_of()]
            runs = [r for r in runs if r]
            if len(runs) >= 8:
                break
        else:
            raise SystemExit("no prompt for " + name)
        appended = 6
        masks = embed(torch.tensor([[MASK] * appended]))
        logits = model.model(None, input_embeddings=torch.cat([inputs, masks], 1)).logits[0]
        np.save(os.path.join(folder, "logits_%s.npy" % name), logits.numpy())
        with open(os.path.join(folder, "trajectories_%s.json" % name), "w") as f:
            f.write('{"runs": [\n' + ",\n".join(json.dumps(r, separators=(",", ":")) for r in runs) + "\n]}\n")
        cases.append({"name": name, "prompt_ids": ids, "appended_masks": appended, "images": ["image_%d.png" % i for i in shown]})
        print(name, len(ids), "tokens, pictures of", counts, len(runs), "runs after", attempt + 1, "prompts", [len(r["history"]) for r in runs])
    with open(os.path.join(folder, "inputs.json"), "w") as f:
        json.dump({"images": ["image_%d.png" % i for i in range(len(SIZES))], "cases": cases}, f)


def schedules(path, file):
    generate = authors_code(path)[3]
    lines = []
    for masks, steps in ((1, 1), (2, 5), (7, 3), (8, 4), (16, 16), (16, 8), (30, 7), (32, 16), (45, 15), (60, 60), (64, 32), (64, 1), (100, 33), (128, 64), (128, 128),
                         (128, 32), (256, 128), (1000, 500)):
        for shift in (0.33, 0.5, 0.1, 1, 1.5, 3, 10, 1e-3, 100):
            try:
                counts = generate.get_num_transfer_tokens_sch(torch.ones(1, masks, dtype=torch.bool), steps, schedule="shift", schedule_kwargs=dict(shift=shift))[0]
            except AssertionError:  # a position is left over
                continue
            lines.append("%d %d %g %s" % (masks, len(counts), shift, " ".join(map(str, counts.tolist()))))
    with open(file, "w") as f:
        f.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    here = os.path.dirname(os.path.abspath(__file__))
    if "--schedules" in sys.argv:
        schedules(sys.argv[1], sys.argv[3] if len(sys.argv) > 3 else os.path.join(here, "..", "..", "csrc", "test", "data", "shifted_schedules.txt"))
    else:
        main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else os.path.join(here, "..", "goldens", "lavida"))
