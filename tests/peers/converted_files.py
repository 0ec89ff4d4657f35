#!/usr/bin/env python3
"""Has llama.cpp's converter make GGUF files of small random checkpoints of every family that loads here, which then have to pass
`dimple gguf validate`. Needs llama.cpp's folder `conversion` and its requirements (torch, transformers, gguf), and a folder with a tokenizer.json.

Usage: PYTHONPATH=LLAMA_CPP converted_files.py FOLDER TOKENIZER     100 MB in FOLDER"""
import json
import os
import pathlib
import shutil
import sys

import gguf
import torch
from safetensors.torch import save_file

import conversion

WIDTH, INNER, LAYERS, HEADS, KEY_HEADS, VOCABULARY, EXPERTS = 64, 96, 2, 4, 2, 640, 4
ROPE = {"linear": {"rope_type": "linear", "factor": 2.0},
        "yarn": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64},
        "yarn-all": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64, "beta_fast": 16, "beta_slow": 2,
                     "attention_factor": 1.2, "truncate": False}}


def matrix(*shape):
    return 0.05 * torch.randn(*shape)


def qwen(bias, experts, vocabulary=VOCABULARY):
    """Hugging Face's names of Qwen2's body, or with experts of LLaDA-MoE's."""
    size = WIDTH // HEADS
    tensors = {"model.embed_tokens.weight": matrix(vocabulary, WIDTH), "lm_head.weight": matrix(vocabulary, WIDTH), "model.norm.weight": torch.ones(WIDTH)}
    for i in range(LAYERS):
        at = f"model.layers.{i}."
        for part, rows in (("q", WIDTH), ("k", KEY_HEADS * size), ("v", KEY_HEADS * size)):
            tensors[at + f"self_attn.{part}_proj.weight"] = matrix(rows, WIDTH)
            if bias:
                tensors[at + f"self_attn.{part}_proj.bias"] = matrix(rows)
        tensors[at + "self_attn.o_proj.weight"] = matrix(WIDTH, WIDTH)
        tensors[at + "input_layernorm.weight"] = tensors[at + "post_attention_layernorm.weight"] = torch.ones(WIDTH)
        for prefix in [f"mlp.experts.{e}." for e in range(EXPERTS)] if experts else ["mlp."]:
            tensors |= {at + prefix + "gate_proj.weight": matrix(INNER, WIDTH), at + prefix + "up_proj.weight": matrix(INNER, WIDTH),
                        at + prefix + "down_proj.weight": matrix(WIDTH, INNER)}
        if experts:
            tensors |= {at + "mlp.gate.weight": matrix(EXPERTS, WIDTH), at + "self_attn.q_norm.weight": torch.ones(size),
                        at + "self_attn.k_norm.weight": torch.ones(size)}
    return tensors


def llada():
    tensors = {"model.transformer.wte.weight": matrix(VOCABULARY, WIDTH), "model.transformer.ff_out.weight": matrix(VOCABULARY, WIDTH),
               "model.transformer.ln_f.weight": torch.ones(WIDTH)}
    for i in range(LAYERS):
        at = f"model.transformer.blocks.{i}."
        tensors |= {at + f"{part}_proj.weight": matrix(WIDTH, WIDTH) for part in "qkv"} | {at + "attn_out.weight": matrix(WIDTH, WIDTH)}
        tensors |= {at + f"{part}_proj.weight": matrix(INNER, WIDTH) for part in ("ff", "up")} | {at + "ff_out.weight": matrix(WIDTH, INNER)}
        tensors |= {at + "attn_norm.weight": torch.ones(WIDTH), at + "ff_norm.weight": torch.ones(WIDTH)}
    return tensors


