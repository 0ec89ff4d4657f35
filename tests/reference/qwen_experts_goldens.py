#!/usr/bin/env python3
"""Makes tests/goldens/sdar-moe and tests/goldens/rnd1: small checkpoints with random weights, and what the authors' code writes with them.

    python3 tests/reference/qwen_experts_goldens.py RND1 SDAR [FOLDER]

RND1: a checkout of RadicalNumerics/RND1 (87d5f46), whose network and sampler run as they are; SDAR: one of JetAstra/SDAR (its generate.py), whose loop runs
on Qwen3MoeForCausalLM of transformers 5.12.1 with its mask and an argmax in the place of its draw. torch on a CPU, float32. FOLDER: tests/goldens.
"""
import json
import os
import sys

import torch
from safetensors.torch import save_file
from transformers import Qwen3MoeConfig, Qwen3MoeForCausalLM

VOCAB, PAD, EOS, MASK = 96, 92, 93, 95
SHAPE = dict(vocab_size=VOCAB, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
             num_experts=6, num_experts_per_tok=2, moe_intermediate_size=24, norm_topk_prob=True, decoder_sparse_step=1, mlp_only_layers=[],
             rms_norm_eps=1e-6, max_position_embeddings=512, tie_word_embeddings=False, attention_bias=False, hidden_act="silu")
LEAST_MARGIN = 1e-3


def weights(seed):
    """By the names of published checkpoints: an expert's matrices are tensors of their own."""
    g, s, w = torch.Generator().manual_seed(seed), SHAPE, {}
    h, d, inner = s["hidden_size"], s["head_dim"], s["moe_intermediate_size"]

    def matrix(name, rows, columns, spread=1.3):
        w[name] = torch.randn(rows, columns, generator=g) * spread / columns ** 0.5

    def norm(name, size):
        w[name] = 1 + 0.3 * torch.randn(size, generator=g)

    w["model.embed_tokens.weight"] = torch.randn(VOCAB, h, generator=g)
    for i in range(s["num_hidden_layers"]):
        p = "model.layers.%d." % i
        norm(p + "input_layernorm.weight", h)
        norm(p + "post_attention_layernorm.weight", h)
        for name, heads in (("q", s["num_attention_heads"]), ("k", s["num_key_value_heads"]), ("v", s["num_key_value_heads"])):
            matrix(p + "self_attn.%s_proj.weight" % name, heads * d, h)
        norm(p + "self_attn.q_norm.weight", d)
        norm(p + "self_attn.k_norm.weight", d)
        matrix(p + "self_attn.o_proj.weight", h, s["num_attention_heads"] * d)
        matrix(p + "mlp.gate.weight", s["num_experts"], h, 3)
        for e in range(s["num_experts"]):
            matrix(p + "mlp.experts.%d.gate_proj.weight" % e, inner, h)
            matrix(p + "mlp.experts.%d.up_proj.weight" % e, inner, h)
            matrix(p + "mlp.experts.%d.down_proj.weight" % e, h, inner, 2.5)
    norm("model.norm.weight", h)
    w["lm_head.weight"] = torch.randn(VOCAB, h, generator=g) * 0.7
    w["lm_head.weight"][94:] *= 0.01  # the mask is never a guess
    return w


def save(folder, config, w):
    os.makedirs(folder, exist_ok=True)
    save_file(w, os.path.join(folder, "model.safetensors"))
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump(config, f, indent=1)


def dump(folder, name, values):
    with open(os.path.join(folder, name), "w") as f:
        f.write("[\n" + ",\n".join(json.dumps(v, separators=(",", ":")) for v in values) + "\n]\n")


def prompt(g, length):
    return torch.randint(0, PAD, (length,), generator=g).tolist()


# ------------------------------------------------------------------------------------------------------------------------- SDAR

