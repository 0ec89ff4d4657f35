#!/usr/bin/env python3
"""Makes tests/goldens/lora: adapters that PEFT saved, and what its merge_and_unload makes of the checkpoints beside them.

    python3 tests/reference/lora_goldens.py [FOLDER]

Needs PEFT 0.21.0, transformers 5.12.1 and torch. Checkpoints are tests/goldens/a2d-qwen2 and a2d-qwen3, where embedding and logits are one matrix, and sdar, where they
are two; their networks are the library's Qwen2 and Qwen3. FOLDER: tests/goldens. Every trainable tensor of an adapter is random; a case's merged.safetensors has the tensors that merging changes. The
logits of the checkpoint with these are held against those of the model with its adapter, not merged: merge_and_unload adds the product of an embedding that is tied
(ensure_weight_tying) twice to the one matrix, for its two modules; here it is added once, as both modules do.
"""
import json
import os
import sys

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM

NETWORKS = {"a2d-qwen2": (Qwen2Config, Qwen2ForCausalLM), "a2d-qwen3": (Qwen3Config, Qwen3ForCausalLM), "sdar": (Qwen3Config, Qwen3ForCausalLM)}
CASES = {
    "layers": ("a2d-qwen3", dict(target_modules=["q_proj", "down_proj"], layers_to_transform=[1], use_rslora=True, rank_pattern={"down_proj": 3},
                                 alpha_pattern={"^model.layers.1.self_attn.q_proj": 5})),
    "one-layer": ("a2d-qwen2", dict(target_modules=["v_proj", "mlp.up_proj"], layers_to_transform=0, layers_pattern="layers", bias="lora_only")),
    "excluded": ("a2d-qwen2", dict(target_modules=["q_proj", "o_proj"], exclude_modules=r".*\.0\.self_attn\.q_proj", bias="all")),
    "expression": ("a2d-qwen3", dict(target_modules=r"model\.layers\.\d\.self_attn\.(k|v)_proj", exclude_modules=["layers.1.self_attn.v_proj"], init_lora_weights="orthogonal")),
    "saved": ("sdar", dict(target_modules=["k_proj"], modules_to_save=["norm", "1.mlp.gate_proj"])),
    "linear": ("a2d-qwen3", dict(target_modules="all-linear", exclude_modules=["mlp.up_proj", "mlp.gate_proj"], init_lora_weights="mica")),
    "embedding": ("sdar", dict(target_modules=["embed_tokens", "lm_head"], init_lora_weights="gaussian")),
    "tied": ("a2d-qwen2", dict(target_modules=["embed_tokens", "k_proj"], ensure_weight_tying=True)),
    "tied-saved": ("a2d-qwen2", dict(target_modules=["k_proj"], modules_to_save=["embed_tokens"], ensure_weight_tying=True)),
    "pissa": ("a2d-qwen2", dict(target_modules=["q_proj", "gate_proj"], init_lora_weights="pissa")),
}


def load(folder, name):
    with open(os.path.join(folder, name, "config.json")) as file:
        settings = json.load(file)
    config, network = NETWORKS[name]
    model = network(config(**{k: v for k, v in settings.items() if k not in ("architectures", "model_type", "torch_dtype")})).eval()
    missing, surplus = model.load_state_dict(load_file(os.path.join(folder, name, "model.safetensors")), strict=False)
    assert not surplus and set(missing) <= {"lm_head.weight"}, (missing, surplus)
    model.tie_weights()
    return model


def main(folder):
    for number, (case, (checkpoint, settings)) in enumerate(CASES.items()):
        target = os.path.join(folder, "lora", case)
        base = load(folder, checkpoint).state_dict()
        torch.manual_seed(1400 + number)
        model = get_peft_model(load(folder, checkpoint), LoraConfig(r=2, lora_alpha=3, task_type="CAUSAL_LM", base_model_name_or_path=checkpoint, **settings))
        begun = os.path.join("/tmp", "lora-begun")
        if settings.get("init_lora_weights") == "pissa":
            model.peft_config["default"].init_lora_weights = True  # as PEFT's guide says, so that what the base lost can be added again
            model.save_pretrained(begun)
            model.peft_config["default"].init_lora_weights = "pissa"
        g = torch.Generator().manual_seed(1400 + number)
        with torch.no_grad():
            for name, t in model.named_parameters():
                if t.requires_grad and not (name.endswith("lm_head.lora_A.default.weight") or name.endswith("lm_head.lora_B.default.weight") and "tied" in case):
                    t.add_(0.2 * torch.randn(t.shape, generator=g))
        model.save_pretrained(target, **(dict(path_initial_model_for_weight_conversion=begun) if case == "pissa" else {}))
        os.remove(os.path.join(target, "README.md"))
        ids = torch.randint(0, 600, (1, 24), generator=g)
        with torch.no_grad():
            logits = model.eval()(input_ids=ids).logits
            once = {name.removeprefix("base_model.model.") + ".weight": base[name.removeprefix("base_model.model.") + ".weight"] + module.get_delta_weight("default")
                    for name, module in model.named_modules() if name.endswith("embed_tokens") and hasattr(module, "get_delta_weight")}
        merged = model.merge_and_unload().state_dict()
        if model.config.tie_word_embeddings:
            assert torch.equal(merged.pop("lm_head.weight"), merged["model.embed_tokens.weight"])
            merged |= once
        assert set(base) - set(merged) <= {"lm_head.weight"} and set(merged) <= set(base)
        changed = {name: t.contiguous() for name, t in merged.items() if not torch.equal(t, base[name])}
        save_file(changed, os.path.join(target, "merged.safetensors"), metadata={"format": "pt"})
        again = load(folder, checkpoint)
        again.load_state_dict(changed, strict=False)
        with torch.no_grad():
            apart = (again(input_ids=ids).logits - logits).abs().max().item()
        assert apart < 1e-4, (case, apart)
        print(f"{case}: {len(changed)} tensors changed, logits {apart:.1e} apart")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "..", "goldens"))
