#!/usr/bin/env python3
"""Writes drawn.json of tests/goldens/fast-dllm-v2 and tests/goldens/sdar, and v20/drawn-N and v21/drawn-N of tests/goldens/llada2: decodings at temperatures above 0 by the numpy references, with the
tokens that they drew.

    python3 tests/reference/drawn_goldens.py [COUNT [SEED]]

The networks are the goldens' own. As in the authors' functions (sample_with_top_p in the model's modeling.py; sample_with_temperature_topk_topp in generate.py and modeling_llada2_moe.py) a token is drawn after
temperature, top-k and top-p, and its confidence is its probability there. A decision that float32 may take otherwise is left out.
"""
import json
import os
import sys

import numpy as np

import fast_dllm_v2_ref
import llada2_ref
import sdar_ref
from block_cases import write_safetensors
from qwen_rows import Draws, Net, read_safetensors

GOLDENS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "goldens")
LEAST_MARGIN = 1e-4


def fast_case(r, block):
    return {"function": str(r.choice(["generate", "evaluation"])), "max_new_tokens": int(r.integers(1, 4)) * block, "block_size": block,
            "small_block_size": int(r.choice([s for s in (2, 4, 8, 16) if block % s == 0])), "threshold": float(r.choice([0.05, 0.3, 0.6, 0.9, 1])),
            "use_block_cache": bool(r.integers(2)), "stop_token": 602, "temperature": float(r.choice([0.2, 0.5, 0.8, 1, 1.3])), "top_p": float(r.choice([0.5, 0.95, 1]))}


def sdar_case(r, block):
    return {"function": "generate", "gen_length": int(r.integers(1, 5 * block)), "block_length": block, "denoising_steps": block,
            "temperature": float(r.choice([0.2, 0.5, 0.8, 1, 1.3])), "top_k": int(r.choice([0, 0, 2, 20])), "top_p": float(r.choice([0.5, 0.95, 1])),
            "remasking_strategy": str(r.choice(["sequential", "low_confidence_static", "low_confidence_dynamic"])),
            "confidence_threshold": float(r.choice([0.05, 0.3, 0.85])), "stop_ids": [602, 600]}


def record(net, reference, case_of, block, count, r):
    runs = []
    while len(runs) < count:
        case, draws = case_of(r, block), Draws(int(r.integers(1 << 30)))
        case["prompt_ids"] = [int(t) for t in r.integers(0, 600, int(r.integers(1, 3 * block)))]
        passes, sequence = reference.decode(net, case, draws)
        if draws.margin > LEAST_MARGIN:
            runs.append(dict(case, name="drawn-%d" % len(runs), passes=passes.passes, forward_passes=len(passes.passes), draws=draws.records,
                             sequence=[int(t) for t in sequence]))
    return runs


def llada2_case(r, edits):
    case = {"block_length": 8, "steps": int(r.integers(1, 9)), "gen_length": int(r.integers(4, 25)), "eos_id": 60, "mask_id": 63, "threshold": float(r.choice([0.05, 0.2, 0.5, 0.95])),
            "eos_early_stop": bool(r.integers(2)), "temperature": float(r.choice([0.2, 0.5, 0.8, 1, 1.3])), "top_k": int(r.choice([0, 0, 2, 20])), "top_p": float(r.choice([0.5, 0.95, 1]))}
    if edits:
        case.update(editing_threshold=float(r.choice([0, 0.1, 0.5])), max_post_steps=int(r.integers(0, 6)), num_to_transfer=int(r.integers(1, 4)))
    return case


def write_llada2(root, count, r):
    entries = [e for e in json.load(open(os.path.join(root, "cases.json"))) if not e["case"].startswith("drawn")]
    for model in ("v20", "v21"):
        folder = os.path.join(root, model)
        net = llada2_ref.LLaDA2(json.load(open(folder + "/config.json")), read_safetensors(folder + "/model.safetensors"))
        n = 0
        while n < count:
            case, draws, trace = llada2_case(r, model == "v21"), Draws(int(r.integers(1 << 30))), []
            prompt = r.integers(0, 60, int(r.integers(1, 20)))
            net.cache = [(k[:0], v[:0]) for k, v in net.cache]
            out = llada2_ref.generate(net, prompt, case, trace, draws)
            if draws.margin < LEAST_MARGIN or any(case["mask_id"] in tokens for _, tokens in draws.records):
                continue  # a mask that is drawn is no token here
            name = "drawn-%d" % n
            json.dump(dict(case, draws=draws.records), open("%s/%s.json" % (folder, name), "w"))
            write_safetensors("%s/%s.safetensors" % (folder, name), {
                "input_ids": prompt, "result": np.array(out), "block_in": np.array([t[0] for t in trace]), "window_end": np.array([t[1] for t in trace]),
                "logits": np.array([t[2] for t in trace])})
            entries.append({"model": model, "case": name})
            n += 1
    json.dump(entries, open(os.path.join(root, "cases.json"), "w"), separators=(",", ":"))
    print("llada2: %d decodings" % (2 * count))


def main():
    count, seed = int(sys.argv[1]) if len(sys.argv) > 1 else 12, int(sys.argv[2]) if len(sys.argv) > 2 else 1
    for name, reference, case_of, blocks in (("fast-dllm-v2", fast_dllm_v2_ref, fast_case, None), ("sdar", sdar_ref, sdar_case, 4)):
        folder = os.path.join(GOLDENS, name)
        net = Net(folder)
        runs = record(net, reference, case_of, blocks or net.c["bd_size"], count, np.random.default_rng(seed))
        json.dump(runs, open(os.path.join(folder, "drawn.json"), "w"))
        print("%s: %d decodings, %d passes" % (name, len(runs), sum(run["forward_passes"] for run in runs)))
    write_llada2(os.path.join(GOLDENS, "llada2"), count // 3, np.random.default_rng(seed))


if __name__ == "__main__":
    main()
