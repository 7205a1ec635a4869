"""Activations, forward and backward: relu is bound by memory, the others by their polynomials."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import ranvier as rv
from ranvier import _core
from ranvier.bench import OpBench, dtype, torch

SIZES = ({"n": 65_536}, {"n": 4_194_304})


def numbers(n: int) -> np.ndarray:
    """n normal numbers."""
    return np.random.default_rng(0).normal(size=n).astype(dtype())


def forward(name: str) -> OpBench:
    """The activation of n elements."""

    def prepare(n: int) -> dict[str, Callable[[], Any]]:
        x = numbers(n)
        ours = rv.Tensor(x)
        op = getattr(rv.ops, name)
        reference = getattr(rv.reference, f"{name}_forward")
        options = {"gelu": (True,), "leaky_relu": (0.2,), "elu": (1.0,), "threshold": (0.0, True)}.get(name, ())
        found: dict[str, Callable[[], Any]] = {"ranvier": lambda: op(ours), "numpy": lambda: reference(x, *options)}
        if torch is not None:
            theirs = torch.from_numpy(x)
            peers = torch.nn.functional
            spelled: dict[str, Callable[[Any], Any]] = {
                "gelu": lambda t: peers.gelu(t, approximate="tanh"),
                "leaky_relu": lambda t: peers.leaky_relu(t, 0.2),
                "threshold": lambda t: torch.heaviside(t, torch.ones((), dtype=t.dtype)),
            }
            peer = spelled.get(name) or getattr(peers, name)
            found["torch"] = lambda: peer(theirs)
        return found

    return OpBench(name=name, shapes=SIZES, prepare=prepare, flops=lambda n: 0, bytes=lambda n: 2 * 4 * n)


def backward(name: str) -> OpBench:
    """The gradient of n elements: the kernels themselves, without a tape."""

    def prepare(n: int) -> dict[str, Callable[[], Any]]:
        saved, dy = numbers(n), numbers(n)[::-1].copy()
        options = (True,) if name == "gelu" else ()
        ours = _core.Array.from_numpy(saved), _core.Array.from_numpy(dy)
        kernel = getattr(_core, f"{name}_backward")
        reference = getattr(rv.reference, f"{name}_backward")
        found: dict[str, Callable[[], Any]] = {
            "ranvier": lambda: kernel(*ours, *options),
            "numpy": lambda: reference(saved, dy, *options),
        }
        if torch is not None:
            s, d = torch.from_numpy(saved), torch.from_numpy(dy)
            peers: dict[str, Callable[[], Any]] = {
                "relu": lambda: torch.ops.aten.threshold_backward(d, s, 0),
                "gelu": lambda: torch.ops.aten.gelu_backward(d, s, approximate="tanh"),
                "silu": lambda: torch.ops.aten.silu_backward(d, s),
                "sigmoid": lambda: torch.ops.aten.sigmoid_backward(d, s),
                "tanh": lambda: torch.ops.aten.tanh_backward(d, s),
            }
            found["torch"] = peers[name]
        return found

    return OpBench(name=f"{name}_gradient", shapes=SIZES, prepare=prepare, flops=lambda n: 0, bytes=lambda n: 3 * 4 * n)


FORWARD = ("threshold", "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "softplus", "sigmoid", "tanh")

BENCHES = [
    *[forward(name) for name in FORWARD],
    *[backward(name) for name in ("relu", "gelu", "silu", "sigmoid", "tanh")],
]
