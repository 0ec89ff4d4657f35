#!/usr/bin/env python3
"""Makes tests/goldens/sdar-vl: a small SDAR-VL checkpoint with random weights, and what the authors' code makes of prompts with and without pictures.

    python3 tests/reference/sdar_vl_goldens.py SDAR_VL [FOLDER [BLOCK BEHIND]]

SDAR_VL: a checkout of JetAstra/SDAR-VL at cc77ef7, whose generate.py and training/llama_factory_sdar/inference/sdar_v_4b are run as they are by
transformers 5.12.1 and torch on a CPU in float32, but for what newer libraries want of names and a cache, and for kernels of GPUs, which plain torch
stands for. Pictures are prepared by transformers' processor of LLaVA-OneVision, as theirs are. FOLDER: tests/goldens/sdar-vl.
With BLOCK and BEHIND, blocks of so many positions, and prompts that end so many tokens behind their last picture: what of a picture lies in the block that a prompt ends in
is then given to their network as embeddings, for their function hands pictures over with the prompt's whole blocks alone and fails where these have not all of them.
"""
import importlib.util
import json
import os
import sys
import types
from typing import TypedDict

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

import random_weights

VOCAB, IMAGE, VIDEO, MASK, END, TURN = 160, 155, 156, 158, 157, 152
BLOCK = int(sys.argv[3]) if len(sys.argv) > 4 else 4
BEHIND = int(sys.argv[4]) if len(sys.argv) > 4 else None  # tokens
TILE = 14
PINPOINTS = [[TILE * h, TILE * w] for h in range(1, 7) for w in range(1, 7)]
VISION = dict(model_type="siglip_vision_model", hidden_size=24, intermediate_size=40, num_hidden_layers=3, num_attention_heads=2, num_channels=3,
              image_size=TILE, patch_size=4, hidden_act="gelu_pytorch_tanh", layer_norm_eps=1e-6, attention_dropout=0.0, vision_use_head=False)
TEXT = dict(model_type="sdar", vocab_size=VOCAB, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
            head_dim=16, hidden_act="silu", max_position_embeddings=1024, rms_norm_eps=1e-6, rope_theta=1e4, rope_scaling=None, attention_bias=False,
            sliding_window=None, use_sliding_window=False, attention_dropout=0.0, block_size=BLOCK, mask_token_id=MASK, bos_token_id=END, eos_token_id=END,
            tie_word_embeddings=False, use_cache=False)
TOP = dict(image_token_index=IMAGE, video_token_index=VIDEO, ignore_index=-100, multimodal_projector_bias=True, projector_hidden_act="gelu",
           tie_word_embeddings=False, use_image_newline_parameter=True, vision_aspect_ratio="anyres_max_9", vision_feature_layer=-1,
           vision_feature_select_strategy="full", image_grid_pinpoints=PINPOINTS)
PREPROCESSOR = dict(image_mean=[0.5] * 3, image_std=[0.5] * 3, size=dict(height=TILE, width=TILE), image_grid_pinpoints=PINPOINTS, resample=3,
                    do_resize=True, do_rescale=True, do_normalize=True, do_pad=True, do_convert_rgb=True, rescale_factor=1 / 255)
SIZES = [(83, 61), (11, 47), (97, 4)]  # of the pictures: shrunk, upright, and flat
LEAST_MARGIN = 5e-5


def module(name, **attributes):
    made = types.ModuleType(name)
    made.__path__ = []
    vars(made).update(attributes)
    sys.modules[name] = made


def rms_norm(x, weight, bias=None, eps=1e-6):
    return weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps))


def attention(q, k, v, causal=False, softmax_scale=None):
    q, k, v = (t.transpose(1, 2) for t in (q, k, v))
    return torch.nn.functional.scaled_dot_product_attention(q, k, v, scale=softmax_scale, enable_gqa=True).transpose(1, 2)


def rearrange(x, pattern):
    heads_first = {"b h l d -> b l (h d)": True, "b l h d -> b l (h d)": False}[pattern]
    return (x.transpose(1, 2) if heads_first else x).flatten(2)


def plain_rotary(config=None, device=None, seq_len=None, **kwargs):
    return 1.0 / (config.rope_theta ** (torch.arange(0, config.head_dim, 2, dtype=torch.int64).float() / config.head_dim)), 1.0


