#!/usr/bin/env python3
"""Write docs/paper.md and its plots (docs/images/paper-*.svg) from models/mini/results.json.

    python3 models/mini/experiments.py      measures (see there)
    python3 models/mini/paper.py            writes; needs matplotlib
"""
import json
import os

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams.update({"svg.hashsalt": "dimple", "svg.fonttype": "none", "font.size": 10, "axes.grid": True, "grid.alpha": 0.3,
                            "axes.spines.top": False, "axes.spines.right": False})
from matplotlib import pyplot  # noqa: E402 (the backend is chosen first)

from experiments import LENGTH, RECIPES, RESULTS, ROOT, ROUNDS, SLOW

TASKS = ["describe", "count", "yesno", "locate", "attribute", "compare", "number", "json", "short"]
NAMES = {"ar": "autoregressive only", "diffusion": "diffusion only", "ar-then-diffusion": "autoregressive, then diffusion",
         "bundled": "the bundled model"}
WIDTH, HEIGHT = 6.4, 3.4  # inches of a plot


def percent(x):
    return "%.1f %%" % (100 * x)


def table(header, rows):
    lines = [header, ["---"] * len(header)] + rows
    return "\n".join("| %s |" % " | ".join(str(cell) for cell in line) for line in lines) + "\n"


def command(*only):
    return "    python3 models/mini/experiments.py --only %s\n" % ",".join(only)


def plot(name, draw, columns=1):
    """Draw into docs/images/paper-NAME.svg; returns its Markdown."""
    figure, axes = pyplot.subplots(1, columns, figsize=(WIDTH * (1.5 if columns > 1 else 1), HEIGHT), squeeze=False)
    draw(*axes[0])
    figure.tight_layout()
    figure.savefig(os.path.join(ROOT, "docs", "images", "paper-%s.svg" % name), metadata={"Date": None})
    pyplot.close(figure)
    return "![%s](images/paper-%s.svg)\n" % (name, name)


# ---------------------------------------------------------------------------------------------------------- sections
def accuracy(results):
    r = results["accuracy"]
    rows = [[task, r["confident"][task]["questions"]] + [percent(r[way][task]["exact"]) for way in ("confident", "one_token", "no_prefill")]
            + ["%.3f" % r["confident"][task]["share"]] for task in TASKS]

    def draw(axes):
        for k, (way, label) in enumerate((("confident", "confident, 0.95"), ("one_token", "one token per step"), ("no_prefill", "no prefill"))):
            axes.bar([i + 0.27 * (k - 1) for i in range(len(TASKS))], [100 * r[way][t]["exact"] for t in TASKS], 0.25, label=label)
        axes.set_xticks(range(len(TASKS)), TASKS, rotation=30)
        axes.set_ylabel("exact answers, %")
        axes.set_ylim(50, 100)
        axes.legend(loc="lower right")

    return [command("accuracy"), table(["task", "questions", "confident, 0.95", "one token per step", "no prefill", "iterations / length"], rows),
            "`short` is every task but `describe`.\n", plot("accuracy", draw)]


