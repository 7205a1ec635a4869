"""The course's worked examples of forward passes (W08) and its formula of the LSTM (F44), with their exact figures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ranvier as rv


@pytest.fixture(params=["cpu", "reference"], autouse=True)
def device(request: Any) -> Any:
    with rv.device(request.param):
        yield request.param


def double(values: Any, requires_grad: bool = False) -> rv.Tensor:
    return rv.Tensor(np.asarray(values, np.float64), requires_grad=requires_grad)


def test_w08_a_product() -> None:
    y = rv.ops.matmul(double([1, 2]), double([[1, 3, 5], [2, 4, 6]]))
    np.testing.assert_array_equal(y.numpy(), [5, 11, 17])


def test_w08_two_layers() -> None:
    x, w1, b1 = double([[1, 0.5]]), double([[0.1, 0.3, 0.5], [0.2, 0.4, 0.6]]), double([0.1, 0.2, 0.3])
    w2, b2 = double([[0.1, 0.4], [0.2, 0.5], [0.3, 0.6]]), double([0.1, 0.2])
    a = rv.ops.dense(x, w1, b1)
    z = rv.ops.dense(x, w1, b1, activation="sigmoid")
    y = rv.ops.dense(z, w2, b2)
    np.testing.assert_allclose(a.numpy(), [[0.3, 0.7, 1.1]], rtol=1e-15)
    np.testing.assert_allclose(z.numpy(), [[0.57444252, 0.66818777, 0.75026011]], atol=5e-9)
    np.testing.assert_allclose(y.numpy(), [[0.51615984, 1.21402696]], atol=5e-9)
    probabilities = rv.ops.dense(z, w2, b2, activation="softmax")
    np.testing.assert_allclose(probabilities.numpy(), [[0.33228528, 0.66771472]], atol=5e-9)


W08_WEIGHTS = np.random.RandomState(42).randn(2, 3)


def w08_loss(weights: rv.Tensor) -> rv.Tensor:
    logits = rv.ops.matmul(double([0.6, 0.9]), weights)
    return -rv.ops.log_softmax(logits)[2]


def test_w08_gradient_of_a_softmax_layer() -> None:
    weights = double(W08_WEIGHTS, requires_grad=True)
    logits = rv.ops.matmul(double([0.6, 0.9]), weights)
    np.testing.assert_allclose(logits.numpy(), [1.66875536, -0.29369662, 0.17788986], atol=5e-9)
    np.testing.assert_allclose(rv.ops.softmax(logits).numpy(), [0.73222998, 0.10288817, 0.16488185], atol=5e-9)
    loss = w08_loss(weights)
    # The course adds 1e-8 to a probability before its logarithm; ours needs no such guard, and differs by that.
    assert -np.log(np.exp(-loss.item()) + 1e-8) == pytest.approx(1.80252607, abs=5e-9)
    loss.backward()
    assert weights.grad is not None
    right = [[0.43933799, 0.0617329, -0.50107089], [0.65900698, 0.09259935, -0.75160634]]
    np.testing.assert_allclose(weights.grad.numpy(), right, atol=5e-9)
    rv.gradcheck(w08_loss, [weights])


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


def test_f44_one_step() -> None:
    """f, i, o = sg(W [h, x] + b), g = tanh(...), C = f C + i g, h = o tanh(C), written out for each gate."""
    rng = np.random.default_rng(44)
    x, h, c = rng.normal(size=(2, 3)), rng.normal(size=(2, 4)), rng.normal(size=(2, 4))
    gates = {gate: (rng.normal(size=(4, 4)), rng.normal(size=(3, 4)), rng.normal(size=4)) for gate in "ifgo"}
    z = {gate: h @ u + x @ w + b for gate, (u, w, b) in gates.items()}
    next_c = sigmoid(z["f"]) * c + sigmoid(z["i"]) * np.tanh(z["g"])
    next_h = sigmoid(z["o"]) * np.tanh(next_c)

    kernel = np.concatenate([gates[gate][1] for gate in "ifgo"], axis=1)  # Keras' order of gates
    recurrent = np.concatenate([gates[gate][0] for gate in "ifgo"], axis=1)
    bias = np.concatenate([gates[gate][2] for gate in "ifgo"])
    our_h, our_c = rv.ops.lstm_cell(*(double(v) for v in (x, h, c, kernel, recurrent, bias)))
    np.testing.assert_allclose(our_h.numpy(), next_h, rtol=1e-14)
    np.testing.assert_allclose(our_c.numpy(), next_c, rtol=1e-14)


def test_f44_a_sequence_is_its_steps() -> None:
    rng = np.random.default_rng(45)
    x, kernel, recurrent = (double(rng.normal(size=s)) for s in ((2, 5, 3), (3, 16), (4, 16)))
    outputs, last_h, last_c = rv.ops.lstm(x, kernel, recurrent)
    h, c = double(np.zeros((2, 4))), double(np.zeros((2, 4)))
    for t in range(5):
        h, c = rv.ops.lstm_cell(x[:, t], h, c, kernel, recurrent)
        np.testing.assert_allclose(outputs.numpy()[:, t], h.numpy(), rtol=1e-14)
    np.testing.assert_allclose(last_h.numpy(), h.numpy(), rtol=1e-14)
    np.testing.assert_allclose(last_c.numpy(), c.numpy(), rtol=1e-14)