def authors_code(path):
    """Their network's classes, and their generate.py as a module."""
    import transformers.cache_utils
    import transformers.modeling_rope_utils
    import transformers.models.siglip.modeling_siglip  # before anything stands for flash_attn, which the library looks for
    import transformers.utils
    from transformers import AutoConfig, AutoModel, AutoModelForImageTextToText, AutoProcessor  # noqa: F401
    for place, name in ((transformers.utils, "LossKwargs"), (transformers.cache_utils, "SlidingWindowCache"), (transformers.cache_utils, "StaticCache")):
        if not hasattr(place, name):
            setattr(place, name, TypedDict(name, {}))
    transformers.modeling_rope_utils.rope_config_validation = lambda config: None
    transformers.modeling_rope_utils.ROPE_INIT_FUNCTIONS["default"] = plain_rotary
    torch.compile = lambda *args, **kwargs: lambda function: function
    module("einops", rearrange=rearrange)
    for name in ("flash_attn.ops", "flash_attn.ops.triton"):
        module(name)
    module("flash_attn", flash_attn_func=attention, flash_attn_varlen_func=None)
    module("flash_attn.ops.triton.layer_norm", rms_norm_fn=rms_norm)
    module("flash_attn.bert_padding", index_first_axis=None, pad_input=None, unpad_input=None)
    module("authors")
    sys.modules["authors"].__path__ = [os.path.join(path, "training/llama_factory_sdar/inference/sdar_v_4b")]
    module("authors.fused_linear_diffusion_cross_entropy", FusedLinearDiffusionCrossEntropyLoss=None)  # of training
    from authors.configuration_sdar import SDARConfig
    from authors.configuration_llava_onevision import LlavaOnevisionConfig
    from authors.modeling_sdar import SDARModel
    from authors.modeling_llava_onevision import LlavaOnevisionForConditionalGeneration
    AutoConfig.register("sdar", SDARConfig)
    AutoModel.register(SDARConfig, SDARModel)
    spec = importlib.util.spec_from_file_location("generate", os.path.join(path, "generate.py"))
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)

    class Kept(transformers.cache_utils.Cache):
        """DynamicCache as it was: a pair of tensors a layer."""
        def __init__(self):
            self.pairs = []

        def update(self, keys, values, layer, *rest):
            if layer == len(self.pairs):
                self.pairs.append((keys, values))
            else:
                self.pairs[layer] = tuple(torch.cat([old, new], dim=-2) for old, new in zip(self.pairs[layer], (keys, values)))
            return self.pairs[layer]

        def get_seq_length(self, layer=0):
            return self.pairs[0][0].shape[-2] if self.pairs else 0

        def __getitem__(self, layer):
            return self.pairs[layer]

        def __len__(self):
            return len(self.pairs)

    generate.DynamicCache = Kept
    return LlavaOnevisionConfig, LlavaOnevisionForConditionalGeneration, generate


def randomise(model, g):
    state = random_weights.fill(model.state_dict(), g)
    state["lm_head.weight"][MASK] *= 0.01  # never a guess
    return state


def released_name(name):
    """As the authors' checkpoints have them, whose index stands beside their code."""
    for new, old in (("model.language_model.", "language_model.model."), ("lm_head.", "language_model.lm_head."), ("model.vision_tower.", "vision_tower.vision_model."),
                     ("model.", "")):
        if name.startswith(new):
            return old + name[len(new):]
    raise ValueError(name)


class Watched:
    """The model, and what it is asked."""

    def __init__(self, model, features):
        self.model, self.device, self.calls, self.features = model, model.device, [], features

    def eval(self):
        return self

    def __call__(self, input_ids, **given):
        if self.features:
            embeddings = self.model.get_input_embeddings()(input_ids).clone()
            first = int(given["position_ids"][0, 0])
            for i in range(input_ids.shape[1]):
                if first + i in self.features:
                    embeddings[0, i] = self.features[first + i]
            kept = {k: v for k, v in given.items() if not k.startswith(("pixel_values", "image_sizes"))}
            out = self.model(inputs_embeds=embeddings, **kept)
        else:
            out = self.model(input_ids=input_ids, **given)
        self.calls.append((input_ids[0].clone(), int(given["position_ids"][0, 0]), given["store_kv"], out.logits[0]))
        return out


def nearness(calls, strategy, threshold):
    """How near guesses, confidences and the threshold came to each other where something was open."""
    nearest = 9.0
    for ids, _, stored, logits in calls:
        rows = logits[ids == MASK]
        if stored or not len(rows):
            continue
        best, sure = rows.topk(2).values, rows.softmax(-1).max(-1).values
        nearest = min([nearest, (best[:, 0] - best[:, 1]).min().item()])
        if strategy != "sequential":
            ordered = sure.sort().values
            nearest = min([nearest] + (ordered[1:] - ordered[:-1]).tolist())
        if strategy == "low_confidence_dynamic":
            nearest = min(nearest, (sure - threshold).abs().min().item())
    return nearest


