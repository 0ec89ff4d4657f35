#!/usr/bin/env python3
"""Writes random checkpoints of block-causal models, and what the numpy references decode with them, as tests/goldens has them.

    python3 tests/reference/block_cases.py FOLDER [COUNT [SEED]]

FOLDER/fast-dllm-v2-N and FOLDER/sdar-N, and FOLDER/llada2 with a cases.json: other shapes, layer patterns, prompts and settings, COUNT of each (8).
docs/testing.md says how the tests take them.
"""
import json
import os
import shutil
import struct
import sys
import numpy as np
import fast_dllm_v2_ref
import llada2_ref
import sdar_ref
from qwen_rows import Net

GOLDENS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "goldens")


def write_safetensors(path, tensors):
    head, blob = {}, b""
    for name, t in tensors.items():
        t = np.ascontiguousarray(t, np.float32 if np.asarray(t).dtype.kind == "f" else np.int32)
        head[name] = {"dtype": "F32" if t.dtype == np.float32 else "I32", "shape": list(t.shape), "data_offsets": [len(blob), len(blob) + t.nbytes]}
        blob += t.tobytes()
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + blob)


def write_json(path, value):
    with open(path, "w") as f:
        json.dump(value, f)


def matrix(r, rows, columns, spread=1.3):
    return r.standard_normal((rows, columns)) * spread / np.sqrt(columns)


def norm(r, size):
    return 1 + 0.3 * r.standard_normal(size)


# ------------------------------------------------------------------------------------------------------------ SDAR, Fast-dLLM v2

def qwen(r, kind):
    base = json.load(open(os.path.join(GOLDENS, kind, "config.json")))
    heads, size = int(r.choice([2, 4, 6])), int(r.choice([8, 12, 16]))
    if kind == "fast-dllm-v2":
        base.pop("head_dim", None)
    c = dict(base, hidden_size=heads * size if kind == "fast-dllm-v2" else int(r.choice([24, 40])), num_attention_heads=heads,
             num_key_value_heads=int(r.choice([k for k in (1, 2) if heads % k == 0])), num_hidden_layers=int(r.integers(1, 5)),
             intermediate_size=int(r.choice([24, 56])), tie_word_embeddings=bool(r.integers(2)), rope_theta=float(r.choice([1e4, 1e6])))
    if kind == "sdar":
        c["head_dim"] = size
    h, v, kv = c["hidden_size"], c["vocab_size"], c["num_key_value_heads"]
    w = {"model.embed_tokens.weight": r.standard_normal((v, h)), "model.norm.weight": norm(r, h)}
    for i in range(c["num_hidden_layers"]):
        p = "model.layers.%d." % i
        w[p + "input_layernorm.weight"], w[p + "post_attention_layernorm.weight"] = norm(r, h), norm(r, h)
        for name, n in (("q", heads), ("k", kv), ("v", kv)):
            w[p + "self_attn.%s_proj.weight" % name] = matrix(r, n * size, h)
            if kind == "fast-dllm-v2":
                w[p + "self_attn.%s_proj.bias" % name] = 0.5 * r.standard_normal(n * size)
            elif name != "v":
                w[p + "self_attn.%s_norm.weight" % name] = norm(r, size)
        w[p + "self_attn.o_proj.weight"] = matrix(r, h, heads * size)
        w[p + "mlp.gate_proj.weight"] = matrix(r, c["intermediate_size"], h)
        w[p + "mlp.up_proj.weight"] = matrix(r, c["intermediate_size"], h)
        w[p + "mlp.down_proj.weight"] = matrix(r, h, c["intermediate_size"])
    head = "model.embed_tokens.weight" if c["tie_word_embeddings"] else "lm_head.weight"
    if head not in w:
        w[head] = r.standard_normal((v, h))
    w[head][603:] *= 0.01                            # the mask and unused ids are never a guess
    return c, w


def fast_case(r):
    block = int(r.choice([8, 16, 32, 32]))
    return {"function": str(r.choice(["generate", "generate", "evaluation"])), "max_new_tokens": int(r.integers(block, 4 * block)), "block_size": block,
            "small_block_size": int(r.choice([s for s in (1, 2, 4, 8, 16, 32) if block % s == 0])), "threshold": float(r.choice([0.05, 0.3, 0.6, 0.9, 1])),
            "use_block_cache": bool(r.integers(2)), "stop_token": 602}


def sdar_case(r):
    block = int(r.choice([2, 4, 4, 8]))
    return {"function": "evaluation", "gen_length": int(r.integers(1, 6 * block)), "block_length": block, "denoising_steps": block, "temperature": 1.0,
            "top_k": 1, "top_p": 1.0, "remasking_strategy": str(r.choice(["sequential", "low_confidence_static", "low_confidence_dynamic"])),
            "confidence_threshold": float(r.choice([0.05, 0.3, 0.85])), "stop_ids": [602, 600]}


def write_qwen(folder, kind, r, reference, case_of):
    os.makedirs(folder)
    c, w = qwen(r, kind)
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        shutil.copyfile(os.path.join(GOLDENS, kind, name), os.path.join(folder, name))
    write_json(os.path.join(folder, "config.json"), c)
    write_safetensors(os.path.join(folder, "model.safetensors"), w)
    net, runs = Net(folder), []
    for i in range(6):
        case = case_of(r)
        block = case.get("block_size") or case["block_length"]
        length = int(r.choice([r.integers(1, block), block, 2 * block, r.integers(block, 4 * block)]))
        case["prompt_ids"] = [int(t) for t in r.integers(0, 600, max(length, 1))]
        record, sequence = reference.decode(net, case)
        runs.append(dict(case, name="%d" % i, passes=record.passes, forward_passes=len(record.passes), sequence=[int(t) for t in sequence]))
    write_json(os.path.join(folder, "trajectories.json"), runs)
    ids, block = r.integers(0, 600, 40), c.get("bd_size") or c["block_size"]
    write_safetensors(os.path.join(folder, "logits.safetensors"),
                      {"input_ids": ids, "block": np.array([block]), "logits": reference.logits(net, "", {"input_ids": ids, "block": [block]})})


