#!/usr/bin/env python3
"""Procedurally drawn scenes and questions about them: the whole world of dimple-mini.

A scene is a plain or slightly noisy background with one to four coloured shapes, each in its own cell of a
3x3 layout, and sometimes a written number.  Its description is a function of its content: shapes in reading
order, then the number.  Held-out scenes are disjoint from training scenes by construction: the checksum of
the description decides (see `is_held_out`), so no training picture has the content of a held-out one.

    python3 models/mini/scenes.py --held-out 1000 --seed 1 --out DIR

writes DIR/0000.png ... and DIR/scenes.jsonl, one line {"image", "task", "question", "answer"} per question.

    python3 models/mini/scenes.py --samples --seed 40 --out docs/images

writes the sample pictures of the documentation, all held out: DIR/scene.png (the first of them again),
DIR/scene-01.png ... DIR/scene-10.png and DIR/scenes.json with what is right to say about each.
"""
import argparse
import functools
import json
import os
import random
import struct
import zlib
from collections import namedtuple

import numpy as np

SHAPES = ["circle", "square", "triangle", "diamond", "star", "cross"]
COLORS = {"red": (215, 40, 40), "green": (35, 150, 60), "blue": (40, 75, 220), "yellow": (240, 215, 40),
          "purple": (135, 50, 175), "orange": (245, 135, 25), "cyan": (60, 205, 225), "pink": (250, 140, 195)}
BACKGROUNDS = {"white": (245, 245, 245), "gray": (140, 140, 140), "black": (20, 20, 20), "brown": (95, 62, 40)}
INK = {"white": (15, 15, 15), "gray": (10, 10, 10), "black": (245, 245, 245), "brown": (245, 240, 230)}
SIZES = {"small": (14, 18), "large": (28, 34)}  # diameter in pixels, both ends included
ROWS, COLS = ["top", "middle", "bottom"], ["left", "center", "right"]
SIDES = [112, 140, 168]  # picture sides in pixels: multiples of 28, so that preprocessing never resizes
CELL_MARGIN = 6          # centres keep this distance in pixels from the border of their cell

# Digits as 5x7 bitmaps, one string of five cells per row.
DIGITS = ["01110 10001 10001 10001 10001 10001 01110", "00100 01100 10100 00100 00100 00100 11111",
          "01110 10001 00001 00110 01000 10000 11111", "11110 00001 00001 01110 00001 00001 11110",
          "10010 10010 10010 11111 00010 00010 00010", "11111 10000 11110 00001 00001 10001 01110",
          "01110 10000 10000 11110 10001 10001 01110", "11111 00001 00010 00100 00100 01000 01000",
          "01110 10001 10001 01110 10001 10001 01110", "01110 10001 10001 01111 00001 00001 01110"]

# row, col: cell of the 3x3 layout.  x, y: centre in pixels.  rgb: the colour with its small variation.
Item = namedtuple("Item", "size color shape row col x y diameter rgb")
Number = namedtuple("Number", "text row col x y scale")
# noise: (amplitude, row, column) of a cut-out of the noise field.
Scene = namedtuple("Scene", "height width background rgb items number noise")


def place(item):
    return "%s %s" % (ROWS[item.row], COLS[item.col])


def phrases(scene):
    """What a description lists, in order."""
    out = ["a %s %s %s at the %s" % (o.size, o.color, o.shape, place(o)) for o in scene.items]
    return out + (["the number %s at the %s" % (scene.number.text, place(scene.number))] if scene.number else [])


def listed(phrases):
    return ", ".join(phrases[:-1]) + " and " + phrases[-1] if len(phrases) > 1 else phrases[0]


def describe(scene):
    """The one right description of a scene."""
    return "A %s background with %s." % (scene.background, listed(phrases(scene)))


def is_held_out(scene):
    """One content in ten is kept away from training, whatever the picture's size, noise and exact pixels."""
    return zlib.crc32(describe(scene).encode()) % 10 == 0


