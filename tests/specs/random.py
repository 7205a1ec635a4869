"""Dropout. (Random arrays take no tensors: tests/test_random.py.)"""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

import ranvier as rv
from tests.opspec import Call, OpSpec, Refused, gamma, normal, seeds, shapes, smallest


@st.composite
def calls(draw: Any, max_side: int = 40) -> Call:
    rate = draw(st.sampled_from([0.0, 0.1, 0.5, 0.9, 0.999]))
    options = {"rate": rate, "seed": draw(st.integers(0, 2**64 - 1))}
    return Call({"x": normal(draw(shapes(0, 3, 0, max_side)), draw(seeds))}, options)


def bound(call: Call, expected: list[np.ndarray], eps: float) -> list[Any]:
    """The scale and the product are rounded; what is dropped is zero exactly."""
    return [np.where(expected[0] == 0, 0.0, gamma(3, eps) * np.abs(expected[0]) + smallest(eps))]


def gradient_bound(call: Call, dys: list[np.ndarray], expected: dict[str, np.ndarray], eps: float) -> dict[str, Any]:
    return {"x": bound(call, [expected["x"]], eps)[0]}


X = {"x": np.ones((2, 3))}
SPECS = [
    OpSpec(
        op=rv.ops.dropout,
        calls=calls(),
        bound=bound,
        gradients=("x",),
        gradient_bound=gradient_bound,
        gradient_calls=calls(max_side=4),
        twice=True,
        refused=(
            Refused(Call(X, {"rate": 1.0}), ValueError, "dropout: rate must be in [0, 1) but is 1"),
            Refused(Call(X, {"rate": -0.1}), ValueError, "dropout: rate must be in [0, 1)"),
            Refused(Call(X, {"rate": float("nan")}), ValueError, "dropout: rate must be in [0, 1)"),
            Refused(Call(X, {"rate": 0.5, "seed": -1}), ValueError, "seed must be in [0, 2**64)"),
            Refused(Call({"x": np.ones(3, np.int32)}, {"rate": 0.5}), TypeError, "dropout: x must be floating"),
        ),
    )
]