class BlockModel:
    """What generate.py calls: keys and values stay only of passes that store them."""
    device = "cpu"

    def __init__(self, net):
        self.net, self.calls, self.margin = net, [], 9.0

    def eval(self):
        return self

    def __call__(self, x, attention_mask, position_ids, past_key_values, use_cache, store_kv):
        additive = torch.where(attention_mask[:, None] > 0, 0.0, torch.finfo(torch.float32).min)
        known = past_key_values.get_seq_length()
        out = self.net(input_ids=x, attention_mask=additive, position_ids=position_ids, past_key_values=past_key_values, use_cache=True)
        if not store_kv:
            past_key_values.crop(known)
        self.calls.append((position_ids[0, 0].item(), position_ids[0, -1].item() + 1, x[0].tolist(), store_kv))
        self.watch(out.logits[0], x[0])
        return out

    def watch(self, z, x):
        """How near the guesses of masks and their confidences are to others."""
        opened = x == MASK
        if not opened.any():
            return
        top = z[opened].topk(2).values
        sure = z[opened].softmax(-1).max(-1).values.sort().values
        self.margin = min([self.margin, (top[:, 0] - top[:, 1]).min().item()] + (sure[1:] - sure[:-1]).tolist())


def passes_of(calls, final):
    """What each pass wrote: the block's next input differs there."""
    result = []
    for i, (first, end, x, kept) in enumerate(calls):
        after = calls[i + 1][2] if not kept and i + 1 < len(calls) and calls[i + 1][0] == first else x if kept else final[first:end]
        kind = "denoise" if not kept else "prefill" if i == 0 and MASK not in x and first == 0 and len(calls) > 1 and calls[1][0] == end else "commit"
        result.append([kind, first, end, [[first + j, after[j]] for j in range(end - first) if after[j] != x[j]]])
    return result


def make_sdar(path, root):
    sys.path.insert(0, path)
    import generate
    torch.multinomial = lambda p, num_samples: p.argmax(-1, keepdim=True)
    w = weights(11)
    net = Qwen3MoeForCausalLM(Qwen3MoeConfig(**SHAPE, rope_parameters={"rope_type": "default", "rope_theta": 1e6}, attn_implementation="eager")).eval()
    net.load_state_dict({k: v for k, v in packed(w).items()})
    folder = os.path.join(root, "sdar-moe")
    save(folder, dict(SHAPE, model_type="sdar_moe", block_size=4, mask_token_id=MASK, eos_token_id=[EOS, PAD], pad_token_id=PAD, bos_token_id=PAD,
                      rope_theta=1e6, use_sliding_window=False), w)
    g = torch.Generator().manual_seed(5)
    ids = torch.tensor([prompt(g, 22)])
    blocks = torch.arange(22) // 4
    mask = torch.where(blocks[None, :] <= blocks[:, None], 0.0, torch.finfo(torch.float32).min)[None, None]
    with torch.no_grad():
        z = net(input_ids=ids, attention_mask=mask).logits[0]
    save_file({"input_ids": ids[0].int(), "logits": z.contiguous(), "block": torch.tensor([4], dtype=torch.int32)}, os.path.join(folder, "logits.safetensors"))
    runs = []
    for strategy, threshold, block, steps, top_k, top_p in [("low_confidence_static", 0.85, 4, 4, 0, 1.0), ("low_confidence_dynamic", 0.85, 4, 4, 0, 1.0),
                                                            ("low_confidence_dynamic", 0.3, 4, 4, 0, 1.0), ("sequential", 0.85, 4, 4, 0, 1.0),
                                                            ("low_confidence_static", 0.85, 8, 8, 0, 1.0), ("low_confidence_dynamic", 0.4, 8, 8, 0, 1.0),
                                                            ("low_confidence_dynamic", 0.6, 8, 8, 5, 0.7)]:
        for length in (3, 8, 13):
            for attempt in range(50):
                p = prompt(g, length)
                model = BlockModel(net)
                with torch.no_grad():
                    out = generate.block_diffusion_generate(model, {"input_ids": torch.tensor([p])}, MASK, gen_length=18, block_length=block, denoising_steps=steps,
                                                            temperature=1.0, top_k=top_k, top_p=top_p, remasking_strategy=strategy, confidence_threshold=threshold,
                                                            stopping_criteria_idx=[EOS, PAD])
                if model.margin >= LEAST_MARGIN:
                    break
            final = out[0].tolist()
            runs.append({"name": "%02d-%s-%g-b%d-p%d" % (len(runs), strategy, threshold, block, length), "prompt_ids": p, "function": "generate", "gen_length": 18,
                         "block_length": block, "denoising_steps": steps, "temperature": 1.0, "top_k": top_k, "top_p": top_p, "remasking_strategy": strategy,
                         "confidence_threshold": threshold, "stop_ids": [EOS, PAD], "passes": passes_of(model.calls, final),
                         "forward_passes": len(model.calls), "sequence": final, "smallest_margin": model.margin})
    dump(folder, "trajectories.json", runs)
    print("sdar-moe: %d runs, margins from %g" % (len(runs), min(r["smallest_margin"] for r in runs)))


