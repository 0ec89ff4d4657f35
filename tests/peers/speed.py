#!/usr/bin/env python3
"""Measures the linear operations of a text model's layers beside GGML and ik_llama.cpp, in turn, and prints tables in Markdown.

    tests/peers/speed.py BUILD [--ggml ROOT] [--ik-source FOLDER --ik-native BUILD --ik-avx2 BUILD]
                         [--types ...] [--rows ...] [--levels ...] [--threads N] [--layers N] [--turns N] [--json FILE]

BUILD is a folder of `cmake --preset release` (csrc/CMakePresets.json). Of the others, whichever are named:
  --ggml       a Debian root with GGML 0.27 and gcc (packages libggml-dev, gcc, libc6-dev), entered by chroot; or `/` for this system's own
  --ik-source  ik_llama.cpp's sources; --ik-native and --ik-avx2 folders in which its library was built:
                 common="-DCMAKE_BUILD_TYPE=Release -DGGML_OPENMP=OFF -DBUILD_SHARED_LIBS=ON -DGGML_BUILD_EXAMPLES=OFF -DGGML_BUILD_TESTS=OFF"
                 cmake -S SOURCE/ggml -B NATIVE $common && cmake --build NATIVE
                 cmake -S SOURCE/ggml -B AVX2 $common -DGGML_NATIVE=OFF -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON && cmake --build AVX2
Every library runs the same shapes (layers.c) in a process of its own, which stays and is asked in turn, so that other work on the machine
slows all alike. A cell is made of medians of the turns: thousand million operations (a multiplication and an addition are two) per second of
ours, then ours over each of the others, above 1 is ours ahead. Of one thread the seconds are those of the processor, of more the wall's."""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TYPES = "q4_0,q4_k,q6_k,iq4_xs,q8_0,f16,bf16,f32"
# A level: its name, ours, and the library of GGML's for it.
LEVELS = {"native": ("auto", None), "avx512": ("avx512-vnni", "libggml-cpu-zen4.so"), "avx2": ("avx2", "libggml-cpu-haswell.so")}


