"""LSTM over whole sequences: a small one that a step's overhead rules, and a large one that products rule."""

from __future__ import annotations

from typing import Any

import numpy as np

import ranvier as rv
from ranvier import _core
from ranvier.bench import OpBench, dtype, torch

SHAPES = (
    {"batch": 32, "steps": 80, "inputs": 128, "units": 128},
    {"batch": 1, "steps": 100, "inputs": 64, "units": 64},
    {"batch": 64, "steps": 100, "inputs": 256, "units": 512},
)


class Problem:
    """The arrays of one shape, for us and for PyTorch."""

    def __init__(self, batch: int, steps: int, inputs: int, units: int) -> None:
        rng = np.random.default_rng(0)
        scale = 1 / np.sqrt(units)
        shapes = ((batch, steps, inputs), (inputs, 4 * units), (units, 4 * units), (4 * units,))
        values = [(rng.normal(size=s) * scale).astype(dtype()) for s in shapes]
        self.dy = rng.normal(size=(batch, steps, units)).astype(dtype())
        self.ours = [rv.Tensor(v, requires_grad=True) for v in values]
        if torch is not None:
            self.torch_x = torch.from_numpy(values[0]).requires_grad_()
            self.torch_dy = torch.from_numpy(self.dy)
            self.torch_lstm: Any = torch.nn.LSTM(inputs, units, batch_first=True, dtype=self.torch_x.dtype)
            with torch.no_grad():
                self.torch_lstm.weight_ih_l0.copy_(torch.from_numpy(values[1].T.copy()))
                self.torch_lstm.weight_hh_l0.copy_(torch.from_numpy(values[2].T.copy()))


def prepare_forward(**shape: int) -> dict[str, Any]:
    """The forward pass, without a tape."""
    p = Problem(**shape)
    arrays = [t.array for t in p.ours]
    thunks: dict[str, Any] = {"ranvier": lambda: _core.lstm_forward(*arrays, None, None, None, False)}
    if torch is not None:

        def torch_forward() -> Any:
            with torch.no_grad():
                return p.torch_lstm(p.torch_x)

        thunks["torch"] = torch_forward
    return thunks


def prepare_cell(batch: int, inputs: int, units: int) -> dict[str, Any]:
    """One step: a decoder's, where the call itself counts."""
    p = Problem(batch, 1, inputs, units)
    x, kernel, recurrent_kernel, bias = (t.array for t in p.ours)
    state = rv.Tensor(p.dy[:, 0]).array
    thunks: dict[str, Any] = {
        "ranvier": lambda: _core.lstm_forward(x, kernel, recurrent_kernel, bias, state, state, None, False)
    }
    if torch is not None:
        torch_x, torch_state = p.torch_x.detach(), p.torch_dy[:, 0].contiguous()[None]

        def torch_cell() -> Any:
            with torch.no_grad():
                return p.torch_lstm(torch_x, (torch_state, torch_state))

        thunks["torch"] = torch_cell
    return thunks


def prepare_training(**shape: int) -> dict[str, Any]:
    """Forward and backward as a user calls them."""
    p = Problem(**shape)
    dy = rv.Tensor(p.dy)

    def ours() -> Any:
        x, kernel, recurrent_kernel, bias = p.ours
        outputs, _, _ = rv.ops.lstm(x, kernel, recurrent_kernel, bias)
        return rv.grad(outputs, p.ours, dy)

    thunks: dict[str, Any] = {"ranvier": ours}
    if torch is not None:
        weights = [p.torch_x, *p.torch_lstm.parameters()]
        thunks["torch"] = lambda: torch.autograd.grad(p.torch_lstm(p.torch_x)[0], weights, p.torch_dy)
    return thunks


def flops(batch: int, steps: int, inputs: int, units: int) -> float:
    """The two products of the forward pass."""
    return 2.0 * batch * steps * 4 * units * (inputs + units)


def moved(batch: int, steps: int, inputs: int, units: int) -> float:
    """Bytes of x, outputs, gates and both states, once, and of the weights."""
    return 4.0 * (batch * steps * (inputs + 7 * units) + 4 * units * (inputs + units))


CELL_SHAPES = ({"batch": 1, "inputs": 128, "units": 128}, {"batch": 32, "inputs": 128, "units": 128})

BENCHES = [
    OpBench(
        name="lstm_cell",
        shapes=CELL_SHAPES,
        prepare=prepare_cell,
        flops=lambda **shape: flops(steps=1, **shape),
        bytes=lambda **shape: moved(steps=1, **shape),
    ),
    OpBench(name="lstm", shapes=SHAPES, prepare=prepare_forward, flops=flops, bytes=moved),
    OpBench(
        name="lstm with gradient",
        shapes=SHAPES,
        prepare=prepare_training,
        flops=lambda **shape: 3 * flops(**shape),
        bytes=lambda **shape: 3 * moved(**shape),
    ),
]
