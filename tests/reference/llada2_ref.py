#!/usr/bin/env python3
"""Plain-numpy recomputation of LLaDA2.0 / LLaDA2.1 (llada2_moe) with an exact block KV cache.  Own writing.

    python3 llada2_ref.py [golden-dir]

Every denoising pass runs the active block only, against the cached keys/values of the finished blocks;
the recorded reference recomputed the whole window with the block-causal mask, so agreement also shows
that the block cache is exact.
"""
import json
import math
import os
import sys
import numpy as np
from qwen_rows import Draws, narrowed, read_safetensors, softmax

F = np.float64


def rms(x, w, eps):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * w


def silu(x):
    return x / (1.0 + np.exp(-x))


class LLaDA2:
    def __init__(self, cfg, weights):
        self.c = cfg
        self.w = {k: v.astype(F) for k, v in weights.items()}
        self.L, self.H, self.G, self.d = (cfg["num_hidden_layers"], cfg["num_attention_heads"],
                                          cfg["num_key_value_heads"], cfg["head_dim"])
        self.rot = int(self.d * cfg["partial_rotary_factor"])
        self.inv = cfg["rope_theta"] ** (-np.arange(0, self.rot, 2) / self.rot)
        self.cache = [(np.zeros((0, self.G, self.d)), np.zeros((0, self.G, self.d)))] * self.L

    def turn(self, x, pos):                     # only the first `rot` dims of a head; pairs (i, i + rot/2)
        a = pos[:, None, None] * self.inv
        c, s, h = np.cos(a), np.sin(a), self.rot // 2
        p, q = x[..., :h], x[..., h:self.rot]
        return np.concatenate([p * c - q * s, q * c + p * s, x[..., self.rot:]], -1)

    def mlp(self, x, pre):
        return (silu(x @ self.w[pre + "gate_proj.weight"].T) * (x @ self.w[pre + "up_proj.weight"].T)) \
            @ self.w[pre + "down_proj.weight"].T

    def moe(self, x, pre):
        c = self.c
        s = 1.0 / (1.0 + np.exp(-(x @ self.w[pre + "gate.weight"].T)))
        choose = s + self.w[pre + "gate.expert_bias"]          # the bias only steers the choice
        out = np.zeros_like(x)
        for n in range(len(x)):
            grp = choose[n].reshape(c["n_group"], -1)
            score = np.sort(grp, -1)[:, -2:].sum(-1)           # a group is worth its two best experts
            ok = np.zeros(c["n_group"], bool)
            ok[np.argsort(-score, kind="stable")[:c["topk_group"]]] = True
            cand = np.where(np.repeat(ok, grp.shape[1]), choose[n], -np.inf)
            top = np.argsort(-cand, kind="stable")[:c["num_experts_per_tok"]]
            total = s[n, top].sum() + 1e-20 if c.get("norm_topk_prob", True) else 1
            wt = s[n, top] / total * c["routed_scaling_factor"]
            for e, q in zip(top, wt):
                out[n] += q * self.mlp(x[n], pre + "experts.%d." % e)
        return out + self.mlp(x, pre + "shared_experts.") if c["num_shared_experts"] else out

    def block(self, ids, start, keep):
        """logits of one block at positions start..; keep: append its keys/values to the cache."""
        c, eps = self.c, self.c["rms_norm_eps"]
        x = self.w["model.word_embeddings.weight"][np.asarray(ids)]
        pos = np.arange(start, start + len(ids)).astype(F)
        for i in range(self.L):
            p = "model.layers.%d." % i
            h = rms(x, self.w[p + "input_layernorm.weight"], eps)
            qkv = (h @ self.w[p + "attention.query_key_value.weight"].T).reshape(len(ids), -1, self.d)
            q, k, v = qkv[:, :self.H], qkv[:, self.H:self.H + self.G], qkv[:, self.H + self.G:]
            q = self.turn(rms(q, self.w[p + "attention.query_layernorm.weight"], eps), pos)
            k = self.turn(rms(k, self.w[p + "attention.key_layernorm.weight"], eps), pos)
            k, v = np.concatenate([self.cache[i][0], k]), np.concatenate([self.cache[i][1], v])
            if keep:
                self.cache[i] = (k, v)
            kk, vv = np.repeat(k, self.H // self.G, 1), np.repeat(v, self.H // self.G, 1)
            a = softmax(np.einsum("qhd,khd->hqk", q, kk) / math.sqrt(self.d))   # no mask inside the block
            a = np.einsum("hqk,khd->qhd", a, vv).reshape(len(ids), -1)
            x = x + a @ self.w[p + "attention.dense.weight"].T
            h = rms(x, self.w[p + "post_attention_layernorm.weight"], eps)
            x = x + (self.mlp(h, p + "mlp.") if i < c["first_k_dense_replace"] else self.moe(h, p + "mlp."))
        return rms(x, self.w["model.norm.weight"], eps) @ self.w["lm_head.weight"].T


def pick(lg):
    t = lg.argmax(-1)
    return t, softmax(lg)[np.arange(len(t)), t]


def best(conf, n):
    return np.argsort(-conf, kind="stable")[:n]


def generate(m, prompt, s, trace, draws=None):
    B, MASK, EOS = s["block_length"], s["mask_id"], s["eos_id"]
    edit = "editing_threshold" in s                      # 2.1
    P, steps = len(prompt), min(s["steps"], s["gen_length"])
    nb = -(-(P + s["gen_length"]) // B)
    x = np.full(nb * B, MASK)
    x[:P] = prompt
    for b in range(P // B):
        m.block(x[b * B:b * B + B], b * B, True)
    sched = [steps and B // steps + (1 if i < B % steps else 0) for i in range(steps)]
    for b in range(P // B, nb):
        lo = b * B
        cur = x[lo:lo + B]                               # a view
        from_prompt = np.arange(lo, lo + B) < P
        step = post = 0
        while True:
            open_ = cur == MASK
            if edit:
                post += 0 if open_.any() else 1
                if post > s["max_post_steps"]:
                    break
            elif step >= steps or not open_.any():
                break
            lg = m.block(cur, lo, False)
            trace.append((cur.copy(), lo + B, lg))
            rows = np.flatnonzero(~from_prompt if edit else open_)
            tok, pr = draws.draw(narrowed(lg, s, draws, rows), rows) if draws else pick(lg)
            need = s["num_to_transfer"] if edit else sched[step]
            conf = np.where(open_, pr, -np.inf)
            if draws:
                ranked = np.sort(pr[open_])
                draws.near(np.concatenate([pr[open_] - s["threshold"], ranked[1:] - ranked[:-1], pr[~open_ & ~from_prompt] - s["editing_threshold"] if edit else []]))
            take = conf > s["threshold"]
            if open_.any() and take.sum() < need:
                take = np.zeros(B, bool)
                take[best(conf, min(need, open_.sum()))] = True
            change = np.zeros(B, bool)
            if edit:
                change = ~open_ & ~from_prompt & (pr > s["editing_threshold"]) & (tok != cur)
            cur[take | change] = tok[take | change]
            step += 1
            if edit and not open_.any() and not change.any():
                break
            if not edit and s["eos_early_stop"] and (tok[take] == EOS).any():
                e = P + int(np.where(x[P:lo + B] == EOS)[0][0])    # the authors look from the prompt's beginning on
                if (x[P:e] != MASK).all():
                    return x[P:e + 1].tolist()
        m.block(cur, lo, True)                           # commit pass: the finished block enters the cache
        gen = x[P:lo + B]
        if edit:
            if s["eos_early_stop"] and (gen != MASK).all() and (gen == EOS).any():
                break
        elif (gen == EOS).any():
            break
    gen = x[P:P + s["gen_length"]].tolist()
    return gen[:gen.index(EOS) + 1] if EOS in gen else gen


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                                             "..", "goldens", "llada2")
    bad = 0
    for v in json.load(open(os.path.join(root, "cases.json"))):
        d = os.path.join(root, v["model"])
        m = LLaDA2(json.load(open(d + "/config.json")), read_safetensors(d + "/model.safetensors"))
        s = json.load(open("%s/%s.json" % (d, v["case"])))
        g = read_safetensors("%s/%s.safetensors" % (d, v["case"]))
        tr = []
        out = generate(m, g["input_ids"], s, tr, Draws(given=s["draws"]) if "draws" in s else None)
        n = len(g["logits"])
        ok = len(tr) == n and out == g["result"].tolist()
        ok = ok and all((a[0] == b).all() and a[1] == e for a, b, e in zip(tr, g["block_in"], g["window_end"]))
        err = max(np.abs(a[2] - b).max() for a, b in zip(tr, g["logits"]))
        ok = ok and err < 1e-4
        print("%-24s %3d passes (golden %d)  logits %.1e  %s" % (v["model"] + "/" + v["case"], len(tr), n, err,
                                                                 "ok" if ok else "FAILS"))
        bad += not ok
    print("ALL OK" if not bad else "%d FAILURES" % bad)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