# ------------------------------------------------------------------------------------------- drawing a scene
def random_centre(rng, cell, side, radius):
    """A pixel coordinate inside cell 0, 1 or 2 of a side, away from the cell's and the picture's border."""
    low = max(cell * side / 3 + CELL_MARGIN, radius + 1)
    high = min((cell + 1) * side / 3 - CELL_MARGIN, side - radius - 1)
    return rng.randint(int(np.ceil(low)), int(high))


def candidate_scene(rng, height, width, crowded):
    background = rng.choice(list(BACKGROUNDS))
    count = 8 if crowded else rng.choice([1, 2, 2, 3, 3, 3, 4, 4, 4])
    with_number = rng.random() < (0.9 if crowded else 0.4)
    cells = rng.sample(range(9), count + with_number)
    number = None
    if with_number:
        row, col = divmod(cells.pop(), 3)
        text, scale = str(rng.randint(0, 9) if rng.random() < 0.4 else rng.randint(10, 99)), rng.choice([2, 3])
        half = (6 * len(text) - 1) * scale // 2 + 1
        number = Number(text, row, col, random_centre(rng, col, width, half),
                        random_centre(rng, row, height, 4 * scale), scale)
    items = []
    for cell in sorted(cells):
        row, col = divmod(cell, 3)
        size, color, shape = rng.choice(list(SIZES)), rng.choice(list(COLORS)), rng.choice(SHAPES)
        diameter = rng.randint(*SIZES[size])
        rgb = tuple(min(255, max(0, c + rng.randint(-12, 12))) for c in COLORS[color])
        items.append(Item(size, color, shape, row, col, random_centre(rng, col, width, diameter // 2),
                          random_centre(rng, row, height, diameter // 2), diameter, rgb))
    rgb = tuple(min(255, max(0, c + rng.randint(-8, 8))) for c in BACKGROUNDS[background])
    noise = (rng.choice([0, 0, 3, 6, 9]), rng.randrange(64), rng.randrange(64))
    return Scene(height, width, background, rgb, items, number, noise)


def random_scene(rng, held_out, height=None, width=None, crowded=False):
    """A scene of the wanted split; rng is a random.Random.  crowded: eight shapes, to show the vision tower more of them
    at a time."""
    height, width = height or rng.choice(SIDES), width or rng.choice(SIDES)
    while True:
        scene = candidate_scene(rng, height, width, crowded)
        if is_held_out(scene) == held_out:
            return scene


@functools.lru_cache(None)
def sprite(shape, diameter):
    """Coverage of a shape's pixels, float32 [diameter x diameter], from 4x4 samples per pixel."""
    axis = (np.arange(diameter * 4) + 0.5) / (diameter * 2) - 1
    x, y = np.meshgrid(axis, axis)
    if shape == "circle":
        inside = x * x + y * y <= 1
    elif shape == "square":
        inside = np.maximum(abs(x), abs(y)) <= 0.88
    elif shape == "triangle":
        inside = (y <= 0.85) & (abs(x) <= (y + 1) * 0.54)
    elif shape == "diamond":
        inside = abs(x) * 1.35 + abs(y) <= 1
    elif shape == "cross":
        inside = (np.minimum(abs(x), abs(y)) <= 0.32) & (np.maximum(abs(x), abs(y)) <= 0.95)
    else:  # a five-pointed star: distance to the edge of the sector that the angle falls into
        angle = np.mod(np.arctan2(x, -y) + np.pi / 5, 2 * np.pi / 5) - np.pi / 5
        radius, inner, tip = np.hypot(x, y), 0.42, np.pi / 5
        u, v = radius * np.cos(angle), radius * abs(np.sin(angle))
        ix, iy = inner * np.cos(tip), inner * np.sin(tip)
        inside = (u - ix) * iy + (v - iy) * (1 - ix) <= 0
        inside &= radius <= 1
    return inside.reshape(diameter, 4, diameter, 4).mean((1, 3)).astype(np.float32)


@functools.lru_cache(None)
def number_sprite(text, scale):
    """Coverage of a number's pixels, float32 [7*scale x (6*digits-1)*scale]."""
    rows = [[[int(c) for c in line] for line in DIGITS[int(d)].split()] for d in text]
    grid = np.concatenate([np.pad(np.array(g, np.float32), ((0, 0), (0, 1))) for g in rows], 1)[:, :-1]
    return np.kron(grid, np.ones((scale, scale), np.float32))


@functools.lru_cache(None)
def noise_field():
    """Gaussian noise of unit variance, int16 in 1/16 units, large enough for every cut-out."""
    side = max(SIDES) + 64
    return np.clip(np.random.default_rng(7).standard_normal((side, side, 3)) * 16, -48, 48).astype(np.int16)


def layers(scene):
    """(coverage, top, left, rgb) of everything drawn, bottom to top; the number comes last."""
    out = []
    for o in scene.items:
        out.append((sprite(o.shape, o.diameter), o.y - o.diameter // 2, o.x - o.diameter // 2, o.rgb))
    if scene.number:
        n = scene.number
        cover = number_sprite(n.text, n.scale)
        out.append((cover, n.y - cover.shape[0] // 2, n.x - cover.shape[1] // 2, INK[scene.background]))
    return out


def draw(scene):
    """uint8 picture [height x width x 3]."""
    image = np.empty((scene.height, scene.width, 3), np.int16)
    image[:] = scene.rgb
    for cover, top, left, rgb in layers(scene):
        box = image[top:top + cover.shape[0], left:left + cover.shape[1]]
        box += ((np.array(rgb, np.float32) - box) * cover[:, :, None]).astype(np.int16)
    amplitude, y, x = scene.noise
    if amplitude:
        image += noise_field()[y:y + scene.height, x:x + scene.width] * np.int16(amplitude) >> 4
    return np.clip(image, 0, 255).astype(np.uint8)


def owners(scene):
    """Which layer covers each pixel: uint8 [height x width], 0 = background, k + 1 = item k, 9 = the number."""
    owner = np.zeros((scene.height, scene.width), np.uint8)
    for k, (cover, top, left, _) in enumerate(layers(scene)):
        box = owner[top:top + cover.shape[0], left:left + cover.shape[1]]
        box[cover > 0.5] = k + 1 if k < len(scene.items) else 9
    return owner


# -------------------------------------------------------------------------------------- questions and answers
DESCRIBE = ["Describe this image.", "Describe this image.", "Describe the image.", "Describe the picture.",
            "What is in this image?", "What do you see?", "Describe this scene in detail.",
            "Beschreibe dieses Bild.", "Décris cette image.", "Describe esta imagen."]
TASKS = ["count", "yesno", "locate", "attribute", "compare", "number", "json"]


def unique(scene, key):
    """Items whose key no other item of the scene has."""
    keys = [key(o) for o in scene.items]
    return [o for o in scene.items if keys.count(key(o)) == 1]


def named(o):
    return "%s %s" % (o.color, o.shape)


def ask_count(rng, scene):
    kind = rng.randrange(3)
    if kind == 0:
        return rng.choice(["How many shapes are there?", "How many objects are in the image?", "Count the shapes.",
                           "Wie viele Formen sind im Bild?", "Combien de formes y a-t-il ?",
                           "¿Cuántas formas hay?"]), str(len(scene.items))
    o = rng.choice(scene.items)
    if kind == 1:
        shape = o.shape if rng.random() < 0.75 else rng.choice(SHAPES)
        plural = shape + ("es" if shape == "cross" else "s")
        question = rng.choice(["How many %s are there?", "Count the %s.", "How many %s do you see?"]) % plural
        return question, str(sum(i.shape == shape for i in scene.items))
    color = o.color if rng.random() < 0.75 else rng.choice(list(COLORS))
    question = rng.choice(["How many %s shapes are there?", "Count the %s shapes.", "How many objects are %s?"]) % color
    return question, str(sum(i.color == color for i in scene.items))


def ask_yesno(rng, scene):
    kind, o = rng.randrange(4), rng.choice(scene.items)
    if kind == 0:  # a colour and a shape that are both often in the picture, but not always on one item
        other = rng.choice(scene.items)
        wanted = (o.color, o.shape) if rng.random() < 0.45 else rng.choice(
            [(o.color, other.shape), (o.color, rng.choice(SHAPES)), (rng.choice(list(COLORS)), o.shape)])
        truth = any((i.color, i.shape) == wanted for i in scene.items)
        question = rng.choice(["Is there a %s %s?", "Do you see a %s %s?", "Is a %s %s in the image?"]) % wanted
    elif kind == 1:
        shape = o.shape if rng.random() < 0.5 else rng.choice(SHAPES)
        truth = shape == o.shape
        question = "Is there a %s at the %s?" % (shape, place(o))
    elif kind == 2:
        color = scene.background if rng.random() < 0.5 else rng.choice(list(BACKGROUNDS))
        truth = color == scene.background
        question = "Is the background %s?" % color
    else:
        truth = scene.number is not None
        question = rng.choice(["Is there a number in the image?", "Is a number written?"])
    return question, "Yes" if truth else "No"


def ask_locate(rng, scene):
    if scene.number and rng.random() < 0.15:
        return rng.choice(["Where is the number?", "Where is the number written?"]), place(scene.number)
    options = [(o, "the " + named(o)) for o in unique(scene, named)]
    options += [(o, "the " + o.shape) for o in unique(scene, lambda i: i.shape)]
    if not options:
        return None
    o, name = rng.choice(options)
    return rng.choice(["Where is %s?", "Locate %s.", "In which part of the image is %s?", "Wo ist %s?"]) % name, place(o)


def ask_attribute(rng, scene):
    kind, o = rng.randrange(6), rng.choice(scene.items)
    if kind == 0:
        return rng.choice(["What color is the background?", "What is the color of the background?",
                           "Welche Farbe hat der Hintergrund?"]), scene.background
    if kind == 1:
        return rng.choice(["What shape is at the %s?", "Which shape is at the %s?"]) % place(o), o.shape
    if kind == 2:
        return rng.choice(["What color is the shape at the %s?", "Which color is at the %s?"]) % place(o), o.color
    if kind == 3:
        return "How large is the shape at the %s?" % place(o), o.size
    alone = unique(scene, (lambda i: i.shape) if kind == 4 else (lambda i: i.color))
    if not alone:
        return None
    o = rng.choice(alone)
    if kind == 4:
        return rng.choice(["What color is the %s?", "Which color has the %s?"]) % o.shape, o.color
    return rng.choice(["What shape is %s?", "Which shape is %s?"]) % o.color, o.shape


def ask_compare(rng, scene):
    kind = rng.randrange(4)
    if kind == 3:
        a, b = rng.sample(SHAPES, 2)
        if rng.random() < 0.7:
            a = rng.choice([i.shape for i in scene.items if i.shape != b] or [a])
        count = {s: sum(i.shape == s for i in scene.items) for s in (a, b)}
        plural = tuple(s + ("es" if s == "cross" else "s") for s in (a, b))
        return "Are there more %s than %s?" % plural, "Yes" if count[a] > count[b] else "No"
    alone = unique(scene, named)
    if len(alone) < 2:
        return None
    a, b = rng.sample(alone, 2)
    names = (named(a), named(b))
    if kind == 0:
        if a.size == b.size:
            return "Are the %s and the %s the same size?" % names, "Yes"
        if rng.random() < 0.3:
            return "Are the %s and the %s the same size?" % names, "No"
        return "Which is larger, the %s or the %s?" % names, named(a if a.size == "large" else b)
    if kind == 1:
        words = rng.choice([("left of", a.col < b.col), ("right of", a.col > b.col)])
    else:
        words = rng.choice([("above", a.row < b.row), ("below", a.row > b.row)])
    return "Is the %s %s the %s?" % (names[0], words[0], names[1]), "Yes" if words[1] else "No"


def ask_number(rng, scene):
    if scene.number is None and rng.random() < 0.7:
        return None
    question = rng.choice(["What number is written?", "Read the number.", "Which number do you see?",
                           "Welche Zahl steht im Bild?", "Quel nombre est écrit ?", "¿Qué número hay?"])
    return question, scene.number.text if scene.number else "None"


def ask_json(rng, scene):
    o = rng.choice(scene.items)
    if rng.random() < 0.5:
        question = rng.choice(["Describe the shape at the %s as JSON.", "What is at the %s? Answer as JSON."]) % place(o)
        return question, '{"size": "%s", "color": "%s", "shape": "%s"}' % (o.size, o.color, o.shape)
    question = rng.choice(["Summarize the image as JSON.", "Count the shapes and read the number. Answer as JSON."])
    number = '"%s"' % scene.number.text if scene.number else "null"
    return question, '{"background": "%s", "shapes": %d, "number": %s}' % (scene.background, len(scene.items), number)


def ask_fields(rng, scene):
    """JSON with some of the keys in any order, named in the question or left to a template.  Not among TASKS: it is for
    training only."""
    o, keys = rng.choice(scene.items), rng.sample(["size", "color", "shape"], rng.randint(1, 3))
    question = "What is at the %s?" % place(o)
    if rng.random() < 0.7:
        names = ['"%s"' % k for k in keys]
        question += " Answer as JSON with the key%s %s." % ("s" if len(keys) > 1 else "", listed(names))
    return question, "{%s}" % ", ".join('"%s": "%s"' % (k, getattr(o, k)) for k in keys)


ASK = {"count": ask_count, "yesno": ask_yesno, "locate": ask_locate, "attribute": ask_attribute,
       "compare": ask_compare, "number": ask_number, "json": ask_json,
       "fields": ask_fields}


def ask(rng, scene, task):
    """(question, answer) of a task about a scene, or None where the scene does not allow the task."""
    if task == "describe":
        return rng.choice(DESCRIBE), describe(scene)
    return ASK[task](rng, scene)


def random_example(rng, held_out, task, height=None, width=None):
    """(scene, question, answer) for a task."""
    while True:
        scene = random_scene(rng, held_out, height, width)
        asked = ask(rng, scene, task)
        if asked:
            return (scene,) + asked


# ----------------------------------------------------------------------------------------------------- output
def write_png(path, image):
    """Write a uint8 picture [height x width x 3] as an 8-bit RGB PNG."""
    def chunk(tag, data):
        return struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data))

    height, width = image.shape[:2]
    raw = np.pad(image.reshape(height, width * 3), ((0, 0), (1, 0))).tobytes()  # filter type 0 before each row
    with open(path, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
                chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"IEND", b""))


def held_out_examples(count, seed):
    """`count` held-out scenes with one description and one short question each:
    [(scene, [(task, question, answer), ...])].  The short tasks take turns."""
    rng, out = random.Random(seed), []
    for i in range(count):
        task = TASKS[i % len(TASKS)]
        scene, question, answer = random_example(rng, True, task)
        out.append((scene, [("describe", DESCRIBE[0], describe(scene)), (task, question, answer)]))
    return out


def write_held_out(folder, count, seed):
    with open(os.path.join(folder, "scenes.jsonl"), "w", encoding="utf-8") as lines:
        for i, (scene, questions) in enumerate(held_out_examples(count, seed)):
            name = "%04d.png" % i
            write_png(os.path.join(folder, name), draw(scene))
            for task, question, answer in questions:
                lines.write(json.dumps(dict(image=name, task=task, question=question, answer=answer),
                                       ensure_ascii=False) + "\n")


def write_samples(folder, seed, count=10):
    rng, table = random.Random(seed), []
    for i in range(count):
        scene = random_scene(rng, True)
        if i == 0:
            write_png(os.path.join(folder, "scene.png"), draw(scene))
        name = "scene-%02d.png" % (i + 1)
        write_png(os.path.join(folder, name), draw(scene))
        questions = [(task, ask(rng, scene, task)) for task in TASKS]
        table.append(dict(image=name, width=scene.width, height=scene.height, questions=[
            dict(task=task, question=asked[0], answer=asked[1])
            for task, asked in [("describe", (DESCRIBE[0], describe(scene)))] + questions if asked]))
    with open(os.path.join(folder, "scenes.json"), "w", encoding="utf-8") as f:
        f.write(json.dumps(table, ensure_ascii=False, indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--held-out", type=int, metavar="N", help="write N held-out scenes and their questions")
    what.add_argument("--samples", action="store_true", help="write the ten sample pictures")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", required=True, help="folder to write to")
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    if args.samples:
        write_samples(args.out, args.seed)
    else:
        write_held_out(args.out, args.held_out, args.seed)


if __name__ == "__main__":
    main()
