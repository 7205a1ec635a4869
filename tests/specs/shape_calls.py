"""Calls of the ops that move elements: legal inputs, and the bounds of results and gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

import ranvier as rv
from tests.opspec import Call, gamma, normal, run_backward, seeds, shapes, smallest

DTYPES = ("float64", "float32", "float16", "int32", "int64", "uint8", "bool")


def typed(draw: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers of any dtype; half of the time float64, which the suite rounds to the dtype under test."""
    values = normal(shape, draw(seeds), 50.0)
    dtype = draw(st.sampled_from((*DTYPES, *["float64"] * len(DTYPES))))
    return np.abs(values).astype(dtype) if dtype == "uint8" else values.astype(dtype)


def exact(call: Call, expected: list[np.ndarray], eps: float) -> list[Any]:
    return [0.0] * len(expected)


def moved(call: Call, dys: Any, expected: dict[str, np.ndarray], eps: float) -> dict[str, Any]:
    """Gradients that are moved only."""
    return {k: 0.0 for k in expected}


def added(op: Callable[..., Any], gradients: tuple[str, ...]) -> Any:
    """Gradients that are sums of copies: gamma of the number of output elements, on absolute values."""

    def bound(call: Call, dys: list[np.ndarray], expected: dict[str, np.ndarray], eps: float) -> dict[str, Any]:
        size = [np.abs(d) for d in dys]
        magnitude = run_backward(op, call.absolute(), gradients, size, "float64", "reference")
        count = sum(d.size for d in dys)
        return {k: gamma(min(count, 500), eps) * m + smallest(eps) for k, m in magnitude.items()}

    return bound


# --- layout --------------------------------------------------------------------------------------------------------

LARGE = (
    (70, 65),
    (33, 5, 40),
    (3, 130, 70),
    (17, 3, 1, 300),
    (200, 3, 7),
    (20_000, 3),
    (5, 40_000),
    (900, 11),
    (4, 90, 13),
)
RUNS = ((9_000, 1), (900, 11), (60, 9, 40), (7, 300))  # lines shorter and longer than what is moved at a time


@st.composite
def transpose_calls(draw: Any, small: bool = False) -> Call:
    sides = shapes(0, 5, 0, 5) if small else st.one_of(shapes(0, 5, 0, 9), st.sampled_from(LARGE))
    shape = draw(sides)
    order = draw(st.permutations(range(len(shape))))
    signed = tuple(a - len(shape) if draw(st.booleans()) else a for a in order)
    x = normal(shape, draw(seeds)) if small else typed(draw, shape)
    return Call({"x": x}, {"axes": draw(st.sampled_from([signed, None]))})


@st.composite
def reshape_calls(draw: Any) -> Call:
    shape = draw(shapes(0, 4, 0, 6))
    pieces = list(draw(st.permutations([n for side in shape for n in _factors(side)])))
    target = []
    while pieces:
        target.append(int(np.prod([pieces.pop() for _ in range(draw(st.integers(1, len(pieces))))])))
    if target and 0 not in target and draw(st.booleans()):
        target[draw(st.integers(0, len(target) - 1))] = -1
    return Call({"x": typed(draw, shape)}, {"newshape": tuple(target)})