def decode(model, generate, prompt, given, run, features=None):
    """One decoding; None where their code writes over what is known, draws a mask, which this library never does, or decides by too little."""
    watched = Watched(model, features)
    drawn = []
    multinomial = torch.multinomial

    def recorded(probabilities, num_samples):
        tokens = multinomial(probabilities, num_samples=num_samples)
        drawn.append(tokens[:, 0].tolist())
        return tokens

    torch.multinomial = recorded
    try:
        x = generate.block_diffusion_generate(watched, dict(input_ids=torch.tensor([prompt]), **given), MASK, gen_length=run["gen_length"], block_length=BLOCK,
                                              denoising_steps=run["steps"], temperature=1.0, top_k=run["top_k"], top_p=1.0,
                                              remasking_strategy=run["alg"], confidence_threshold=run["threshold"], stopping_criteria_idx=run["stops"])
    except IndexError:  # a mask that was drawn: no step is left for it
        return None
    finally:
        torch.multinomial = multinomial
    length = x.shape[1] - len(prompt)
    history, draws, before = [], [], [MASK] * length
    calls = watched.calls
    prefilled = len(prompt) >= BLOCK
    step = 0
    for at, (ids, first, stored, _) in enumerate(calls):
        if at == 0 and prefilled:
            continue
        after = ids if stored else calls[at + 1][0]
        if not stored:
            draws.append(["categorical", [t for t, i in zip(drawn[step], ids.tolist()) if i == MASK]])
            step += 1
            if any(i != MASK and i != n for i, n in zip(ids.tolist(), after.tolist())):
                return None
        canvas = list(before)
        for i, token in enumerate(after.tolist()):
            if first + i >= len(prompt):
                canvas[first + i - len(prompt)] = token
        history.append(canvas)
        before = canvas
    assert before == x[0, len(prompt):].tolist()
    if run["top_k"] == 1 and nearness(calls, run["alg"], run["threshold"]) < LEAST_MARGIN:
        return None
    if run["top_k"] != 1 and (any(MASK in tokens for _, tokens in draws) or drawn_nearness(calls, drawn, run) < LEAST_MARGIN):
        return None
    settings = {"decoding_pipeline": "sdar", "alg": run["alg"], "steps": run["steps"], "alg_p_threshold": run["threshold"], "max_new_tokens": length,
                "temperature": 0 if run["top_k"] == 1 else 1, "top_k": 0, "top_p": 1.0, "alg_temp": 0, "eps": 1e-3, "use_original_confidence": True, "use_cache": True,
                "repeats": 20}
    made = {"name": run["name"], "settings": settings, "history": history, "model_calls": len(calls)}
    if run["top_k"] != 1:
        made["draws"] = draws
    made["halted"] = generate.detect_tail_copy_repetition(
        [t for t in x[0, len(prompt):].tolist() if t != MASK], min_repeats=20)
    return made


def drawn_nearness(calls, drawn, run):
    """The same of tokens that were drawn."""
    nearest, step = 9.0, 0
    for ids, _, stored, logits in calls:
        if stored:
            continue
        sure = logits.softmax(-1).gather(-1, torch.tensor(drawn[step])[:, None])[:, 0][ids == MASK]
        step += 1
        ordered = sure.sort().values
        nearest = min([nearest] + (ordered[1:] - ordered[:-1]).tolist())
        if run["alg"] == "low_confidence_dynamic":
            nearest = min(nearest, (sure - run["threshold"]).abs().min().item())
    return nearest


def settings_of(pictured):
    for alg, steps, threshold, length, top_k in (("low_confidence_static", BLOCK, 0.9, 16, 1), ("low_confidence_dynamic", 4, 0.3, 24, 1), ("sequential", BLOCK, 0.9, 10, 1),
                                                 ("low_confidence_dynamic", 2, 0.2, 18, 1), ("low_confidence_static", BLOCK, 0.9, 21, 0),
                                                 ("low_confidence_dynamic", 4, 0.12, 13, 0)):
        yield dict(name="%s-%d-%d%s" % (alg, steps, length, "" if top_k else "-drawn"), alg=alg, steps=steps, threshold=threshold, gen_length=length, top_k=top_k,
                   stops=[TURN, END])


