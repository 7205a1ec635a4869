"""Elementwise ops: bound by memory once arrays leave the caches, by the call itself while they are tiny."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import ranvier as rv
from ranvier.bench import OpBench, dtype, jax, jitted, torch

TORCH = {"equal": "eq"}  # names that mean another thing there: whether all elements are equal
SIZES = ({"n": 16}, {"n": 65_536}, {"n": 4_194_304})


def arrays(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    """Positive normal numbers in these shapes."""
    rng = np.random.default_rng(0)
    return [np.abs(rng.normal(size=shape)).astype(dtype()) for shape in shapes]


def contenders(ours: Any, numpy: Any, theirs: Any, values: list[np.ndarray]) -> dict[str, Callable[[], Any]]:
    """The same function of the same arrays, as each library spells it."""
    tensors = [rv.Tensor(v) for v in values]
    found: dict[str, Callable[[], Any]] = {"ranvier": lambda: ours(*tensors)}
    if numpy is not None:  # it has no erf
        found["numpy"] = lambda: numpy(*values)
    if torch is not None:
        peers = [torch.from_numpy(v) for v in values]
        found["torch"] = lambda: theirs(*peers)
    if jax is not None and hasattr(jax.numpy, getattr(numpy, "__name__", "")):
        found["jax"] = jitted(getattr(jax.numpy, numpy.__name__), *values)
    return found


def function(name: str, moved: int) -> OpBench:
    """A function of one array of n elements."""
    return OpBench(
        name=name,
        shapes=SIZES,
        prepare=lambda n: contenders(
            getattr(rv.ops, name), getattr(np, name, None), getattr(torch, name, None), arrays((n,))
        ),
        flops=lambda n: 0,
        bytes=lambda n: moved * n,
    )


def same_shape(name: str, moved: int) -> OpBench:
    """Two arrays of n elements."""
    return OpBench(
        name=name,
        shapes=SIZES,
        prepare=lambda n: contenders(
            getattr(rv.ops, name),
            getattr(np, name, None),
            getattr(torch, TORCH.get(name, name), None),
            arrays((n,), (n,)),
        ),
        flops=lambda n: n,
        bytes=lambda n: moved * n,
    )


def row_added(rows: int, columns: int) -> dict[str, Callable[[], Any]]:
    """A row added to every row, as a bias is."""
    return contenders(rv.ops.add, np.add, getattr(torch, "add", None), arrays((rows, columns), (columns,)))


def column_added(rows: int, columns: int) -> dict[str, Callable[[], Any]]:
    """A number per row taken from its elements, as in centring."""
    return contenders(
        rv.ops.subtract, np.subtract, getattr(torch, "subtract", None), arrays((rows, columns), (rows, 1))
    )


def summed(rows: int, columns: int) -> dict[str, Callable[[], Any]]:
    """The gradient of a row that was added to every row."""
    return contenders(
        lambda x: rv.ops.sum_to_shape(x, (columns,)),
        lambda x: x.sum(0),
        lambda x: x.sum_to_size(columns),
        arrays((rows, columns)),
    )


def one_or_other(n: int) -> dict[str, Callable[[], Any]]:
    """The larger of two arrays, by way of a mask made beforehand."""
    mask, a, b = arrays((n,), (n,), (n,))
    chosen = mask > 0.5
    theirs = None if torch is None else torch.from_numpy(chosen)
    ours = rv.Tensor(chosen)
    return contenders(
        lambda x, y: rv.ops.where(ours, x, y),
        lambda x, y: np.where(chosen, x, y),
        lambda x, y: torch.where(theirs, x, y),
        [a, b],
    )


def clipped(n: int) -> dict[str, Callable[[], Any]]:
    """Values kept between two numbers."""
    return contenders(
        lambda x: rv.ops.clip(x, 0.5, 1.0),
        lambda x: np.clip(x, 0.5, 1.0),
        lambda x: torch.clip(x, 0.5, 1.0),
        arrays((n,)),
    )


def raised(n: int) -> dict[str, Callable[[], Any]]:
    """A power that no shortcut serves."""
    return contenders(
        lambda x: rv.ops.power(x, 1.5),
        lambda x: np.power(x, x.dtype.type(1.5)),
        lambda x: torch.pow(x, 1.5),
        arrays((n,)),
    )


def narrowed(n: int) -> dict[str, Callable[[], Any]]:
    """float32 to bfloat16 (NumPy: float16; it has no other)."""
    return contenders(
        lambda x: rv.ops.cast(x, "bfloat16"),
        lambda x: x.astype(np.float16),
        lambda x: x.to(torch.bfloat16),
        arrays((n,)),
    )


MATRICES = ({"rows": 64, "columns": 10}, {"rows": 512, "columns": 512}, {"rows": 8192, "columns": 512})

ARITHMETIC = ("add", "subtract", "multiply", "divide", "maximum", "minimum")
COMPARISONS = ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "logical_and", "logical_or")
FUNCTIONS = ("negative", "absolute", "abs", "sign", "square", "sqrt", "exp", "expm1", "log", "log1p", "erf")
TESTS = ("isnan", "isfinite", "logical_not")

BENCHES = [
    *[same_shape(name, 3 * 4) for name in ARITHMETIC],
    *[same_shape(name, 2 * 4 + 1) for name in COMPARISONS],
    *[function(name, 2 * 4) for name in FUNCTIONS],
    *[function(name, 4 + 1) for name in TESTS],
    *[
        OpBench(
            name=name,
            shapes=MATRICES,
            prepare=prepare,
            flops=lambda rows, columns: rows * columns,
            bytes=lambda rows, columns, passes=passes: passes * 4 * rows * columns,
        )
        for name, prepare, passes in (
            ("add_row", row_added, 2),
            ("subtract_column", column_added, 2),
            ("sum_to_shape", summed, 1),
        )
    ],
    *[
        OpBench(
            name=name,
            shapes=SIZES,
            prepare=prepare,
            flops=lambda n: 0,
            bytes=lambda n, moved=moved: moved * n,
        )
        for name, prepare, moved in (
            ("where", one_or_other, 13),
            ("clip", clipped, 8),
            ("power", raised, 8),
            ("cast_bfloat16", narrowed, 6),
        )
    ],
]
