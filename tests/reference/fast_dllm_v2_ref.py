#!/usr/bin/env python3
"""Plain-numpy recomputation of Fast-dLLM v2's block decoding (with and without the sub-block cache).  Own writing.

    python3 fast_dllm_v2_ref.py [golden-folder...]        (default: tests/goldens/fast-dllm-v2)
"""
import numpy as np
from qwen_rows import Cache, Record, block_sees, guess, main, narrowed


def closed(x, start, stop, mask):
    """An end token at or after `start` with no mask between `start` and it."""
    at = np.flatnonzero(x[start:] == stop)
    return len(at) > 0 and not (x[start:start + at[0]] == mask).any()


def decode(net, case, draws=None):
    B, small, stop, P = case["block_size"], case["small_block_size"], case["stop_token"], len(case["prompt_ids"])
    evaluation = case["function"] == "evaluation"
    x, cache, rec = np.array(case["prompt_ids"]), Cache(), Record()
    skip = 0                                       # positions of the sequence that the model never gets to see
    if P > B or P == B and "authors_defect" not in case:      # the authors leave out a prompt of exactly one block
        full = P // B * B
        z, own = net.run(x[:full], np.arange(full), block_sees(0, full, B))
        cache.append(own)
        if P == full:
            x = np.append(x, z[-1].argmax())
            rec.passes.append(["prefill", 0, full, [[full, int(x[-1])]]])
        else:
            rec.note("prefill", 0, full)
    elif P == B:
        skip = B                                   # exactly one block: neither prefilled nor in the window
    done = False
    for _ in range(case["max_new_tokens"] // B):
        if done or (not evaluation and stop in x[P:]):
            break
        known = len(x)
        x = np.append(x, np.full(B - known % B, net.mask))
        s, held = len(x) - B, None                 # window = last B positions; held: sub-block cache
        pos = np.arange(s, s + B) - skip
        ended = lambda: not evaluation and closed(x, known, stop, net.mask)
        for a in range(0, B, small):
            part = np.arange(a, a + small)
            while True:
                open_ = part[x[s + part] == net.mask]
                if not len(open_) or ended():
                    break
                if case["use_block_cache"] and held is not None and x[s + a] != net.mask:
                    past = [tuple(np.concatenate([h] if c is None else [c, h]) for c, h in zip(old, new))
                            for old, new in zip(cache.layers or [(None, None)] * len(held), held)]
                    sees = np.ones((small, cache.length + B + small), bool)
                    sees[:, cache.length + part] = False            # their old keys and values are replaced
                    z, own = net.run(x[s + part], pos[part], sees, past)
                    for (hk, hv), (k, v) in zip(held, own):
                        hk[part], hv[part] = k, v
                    z, kind, rows = np.vstack([z[:1], z[:-1]]), "part", part
                else:
                    z, own = net.run(x[s:], pos, np.ones((B, cache.length + B), bool), cache.layers)
                    if case["use_block_cache"]:
                        held = [(k.copy(), v.copy()) for k, v in own]
                    z = np.vstack([z[:1], z[:-1]])[part]            # row i is guessed by row i-1
                    kind, rows = ("refill" if case["use_block_cache"] else "denoise"), np.arange(B)
                rows_open = np.flatnonzero(x[s + part] == net.mask)
                x0, conf = draws.draw(narrowed(z, case, draws, rows_open), rows_open) if draws else guess(z)
                if draws:
                    ranked = np.sort(conf[rows_open])
                    draws.near(np.append(conf[rows_open] - case["threshold"], ranked[1:] - ranked[:-1]))
                conf = np.where(np.isin(part, open_), conf, -np.inf)
                take = (conf > case["threshold"]) | (np.arange(small) == conf.argmax())
                before = x[s + part].copy()
                x[(s + part)[take]] = x0[take]
                rec.note(kind, pos[rows[0]], pos[rows[-1]] + 1, before, x[s + part], s + a)
                done = done or (evaluation and (x0[take] == stop).any())
        if ended():
            break
        if done:                                   # evaluation: the block was filled to its end, then cleared behind the end token
            at = P + int(np.flatnonzero(x[P:] == stop)[0])
            x[at + 1:] = net.c["pad_token_id"]
            break
        z, own = net.run(x[s:], pos, np.ones((B, cache.length + B), bool), cache.layers)
        cache.append(own)
        x = np.append(x, z[-1].argmax())           # the next block's first token comes from this block's last row
        rec.passes.append(["commit", int(pos[0]), int(pos[-1]) + 1, [[len(x) - 1, int(x[-1])]]])
    if not evaluation and stop in x[P:]:
        x = x[:P + int(np.flatnonzero(x[P:] == stop)[0]) + 1]
    return rec, x


def logits(net, name, t):
    return net.run(t["input_ids"], np.arange(len(t["input_ids"])), block_sees(0, len(t["input_ids"]), int(t["block"][0])))[0]


if __name__ == "__main__":
    main("fast-dllm-v2", decode, logits)
