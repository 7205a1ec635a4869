"""The gradient of max pooling over few channels: strips of rows that windows reach across, on every instruction set."""

from __future__ import annotations

import numpy as np
import pytest

import ranvier as rv
from ranvier import _core


@pytest.mark.parametrize("isa", _core._usable_isas())
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("shape", "pool", "strides", "padding"),
    [
        ((2, 61, 9, 1), 3, 1, "same"),
        ((1, 70, 40, 3), (5, 2), (2, 3), "valid"),
        ((3, 50, 13, 2), 2, 2, "valid"),
        ((1, 64, 20, 4), (2, 3), (3, 1), "same"),
    ],
)
def test_strips_agree_with_the_reference(
    isa: str, threads: int, dtype: str, shape: tuple[int, ...], pool: object, strides: object, padding: str
) -> None:
    rng = np.random.default_rng(0)
    values = rng.permutation(int(np.prod(shape))).reshape(shape).astype(dtype)

    def gradient(device: str) -> np.ndarray:
        x = rv.Tensor(values, device=device, requires_grad=True)
        y = rv.ops.max_pool2d(x, pool, strides, padding)
        weights = np.arange(np.prod(y.shape), dtype=dtype).reshape(y.shape) % 7  # small integers: sums are exact
        (dx,) = rv.grad((y * rv.Tensor(weights, device=device)).sum(), [x])
        return dx.numpy()

    _core._set_isa(isa)
    rv.set_num_threads(threads)
    np.testing.assert_array_equal(gradient("cpu"), gradient("reference"))