def recipes(results):
    r = dict(results["recipes"], bundled=results["lengths"])
    rows = [[NAMES[name]] + [percent(r[name]["tasks"][t]["exact"]) for t in TASKS] for name in NAMES]

    def curves(axes, second):
        for ax, k, title in ((axes, 0, "descriptions and JSON"), (second, 1, "short answers")):
            for name in RECIPES:
                done, x, y = 0, [], []
                for phase in dict.fromkeys(entry["phase"] for entry in r[name]["losses"]):
                    entries = {e["step"]: e["losses"][k] for e in r[name]["losses"] if e["phase"] == phase}
                    x += [done + step for step in sorted(entries)]
                    y += [entries[step] for step in sorted(entries)]
                    done += max(entries)
                ax.plot(x, y, label=NAMES[name])
            ax.set_yscale("log")
            ax.set_title(title)
            ax.set_xlabel("update")
        axes.set_ylabel("loss")
        axes.legend()

    def bias(axes, second):
        for ax, kind, title in ((axes, "describe", "descriptions"), (second, "short", "short answers")):
            for name in NAMES:
                line = [x for x in r[name]["lengths"] if x["kind"] == kind]
                ax.plot([x["length"] for x in line], [100 * x["exact"] for x in line], marker="o", label=NAMES[name])
            ax.set_title(title)
            ax.set_xlabel("response length given to the decoder, tokens")
            ax.set_xscale("log", base=2)
            ax.set_xticks([x["length"] for x in line], [x["length"] for x in line])
            ax.minorticks_off()
        axes.set_ylabel("exact answers, %")
        second.legend()

    lengths = []
    for kind in ("describe", "short"):
        sizes = [x["length"] for x in r["ar"]["lengths"] if x["kind"] == kind]
        lengths.append(table(["%s, response length" % kind] + sizes,
                             [[NAMES[name]] + [percent(x["exact"]) for x in r[name]["lengths"] if x["kind"] == kind] for name in NAMES]))
    return ["    python3 models/mini/train.py --recipe RECIPE --start RUNS/mini/language.pt --out RUNS/RECIPE     # for each recipe\n"
            "    python3 models/mini/experiments.py --only recipes --runs RUNS\n",
            table(["recipe"] + TASKS, rows), plot("losses", curves, 2), *lengths, plot("length-bias", bias, 2)]


def thresholds(results):
    rows = []
    for x in results["thresholds"]:
        how = "threshold %g" % x["threshold"] if "threshold" in x else "%d steps" % x["steps"]
        rows.append([x["kind"], how, percent(x["exact"]), "%.3f" % x["share"]])

    def draw(axes, second):
        for ax, kind in ((axes, "describe"), (second, "short")):
            for key, label in (("threshold", "confident decoding"), ("steps", "fixed number of steps")):
                line = [x for x in results["thresholds"] if x["kind"] == kind and key in x]
                ax.plot([x["share"] for x in line], [100 * x["exact"] for x in line], marker="o", label=label)
                for x in line:
                    ax.annotate("%g" % x[key], (x["share"], 100 * x["exact"]), fontsize=7, xytext=(3, -9), textcoords="offset points")
            ax.set_xscale("log")
            ax.set_title(kind)
            ax.set_ylim(70, 100)
            ax.set_xlabel("iterations / response length")
        axes.set_ylabel("exact answers, %")
        axes.legend(loc="lower right")

    return [command("thresholds"), table(["answers", "decoding", "exact", "iterations / length"], rows), plot("thresholds", draw, 2)]


def prefill(results):
    r, rows = results["prefill"], []
    for x in r:
        kept, anew = x["kept"], x["anew"]
        rows.append([x["prompt"], x["decoding"], percent(kept["exact"]), percent(anew["exact"]), "%.1f" % kept["ms"], "%.1f" % anew["ms"],
                     "%.2fx" % (anew["ms"] / kept["ms"]), "%.2fx" % (anew["ms_iteration"] / kept["ms_iteration"])])

    def draw(axes):
        shown = [x for x in r if x["decoding"] != "confident"]
        for k, (way, label) in enumerate((("kept", "prefill"), ("anew", "prompt recomputed"))):
            axes.barh([i + 0.4 * k for i in range(len(shown))], [x[way]["ms"] for x in shown], 0.38, label=label)
        axes.set_yticks([i + 0.2 for i in range(len(shown))], [x["prompt"] for x in shown])
        axes.set_xlabel("ms per answer, one token per step")
        axes.legend()

    return [command("prefill"), table(["prompt", "decoding", "exact", "exact, recomputed", "ms per answer", "ms, recomputed", "faster", "per iteration"], rows),
            plot("prefill", draw)]