def main(path, folder):
    torch.set_grad_enabled(False)
    torch.manual_seed(5)
    os.makedirs(folder, exist_ok=True)
    configuration, network, generate = authors_code(path)
    config = configuration(vision_config=dict(VISION), text_config=dict(TEXT, pad_token_id=None), pad_token_id=None, **TOP)
    for part in (config, config.vision_config, config.text_config):
        part._attn_implementation = "eager"
    model = network(config).eval()
    g = torch.Generator().manual_seed(33)
    state = randomise(model, g)
    save_file({released_name(k): v.contiguous() for k, v in state.items()}, os.path.join(folder, "model.safetensors"))
    from transformers.models.llava_onevision.image_processing_llava_onevision import LlavaOnevisionImageProcessor
    processor = LlavaOnevisionImageProcessor(**PREPROCESSOR)
    for name, value in (("config.json", dict(TOP, model_type="sdar_v", vision_config=VISION, text_config=TEXT, hidden_size=32, torch_dtype="float32")),
                        ("preprocessor_config.json", PREPROCESSOR), ("generation_config.json", dict(eos_token_id=[TURN, END]))):
        with open(os.path.join(folder, name), "w") as f:
            json.dump(value, f, indent=1)
    noise = np.random.default_rng(4)
    pictures = []
    for i, (width, height) in enumerate(SIZES):
        small = Image.fromarray(noise.integers(0, 256, (5, 6, 3), dtype=np.uint8))
        pictures.append(small.resize((width, height), Image.BICUBIC))
        pictures[-1].save(os.path.join(folder, "image_%d.png" % i))
    cases = []
    for name, shown, texts in (("text", [], (7,)), ("short", [], (3,)), ("one", [0], (5, 6)), ("two", [1, 2], (2, 1, 4)), ("looping", [], (9,))):
        given, counts = {}, []
        if shown:
            batch = processor(images=[pictures[i] for i in shown], return_tensors="pt")
            given = dict(pixel_values=batch["pixel_values"], image_sizes=batch["image_sizes"])
            packed, lengths = model.model.pack_image_features(model.model.get_image_features(**given), given["image_sizes"], image_newline=model.model.image_newline,
                                                              vision_aspect_ratio="anyres_max_9")
            counts = lengths.tolist()
            np.save(os.path.join(folder, "image_embeds_%s.npy" % name), packed.numpy())
        if shown and BEHIND is not None:
            texts = texts[:-1] + (BEHIND,)
        for attempt in range(4000):
            ids = []
            for i, n in enumerate(texts):
                ids += torch.randint(0, 150, (n,), generator=g).tolist() + ([IMAGE] * counts[i] if i < len(counts) else [])
            if name == "looping":
                asked = [dict(name="repeats", alg="low_confidence_static", steps=BLOCK, threshold=0.9, gen_length=180, top_k=1, stops=None)]
            else:
                asked = settings_of(shown)
            pictured = [i for i, t in enumerate(ids) if t == IMAGE]
            features = dict(zip(pictured, packed)) if shown and BEHIND is not None else None
            runs = [decode(model, generate, ids, given, run, features) for run in asked]
            runs = [r for r in runs if r]
            halted = any(r["halted"] and r["history"][-1].count(MASK) > 12 for r in runs)
            enough = len(runs) >= (5 if BLOCK == 4 else 3) and sum("draws" in r for r in runs) >= (2 if BLOCK == 4 else 0)
            if (name != "looping" and enough) or (name == "looping" and halted):
                break
        else:
            raise SystemExit("no prompt for " + name)
        for r in runs:
            del r["halted"]
        appended = -len(ids) % BLOCK + BLOCK
        x = torch.tensor([ids + [MASK] * appended])
        blocks = x.shape[1] // BLOCK
        sees = torch.tril(torch.ones(blocks, blocks)).repeat_interleave(BLOCK, 0).repeat_interleave(BLOCK, 1)[None]
        logits = model(input_ids=x, attention_mask=sees, position_ids=torch.arange(x.shape[1])[None], use_cache=False, store_kv=False, **given).logits[0]
        np.save(os.path.join(folder, "logits_%s.npy" % name), logits.numpy())
        with open(os.path.join(folder, "trajectories_%s.json" % name), "w") as f:
            f.write('{"runs": [\n' + ",\n".join(json.dumps(r, separators=(",", ":")) for r in runs) + "\n]}\n")
        cases.append({"name": name, "prompt_ids": ids, "appended_masks": appended, "images": ["image_%d.png" % i for i in shown]})
        print(name, len(ids), "tokens, pictures of", counts, len(runs), "runs after", attempt + 1, "prompts")
    with open(os.path.join(folder, "inputs.json"), "w") as f:
        json.dump({"images": ["image_%d.png" % i for i in range(len(SIZES))], "cases": cases}, f)


if __name__ == "__main__":
    here = os.path.dirname(os.path.abspath(__file__))
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else os.path.join(here, "..", "goldens", "sdar-vl"))
