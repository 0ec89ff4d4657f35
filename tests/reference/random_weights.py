"""Random weights for the authors' networks, so spread that every layer counts, of which the goldens' scripts make their checkpoints."""
import torch


def fill(state, generator):
    """The state of a network with numbers in the order of its tensors: norms around 1, other vectors around 0, tables of embeddings of variance 1, matrices
    by which numbers of variance 1 become numbers of 1.7."""
    for name, t in state.items():
        if t.dim() == 1:
            norm = name.endswith("weight") and ("norm" in name or "ln_f" in name)
            t.copy_((1 if norm else 0) + 0.3 * torch.randn(t.shape, generator=generator))
        elif "embed" in name or "wte" in name:
            t.copy_(torch.randn(t.shape, generator=generator))
        else:
            t.copy_(torch.randn(t.shape, generator=generator) * 1.3 / t[0].numel() ** 0.5)
    return state
