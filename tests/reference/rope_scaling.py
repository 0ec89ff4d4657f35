#!/usr/bin/env python3
"""Prints the frequencies and magnitudes of scaled rotary embeddings as the transformers library computes them: the table of
csrc/test/rope_scaling_test.c. Needs torch and transformers."""
from transformers import PretrainedConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

YARN = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 64}
CASES = {
    "linear": {"rope_type": "linear", "rope_theta": 10000.0, "factor": 2.5},
    "yarn": YARN,
    "yarn of 4096": YARN | {"original_max_position_embeddings": 4096},
    "yarn by 32": YARN | {"factor": 32.0, "original_max_position_embeddings": 1024},
    "other betas": YARN | {"beta_fast": 8.0, "beta_slow": 2.0, "original_max_position_embeddings": 512},
    "not truncated": YARN | {"truncate": False, "original_max_position_embeddings": 512},
    "an attention factor": YARN | {"attention_factor": 1.5},
    "mscale": YARN | {"mscale": 1.0, "mscale_all_dim": 0.5},
}


def main():
    for name, parameters in CASES.items():
        config = PretrainedConfig(rope_parameters=parameters, hidden_size=32, num_attention_heads=2, head_dim=16, max_position_embeddings=256)
        frequencies, magnitude = ROPE_INIT_FUNCTIONS[parameters["rope_type"]](config, "cpu")
        print(f'{name}: {{{", ".join(f"{f:.9g}f" for f in frequencies.tolist())}}}, {magnitude:.9g}f')


if __name__ == "__main__":
    main()
