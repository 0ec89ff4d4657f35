#!/usr/bin/env python3
"""Measure the paper's claims on dimple-mini with the project's own engine.

    python3 models/mini/experiments.py                        everything that the bundled model can show
    python3 models/mini/experiments.py --only thresholds,prefill
    python3 models/mini/experiments.py --runs DIR             also what needs trainings: DIR/mini, DIR/ar, DIR/diffusion and
                                                              DIR/ar-then-diffusion, each an --out of train.py, and
                                                              DIR/block, one of block_causal.py
    python3 models/mini/paper.py                              writes docs/paper.md and its plots from the results

Results go to models/mini/results.json, experiment by experiment; those that are not run keep their last ones.  Scenes,
questions and decoding are seeded: a second run differs in the times only.  Everything but `pytorch` calls `dimple eval`.
"""
import argparse
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile

import scenes
from tokenizer import Tokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
RESULTS = os.path.join(HERE, "results.json")
LENGTH = {"describe": 64, "json": 32}  # response lengths that `dimple eval` gives by default; other tasks have 16
ONE_TOKEN = ["--threshold", "0"]  # as many steps as the response has tokens
THRESHOLDS = [0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99]
SLOW = 200  # questions of an experiment that decodes many of them token by token
ROUNDS = 5  # of ways that are compared by time
PARTS = 10  # of questions that are asked in two ways in turn
RECIPES = ["ar", "diffusion", "ar-then-diffusion"]


