"""Moving elements: nothing is rounded, so every forward must be exact; gradients add up what was copied."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

import ranvier as rv
from tests.opspec import Call, OpSpec, Refused, gamma, normal, run_backward, seeds, shapes, smallest

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

LARGE = ((70, 65), (33, 5, 40), (3, 130, 70), (17, 3, 1, 300), (200, 3, 7), (20_000, 3), (5, 40_000))


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
def tile_calls(draw: Any) -> Call:
    shape = draw(shapes(0, 3, 0, 4))
    repeats = draw(st.one_of(st.integers(0, 3), st.lists(st.integers(0, 3), max_size=4).map(tuple)))
    return Call({"x": normal(shape, draw(seeds))}, {"repeats": repeats})


@st.composite
def repeat_calls(draw: Any) -> Call:
    shape = draw(shapes(0, 3, 0, 4))
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
def flip_calls(draw: Any) -> Call:
    shape = draw(shapes(0, 4, 0, 6))
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


X = np.ones((2, 3))
RANGE_OF_ROWS = "index 2 at position 1 is out of range for 2 rows"

SPECS = [
    OpSpec(
        op=rv.ops.reshape,
        calls=reshape_calls(),
        bound=exact,
        gradients=("x",),
        gradient_bound=moved,
        refused=(
            Refused(Call({"x": X}, {"newshape": (4, 2)}), ValueError, "cannot turn shape 2x3 (6 elements) into 4x2"),
            Refused(Call({"x": X}, {"newshape": (4, -1)}), ValueError, "cannot turn shape (2, 3) (6 elements)"),
            Refused(Call({"x": X}, {"newshape": (-1, -1)}), ValueError, "cannot turn shape"),
            Refused(Call({"x": X}, {"newshape": (-6,)}), ValueError, "negative side"),
            Refused(Call({"x": X}, {"newshape": 1.5}), TypeError, "reshape: shape must be an int"),
        ),
    ),
    OpSpec(
        op=rv.ops.transpose,
        calls=transpose_calls(),
        bound=exact,
        gradients=("x",),
        gradient_bound=moved,
        gradient_calls=transpose_calls(small=True),
        refused=(
            Refused(Call({"x": X}, {"axes": (0,)}), ValueError, "axes 0 must name each of the 2 axes of shape 2x3"),
            Refused(Call({"x": X}, {"axes": (0, -2)}), ValueError, "axis -2 is given twice"),
            Refused(Call({"x": X}, {"axes": (0, 2)}), ValueError, "axis 2 is out of range"),
        ),
    ),
    OpSpec(
        op=rv.ops.broadcast_to,
        calls=broadcast_calls(),
        bound=exact,
        gradients=("x",),
        gradient_bound=added(rv.ops.broadcast_to, ("x",)),
        gradient_calls=broadcast_calls(small=True),
        refused=(
            Refused(Call({"x": X}, {"shape": (2, 4)}), ValueError, "shape 2x3 does not broadcast to shape 2x4"),
            Refused(Call({"x": X}, {"shape": (3,)}), ValueError, "shape 2x3 does not broadcast to shape 3"),
            Refused(Call({"x": X}, {"shape": (-1, 2, 3)}), ValueError, "negative side"),
            Refused(Call({"x": X}, {"shape": (2**40, 2**40, 2, 3)}), ValueError, "too many elements"),
        ),
    ),
    OpSpec(
        op=rv.ops.expand_dims,
        calls=expand_calls(),
        bound=exact,
        gradients=("x",),
        gradient_bound=moved,
        refused=(
            Refused(
                Call({"x": X}, {"axis": 3}), ValueError, "expand_dims: axis 3 is out of range for a result of rank 3"
            ),
            Refused(Call({"x": X}, {"axis": (0, 0)}), ValueError, "names an axis twice"),
        ),
    ),
    OpSpec(
        op=rv.ops.squeeze,
        calls=squeeze_calls(),
        bound=exact,
        gradients=("x",),
        gradient_bound=moved,
        refused=(Refused(Call({"x": X}, {"axis": 1}), ValueError, "axis 1 of shape (2, 3) has length 3, not one"),),
    ),
    OpSpec(
        op=concatenate,
        calls=concatenate_calls(),
        bound=exact,
        gradients=("a", "b", "c"),
        gradient_bound=moved,
        gradient_calls=concatenate_calls(small=True),
        refused=(
            Refused(
                Call({"a": X, "b": X.T, "c": X}, {"axis": 0}), ValueError, "x 1 must have shape 3x3 but has shape 3x2"
            ),
            Refused(
                Call({"a": X, "b": X.astype("f"), "c": X}, {"axis": 0}), TypeError, "x 0 is float64 but x 1 is float32"
            ),
            Refused(Call({"a": X[0, 0], "b": X, "c": X}, {"axis": 0}), ValueError, "x 0 must have rank 1 or more"),
        ),
    ),
    OpSpec(
        op=stack,
        calls=stack_calls(),
        bound=exact,
        gradients=("a", "b"),
        gradient_bound=moved,
        refused=(Refused(Call({"a": X, "b": X.T}, {"axis": 0}), ValueError, "x 1 has shape (3, 2) but x 0 has shape"),),
    ),
    OpSpec(
        op=rv.ops.split,
        calls=split_calls(),
        bound=exact,
        gradients=("x",),
        gradient_bound=added(rv.ops.split, ("x",)),
        refused=(
            Refused(
                Call({"x": X}, {"indices_or_sections": 2, "axis": 1}), ValueError, "cannot be cut into 2 equal parts"
            ),
            Refused(Call({"x": X}, {"indices_or_sections": 0}), ValueError, "cannot be cut into 0 equal parts"),
        ),
    ),
    OpSpec(
        op=rv.ops.tile,
        calls=tile_calls(),
        bound=exact,
        gradients=("x",),
        gradient_bound=added(rv.ops.tile, ("x",)),
        refused=(Refused(Call({"x": X}, {"repeats": -1}), ValueError, "tile: repeats must not be negative"),),
    ),
    OpSpec(
        op=rv.ops.repeat,
        calls=repeat_calls(),
        bound=exact,
        gradients=("x",),
        gradient_bound=added(rv.ops.repeat, ("x",)),
        refused=(
            Refused(Call({"x": X}, {"repeats": -1}), ValueError, "repeat: repeats must be one or 6 numbers"),
            Refused(
                Call({"x": X}, {"repeats": (1, 2), "axis": 1}), ValueError, "repeat: repeats must be one or 3 numbers"
            ),
        ),
    ),
    OpSpec(
        op=rv.ops.pad,
        calls=pad_calls(),
        bound=exact,
        gradients=("x",),
        gradient_bound=added(rv.ops.pad, ("x",)),
        refused=(
            Refused(Call({"x": X}, {"pad_width": -1}), ValueError, "pad_width of axis 0 must not be negative or huge"),
            Refused(
                Call({"x": X}, {"pad_width": ((1, 1),) * 3}), ValueError, "does not give a pair for each of 2 axes"
            ),
            Refused(Call({"x": X}, {"pad_width": 1.5}), TypeError, "pad_width must hold integers"),
            Refused(Call({"x": X}, {"pad_width": 1, "mode": "wrap"}), ValueError, "mode must be 'constant'"),
            Refused(Call({"x": X[:0]}, {"pad_width": 1, "mode": "edge"}), ValueError, "cannot be padded by (1, 1)"),
        ),
    ),
    OpSpec(
        op=rv.ops.flip,
        calls=flip_calls(),
        bound=exact,
        gradients=("x",),
        gradient_bound=moved,
        refused=(Refused(Call({"x": X}, {"axis": 2}), ValueError, "flip: axis 2 is out of range for shape (2, 3)"),),
    ),
    OpSpec(
        op=rv.ops.get_item,
        calls=item_calls(),
        bound=exact,
        gradients=("x",),
        gradient_bound=added(rv.ops.get_item, ("x",)),
        gradient_calls=item_calls(small=True),
        refused=(
            Refused(Call({"x": X}, {"key": 2}), IndexError, "index 2 is out of range for axis 0 of shape (2, 3)"),
            Refused(Call({"x": X}, {"key": (0, [0, -4])}), IndexError, "index -4 is out of range for axis 1"),
            Refused(Call({"x": X}, {"key": (0, 0, 0)}), IndexError, "3 indices are too many for an array of rank 2"),
            Refused(Call({"x": X}, {"key": (Ellipsis, Ellipsis)}), IndexError, "single ellipsis"),
            Refused(Call({"x": X}, {"key": np.ones(3, bool)}), IndexError, "a mask of shape (3,) does not fit"),
            Refused(Call({"x": X}, {"key": 0.5}), TypeError, "an index must be an integer, a slice"),
            Refused(Call({"x": X}, {"key": slice(None, None, 0)}), ValueError, "slice step cannot be zero"),
        ),
    ),
    OpSpec(
        op=rv.ops.take,
        calls=take_calls(),
        bound=exact,
        gradients=("x",),
        gradient_bound=added(rv.ops.take, ("x",)),
        gradient_calls=take_calls(small=True),
        refused=(
            Refused(Call({"x": X, "indices": np.asarray([0, 2])}, {"axis": 0}), ValueError, RANGE_OF_ROWS),
            Refused(Call({"x": X, "indices": np.asarray([-3])}, {"axis": 0}), ValueError, "index -3 at position 0"),
            Refused(
                Call({"x": X, "indices": np.asarray([0.0])}, {"axis": 0}), TypeError, "indices must be int32 or int64"
            ),
            Refused(Call({"x": X, "indices": np.asarray([0])}, {"axis": 2}), ValueError, "axis 2 is out of range"),
        ),
    ),
    OpSpec(
        op=rv.ops.scatter_add,
        calls=scatter_calls(),
        bound=scatter_bound,
        gradients=("x", "updates"),
        gradient_bound=moved,
        gradient_calls=scatter_calls(small=True),
        refused=(
            Refused(
                Call({"x": X, "indices": np.asarray([0, 2]), "updates": X}, {"axis": 0}), ValueError, RANGE_OF_ROWS
            ),
            Refused(
                Call({"x": X, "indices": np.asarray([0]), "updates": X}, {"axis": 0}),
                ValueError,
                "updates must have shape 1x3 but has shape 2x3",
            ),
            Refused(
                Call({"x": X > 0, "indices": np.asarray([0]), "updates": X[:1] > 0}, {"axis": 0}),
                TypeError,
                "x must be float32, float64, int32 or int64 but is bool",
            ),
        ),
    ),
    OpSpec(
        op=rv.ops.one_hot,
        calls=one_hot_calls(),
        bound=exact,
        refused=(
            Refused(
                Call({"x": np.asarray([0])}, {"num_classes": 0}), ValueError, "num_classes must be positive but is 0"
            ),
            Refused(Call({"x": np.asarray([0])}, {"num_classes": 2, "axis": 2}), ValueError, "axis 2 is out of range"),
            Refused(Call({"x": np.asarray([0.0])}, {"num_classes": 2}), TypeError, "x must be int32 or int64"),
            Refused(Call({"x": np.asarray([0])}, {"num_classes": 2, "dtype": "int7"}), TypeError, "int7"),
        ),
    ),
    OpSpec(
        op=rv.ops.arange,
        calls=range_calls(),
        bound=exact,
        refused=(
            Refused(Call({}, {"start": 0, "stop": 5, "step": 0}), ValueError, "from 0 to 5 by 0 is not a finite range"),
            Refused(Call({}, {"start": np.inf}), ValueError, "from 0 to inf by 1 is not a finite range"),
            Refused(Call({}, {"start": "a"}), TypeError, "must be real number"),
        ),
    ),
    OpSpec(op=rv.ops.zeros_like, calls=like_calls(), bound=exact),
    OpSpec(op=rv.ops.ones_like, calls=like_calls(), bound=exact),
    OpSpec(op=rv.ops.full, calls=full_calls(), bound=exact),
]
