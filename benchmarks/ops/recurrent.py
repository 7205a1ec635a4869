"""Recurrent layers over whole sequences: small ones that a step's overhead rules, large ones that products rule."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import ranvier as rv
from ranvier.bench import OpBench, dtype, torch

GATES = {"lstm": 4, "gru": 3, "simple_rnn": 1}
CELLS = {"lstm": "lstm_cell", "gru": "gru_cell", "simple_rnn": "simple_rnn_cell"}
PEERS = {"lstm": "LSTM", "gru": "GRU", "simple_rnn": "RNN"}

SHAPES = (
    {"batch": 32, "steps": 80, "inputs": 128, "units": 128},
    {"batch": 64, "steps": 100, "inputs": 256, "units": 512},
    {"batch": 32, "steps": 50, "inputs": 32, "units": 32},
    {"batch": 16, "steps": 60, "inputs": 100, "units": 200},
    {"batch": 1, "steps": 100, "inputs": 64, "units": 64},
    {"batch": 1, "steps": 100, "inputs": 128, "units": 256},
)
LENGTH_SHAPES = ({"batch": 32, "steps": 80, "inputs": 128, "units": 128},)
CELL_SHAPES = ({"batch": 1, "inputs": 128, "units": 128}, {"batch": 32, "inputs": 128, "units": 128})


class Problem:
    """The arrays of one shape, for us and for PyTorch."""

    def __init__(self, op: str, batch: int, steps: int, inputs: int, units: int) -> None:
        rng = np.random.default_rng(0)
        scale = 1 / np.sqrt(units)
        columns = GATES[op] * units
        bias = (2, columns) if op == "gru" else (columns,)
        shapes = ((batch, steps, inputs), (inputs, columns), (units, columns), bias)
        values = [(rng.normal(size=s) * scale).astype(dtype()) for s in shapes]
        self.op = getattr(rv.ops, op)
        self.dy = rng.normal(size=(batch, steps, units)).astype(dtype())
        self.ours = [rv.Tensor(v, requires_grad=True) for v in values]
        self.lengths = rng.integers(1, steps + 1, batch)
        self.mask = rv.Tensor(np.arange(steps) < self.lengths[:, None])
        if torch is not None:
            self.torch_x = torch.from_numpy(values[0]).requires_grad_()
            self.torch_dy = torch.from_numpy(self.dy)
            self.peer: Any = getattr(torch.nn, PEERS[op])(inputs, units, batch_first=True, dtype=self.torch_x.dtype)

    def packed(self) -> Any:
        """PyTorch's form of sequences of different lengths."""
        pack = torch.nn.utils.rnn.pack_padded_sequence
        return pack(self.torch_x, torch.from_numpy(self.lengths), batch_first=True, enforce_sorted=False)


def prepare_forward(op: str, lengths: bool = False, **shape: int) -> dict[str, Any]:
    """The forward pass without a tape; of sequences of different lengths beside PyTorch's packed ones."""
    p = Problem(op, **shape)
    mask = p.mask if lengths else None

    def ours() -> Any:
        with rv.no_grad():
            return p.op(*p.ours, mask=mask)

    def theirs() -> Any:
        with torch.no_grad():
            return p.peer(p.packed() if lengths else p.torch_x)

    return {"ranvier": ours, "torch": theirs} if torch is not None else {"ranvier": ours}


def prepare_training(op: str, lengths: bool = False, **shape: int) -> dict[str, Any]:
    """Forward and backward as a user calls them."""
    p = Problem(op, **shape)
    dy, mask = rv.Tensor(p.dy), p.mask if lengths else None

    def ours() -> Any:
        return rv.grad(p.op(*p.ours, mask=mask)[0], p.ours, dy)

    thunks: dict[str, Any] = {"ranvier": ours}
    if torch is not None:
        weights = [p.torch_x, *p.peer.parameters()]

        def theirs() -> Any:
            if not lengths:
                return torch.autograd.grad(p.peer(p.torch_x)[0], weights, p.torch_dy)
            outputs, _ = torch.nn.utils.rnn.pad_packed_sequence(p.peer(p.packed())[0], batch_first=True)
            return torch.autograd.grad(outputs, weights, p.torch_dy[:, : outputs.shape[1]])

        thunks["torch"] = theirs
    return thunks


def prepare_cell(op: str, batch: int, inputs: int, units: int) -> dict[str, Any]:
    """One step: a decoder's, where the call itself counts."""
    p = Problem(op, batch, 1, inputs, units)
    cell = getattr(rv.ops, CELLS[op])
    x, *weights = p.ours
    row = rv.ops.reshape(x, (batch, inputs))
    states = [rv.Tensor(p.dy[:, 0])] * (2 if op == "lstm" else 1)

    def ours() -> Any:
        with rv.no_grad():
            return cell(row, *states, *weights)

    thunks: dict[str, Any] = {"ranvier": ours}
    if torch is not None:
        torch_cell = getattr(torch.nn, f"{PEERS[op]}Cell")(inputs, units, dtype=p.torch_x.dtype)
        torch_row, state = p.torch_x.detach()[:, 0].contiguous(), p.torch_dy[:, 0].contiguous()
        torch_states = (state, state) if op == "lstm" else state

        def theirs() -> Any:
            with torch.no_grad():
                return torch_cell(torch_row, torch_states)

        thunks["torch"] = theirs
    return thunks


def flops(op: str, passes: int, batch: int, inputs: int, units: int, steps: int = 1) -> float:
    """The two products of the forward pass, or with the four of the backward pass: three times as much."""
    return 2.0 * passes * batch * steps * GATES[op] * units * (inputs + units)


def moved(op: str, passes: int, batch: int, inputs: int, units: int, steps: int = 1) -> float:
    """Bytes of x, outputs and weights, once a pass; with a gradient the saved gates and their gradients too."""
    kept = 0 if passes == 1 else 2 * GATES[op] * units
    return 4.0 * (batch * steps * (passes * (inputs + units) + kept) + passes * GATES[op] * units * (inputs + units))


def bench(name: str, op: str, shapes: tuple[dict[str, Any], ...], prepare: Any, passes: int = 1) -> OpBench:
    """The benchmark of one op in one direction."""
    return OpBench(
        name=name,
        shapes=shapes,
        prepare=partial(prepare, op),
        flops=partial(flops, op, passes),
        bytes=partial(moved, op, passes),
    )


BENCHES = [
    one
    for op in GATES
    for one in (
        bench(CELLS[op], op, CELL_SHAPES, prepare_cell),
        bench(op, op, SHAPES, prepare_forward),
        bench(f"{op} with gradient", op, SHAPES, prepare_training, 3),
        bench(f"{op} of lengths", op, LENGTH_SHAPES, partial(prepare_forward, lengths=True)),
        bench(f"{op} of lengths with gradient", op, LENGTH_SHAPES, partial(prepare_training, lengths=True), 3),
    )
]
