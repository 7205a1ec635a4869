"""Arrays that the caches cannot hold, which some kernels write past them: the same values as for small ones."""

from __future__ import annotations

import numpy as np
import pytest

import ranvier as rv
from ranvier import reference

SHAPE = (9, 123, 122, 32)  # 17 MB


@pytest.mark.parametrize("pool_size,strides", [((2, 2), None), ((3, 2), (2, 2))])
def test_pools(pool_size: tuple[int, int], strides: tuple[int, int] | None) -> None:
    values = np.random.default_rng(0).integers(-9, 9, SHAPE).astype("float32")
    window = dict(pool_size=list(pool_size), strides=list(strides or pool_size), padding="valid")
    inputs = rv.Tensor(values, requires_grad=True)
    y = rv.ops.max_pool2d(inputs, pool_size, strides)
    expected, argmax = reference.pool2d.max_pool2d_forward(values, **window, with_argmax=True)
    np.testing.assert_array_equal(y.numpy(), expected)
    dy = np.random.default_rng(1).integers(-9, 9, y.shape).astype("float32")
    (dx,) = rv.grad(y, [inputs], rv.Tensor(dy))
    np.testing.assert_array_equal(
        dx.numpy(), reference.pool2d.max_pool2d_backward(dy, argmax, list(SHAPE[1:3]), **window)
    )
    y = rv.ops.avg_pool2d(inputs, pool_size, strides)
    np.testing.assert_array_equal(y.numpy(), reference.pool2d.avg_pool2d_forward(values, **window))  # exact sums
    (dx,) = rv.grad(y, [inputs], rv.Tensor(dy))
    expected = reference.pool2d.avg_pool2d_backward(dy, list(SHAPE[1:3]), **window)
    largest_sum = 2 * 9 / 4  # at most two windows over an input, one division and one addition of each
    np.testing.assert_allclose(dx.numpy(), expected, rtol=0, atol=4 * np.finfo("float32").eps * largest_sum)
