"""Batch normalisation as the course writes it (F30), instance normalisation from ops (F47), and its moving state."""

from __future__ import annotations

import numpy as np
import pytest

import ranvier as rv


def test_formula_f30() -> None:
    """gamma (x - mu) / sqrt(var + eps) + beta with eps 1e-3; moving variance, not deviation, momentum .99."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(32, 5, 5, 3)) * 2 + 4
    gamma, beta = rng.normal(size=3), rng.normal(size=3)
    mean, variance = rv.Tensor(np.zeros(3)), rv.Tensor(np.ones(3))
    y = rv.ops.batch_norm(rv.Tensor(x), rv.Tensor(gamma), rv.Tensor(beta), mean, variance, training=True)
    mu, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
    np.testing.assert_allclose(y.numpy(), gamma * (x - mu) / np.sqrt(var + 1e-3) + beta, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(mean.numpy(), 0.01 * mu, rtol=1e-13)
    np.testing.assert_allclose(variance.numpy(), 0.99 + 0.01 * var, rtol=1e-13)
    again = rv.ops.batch_norm(rv.Tensor(x), None, None, mean, variance)
    expected = (x - mean.numpy()) / np.sqrt(variance.numpy() + 1e-3)
    np.testing.assert_allclose(again.numpy(), expected, rtol=1e-12, atol=1e-13)


def test_formula_f47_is_made_of_ops() -> None:
    """Instance normalisation: mean and variance over H and W per sample and channel, and its gradient."""
    x = rv.Tensor(np.random.default_rng(1).normal(size=(2, 4, 3, 2)), requires_grad=True)

    def instance_norm(x: rv.Tensor) -> rv.Tensor:
        mean, variance = rv.ops.mean(x, (1, 2), keepdims=True), rv.ops.var(x, (1, 2), keepdims=True)
        return (x - mean) / rv.ops.sqrt(variance + 1e-3)

    y = instance_norm(x)
    for sample in range(2):  # one sample of batch norm is that sample of instance norm
        alone = rv.Tensor(x.numpy()[sample : sample + 1])
        one = rv.ops.batch_norm(alone, None, None, rv.Tensor(np.zeros(2)), rv.Tensor(np.ones(2)), training=True)
        np.testing.assert_allclose(y.numpy()[sample], one.numpy()[0], rtol=1e-12, atol=1e-14)
    rv.gradcheck(instance_norm, x)


def test_moving_statistics_follow_a_stream_of_batches() -> None:
    """After many batches the moving statistics are those of the data, and far means cost no digits."""
    rng = np.random.default_rng(2)
    mean, variance = (rv.Tensor(np.full(2, v, "float32")) for v in (0.0, 1.0))
    for _ in range(400):
        batch = rng.normal(size=(500, 2)).astype("float32") * [1, 2] + [1000, -1000]
        rv.ops.batch_norm(rv.Tensor(batch.astype("float32")), None, None, mean, variance, training=True, momentum=0.9)
    np.testing.assert_allclose(mean.numpy(), [1000, -1000], atol=0.1)
    np.testing.assert_allclose(variance.numpy(), [1, 4], rtol=0.1)


def test_statistics_must_be_writable_and_apart_in_training() -> None:
    x, own = rv.Tensor(np.ones((4, 2))), rv.Tensor(np.ones(2))
    with pytest.raises(ValueError, match="moving_mean and moving_variance share their memory"):
        rv.ops.batch_norm(x, None, None, own, own, training=True)
    values = np.ones(2)
    values.setflags(write=False)
    frozen = rv.tensor.wrap(rv._core.Array.from_numpy(values, copy=False))
    with pytest.raises(ValueError, match="moving_mean is read-only"):
        rv.ops.batch_norm(x, None, None, frozen, own, training=True)
    assert rv.ops.batch_norm(x, None, None, frozen, own).shape == (4, 2)  # inference only reads
    before = own.array.version
    rv.ops.batch_norm(x, None, None, rv.Tensor(np.zeros(2)), own, training=True)
    assert own.array.version == before + 1
