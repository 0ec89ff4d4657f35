#!/usr/bin/env python3
"""Makes tests/goldens/stable-diffcoder: a small checkpoint with random weights, and what the authors' code writes with it.

    python3 tests/reference/stable_diffcoder_goldens.py FOLDER [TARGET]

FOLDER holds modeling_stable_diffcoder.py of ByteDance-Seed/Stable-DiffCoder-8B-Instruct, whose generate_block runs as it is on LlamaForCausalLM of
transformers 5.17.0, but that its masks are float32 like the weights and its cache crops to a size, as transformers 4 does. torch on a CPU. TARGET: tests/goldens.
"""
import json
import os
import sys

import torch
from safetensors.torch import save_file
from transformers import DynamicCache, LlamaConfig

VOCAB, BOS, PAD, EOS, MASK = 96, 0, 1, 2, 5
SHAPE = dict(vocab_size=VOCAB, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
             rms_norm_eps=1e-6, max_position_embeddings=256, tie_word_embeddings=False, attention_bias=False, mlp_bias=False, hidden_act="silu",
             bos_token_id=BOS, pad_token_id=PAD, eos_token_id=EOS)
LEAST_MARGIN = 1e-3


def weights(seed):
    g, s, w = torch.Generator().manual_seed(seed), SHAPE, {}
    h, d, inner = s["hidden_size"], s["head_dim"], s["intermediate_size"]

    def matrix(name, rows, columns, spread=1.3):
        w[name] = torch.randn(rows, columns, generator=g) * spread / columns ** 0.5

    def norm(name):
        w[name] = 1 + 0.3 * torch.randn(h, generator=g)

    w["model.embed_tokens.weight"] = torch.randn(VOCAB, h, generator=g)
    for i in range(s["num_hidden_layers"]):
        p = "model.layers.%d." % i
        norm(p + "input_layernorm.weight")
        norm(p + "post_attention_layernorm.weight")
        for name, heads in (("q", s["num_attention_heads"]), ("k", s["num_key_value_heads"]), ("v", s["num_key_value_heads"])):
            matrix(p + "self_attn.%s_proj.weight" % name, heads * d, h)
        matrix(p + "self_attn.o_proj.weight", h, s["num_attention_heads"] * d)
        matrix(p + "mlp.gate_proj.weight", inner, h)
        matrix(p + "mlp.up_proj.weight", inner, h)
        matrix(p + "mlp.down_proj.weight", h, inner, 2)
    norm("model.norm.weight")
    w["lm_head.weight"] = torch.randn(VOCAB, h, generator=g) * 0.7
    w["lm_head.weight"][MASK] *= 0.01  # the mask is never a guess
    w["lm_head.weight"][EOS] *= 1.3    # an end sometimes is
    return w


class SizedCache(DynamicCache):
    """crop as it was when the authors' code was written: to so many rows, not by so many."""

    def crop(self, size):
        surplus = self.get_seq_length() - size
        if surplus > 0:
            super().crop(-surplus)


class Watched:
    """Notes what generate_block runs, and how near what it decides by is to others."""

    def __init__(self, net):
        self.net, self.calls, self.margin, self.threshold = net, [], 9.0, None
        net.register_forward_pre_hook(self.before, with_kwargs=True)
        net.register_forward_hook(self.after, with_kwargs=True)

    def before(self, net, args, given):
        given["attention_mask"] = given["attention_mask"].float()
        return args, given

    def after(self, net, args, given, out):
        x, at = args[0][0], given["cache_position"]
        self.calls.append((at[0].item(), at[-1].item() + 1, x.tolist()))
        z = out.logits[0][x == MASK]
        if len(z) == 0:
            return
        top, sure = z.topk(2).values, z.double().softmax(-1).max(-1).values.sort().values
        edges = [] if self.threshold is None else (sure - self.threshold).abs().tolist()
        self.margin = min([self.margin, (top[:, 0] - top[:, 1]).min().item()] + (sure[1:] - sure[:-1]).tolist() + edges)


