#!/usr/bin/env python3
"""Makes tests/goldens/llada-v: a small LLaDA-V checkpoint with random weights, and what the authors' code makes of prompts with and without pictures.

    python3 -O tests/reference/llada_v_goldens.py LLADA_V [FOLDER]
    python3 -O tests/reference/llada_v_goldens.py LLADA_V --tilings [FILE]

LLADA_V: a checkout of ML-GSAI/LLaDA-V at 2252769, whose train/llava (network, picture preparation, generate_with_embeds) is run as it is by transformers
5.12.1 and torch on a CPU in float32, but for the ids that it bars, which are written into it as numbers and are others in a vocabulary this small, and for
names that newer libraries lost. -O: its tower asserts that a tile has 729 features. Pictures are resized by their rows first, as by the Pillow that it asks
for (10.3.0) and every one up to version 12. FOLDER: tests/goldens/llada-v. --tilings: csrc/test/data/tilings_llava.txt, lines as tilings.py has them.
"""
import importlib.abc
import importlib.util
import json
import os
import random
import sys
import types

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

import random_weights

VOCAB, IMAGE, MASK, END, TURN, BEGIN, HEADER, HEADER_END = 160, 159, 158, 157, 156, 155, 154, 153
BARRED = [END, BEGIN, HEADER, HEADER_END]
TILE, PATCH = 14, 4
VISION = dict(model_type="siglip_vision_model", hidden_size=24, intermediate_size=40, num_hidden_layers=3, num_attention_heads=2, num_channels=3,
              image_size=TILE, patch_size=PATCH, hidden_act="gelu_pytorch_tanh", layer_norm_eps=1e-6)
GRID = [[TILE * w, TILE * h] for w in range(1, 7) for h in range(1, 7)]  # widths and heights, as the authors expand "(1x1),...,(6x6)"
CONFIG = dict(model_type="llava_llada", architectures=["LlavaLLaDAModelLM"], vocab_size=VOCAB, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
              num_attention_heads=4, num_key_value_heads=4, hidden_act="silu", max_position_embeddings=1024, rms_norm_eps=1e-5, rope_theta=5e5, rope_scaling=None,
              attention_bias=False, attention_dropout=0.0, pretraining_tp=1, tie_word_embeddings=False, use_cache=False, bos_token_id=BEGIN, eos_token_id=END,
              mm_vision_tower="siglip", mm_hidden_size=24, mm_projector_type="mlp2x_gelu", mm_vision_select_layer=-2, mm_vision_select_feature="patch",
              mm_patch_merge_type="spatial_unpad", mm_newline_position="grid", mm_use_im_start_end=False, mm_use_im_patch_token=False, use_mm_proj=True,
              image_aspect_ratio="anyres_max_4", image_grid_pinpoints=GRID, tokenizer_padding_side="right", tokenizer_model_max_length=8192)
SIZES = [(83, 61), (11, 47), (97, 4), (13, 13)]  # of the pictures: shrunk, upright, flat, and small
LEAST_MARGIN = 5e-5


# --------------------------------------------------------------------------------------------------------------------- the authors' code

class Anything:
    """What nobody calls."""


def module(name, **attributes):
    made = types.ModuleType(name)
    made.__path__ = []
    vars(made).update(attributes)
    sys.modules[name] = made


def rows_first(picture, size, *given, **named):
    """Pillow's resize as it is up to version 12: to the width, and of that to the height."""
    if given or named not in ({}, {"resample": Image.BICUBIC}, {"resample": Image.BICUBIC, "reducing_gap": None}):
        raise ValueError((given, named))
    return plain_resize(plain_resize(picture, (size[0], picture.height), Image.BICUBIC), tuple(size), Image.BICUBIC)


plain_resize = Image.Image.resize


class Barring(importlib.abc.SourceLoader):
    """Their modeling_llada.py with other ids in its list."""

    def __init__(self, path):
        self.path = path

    def get_filename(self, name):
        return self.path

    def get_data(self, path):
        with open(self.path, encoding="utf-8") as f:
            text = f.read()
        written = "for token_id in [126081, 126080, 126346, 126347]:"
        assert text.count(written) == 1
        return text.replace(written, "for token_id in %s:" % BARRED).encode()


