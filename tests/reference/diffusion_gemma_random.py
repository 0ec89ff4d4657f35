#!/usr/bin/env python3
"""Makes DiffusionGemma checkpoints of random shapes and records decodings of them as diffusion_gemma_goldens.py does, with the transformers library; each is
made anew by diffusion_gemma_ref.py (numpy), too, which must come to the same tokens. DiffusionGemmaConformanceTest runs what lies in a folder:

    python3 tests/reference/diffusion_gemma_random.py FOLDER [CHECKPOINTS] [SEED]
    mvn -pl tests -am test -Dtest=DiffusionGemmaConformanceTest -Dsurefire.failIfNoSpecifiedTests=false -Ddimple.canvases=FOLDER
"""
import json
import os
import sys

import numpy as np
import torch
from safetensors.numpy import save_file

import diffusion_gemma_goldens as goldens
import diffusion_gemma_ref as reference

SEEDS = 30  # of draws that are tried until every decision is clear


def shape(rng):
    """A config.json: any mix of layers, windows from one position on, all experts or one, canvases down to one position."""
    pick = lambda *values: values[rng.integers(len(values))]
    layers, heads = int(rng.integers(1, 7)), int(pick(1, 2, 3, 4, 6))
    shared = [n for n in range(1, heads + 1) if heads % n == 0]
    kinds = [pick("full_attention", "sliding_attention") for _ in range(layers - 1)] + ["full_attention"]  # the library makes the last layer so whatever is asked
    experts = int(rng.integers(1, 10))
    used = int(pick(1, experts, rng.integers(1, experts + 1)))
    pool = int(pick(2, 3))
    config = json.loads(json.dumps(goldens.CLIPPED))
    config["canvas_length"] = int(pick(1, 2, 3, 5, 8, 13, 16))
    config["text_config"].update(
        vocab_size=int(rng.integers(40, 400)), final_logit_softcapping=float(pick(5.0, 20.0, 30.0)), head_dim=int(pick(4, 8, 12, 16)),
        global_head_dim=int(pick(8, 16, 20, 24)), hidden_size=int(pick(8, 20, 24, 32, 40)), intermediate_size=int(rng.integers(4, 50)), layer_types=kinds,
        moe_intermediate_size=4 * int(rng.integers(1, 7)), num_attention_heads=heads, num_experts=experts, top_k_experts=used,
        num_global_key_value_heads=int(pick(*shared)), num_hidden_layers=layers, num_key_value_heads=int(pick(*shared)), rms_norm_eps=float(pick(1e-6, 1e-5)),
        sliding_window=int(pick(2, 3, 5, 8, 30)))
    ropes = config["text_config"]["rope_parameters"]
    ropes["full_attention"].update(partial_rotary_factor=float(pick(0.25, 0.5, 1.0)), rope_theta=float(pick(1e4, 1e6)))
    ropes["sliding_attention"]["rope_theta"] = float(pick(100.0, 1e4))
    towers = int(pick(1, 2, 3))
    config["vision_config"].update(head_dim=int(pick(4, 8, 12)), intermediate_size=int(rng.integers(4, 30)), num_attention_heads=towers, num_key_value_heads=towers,
                                   num_hidden_layers=int(rng.integers(1, 4)), patch_size=int(pick(2, 4)), pooling_kernel_size=pool, standardize=bool(pick(0, 1)),
                                   use_clipped_linears=bool(pick(0, 1)))
    config["vision_config"]["hidden_size"] = config["vision_config"]["head_dim"] * towers
    config["vision_config"]["position_embedding_size"] = goldens.SOFT_TOKENS * pool
    return config


def size(rng, vision):
    """Of a picture whose size in the tower is its own there: goldens.preprocess has the library resize what was resized."""
    patch, pool = vision["patch_size"], vision["pooling_kernel_size"]
    resized = lambda height, width: goldens.get_aspect_ratio_preserving_size(height, width, patch, goldens.SOFT_TOKENS * pool * pool, pool)
    while True:
        width, height = int(rng.integers(20, 120)), int(rng.integers(20, 120))
        if resized(*resized(height, width)) == resized(height, width):
            return width, height


