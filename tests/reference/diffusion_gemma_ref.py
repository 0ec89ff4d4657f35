#!/usr/bin/env python3
"""Plain-numpy recomputation of DiffusionGemma (text, vision, block-diffusion sampler).

It needs numpy only.  It reads the goldens of tests/goldens/diffusion-gemma, replays the recorded random draws and compares every number.

    python3 tests/reference/diffusion_gemma_ref.py [golden-dir]
"""
import json
import math
import os
import struct
import sys
import numpy as np

F = np.float64          # arithmetic type of this check (the golden was made in float32)


def read_safetensors(path):
    with open(path, "rb") as fh:
        n = struct.unpack("<Q", fh.read(8))[0]
        head = json.loads(fh.read(n))
        blob = fh.read()
    kinds = {"F32": "<f4", "F64": "<f8", "I32": "<i4", "I64": "<i8", "F16": "<f2"}
    out = {}
    for name, d in head.items():
        if name == "__metadata__":
            continue
        a, b = d["data_offsets"]
        out[name] = np.frombuffer(blob[a:b], kinds[d["dtype"]]).reshape(d["shape"])
    return out


# ---------------------------------------------------------------- small pieces
def rms(x, w=None, eps=1e-6):
    y = x / np.sqrt((x * x).mean(-1, keepdims=True) + eps)
    return y if w is None else y * w            # weight is used as stored: no "+1"


def gelu_tanh(x):
    return 0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x ** 3)))


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def lin(x, w):                                   # torch layout: w is [out, in]
    return x @ w.T


def rope_half(x, ang):
    """x [T, heads, d], ang [T, d/2]: dimension i is paired with i + d/2."""
    h = x.shape[-1] // 2
    a, b = x[..., :h], x[..., h:]
    c, s = np.cos(ang)[:, None, :], np.sin(ang)[:, None, :]
    return np.concatenate([a * c - b * s, b * c + a * s], -1)


def attend(q, k, v, allow=None):
    """q [Tq, H, d], k/v [Tk, G, d], allow bool [Tq, Tk]; the scale is 1.0."""
    rep = q.shape[1] // k.shape[1]
    k, v = np.repeat(k, rep, 1), np.repeat(v, rep, 1)
    s = np.einsum("qhd,khd->hqk", q, k)
    if allow is not None:
        s = np.where(allow[None], s, -np.inf)
    return np.einsum("hqk,khd->qhd", softmax(s), v).reshape(q.shape[0], -1)