def passes_of(calls, prompt, final):
    """What each pass wrote: the block's next input differs there."""
    result = []
    for i, (first, end, x) in enumerate(calls):
        same = i + 1 < len(calls) and calls[i + 1][0] == first
        after = calls[i + 1][2] if same else final[first:end]
        kind = "denoise" if MASK in x else "prefill" if first == 0 and end <= prompt else "commit"
        result.append([kind, first, end, [[first + j, after[j]] for j in range(end - first) if after[j] != x[j]]])
    return result


def main():
    torch.set_grad_enabled(False)
    sys.path.insert(0, sys.argv[1])
    import modeling_stable_diffcoder
    from modeling_stable_diffcoder import StableDiffcoderForCausalLM
    modeling_stable_diffcoder.DynamicCache = SizedCache
    root = sys.argv[2] if len(sys.argv) > 2 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "goldens")
    folder = os.path.join(root, "stable-diffcoder")
    os.makedirs(folder, exist_ok=True)
    w = weights(21)
    net = StableDiffcoderForCausalLM(LlamaConfig(**SHAPE, rope_parameters={"rope_type": "default", "rope_theta": 5e5}, attn_implementation="eager")).eval()
    net.load_state_dict(w)
    save_file(w, os.path.join(folder, "model.safetensors"))
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump(dict(SHAPE, model_type="llama", architectures=["StableDiffcoderForCausalLM"], rope_theta=5e5), f, indent=1)
    g = torch.Generator().manual_seed(6)

    def prompt(length):
        return torch.randint(6, VOCAB, (length,), generator=g).tolist()

    ids = torch.tensor([prompt(22)])
    z = net(input_ids=ids, attention_mask=net._make_block_causal_mask(22, 4).float()).logits[0]
    save_file({"input_ids": ids[0].int(), "logits": z.contiguous(), "block": torch.tensor([4], dtype=torch.int32)}, os.path.join(folder, "logits.safetensors"))
    watched, runs = Watched(net), []
    for block, length, steps, threshold in [(4, 20, 20, None), (4, 20, 10, None), (4, 20, 5, None), (4, 24, 48, None), (4, 20, 20, 0.95), (4, 20, 20, 0.5),
                                            (4, 20, 20, 0.3), (8, 32, 32, None), (8, 32, 12, None), (8, 32, 32, 0.4)]:
        for count in (3, 8, 13, 18):
            for attempt in range(200):
                p = prompt(count)
                watched.calls, watched.margin, watched.threshold = [], 9.0, threshold
                out, passes = net.generate_block(torch.tensor([p]), steps=steps, gen_length=length, block_length=block, mask_id=MASK, threshold=threshold, eos_id=EOS)
                if watched.margin >= LEAST_MARGIN:
                    break
            final = out[0].tolist()
            runs.append({"name": "%02d-b%d-s%d-p%d" % (len(runs), block, steps, count), "prompt_ids": p, "function": "generate_block", "gen_length": length,
                         "block_length": block, "steps": steps, "threshold": threshold, "eos_id": EOS, "passes": passes_of(watched.calls, count, final),
                         "forward_passes": len(watched.calls), "sequence": final, "smallest_margin": watched.margin})
            assert passes == len(watched.calls) - (count >= block)
    with open(os.path.join(folder, "trajectories.json"), "w") as f:
        f.write("[\n" + ",\n".join(json.dumps(v, separators=(",", ":")) for v in runs) + "\n]\n")
    short = sum(len(r["sequence"]) < len(r["prompt_ids"]) + r["gen_length"] for r in runs)
    print("stable-diffcoder: %d runs, %d of which end early, margins from %g" % (len(runs), short, min(r["smallest_margin"] for r in runs)))


if __name__ == "__main__":
    main()