def authors_code(path):
    """Their network's class, its configuration's, and their mm_utils and siglip_encoder."""
    import transformers
    import transformers.cache_utils
    import transformers.configuration_utils
    import transformers.modeling_utils
    import transformers.pytorch_utils
    import transformers.utils
    Image.Image.resize = rows_first
    train = os.path.join(path, "train")
    sys.path.insert(0, train)
    if not hasattr(transformers.pytorch_utils, "ALL_LAYERNORM_LAYERS"):
        transformers.pytorch_utils.ALL_LAYERNORM_LAYERS = []
    transformers.utils.is_flash_attn_greater_or_equal_2_10 = lambda: False
    transformers.utils.is_flash_attn_2_available = lambda: False
    for name in ("add_start_docstrings", "add_start_docstrings_to_model_forward", "replace_return_docstrings"):
        setattr(transformers.utils, name, lambda *args, **kwargs: lambda what: what)
    for name in ("BitsAndBytesConfig",):
        if not hasattr(transformers, name):
            setattr(transformers, name, Anything)
    if not hasattr(transformers.generation.utils, "GenerateOutput"):
        transformers.generation.utils.GenerateOutput = Anything
    towers = "llava.model.multimodal_encoder."
    module("llava", __doc__="")
    sys.modules["llava"].__path__ = [os.path.join(train, "llava")]
    module("llava.model")
    sys.modules["llava.model"].__path__ = [os.path.join(train, "llava/model")]
    for name, classes in (("clip_encoder", ("CLIPVisionTower", "CLIPVisionTowerS2")), ("imagebind", ("ImageBindWrapper",)),
                          ("open_clip_encoder", ("OpenCLIPVisionTower",)), ("hf_vision", ("HFVisionTower",))):
        module(towers + name, **{c: Anything for c in classes})
    module("llava.model.multimodal_encoder")
    sys.modules["llava.model.multimodal_encoder"].__path__ = [os.path.join(train, "llava/model/multimodal_encoder")]
    module("llava.model.multimodal_resampler.builder", build_vision_resampler=lambda *args, **kwargs: None)  # which nothing calls
    module("llava.utils", rank0_print=print, rank_print=print, process_video_with_pyav=None, process_video_with_decord=None)
    name = "llava.model.language_model.modeling_llada"
    source = os.path.join(train, "llava/model/language_model/modeling_llada.py")
    import llava.model.language_model  # noqa: F401
    spec = importlib.util.spec_from_file_location(name, source, loader=Barring(source))
    sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])
    from llava import mm_utils
    from llava.model.multimodal_encoder import siglip_encoder
    plain = siglip_encoder.SigLipVisionConfig
    siglip_encoder.SigLipVisionConfig = lambda **given: plain(**dict(VISION, **given))
    siglip_encoder.SigLipVisionModel.from_pretrained = classmethod(lambda cls, *args, **kwargs: cls(siglip_encoder.SigLipVisionConfig()))
    from llava.model.language_model import llava_llada
    return llava_llada, mm_utils, siglip_encoder


def model_of(llava_llada):
    config = llava_llada.LlavaLLaDAConfig(**{k: v for k, v in CONFIG.items() if k != "model_type"})
    config._attn_implementation = "sdpa"
    config.pad_token_id = None
    usual = dict(CONFIG, output_attentions=False, output_hidden_states=False, initializer_range=0.02)
    for name in [n for n in usual if n != "model_type" and not hasattr(config, n)]:
        setattr(config, name, usual[name])
    return llava_llada.LlavaLLaDAModelLM(config).eval()


def processor_of(siglip_encoder):
    return siglip_encoder.SigLipImageProcessor(size=(TILE, TILE), crop_size={"height": TILE, "width": TILE})


# --------------------------------------------------------------------------------------------------------------------- weights

def randomise(model, g):
    state = random_weights.fill(model.state_dict(), g)
    state["lm_head.weight"][MASK] *= 0.01  # never a guess
    state["lm_head.weight"][IMAGE] *= 0.01
    for i in BARRED:
        state["lm_head.weight"][i] *= 3  # which would be guesses
    return {k: v for k, v in state.items() if not k.endswith("inv_freq")}


# --------------------------------------------------------------------------------------------------------------------- decodings

