"""The step ops: what they refuse, what NaN does, and that threads change no bit."""

from __future__ import annotations

import numpy as np
import pytest

import ranvier as rv


def test_shared_memory_is_refused() -> None:
    p, g = rv.Tensor(np.ones(4)), rv.Tensor(np.ones(4))
    with pytest.raises(ValueError, match=r"parameters\[1\] shares memory with parameters\[0\]"):
        rv.ops.sgd_step([p, p], [g, g], learning_rate=0.1)
    with pytest.raises(ValueError, match="shares memory with"):
        rv.ops.sgd_step([p], [g], [p], learning_rate=0.1)
    with pytest.raises(ValueError, match="shares memory with"):
        rv.ops.sgd_step([p], [p.detach()], learning_rate=0.1)
    rv.ops.sgd_step([p, rv.Tensor(np.ones(4))], [g, g], learning_rate=0.1)  # reading twice is fine
    assert (p.numpy() == 0.9).all()


def test_read_only_parameters_are_refused() -> None:
    values = np.ones(3)
    values.setflags(write=False)
    frozen = rv.tensor.wrap(rv._core.Array.from_numpy(values, copy=False))
    with pytest.raises(ValueError, match=r"sgd_step: parameters\[0\] is read-only"):
        rv.ops.sgd_step([frozen], [rv.Tensor(np.ones(3))], learning_rate=0.1)


def test_no_parameters_is_no_step() -> None:
    rv.ops.adam_step([], [], [], [], learning_rate=0.1, iteration=1)


def test_nan_gradients_are_not_hidden_by_clipping() -> None:
    for limit in ("clipnorm", "clipvalue", "global_clipnorm"):
        a, b = rv.Tensor([1.0, 1.0]), rv.Tensor([1.0])
        rv.ops.sgd_step([a, b], [rv.Tensor([np.nan, 1.0]), rv.Tensor([1.0])], learning_rate=0.1, **{limit: 1.0})
        assert np.isnan(a.numpy()[0])
        assert np.isnan(b.numpy()[0]) == (limit == "global_clipnorm")


def test_centred_rmsprop_survives_a_constant_gradient() -> None:
    """s - a^2 is a difference of equals in the end; rounding must not take it below zero."""
    p, g, v, a = (rv.Tensor(np.full(5, x, "float32")) for x in (0.0, 1234.567, 0.0, 0.0))
    for _ in range(300):
        rv.ops.rmsprop_step([p], [g], [v], None, [a], learning_rate=1e-6)
    assert np.isfinite(p.numpy()).all()


@pytest.mark.parametrize("limit", [{"global_clipnorm": 0.1}, {"clipnorm": 0.1}])
def test_threads_do_not_change_bits(limit: dict[str, float]) -> None:
    rng = np.random.default_rng(0)
    shapes = [(100_003,), (17,), (300, 301)]
    start = [rng.normal(size=s).astype("float32") for s in shapes]
    gradients = [rv.Tensor(rng.normal(size=s).astype("float32")) for s in shapes]
    results = []
    for threads in (1, 2):
        rv.set_num_threads(threads)
        p, m, v = ([rv.Tensor(x * k) for x in start] for k in (1, 0, 0))
        for t in range(1, 4):
            rv.ops.adam_step(p, gradients, m, v, learning_rate=0.1, iteration=t, **limit)
        results.append(p)
    for one, two in zip(*results, strict=True):
        np.testing.assert_array_equal(one.numpy(), two.numpy())


@pytest.mark.parametrize("size", [1, 5, 16, 21])
def test_lamb_measures_nothing_beyond_the_end(size: int) -> None:
    """Without epsilon the lanes behind the last element hold 0 / 0, which must not reach the norms."""
    rng = np.random.default_rng(0)
    p, g = (rng.normal(size=size).astype("float32") for _ in range(2))
    ours = [rv.Tensor(x.copy()) for x in (p, g, np.zeros_like(p), np.zeros_like(p))]
    rv.ops.lamb_step(*([x] for x in ours), learning_rate=0.1, iteration=1, epsilon=0.0)
    right = [x.astype("float64") for x in (p, g, np.zeros_like(p), np.zeros_like(p))]
    rv.reference.lamb_step(*([x] for x in right), learning_rate=0.1, iteration=1, epsilon=0.0)
    np.testing.assert_allclose(ours[0].numpy(), right[0], rtol=1e-5)
