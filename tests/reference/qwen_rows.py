"""Plain-numpy Qwen2/Qwen3 decoder for block-diffusion references, and the checking of golden folders.  Own writing.

Used by sdar_ref.py and fast_dllm_v2_ref.py.  A pass computes some rows; every row sees the remembered rows
named by the caller and the rows of its own pass that its mask allows.  Biases and per-head norms are taken when present.
"""
import json
import os
import struct
import sys
import numpy as np

F = np.float64


def read_safetensors(path):
    with open(path, "rb") as f:
        head = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        blob = f.read()
    kind = {"F32": "<f4", "I32": "<i4", "I64": "<i8"}
    return {name: np.frombuffer(blob[t["data_offsets"][0]:t["data_offsets"][1]], kind[t["dtype"]]).reshape(t["shape"])
            for name, t in head.items() if name != "__metadata__"}


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def guess(z):
    """Best token of every row (lowest id among equals) and its probability."""
    best = z.argmax(-1)
    return best, softmax(z)[np.arange(len(z)), best]


def best_positions(conf, allowed, count):
    """The `count` most confident of the allowed places, lowest place first among equals."""
    allowed = np.asarray(allowed, int)
    return allowed[np.argsort(-conf[allowed], kind="stable")[:count]]


class Draws:
    """Tokens drawn of rows, or those that were drawn and recorded before; `margin` is how close a decision was."""

    def __init__(self, seed=0, given=None):
        self.random, self.given, self.records, self.margin = np.random.default_rng(seed), given, [], 1.0

    def draw(self, z, rows):
        """A token for each of these rows of narrowed logits, the best one for the others, and the probabilities of all."""
        p = softmax(z)
        tokens, _ = guess(z)
        tokens[rows] = [self.random.choice(p.shape[1], p=p[i] / p[i].sum()) for i in rows] if self.given is None else self.given[len(self.records)][1]
        self.records.append(["categorical", [int(t) for t in tokens[rows]]])
        return tokens, p[np.arange(len(z)), tokens]

    def near(self, values):
        self.margin = min([self.margin, *np.abs(np.asarray(values, float)).ravel()])


def narrowed(z, case, draws=None, rows=()):
    """Temperature, top-k and top-p in this order, as the authors of SDAR and of Fast-dLLM v2 apply them."""
    z = z / case["temperature"]
    if case.get("top_k", 0) > 0:
        z = np.where(z < -np.sort(-z, -1)[:, case["top_k"] - 1:case["top_k"]], -np.inf, z)
    if case["top_p"] < 1:
        order = np.argsort(-z, -1, kind="stable")
        cum = np.cumsum(np.take_along_axis(softmax(z), order, -1), -1)
        if draws is not None:
            draws.near(cum[list(rows)] - case["top_p"])
        drop = np.concatenate([np.zeros((len(z), 1), bool), cum[:, :-1] > case["top_p"]], -1)     # the first that passes p stays
        z = np.array(z)
        np.put_along_axis(z, order, np.where(drop, -np.inf, np.take_along_axis(z, order, -1)), -1)
    return z