class Watched:
    """torch.topk and the inner model, listened to while generate_with_embeds runs."""

    def __init__(self, model, mask):
        self.model, self.mask, self.steps, self.embeds = model, mask, [], []

    def __enter__(self):
        self.topk, self.inner = torch.topk, self.model.model.forward
        torch.topk = self.listen
        self.model.model.forward = self.pass_on
        return self

    def __exit__(self, *what):
        torch.topk, self.model.model.forward = self.topk, self.inner

    def listen(self, confidence, k):
        values, index = self.topk(confidence, k=k)
        self.steps.append((confidence.clone(), values, index))
        return values, index

    def pass_on(self, *args, inputs_embeds, **kwargs):
        self.embeds.append(inputs_embeds.clone())
        return self.inner(*args, inputs_embeds=inputs_embeds, **kwargs)


class Turn:
    """A tokenizer that knows their stop string."""

    @staticmethod
    def encode(text, add_special_tokens):
        assert text == "<|eot_id|>" and not add_special_tokens
        return [TURN]


def barred_rows(logits, masked):
    out = logits.clone()
    for i in BARRED:
        out[masked, i] = -float("inf")
    return out


def decode(model, ids, inputs, run):
    """One decoding; None where their code takes positions that have no confidence, guesses the mask, or decides by too little."""
    table = model.model.embed_tokens.weight
    length, first = run["gen_length"], inputs.shape[1]
    with Watched(model, table[MASK]) as watched:
        answer = model.generate_with_embeds(inputs_embeds=inputs, steps=run["steps"], gen_length=length, block_length=run["block_length"], temperature=0.0,
                                            cfg_scale=run["cfg"], mask_id=MASK, tokenizer=Turn, stopping_criteria=["<|eot_id|>"] if run["stops"] else None)
    history, canvas, nearest = [], [MASK] * length, 9.0
    for n, (confidence, values, index) in enumerate(watched.steps):
        x = watched.embeds[n][0]
        with torch.no_grad():
            hidden = watched.inner(inputs_embeds=watched.embeds[n])[0]
            logits = model.lm_head(hidden)
        z = logits[0] if run["cfg"] == 0 else logits[1] + (run["cfg"] + 1) * (logits[0] - logits[1])
        masked = (x - table[MASK]).abs().max(-1).values < 1e-5
        z = barred_rows(z, masked)
        if not torch.isfinite(values).all():
            return None
        known = confidence[torch.isfinite(confidence)].sort(descending=True).values
        if len(known) > len(values):
            nearest = min(nearest, (known[len(values) - 1] - known[len(values)]).item())
        for at in index.tolist():
            best = z[at].topk(2).values
            nearest = min(nearest, (best[0] - best[1]).item())
            canvas[at - first] = z[at].argmax().item()
        if MASK in [canvas[at - first] for at in index.tolist()]:
            return None
        history.append(list(canvas))
    if nearest < LEAST_MARGIN:
        return None
    if TURN in canvas and run["stops"]:
        assert answer[0].tolist() == canvas[:canvas.index(TURN)] and MASK not in answer[0].tolist()
    else:
        assert answer[0].tolist() == canvas
    settings = {"decoding_pipeline": "llada-v", "alg": "maskgit_plus", "steps": run["steps"], "alg_p_threshold": 0, "max_new_tokens": length, "temperature": 0,
                "top_k": 0, "top_p": 1.0, "alg_temp": 0, "eps": 1e-3, "use_original_confidence": True, "use_cache": False,
                "block_length": run["block_length"], "guidance_scale": run["cfg"]}
    return {"name": run["name"], "settings": settings, "history": history, "model_calls": len(history) * (2 if run["cfg"] else 1), "stopped": TURN in canvas[3:] and TURN not in canvas[:3] and MASK in canvas}


def settings_of():
    for steps, length, block, cfg in ((16, 16, 16, 0), (8, 16, 16, 0), (12, 24, 8, 0), (21, 21, 7, 0), (4, 32, 32, 0), (16, 32, 16, 0), (6, 12, 12, 1.5),
                                      (40, 20, 10, 0)):
        yield dict(name="%d-%d-%d%s" % (steps, length, block, "-cfg" if cfg else ""), steps=steps, gen_length=length, block_length=block, cfg=cfg, stops=True)


def features_of(model, mm_utils, processor, pictures):
    """The features of the pictures, one after the other, and how many each has."""
    tiles = mm_utils.process_images(pictures, processor, model.config)
    tiles = [t for t in tiles]
    ids = torch.tensor([[-200] * len(pictures) + [0]])  # a prompt of one id they take for one without pictures
    made = model.prepare_inputs_labels_for_multimodal(ids, None, None, None, None, tiles, ["image"] * len(pictures), image_sizes=[p.size for p in pictures])[4][:, :-1]
    counts = []
    for picture in pictures:
        one = mm_utils.process_images([picture], processor, model.config)
        counts.append(model.prepare_inputs_labels_for_multimodal(torch.tensor([[-200, 0]]), None, None, None, None, [one[0]], ["image"],
                                                                 image_sizes=[picture.size])[4].shape[1] - 1)
    assert sum(counts) == made.shape[1]
    return tiles, made[0], counts