class Bench:
    """The held-out scenes of a seed, their questions, and the engine that answers them."""

    def __init__(self, folder, model, runs, count, seed, threads):
        self.folder, self.model, self.runs, self.threads = folder, model, runs, threads
        self.examples = scenes.held_out_examples(count, seed)
        for i, (scene, _) in enumerate(self.examples):
            scenes.write_png(os.path.join(folder, self.picture(i)), scenes.draw(scene))

    @staticmethod
    def picture(i):
        return "%04d.png" % i

    def questions(self, wanted=lambda task: True):
        """The examples' questions of the wanted tasks as lines for `dimple eval`."""
        return [dict(image=self.picture(i), task=task, question=question, answer=answer)
                for i, (_, asked) in enumerate(self.examples) for task, question, answer in asked if wanted(task)]

    def dimple(self, *arguments):
        done = subprocess.run([os.path.join(ROOT, "dimple"), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            sys.exit("dimple %s: %s" % (" ".join(arguments), done.stderr.strip()))
        return done.stdout

    def ask(self, questions, *options, model=None):
        """The engine's answers to questions, in their order."""
        asked, given = os.path.join(self.folder, "asked.jsonl"), os.path.join(self.folder, "given.json")
        with open(asked, "w", encoding="utf-8") as lines:
            lines.writelines(json.dumps(q, ensure_ascii=False) + "\n" for q in questions)
        self.dimple("eval", asked, model or self.model, "--json", given, "--threads", str(self.threads), *map(str, options))
        with open(given, encoding="utf-8") as f:
            return json.load(f)

    def tokenizer(self):
        """The model's tokenizer, to count tokens."""
        metadata = json.loads(self.dimple("gguf", "inspect", self.model, "--json", "--full"))["metadata"]
        return Tokenizer([merge.split(" ") for merge in metadata["tokenizer.ggml.merges"]["value"]])

    def gguf(self, checkpoint, name):
        """A checkpoint folder as an F32 file."""
        path = os.path.join(self.folder, name + ".gguf")
        self.dimple("gguf", "convert", checkpoint, "-o", path, "--type", "f32", "--force")
        return path


def describe(task):
    return task == "describe"


def brief(task):
    """Whether answers have one or two words."""
    return task not in LENGTH


def summary(answers):
    """Figures of a list of answers; ms: medians."""
    iterations = sum(a["iterations"] for a in answers)
    return dict(questions=len(answers), exact=sum(a["exact"] for a in answers) / len(answers),
                share=iterations / sum(a["length"] for a in answers),
                ms=statistics.median(a["vision_ms"] + a["prefill_ms"] + a["steps_ms"] for a in answers),
                ms_iteration=sum(a["prefill_ms"] + a["steps_ms"] for a in answers) / iterations)


def per_task(answers):
    """Summaries by task; "short" is every task but describe."""
    groups = {}
    for a in answers:
        for name in {a["task"], "describe" if describe(a["task"]) else "short"}:
            groups.setdefault(name, []).append(a)
    return {name: summary(group) for name, group in groups.items()}


# ----------------------------------------------------------------------------------------------------- experiments
def accuracy(bench):
    """Every task with confident decoding, with one token per step, and without prefill."""
    asked = bench.questions()
    return dict(confident=per_task(bench.ask(asked)), one_token=per_task(bench.ask(asked, *ONE_TOKEN)),
                no_prefill=per_task(bench.ask(asked, "--no-prefill")))


def thresholds(bench):
    """Confident decoding at several thresholds, and schedules of fixed numbers of steps."""
    rows = []
    for kind, wanted, fixed in (("describe", describe, [64, 32, 16, 8, 4, 2]), ("short", brief, [16, 8, 4, 2])):
        asked = bench.questions(wanted)
        for threshold in THRESHOLDS:
            rows.append(dict(summary(bench.ask(asked, "--threshold", threshold)), kind=kind, threshold=threshold))
        for steps in fixed:
            rows.append(dict(summary(bench.ask(asked, *ONE_TOKEN, "--steps", steps)), kind=kind, steps=steps))
    return rows


def prefill(bench):
    """The same questions with and without the prompt's cache: short and long prompts, one and two pictures."""
    asked, long = bench.questions(describe)[:SLOW], " ".join(["Look at the image.", "Answer in one sentence."] * 8)
    twice = [dict(q, image=[q["image"]] * 2) for q in asked]
    rows = []
    for prompt, questions in (("one picture", asked), ("two pictures", twice), ("one picture, long prompt", [dict(q, system=long) for q in asked]),
                              ("one picture, short answer", bench.questions(brief)[:SLOW])):
        for decoding, options in (("confident", []), ("one token per step", ONE_TOKEN)):
            parts = {"kept": [], "anew": []}
            for start in range(0, len(questions), 50):  # in turn, so that a change of the machine's speed meets both
                chunk = questions[start:start + 50]
                parts["kept"] += bench.ask(chunk, *options)
                parts["anew"] += bench.ask(chunk, *options, "--no-prefill")
            rows.append(dict(prompt=prompt, decoding=decoding, kept=summary(parts["kept"]), anew=summary(parts["anew"])))
    return rows


def parsed(text):
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def json_summary(answers):
    """How often answers are JSON objects with the expected keys, and how many of their fields are right."""
    valid = right = fields = whole = 0
    for a in answers:
        wanted, given = json.loads(a["expected"]), parsed(a["answered"])
        valid += given is not None and list(given) == list(wanted)
        hits = sum(given is not None and given.get(k, None) == v and k in given for k, v in wanted.items())
        right, fields, whole = right + hits, fields + len(wanted), whole + (hits == len(wanted))
    return dict(questions=len(answers), valid=valid / len(answers), fields=right / fields, right=right, of=fields,
                whole=whole / len(answers),
                iterations=statistics.mean(a["iterations"] for a in answers))


def enumerated(words):
    return {"enum": list(words)}


ANY = {"type": "string"}
FIELDS = {"size": enumerated(scenes.SIZES), "color": enumerated(scenes.COLORS), "shape": enumerated(scenes.SHAPES),
          "background": enumerated(scenes.BACKGROUNDS), "shapes": {"type": "integer", "minimum": 1, "maximum": 4},
          "number": {"type": ["string", "null"], "pattern": "^[0-9]{1,2}$"}}
ANY_FIELDS = dict({name: ANY for name in FIELDS}, shapes={"type": "integer"}, number={"type": ["string", "null"]})


def schema(names, fields):
    return json.dumps({"type": "object", "properties": {name: fields[name] for name in names}, "required": names, "additionalProperties": False})


def skeleton(names, tokens):
    """Fixed tokens between slots: a word and its quotation marks, or a whole value where its kind is open."""
    pieces = ["{"]
    for i, name in enumerate(names):
        quoted = name not in ("shapes", "number")
        pieces[-1] += '%s"%s":%s' % (", " if i else "", name, ' "' if quoted else " ")
        pieces += [tokens, '"' if quoted else ""]
    return pieces[:-1] + [pieces[-1] + "}"]


def structure(bench):
    """Answers as JSON by asking for it, by skeletons of fixed tokens, and by schemas that the decoding is held to."""
    tokenizer = bench.tokenizer()
    shape, whole, keys = [], [], []
    for i, (scene, _) in enumerate(bench.examples):
        item = scene.items[i % len(scene.items)]
        where, image = scenes.place(item), bench.picture(i)
        shape.append(dict(image=image, task="json", question="Describe the shape at the %s as JSON." % where,
                          answer='{"size": "%s", "color": "%s", "shape": "%s"}' % (item.size, item.color, item.shape)))
        number = '"%s"' % scene.number.text if scene.number else "null"
        whole.append(dict(image=image, task="json", question="Summarize the image as JSON.",
                          answer='{"background": "%s", "shapes": %d, "number": %s}' % (scene.background, len(scene.items), number)))
        keys.append(dict(image=image, task="json", question="What is at the %s?" % where,
                         answer='{"color": "%s", "shape": "%s"}' % (item.color, item.shape)))
    rows = []
    for name, plain, names, known, suffix in (
            ("one shape", shape, ["size", "color", "shape"], ['{"size": "', 1, '", "color": "', 1, '", "shape": "', 1, '"}'], ""),
            ("whole picture", whole, ["background", "shapes", "number"], ['{"background": "', 1, '", "shapes": ', 1, ', "number":'], ""),
            ("keys by name", keys, ["color", "shape"], ['{"color": "', 1, '", "shape": "', 1, '"}'],
             ' Answer as JSON with the keys "color" and "shape".')):
        loose = skeleton(names, 8)
        tokens = sum(piece if isinstance(piece, int) else len(tokenizer.encode(piece)) for piece in loose)
        asked = [dict(q, question=q["question"] + suffix) for q in plain]
        ways = {"asked for": (asked, []),
                "skeleton, lengths known": ([dict(q, template=known, length=LENGTH["json"]) for q in plain], []),
                "skeleton, slots of 8": ([dict(q, template=loose, length=tokens) for q in plain], []),
                "schema, words listed": (asked, ["--json-schema", schema(names, FIELDS)]),
                "schema, any strings": (asked, ["--json-schema", schema(names, ANY_FIELDS)])}
        if suffix:
            ways["schema, words listed, no JSON asked for"] = (plain, ways["schema, words listed"][1])
        rows += [dict(json_summary(bench.ask(questions, *options)), asked=name, way=way) for way, (questions, options) in ways.items()]
    return rows


def structure_time(bench):
    """What a schema costs: the same questions free and under it, in turn; of each way the tenth percentile of the times of an answer,
    which the machine's other work hardly reaches."""
    names = ["background", "shapes", "number"]
    asked = [dict(image=bench.picture(i), task="json", question="Summarize the image as JSON.", answer="{}")
             for i in range(len(bench.examples))][:SLOW]
    ways = {"asked for": [], "schema, words listed": ["--json-schema", schema(names, FIELDS)],
            "schema, any strings": ["--json-schema", schema(names, ANY_FIELDS)]}
    times = {way: [] for way in ways}
    for _ in range(ROUNDS):
        for way, options in ways.items():
            times[way] += [a["vision_ms"] + a["prefill_ms"] + a["steps_ms"] for a in bench.ask(asked, *options)]
    return [dict(way=way, ms=statistics.quantiles(given, n=10)[0]) for way, given in times.items()]


PHRASE = r"a (\w+) (\w+) (\w+) at the (\w+ \w+)|the number (\d+) at the (\w+ \w+)"


def claims(text):
    """What a well-formed description says: (background, [(size, color, shape, place) or (number, place)]); else None."""
    whole = re.fullmatch(r"A (\w+) background with (.+)\.", text)
    if not whole:
        return None
    phrases = re.split(r", | and ", whole.group(2))
    matches = [re.fullmatch(PHRASE, p) for p in phrases]
    if not all(matches) or scenes.listed(phrases) != whole.group(2):
        return None
    return whole.group(1), [tuple(g for g in m.groups() if g) for m in matches]


def facts(scene):
    """The same of a scene."""
    items = [(o.size, o.color, o.shape, scenes.place(o)) for o in scene.items]
    return scene.background, items + ([(scene.number.text, scenes.place(scene.number))] if scene.number else [])


def length(bench):
    """Descriptions that must end at a given token: the template fixes the full stop and the end-of-text behind it.  The
    length is that of the right description without its last thing, or with all of them."""
    tokenizer, rows = bench.tokenizer(), []
    for name, dropped in (("all things", 0), ("one thing less", 1), ("two things less", 2)):
        asked, seen = [], []
        for i, (scene, _) in enumerate(bench.examples):
            phrases = scenes.phrases(scene)
            if len(phrases) > dropped:
                text = "A %s background with %s." % (scene.background, scenes.listed(phrases[:len(phrases) - dropped]))
                tokens = len(tokenizer.encode(text))
                asked.append(dict(image=bench.picture(i), task="describe", question=scenes.DESCRIBE[0], answer=text,
                                  template=[tokens - 1, ".<|endoftext|>"]))
                seen.append((scene, tokens, len(phrases) - dropped))
        formed = true = kept = 0
        for answer, (scene, tokens, things) in zip(bench.ask(asked), seen):
            said, wanted = claims(answer["answered"]), facts(scene)
            kept += len(tokenizer.encode(answer["answered"])) == tokens
            formed += said is not None and len(said[1]) == things
            true += said is not None and len(said[1]) == things and said[0] == wanted[0] and len(set(said[1])) == things \
                and set(said[1]) <= set(wanted[1])
        rows.append(dict(name=name, questions=len(asked), kept=kept / len(asked), formed=formed / len(asked), true=true / len(asked)))
    return rows


def quantization(bench):
    """The same weights in smaller block formats."""
    rows = []
    for kind in ("f16", "q8_0", "q4_k_m", "q4_0"):
        path = bench.model
        if kind != "f16":
            path = os.path.join(bench.folder, kind + ".gguf")
            bench.dimple("gguf", "quantize", bench.model, path, kind, "--force")
        tasks = per_task(bench.ask(bench.questions(), model=path))
        rows.append(dict(kind=kind, bytes=os.path.getsize(path), describe=tasks["describe"], short=tasks["short"]))
    return rows


def losses(folder):
    with open(os.path.join(folder, "losses.jsonl")) as f:
        return [json.loads(line) for line in f]


def padded(n):
    """The longest response that the paper's padding gives an answer of n tokens."""
    return 1 << n.bit_length() if n < 16 else (n // 16 + 1) * 16


def at_lengths(bench, model, *options):
    """Accuracy per task at the response lengths of the paper's padding, and at other lengths."""
    tokenizer, lengths = bench.tokenizer(), []
    fitting = [dict(q, length=padded(len(tokenizer.encode(q["answer"])))) for q in bench.questions()]
    for kind, wanted, sizes in (("describe", describe, [64, 80, 96, 128]), ("short", brief, [4, 8, 16, 32, 64])):
        asked = bench.questions(wanted)[:SLOW]
        for size in sizes:
            lengths.append(dict(summary(bench.ask([dict(q, length=size) for q in asked], *options, model=model)), kind=kind, length=size))
    return dict(tasks=per_task(bench.ask(fitting, *options, model=model)), lengths=lengths)


def recipes(bench):
    """Autoregressive only, diffusion only, and one after the other, for the same number of updates."""
    out = {}
    for name in RECIPES:
        folder = os.path.join(bench.runs, name)
        model = bench.gguf(os.path.join(folder, "dimple-mini"), name)
        options = ONE_TOKEN + ["--alg", "autoregressive"] if name == "ar" else []
        out[name] = dict(at_lengths(bench, model, *options), losses=losses(folder))
    return out


def lengths(bench):
    """The bundled model in the same way."""
    return at_lengths(bench, bench.model)


def training(bench):
    """The losses of the bundled model's training."""
    return losses(os.path.join(bench.runs, "mini"))


def pytorch(bench, count=50):
    """Answers of the engine against PyTorch's, both from the F32 checkpoint and without prompt cache."""
    import torch
    from evaluate import answers, load
    torch.set_num_threads(1)
    checkpoint = os.path.join(bench.runs, "mini", "dimple-mini")
    model, tokenizer = load(checkpoint)
    path, asked, rows = bench.gguf(checkpoint, "mini"), bench.questions()[:2 * count], []
    examples = [(scene,) + q for scene, qs in bench.examples[:count] for q in qs]
    for decoding, threshold, options in (("confident", 0.95, []), ("one token per step", None, ONE_TOKEN)):
        theirs = [text for text, _ in answers(model, tokenizer, examples, threshold)]
        ours = [a["answered"] for a in bench.ask(asked, "--no-prefill", *options, model=path)]
        rows.append(dict(decoding=decoding, questions=len(asked), equal=sum(a == b for a, b in zip(ours, theirs))))
    return rows


def blocks(bench, count=50):
    """The model under block diffusion beside the bundled one, by whole blocks and by halves; and its answers against PyTorch's."""
    import torch
    import block_causal
    from evaluate import load
    torch.set_num_threads(1)
    checkpoint = os.path.join(bench.runs, "block", "dimple-mini-block")
    path, asked, rows = bench.gguf(checkpoint, "block"), bench.questions(), {}
    at = ["--threshold", "0.95"]
    for way, options in (("blocks", ["--sub-block-length", block_causal.BLOCK]), ("halves", [])):
        rows[way] = bench.ask(asked, *at, *options, model=path)
    rows["bundled"] = bench.ask(asked, *at)
    model, tokenizer = load(checkpoint)
    theirs = block_causal.answers(model, tokenizer, bench.examples[:count], block_causal.BLOCK, 0.95)
    equal = sum(text == a["answered"] for (text, _), a in zip(theirs, rows["blocks"]))
    return dict({way: per_task(given) for way, given in rows.items()}, pytorch=dict(questions=len(theirs), equal=equal))


def random_prompts(count, seed):
    """Questions without sense or picture: words of the scenes' questions, letters and signs."""
    rng = random.Random(seed)
    words = " ".join(scenes.DESCRIBE + ["red blue circle square left of the what is how many"]).split() + list("abcxyz,.?!{}<|>0123456789é\u4e2d")
    return [dict(image=[], task="random", question=" ".join(rng.choices(words, k=rng.randint(1, 12))), answer="") for _ in range(count)]


def milliseconds(answers):
    return sum(a["prefill_ms"] + a["steps_ms"] for a in answers)


def without_and_with(bench, questions, without, switched, options):
    """The same questions in two ways, a few at a time in turn, so that a change of the machine's speed meets both. `time` is the median over
    these few of the second way's time as a share of the first's."""
    off, on, shares = [], [], []
    size = max(1, len(questions) // PARTS)
    for start in range(0, len(questions), size):
        ways = [(off, without), (on, switched)]
        for given, switch in ways if len(shares) % 2 else reversed(ways):  # the second of two may find a warmer machine
            given += bench.ask(questions[start:start + size], *switch, *options)
        shares.append(milliseconds(on[start:]) / milliseconds(off[start:]))
    return dict(decoding="one token per step" if ONE_TOKEN[0] in options else "confident", questions=len(questions),
                equal=sum(a["answered"] == b["answered"] for a, b in zip(off, on)),
                exact=[sum(a["exact"] for a in given) for given in (off, on)],
                iterations=[statistics.mean(a["iterations"] for a in given) for given in (off, on)],
                ms=[milliseconds(given) / len(given) for given in (off, on)], time=statistics.median(shares))


def early_stop(bench):
    """Whether ending a decoding with its text changes a text, and what it saves: iterations and time per answer without and with it."""
    asked = bench.questions()
    descriptions, short = [q for q in asked if describe(q["task"])], [q for q in asked if brief(q["task"])]
    nonsense = random_prompts(len(bench.examples), 1)
    rows = []
    for what, questions, length, options in (("short answers", short, 16, []), ("descriptions", descriptions, 64, []),
                                             ("descriptions", descriptions, 256, []), ("descriptions", descriptions[:SLOW], 64, ONE_TOKEN),
                                             ("random prompts", nonsense, 64, []), ("random prompts", nonsense[:SLOW], 64, ONE_TOKEN)):
        lengths = [option for task in sorted({q["task"] for q in questions}) for option in ("--length", "%s=%d" % (task, length))]
        rows.append(dict(without_and_with(bench, questions, ["--early-stop", "off"], ["--early-stop", "on"], lengths + options),
                         what=what, length=length))
    return rows


def prune(bench):
    """What no longer computing positions behind an end of text saves, and whether answers change."""
    asked = [q for q in bench.questions() if describe(q["task"])]
    rows = []
    for length, questions, options in ((64, asked, []), (256, asked, []), (64, asked[:SLOW], ONE_TOKEN), (256, asked[:SLOW // 4], ONE_TOKEN)):
        rows.append(dict(without_and_with(bench, questions, [], ["--prune"], ["--early-stop", "on", "--length", "describe=%d" % length] + options),
                         length=length))
    return rows


EXPERIMENTS = [accuracy, thresholds, prefill, structure, structure_time, length, quantization, lengths, training, recipes, pytorch, blocks, early_stop, prune]
NEED_RUNS = {"training", "recipes", "pytorch", "blocks"}


def record(name, result):
    """Put a result beside those of earlier calls."""
    results = {}
    if os.path.exists(RESULTS):
        with open(RESULTS, encoding="utf-8") as f:
            results = json.load(f)
    results[name] = result
    with open(RESULTS, "w", encoding="utf-8") as f:
        f.write(json.dumps(results, indent=1, sort_keys=True) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=os.path.join(HERE, "dimple-mini-f16.gguf"), help="the model (default: the bundled one)")
    parser.add_argument("--runs", help="folder with the trainings mini, ar, diffusion, ar-then-diffusion and block")
    parser.add_argument("--scenes", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1, help="threads of the engine; only times depend on it (default: 1)")
    names = [e.__name__ for e in EXPERIMENTS]
    parser.add_argument("--only", help="experiments, of " + ", ".join(names))
    args = parser.parse_args()
    wanted = args.only.split(",") if args.only else [n for n in names if args.runs or n not in NEED_RUNS]
    for name in wanted:
        if name not in names:
            parser.error("no experiment %s, there are %s" % (name, ", ".join(names)))
        if name in NEED_RUNS and not args.runs:
            parser.error("%s needs --runs" % name)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(folder, os.path.abspath(args.model), args.runs and os.path.abspath(args.runs), args.scenes, args.seed, args.threads)
        for experiment in EXPERIMENTS:
            if experiment.__name__ in wanted:
                print(experiment.__name__, flush=True)
                record(experiment.__name__, experiment(bench))
                record("settings", dict(scenes=args.scenes, seed=args.seed, threads=args.threads))


if __name__ == "__main__":
    main()