def packed(w):
    """The same by the names of transformers 5: the experts of a layer are stacked, gate above up."""
    result = {k: v for k, v in w.items() if ".experts." not in k}
    for i in range(SHAPE["num_hidden_layers"]):
        p, count = "model.layers.%d.mlp.experts." % i, range(SHAPE["num_experts"])
        result[p + "gate_up_proj"] = torch.stack([torch.cat([w[p + "%d.gate_proj.weight" % e], w[p + "%d.up_proj.weight" % e]]) for e in count])
        result[p + "down_proj"] = torch.stack([w[p + "%d.down_proj.weight" % e] for e in count])
    return result


# ------------------------------------------------------------------------------------------------------------------------- RND1

def make_rnd1(path, root):
    sys.path.insert(0, path)
    from rnd.configuration_rnd import RND1Config
    from rnd.modeling_rnd import RND1LM
    from rnd.sampling import diffusion_sample
    config = RND1Config(moe_backend="hf")
    for key, value in dict(SHAPE, pad_token_id=PAD, eos_token_id=EOS, bos_token_id=None, mask_token_id=MASK,
                           rope_parameters={"rope_type": "default", "rope_theta": 1e6}).items():
        setattr(config, key, value)
    config._attn_implementation = "eager"
    net = RND1LM(config).eval()
    w = weights(12)
    net.load_state_dict(w)
    folder = os.path.join(root, "rnd1")
    save(folder, dict(SHAPE, model_type="rnd1", mask_token_id=MASK, eos_token_id=EOS, pad_token_id=PAD, rope_theta=1e6, use_sliding_window=False,
                      num_diffusion_steps=256), w)
    g = torch.Generator().manual_seed(7)
    ids = torch.tensor([prompt(g, 22)])
    with torch.no_grad():
        z = net(input_ids=ids).logits[0]
    save_file({"input_ids": ids[0].int(), "logits": z.contiguous()}, os.path.join(folder, "logits.safetensors"))
    calls, margin = [], [9.0]

    def watched(input_ids):
        out = net(input_ids=input_ids)
        calls.append(input_ids[0].tolist())
        z = out.logits[0, :-1][input_ids[0, 1:] == MASK]
        top = z.topk(2).values
        entropy = torch.distributions.Categorical(logits=z).entropy().sort().values
        margin[0] = min([margin[0], (top[:, 0] - top[:, 1]).min().item()] + (entropy[1:] - entropy[:-1]).tolist())
        return out

    watched.eval = lambda: None
    runs = []  # with top_k or top_p the authors' entropies are 0 times minus infinity: not a number, and the order an accident
    for length, new, steps, gamma, end in [(5, 12, 12, None, False), (1, 20, 7, None, False), (9, 17, 5, None, True),
                                                         (6, 13, 1, None, False), (4, 10, 24, None, False), (5, 16, 16, 0.5, False),
                                                         (8, 21, 6, 3.0, False), (2, 33, 32, None, False)]:
        for attempt in range(100):
            p = prompt(g, length)
            calls.clear()
            margin[0] = 9.0
            out = diffusion_sample(watched, seq_len=length + new, num_steps=steps, temperature=1.0, greedy=True, mask_token_id=MASK,
                                   prefix_ids=torch.tensor([p]), eos_token_id=EOS, pad_token_id=PAD, device="cpu", add_eos_at_end=end, eb_gamma=gamma)
            if margin[0] >= LEAST_MARGIN / 5:
                break
        canvases = [c[length:] for c in calls[1:]] + [out[0].tolist()[length:]]
        runs.append({"name": "%02d-p%d-n%d-s%d" % (len(runs), length, new, steps), "prompt_ids": p, "max_new_tokens": new, "num_steps": steps,
                     "eb_gamma": gamma, "last": EOS if end else PAD, "canvases": canvases, "smallest_margin": margin[0]})
    dump(folder, "trajectories.json", runs)
    print("rnd1: %d runs, margins from %g" % (len(runs), min(r["smallest_margin"] for r in runs)))


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    target = sys.argv[3] if len(sys.argv) > 3 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "goldens")
    make_rnd1(sys.argv[1], target)
    make_sdar(sys.argv[2], target)