def main(path, folder):
    torch.set_grad_enabled(False)
    torch.manual_seed(5)
    os.makedirs(folder, exist_ok=True)
    llava_llada, mm_utils, siglip_encoder = authors_code(path)
    model = model_of(llava_llada)
    processor = processor_of(siglip_encoder)
    g = torch.Generator().manual_seed(34)
    save_file({k: v.contiguous() for k, v in randomise(model, g).items()}, os.path.join(folder, "model.safetensors"))
    for name, value in (("config.json", dict(CONFIG, torch_dtype="float32", vision_config=VISION, image_token_index=IMAGE, mask_token_id=MASK, eot_token_id=TURN)),
                        ("generation_config.json", dict(bos_token_id=BEGIN, eos_token_id=END, suppress_tokens=sorted(BARRED)))):
        with open(os.path.join(folder, name), "w") as f:
            json.dump(value, f, indent=1)
    noise = np.random.default_rng(4)
    pictures = []
    for i, (width, height) in enumerate(SIZES):
        small = Image.fromarray(noise.integers(0, 256, (5, 6, 3), dtype=np.uint8))
        pictures.append(small.resize((width, height)))
        pictures[-1].save(os.path.join(folder, "image_%d.png" % i))
    cases = []
    for name, shown, texts in (("text", [], (7,)), ("short", [], (2,)), ("one", [0], (5, 6)), ("small", [3], (0, 4)), ("two", [1, 2], (2, 1, 4))):
        tiles, features, counts = features_of(model, mm_utils, processor, [pictures[i] for i in shown]) if shown else (None, None, [])
        if shown:
            np.save(os.path.join(folder, "image_embeds_%s.npy" % name), features.numpy())
        for attempt in range(4000):
            ids, asked = [], []
            for i, n in enumerate(texts):
                text = torch.randint(0, 150, (n,), generator=g).tolist()
                ids += text + ([IMAGE] * counts[i] if i < len(counts) else [])
                asked += text + ([-200] if i < len(counts) else [])
            inputs = model.model.embed_tokens(torch.tensor([asked])) if not shown else model.prepare_inputs_labels_for_multimodal(
                torch.tensor([asked]), None, None, None, None, tiles, ["image"] * len(shown), image_sizes=[pictures[i].size for i in shown])[4]
            assert inputs.shape[1] == len(ids)
            runs = [decode(model, ids, inputs, run) for run in settings_of()]
            runs = [r for r in runs if r]
            if len(runs) >= 5 and any(r["stopped"] for r in runs) and sum(MASK not in r["history"][-1] for r in runs) >= 2 and sum(
                    len(r["history"]) > 7 for r in runs) >= 3 and (shown != [0] or any(r["settings"]["guidance_scale"] for r in runs)):
                break
        else:
            raise SystemExit("no prompt for " + name)
        for r in runs:
            del r["stopped"]
        appended = 6
        masks = model.model.embed_tokens(torch.tensor([[MASK] * appended]))
        logits = model.lm_head(model.model(inputs_embeds=torch.cat([inputs, masks], 1))[0])[0]
        np.save(os.path.join(folder, "logits_%s.npy" % name), logits.numpy())
        with open(os.path.join(folder, "trajectories_%s.json" % name), "w") as f:
            f.write('{"runs": [\n' + ",\n".join(json.dumps(r, separators=(",", ":")) for r in runs) + "\n]}\n")
        cases.append({"name": name, "prompt_ids": ids, "appended_masks": appended, "images": ["image_%d.png" % i for i in shown]})
        print(name, len(ids), "tokens, pictures of", counts, len(runs), "runs after", attempt + 1, "prompts", [len(r["history"]) for r in runs])
    with open(os.path.join(folder, "inputs.json"), "w") as f:
        json.dump({"images": ["image_%d.png" % i for i in range(len(SIZES))], "cases": cases}, f)


# --------------------------------------------------------------------------------------------------------------------- tiles alone

