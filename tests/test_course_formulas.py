"""The course's formulas F07-F20 and worked examples W01-W03, W10 and W11, with ops and the tape, as exact oracles.

Where the course prints a slip, the right form is tested and the slip is named.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ranvier as rv
from ranvier import ops

EPS = 2.0**-52


@pytest.fixture(params=["cpu", "reference"], autouse=True)
def device(request: Any) -> Any:
    with rv.device(request.param):
        yield request.param


def double(values: Any, requires_grad: bool = False) -> rv.Tensor:
    return rv.Tensor(np.asarray(values, np.float64), requires_grad=requires_grad)


def near(ours: rv.Tensor, exact: Any, roundings: int = 8) -> None:
    """Within a few roundings in float64."""
    np.testing.assert_allclose(ours.numpy(), exact, rtol=roundings * EPS, atol=roundings * EPS)


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def logistic(z: Any) -> np.ndarray:
    return 1 / (1 + np.exp(-np.asarray(z, np.float64)))


# --- networks of single nodes (F07, F12, W01-W03) -------------------------------------------------------------------


def toy_net(x: Any, w1: Any, w2: Any, w3: Any, w4: Any, t1: Any, t2: Any, t3: Any) -> tuple[Any, Any, Any]:
    y1, y2 = ops.sigmoid(w1 * x + t1), ops.sigmoid(w2 * x + t2)
    return y1, y2, ops.sigmoid(w3 * y1 + w4 * y2 + t3)


def test_f07_and_f12_the_toy_net_and_its_node_gradients() -> None:
    """g = yh (1 - yh)(y - yh) at the output, g_i = y_i (1 - y_i) w g below: minus the gradient of (y - yh)^2 / 2.

    (The course derives dy/dtheta = 1 / (1 + e^-x)^2, dropping e^-x; its final formula is right.)
    """
    x, y = 0.7, 1.0
    values = {"w1": 0.3, "w2": -0.2, "w3": 0.5, "w4": -0.4, "t1": 0.1, "t2": 0.05, "t3": -0.3}
    parameters = {k: double(v, True) for k, v in values.items()}
    y1, y2, yh = toy_net(x, **parameters)
    a, b = logistic(0.3 * x + 0.1), logistic(-0.2 * x + 0.05)
    out = logistic(0.5 * a - 0.4 * b - 0.3)
    near(y1, a)
    near(y2, b)
    near(yh, out)
    g = out * (1 - out) * (y - out)
    g1, g2 = a * (1 - a) * 0.5 * g, b * (1 - b) * -0.4 * g
    expected = {"w1": g1 * x, "w2": g2 * x, "w3": g * a, "w4": g * b, "t1": g1, "t2": g2, "t3": g}
    found = rv.grad((y - yh) * (y - yh) / 2, list(parameters.values()))
    for slope, name in zip(found, parameters, strict=True):
        near(-slope, expected[name])


CHEESE = {"theta3": -0.3, "w13": 0.05, "w23": 0.01, "theta6": -0.015, "w36": 0.01, "w46": 0.05, "w56": 0.015}


def cheese_output(p: dict[str, Any], fat: float, salt: float) -> tuple[Any, Any]:
    y3 = ops.sigmoid(p["theta3"] + p["w13"] * fat + p["w23"] * salt)
    return y3, ops.sigmoid(p["theta6"] + p["w36"] * y3 + p["w46"] * 0.51 + p["w56"] * 0.51)


def test_w01_to_w03_the_cheese_net() -> None:
    p = {k: double(v, True) for k, v in CHEESE.items()}
    y3, y6 = cheese_output(p, 0.2, 0.9)
    near(y3, logistic(-0.281))
    assert round(y3.item(), 6) == 0.430209
    near(y6, logistic(-0.015 + 0.01 * logistic(-0.281) + 0.05 * 0.51 + 0.015 * 0.51))
    assert round(float(logistic(0.02245)), 6) == 0.505612  # as listed, from net6 rounded; unrounded it is .505613
    for y, printed in ((1.0, 0.123581), (0.0, -0.126387)):
        (slope,) = rv.grad((y - y6) * (y - y6) / 2, [p["theta6"]], retain_graph=True)
        assert round(-slope.item(), 6) == printed
    theta6, w36 = rv.grad((1.0 - y6) * (1.0 - y6) / 2, [p["theta6"], p["w36"]])
    assert round(CHEESE["theta6"] - 0.5 * theta6.item(), 6) == 0.046791
    assert round(CHEESE["w36"] - 0.5 * w36.item(), 6) == 0.036583


# --- losses (F08-F11, F13) ------------------------------------------------------------------------------------------


def test_f08_softmax_is_shifted_by_the_row_maximum() -> None:
    y = random(4, 5)
    near(ops.softmax(double(y)), np.exp(y) / np.exp(y).sum(1, keepdims=True))
    near(ops.softmax(double(y + 1e4)), ops.softmax(double((y + 1e4) - 1e4)).numpy())  # where e^y alone overflows


def test_f09_variants_of_the_squared_error() -> None:
    y, yh = random(3, 4), random(3, 4, seed=1)
    per_sample = ops.mean_squared_error(double(y), double(yh))
    near(per_sample, ((y - yh) ** 2).mean(1))  # B: 1/m sum; Keras: the mean over the elements
    near(ops.mean(per_sample), ((y - yh) ** 2).mean())
    near(rv.losses.half_sse(double(y), double(yh)), ((y - yh) ** 2).sum(1) / 2)  # C: 1/2 sum
    near(rv.losses.half_sse(double(y), double(yh)) / 4, ((y - yh) ** 2).sum(1) / 8)  # A: 1/(2m) sum


def test_f10_cross_entropy() -> None:
    logits, labels = random(6, 4), np.asarray([0, 3, 1, 1, 2, 0])
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    exact = -np.log(p[np.arange(6), labels])
    near(ops.softmax_cross_entropy(rv.Tensor(labels), double(logits)), exact, 16)
    near(ops.softmax_cross_entropy(double(np.eye(4)[labels]), double(logits)), exact, 16)
    saturated = ops.softmax_cross_entropy(rv.Tensor([1]), double([[1000.0, 0.0]]))
    assert saturated.item() == 1000.0  # log-sum-exp: no clip to 1e-7 stands in the way


def test_f11_binary_cross_entropy_and_absolute_error() -> None:
    z, y = random(8), (random(8, seed=1) > 0).astype(np.float64)
    p = logistic(z)
    near(ops.sigmoid_cross_entropy(double(y), double(z)), -(y * np.log(p) + (1 - y) * np.log(1 - p)), 16)
    yh = random(8, seed=2)
    near(ops.mean_absolute_error(double(y), double(yh)), np.abs(y - yh).mean())


def test_f13_gradient_of_softmax_and_cross_entropy() -> None:
    """(yh - y) / batch, where softmax is per row and the loss the batch mean."""
    logits, y = random(5, 3), np.eye(3)[[0, 2, 1, 1, 0]]
    x = double(logits, True)
    p = ops.softmax(double(logits)).numpy()
    near(rv.grad(ops.mean(ops.softmax_cross_entropy(double(y), x)), x), (p - y) / 5)
    by_hand = -ops.sum(double(y) * ops.log(ops.softmax(x))) / 5
    near(rv.grad(by_hand, x), (p - y) / 5, 16)


# --- gradients (F14-F16) --------------------------------------------------------------------------------------------


def test_f14_gradients_of_an_affine_layer() -> None:
    """dx = dout W^T, dW = x^T dout, db the sum over the batch (not, as one text has it, over everything)."""
    x, w, b, dout = random(6, 3), random(3, 4, seed=1), random(4, seed=2), random(6, 4, seed=3)
    tensors = [double(v, True) for v in (x, w, b)]
    dx, dw, db = rv.grad(ops.matmul(tensors[0], tensors[1]) + tensors[2], tensors, double(dout))
    near(dx, dout @ w.T, 32)
    near(dw, x.T @ dout, 32)
    near(db, dout.sum(0), 32)


def test_f15_chain_rule_nodes() -> None:
    a, b = double(3.0, True), double(-2.0, True)
    assert [g.item() for g in rv.grad(a + b, [a, b])] == [1, 1]  # a sum passes
    assert [g.item() for g in rv.grad(a * b, [a, b])] == [-2, 3]  # a product swaps
    assert [g.item() for g in rv.grad((a + b) ** 2, [a, b])] == [2, 2]  # 2 (x + y)
    x = double(random(9), True)
    y = logistic(x.numpy())
    dy = random(9, seed=1)
    near(rv.grad(ops.sigmoid(x), x, double(dy)), dy * y * (1 - y))
    z = double([-1.0, 0.0, 2.0], True)
    assert rv.grad(ops.relu(z), z, double([5.0, 5.0, 5.0])).tolist() == [0, 0, 5]  # masked where x <= 0


def test_f16_numeric_derivatives() -> None:
    """Halving h halves the error of the one-sided difference and quarters that of the central one."""

    def f(t: float) -> float:
        return ops.exp(double(t)).item()

    x = double(0.5, True)
    exact = rv.grad(ops.exp(x), x).item()
    near(double(exact), np.exp(0.5))
    errors = [
        (abs((f(0.5 + h) - f(0.5)) / h - exact), abs((f(0.5 + h) - f(0.5 - h)) / (2 * h) - exact)) for h in (1e-2, 5e-3)
    ]
    assert errors[0][0] / errors[1][0] == pytest.approx(2, rel=0.01)
    assert errors[0][1] / errors[1][1] == pytest.approx(4, rel=0.01)
    assert rv.gradcheck(ops.exp, x)


def test_w10_a_derivative_by_differences_and_by_the_tape() -> None:
    """f = x^2 at 3, h = 1e-4: 6.0001 forward, 6.0 central."""

    def f(t: float) -> float:
        return (double(t) ** 2).item()

    h = 1e-4
    assert (f(3 + h) - f(3)) / h == pytest.approx(6.0001, abs=1e-10)
    assert (f(3 + h) - f(3 - h)) / (2 * h) == pytest.approx(6.0, abs=1e-10)
    x = double(3.0, True)
    assert rv.grad(x**2, x).item() == 6.0


# --- descent (F17, F18, F20, W10) -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rate", "path"),
    [
        (0.1, [-4.0, -3.2, -2.56]),
        (0.3, [-2.0, -0.8, -0.32]),
        (0.8, [3.0, -1.8, 1.08]),
        (1.0, [5.0, -5.0, 5.0]),
    ],
)
def test_w10_gradient_descent_on_a_parabola(rate: float, path: list[float]) -> None:
    """x_k = -5 (1 - 2 lr)^k: it creeps, converges, swings or never settles, as the rate has it."""
    x = -5.0
    for k in range(100):
        point = double(x, True)
        x -= rate * rv.grad(point**2, point).item()
        if k < 3:
            assert x == pytest.approx(path[k], rel=1e-14)
        assert x == pytest.approx(-5 * (1 - 2 * rate) ** (k + 1), rel=1e-11, abs=1e-300)


def test_f17_gradients_of_a_line() -> None:
    """dw = 1/m sum 2 (y - (b + w x)) (-x), and db with (-1)."""
    x, y = random(20), random(20, seed=1)
    w, b = double(0.3, True), double(-0.1, True)
    dw, db = rv.grad(ops.mean((double(y) - (b + w * double(x))) ** 2), [w, b])
    residual = y - (-0.1 + 0.3 * x)
    near(dw, (2 * residual * -x).mean(), 64)
    near(db, (2 * residual * -1).mean(), 64)


def test_f18_the_perceptron_learns_and() -> None:
    """dw = lr (y - yh) x, db = lr (y - yh); with labels +-1 a mistake moves by 2 lr."""
    inputs, labels = np.asarray([[0, 0], [0, 1], [1, 0], [1, 1.0]]), np.asarray([-1, -1, -1, 1.0])
    w, b, rate = double([0.0, 0.0]), double(0.0), 0.1

    def predict(x: np.ndarray) -> rv.Tensor:
        return ops.where(ops.sum(w * double(x)) + b >= 0.0, double(1.0), double(-1.0))

    steps = []
    for _ in range(10):
        for x, y in zip(inputs, labels, strict=True):
            error = y - predict(x)
            w, b = w + rate * error * double(x), b + rate * error
            steps.append(abs(rate * error.item()))
    assert [predict(x).item() for x in inputs] == list(labels)
    assert {s for s in steps if s} == {2 * rate}


def test_f20_momentum_in_both_forms() -> None:
    """A: m = b m + lr g, th -= m. B, C: v = b v - lr g, th += v. Under a constant g both end at lr g / (1 - b)."""
    beta, rate, g = 0.9, 0.1, 2.0
    m = v = 0.0
    theta_a = theta_b = 1.0
    for _ in range(400):
        m = beta * m + rate * g
        v = beta * v - rate * g
        theta_a, theta_b = theta_a - m, theta_b + v
        assert theta_a == theta_b
    assert m == pytest.approx(rate * g / (1 - beta), rel=1e-12)
    parameter, velocity = rv.Tensor(np.ones(1)), rv.Tensor(np.zeros(1))
    for _ in range(400):
        ops.sgd_step([parameter], [rv.Tensor(np.full(1, g))], [velocity], learning_rate=rate, momentum=beta)
    assert parameter.item() == pytest.approx(theta_b, rel=1e-12)
    assert velocity.item() == pytest.approx(-10 * rate * g, rel=1e-12)  # b = .9: ten times the plain step


# --- curvature (F19, W11) -------------------------------------------------------------------------------------------


def saddle(w: Any) -> Any:
    return (1.0 - w[0] * w[1]) ** 2


def test_w11_a_saddle_at_the_origin() -> None:
    """L = (1 - w1 w2)^2 at 0: gradient 0, H = [[0, -2], [-2, 0]], eigenvalues +-2; [1, 1] leads down and out."""
    origin = double([0.0, 0.0], True)
    assert rv.grad(saddle(origin), origin).tolist() == [0, 0]
    h = rv.hessian(saddle, double([0.0, 0.0])).numpy()
    np.testing.assert_array_equal(h, [[0, -2], [-2, 0]])
    eigenvalues, vectors = np.linalg.eigh(h)
    np.testing.assert_allclose(eigenvalues, [-2, 2], rtol=1e-15)
    np.testing.assert_allclose(np.abs(vectors[:, 0]), [0.5**0.5] * 2, rtol=1e-15)
    assert vectors[0, 0] * vectors[1, 0] > 0  # along [1, 1]
    for t, loss in ((0.1, 0.9801), (0.5, 0.5625), (1.0, 0.0)):
        assert saddle(double([t, t])).item() == pytest.approx(loss, rel=1e-14, abs=0)


def test_f19_second_order_expansion_and_curvature_along_an_eigenvector() -> None:
    """L(w) = L(w') + d^T g + 1/2 d^T H d + O(|d|^3), and u^T H u = lambda |u|^2."""
    w0 = np.asarray([0.7, -0.4])
    point = double(w0, True)
    g = rv.grad(saddle(point), point).numpy()
    h = rv.hessian(saddle, double(w0)).numpy()
    a, b = w0
    np.testing.assert_allclose(g, [-2 * (1 - a * b) * b, -2 * (1 - a * b) * a], rtol=1e-15)
    np.testing.assert_allclose(h, [[2 * b * b, 4 * a * b - 2], [4 * a * b - 2, 2 * a * a]], rtol=1e-15)
    errors = []
    for size in (1e-2, 5e-3):
        d = size * np.asarray([0.6, 0.8])
        errors.append(saddle(double(w0 + d)).item() - (saddle(double(w0)).item() + d @ g + d @ h @ d / 2))
    assert errors[0] / errors[1] == pytest.approx(8, rel=0.02)  # third order: halved steps, an eighth of the error
    for eigenvalue, u in zip(*np.linalg.eigh(h), strict=True):
        u = 3 * u
        assert u @ h @ u == pytest.approx(eigenvalue * (u @ u), rel=1e-13)


def test_f19_hessian_of_a_layer_by_differences_of_gradients() -> None:
    """softmax, products and means twice differentiated, against differences of first derivatives."""
    x, y = double(random(4, 3)), double(np.eye(2)[[0, 1, 1, 0]])

    def loss(w: Any) -> Any:
        return -ops.mean(ops.sum(y * ops.log_softmax(ops.matmul(ops.tanh(x), ops.reshape(w, (3, 2)))), 1))

    w0 = random(6, seed=5)
    h = rv.hessian(loss, double(w0)).numpy()
    np.testing.assert_allclose(h, h.T, atol=1e-15)

    def slope(w: np.ndarray) -> np.ndarray:
        point = double(w, True)
        return rv.grad(loss(point), point).numpy()

    step = 1e-5
    numeric = np.stack([(slope(w0 + step * e) - slope(w0 - step * e)) / (2 * step) for e in np.eye(6)])
    np.testing.assert_allclose(h, numeric, atol=1e-10)
