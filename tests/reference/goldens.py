#!/usr/bin/env python3
"""Holds tests/goldens against the reference beside this script, or makes again what the reference made. Needs numpy.

    python3 tests/reference/goldens.py check     prints the largest difference of every kind of golden; exit status 1 above a limit
    python3 tests/reference/goldens.py write     writes the checkpoints' weights, and all results of delta and epsilon, in their places

The results in alpha, beta, gamma and units are the authors' own and cannot be made here; `check` compares them. What both commands start from
is in the goldens: config.json, preprocessor_config.json, the pictures, the prompts of inputs.json, and of each recorded decoding its settings,
prior and draws."""
import collections
import json
import os
import sys

import numpy as np

import dimple_ref as ref

GOLDENS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "goldens")
# Seed, type and spread of the logits of each checkpoint.
CHECKPOINTS = {"alpha": (101, "BF16", 4.0), "beta": (102, "BF16", 4.5), "gamma": (103, "F32", 4.0), "delta": (41, "F16", 4.0),
               "epsilon": (42, "BF16", 4.0)}
OWN = ["delta", "epsilon"]  # checkpoints whose results the reference made, not the authors
# Largest absolute difference; what is not here must be equal.
LIMITS = {"vision_features": 1e-4, "image_embeds": 2e-4, "hidden": 1e-3, "logits": 2e-3, "units/sampling": 1e-5}


class Replay:
    """Draws from a list of (kind, values), in the order in which they were made."""

    def __init__(self, records):
        self.records = collections.deque(records)

    def take(self, kind):
        recorded, values = self.records.popleft()
        if recorded != kind:
            raise ValueError("%s asked for, %s recorded" % (kind, recorded))
        return np.array(values)

    def uniform(self, n):
        return self.take("uniform").astype(np.float32)

    def permutation(self, n):
        return self.take("permutation")

    def categorical(self, probs):
        return self.take("categorical")

    def subset(self, weights, k):
        return self.take("subset")


class Folder:
    """A checkpoint folder: what is given, and what the reference makes of it."""

    def __init__(self, name, dtype):
        self.name, self.path = name, os.path.join(GOLDENS, name)
        self.cfg, tensors = ref.load_checkpoint(self.path)
        self.model = ref.Dimple(self.cfg, tensors, dtype)
        self.inputs = ref.read_json(self.file("inputs.json"))

    def file(self, name):
        return os.path.join(self.path, name)

    def array(self, name):
        return np.load(self.file(name + ".npy"))

    def patches(self, names):
        """Patches of pictures, stacked, and their grids; (None, None) of none."""
        limits = ref.read_json(self.file("preprocessor_config.json"))
        parts = [ref.image_patches(ref.read_image(self.file(name)), self.cfg, **{k: limits[k] for k in ref.PIXELS}) for name in names]
        return (np.concatenate([p for p, _ in parts]), [g for _, g in parts]) if parts else (None, None)

    def features(self, pixels, grids):
        """Of the tower and of the projector; (None, None) of no picture."""
        if pixels is None:
            return None, None
        features = self.model.vision(pixels, grids)
        return features, self.model.project(features)

    def forward(self, case, grids, embeds):
        """Positions, the inputs of all layers and the last norm's output, and the logits of the prompt with its masks."""
        ids = case["prompt_ids"] + [self.cfg["mask_token_id"]] * case["appended_masks"]
        positions, delta = ref.rope_positions(ids, grids, self.cfg)
        hidden = []
        last, _ = self.model.body(self.model.embed(ids, embeds), positions, None, self.model.mask(len(ids)), hidden)
        return positions, delta, np.stack(hidden + [last]), self.model.linear("lm_head", last)

    def decode(self, case, grids, pixels, run):
        return ref.generate(self.model, case["prompt_ids"], pixels, grids, Replay(run.get("draws", [])), run.get("prior"), **run["settings"])


def weights(folder):
    seed, kind, gain = CHECKPOINTS[folder.name]
    return ref.random_tensors(ref.read_json(folder.file("config.json")), seed, gain), kind


# ---------------------------------------------------------------------------------------------------------------- check
class Differences:
    def __init__(self):
        self.largest = collections.OrderedDict()

    def note(self, kind, expected, found):
        expected, found = np.asarray(expected, np.float64), np.asarray(found, np.float64)
        difference = np.inf if expected.shape != found.shape else np.abs(expected - found).max(initial=0)
        self.largest[kind] = max(difference, self.largest.get(kind, (0, 0))[0]), self.largest.get(kind, (0, 0))[1] + 1

    def report(self):
        bad = 0
        for kind, (difference, count) in self.largest.items():
            above = difference > LIMITS.get(kind, 0)
            bad += above
            print("%-20s %4d compared, largest difference %.3g%s" % (kind, count, difference, "   ABOVE %g" % LIMITS.get(kind, 0) if above else ""))
        return bad


def check_folder(name, differences):
    folder = Folder(name, np.float32)
    made, kind = weights(folder)
    stored = ref.read_safetensors(folder.file("model.safetensors"))
    differences.note("names of tensors", 0, int(sorted(made) != sorted(stored)))
    for tensor, values in stored.items():
        differences.note("weights", values, ref.DECODE[kind](ref.ENCODE[kind](made[tensor]).tobytes()).reshape(values.shape))
    pixels, grids = folder.patches(folder.inputs["images"])
    differences.note("grids", folder.inputs["grid_thw"], grids)
    features, embeds = folder.features(pixels, grids)
    differences.note("image_embeds", folder.array("image_embeds"), embeds)
    if name not in OWN:
        differences.note("pixel_values", folder.array("pixel_values"), pixels)
        differences.note("vision_features", folder.array("vision_features"), features)
        for i, image in enumerate(folder.inputs["images"]):
            resized = ref.read_image(folder.file("resized_%d.png" % i))
            differences.note("resized pictures", resized, ref.resize_bicubic(ref.read_image(folder.file(image)), *resized.shape[:2]))
    for case in folder.inputs["cases"]:
        check_case(folder, case, differences)


