#!/usr/bin/env python3
"""Cuts a file of Dimple's shape into the two that llama.cpp reads, a text model and an mmproj, so that its encoding of a picture can be timed beside ours.

    tests/peers/vision_files.py MODEL.gguf TEXT.gguf MMPROJ.gguf

Needs gguf-py. The text becomes a `qwen2vl`, whose keys and tensors are the same; the projector's second part, Dimple's own, which llama.cpp does not know, is left
out: a hundredth of a picture's multiplications (2 x 3584 x 3584 of 256 tokens beside 0.63 thousand million of 1,024 patches)."""
import sys

import gguf
from gguf import GGUFReader, GGUFValueType, GGUFWriter

SKIPPED = ("GGUF.", "general.alignment", "general.architecture", "diffusion.")


def copy_key(writer, field, key):
    kind = field.types[0]
    value = field.contents()
    if kind == GGUFValueType.ARRAY:
        writer.add_key_value(key, value, kind, sub_type=field.types[1])
    else:
        writer.add_key_value(key, value, kind)


def copy_tensor(writer, tensor):
    writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)


def write(path, architecture, reader, key_of, takes):
    writer = GGUFWriter(path, architecture)
    for name, field in reader.fields.items():
        key = None if name.startswith(SKIPPED) else key_of(name)
        if key:
            copy_key(writer, field, key)
    if architecture == "clip":
        writer.add_type("mmproj")
    for tensor in reader.tensors:
        if takes(tensor.name):
            copy_tensor(writer, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def text_key(name):
    """The key that a qwen2vl has for it, or None."""
    if not name.startswith("dimple."):
        return None if name.startswith("clip.") else name
    own = name.endswith("_token_id") or name == "dimple.attention.causal"
    return None if own else "qwen2vl." + name.removeprefix("dimple.")


def tower_key(name):
    return name if name.startswith(("clip.", "general.")) else None


def of_tower(name):
    return name.startswith(("v.", "mm."))


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    model, text, mmproj = sys.argv[1:]
    reader = GGUFReader(model)
    write(text, "qwen2vl", reader, text_key, lambda name: not of_tower(name))
    write(mmproj, "clip", reader, tower_key, lambda name: of_tower(name) and not name.startswith("mm.img_projector."))


if __name__ == "__main__":
    main()
