"""Softmax and log_softmax."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

import ranvier as rv
from tests.opspec import Call, OpSpec, Refused, gamma, normal, seeds, shapes, smallest


@st.composite
def calls(draw: Any, max_side: int = 70, max_rank: int = 3, scale: float = 30.0) -> Call:
    shape = draw(shapes(1, max_rank, 0, max_side))
    return Call({"x": normal(shape, draw(seeds), scale)}, {"axis": draw(st.integers(-len(shape), len(shape) - 1))})


def shift(call: Call) -> Any:
    """|x - max|: its rounding error is exp's relative error."""
    x = np.asarray(call.arrays["x"], np.float64)
    return np.abs(x - x.max(call.options["axis"], keepdims=True)) if x.size else x


def columns(call: Call) -> int:
    return call.arrays["x"].shape[call.options["axis"]]  # type: ignore[union-attr]


def softmax_bound(call: Call, expected: list[np.ndarray], eps: float) -> list[Any]:
    return [(gamma(columns(call) + 8, eps) + eps * (shift(call) + 2)) * expected[0] + smallest(eps)]


def log_softmax_bound(call: Call, expected: list[np.ndarray], eps: float) -> list[Any]:
    return [gamma(columns(call) + 8, eps) + eps * (2 * shift(call) + np.abs(expected[0]) + 4)]


def softmax_gradient_bound(
    call: Call, dys: list[np.ndarray], expected: dict[str, np.ndarray], eps: float
) -> dict[str, Any]:
    axis = call.options["axis"]
    (y,) = (softmax_of(call),)
    spread = np.abs(dys[0]) + (np.abs(dys[0]) * y).sum(axis, keepdims=True)
    return {"x": (2 * gamma(columns(call) + 8, eps) + 4 * eps * (shift_max(call) + 2)) * y * spread + smallest(eps)}


def log_softmax_gradient_bound(
    call: Call, dys: list[np.ndarray], expected: dict[str, np.ndarray], eps: float
) -> dict[str, Any]:
    total = np.abs(dys[0]).sum(call.options["axis"], keepdims=True)
    relative = 2 * gamma(columns(call) + 8, eps) + 4 * eps * (shift_max(call) + 2)
    return {"x": eps * np.abs(dys[0]) + relative * softmax_of(call) * total + smallest(eps)}


def shift_max(call: Call) -> float:
    return float(np.max(shift(call), initial=0.0))


def softmax_of(call: Call) -> np.ndarray:
    return rv.reference.softmax_forward(np.asarray(call.arrays["x"], np.float64), call.options["axis"])


def slices_sum_to_one(call: Call, outputs: list[np.ndarray]) -> None:
    if outputs[0].size:
        eps = np.finfo(outputs[0].dtype).eps
        np.testing.assert_allclose(outputs[0].sum(call.options["axis"]), 1, atol=gamma(2 * columns(call) + 8, eps))


REFUSED = (
    Refused(Call({"x": np.ones((2, 3), np.int32)}), TypeError, "x must be floating"),
    Refused(Call({"x": np.float64(1.0)}), ValueError, "rank 1 or more"),
    Refused(Call({"x": np.ones((2, 3))}, {"axis": 2}), ValueError, "axis 2 is out of range for shape 2x3"),
)

SPECS = [
    OpSpec(
        op=rv.ops.softmax,
        calls=calls(),
        bound=softmax_bound,
        gradients=("x",),
        gradient_bound=softmax_gradient_bound,
        gradient_calls=calls(max_side=4, scale=2.0),
        refused=REFUSED,
        twice=True,
        properties=(slices_sum_to_one,),
    ),
    OpSpec(
        op=rv.ops.log_softmax,
        calls=calls(),
        bound=log_softmax_bound,
        gradients=("x",),
        gradient_bound=log_softmax_gradient_bound,
        gradient_calls=calls(max_side=4, scale=2.0),
        refused=REFUSED,
        twice=True,
    ),
]