def prompt(rng, config, counts):
    """From one token on; pictures anywhere, one right behind another too."""
    vocabulary, ids = config["text_config"]["vocab_size"], [2]
    words = lambda most: [int(t) for t in rng.integers(11, vocabulary, rng.integers(0, most))]
    ids += words(int(rng.integers(1, 40)))
    for count in counts:
        ids += [config["boi_token_id"]] + [config["image_token_id"]] * count + [config["eoi_token_id"]] + words(6)
    return ids


def settings_of(rng, config):
    pick = lambda *values: values[rng.integers(len(values))]
    vocabulary, canvas = config["text_config"]["vocab_size"], config["canvas_length"]
    t_min = float(pick(0.2, 0.4, 1.0))
    return {"max_new_tokens": int(pick(1, canvas, canvas + 1, 3 * canvas, 5 * canvas - 1)), "max_denoising_steps": int(pick(1, 2, 4, 7)),
            "entropy_bound": float(pick(0.1, 1.0, 3.0)), "t_min": t_min, "t_max": t_min + float(pick(0.1, 0.4)), "stability_threshold": int(pick(0, 1, 2)),
            "confidence_threshold": float(pick(0.005, 0.05, 0.5)), "pad_token_id": 0,
            "eos_token_id": [1] + [int(t) for t in rng.integers(11, vocabulary, rng.integers(0, vocabulary // 8))]}


def again(folder, config, result, tensors):
    """What the numpy reference makes of it."""
    model = reference.DiffusionGemma(config, reference.read_safetensors(os.path.join(folder, "model.safetensors")))
    pictures = tensors.get("image_features")
    return reference.generate(model, tensors["input_ids"], result, tensors["u"].astype(reference.F), tensors["random_canvases"], pictures,
                              None if pictures is None else tensors["mm_token_type_ids"])


def record(folder, seed):
    rng = np.random.default_rng(seed)
    config = shape(rng)
    vision = config["vision_config"]
    sizes = [size(rng, vision) for _ in range(int(rng.integers(0, 3)))]
    os.makedirs(folder)
    goldens.write_weights(folder, config, seed)
    pictures = [goldens.picture(int(rng.integers(1000)), *size) for size in sizes]
    images, counts = None, []
    if pictures:
        for i, picture in enumerate(pictures):
            picture.save(os.path.join(folder, "picture_%d.png" % i), optimize=True)
        images = goldens.preprocess(pictures, vision["patch_size"], vision["pooling_kernel_size"])
        counts = [int(n) for n in images["num_soft_tokens_per_image"]]
    model = goldens.read_model(folder)
    ids, settings = prompt(rng, config, counts), settings_of(rng, config)
    for draws in range(SEEDS):
        result, tensors, margin = goldens.decode(model, ids, images, draws, settings)
        if margin <= goldens.MARGIN:
            continue
        if again(folder, config, result, tensors) != tensors["sequences"].tolist():
            raise SystemExit("%s: numpy comes to other tokens" % folder)
        result.update(smallest_margin=float(margin), pictures=len(pictures))
        with open(os.path.join(folder, "random.json"), "w") as f:
            json.dump(result, f, indent=1)
        save_file({n: np.ascontiguousarray(a) for n, a in tensors.items()}, os.path.join(folder, "random.safetensors"))
        text = config["text_config"]
        print("%s: %s, window %d, canvas %d, %d of %d experts, %d tokens, %d pictures, %d passes, %d canvases" % (
            os.path.basename(folder), "".join(t[0] for t in text["layer_types"]), text["sliding_window"], config["canvas_length"], text["top_k_experts"],
            text["num_experts"], len(ids), len(pictures), result["denoiser_calls"], (len(tensors["sequences"]) - len(ids)) // config["canvas_length"]), flush=True)
        return
    print("%s: nothing is decided clearly" % os.path.basename(folder), flush=True)


def main():
    torch.set_num_threads(1)
    count, seed = int(sys.argv[2]) if len(sys.argv) > 2 else 20, int(sys.argv[3]) if len(sys.argv) > 3 else 1
    with torch.no_grad():
        for i in range(count):
            record(os.path.join(sys.argv[1], "%04d" % (seed + i)), seed + i)


if __name__ == "__main__":
    main()
