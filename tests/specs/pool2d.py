"""max_pool2d, avg_pool2d and the global pools."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

import ranvier as rv
from tests.opspec import Call, OpSpec, Refused, gamma, linear_bound, linear_gradient_bound, seeds, smallest
from tests.specs.conv2d import both, pairs


@st.composite
def calls(draw: Any, small: bool = False, integers: bool = False) -> Call:
    pool = draw(pairs(1, 2 if small else 4))
    strides = draw(st.one_of(st.none(), pairs(1, 3)))
    if draw(st.integers(0, 9)) == 0 and not small:
        pool, strides = (16, 17), 3  # more places than a byte holds
    padding: Any = draw(st.sampled_from(["valid", "same", "explicit"]))
    least = list(both(pool)) if padding == "valid" else [1, 1]
    if padding == "explicit":  # every window must hold an input
        sides = [min(1, k - 1) for k in both(pool)]
        padding = tuple((draw(st.integers(0, s)), draw(st.integers(0, s))) for s in sides)
        least = list(both(pool))
    size = [n + draw(st.integers(0, 2 if small else 9)) for n in least]
    channels = draw(st.integers(1, 2) if small else st.sampled_from([0, 1, 3, 5, 8, 13, 16, 17, 40, 70]))
    images = draw(st.integers(1, 2) if small else st.integers(0, 3))
    shape, seed = (images, *size, channels), draw(seeds)
    if integers:  # many ties
        values = np.random.default_rng(seed).integers(-2, 3, shape).astype(np.float64)
    else:
        # Distinct values, apart by more than a central difference's step.
        values = np.random.default_rng(seed).permutation(int(np.prod(shape))).reshape(shape) / 8.0
    return Call({"inputs": values}, dict(pool_size=pool, strides=strides, padding=padding))


@st.composite
def global_calls(draw: Any, small: bool = False, integers: bool = False) -> Call:
    side = st.integers(1, 2 if small else 18)
    shape = (
        draw(st.integers(1 if small else 0, 2)),
        draw(side),
        draw(side),
        draw(st.integers(1, 2) if small else st.sampled_from([1, 2, 7, 16, 19, 33, 70])),
    )
    values = np.random.default_rng(draw(seeds)).permutation(int(np.prod(shape))).reshape(shape) / 8.0
    return Call({"inputs": np.rint(values) if integers else values}, dict(keepdims=draw(st.booleans())))


def window_elements(call: Call) -> int:
    size = both(call.options["pool_size"])
    return size[0] * size[1]


def covering_windows(call: Call) -> int:
    size, strides = both(call.options["pool_size"]), call.options["strides"]
    steps = size if strides is None else both(strides)
    return int(np.prod([-(-k // s) for k, s in zip(size, steps, strict=True)]))


def image_elements(call: Call) -> int:
    _, height, width, _ = np.asarray(call.arrays["inputs"]).shape
    return height * width


def exact(call: Call, expected: list[np.ndarray], eps: float) -> list[Any]:
    return [np.zeros_like(e) for e in expected]


def max_gradient_bound(
    call: Call, dys: list[np.ndarray], expected: dict[str, np.ndarray], eps: float
) -> dict[str, Any]:
    """Overlapping windows add up: at most as many terms as windows over an input."""
    largest = float(np.max(np.abs(dys[0]), initial=0.0))
    terms = covering_windows(call) if "pool_size" in call.options else 1
    return {"inputs": gamma(terms, eps) * terms * largest + smallest(eps)}


def refused(error: type[Exception], match: str, values: Any, **options: Any) -> Refused:
    return Refused(Call({"inputs": values}, options), error, match)


IMAGE = np.ones((2, 5, 5, 3))


def refusals(op: str) -> tuple[Refused, ...]:
    return (
        refused(TypeError, f"{op}: inputs must be floating", np.ones((2, 5, 5, 3), np.int32)),
        refused(ValueError, f"{op}: inputs must have rank 4 but has rank 3 (shape 5x5x3)", np.ones((5, 5, 3))),
        refused(ValueError, f"{op}: pool size must be one or two integers from 1", IMAGE, pool_size=0),
        refused(ValueError, f"{op}: strides must be one or two integers from 1", IMAGE, strides=(1, -2)),
        refused(ValueError, f"{op}: the pool's height 6 is larger than the padded input's 5", IMAGE, pool_size=6),
        refused(ValueError, f"{op}: padding must be", IMAGE, padding="reflect"),
        refused(
            ValueError, f"{op}: padding leaves a window of height 2 without any input", IMAGE, padding=((2, 0), (0, 0))
        ),
    )


GLOBAL_REFUSED = (
    refused(ValueError, "inputs must have rank 4 but has rank 2 (shape 5x3)", np.ones((5, 3))),
    refused(ValueError, "pool size must be", np.ones((2, 0, 5, 3))),
)

SPECS = [
    OpSpec(
        op=rv.ops.max_pool2d,
        calls=calls(),
        bound=exact,
        gradients=("inputs",),
        gradient_bound=max_gradient_bound,
        gradient_calls=calls(small=True),
        integers=calls(integers=True),
        refused=refusals("max_pool2d"),
    ),
    OpSpec(
        op=rv.ops.avg_pool2d,
        calls=calls(),
        bound=linear_bound(rv.ops.avg_pool2d, window_elements),
        gradients=("inputs",),
        gradient_bound=linear_gradient_bound(
            rv.ops.avg_pool2d, ("inputs",), lambda call: {"inputs": covering_windows(call) + 1}
        ),
        gradient_calls=calls(small=True),
        refused=refusals("avg_pool2d"),
    ),
    OpSpec(
        op=rv.ops.global_max_pool2d,
        calls=global_calls(),
        bound=exact,
        gradients=("inputs",),
        gradient_bound=max_gradient_bound,
        gradient_calls=global_calls(small=True),
        integers=global_calls(integers=True),
        refused=GLOBAL_REFUSED,
    ),
    OpSpec(
        op=rv.ops.global_avg_pool2d,
        calls=global_calls(),
        bound=linear_bound(rv.ops.global_avg_pool2d, image_elements),
        gradients=("inputs",),
        gradient_bound=linear_gradient_bound(
            rv.ops.global_avg_pool2d, ("inputs",), lambda call: {"inputs": image_elements(call) + 1}
        ),
        gradient_calls=global_calls(small=True),
        refused=GLOBAL_REFUSED,
    ),
]
