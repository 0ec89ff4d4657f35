#!/usr/bin/env python3
"""Makes tests/goldens/llada22: a small LLaDA2.2 checkpoint with random weights, and what its authors' code decodes with it.

    python3 tests/reference/llada22_goldens.py FOLDER [TARGET]

FOLDER holds, each as it is where it comes from:

    modeling_llada21_moe.py, configuration_llada21_moe.py   LLaDA2.1's network (ZHZisZZ/dllm, dllm/pipelines/llada21/models, the checkpoint's files)
    joint_threshold_indel.py       the decoding that an author of LLaDA2.2 wrote for SGLang (sgl-project/sglang, pull request 31773, python/sglang/srt/dllm/algorithm)
    test_llada2_block_topk.py      the test of the routing by blocks with its own definition in torch, block_topk_reference (pull request 31768)

LLaDA2.2's own modeling file differs from LLaDA2.1's in the gate and in generate alone; here block_topk_reference takes the gate's place, and JointThresholdInDel
generate's. What SGLang's runner does around it is in `decode`: blocks from the first token of the prompt on, every pass over all that is not behind the block, under the
block-causal mask, until the algorithm is done with the block; the decoding ends behind a block that holds an end of text. torch on a CPU in float32. TARGET: tests/goldens.

Left out are runs in which a decision is too close to call.
"""
import importlib.util
import json
import os
import sys
import types

import torch
from safetensors.torch import save_file

VOCAB, EOS, DELETE, SPLIT, MASK = 64, 60, 61, 62, 63
SHAPE = dict(vocab_size=VOCAB, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, rms_norm_eps=1e-6,
             rope_theta=3e6, num_experts=12, num_shared_experts=1, num_experts_per_tok=2, n_group=4, topk_group=2, routed_scaling_factor=2.5,
             moe_intermediate_size=12, first_k_dense_replace=1, head_dim=16, partial_rotary_factor=0.5)
ROUTING = dict(block_size=8, expert_capacity=4)
LEAST_MARGIN, LEAST_ROUTING_MARGIN = 2e-4, 2e-5
CASES = {
    "speed": dict(block_length=8, prompt=11, gen_length=29, threshold=0.5, editing_threshold=0.0, max_post_steps=16),
    "quality": dict(block_length=8, prompt=8, gen_length=24, threshold=0.7, editing_threshold=0.3, max_post_steps=4),
    "no_post": dict(block_length=8, prompt=13, gen_length=27, threshold=0.5, editing_threshold=0.0, max_post_steps=0),
    "long_blocks": dict(block_length=16, prompt=19, gen_length=29, threshold=0.4, editing_threshold=0.2, max_post_steps=6),
    "circles": dict(block_length=8, prompt=5, gen_length=19, threshold=0.3, editing_threshold=0.0, max_post_steps=24),
}


def stub(name, **members):
    """A module of SGLang's that the authors' files name, with what they take from it."""
    parts = name.split(".")
    for i in range(1, len(parts)):
        sys.modules.setdefault(".".join(parts[:i]), types.ModuleType(".".join(parts[:i])))
    module = sys.modules.setdefault(name, types.ModuleType(name))
    module.__dict__.update(members)


class Base:
    def __init__(self, config):
        self.block_size, self.mask_id, self.fdfo = config.block_size, config.mask_id, False