class DiffusionGemma:
    def __init__(self, cfg, weights):
        self.c, self.t, self.v = cfg, cfg["text_config"], cfg.get("vision_config")
        w = {k: a.astype(F) for k, a in weights.items()}
        # tied weights may be stored under either half; the decoder names are the canonical ones here
        for k in list(w):
            if k.startswith("model.encoder.language_model."):
                d = "model.decoder." + k[len("model.encoder.language_model."):]
                w.setdefault(d, w[k])
        for k in list(w):
            if k.startswith("model.decoder."):
                w.setdefault("model.encoder.language_model." + k[len("model.decoder."):], w[k])
        self.w = w
        self.emb = w["model.decoder.embed_tokens.weight"]
        self.eps = self.t["rms_norm_eps"]
        self.L = self.t["num_hidden_layers"]
        self.types = self.t["layer_types"]
        self.W = self.t["sliding_window"]
        self.kv = [None] * self.L                # encoder cache: (k, v) for ALL committed tokens
        self.n_cached = 0

    # -------------------------------------------------------------- positions
    def angles(self, layer_type, pos):
        p = self.t["rope_parameters"][layer_type]
        if layer_type == "sliding_attention":
            d = self.t["head_dim"]
            inv = p["rope_theta"] ** (-np.arange(0, d, 2) / d)
        else:                                    # "proportional": exponent over the FULL head size,
            d = self.t["global_head_dim"]        # only the first part of the d/2 frequencies is non-zero
            n = int(p.get("partial_rotary_factor", 1.0) * d // 2)
            inv = np.zeros(d // 2)
            inv[:n] = p["rope_theta"] ** (-2.0 * np.arange(n) / d) / p.get("factor", 1.0)
        return np.asarray(pos, F)[:, None] * inv[None, :]

    # -------------------------------------------------------------- one layer
    def layer(self, i, x, pos, decoder, img_group=None):
        pre = ("model.decoder.layers.%d." if decoder else "model.encoder.language_model.layers.%d.") % i
        g = lambda n: self.w[pre + n]
        sliding = self.types[i] == "sliding_attention"
        d = self.t["head_dim"] if sliding else self.t["global_head_dim"]
        T = x.shape[0]
        ang = self.angles(self.types[i], pos)

        h = rms(x, g("input_layernorm.weight"), self.eps)
        q = lin(h, g("self_attn.q_proj.weight")).reshape(T, -1, d)
        k = lin(h, g("self_attn.k_proj.weight")).reshape(T, -1, d)
        # full layers have no v_proj: the raw (un-normed, un-rotated) k projection is the value
        v = lin(h, g("self_attn.v_proj.weight")).reshape(T, -1, d) if sliding else k
        q = rope_half(rms(q, g("self_attn.q_norm.weight"), self.eps), ang)
        k = rope_half(rms(k, g("self_attn.k_norm.weight"), self.eps), ang)
        v = rms(v, None, self.eps)

        old = self.kv[i]
        if decoder:
            ok, ov = old
            if sliding:                          # the last W-1 committed tokens, whatever the canvas row
                lo = max(0, self.n_cached - (self.W - 1))
                ok, ov = ok[lo:], ov[lo:]
            a = attend(q, np.concatenate([ok, k]), np.concatenate([ov, v]))
        else:
            if old is not None:
                k, v = np.concatenate([old[0], k]), np.concatenate([old[1], v])
            self.kv[i] = (k, v)
            qp, kp = np.asarray(pos)[:, None], np.arange(k.shape[0])[None, :]
            allow = kp <= qp
            if sliding:
                allow &= kp > qp - self.W
            if img_group is not None:            # inside one image: everything sees everything
                gq = img_group[:, None]
                gk = np.full(k.shape[0], -1)
                gk[k.shape[0] - T:] = img_group
                allow |= (gq >= 0) & (gq == gk[None, :])
            a = attend(q, k, v, allow)

        x = x + rms(lin(a, g("self_attn.o_proj.weight")), g("post_attention_layernorm.weight"), self.eps)

        r = x
        h = rms(r, g("pre_feedforward_layernorm.weight"), self.eps)
        h = lin(gelu_tanh(lin(h, g("mlp.gate_proj.weight"))) * lin(h, g("mlp.up_proj.weight")),
                g("mlp.down_proj.weight"))
        dense = rms(h, g("post_feedforward_layernorm_1.weight"), self.eps)

        e_in = rms(r, g("pre_feedforward_layernorm_2.weight"), self.eps)
        z = rms(r, None, self.eps) * g("router.scale") / math.sqrt(r.shape[-1])
        p = softmax(lin(z, g("router.proj.weight")))
        K, m = self.t["top_k_experts"], self.t["moe_intermediate_size"]
        gu, dn, pes = g("experts.gate_up_proj"), g("experts.down_proj"), g("router.per_expert_scale")
        moe = np.zeros_like(r)
        for n in range(T):
            top = np.argsort(-p[n], kind="stable")[:K]
            wt = p[n, top] / p[n, top].sum() * pes[top]
            for ex, s in zip(top, wt):
                u = gu[ex] @ e_in[n]             # rows 0..m-1 gate, m..2m-1 up
                moe[n] += s * (dn[ex] @ (gelu_tanh(u[:m]) * u[m:]))
        moe = rms(moe, g("post_feedforward_layernorm_2.weight"), self.eps)

        x = r + rms(dense + moe, g("post_feedforward_layernorm.weight"), self.eps)
        return x * g("layer_scalar")             # this scalar differs between encoder and decoder

    # ---------------------------------------------------------------- encoder
    def encode(self, ids, img=None, mm_types=None):
        ids = np.asarray(ids)
        x = self.emb[np.where(ids == self.c["image_token_id"], self.t["pad_token_id"], ids)]
        x = x * math.sqrt(x.shape[1])
        group = None
        if img is not None:
            x = x.copy()
            x[ids == self.c["image_token_id"]] = img      # image rows are NOT multiplied by sqrt(hidden)
        if mm_types is not None:
            group, n, last = np.full(len(ids), -1), -1, False
            for j, m in enumerate(mm_types):
                here = m in (1, 2)
                if here and not last:
                    n += 1
                if here:
                    group[j] = n
                last = here
        pos = np.arange(self.n_cached, self.n_cached + len(ids))
        for i in range(self.L):
            x = self.layer(i, x, pos, False, group)
        self.n_cached += len(ids)
        return rms(x, self.w["model.decoder.norm.weight"], self.eps)   # only for checking: nobody uses it

    # ---------------------------------------------------------------- decoder
    def denoise(self, canvas, sc_logits=None):
        s = math.sqrt(self.emb.shape[1])
        x = self.emb[np.asarray(canvas)] * s
        if sc_logits is not None:
            soft = softmax(np.asarray(sc_logits, F)) @ self.emb * s
            g = lambda n: self.w["model.decoder.self_conditioning." + n]
            h = rms(soft, g("pre_norm.weight"), self.eps)
            x = x + lin(gelu_tanh(lin(h, g("gate_proj.weight"))) * lin(h, g("up_proj.weight")),
                        g("down_proj.weight"))
        x = rms(x, None, self.eps)               # always, also on the first step
        pos = np.arange(self.n_cached, self.n_cached + len(canvas))
        for i in range(self.L):
            x = self.layer(i, x, pos, True)
        x = rms(x, self.w["model.decoder.norm.weight"], self.eps)
        cap = self.t["final_logit_softcapping"]
        return np.tanh(lin(x, self.emb) / cap) * cap

    # ----------------------------------------------------------------- vision
    def clip_lin(self, x, name):
        if self.v.get("use_clipped_linears"):
            x = np.clip(x, self.w[name + ".input_min"], self.w[name + ".input_max"])
        y = lin(x, self.w[name + ".linear.weight"])
        if self.v.get("use_clipped_linears"):
            y = np.clip(y, self.w[name + ".output_min"], self.w[name + ".output_max"])
        return y

    def vision(self, patches, pos):
        """patches [n, 3*P*P] in 0..1, order (row, col, channel); pos [n, 2] = (x, y).  Padding rows are (-1,-1)."""
        v, eps, base = self.v, self.v["rms_norm_eps"], "model.encoder.vision_tower."
        keep = pos[:, 0] >= 0
        patches, pos = patches[keep].astype(F), pos[keep]
        table = self.w[base + "patch_embedder.position_embedding_table"]
        x = lin(2.0 * (patches - 0.5), self.w[base + "patch_embedder.input_proj.weight"])
        x = x + table[0][pos[:, 0]] + table[1][pos[:, 1]]
        d = v["head_dim"]
        half = d // 2                            # first half of the head turns with x, second half with y
        inv = v["rope_parameters"]["rope_theta"] ** (-np.arange(0, half, 2) / half)
        ax, ay = pos[:, :1] * inv, pos[:, 1:] * inv
        turn = lambda z: np.concatenate([rope_half(z[..., :half], ax), rope_half(z[..., half:], ay)], -1)
        for i in range(v["num_hidden_layers"]):
            p = base + "encoder.layers.%d." % i
            g = lambda n: self.w[p + n + ".weight"]
            h = rms(x, g("input_layernorm"), eps)
            q, k, u = [self.clip_lin(h, p + "self_attn.%s_proj" % n).reshape(len(h), -1, d) for n in "qkv"]
            a = attend(turn(rms(q, g("self_attn.q_norm"), eps)), turn(rms(k, g("self_attn.k_norm"), eps)),
                       rms(u, None, eps))
            x = x + rms(self.clip_lin(a, p + "self_attn.o_proj"), g("post_attention_layernorm"), eps)
            h = rms(x, g("pre_feedforward_layernorm"), eps)
            h = self.clip_lin(gelu_tanh(self.clip_lin(h, p + "mlp.gate_proj")) * self.clip_lin(h, p + "mlp.up_proj"),
                              p + "mlp.down_proj")
            x = x + rms(h, g("post_feedforward_layernorm"), eps)
        k = v["pooling_kernel_size"]
        gw = (pos[:, 0].max() + 1) // k
        cell = pos[:, 0] // k + gw * (pos[:, 1] // k)
        out = np.zeros((cell.max() + 1, x.shape[1]))
        np.add.at(out, cell, x)
        out = out / (k * k) * math.sqrt(x.shape[1])
        if v.get("standardize"):
            out = (out - self.w[base + "std_bias"]) * self.w[base + "std_scale"]
        return lin(rms(out, None, eps), self.w["model.encoder.embed_vision.embedding_projection.weight"])


# ------------------------------------------------------------------- sampler
def entropy_of(logits):
    lp = logits - logits.max(-1, keepdims=True)
    lp = lp - np.log(np.exp(lp).sum(-1, keepdims=True))
    return -(np.exp(lp) * lp).sum(-1)


def accept(ent, bound):
    order = np.argsort(ent, kind="stable")
    e = ent[order]
    mask = np.zeros(len(ent), bool)
    mask[order] = np.cumsum(e) - e <= bound      # sum of the entropies that are strictly before it in the order
    return mask


def draw(p, u):
    c = np.cumsum(p, -1)
    return np.minimum((c <= u[:, None] * c[:, -1:]).sum(-1), p.shape[-1] - 1)


def generate(m, ids, s, u_rows, rand_canvases, img=None, mm_types=None, trace=None, forced=None):
    """forced: golden tensors; each step then starts from the recorded canvas and self-conditioning logits
    (float32 noise grows from step to step in a lively random model, so free running is only compared in a calm one)."""
    ids, C, N = list(map(int, ids)), s["canvas_length"], s["max_denoising_steps"]
    u_rows, rand_canvases = iter(u_rows), iter(rand_canvases)
    fresh, calls = ids, 0
    n_prompt = len(ids)
    for b in range(math.ceil(s["max_new_tokens"] / C)):
        hid = m.encode(fresh, img if b == 0 else None, mm_types if b == 0 else None)
        if trace is not None:
            trace.setdefault("encoder", []).append(hid)
        canvas, sc, history = next(rand_canvases), None, []
        for step in range(N, 0, -1):
            if forced is not None:
                canvas = forced["canvas_in"][calls]
                sc = None if step == N else forced["proc"][calls - 1]
            calls += 1
            raw = m.denoise(canvas, sc)
            temp = s["t_min"] + (s["t_max"] - s["t_min"]) * step / N
            lg = raw / temp
            p = softmax(lg)
            den = draw(p, next(u_rows))
            best = lg.argmax(-1)
            ent = entropy_of(lg)
            ok = accept(ent, s["entropy_bound"])
            nxt = np.where(ok, den, next(rand_canvases))
            k = s["stability_threshold"]
            stable = k == 0 or (len(history) >= k and all((h == best).all() for h in history[-k:]))
            history.append(best)
            done = bool(stable and ent.mean() < s["confidence_threshold"])
            if trace is not None:
                for n, val in (("logits", raw), ("proc", lg), ("ent", ent), ("mask", ok), ("argmax", best), ("den", den),
                               ("canvas_in", canvas), ("nxt", nxt), ("finished", done)):
                    trace.setdefault(n, []).append(val)
            canvas, sc = nxt, lg                 # the tempered logits are the self-conditioning signal
            if done:
                break
        out = list(map(int, best))
        stop = [j for j, t in enumerate(out) if t in s["eos_token_id"]]
        if stop:
            out = out[:stop[0] + 1] + [s["pad_token_id"]] * (C - stop[0] - 1)
        ids += out
        if stop:
            break
        fresh = out
    if trace is not None:
        trace["tpf"] = sum(t != s["pad_token_id"] for t in ids[n_prompt:]) / calls
    return ids


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "goldens")
    bad = 0
    for model, case in (("diffusion-gemma", "text"), ("diffusion-gemma", "adaptive"), ("diffusion-gemma", "stab2"), ("diffusion-gemma", "pictures"),
                        ("diffusion-gemma-clipped", "picture")):
        tag, d = {"model": model, "case": case}, os.path.join(root, model)
        cfg = json.load(open(os.path.join(d, "config.json")))
        m = DiffusionGemma(cfg, read_safetensors(os.path.join(d, "model.safetensors")))
        s = json.load(open(os.path.join(d, tag["case"] + ".json")))
        gold = read_safetensors(os.path.join(d, tag["case"] + ".safetensors"))
        img = gold.get("image_features")
        if "pixel_values" in gold:
            img = m.vision(gold["pixel_values"], gold["image_position_ids"])
            e = np.abs(img - gold["image_features"]).max()
            print("%-28s image features    max abs err %.2e" % (tag["model"] + "/" + tag["case"], e))
            bad += e > 1e-4
        tr = {}
        ids = generate(m, gold["input_ids"], s, gold["u"].astype(F), gold["random_canvases"], img,
                       gold.get("mm_token_type_ids"), tr, None if tag.get("free_run", True) else gold)
        line = []
        for n, tol in [t for t in (("logits", 1e-4), ("proc", 1e-4 / s["t_min"]), ("ent", 1e-4)) if t[0] in gold]:
            e = np.abs(np.stack(tr[n]) - gold[n]).max()
            line.append("%s %.1e" % (n, e))
            bad += not e < tol
        for i, h in enumerate(tr["encoder"]):
            e = np.abs(h - gold["encoder_hidden.%d" % i]).max()
            line.append("enc%d %.1e" % (i, e))
            bad += not e < 1e-4
        for n in ("mask", "argmax", "den", "canvas_in", "nxt", "finished"):
            same = np.array_equal(np.stack(tr[n]).astype(int).reshape(-1), gold[n].reshape(-1))
            if not same:
                line.append(n + " DIFFERS")
            bad += not same
        if ids != gold["sequences"].tolist():
            line.append("sequence DIFFERS")
            bad += 1
        if abs(tr["tpf"] - s["tokens_per_forward"]) > 1e-6:
            line.append("tokens_per_forward DIFFERS")
            bad += 1
        print("%-28s %2d steps  %s" % (tag["model"] + "/" + tag["case"], len(tr["logits"]), "  ".join(line)))
    print("ALL OK" if not bad else "%d FAILURES" % bad)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
