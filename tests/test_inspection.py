"""Statistics of layers: those of NumPy on what flows, and what they show of bad initial weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ranvier as rv


def deep(initializer: Any, activation: str, depth: int = 10, width: int = 64) -> Any:
    rv.utils.set_random_seed(0)
    hidden = [rv.layers.Dense(width, activation=activation, kernel_initializer=initializer) for _ in range(depth)]
    return rv.Sequential([rv.Input((width,)), *hidden, rv.layers.Dense(1)])


def test_numbers_are_numpy_s() -> None:
    model = rv.Sequential([rv.Input((5,), dtype="float64")], dtype="float64")
    for layer in (rv.layers.Dense(4, name="a", dtype="float64"), rv.layers.ReLU(name="b", dtype="float64"),
                  rv.layers.Dense(2, name="c", dtype="float64")):  # fmt: skip
        model.add(layer)
    random = np.random.default_rng(0)
    x, y = random.standard_normal((6, 5)), random.standard_normal((6, 2))
    found = rv.inspection.layer_statistics(model, x, y, "mse")
    kernel, bias, last, last_bias = model.get_weights()
    a = x @ kernel + bias
    b = np.maximum(a, 0)
    c = b @ last + last_bias
    dc = 2 * (c - y) / c.size
    db = dc @ last.T
    da = db * (a > 0)
    for s, values, slopes in zip(found, (a, b, c), (da, db, dc), strict=True):
        np.testing.assert_allclose([s.mean, s.std], [values.mean(), values.std()], rtol=1e-12)
        np.testing.assert_allclose([s.gradient_mean, s.gradient_std], [slopes.mean(), slopes.std()], rtol=1e-12)
    assert found[1].zeros == (b == 0).mean() and found[1].weight_gradient is None
    slope = np.sqrt(np.square(x.T @ da).sum() + np.square(da.sum(0)).sum())
    np.testing.assert_allclose(found[0].weight_gradient, slope, rtol=1e-12)
    np.testing.assert_allclose(found[0].weight_norm, np.linalg.norm(kernel), rtol=1e-12)


def test_what_bad_initial_weights_look_like() -> None:
    x = np.random.default_rng(0).standard_normal((200, 64)).astype(np.float32)
    y = np.zeros((200, 1), np.float32)

    def gradients(initializer: Any, activation: str) -> list[float]:
        found = rv.inspection.layer_statistics(deep(initializer, activation), x, y, "mse")
        return [float(s.gradient_std or 0) for s in found]

    naive = gradients(rv.initializers.RandomNormal(stddev=0.05), "sigmoid")
    good = gradients("he_normal", "relu")
    assert naive[0] < 1e-6 * naive[-2] and good[0] > 0.05 * good[-2]
    wild = rv.inspection.layer_statistics(deep(rv.initializers.RandomNormal(stddev=1.0), "linear"), x)
    assert wild[-2].std > 1e6 and wild[-2].gradient_std is None
    even = rv.inspection.layer_statistics(deep("glorot_normal", "tanh"), x)
    assert all(s.std > 0.1 for s in even[:-1])


def test_compiled_models_branches_and_the_table() -> None:
    x = rv.Input((4,), name="x")
    h = rv.layers.Dense(4, activation="relu", name="h")(x)
    outputs = [rv.layers.Dense(1, name="one")(h), rv.layers.Dense(2, name="two")(h + x)]
    model = rv.Model(x, outputs)
    model.compile("sgd", ["mse", "mae"])
    before = model.get_weights()
    data = np.ones((3, 4), np.float32)
    found = rv.inspection.layer_statistics(model, data, [np.zeros((3, 1)), np.zeros((3, 2))])
    assert {s.name for s in found} >= {"h", "one", "two"} and all(s.gradient_std is not None for s in found)
    lines = str(found).splitlines()
    assert len(lines) == 1 + len(found) and lines[0].startswith("layer") and "|dL/dw|" in lines[0]
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_wrong_arguments() -> None:
    model = rv.Sequential([rv.Input((4,)), rv.layers.Dense(1)])
    with pytest.raises(ValueError, match="y is given but no loss"):
        rv.inspection.layer_statistics(model, np.ones((2, 4)), np.ones((2, 1)))

    class Own(rv.Model):
        def call(self, x: Any) -> Any:
            return x

    with pytest.raises(ValueError, match="no graph of layers"):
        rv.inspection.layer_statistics(Own(), np.ones((2, 4)))
