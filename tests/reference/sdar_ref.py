#!/usr/bin/env python3
"""Plain-numpy recomputation of SDAR's block-diffusion decoding.  Own writing.

    python3 sdar_ref.py [golden-folder...]        (default: tests/goldens/sdar)
"""
import numpy as np
from qwen_rows import Cache, Net, Record, best_positions, block_sees, guess, main, narrowed, softmax


def decode(net, case, draws=None):
    B, S, P = case["block_length"], case["denoising_steps"], len(case["prompt_ids"])
    blocks = -(-(P + case["gen_length"]) // B)                    # rounded up, counted from position 0
    x = np.full(blocks * B, net.mask)
    x[:P] = case["prompt_ids"]
    quota = [B // S + (s < B % S) for s in range(S)]
    cache, rec, full = Cache(), Record(), P // B * B
    if full:                                                      # whole prompt blocks: one block-causal pass
        cache.append(net.run(x[:full], np.arange(full), block_sees(0, full, B))[1])
        rec.note("prefill", 0, full)
    for s in range(full, len(x), B):
        rows, step = np.arange(s, s + B), 0
        while True:
            z, own = net.run(x[rows], rows, np.ones((B, s + B), bool), cache.layers)
            open_ = np.flatnonzero(x[rows] == net.mask)
            if not len(open_):
                cache.append(own)
                rec.note("commit", s, s + B)
                break
            z1 = narrowed(z, case, draws, open_)
            x0, conf = draws.draw(z1, open_) if draws else guess(z1)
            if case["function"] == "evaluation":                  # confidence before top-k and top-p
                conf = softmax(z / case["temperature"])[np.arange(B), x0]
            n, kind = quota[step], case["remasking_strategy"]
            if draws:
                ranked = np.sort(conf[open_])
                draws.near(np.append(conf[open_] - case["confidence_threshold"], ranked[1:] - ranked[:-1]))
            if kind == "sequential":
                pick = open_[:n]
            elif kind == "low_confidence_static":
                pick = best_positions(conf, open_, n)
            else:
                pick = open_[conf[open_] > case["confidence_threshold"]]
                if len(pick) < n:
                    pick = best_positions(conf, open_, n)
            before = x[rows].copy()
            x[rows[pick]] = x0[pick]
            rec.note("denoise", s, s + B, before, x[rows], s)
            step += 1
        if any(t in case["stop_ids"] for t in x[P:]):
            break
    return rec, x


def logits(net, name, t):
    return net.run(t["input_ids"], np.arange(len(t["input_ids"])), block_sees(0, len(t["input_ids"]), int(t["block"][0])))[0]


if __name__ == "__main__":
    main("sdar", decode, logits)
