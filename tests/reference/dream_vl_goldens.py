#!/usr/bin/env python3
"""Makes tests/goldens/dream-vl: a small Dream-VL checkpoint with random weights, and what the authors' code makes of prompts with pictures.

    python3 tests/reference/dream_vl_goldens.py DREAM_VLX [FOLDER]

DREAM_VLX: a folder with Dream-VLX's dreamvl (vl/train, lrl-coder/Dream-VLX at 19cd1bb), run as it is by transformers 5.12.1 and torch on a CPU in
float32, but for what newer libraries want of names and a configuration. Its tower is held against the library's own Qwen2-VL tower, too. FOLDER: tests/goldens.
"""
import json
import os
import sys

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

VOCAB, START, END, IMAGE, MASK, PAD = 160, 152, 153, 155, 158, 159
VISION = dict(depth=3, embed_dim=32, hidden_size=24, hidden_act="quick_gelu", mlp_ratio=2, num_heads=2, in_channels=3, patch_size=14, spatial_merge_size=2,
              temporal_patch_size=2)
CONFIG = dict(vocab_size=VOCAB, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, hidden_act="silu",
              max_position_embeddings=512, rms_norm_eps=1e-6, rope_theta=1e4, mrope_section=[2, 1, 1], image_token_id=IMAGE, video_token_id=156,
              vision_start_token_id=START, vision_end_token_id=END, mask_token_id=MASK, pad_token_id=PAD, bos_token_id=PAD, eos_token_id=PAD,
              projector_hidden_act="gelu", tie_word_embeddings=False, use_sliding_window=False, rope_scaling=None)
PREPROCESSOR = dict(min_pixels=3136, max_pixels=15680, patch_size=14, temporal_patch_size=2, merge_size=2)
SIZES = [(121, 57), (70, 90)]  # which every Pillow resizes alike: 13 takes columns before rows where that is less work, to other bits
LEAST_MARGIN = 5e-5


def randomise(model, g):
    state = model.state_dict()
    for name, t in state.items():
        if t.dim() == 1 and "norm" in name or "ln_q.weight" in name:
            t.copy_((1 if name.endswith("weight") else 0) + 0.3 * torch.randn(t.shape, generator=g))
        elif t.dim() == 1:
            t.copy_(0.3 * torch.randn(t.shape, generator=g))
        else:
            t.copy_(torch.randn(t.shape, generator=g) * (1 if "embed_tokens" in name else 1.3 / t[0].numel() ** 0.5))
    state["lm_head.weight"][MASK] *= 0.01  # never a guess
    return state


def plain_rotary(config=None, device=None, seq_len=None, **kwargs):
    size = config.hidden_size // config.num_attention_heads
    return 1.0 / (config.rope_theta ** (torch.arange(0, size, 2, dtype=torch.int64).float() / size)), 1.0


def library_tower(state, pixels, grid):
    from transformers.models.qwen2_vl.configuration_qwen2_vl import Qwen2VLVisionConfig
    from transformers.models.qwen2_vl.modeling_qwen2_vl import Qwen2VisionTransformerPretrainedModel
    config = Qwen2VLVisionConfig(**VISION)
    config._attn_implementation = "eager"
    tower = Qwen2VisionTransformerPretrainedModel(config).eval()
    tower.load_state_dict({k[len("visual."):]: v for k, v in state.items() if k.startswith("visual.")})
    out = tower(pixels, grid_thw=grid)
    return out.pooler_output if hasattr(out, "pooler_output") else out