class Contender:
    """A process that answers numbers of rows with seconds: the wall's (clock 0) or the processor's (1)."""

    def __init__(self, name, command, environment, clock):
        self.name, self.command, self.clock = name, command, clock
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment})
        first = self.process.stdout.readline().rsplit(" ", 1)
        if len(first) != 2:
            sys.exit(f"{name}: {' '.join(command)} gave no answer")
        self.form, self.weights = first[0], int(first[1])

    def seconds(self, rows):
        print(rows, file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit(f"{self.name}: {' '.join(self.command)} ended at {rows} rows")
        return float(answer.split()[self.clock])

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Peers:
    """Builds layers.c against what the options name."""

    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.shape = [str(options.threads), str(options.layers), str(options.width), str(options.feed_forward)]
        self.ggml = self.build_ggml() if options.ggml else None
        self.ik = {level: self.build_ik(level, build) for level, build in (("native", options.ik_native), ("avx512", options.ik_native), ("avx2", options.ik_avx2))
                   if build}

    def build_ggml(self):
        root = os.path.realpath(self.options.ggml)
        self.inside = ["chroot", root] if root != "/" else []
        # A name inside the root and outside of it.
        self.place = tempfile.mkdtemp(prefix="dimple-speed-", dir=os.path.join(root, "tmp"))
        shutil.copy(os.path.join(HERE, "layers.c"), self.place)
        inner = os.path.join("/", os.path.relpath(self.place, root))
        run(self.inside + ["cc", "-O2", f"{inner}/layers.c", "-o", f"{inner}/layers", "-lggml", "-lggml-base"])
        return f"{inner}/layers"

    def build_ik(self, level, build):
        program = os.path.join(self.folder, f"ik-{level}")
        library = find(build, "libggml.so")
        run(["cc", "-O2", "-DPEER_IK", f"-I{self.options.ik_source}/ggml/include", os.path.join(HERE, "layers.c"), "-o", program, library,
             f"-Wl,-rpath,{os.path.dirname(library)}", "-Wl,--allow-shlib-undefined"])  # a build without its flash attention lacks some
        return program

    def backend_library(self, level):
        """[path inside the root], or [] for the one that GGML chooses."""
        name = LEVELS[level][1]
        if not name:
            return []
        root = os.path.realpath(self.options.ggml)
        found = find(os.path.join(root, "usr", "lib"), name)
        return [os.path.join("/", os.path.relpath(found, root))]

    def start(self, kind, level):
        bench = os.path.join(self.options.build, "bench", "dimple-bench-layers")
        commands = {"ours": [bench, kind] + self.shape}
        if self.ggml:
            commands["GGML"] = self.inside + [self.ggml, kind] + self.shape + self.backend_library(level)
        if level in self.ik:
            commands["ik"] = [self.ik[level], kind] + self.shape
            commands["ik -rtr"] = commands["ik"] + ["rtr"]
        clock = 1 if self.options.threads == 1 else 0
        return [Contender(name, command, {"DIMPLE_CPU": LEVELS[level][0]}, clock) for name, command in commands.items()]

    def close(self):
        if self.ggml:
            shutil.rmtree(self.place)


def find(folder, name):
    for where, _, files in os.walk(folder):
        if name in files:
            return os.path.abspath(os.path.join(where, name))
    sys.exit(f"{folder} has no {name}")


def run(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}:\n{done.stdout}{done.stderr}")


def processor():
    with open("/proc/cpuinfo") as f:
        fields = dict(line.split(":", 1) for line in f if ":" in line)
    return " ".join(f"{key.strip()} {value.strip()}" for key, value in fields.items() if key.strip() in ("model name", "cpu family", "model"))


def measure(contenders, rows, turns):
    """Of each contender the seconds of every turn; one turn before them is not kept."""
    times = {c.name: [] for c in contenders}
    for turn in range(turns + 1):
        for c in contenders:
            taken = c.seconds(rows)
            if turn:
                times[c.name].append(taken)
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--ggml")
    parser.add_argument("--ik-source")
    parser.add_argument("--ik-native")
    parser.add_argument("--ik-avx2")
    parser.add_argument("--types", default=TYPES)
    parser.add_argument("--rows", default="1,8,16,64,128,320")
    parser.add_argument("--levels", default="avx512,avx2", help=", ".join(LEVELS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--width", type=int, default=1536)
    parser.add_argument("--feed-forward", type=int, default=8960)
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--json", help="every measurement, in seconds")
    options = parser.parse_args()
    if (options.ik_native or options.ik_avx2) and not options.ik_source:
        sys.exit("--ik-native and --ik-avx2 want --ik-source, for the headers")
    missing = [name for name, given in (("GGML (--ggml)", options.ggml), ("ik_llama.cpp (--ik-source, --ik-native)", options.ik_native),
                                        ("ik_llama.cpp for AVX2 (--ik-avx2)", options.ik_avx2)) if not given]
    for name in missing:
        print(f"speed.py: not measured, since not given: {name}", file=sys.stderr)
    kept = []
    rows = [int(r) for r in options.rows.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        peers = Peers(options, folder)
        try:
            print(f"{processor()}; {options.threads} threads, {options.layers} layers of {options.width} and {options.feed_forward}, "
                  f"medians of {options.turns} turns\n")
            for level in options.levels.split(","):
                tabulate(peers, level, options, rows, kept)
        finally:
            peers.close()
    if options.json:
        with open(options.json, "w") as f:
            json.dump(kept, f, indent=1)


def tabulate(peers, level, options, rows, kept):
    head = None
    for kind in options.types.split(","):
        contenders = peers.start(kind, level)
        if head is None:
            head = [c.name for c in contenders]
            print(f"{level} ({contenders[0].form}): GOP/s of ours, " + ", ".join(f"/ {name}" for name in head[1:]) + "\n")
            print("| type | " + " | ".join(f"{r} row{'s' if r > 1 else ''}" for r in rows) + " |\n" + "|---" * (len(rows) + 1) + "|")
        cells = []
        for r in rows:
            times = measure(contenders, r, options.turns)
            kept.append({"level": level, "type": kind, "rows": r, "forms": {c.name: c.form for c in contenders}, "seconds": times})
            ours = statistics.median(times["ours"])
            ratios = [f"{statistics.median(times[name]) / ours:.2f}" for name in head[1:]]
            cells.append(f"{2e-9 * r * contenders[0].weights / ours:.0f}" + "".join(f", {ratio}" for ratio in ratios))
        print(f"| {kind} | " + " | ".join(cells) + " |", flush=True)
        for c in contenders:
            c.close()
    print()


main()