def _factors(n: int) -> list[int]:
    for d in (2, 3, 5):
        if n > d and n % d == 0:
            return [d, *_factors(n // d)]
    return [n]


@st.composite
def broadcast_calls(draw: Any, small: bool = False) -> Call:
    target = draw(shapes(0, 4, 0, 3) if small else st.one_of(shapes(0, 4, 0, 9), st.sampled_from(LARGE)))
    kept = target[draw(st.integers(0, len(target))) :]
    shape = tuple(1 if draw(st.booleans()) else n for n in kept)
    x = normal(shape, draw(seeds)) if small else typed(draw, shape)
    return Call({"x": x}, {"shape": target})


@st.composite
def expand_calls(draw: Any) -> Call:
    shape = draw(shapes(0, 3, 0, 4))
    rank = len(shape) + draw(st.integers(1, 2))
    axes = draw(st.lists(st.integers(0, rank - 1), min_size=rank - len(shape), max_size=rank - len(shape), unique=True))
    return Call({"x": typed(draw, shape)}, {"axis": axes[0] if len(axes) == 1 else tuple(a - rank for a in axes)})


@st.composite
def squeeze_calls(draw: Any) -> Call:
    shape = draw(shapes(0, 4, 1, 2))
    ones = [i for i, n in enumerate(shape) if n == 1]
    axis = draw(st.sampled_from([None, tuple(ones), *ones, *(i - len(shape) for i in ones)]))
    return Call({"x": typed(draw, shape)}, {"axis": axis})


# --- joining -------------------------------------------------------------------------------------------------------


def concatenate(a: Any, b: Any, c: Any, axis: int) -> Any:
    return rv.ops.concatenate([a, b, c], axis)


def stack(a: Any, b: Any, axis: int) -> Any:
    return rv.ops.stack([a, b], axis)


@st.composite
def concatenate_calls(draw: Any, small: bool = False) -> Call:
    shape = draw(shapes(1, 4, 1, 3) if small else st.one_of(shapes(1, 4, 0, 7), st.sampled_from(LARGE)))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    arrays = {}
    for name in "abc":
        sides = list(shape)
        sides[axis] = draw(st.integers(0, 3))
        arrays[name] = normal(tuple(sides), draw(seeds))
    return Call(arrays, {"axis": axis})


@st.composite
def stack_calls(draw: Any) -> Call:
    shape = draw(shapes(0, 3, 0, 5))
    axis = draw(st.integers(-len(shape) - 1, len(shape)))
    return Call({"a": normal(shape, draw(seeds)), "b": normal(shape, draw(seeds))}, {"axis": axis})


@st.composite
def split_calls(draw: Any) -> Call:
    shape = draw(shapes(1, 4, 1, 6))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    n = shape[axis]
    equal = [d for d in range(1, n + 1) if n % d == 0]
    cuts = st.lists(st.integers(-n - 2, n + 2), max_size=4).map(tuple)
    how = draw(st.one_of(st.sampled_from(equal), cuts))
    return Call({"x": normal(shape, draw(seeds))}, {"indices_or_sections": how, "axis": axis})


@st.composite
def tile_calls(draw: Any, small: bool = False) -> Call:
    shape = draw(shapes(0, 3, 0, 4) if small else st.one_of(shapes(0, 3, 0, 4), st.sampled_from(RUNS)))
    repeats = draw(st.one_of(st.integers(0, 3), st.lists(st.integers(0, 3), max_size=4).map(tuple)))
    return Call({"x": normal(shape, draw(seeds))}, {"repeats": repeats})


@st.composite
def repeat_calls(draw: Any, small: bool = False) -> Call:
    shape = draw(shapes(0, 3, 0, 4) if small else st.one_of(shapes(0, 3, 0, 4), st.sampled_from(RUNS)))
    axis = draw(st.sampled_from([None, *range(-len(shape), len(shape))]))
    n = int(np.prod(shape)) if axis is None else shape[axis]
    many = st.lists(st.integers(0, 3), min_size=n, max_size=n).map(tuple)
    repeats = draw(st.one_of(st.integers(0, 3), many)) if n < 40 else draw(st.integers(0, 3))
    return Call({"x": normal(shape, draw(seeds))}, {"repeats": repeats, "axis": axis})


@st.composite
def pad_calls(draw: Any) -> Call:
    mode = draw(st.sampled_from(["constant", "edge", "reflect", "symmetric"]))
    shape = draw(shapes(0, 4, 0 if mode == "constant" else 1, 5))
    pair = st.tuples(st.integers(0, 7), st.integers(0, 7))
    width = draw(st.one_of(st.integers(0, 3), pair, st.tuples(*(pair for _ in shape)))) if shape else 2
    value = draw(st.sampled_from([None, 0, 2.5, -1])) if mode == "constant" else None
    return Call({"x": normal(shape, draw(seeds))}, {"pad_width": width, "mode": mode, "constant_values": value})


@st.composite
def flip_calls(draw: Any, small: bool = False) -> Call:
    shape = draw(shapes(0, 4, 0, 6) if small else st.one_of(shapes(0, 4, 0, 6), st.sampled_from(RUNS)))
    axes = draw(st.lists(st.integers(0, max(0, len(shape) - 1)), max_size=len(shape), unique=True))
    axis = draw(st.sampled_from([None, tuple(axes), *axes, *(a - len(shape) for a in axes)]))
    return Call({"x": typed(draw, shape)}, {"axis": axis})


# --- by index --------------------------------------------------------------------------------------------------------


def indices_below(draw: Any, n: int, shape: tuple[int, ...], lowest: int = 0) -> np.ndarray:
    values = np.random.default_rng(draw(seeds)).integers(lowest, n, size=shape)
    return values.astype(draw(st.sampled_from(["int32", "int64"])))


@st.composite
def take_calls(draw: Any, small: bool = False) -> Call:
    shape = draw(shapes(1, 3, 1, 4) if small else st.one_of(shapes(1, 4, 1, 7), st.sampled_from(LARGE)))
    axis = draw(st.sampled_from([None, *range(-len(shape), len(shape))]))
    n = int(np.prod(shape)) if axis is None else shape[axis]
    where = draw(shapes(0, 2, 0, 3) if small else st.one_of(shapes(0, 2, 0, 5), st.just((300,))))
    x = normal(shape, draw(seeds)) if small else typed(draw, shape)
    return Call({"x": x, "indices": indices_below(draw, n, where, -n)}, {"axis": axis})


@st.composite
def scatter_calls(draw: Any, small: bool = False) -> Call:
    shape = draw(shapes(1, 3, 1, 4) if small else st.one_of(shapes(1, 4, 1, 7), st.sampled_from(LARGE)))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    where = draw(shapes(0, 2, 0, 3) if small else st.one_of(shapes(0, 2, 0, 5), st.just((300,))))
    at = axis % len(shape)
    updates = normal((*shape[:at], *where, *shape[at + 1 :]), draw(seeds))
    indices = indices_below(draw, shape[axis], where, -shape[axis])
    return Call({"x": normal(shape, draw(seeds)), "indices": indices, "updates": updates}, {"axis": axis})


def scatter_bound(call: Call, expected: list[np.ndarray], eps: float) -> list[Any]:
    """Each element is a sum of at most all updates that share its place."""
    indices = np.asarray(call.arrays["indices"])
    wide = call.absolute()
    magnitude = rv.reference.scatter_add_forward(*wide.arrays.values(), **call.options)
    most = int(np.bincount(indices.reshape(-1) % np.shape(call.arrays["x"])[call.options["axis"]], minlength=1).max())
    return [gamma(most, eps) * magnitude + smallest(eps)]


@st.composite
def one_hot_calls(draw: Any) -> Call:
    shape = draw(shapes(0, 3, 0, 6))
    classes = draw(st.integers(1, 9))
    options = {
        "num_classes": classes,
        "axis": draw(st.integers(-len(shape) - 1, len(shape))),
        "dtype": draw(st.sampled_from(DTYPES)),
    }
    return Call({"x": indices_below(draw, classes + 3, shape, -3)}, options)


@st.composite
def range_calls(draw: Any) -> Call:
    number = st.one_of(st.integers(-50, 50), st.floats(-50, 50).map(lambda v: round(v, 2)))
    step = st.sampled_from([1, 2, -1, -3, 0.5, -0.25])
    return Call({}, {"start": draw(number), "stop": draw(st.none() | number), "step": draw(step)})


@st.composite
def like_calls(draw: Any) -> Call:
    return Call({"x": typed(draw, draw(shapes(0, 4, 0, 5)))}, {"dtype": draw(st.sampled_from([None, *DTYPES]))})


@st.composite
def full_calls(draw: Any) -> Call:
    value = np.asarray(draw(st.sampled_from([3, -2.5, True])))
    return Call(
        {"fill_value": value}, {"shape": draw(shapes(0, 4, 0, 6)), "dtype": draw(st.sampled_from(["float32", "int64"]))}
    )


# --- keys of get_item; see also tests/ops/test_indexing.py ---------------------------------------------------------


@st.composite
def item_calls(draw: Any, small: bool = False) -> Call:
    shape = draw(shapes(0, 3, 1, 3) if small else st.one_of(shapes(0, 4, 0, 7), st.sampled_from(LARGE)))
    x = normal(shape, draw(seeds)) if small else typed(draw, shape)
    return Call({"x": x}, {"key": draw(keys(shape))})


@st.composite
def keys(draw: Any, shape: tuple[int, ...]) -> Any:
    """Keys that NumPy accepts: numbers, slices, None, an ellipsis, and at most one integer array or mask."""
    items: list[Any] = []
    fancy = False
    for n in shape[: draw(st.integers(0, len(shape)))]:
        kinds = ["slice", "slice"] + ["number"] * (n > 0) + ["array", "mask"] * (n > 0 and not fancy)
        kind = draw(st.sampled_from(kinds))
        if kind == "number":
            items.append(draw(st.integers(-n, n - 1)))
        elif kind == "slice":
            items.append(draw(st.slices(n)))
        elif kind == "array":
            where = draw(shapes(0, 2, 0, 3))
            items.append(np.random.default_rng(draw(seeds)).integers(-n, n, size=where))
        else:
            items.append(np.random.default_rng(draw(seeds)).random(n) < 0.5)
        fancy = fancy or kind in ("array", "mask")
        if draw(st.integers(0, 5)) == 0:
            items.append(None)
    if draw(st.booleans()):
        items.append(Ellipsis)
    return items[0] if len(items) == 1 and draw(st.booleans()) else tuple(items)
