"""The ops of images give what Keras 3 gives, on its torch backend."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

import ranvier as rv

os.environ.setdefault("KERAS_BACKEND", "torch")
pytest.importorskip("torch", reason="Keras needs a backend to compare with: pip install torch")
keras = pytest.importorskip("keras", reason="comparison with Keras 3: pip install keras")

RANDOM = np.random.default_rng(0)
X = RANDOM.uniform(0, 1, (2, 13, 17, 3)).astype(np.float32)
BYTES = RANDOM.integers(0, 256, (2, 13, 17, 3)).astype(np.uint8)
PLACES = RANDOM.uniform(-20, 40, (3, 50)).astype(np.float32)
START = np.array([[[0, 0], [16, 0], [0, 12], [16, 12]]] * 2, np.float32)
END = START + RANDOM.uniform(-3, 3, START.shape).astype(np.float32)
MOVES = (np.array([0.7, 1.6], np.float32), np.array([1.5, -2.0], np.float32))
LAST = {"data_format": "channels_last"}  # some of Keras's functions do not look for the default
FIRST = np.ascontiguousarray(np.moveaxis(X, -1, 1))

ROUNDED = 2e-6  # values of one, float32
CASES: list[tuple[str, tuple[Any, ...], dict[str, Any], float]] = [
    *(
        ("resize", (images, size, method, antialias), how, 1 if images is BYTES else ROUNDED)  # ties of bytes
        for size in ((5, 6), (26, 40), (13, 17), (20, 7))
        for method in ("nearest", "bilinear")
        for antialias in (False, True)
        for how in ({}, {"crop_to_aspect_ratio": True}, {"pad_to_aspect_ratio": True, "fill_value": 0.5})
        for images in (X, BYTES)
    ),
    ("resize", (X, (5, 6), "bicubic", True), {}, 1e-5),
    ("resize", (FIRST, (5, 6)), {"data_format": "channels_first"}, ROUNDED),
    ("resize", (X[0], (5, 6)), {}, ROUNDED),
    *(
        ("scale_and_translate", (X, (2, 9, 30, 3), *MOVES, (1, 2), method, antialias), {}, 5e-6)
        for method in ("linear", "cubic", "lanczos3", "lanczos5")
        for antialias in (True, False)
    ),
    ("rgb_to_grayscale", (X,), {}, ROUNDED),
    ("rgb_to_grayscale", (BYTES,), {}, 1),  # cut off, so a rounding may show
    ("rgb_to_hsv", (X,), {}, ROUNDED),
    ("rgb_to_hsv", (np.rint(X * 2) / 2,), {}, ROUNDED),  # equal channels
    ("hsv_to_rgb", (X * 3 - 1,), {}, 3e-6),
    ("gaussian_blur", (X, (5, 5), (1.0, 2.0)), LAST, ROUNDED),
    ("sobel_edges", (X,), LAST, ROUNDED),
    ("ssim", (X, X[::-1].copy()), {}, 1e-5),
    ("crop_images", (X, 1, 2, 3, 4), {}, 0),
    ("crop_images", (X, 1, 2), {"target_height": 5, "target_width": 6}, 0),
    ("pad_images", (X, 1, 2, 3, 4), {}, 0),
    ("pad_images", (BYTES, None, 2, 3), {"target_height": 20, "target_width": 22}, 0),
    ("extract_patches", (X, 3), {}, ROUNDED),
    ("extract_patches", (X, (2, 3)), {"strides": 1, "padding": "same"}, ROUNDED),
    ("extract_patches", (X, 3), {"strides": 2, "padding": "same"}, ROUNDED),
    ("extract_patches", (X, 2), {"strides": 1, "dilation_rate": 3}, ROUNDED),
    *(
        ("map_coordinates", (X[0], PLACES, order, mode, 0.5), {}, 1e-4)  # Keras's weights are float32
        for order in (0, 1)
        for mode in ("constant", "nearest", "wrap", "mirror", "reflect")
    ),
    ("perspective_transform", (X, START, END), {}, 1e-4),
    ("perspective_transform", (X[0], START[0], END[0]), {"fill_value": 0.5}, 1e-4),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_as_in_keras(case: tuple[str, tuple[Any, ...], dict[str, Any], float]) -> None:
    name, args, options, tolerance = case
    found = getattr(rv.image, name)(*args, **options).numpy()
    expected = getattr(keras.ops.image, name)(*args, **options).numpy()
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found.astype(np.float64), expected.astype(np.float64), rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", rv.ops.image.__all__)
def test_signature(name: str) -> None:
    import inspect

    theirs = inspect.signature(getattr(keras.ops.image, name)).parameters.values()
    ours = inspect.signature(getattr(rv.image, name)).parameters.values()
    assert [(p.name, p.default) for p in ours] == [(p.name, p.default) for p in theirs]


def test_nothing_is_missing() -> None:
    """All of ``keras.ops.image`` but patches of volumes."""
    public = {name for name in dir(keras.ops.image) if not name.startswith("_")}
    assert public - set(rv.ops.image.__all__) == {"extract_patches_3d"}


def test_elastic_transform_is_smooth_and_repeats() -> None:
    ramp = np.broadcast_to(np.arange(40.0)[None, :, None], (1, 40, 40)).reshape(40, 40, 1)
    first, again = (rv.image.elastic_transform(ramp, 2.0, 3.0, fill_mode="nearest", seed=4).numpy() for _ in range(2))
    np.testing.assert_array_equal(first, again)
    moved = (first - ramp)[6:-6, 6:-6]
    assert 0 < np.abs(moved).max() < 8
    assert np.abs(np.diff(moved, axis=0)).max() < np.abs(moved).max() / 2
