"""The course's worked example W09 and formulas F01 to F05."""

from __future__ import annotations

import numpy as np
import pytest

import ranvier as rv

X = [-1.0, 1.0, 2.0]
devices = pytest.mark.parametrize("device", ["cpu", "reference"])


def values(op: object, device: str, **options: object) -> np.ndarray:
    with rv.device(device):
        return op(rv.Tensor(X, dtype="float64", device=device), **options).numpy()  # type: ignore[operator]


@devices
def test_w09(device: str) -> None:
    """W09: the activation gallery at -1, 1, 2, to the eight digits printed."""
    o = rv.ops
    np.testing.assert_array_equal(values(o.threshold, device), [0, 1, 1])
    np.testing.assert_allclose(values(o.sigmoid, device), [0.26894142, 0.73105858, 0.88079708], atol=5e-9)
    np.testing.assert_allclose(values(o.tanh, device), [-0.76159416, 0.76159416, 0.96402758], atol=5e-9)
    np.testing.assert_array_equal(values(o.relu, device), [0, 1, 2])
    np.testing.assert_array_equal(values(o.leaky_relu, device, negative_slope=0.01), [-0.01, 1, 2])
    np.testing.assert_allclose(values(o.elu, device), [-0.63212056, 1, 2], atol=5e-9)
    np.testing.assert_allclose(values(o.selu, device), [-1.11133074, 1.05070099, 2.10140197], atol=5e-9)


def derivative(op: object, x: list[float], **options: object) -> np.ndarray:
    point = rv.Tensor(x, dtype="float64", requires_grad=True)
    return rv.grad(op(point, **options), point, np.ones(len(x))).numpy()  # type: ignore[operator]


def test_f01_sigmoid() -> None:
    """Slope y (1 - y); second derivative positive on the left, negative on the right; no overflow anywhere."""
    x = rv.Tensor([-2.0, -0.5, 0.5, 2.0], dtype="float64", requires_grad=True)
    y = rv.ops.sigmoid(x)
    slope = rv.grad(y, x, np.ones(4), create_graph=True)
    np.testing.assert_allclose(slope.numpy(), y.numpy() * (1 - y.numpy()), rtol=1e-15)
    bend = rv.grad(slope, x, np.ones(4)).numpy()
    e = np.exp(x.numpy())
    np.testing.assert_allclose(bend, e * (1 - e) / (e + 1) ** 3, rtol=1e-14)
    with np.errstate(all="raise"):
        np.testing.assert_array_equal(rv.ops.sigmoid([-1e30, 1e30]).numpy(), [0, 1])


def test_f02_both_tie_rules() -> None:
    """The step is 1 at the threshold, or 0: both rules are in use."""
    x = rv.Tensor([-1.0, 0.0, 1.0])
    np.testing.assert_array_equal(rv.ops.threshold(x).numpy(), [0, 1, 1])
    np.testing.assert_array_equal(rv.ops.threshold(x, inclusive=False).numpy(), [0, 0, 1])
    np.testing.assert_array_equal(rv.ops.threshold(x, value=1.0).numpy(), [0, 0, 1])
    np.testing.assert_array_equal(derivative(rv.ops.threshold, [-1, 0, 1]), [0, 0, 0])


def test_f03_tanh() -> None:
    x = np.linspace(-3, 3, 13)
    ours = rv.ops.tanh(x).numpy()
    np.testing.assert_allclose(ours, (1 - np.exp(-2 * x)) / (1 + np.exp(-2 * x)), rtol=1e-13, atol=1e-16)
    np.testing.assert_allclose(derivative(rv.ops.tanh, list(x)), 1 - ours**2, rtol=1e-13)


def test_f04_relu_and_leaky_relu_at_zero() -> None:
    """max(0, x) and max(a x, x); the subgradients taken at 0 are 0 and a."""
    np.testing.assert_array_equal(derivative(rv.ops.relu, [-1, 0, 2]), [0, 0, 1])
    np.testing.assert_array_equal(derivative(rv.ops.leaky_relu, [-1, 0, 2], negative_slope=0.01), [0.01, 0.01, 1])
    x = np.linspace(-2, 2, 9)
    np.testing.assert_array_equal(rv.ops.leaky_relu(x, negative_slope=0.2).numpy(), np.maximum(0.2 * x, x))
    # max(a x, x) holds for a <= 1 only; the definition by sign holds for every a
    np.testing.assert_array_equal(rv.ops.leaky_relu([-1.0, 2.0], negative_slope=3.0).numpy(), [-3, 2])


def test_f05_elu_and_selu() -> None:
    x = np.array([-3.0, -1.0, -0.01, 0.5, 4.0])
    scale, alpha = 1.0507009873554805, 1.6732632423543772
    np.testing.assert_allclose(rv.ops.elu(x, alpha=0.7).numpy(), np.where(x < 0, 0.7 * np.expm1(x), x), rtol=1e-15)
    np.testing.assert_allclose(derivative(rv.ops.elu, list(x), alpha=0.7), np.where(x < 0, 0.7 * np.exp(x), 1), 1e-15)
    selu = scale * np.where(x < 0, alpha * np.expm1(x), x)
    np.testing.assert_allclose(rv.ops.selu(x).numpy(), selu, rtol=2e-15)
    np.testing.assert_allclose(rv.ops.selu(x).numpy(), scale * rv.ops.elu(x, alpha=alpha).numpy(), rtol=2e-15)
