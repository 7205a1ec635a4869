"""affine_transform: what lies outside, and what between the pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

import ranvier as rv
from tests.opspec import Call, OpSpec, Refused, gamma, normal, run, run_backward, seeds, smallest

FILL_MODES = ("constant", "nearest", "reflect", "mirror", "wrap")


@st.composite
def transforms(draw: Any, count: int, height: int, width: int) -> np.ndarray:
    """Turned, sheared, mirrored, seen from aside, moved far away; multiples of 1/4 also, which hit pixels and edges."""
    rng = np.random.default_rng(draw(seeds))
    kind = draw(st.sampled_from(["any", "quarters", "far", "perspective"]))
    t = np.zeros((count, 8))
    t[:, [0, 4]] = rng.choice([1, -1, 0.5, 1.25], (count, 2))
    t[:, [2, 5]] = rng.integers(-8, 9, (count, 2)) / 4 + np.where(t[:, [0, 4]] < 0, [width - 1, height - 1], 0)
    if kind != "quarters":
        t[:, :6] += 0.3 * rng.normal(size=(count, 6))
    if kind == "far":
        t[:, [2, 5]] *= 10.0 ** rng.integers(0, 18, (count, 2))
    if kind == "perspective":
        t[:, 6:] = 0.1 * rng.normal(size=(count, 2))
    return t.astype(np.float32).astype(np.float64)  # the same numbers in both dtypes, so the same places


@st.composite
def calls(draw: Any, small: bool = False, integers: bool = False) -> Call:
    side = st.integers(1, 3) if small else st.one_of(st.integers(0, 9), st.sampled_from([17, 130, 260]))
    count, height, width = draw(st.integers(1, 2) if small else st.integers(0, 3)), draw(side), draw(side)
    channels = draw(st.sampled_from([1, 2]) if small else st.sampled_from([0, 1, 2, 3, 4, 5]))
    images = normal((count, height, width, channels), draw(seeds), 50.0)
    transform = draw(transforms(draw(st.sampled_from([1, count])), height, width))
    options = dict(
        interpolation=draw(st.sampled_from(["bilinear", "nearest"])),
        fill_mode=draw(st.sampled_from(FILL_MODES)),
        fill_value=draw(st.sampled_from([0.0, 3.0])),
    )
    if integers:
        transform[:, [0, 1, 3, 4]] = np.rint(transform[:, [0, 1, 3, 4]])
        transform[:, [2, 5]], transform[:, 6:] = np.rint(transform[:, [2, 5]]), 0
        images = np.rint(images)
    return Call({"images": images, "transform": transform}, options)


@st.composite
def bytes_calls(draw: Any) -> Call:
    call = draw(calls())
    images = np.clip(np.rint(np.abs(call.arrays["images"])), 0, 255).astype(np.uint8)
    transform = call.arrays["transform"]
    # Places at multiples of 1/32 and weights that are powers of two: exact in float32, ties and all.
    transform[:, :6] = np.rint(transform[:, :6] * 4) / 4
    transform[:, 6:] = 0
    return Call({"images": images, "transform": np.clip(transform, -1e6, 1e6)}, call.options)


def warp(images: Any, transform: Any, **options: Any) -> Any:
    return rv.ops.image.affine_transform(images, transform, **options)


def absolute(call: Call) -> Call:
    return Call({**call.arrays, "images": np.abs(np.asarray(call.arrays["images"], np.float64))}, call.options)


def forward_bound(call: Call, expected: list[np.ndarray], eps: float) -> list[Any]:
    """Four products of rounded weights, with the fill value (not negative) among the pixels."""
    (magnitude,) = run(warp, absolute(call), "float64", "reference")
    return [gamma(12, eps) * magnitude + smallest(eps)]


def gradient_bound(call: Call, dys: list[np.ndarray], expected: dict[str, np.ndarray], eps: float) -> dict[str, Any]:
    """As many terms as fall on a pixel: at most four of each pixel of the result."""
    _, height, width, _ = np.shape(call.arrays["images"])
    magnitude = run_backward(warp, call, ("images",), [np.abs(dys[0])], "float64", "reference")["images"]
    return {"images": gamma(4 * height * width + 12, eps) * magnitude + smallest(eps)}


def exact(call: Call, expected: list[np.ndarray], eps: float) -> list[Any]:
    return [np.zeros_like(e) for e in expected]


IMAGES = np.ones((2, 3, 4, 1))
IDENTITY = np.asarray([1.0, 0, 0, 0, 1, 0, 0, 0])

SPECS = [
    OpSpec(
        op=rv.ops.image.affine_transform,
        calls=calls(),
        bound=forward_bound,
        gradients=("images",),
        gradient_bound=gradient_bound,
        gradient_calls=calls(small=True),
        integers=calls(integers=True),
        twice=True,
        refused=(
            Refused(
                Call({"images": IMAGES, "transform": np.ones((3, 8))}), ValueError, "must be 2x8 or 1x8 for 2 images"
            ),
            Refused(Call({"images": IMAGES, "transform": IDENTITY[:6]}), ValueError, "but is 1x6"),
            Refused(Call({"images": IMAGES[0, 0], "transform": IDENTITY}), ValueError, "must have rank 3 (one) or 4"),
            Refused(
                Call({"images": IMAGES.astype(np.int32), "transform": IDENTITY}), TypeError, "images must be float"
            ),
            Refused(
                Call({"images": IMAGES, "transform": IDENTITY}, {"fill_mode": "reflekt"}),
                ValueError,
                "Did you mean 'reflect'?",
            ),
            Refused(
                Call({"images": IMAGES, "transform": IDENTITY}, {"interpolation": "bicubic"}),
                ValueError,
                "Unknown interpolation: 'bicubic'",
            ),
        ),
    ),
    OpSpec(
        op=rv.ops.image.affine_transform,
        name="affine_transform of bytes",
        calls=bytes_calls(),
        bound=exact,
        nan=False,
    ),
]
