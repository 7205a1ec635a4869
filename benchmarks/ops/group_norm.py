"""Layer, group and instance normalisation, forward and backward: bound by memory, and by the passes over it."""

from __future__ import annotations

from typing import Any

import numpy as np

import ranvier as rv
from ranvier.bench import OpBench, dtype, odd, torch

SHAPES = (
    {"samples": 4096, "positions": 1, "channels": 512, "groups": 1},  # a transformer's layer norm
    {"samples": 32, "positions": 1, "channels": 64, "groups": 1},
    {"samples": 8, "positions": 56 * 56, "channels": 64, "groups": 32},
    {"samples": 1, "positions": 128 * 128, "channels": 64, "groups": 64},  # a generator's instance norm
)


def prepare(samples: int, positions: int, channels: int, groups: int) -> dict[str, Any]:
    """With gamma and beta. PyTorch's layer norm where that is what is asked, else its group norm, channels first."""
    rng = np.random.default_rng(0)
    x, dy = (rng.normal(size=(samples, positions, channels)).astype(dtype()) for _ in range(2))
    gamma, beta = (rng.normal(size=channels).astype(dtype()) for _ in range(2))
    inputs, our_dy = [rv.Tensor(v, requires_grad=True) for v in (x, gamma, beta)], rv.Tensor(dy)

    def numpy_step() -> Any:
        _, mean, rstd = rv.reference.group_norm_forward(x, gamma, beta, groups)
        return rv.reference.group_norm_backward(x, gamma, mean, rstd, dy)

    contenders: dict[str, Any] = {
        "ranvier": lambda: rv.grad(rv.ops.group_norm(*inputs, groups=groups), inputs, our_dy),
        "numpy": numpy_step,
    }
    if torch is not None:
        layer = positions == groups == 1
        order = (0, 1, 2) if layer else (0, 2, 1)
        theirs = [torch.from_numpy(v).requires_grad_(True) for v in (x.transpose(order).copy(), gamma, beta)]
        their_dy = torch.from_numpy(dy.transpose(order).copy())

        def torch_step() -> Any:
            if layer:
                y = torch.nn.functional.layer_norm(theirs[0], (channels,), *theirs[1:], eps=1e-3)
            else:
                y = torch.nn.functional.group_norm(theirs[0], groups, *theirs[1:], eps=1e-3)
            return torch.autograd.grad(y, theirs, their_dy)

        contenders["torch"] = torch_step
    return contenders


def drawn(rng: np.random.Generator) -> dict[str, Any]:
    """Groups that divide the channels; positions or samples may be one."""
    groups = odd(rng, 1, 33)
    samples, positions = odd(rng, 1, 1000), odd(rng, 1, 5000)
    return {"samples": samples, "positions": positions, "channels": groups * odd(rng, 1, 65), "groups": groups}


BENCHES = [
    OpBench(
        name="group_norm forward + backward",
        shapes=SHAPES,
        prepare=prepare,
        flops=lambda **_: 0,
        bytes=lambda samples, positions, channels, groups: 6 * 4.0 * samples * positions * channels,
        draw=drawn,
    )
]