def structure(results):
    rows = [[x["asked"], x["way"], percent(x["valid"]), percent(x["fields"]), percent(x["whole"]), "%.2f" % x["iterations"]]
            for x in results["structure"]]

    def draw(axes):
        names = list(dict.fromkeys(x["asked"] for x in results["structure"]))
        ways = [x["way"] for x in results["structure"] if x["asked"] == names[0]]
        for k, way in enumerate(ways):
            found = [x for x in results["structure"] if x["way"] == way]
            axes.bar([i + 0.16 * k - 0.32 for i in range(len(names))], [100 * x["fields"] for x in found], 0.14, label=way)
        axes.set_xticks(range(len(names)), names)
        axes.set_ylabel("fields right, %")
        axes.set_ylim(0, 150)
        axes.legend(ncol=2, fontsize=7)

    lengths = [[x["name"], x["questions"], percent(x["kept"]), percent(x["formed"]), percent(x["true"])] for x in results["length"]]
    return [command("structure", "structure_time", "length"), table(["question", "answer", "valid", "fields right", "all right", "iterations"], rows),
            plot("structure", draw), LENGTH_TEXT, table(["end at the length of", "questions", "length kept", "well formed", "and true"], lengths)]


LENGTH_TEXT = """A template also decides how long an answer is: here the full stop and the end-of-text token are fixed at the length that a
right description has, or at the length of one that leaves out a thing or two. "Well formed" is a sentence of the
grammar with the number of things that fits the length, "true" one that says nothing wrong about the picture.
"""


def quantization(results):
    rows = [[x["kind"], "%.2f MB" % (x["bytes"] / 1e6), percent(x["describe"]["exact"]), percent(x["short"]["exact"])] for x in results["quantization"]]

    def draw(axes):
        for key, label in (("describe", "descriptions"), ("short", "short answers")):
            axes.plot([x["bytes"] / 1e6 for x in results["quantization"]], [100 * x[key]["exact"] for x in results["quantization"]], marker="o", label=label)
        for x in results["quantization"]:
            axes.annotate(x["kind"], (x["bytes"] / 1e6, 100 * x["describe"]["exact"]), fontsize=8, xytext=(3, 4), textcoords="offset points")
        axes.set_ylim(80, 100)
        axes.set_xlabel("file, MB")
        axes.set_ylabel("exact answers, %")
        axes.legend()

    return [command("quantization"), table(["type", "file", "descriptions", "short answers"], rows), plot("quantization", draw)]


def pytorch(results):
    rows = [[x["decoding"], x["questions"], x["equal"]] for x in results["pytorch"]]
    return ["    python3 models/mini/experiments.py --only pytorch --runs RUNS\n", table(["decoding", "questions", "equal answers"], rows)]


def training(results):
    spoken = [e for e in results["training"] if len(e["losses"]) > 1]  # the tower alone has another loss

    def draw(axes):
        done = 0
        for phase in dict.fromkeys(e["phase"] for e in spoken):
            entries = {e["step"]: e["losses"] for e in spoken if e["phase"] == phase}  # a resumed step counts once
            for k, color in ((0, "C0"), (1, "C1")):
                axes.plot([done + step for step in sorted(entries)], [entries[step][k] for step in sorted(entries)], color=color,
                          label=("descriptions and JSON", "short answers")[k] if done == 0 else None)
            axes.annotate(phase, (done, 0.012), fontsize=7, rotation=60)
            done += max(entries)
            axes.axvline(done, color="gray", linewidth=0.5)
        axes.set_yscale("log")
        axes.set_xlabel("update")
        axes.set_ylabel("loss")
        axes.legend()

    return ["    python3 models/mini/train.py --out RUNS/mini\n    python3 models/mini/experiments.py --only training --runs RUNS\n",
            plot("training", draw)]