def line(mm_utils, siglip_encoder, own, side, patch, width, height, hashed):
    import tilings
    grid = [[side * w, side * h] for w in range(1, 7) for h in range(1, 7)]
    best = mm_utils.select_best_resolution((width, height), grid)
    seen, sizes = [], side // patch
    if hashed:
        plain = Image.Image.resize

        def noted(picture, size, *args, **named):
            seen.append(tuple(size))
            return plain(picture, size, *args, **named)
        Image.Image.resize = noted
        processor = siglip_encoder.SigLipImageProcessor(size=(side, side), crop_size={"height": side, "width": side})
        tiles = mm_utils.process_anyres_image(Image.fromarray(tilings.picture(width, height)), processor, grid).numpy()
        Image.Image.resize = plain
        kept = sizes * patch
        found = tilings.fnv(np.rint(tiles * 127.5 + 127.5).astype(np.uint8)[:, :, :kept, :kept].transpose(0, 2, 3, 1).tobytes())
        large = seen[0]
    else:
        scale_w, scale_h = best[0] / width, best[1] / height
        blank = Image.new("L", (1, 1))
        blank.resize = lambda size: seen.append(tuple(size)) or Image.new("RGB", (1, 1))
        blank._size = (width, height)
        mm_utils.resize_and_pad_image(blank, best)
        found, large = 0, seen[0]
    # Their packing of one feature a place, one wide.
    config = types.SimpleNamespace(mm_patch_merge_type="spatial_unpad", image_aspect_ratio="anyres_max_4", image_grid_pinpoints=grid)
    tower = types.SimpleNamespace(num_patches_per_side=sizes, image_size=side)
    inner = types.SimpleNamespace(embed_tokens=lambda ids: torch.zeros(len(ids), 1), image_newline=torch.zeros(1))
    packer = types.SimpleNamespace(config=config, model=inner, get_vision_tower=lambda: tower, get_model=lambda: inner, device="cpu",
                                   encode_images=lambda images: torch.zeros(images.shape[0], sizes * sizes, 1))
    tiles = 1 + best[0] // side * (best[1] // side)
    made = own.prepare_inputs_labels_for_multimodal(packer, torch.tensor([[-200, 0]]), None, None, None, None, [torch.zeros(tiles, 1, 1, 1)], ["image"],
                                                    image_sizes=[(width, height)])[4]
    return "%d %d %d %d %d %d %d %d %d %x" % (side, patch, width, height, best[1] // side, best[0] // side, large[0], large[1], made.shape[1] - 1, found)


def tile_lines(path, file):
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    torch.set_grad_enabled(False)
    llava_llada, mm_utils, siglip_encoder = authors_code(path)
    own = llava_llada.LlavaLLaDAModelLM
    r = random.Random(9)
    sizes = [(1, 1), (14, 14), (13, 200), (200, 13), (2000, 3), (3, 2000), (28, 42), (43, 27), (84, 84), (85, 83), (300, 211), (17, 16), (1, 90), (400, 1)]
    sizes += [(r.randint(1, 120), r.randint(1, 120)) for _ in range(50)]
    lines = [line(mm_utils, siglip_encoder, own, 14, 4, w, h, True) for w, h in sizes]
    lines += [line(mm_utils, siglip_encoder, own, 384, 14, w, h, True) for w, h in ((61, 47), (500, 375), (384, 384))]
    sizes = [(384, 768), (640, 480), (480, 640), (1920, 1080), (4000, 3000), (10000, 1), (1, 10000), (50000, 7), (2304, 2304), (2305, 2303), (1153, 767)]
    sizes += [(940, 2538), (1375, 750), (2250, 1750), (880, 2376), (2538, 799), (1551, 2538), (832, 1872), (294, 1323)]  # all but whole: a feature more or less
    sizes += [(r.randint(1, 5000), r.randint(1, 5000)) for _ in range(150)] + [(r.randint(1, 40), r.randint(500, 30000)) for _ in range(40)]
    lines += [line(mm_utils, siglip_encoder, own, 384, 14, w, h, False) for w, h in sizes]
    with open(file, "w") as f:
        f.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    here = os.path.dirname(os.path.abspath(__file__))
    if "--tilings" in sys.argv:
        tile_lines(sys.argv[1], sys.argv[3] if len(sys.argv) > 3 else os.path.join(here, "..", "..", "csrc", "test", "data", "tilings_llava.txt"))
    else:
        main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else os.path.join(here, "..", "goldens", "llada-v"))
