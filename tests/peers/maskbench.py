#!/usr/bin/env python3
"""MaskBench: which of its schemas are held, and whether their instances are judged rightly.

    tests/peers/maskbench.py DATA [--dimple COMMAND] [--failures OUT.json] [--only TEXT] [--every N]

DATA is the folder maskbench/data of https://github.com/guidance-ai/jsonschemabench, which is no part of this repository. As in
its runner, an instance becomes a text by json.dumps(data, ensure_ascii=False), and a schema passes if it compiles, all its valid
instances are accepted and no invalid one is. A schema that needs a file which is missing in the folder is not counted.
"""
import argparse
import collections
import glob
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", metavar="DATA")
    parser.add_argument("--dimple", default=os.path.join(os.path.dirname(__file__), "..", "..", "dimple"), metavar="COMMAND")
    parser.add_argument("--failures", metavar="OUT.json", help="write every failure with its cause")
    parser.add_argument("--only", default="", metavar="TEXT", help="only files whose name contains the text")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every Nth file")
    options = parser.parse_args()
    names = sorted(name for name in glob.glob(os.path.join(options.data, "*.json")) if options.only in os.path.basename(name))
    names = names[::options.every]
    tests = {}
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as lines:
        for name in names:
            with open(name, encoding="utf-8") as file:
                item = json.load(file)
            tests[name] = item["tests"]
            texts = [json.dumps(test["data"], ensure_ascii=False) for test in item["tests"]]
            lines.write(json.dumps({"schema": item["schema"], "texts": texts}) + "\n")
        lines.flush()
        run = subprocess.run(shlex.split(options.dimple) + ["schema", "--lines", lines.name], stdout=subprocess.PIPE, check=True)
    answers = [json.loads(line) for line in run.stdout.decode().splitlines()]
    if len(answers) != len(names):
        sys.exit(f"{len(answers)} answers for {len(names)} schemas")
    report(names, tests, answers, options.failures)


def cause(refused):
    """What a refusal is about, without places and names."""
    text = refused.split(": ", 1)[1] if refused.startswith("#") else refused
    text = re.sub(r" at character \d+ of the regular expression .*", "", text)
    text = re.sub(r"the reference .* leads", "a reference leads", text)
    return re.sub(r"type .*", "type", text) if text.startswith("the unknown type") else text


def report(names, tests, answers, out):
    failures = []
    refusals = collections.Counter()
    counts = collections.Counter()
    for name, answer in zip(names, answers):
        base = os.path.basename(name)
        if not answer["compiled"]:
            refusals[cause(answer["refused"])] += 1
            counts["refused"] += 1
            failures.append({"name": base, "refused": answer["refused"]})
            continue
        wrong = [i for i, (test, accepted) in enumerate(zip(tests[name], answer["accepts"])) if test["valid"] != accepted]
        missed = [i for i in wrong if tests[name][i]["valid"]]
        counts["passed"] += not wrong
        counts["valid instances not accepted"] += len(missed)
        counts["invalid instances accepted"] += len(wrong) - len(missed)
        counts["schemas with a valid instance not accepted"] += bool(missed)
        counts["schemas with an invalid instance accepted"] += len(wrong) > len(missed)
        if wrong:
            failures.append({"name": base, "missed": missed, "accepted": [i for i in wrong if i not in missed]})
    millis = sorted(answer["millis"] for answer in answers if "millis" in answer)
    states = sorted(answer["states"] for answer in answers if answer["compiled"])
    print(f"schemas {len(names)}")
    for key in ("passed", "refused", "schemas with a valid instance not accepted", "valid instances not accepted",
                "schemas with an invalid instance accepted", "invalid instances accepted"):
        print(f"{key} {counts[key]}")
    for part in (50, 75, 90, 95, 99, 99.9, 100):
        at = lambda values: values[min(len(values) - 1, int(len(values) * part / 100))] if values else 0
        print(f"p{part}: {at(millis):.2f} ms, {at(states)} states")
    for text, count in refusals.most_common():
        print(f"{count:6} {text}")
    if out:
        with open(out, "w", encoding="utf-8") as file:
            json.dump(failures, file, indent=1, ensure_ascii=False)


if __name__ == "__main__":
    main()
