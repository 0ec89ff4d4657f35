"""Write a trained dimple-mini as a Hugging Face style checkpoint folder."""
import json
import os
import shutil
import struct

import numpy as np

from model import FRAMES, MEAN, MERGE, PATCH, STD


def write_safetensors(path, tensors):
    """float32 arrays as a safetensors file: header length (u64), JSON header, raw little-endian data."""
    header, blobs, at = {"__metadata__": {"format": "pt"}}, [], 0
    for name in sorted(tensors):
        blob = np.ascontiguousarray(tensors[name], "<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(tensors[name].shape), "data_offsets": [at, at + len(blob)]}
        at += len(blob)
        blobs.append(blob)
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)  # keeps the data aligned to eight bytes
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(head)) + head + b"".join(blobs))


def export(model, tokenizer, folder, causal=False, block=None):
    """Write the checkpoint to `folder`, replacing an older one only when the new one is complete.  causal: the config says
    that a token sees only those before it.  block: that it sees its block of so many and those before it."""
    fresh, old = folder + ".new", folder + ".old"
    for leftover in (fresh, old):
        shutil.rmtree(leftover, ignore_errors=True)
    os.makedirs(fresh)
    cfg = dict(model.cfg, full_attn_mask=not causal)
    if block:
        cfg.update(architectures=["DimpleBlockModel"], model_type="dimple_block", block_size=block)
    generation = {k: cfg[k] for k in ("bos_token_id", "eos_token_id", "pad_token_id", "mask_token_id")}
    image = dict(image_processor_type="DimpleImageProcessor", image_mean=MEAN, image_std=STD, do_convert_rgb=True,
                 do_normalize=True, do_rescale=True, do_resize=True, rescale_factor=1 / 255, resample=3,
                 min_pixels=56 * 56, max_pixels=224 * 224, patch_size=PATCH, merge_size=MERGE,
                 temporal_patch_size=FRAMES)
    for name, content in (("config.json", cfg), ("preprocessor_config.json", image),
                          ("generation_config.json", generation)):
        with open(os.path.join(fresh, name), "w") as f:
            f.write(json.dumps(content, indent=2, sort_keys=True) + "\n")
    tokenizer.save(fresh)
    write_safetensors(os.path.join(fresh, "model.safetensors"),
                      {k: v.detach().float().numpy() for k, v in model.named_parameters()})
    if os.path.exists(folder):
        os.rename(folder, old)
    os.rename(fresh, folder)
    shutil.rmtree(old, ignore_errors=True)