# --------------------------------------------------------------------------------------------------------------------- LLaDA2

def llada2(r):
    heads, size, groups = int(r.choice([2, 4, 8])), int(r.choice([8, 16])), int(r.choice([1, 2, 4]))
    experts, layers = groups * int(r.choice([2, 3, 4])), int(r.integers(1, 5))
    kept = int(r.integers(1, groups + 1))
    c = {"architectures": ["LLaDA2MoeModelLM"], "model_type": "llada2_moe", "vocab_size": 96, "hidden_size": int(r.choice([24, 40])),
         "intermediate_size": 56, "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": int(r.choice([1, 2])),
         "rms_norm_eps": 1e-6, "rope_theta": 600000.0, "num_experts": experts, "num_shared_experts": int(r.choice([0, 1, 1, 2])),
         "num_experts_per_tok": int(r.integers(1, kept * (experts // groups) + 1)), "n_group": groups, "topk_group": kept,
         "routed_scaling_factor": float(r.choice([1, 2.5])), "norm_topk_prob": bool(r.integers(4)), "moe_intermediate_size": int(r.choice([8, 20])),
         "first_k_dense_replace": int(r.integers(0, min(layers, 2) + 1)), "head_dim": size, "partial_rotary_factor": float(r.choice([0.25, 0.5, 1]))}
    h, v, kv = c["hidden_size"], c["vocab_size"], c["num_key_value_heads"]
    w = {"model.word_embeddings.weight": r.standard_normal((v, h)), "model.norm.weight": norm(r, h), "lm_head.weight": r.standard_normal((v, h))}
    w["lm_head.weight"][v - 1] *= 0.01

    def gated(prefix, inner):
        for name, rows, columns in (("gate", inner, h), ("up", inner, h), ("down", h, inner)):
            w[prefix + name + "_proj.weight"] = matrix(r, rows, columns)

    for i in range(layers):
        p = "model.layers.%d." % i
        w[p + "input_layernorm.weight"], w[p + "post_attention_layernorm.weight"] = norm(r, h), norm(r, h)
        w[p + "attention.query_key_value.weight"] = matrix(r, (heads + 2 * kv) * size, h)
        w[p + "attention.query_layernorm.weight"], w[p + "attention.key_layernorm.weight"] = norm(r, size), norm(r, size)
        w[p + "attention.dense.weight"] = matrix(r, h, heads * size)
        if i < c["first_k_dense_replace"]:
            gated(p + "mlp.", c["intermediate_size"])
            continue
        w[p + "mlp.gate.weight"], w[p + "mlp.gate.expert_bias"] = matrix(r, experts, h), 0.3 * r.standard_normal(experts)
        for e in range(experts):
            gated(p + "mlp.experts.%d." % e, c["moe_intermediate_size"])
        if c["num_shared_experts"]:
            gated(p + "mlp.shared_experts.", c["num_shared_experts"] * c["moe_intermediate_size"])
    return c, w


def llada2_case(r):
    block = int(r.choice([4, 8, 8, 32]))
    case = {"block_length": block, "steps": int(r.integers(1, block + 1)), "gen_length": int(r.integers(1, 4 * block)), "eos_id": int(r.integers(0, 90)),
            "mask_id": 95, "threshold": float(r.choice([0.05, 0.2, 0.5, 0.95])), "eos_early_stop": bool(r.integers(2))}
    if r.integers(2):
        case.update(editing_threshold=float(r.choice([0, 0.1, 0.5])), max_post_steps=int(r.integers(0, 6)), num_to_transfer=int(r.integers(1, 4)))
    return case


def write_llada2(folder, count, r):
    entries = []
    for n in range(count):
        model = "m%d" % n
        os.makedirs(os.path.join(folder, model))
        c, w = llada2(r)
        write_json(os.path.join(folder, model, "config.json"), c)
        write_safetensors(os.path.join(folder, model, "model.safetensors"), w)
        w = {k: np.asarray(t, np.float32) for k, t in w.items()}
        for i in range(4):
            case, trace = llada2_case(r), []
            prompt = r.integers(0, 94, int(r.choice([r.integers(1, case["block_length"]), case["block_length"], r.integers(1, 40)])) or 1)
            out = llada2_ref.generate(llada2_ref.LLaDA2(c, w), prompt, case, trace)
            name = "%s-%d" % (model, i)
            write_json(os.path.join(folder, model, name + ".json"), case)
            write_safetensors(os.path.join(folder, model, name + ".safetensors"),
                              {"input_ids": prompt, "result": np.array(out), "block_in": np.array([t[0] for t in trace]),
                               "window_end": np.array([t[1] for t in trace]), "logits": np.array([t[2] for t in trace])})
            entries.append({"model": model, "case": name})
    write_json(os.path.join(folder, "cases.json"), entries)


if __name__ == "__main__":
    target, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 8
    random = np.random.default_rng(int(sys.argv[3]) if len(sys.argv) > 3 else 0)
    for n in range(count):
        write_qwen(os.path.join(target, "fast-dllm-v2-%d" % n), "fast-dllm-v2", random, fast_dllm_v2_ref, fast_case)
        write_qwen(os.path.join(target, "sdar-%d" % n), "sdar", random, sdar_ref, sdar_case)
    write_llada2(os.path.join(target, "llada2"), count, random)