def check_case(folder, case, differences):
    pixels, grids = folder.patches(case["images"])
    positions, delta, hidden, logits = folder.forward(case, grids, folder.features(pixels, grids)[1])
    expanded = ref.expand_image_tokens(case["prompt_compact"], grids, folder.cfg) if grids else case["prompt_compact"]
    differences.note("prompts", case["prompt_ids"], expanded)
    differences.note("logits", folder.array("logits_" + case["name"]), logits)
    if folder.name not in OWN:
        differences.note("positions", folder.array("position_ids_" + case["name"]), positions)
        differences.note("positions", case["rope_delta"], delta)
        differences.note("hidden", folder.array("hidden_" + case["name"]), hidden)
    for run in ref.read_json(folder.file("trajectories_%s.json" % case["name"]))["runs"]:
        result = folder.decode(case, grids, pixels, run)
        differences.note("decodings", run["history"], result["history"])
        differences.note("decodings", run["tokens"], result["tokens"])


def check_units(differences):
    def unit(name):
        return ref.read_json(os.path.join(GOLDENS, "units", name + ".json"))

    for height, width, low, high, expected in unit("smart_resize")["rows"]:
        try:
            size = ref.smart_resize(height, width, 28, low, high)
        except ValueError:
            size = (0, 0)
        differences.note("units/smart_resize", (0, 0) if expected == "ValueError" else expected, size)
    for row in unit("windows"):
        order, lengths = ref.window_order(row["grid_thw"], row)
        differences.note("units/windows", row["window_index"], order)
        differences.note("units/windows", row["cu_window_seqlens"], np.cumsum([0] + lengths) * row["spatial_merge_size"] ** 2)
    tiny = ref.config_with_defaults(ref.tiny_config())
    for row in unit("rope_positions"):
        positions, delta = ref.rope_positions(row["ids"], row["grid_thw"], tiny, row["attention_mask"])
        differences.note("units/rope_positions", row["position_ids"], positions)
        differences.note("units/rope_positions", row["rope_delta"], delta)
    for row in unit("schedule"):
        differences.note("units/schedule", row["unmasked_per_step"], unmasked_per_step(row))
    for row in unit("sampling"):
        token, confidence = ref.pick(np.array(row["logits"], np.float32), row, None, row["confidence_kind"], row["use_original_confidence"])
        differences.note("units/sampling tokens", row["token"], token)
        differences.note("units/sampling", row["confidence"], confidence)


def unmasked_per_step(row):
    options = dict(ref.DEFAULTS, alg="maskgit_plus", **{k: row[k] for k in ("decoding_pipeline", "steps", "eps")})
    left, levels, counts = row["masks"], ref.noise_levels(row["steps"], row["eps"]), []
    for i in range(row["steps"]):
        counts.append(len(ref.choose(np.zeros((left, 2), np.float32), i, row["masks"], levels, options, None)[1]) if left else 0)
        left -= counts[-1]
        if row["decoding_pipeline"] == "dim" and not left:
            break
    return counts


def check():
    differences = Differences()
    for name in CHECKPOINTS:
        check_folder(name, differences)
    check_units(differences)
    return 1 if differences.report() else 0


# ---------------------------------------------------------------------------------------------------------------- write
def compact(content):
    return json.dumps(content, separators=(",", ":"))


def write_decodings(folder, case, pixels, grids):
    path = folder.file("trajectories_%s.json" % case["name"])
    given = ref.read_json(path)
    lines = []
    for run in given["runs"]:
        result = folder.decode(case, grids, pixels, run)
        lines.append("  " + compact(dict(run, tokens=result["tokens"], steps_run=result["steps_run"], model_calls=result["forward_passes"],
                                         history=result["history"])))
    with open(path, "w") as f:
        f.write('{\n "case": %s,\n "prompt_ids": %s,\n "runs": [\n%s\n ]\n}\n' % (
            compact(case["name"]), compact(case["prompt_ids"]), ",\n".join(lines)))


def write():
    for name in CHECKPOINTS:
        folder = Folder(name, np.float32)
        made, kind = weights(folder)
        ref.write_safetensors(folder.file("model.safetensors"), made, kind)
    for name in OWN:
        exact, single = Folder(name, np.float64), Folder(name, np.float32)
        embeds = exact.features(*exact.patches(exact.inputs["images"]))[1]
        np.save(exact.file("image_embeds.npy"), embeds.astype(np.float32))
        for case in exact.inputs["cases"]:
            pixels, grids = exact.patches(case["images"])
            logits = exact.forward(case, grids, exact.features(pixels, grids)[1])[3]
            np.save(exact.file("logits_%s.npy" % case["name"]), logits.astype(np.float32))
            write_decodings(single, case, pixels, grids)
    return 0


if __name__ == "__main__":
    commands = {"check": check, "write": write}
    if len(sys.argv) != 2 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    sys.exit(commands[sys.argv[1]]())
