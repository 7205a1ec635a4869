"""resize: images of another size."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

import ranvier as rv
from ranvier.ops.image.bands import Bands, resizing
from tests.opspec import Call, OpSpec, Refused, gamma, normal, seeds, smallest


@st.composite
def resizes(draw: Any, small: bool = False) -> Call:
    """Larger, smaller, equal; every interpolation; channels by the vector, by the pixel and by themselves."""
    side = st.integers(1, 4) if small else st.one_of(st.integers(1, 9), st.sampled_from([17, 40, 70]))
    channels = draw(st.sampled_from([1, 3] if small else [0, 1, 2, 3, 4, 5, 16, 37]))
    shape = (draw(st.integers(0 if not small else 1, 2)), draw(side), draw(side), channels)
    options = dict(
        size=(draw(side), draw(side)),
        interpolation=draw(st.sampled_from(["bilinear", "nearest", "bicubic", "lanczos3", "lanczos5"])),
        antialias=draw(st.booleans()),
    )
    return Call({"images": normal(shape, draw(seeds), 50.0)}, options)


def with_taps(call: Call) -> tuple[Bands, Bands]:
    options = call.options
    sizes = zip(np.shape(call.arrays["images"])[1:3], options["size"], strict=True)
    rows, columns = (resizing(*pair, options["interpolation"], options["antialias"]) for pair in sizes)
    return rows, columns


def resize_magnitude(images: np.ndarray, rows: Bands, columns: Bands) -> np.ndarray:
    """The sum of absolute products."""
    matrices = [dense(np.abs(bands.weights), bands) for bands in (rows, columns)]
    return np.einsum("rh,cw,nhwk->nrck", *matrices, np.abs(np.asarray(images, np.float64)), optimize=True)


def dense(weights: np.ndarray, bands: Bands) -> np.ndarray:
    matrix = np.zeros((len(bands.first), bands.size))
    for i, (first, row) in enumerate(zip(bands.first, weights, strict=True)):
        matrix[i, first : first + len(row)] = row
    return matrix


def resize_bound(call: Call, expected: list[np.ndarray], eps: float) -> list[Any]:
    """Two sums of products one after the other, of rounded weights."""
    rows, columns = with_taps(call)
    magnitude = resize_magnitude(call.arrays["images"], rows, columns)
    return [gamma(rows.weights.shape[1] + columns.weights.shape[1] + 4, eps) * magnitude + smallest(eps)]


def resize_gradient_bound(
    call: Call, dys: list[np.ndarray], expected: dict[str, np.ndarray], eps: float
) -> dict[str, Any]:
    rows, columns = (bands.transposed for bands in with_taps(call))
    magnitude = resize_magnitude(dys[0], rows, columns)
    taps = rows.weights.shape[1] + columns.weights.shape[1]
    return {"images": gamma(taps + 4, eps) * magnitude + smallest(eps)}


IMAGES = np.ones((2, 3, 4, 1))

SPECS = [
    OpSpec(
        op=rv.ops.resize,
        calls=resizes(),
        bound=resize_bound,
        gradients=("images",),
        gradient_bound=resize_gradient_bound,
        gradient_calls=resizes(small=True),
        twice=True,
        refused=(
            Refused(Call({"images": IMAGES}, {"size": (2, 0)}), ValueError, "both positive, got (2, 0)"),
            Refused(Call({"images": IMAGES[0, 0]}, {"size": (2, 2)}), ValueError, "must have rank 3 (one) or 4"),
            Refused(Call({"images": IMAGES[:, :0]}, {"size": (2, 2)}), ValueError, "nothing to show"),
            Refused(
                Call({"images": IMAGES}, {"size": (2, 2), "interpolation": "bicubik"}),
                ValueError,
                "Did you mean 'bicubic'?",
            ),
        ),
    ),
]