def figures(results):
    """The figures that paper-text.md names in its sentences."""
    confident, one = results["accuracy"]["confident"], results["accuracy"]["one_token"]
    recipe = {name: r["tasks"]["describe"]["exact"] for name, r in results["recipes"].items()}
    bias = {}
    for name, r in results["recipes"].items():
        line = [x["exact"] for x in r["lengths"] if x["kind"] == "short"]
        bias[name] = "%.0f" % (100 * (line[0] - line[-1]))
    describing = [x for x in results["thresholds"] if x["kind"] == "describe"]
    at = {x.get("threshold"): x for x in describing}
    fixed_best = max(x["exact"] for x in describing if "steps" in x)
    held = {}
    for x in results["structure"]:
        so_far = held.setdefault(x["way"], dict(right=0, of=0, valid=0, questions=0))
        for key in ("right", "of", "questions"):
            so_far[key] += x[key]
        so_far["valid"] += round(x["valid"] * x["questions"])
    faster = {x["prompt"]: "%.1f times" % (x["anew"]["ms"] / x["kept"]["ms"]) for x in results["prefill"] if x["decoding"] != "confident"}
    return dict(
        results["settings"], slow=SLOW, rounds=ROUNDS, updates=results["recipes"]["diffusion"]["losses"][-1]["step"], describe=percent(confident["describe"]["exact"]), short=percent(confident["short"]["exact"]),
        describe_iterations="%.1f" % (confident["describe"]["share"] * LENGTH["describe"]), describe_share="%.3f" % confident["describe"]["share"],
        one_iterations="%.0f" % (one["describe"]["share"] * LENGTH["describe"]), describe_one=percent(one["describe"]["exact"]),
        short_one=percent(one["short"]["exact"]), hybrid=percent(recipe["ar-then-diffusion"]), diffusion=percent(recipe["diffusion"]),
        ar=percent(recipe["ar"]), hybrid_bias=bias["ar-then-diffusion"], diffusion_bias=bias["diffusion"],
        fixed_best=percent(fixed_best), low_loss="%.1f" % (100 * (at[0.95]["exact"] - at[0.5]["exact"])),
        fast_picture=faster["one picture"], fast_short=faster["one picture, short answer"], fast_long=faster["one picture, long prompt"],
        prefill_change_short="%+.1f points" % (100 * (confident["short"]["exact"] - results["accuracy"]["no_prefill"]["short"]["exact"])),
        structure=held, structure_time={x["way"]: "%+.1f %%" % (100 * x["ms"] / results["structure_time"][0]["ms"] - 100) for x in results["structure_time"]},
        prefill_change="%+.1f points" % (100 * (confident["describe"]["exact"] - results["accuracy"]["no_prefill"]["describe"]["exact"])))


SECTIONS = [("How good the bundled model is", accuracy), ("Its training", training), ("The recipe: autoregressive, then diffusion", recipes),
            ("Confident decoding", thresholds), ("Prefilling", prefill), ("Structure priors", structure),
            ("Quantization", quantization), ("The engine and PyTorch", pytorch)]


CARD = os.path.join(os.path.dirname(RESULTS), "README.md")


def write_card(results):
    """The table of the model card, between its two markers."""
    r = results["accuracy"]["confident"]
    rows = [[t, r[t]["questions"], percent(r[t]["exact"]), "%.3f" % r[t]["share"]] for t in TASKS]
    text = ("Exact answers of the bundled file on %d held-out scenes, a description and a short question each, with confident decoding at\n"
            "threshold 0.95:\n\n" % results["settings"]["scenes"]) + table(["task", "questions", "exact", "iterations / response length"], rows)
    with open(CARD, encoding="utf-8") as f:
        before, rest = f.read().split("<!-- accuracy: written by paper.py -->\n")
    with open(CARD, "w", encoding="utf-8") as f:
        f.write(before + "<!-- accuracy: written by paper.py -->\n" + text + "<!-- end -->\n" + rest.split("<!-- end -->\n")[1])


def main():
    with open(RESULTS, encoding="utf-8") as f:
        results = json.load(f)
    with open(os.path.join(os.path.dirname(RESULTS), "paper-text.md"), encoding="utf-8") as f:
        texts = f.read().format(**figures(results)).split("\n## ")
    comments = {title: body for title, _, body in (t.partition("\n") for t in texts[1:])}
    parts = [texts[0].strip() + "\n"]
    for title, section in SECTIONS:
        parts += ["## %s\n" % title, comments[title].strip() + "\n", *section(results)]
    with open(os.path.join(ROOT, "docs", "paper.md"), "w", encoding="utf-8") as f:
        f.write("\n".join(parts))
    write_card(results)


if __name__ == "__main__":
    main()