def load(folder, name, package=None):
    full = package + "." + name if package else name
    spec = importlib.util.spec_from_file_location(full, os.path.join(folder, name + ".py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[full] = module
    spec.loader.exec_module(module)
    return module


def default_rope(config, device=None, **_):
    """transformers 5 has no entry for what rotates without scaling."""
    size = int(config.head_dim * config.partial_rotary_factor)
    return 1.0 / config.rope_theta ** (torch.arange(0, size, 2, dtype=torch.float32) / size), 1.0


def load_authors(folder):
    import unittest

    import transformers.modeling_rope_utils as rope
    import transformers.pytorch_utils as pytorch
    import transformers.utils as utils
    import transformers.modeling_attn_mask_utils as masks
    rope.ROPE_INIT_FUNCTIONS.setdefault("default", default_rope)
    for module, names in ((pytorch, ("ALL_LAYERNORM_LAYERS",)), (utils, ("add_start_docstrings", "add_start_docstrings_to_model_forward")),
                          (masks, ("_prepare_4d_causal_attention_mask_for_sdpa",))):
        for name in names:
            if not hasattr(module, name):
                setattr(module, name, [] if name.isupper() else lambda *a, **k: (lambda x: x))
    stub("sglang.srt.dllm.algorithm.base", DllmAlgorithm=Base)
    stub("sglang.srt.dllm.config", DllmConfig=object)
    stub("sglang.srt.model_executor.forward_batch_info", ForwardBatch=object)
    stub("sglang.srt.models.llada2", block_topk_triton=None)
    stub("sglang.test.ci.ci_register", register_cuda_ci=lambda **_: None, register_amd_ci=lambda **_: None)
    stub("sglang.test.test_utils", CustomTestCase=unittest.TestCase)
    sys.modules.setdefault("authors", types.ModuleType("authors")).__path__ = [folder]
    load(folder, "configuration_llada21_moe", "authors")
    network = load(folder, "modeling_llada21_moe", "authors")
    return network, load(folder, "joint_threshold_indel").JointThresholdInDel, load(folder, "test_llada2_block_topk").block_topk_reference


class Network:
    def __init__(self, folder_modules, seed):
        self.module, _, self.route = folder_modules
        config = self.module.LLaDA2MoeConfig(**SHAPE, use_qk_norm=True, use_bias=False, use_qkv_bias=False, embedding_dropout=0, attention_dropout=0,
                                             output_dropout=0, pad_token_id=EOS, max_position_embeddings=256)
        config._attn_implementation = "eager"
        self.model = self.module.LLaDA2MoeModelLM(config).eval()
        self.margin = 1e9
        g = torch.Generator().manual_seed(seed)
        self.state = {}
        for name, t in self.model.state_dict().items():
            t = t.float()
            if "norm" in name:
                t = 1 + 0.3 * torch.randn(t.shape, generator=g)
            elif name.endswith("expert_bias"):
                t = 0.1 * torch.randn(t.shape, generator=g)
            elif "rotary" not in name:
                t = torch.randn(t.shape, generator=g) * (1 if "embeddings" in name else 1.3 / t.shape[-1] ** 0.5)
            self.state[name] = t.contiguous()
        self.state["lm_head.weight"] *= 3
        self.state["lm_head.weight"][MASK] *= 0.01  # never a guess
        self.state["lm_head.weight"][EOS] *= 0.6
        self.state["lm_head.weight"][DELETE] *= 1.3
        self.state["lm_head.weight"][SPLIT] *= 1.3
        self.model.load_state_dict(self.state)
        for layer in self.model.model.layers[SHAPE["first_k_dense_replace"]:]:
            self.replace(layer.mlp.gate)

    def replace(self, gate):
        """The routing by blocks in the place of the gate's; the scale is the gate's own."""
        def forward(hidden):
            hidden = hidden.view(-1, hidden.shape[-1])
            logits = torch.nn.functional.linear(hidden.float(), gate.weight.float())
            weights, chosen = self.route(logits, gate.expert_bias, ROUTING["block_size"], ROUTING["expert_capacity"], SHAPE["num_experts_per_tok"])
            self.judge(logits, gate.expert_bias)
            return chosen.long(), weights * gate.routed_scaling_factor, logits
        gate.forward = forward

    def judge(self, logits, bias):
        """How far the closest expert that is chosen is from one that is not."""
        worth = (torch.sigmoid(logits) + bias).view(-1, ROUTING["block_size"], SHAPE["num_experts"])
        ranked = torch.sort(worth.amax(1), descending=True)
        c, k = ROUTING["expert_capacity"], SHAPE["num_experts_per_tok"]
        admitted = torch.gather(worth, 2, ranked[1][:, None, :c].expand(-1, ROUTING["block_size"], -1))
        within = torch.sort(admitted, descending=True)[0]
        self.margin = min(self.margin, float((ranked[0][:, c - 1] - ranked[0][:, c]).min()), float((within[..., k - 1] - within[..., k]).min()))

    def logits(self, tokens, block_length):
        n = len(tokens)
        blocks = torch.arange(n) // block_length
        mask = torch.where(blocks[None, :] <= blocks[:, None], 0.0, torch.finfo(torch.float32).min)[None, None]
        with torch.no_grad():
            return self.model(torch.tensor([tokens]), attention_mask=mask, position_ids=torch.arange(n)[None], use_cache=False).logits[0].float()


class Watch:
    """Counts what happens between passes, and how close decisions are."""

    def __init__(self):
        self.margin, self.deletes, self.splits, self.circles, self.changes, self.finals = 1e9, 0, 0, 0, 0, 0

    def near(self, *values):
        for value in values:
            self.margin = min(self.margin, abs(float(value)))

    def see(self, before, logits, s):
        best = torch.topk(logits, 4)[0]
        p = torch.softmax(logits, -1).max(-1)[0]
        self.near(*(best[:, 0] - best[:, 1]), *(best[:, 1] - best[:, 2]), *(p - s["threshold"]))
        if s["editing_threshold"]:
            self.near(*(p - s["editing_threshold"]))
        ranked = torch.sort(p)[0]
        self.near(*(ranked[1:] - ranked[:-1]))


def decode(network, algorithm, prompt, s):
    length = s["block_length"]
    config = types.SimpleNamespace(block_size=length, mask_id=MASK, delete_token_id=DELETE, split_token_id=SPLIT, first_done_first_out_mode=False,
                                   algorithm_config=dict(threshold=s["threshold"], edit_threshold=s["editing_threshold"],
                                                         max_post_edit_steps=s["max_post_steps"]))
    sampler, watch, trace = algorithm(config), Watch(), []
    total = -(-(len(prompt) + s["gen_length"]) // length) * length
    tokens = prompt + [MASK] * (total - len(prompt))
    for begin in range(len(prompt) // length * length, total, length):
        end = begin + length
        batch = types.SimpleNamespace(batch_size=1, input_ids=torch.tensor(tokens[begin:end]), dllm_prompt_mask=None)
        states = sampler.init_step_state(batch)
        while not states[0]["finished"]:
            before = batch.input_ids.tolist()
            logits = network.logits(tokens[:begin] + before, length)[begin:]
            trace.append((before, end, logits.clone()))
            watch.see(before, logits, s)
            circle = tuple(before) in states[0]["seen_input_keys"]
            history = {k: set(v) for k, v in states[0]["sampled_history"].items()}
            sampler.step(batch, logits, states)
            taken = [t for k, v in states[0]["sampled_history"].items() for t in v - history.get(k, set())]
            watch.deletes += DELETE in taken
            watch.splits += SPLIT in taken
            watch.circles += circle and batch.input_ids.tolist() != before
            watch.changes += any(b != MASK for b, a in zip(before, batch.input_ids.tolist()) if a != b)
        tokens[begin:end] = batch.input_ids.tolist()
        if EOS in tokens[len(prompt):end]:
            break
    answer = tokens[len(prompt):len(prompt) + s["gen_length"]]
    return trace, answer[:answer.index(EOS) + 1] if EOS in answer else answer, watch


def main():
    modules = load_authors(sys.argv[1])
    root = os.path.join(sys.argv[2] if len(sys.argv) > 2 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "goldens"), "llada22")
    folder = os.path.join(root, "v22")
    os.makedirs(folder, exist_ok=True)
    network = Network(modules, 22)
    settings = dict(architectures=["LLaDA2MoeModelLM"], model_type="llada2_moe", **SHAPE, **ROUTING, delete_token_id=DELETE, split_token_id=SPLIT, use_qk_norm=True,
                    max_position_embeddings=256, mask_token_id=MASK, eos_token_id=EOS, pad_token_id=EOS)
    json.dump(settings, open(folder + "/config.json", "w"), indent=1)
    save_file({k: v for k, v in network.state.items() if "rotary" not in k}, folder + "/model.safetensors")
    cases = []
    for name, s in CASES.items():
        for seed in range(1, 4000):
            g = torch.Generator().manual_seed(1000 * len(cases) + seed)
            prompt = torch.randint(0, EOS, (s["prompt"],), generator=g).tolist()
            network.margin = 1e9
            trace, answer, watch = decode(network, modules[1], prompt, s)
            enough = watch.deletes > 0 and watch.splits > 0 and watch.changes > 0 and (name != "circles" or watch.circles > 0)
            if enough and watch.margin > LEAST_MARGIN and network.margin > LEAST_ROUTING_MARGIN:
                break
        else:
            raise SystemExit("%s: no run to be sure of" % name)
        print("%-12s prompt %4d: %3d passes, %d with DELETE, %d with SPLIT, %d changing, %d out of circles, margin %.1e, routing %.1e" % (
            name, seed, len(trace), watch.deletes, watch.splits, watch.changes, watch.circles, watch.margin, network.margin))
        case = {k: v for k, v in s.items() if k != "prompt"}
        case.update(steps=s["block_length"], num_to_transfer=1, eos_id=EOS, mask_id=MASK, delete_token_id=DELETE, split_token_id=SPLIT, temperature=0.0,
                    eos_early_stop=False)
        json.dump(case, open("%s/%s.json" % (folder, name), "w"), indent=1)
        save_file({"input_ids": torch.tensor(prompt, dtype=torch.int32), "result": torch.tensor(answer, dtype=torch.int32),
                   "block_in": torch.tensor([t[0] for t in trace], dtype=torch.int32), "window_end": torch.tensor([t[1] for t in trace], dtype=torch.int32),
                   "logits": torch.stack([t[2] for t in trace]).contiguous()}, "%s/%s.safetensors" % (folder, name))
        cases.append(dict(model="v22", case=name))
    json.dump(cases, open(root + "/cases.json", "w"), indent=1)


if __name__ == "__main__":
    main()