class Net:
    def __init__(self, folder):
        self.c = c = json.load(open(os.path.join(folder, "config.json")))
        self.w = {k: v.astype(F) for k, v in read_safetensors(os.path.join(folder, "model.safetensors")).items()}
        self.mask = c["mask_token_id"]
        self.heads, self.kv = c["num_attention_heads"], c["num_key_value_heads"]
        self.d = c.get("head_dim") or c["hidden_size"] // self.heads
        self.inv = c["rope_theta"] ** (-np.arange(0, self.d, 2) / self.d)
        self.out = self.w["model.embed_tokens.weight"] if c["tie_word_embeddings"] else self.w["lm_head.weight"]

    def norm(self, x, name):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + self.c["rms_norm_eps"]) * self.w[name]

    def linear(self, x, name):
        y = x @ self.w[name + ".weight"].T
        return y + self.w[name + ".bias"] if name + ".bias" in self.w else y

    def turn(self, x, pos):
        a = np.outer(pos, self.inv)[:, None, :]
        l, r = x[..., :self.d // 2], x[..., self.d // 2:]
        return np.concatenate([l * np.cos(a) - r * np.sin(a), r * np.cos(a) + l * np.sin(a)], -1)

    def run(self, ids, pos, sees, past=None):
        """ids, pos: the rows.  past: per layer (keys, values), or None.  sees: boolean [rows, past + rows].
        Returns logits [rows, vocab] and per layer the rows' own (keys, values), turned by their positions."""
        x, own = self.w["model.embed_tokens.weight"][np.asarray(ids)], []
        n = len(x)
        for i in range(self.c["num_hidden_layers"]):
            L = "model.layers.%d." % i
            h = self.norm(x, L + "input_layernorm.weight")
            q, k, v = (self.linear(h, L + "self_attn.%s_proj" % s).reshape(n, -1, self.d) for s in "qkv")
            if L + "self_attn.q_norm.weight" in self.w:
                q, k = self.norm(q, L + "self_attn.q_norm.weight"), self.norm(k, L + "self_attn.k_norm.weight")
            q, k = self.turn(q, pos), self.turn(k, pos)
            own.append((k, v))
            if past is not None:
                k, v = np.concatenate([past[i][0], k]), np.concatenate([past[i][1], v])
            y = np.zeros((n, self.heads, self.d))
            for a in range(self.heads):
                g = a * self.kv // self.heads
                s = np.where(sees, q[:, a] @ k[:, g].T / np.sqrt(self.d), -np.inf)
                live = sees.any(1)
                y[live, a] = softmax(s[live]) @ v[:, g]
            x = x + self.linear(y.reshape(n, -1), L + "self_attn.o_proj")
            h = self.norm(x, L + "post_attention_layernorm.weight")
            g, u = self.linear(h, L + "mlp.gate_proj"), self.linear(h, L + "mlp.up_proj")
            x = x + self.linear(g / (1 + np.exp(-g)) * u, L + "mlp.down_proj")
        return self.norm(x, "model.norm.weight") @ self.out.T, own


class Cache:
    """Keys and values of committed rows, appended in order."""

    def __init__(self):
        self.layers, self.length = None, 0

    def append(self, own):
        if self.layers is None:
            self.layers = own
        else:
            self.layers = [tuple(np.concatenate(p) for p in zip(a, b)) for a, b in zip(self.layers, own)]
        self.length = len(self.layers[0][0])


def block_sees(first, rows, block):
    """Rows first .. first+rows-1 see every position whose block is not later than their own."""
    q, k = np.arange(first, first + rows) // block, np.arange(first + rows) // block
    return k[None, :] <= q[:, None]


class Record:
    """What a decoder did: one entry per pass, [kind, first row, end row, [[position, token], ...]]."""

    def __init__(self):
        self.passes = []

    def note(self, kind, first, end, before=None, after=None, offset=0):
        wrote = [] if before is None else [[int(offset + j), int(after[j])] for j in np.flatnonzero(np.asarray(before) != after)]
        self.passes.append([kind, int(first), int(end), wrote])


def main(default, decode, logits):
    """decode(net, case) -> (Record, sequence).  logits(net, tensors) -> array to compare with tensors['logits']."""
    base = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "goldens")
    folders = sys.argv[1:] or [os.path.join(base, default)]
    fine = bool(folders)
    for folder in folders:
        net, bad, passes, worst = Net(folder), [], 0, 0.0
        for name in sorted(f for f in os.listdir(folder) if f.startswith("logits") and f.endswith(".safetensors")):
            t = read_safetensors(os.path.join(folder, name))
            e = float(np.abs(logits(net, name, t) - t["logits"]).max() / np.abs(t["logits"]).max())
            worst = max(worst, e)
            if not e <= 1e-5:
                bad.append("%s off by %.1e of the largest" % (name, e))
        cases = [c for name in ("trajectories.json", "drawn.json") if os.path.exists(os.path.join(folder, name)) for c in json.load(open(os.path.join(folder, name)))]
        for c in cases:
            r, seq = decode(net, c, Draws(given=c["draws"])) if "draws" in c else decode(net, c)
            passes += len(r.passes)
            seq = [int(t) for t in seq]
            if r.passes != c["passes"] or seq != c["sequence"] or len(r.passes) != c["forward_passes"]:
                at = next((i for i, (a, b) in enumerate(zip(r.passes, c["passes"])) if a != b), min(len(r.passes), len(c["passes"])))
                bad.append("%s differs at pass %d: %s, recorded %s" % (c["name"], at, r.passes[at:at + 1], c["passes"][at:at + 1]))
        print("%-22s %d cases, %d passes, logits within %.1e of the largest, %s"
              % ("/".join(os.path.abspath(folder).split(os.sep)[-2:]), len(cases), passes, worst, "%d BAD" % len(bad) if bad else "OK"))
        for b in bad[:10]:
            print("   ", b[:300])
        fine = fine and not bad
    print("ALL OK" if fine else "NOT OK")
    sys.exit(0 if fine else 1)