def tower():
    tensors = {"visual.patch_embed.proj.weight": matrix(32, 3, 2, 14, 14), "visual.merger.ln_q.weight": torch.ones(32)}
    tensors |= {"visual.merger.mlp.0.weight": matrix(128, 128), "visual.merger.mlp.0.bias": matrix(128),
                "visual.merger.mlp.2.weight": matrix(WIDTH, 128), "visual.merger.mlp.2.bias": matrix(WIDTH)}
    for i in range(8):
        at = f"visual.blocks.{i}."
        for name, rows, columns in (("attn.qkv", 96, 32), ("attn.proj", 32, 32), ("mlp.gate_proj", 48, 32), ("mlp.up_proj", 48, 32), ("mlp.down_proj", 32, 48)):
            tensors |= {at + name + ".weight": matrix(rows, columns), at + name + ".bias": matrix(rows)}
        tensors |= {at + "norm1.weight": torch.ones(32), at + "norm2.weight": torch.ones(32)}
    return tensors


TEXT = {"hidden_size": WIDTH, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "num_key_value_heads": KEY_HEADS, "vocab_size": VOCABULARY,
        "intermediate_size": INNER, "max_position_embeddings": 256, "rms_norm_eps": 1e-6, "rope_theta": 1e4, "hidden_act": "silu"}
VISION = {"depth": 8, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2,
          "window_size": 112, "fullatt_block_indexes": [7], "out_hidden_size": WIDTH, "hidden_act": "silu"}
LLADA = {"model_type": "llada", "d_model": WIDTH, "n_layers": LAYERS, "n_heads": HEADS, "n_kv_heads": HEADS, "mlp_hidden_size": INNER,
         "vocab_size": VOCABULARY, "max_sequence_length": 256, "rms_norm_eps": 1e-5, "rope_theta": 5e5, "layer_norm_type": "rms", "block_type": "llama"}
MOE = TEXT | {"model_type": "llada", "num_experts": EXPERTS, "num_experts_per_tok": 2, "expert_intermediate_size": INNER, "head_dim": WIDTH // HEADS,
              "dense_intermediate_size": 256, "moe_router_score_function": "softmax", "norm_topk_prob": None, "qk_layernorm": True,
              "vocab_size": 156896}  # the converter knows the mask token's id, 156895
DREAM = TEXT | {"model_type": "qwen2", "mask_token_id": 639}  # a type that transformers knows; the converter goes by the architecture
CHECKPOINTS = {"dream": ("DreamModel", DREAM, qwen(True, False)), "llada": ("LLaDAModelLM", LLADA, llada()),
               "llada-moe": ("LLaDAMoEModelLM", MOE, qwen(False, True, MOE["vocab_size"])),
               "mmproj": ("Qwen2_5_VLForConditionalGeneration", TEXT | {"model_type": "qwen2_5_vl", "vision_config": VISION}, tower())}
CHECKPOINTS |= {f"dream-{name}": ("DreamModel", DREAM | {"rope_scaling": rope}, qwen(True, False)) for name, rope in ROPE.items()}


def main():
    folder, tokenizer = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    conversion.TextModel.get_vocab_base_pre = lambda self, tokenizer: "qwen2"  # known by the hash of a text's ids for published vocabularies only
    for name, (architecture, config, tensors) in CHECKPOINTS.items():
        source = folder / name
        os.makedirs(source, exist_ok=True)
        shutil.copy(tokenizer / "tokenizer.json", source)
        (source / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))
        (source / "config.json").write_text(json.dumps(config | {"architectures": [architecture]}))
        (source / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0.48, 0.46, 0.41], "image_std": [0.27, 0.26, 0.28]}))
        save_file({key: value.contiguous().clone() for key, value in tensors.items()}, source / "model.safetensors")
        mmproj = name == "mmproj"
        with torch.inference_mode():
            model = conversion.get_model_class(architecture, mmproj=mmproj)
            model(source, gguf.LlamaFileType.MOSTLY_F16, folder / f"{name}.gguf").write()
        print(folder / f"{name}.gguf")


if __name__ == "__main__":
    main()
