#!/usr/bin/env python3
"""Long answers: canvas after canvas, each behind the prompt and all that the ones before it hold. Needs numpy.

    python3 tests/reference/long_answers.py check   decodes again what tests/goldens/*/long_answers.json holds; exit status 1 if it differs
    python3 tests/reference/long_answers.py write   writes these files

The rule is `long_answer` below. With numbers of float64 the recorded answers are the same."""
import os
import sys

import numpy as np

import dimple_ref as ref
from goldens import Folder, compact

FOLDERS = ["gamma", "epsilon"]
SETTINGS = {
    "quota": dict(alg="maskgit_plus", steps=8, use_cache=False),
    "quota-cache": dict(alg="maskgit_plus", steps=8, use_cache=True),
    "threshold-cache": dict(alg="maskgit_plus", steps=8, alg_p_threshold=0.5, use_cache=True),
    "few-steps": dict(alg="topk_margin", steps=3, use_cache=False),
    "entropy-dream": dict(steps=6, alg="entropy", decoding_pipeline="dream", use_cache=True),
}
CANVAS, MOST = 8, 29  # the last canvas takes what is left


def long_answer(model, prompt, pixels, grids, canvas_length, most, ends, **settings):
    """The answer's tokens, at most `most`, in canvases of `canvas_length`; and of each canvas the responses after each step.

    A canvas is decoded as a response to a prompt that all canvases before it are the end of: nothing else passes from one to the next. The
    answer is over with the canvas that holds the first token of `ends`."""
    answer, histories = [], []
    while len(answer) < most and not set(answer) & set(ends):
        length = min(canvas_length, most - len(answer))
        result = ref.generate(model, prompt + answer, pixels, grids, max_new_tokens=length, **settings)
        answer += result["tokens"]
        histories.append(result["history"])
    return answer, histories


def runs(name, dtype):
    """Of each prompt of a checkpoint and each of the settings; picture tokens that a random model writes would ask for pictures."""
    folder = Folder(name, dtype)
    forbidden = {folder.cfg[k] for k in ("image_token_id", "vision_start_token_id", "mask_token_id")}
    for case in folder.inputs["cases"]:
        pixels, grids = folder.patches(case["images"])
        for setting, options in SETTINGS.items():
            options = dict(ref.DEFAULTS, **options)
            del options["max_new_tokens"]
            answer, histories = long_answer(folder.model, case["prompt_ids"], pixels, grids, CANVAS, MOST, [folder.cfg["eos_token_id"]],
                                            **options)
            if forbidden & set(answer):
                print("%s, %s, %s: left out, its answer has a token of pictures" % (name, case["name"], setting))
                continue
            yield dict(name=setting, case=case["name"], settings=dict(options, max_new_tokens=MOST), canvas_length=CANVAS, answer=answer,
                       canvases=histories)


def path(name):
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "goldens", name, "long_answers.json")


def check():
    bad = 0
    for name in FOLDERS:
        recorded = ref.read_json(path(name))["runs"]
        for dtype in (np.float32, np.float64):
            found = list(runs(name, dtype))
            bad += found != recorded
            print("%s, %s: %d runs, %s" % (name, dtype.__name__, len(found), "equal" if found == recorded else "DIFFERENT"))
    return 1 if bad else 0


def write():
    for name in FOLDERS:
        kept = [run for run, exact in zip(runs(name, np.float32), runs(name, np.float64)) if run == exact]
        with open(path(name), "w") as f:
            f.write('{\n "runs": [\n%s\n ]\n}\n' % ",\n".join("  " + compact(run) for run in kept))
    return 0


if __name__ == "__main__":
    commands = {"check": check, "write": write}
    if len(sys.argv) != 2 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    sys.exit(commands[sys.argv[1]]())