def main(path, folder):
    sys.path.insert(0, path)
    import transformers.image_utils
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
    transformers.image_utils.VideoInput = list  # names of older libraries
    ROPE_INIT_FUNCTIONS["default"] = plain_rotary
    from dreamvl.configuration_dreamvl import DreamVLConfig
    from dreamvl.image_processing_dreamvl import DreamVLImageProcessor
    from dreamvl.generation_utils import DreamVLGenerationConfig
    from dreamvl.modeling_dreamvl import DreamVLModel
    DreamVLGenerationConfig.validate = lambda self, **kwargs: None  # of other arguments
    torch.set_grad_enabled(False)
    os.makedirs(folder, exist_ok=True)
    config = DreamVLConfig(vision_config=dict(VISION), **CONFIG)
    for part in (config, config.vision_config):
        part._attn_implementation = "sdpa"
    model = DreamVLModel(config).eval()
    g = torch.Generator().manual_seed(21)
    state = randomise(model, g)
    save_file({k: v.contiguous() for k, v in state.items()}, os.path.join(folder, "model.safetensors"))
    for name, value in (("config.json", dict(CONFIG, model_type="dream-vl", vision_config=VISION, full_attn_mask=True, torch_dtype="float32")),
                        ("preprocessor_config.json", PREPROCESSOR)):
        with open(os.path.join(folder, name), "w") as f:
            json.dump(value, f, indent=1)
    noise = np.random.default_rng(4)
    pictures = []
    for i, (width, height) in enumerate(SIZES):
        small = Image.fromarray(noise.integers(0, 256, (5, 6, 3), dtype=np.uint8))
        pictures.append(small.resize((width, height), Image.BICUBIC))
        pictures[-1].save(os.path.join(folder, "image_%d.png" % i))
    batch = DreamVLImageProcessor(**PREPROCESSOR)(images=pictures, return_tensors="pt")
    pixels, grid = batch["pixel_values"], batch["image_grid_thw"]
    in_order = [p.resize((14 * w, p.height), Image.BICUBIC).resize((14 * w, 14 * h), Image.BICUBIC) for p, (_, h, w) in zip(pictures, grid.tolist())]
    assert torch.equal(pixels, DreamVLImageProcessor(**PREPROCESSOR)(images=in_order, return_tensors="pt")["pixel_values"])
    features = model.visual(pixels, grid)
    off = (features - library_tower(state, pixels, grid)).abs().max() / features.abs().max()
    assert off < 1e-5, off
    np.save(os.path.join(folder, "image_embeds.npy"), model.projector(features).numpy())
    counts = [(t * h * w // 4).item() for t, h, w in grid]
    cases = []
    for name, started in (("line", 0), ("grid", 2), ("one", 1), ("text", 0)):
        text = lambda n: torch.randint(0, 150, (n,), generator=g).tolist()
        for attempt in range(200):
            ids = text(4)
            for i, count in enumerate(counts if name != "text" else []):
                ids += ([START] if i < started else []) + [IMAGE] * count + ([END] if i < started else []) + text(3)
            made = case(model, DreamVLGenerationConfig, name, ids, pixels if name != "text" else None, grid if name != "text" else None)
            if made and made[2] >= LEAST_MARGIN:
                break
        entry, logits, margin, runs = made
        np.save(os.path.join(folder, "logits_%s.npy" % name), logits)
        with open(os.path.join(folder, "trajectories_%s.json" % name), "w") as f:
            f.write('{"runs": [\n' + ",\n".join(json.dumps(r, separators=(",", ":")) for r in runs) + "\n]}\n")
        cases.append(dict(entry, images=["image_0.png", "image_1.png"] if name != "text" else []))
        print(name, len(ids), "tokens, margin", margin)
    with open(os.path.join(folder, "inputs.json"), "w") as f:
        json.dump({"images": ["image_0.png", "image_1.png"], "cases": cases}, f)
    print("grids", grid.tolist(), "tower off the library's by %.1e" % off)


def case(model, generation, name, ids, pixels, grid):
    given = dict(pixel_values=pixels, image_grid_thw=grid) if pixels is not None else {}
    appended = 8
    x = torch.tensor([ids + [MASK] * appended])
    inputs = model.prepare_inputs_for_generation(x, use_cache=False, **given)
    inputs.pop("use_cache")
    logits = model(**{k: v for k, v in inputs.items() if v is not None}).logits[0].numpy()
    margin, runs = 9.0, []
    for alg, new, steps, top_p, top_k, penalty in (("maskgit_plus", 8, 8, 1.0, None, 0), ("entropy", 16, 7, 1.0, None, 0), ("topk_margin", 12, 12, 1.0, None, 0),
                                                   ("maskgit_plus", 20, 9, 0.8, None, 0), ("entropy", 10, 10, 1.0, 7, 0), ("entropy", 12, 12, 1.0, None, -0.9),
                                                   ("maskgit_plus", 14, 6, 1.0, None, -0.6), ("topk_margin", 9, 5, 0.9, None, 2.5)):
        seen = [9.0]

        def watch(i, x, z):
            """How near guesses and confidences of open positions are to others."""
            if i is not None:
                rows = z[x == MASK].clone()
                rows[:, PAD] += penalty * torch.log(1 - torch.linspace(1, 1e-3, steps + 1)[i] + 1e-3)
                best = rows.topk(2).values
                p = rows.softmax(-1)
                sure = {"maskgit_plus": p.max(-1).values, "topk_margin": p.topk(2).values[:, 0] - p.topk(2).values[:, 1],
                        "entropy": (p * (p + 1e-10).log()).sum(-1)}[alg].sort().values
                seen[0] = min([seen[0], (best[:, 0] - best[:, 1]).min().item()] + (sure[1:] - sure[:-1]).tolist())
            return z

        def run(penalty, hook):
            settings = generation(max_new_tokens=new, output_history=True, return_dict_in_generate=True, steps=steps, temperature=0.0, top_p=top_p, top_k=top_k,
                                  alg=alg, alg_temp=0, use_cache=False, mask_token_id=MASK, pad_token_id=PAD, bos_token_id=PAD, eos_token_id=PAD,
                                  eos_penalty=penalty)
            return model.diffusion_generate(torch.tensor([ids]), generation_config=settings, generation_logits_hook_func=hook,
                                            attention_mask=torch.ones((1, len(ids)), dtype=torch.bool), **given)

        out = run(penalty, watch)
        if penalty < 0 and all((a == b).all() for a, b in zip(out.history, run(0, lambda i, x, z: z).history)):
            return None  # it would prove nothing
        margin = min(margin, seen[0] * 3)
        runs.append({"name": "dream-%s-%d" % (alg, new), "settings": {"decoding_pipeline": "dream", "alg": alg, "steps": steps, "max_new_tokens": new, "temperature": 0,
                     "top_p": top_p, "top_k": top_k or 0, "alg_temp": 0, "eps": 1e-3, "use_original_confidence": False, "use_cache": False, "eos_penalty": penalty},
                     "history": [h[0, len(ids):].tolist() for h in out.history], "model_calls": steps})
    return {"name": name, "prompt_ids": ids, "appended_masks": appended}, logits, margin, runs


if __name__ == "__main__":
    here = os.path.dirname(os.path.abspath(__file__))
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else os.path.join(here, "..", "goldens", "dream-vl"))
