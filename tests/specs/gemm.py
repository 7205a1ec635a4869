"""Matrix products."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

import ranvier as rv
from tests.opspec import Call, OpSpec, Refused, linear_bound, linear_gradient_bound, normal, seeds


@st.composite
def matmul_shapes(draw: Any, max_side: int, max_batch: int) -> Any:
    """Shapes of both operands as stored, and the transpositions: vectors, matrices, batches that broadcast."""
    m, n, k = (draw(st.integers(0, max_side)) for _ in range(3))
    t1, t2 = draw(st.booleans()), draw(st.booleans())
    first, second = ((k, m) if t1 else (m, k)), ((n, k) if t2 else (k, n))
    kind = draw(st.sampled_from(["matrices", "batches", "left vector", "right vector", "vectors"]))
    if kind in ("left vector", "vectors"):
        first, t1 = (k,), False
    if kind in ("right vector", "vectors"):
        second, t2 = (k,), False
    if kind == "batches":
        batch = draw(st.lists(st.integers(0, max_batch), max_size=2))
        stretched = [draw(st.sampled_from([side, 1])) for side in batch]
        dropped = draw(st.integers(0, len(batch)))
        one, other = draw(st.permutations([tuple(batch), tuple(stretched[dropped:])]))
        first, second = one + first, other + second
    return first, second, {"transpose_x1": t1, "transpose_x2": t2}


@st.composite
def matmul_calls(draw: Any, max_side: int = 40, max_batch: int = 3) -> Call:
    first, second, options = draw(matmul_shapes(max_side, max_batch))
    seed = draw(seeds)
    return Call({"x1": normal(first, seed), "x2": normal(second, seed + 1)}, options)


@st.composite
def matmul_integers(draw: Any) -> Call:
    first, second, options = draw(matmul_shapes(70, 3))
    rng = np.random.default_rng(draw(seeds))
    arrays = {"x1": rng.integers(-9, 10, first).astype(float), "x2": rng.integers(-9, 10, second).astype(float)}
    return Call(arrays, options)


def inner_length(call: Call) -> int:
    x1 = call.arrays["x1"]
    assert x1 is not None
    return int(x1.shape[-2 if call.options["transpose_x1"] else -1])


def gradient_lengths(call: Call) -> dict[str, int]:
    """Terms in each element's sum: all multiplications, shared evenly among the operand's elements."""
    with rv.device("reference"):
        products = rv.ops.matmul(**call.arrays, **call.options).size * inner_length(call)
    return {name: products // max(1, np.size(x)) for name, x in call.arrays.items()}


ones = np.ones
MATMUL_REFUSED = (
    Refused(
        Call({"x1": ones((2, 3)), "x2": ones((2, 3))}), ValueError, "x1 has 3 columns (shape 2x3) but x2 has 2 rows"
    ),
    Refused(
        Call({"x1": ones((2, 3)), "x2": ones((2, 3))}, {"transpose_x1": True, "transpose_x2": True}),
        ValueError,
        "x1 has 2 columns (shape 2x3, transposed) but x2 has 3 rows (shape 2x3, transposed)",
    ),
    Refused(Call({"x1": ones((2, 2, 3)), "x2": ones((3, 3, 4))}), ValueError, "batch axes do not broadcast"),
    Refused(Call({"x1": ones(()), "x2": ones((3, 4))}), ValueError, "x1 must"),
    Refused(Call({"x1": ones(3), "x2": ones((3, 4))}, {"transpose_x1": True}), ValueError, "transpose_x1 needs x1 of"),
    Refused(Call({"x1": ones((2, 3), np.int32), "x2": ones((3, 4))}), TypeError, "x1 must be floating"),
    Refused(Call({"x1": ones((2, 3), np.float32), "x2": ones((3, 4))}), TypeError, "x2"),
)

SPECS: list[OpSpec] = [
    OpSpec(
        op=rv.ops.matmul,
        calls=matmul_calls(),
        bound=linear_bound(rv.ops.matmul, inner_length),
        gradients=("x1", "x2"),
        gradient_bound=linear_gradient_bound(rv.ops.matmul, ("x1", "x2"), gradient_lengths),
        gradient_calls=matmul_calls(max_side=3, max_batch=2),
        integers=matmul_integers(),
        refused=MATMUL_REFUSED,
        twice=True,
        nan=True,
    ),
]
