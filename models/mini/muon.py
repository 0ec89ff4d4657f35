"""The Muon optimizer for matrices, AdamW for everything else.

Muon (Jordan et al., 2024) replaces the momentum of a matrix by its nearest semi-orthogonal matrix, found with a few
Newton-Schulz iterations.  With the step scaled as by Liu et al., 2025 (arXiv 2502.16982) one learning rate serves both
parts.  From random weights it needs far fewer steps than AdamW, which matters on one CPU core.
"""
import math

import torch


def orthogonal(g):
    """Nearest semi-orthogonal matrices of a stack [n x rows x cols], rows <= cols: quintic Newton-Schulz iterations
    drive all singular values to about 1."""
    x = g / (g.flatten(1).norm(dim=1)[:, None, None] + 1e-7)
    x = x.bfloat16()
    for _ in range(5):
        a = torch.bmm(x, x.transpose(1, 2).contiguous())
        b = torch.baddbmm(a, a, a, beta=-4.7750, alpha=2.0315)
        x = torch.baddbmm(x, b, x, beta=3.4445)
    return x.float()


class Muon:
    """step(), zero_grad(), state_dict() and load_state_dict() as in torch.optim; `rate` is set before each step."""

    def __init__(self, matrices, others, rate, momentum=0.95):
        self.matrices, self.momentum, self.rate = matrices, momentum, rate
        self.buffers = [torch.zeros_like(p) for p in matrices]
        self.rest = torch.optim.AdamW(others, lr=rate, betas=(0.9, 0.98), weight_decay=0.0, foreach=True) if others else None

    @torch.no_grad()
    def step(self):
        stacks = {}
        for p, buffer in zip(self.matrices, self.buffers):
            buffer.mul_(self.momentum).add_(p.grad)
            ahead = p.grad + self.momentum * buffer
            stacks.setdefault((min(p.shape), max(p.shape)), []).append((p, ahead))
        for (_, wide), members in stacks.items():
            flat = [g if g.shape[0] <= g.shape[1] else g.T for _, g in members]
            for (p, _), o in zip(members, orthogonal(torch.stack(flat))):
                p.add_(o if p.shape[0] <= p.shape[1] else o.T, alpha=-self.rate * 0.2 * math.sqrt(wide))
        if self.rest:
            for group in self.rest.param_groups:
                group["lr"] = self.rate
            self.rest.step()

    def zero_grad(self):
        for p in self.matrices:
            p.grad = None
        if self.rest:
            self.rest.zero_grad(set_to_none=True)

    def state_dict(self):
        return dict(buffers=self.buffers, rest=self.rest.state_dict() if self.rest else None)

    def load_state_dict(self, state):
        self.buffers = state["buffers"]
        if self.rest:
            self.rest.load_state_dict(state["rest"])
