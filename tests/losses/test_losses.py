"""The losses against Keras 3 and worked figures: values, gradients, reductions, weights, names and errors."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

import ranvier as rv
from ranvier import losses


def keras_torch() -> Any:
    os.environ.setdefault("KERAS_BACKEND", "torch")
    return pytest.importorskip("keras", reason="compares with Keras 3, which is not installed")


RNG = np.random.default_rng(5)
PROBABILITIES = RNG.dirichlet(np.ones(4), 6).astype("float32")
ONE_HOT = np.eye(4, dtype="float32")[RNG.integers(0, 4, 6)]
CLASSES = ONE_HOT.argmax(-1)
NUMBERS = RNG.normal(size=(6, 4)).astype("float32")
OTHERS = RNG.normal(size=(6, 4)).astype("float32")
BITS = RNG.integers(0, 2, (6, 4)).astype("float32")
WEIGHTS = RNG.random(6).astype("float32")

CASES: list[tuple[str, dict[str, Any], Any, Any]] = [
    ("CategoricalCrossentropy", {}, ONE_HOT, PROBABILITIES),
    ("CategoricalCrossentropy", {}, ONE_HOT, PROBABILITIES * 3),
    ("CategoricalCrossentropy", {"label_smoothing": 0.1}, ONE_HOT, PROBABILITIES),
    ("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, ONE_HOT, NUMBERS),
    ("CategoricalCrossentropy", {"axis": 0}, ONE_HOT, PROBABILITIES),
    ("SparseCategoricalCrossentropy", {}, CLASSES, PROBABILITIES),
    ("SparseCategoricalCrossentropy", {}, CLASSES[:, None].astype("float32"), PROBABILITIES),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, CLASSES.astype("uint8"), NUMBERS),
    ("SparseCategoricalCrossentropy", {"from_logits": True, "ignore_class": 1}, CLASSES, NUMBERS),
    ("BinaryCrossentropy", {}, BITS, PROBABILITIES),
    ("BinaryCrossentropy", {"label_smoothing": 0.2}, BITS, PROBABILITIES),
    ("BinaryCrossentropy", {"from_logits": True}, BITS, NUMBERS),
    ("BinaryCrossentropy", {}, BITS[:, 0], PROBABILITIES[:, :1]),
    ("MeanSquaredError", {}, OTHERS, NUMBERS),
    ("MeanSquaredError", {}, OTHERS[:, 0], NUMBERS[:, :1]),
    ("MeanAbsoluteError", {}, OTHERS, NUMBERS),
    ("MeanAbsolutePercentageError", {}, OTHERS, NUMBERS),
    ("MeanSquaredLogarithmicError", {}, OTHERS, NUMBERS),
    ("Huber", {}, OTHERS, NUMBERS),
    ("Huber", {"delta": 0.3}, OTHERS, NUMBERS),
    ("LogCosh", {}, OTHERS, NUMBERS),
    ("Poisson", {}, PROBABILITIES, PROBABILITIES[::-1].copy()),
    ("KLDivergence", {}, ONE_HOT, PROBABILITIES),
    ("CosineSimilarity", {}, OTHERS, NUMBERS),
    ("CosineSimilarity", {"axis": 0}, OTHERS, NUMBERS),
    ("Hinge", {}, BITS, NUMBERS),
    ("SquaredHinge", {}, BITS * 2 - 1, NUMBERS),
    ("CategoricalHinge", {}, ONE_HOT, NUMBERS),
]
every_case = pytest.mark.parametrize(
    ("name", "options", "y_true", "y_pred"), CASES, ids=[f"{c[0]}-{i}" for i, c in enumerate(CASES)]
)


@every_case
@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None])
@pytest.mark.parametrize("weighted", [False, True])
def test_keras_gives_the_same_numbers(
    name: str, options: dict[str, Any], y_true: Any, y_pred: Any, reduction: Any, weighted: bool
) -> None:
    keras = keras_torch()
    if weighted and options.get("axis") == 0:
        pytest.skip("losses of the columns, weights of the rows")
    weights = WEIGHTS if weighted else None
    theirs = getattr(keras.losses, name)(**options, reduction=reduction)(y_true, y_pred, weights)
    ours = getattr(losses, name)(**options, reduction=reduction)(y_true, y_pred, weights)
    np.testing.assert_allclose(ours.numpy(), theirs.detach().numpy(), rtol=2e-6, atol=2e-6)


@every_case
def test_torch_gives_the_same_gradient_through_keras(
    name: str, options: dict[str, Any], y_true: Any, y_pred: Any
) -> None:
    keras = keras_torch()
    import torch

    theirs = torch.tensor(y_pred, requires_grad=True)
    getattr(keras.losses, name)(**options)(y_true, theirs).backward()
    ours = rv.Tensor(y_pred, requires_grad=True)
    getattr(losses, name)(**options)(y_true, ours).backward()
    np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), rtol=2e-5, atol=1e-6)


@every_case
def test_gradients_on_both_devices(name: str, options: dict[str, Any], y_true: Any, y_pred: Any) -> None:
    """Central differences on the cpu; the reference gives the same value."""
    loss = getattr(losses, name)(**options)
    point = rv.Tensor(y_pred.astype("float64"), requires_grad=True)
    labels = y_true.astype("float64") if y_true.dtype.kind == "f" else y_true
    rv.gradcheck(lambda p: loss(labels, p), point)
    with rv.device("reference"):
        value = loss(labels, rv.Tensor(y_pred.astype("float64"))).item()
    assert value == pytest.approx(loss(labels, point.detach()).item(), rel=1e-12)


# --- probabilities whose logits the tape still has ---------------------------------------------------------


@pytest.mark.parametrize("scale", [1.0, 60.0])
def test_softmax_and_loss_are_fused_on_the_tape(scale: float) -> None:
    """The same as from logits, bit for bit, where clipped probabilities are wrong by far."""
    z = rv.Tensor(NUMBERS * scale, requires_grad=True)
    fused = losses.CategoricalCrossentropy()(ONE_HOT, rv.ops.softmax(z))
    (found,) = rv.grad([fused], [z])
    direct = losses.CategoricalCrossentropy(from_logits=True)(ONE_HOT, z)
    (expected,) = rv.grad([direct], [z])
    assert fused.item() == direct.item()
    np.testing.assert_array_equal(found.numpy(), expected.numpy())
    sparse = losses.SparseCategoricalCrossentropy()(CLASSES, rv.ops.softmax(z))
    assert sparse.item() == pytest.approx(direct.item(), rel=1e-6)


def test_sigmoid_and_loss_are_fused_on_the_tape() -> None:
    z = rv.Tensor(NUMBERS * 60, requires_grad=True)
    fused = losses.BinaryCrossentropy()(BITS, rv.ops.sigmoid(z))
    direct = losses.BinaryCrossentropy(from_logits=True)(BITS, z)
    assert fused.item() == direct.item()
    np.testing.assert_array_equal(rv.grad(fused, z).numpy(), rv.grad(direct, z).numpy())


def test_nothing_is_fused_where_it_would_be_wrong() -> None:
    """Another axis, another activation, or no tape: the probabilities themselves count."""
    z = rv.Tensor(NUMBERS, requires_grad=True)
    plain = losses.CategoricalCrossentropy()(ONE_HOT, rv.Tensor(rv.ops.softmax(z, axis=0).numpy()))
    assert losses.CategoricalCrossentropy()(ONE_HOT, rv.ops.softmax(z, axis=0)).item() == plain.item()
    p = rv.ops.sigmoid(z)
    assert losses.CategoricalCrossentropy()(ONE_HOT, p).item() == pytest.approx(
        losses.CategoricalCrossentropy()(ONE_HOT, p.detach()).item()
    )
    with rv.no_grad():
        assert losses.CategoricalCrossentropy()(ONE_HOT, rv.ops.softmax(z)).item() == pytest.approx(
            losses.CategoricalCrossentropy()(ONE_HOT, rv.ops.softmax(z).detach()).item()
        )


# --- the course --------------------------------------------------------------------------------------------


def test_worked_example_w08() -> None:
    """A softmax layer of RandomState(42) weights on [.6, .9] with label [0, 0, 1]."""
    w = rv.Tensor(np.random.RandomState(42).randn(2, 3), requires_grad=True)
    logits = rv.ops.matmul(rv.Tensor(np.array([[0.6, 0.9]])), w)
    p = rv.ops.softmax(logits)
    loss = losses.CategoricalCrossentropy()(np.array([[0.0, 0.0, 1.0]]), p)
    loss.backward()
    np.testing.assert_allclose(logits.numpy(), [[1.66875536, -0.29369662, 0.17788986]], atol=5e-9)
    np.testing.assert_allclose(p.numpy(), [[0.73222998, 0.10288817, 0.16488185]], atol=5e-9)
    assert loss.item() == pytest.approx(1.80252613, abs=5e-9)  # exact; the course prints -log(p + 1e-8) (F10, form C):
    assert -np.log(p.numpy()[0, 2] + 1e-8) == pytest.approx(1.80252607, abs=5e-9)
    expected = [[0.43933799, 0.0617329, -0.50107089], [0.65900698, 0.09259935, -0.75160634]]
    np.testing.assert_allclose(w.grad.numpy(), expected, atol=5e-9)


def test_formulas_f09_and_f13() -> None:
    """Half the sum of squares; softmax with cross-entropy has the gradient (p - t) / batch."""
    y, t = NUMBERS.astype("float64"), OTHERS.astype("float64")
    np.testing.assert_allclose(losses.half_sse(t, y).numpy(), 0.5 * ((y - t) ** 2).sum(-1), rtol=1e-14)
    z = rv.Tensor(y, requires_grad=True)
    losses.CategoricalCrossentropy(from_logits=True)(ONE_HOT, z).backward()
    p = np.exp(y) / np.exp(y).sum(-1, keepdims=True)
    np.testing.assert_allclose(z.grad.numpy(), (p - ONE_HOT) / len(y), rtol=1e-12, atol=1e-15)


# --- names, configurations, errors -------------------------------------------------------------------------


def test_names_and_configurations() -> None:
    for name, kind in losses.CLASSES.items():
        assert type(losses.get(name)) is kind
        config = losses.serialize(kind(reduction="sum"))
        again = losses.deserialize(config)
        assert type(again) is kind and again.get_config() == config["config"] and again.reduction == "sum"
    for name, function in losses.FUNCTIONS.items():
        assert losses.get(name) is function and losses.deserialize(losses.serialize(function)) is function
    assert losses.get("mse") is losses.mean_squared_error
    assert losses.get(None) is None
    wrapped = losses.LossFunctionWrapper(losses.huber, delta=2.0)
    assert losses.deserialize(losses.serialize(wrapped)).kwargs == {"delta": 2.0}


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: losses.get("crossentropie"), "Unknown loss: 'crossentropie'"),
        (lambda: losses.MeanSquaredError(reduction="average"), "reduction must be one of"),
        (lambda: losses.CategoricalCrossentropy()(CLASSES, PROBABILITIES), "use sparse_categorical_crossentropy"),
        (lambda: losses.SparseCategoricalCrossentropy()(ONE_HOT, PROBABILITIES), "one class number per sample"),
        (lambda: losses.SparseCategoricalCrossentropy()(CLASSES + 4, PROBABILITIES), "is out of range for 4 classes"),
        (lambda: losses.SparseCategoricalCrossentropy(True)(CLASSES - 4, NUMBERS), "is out of range for 4 classes"),
        (lambda: losses.SparseCategoricalCrossentropy()(CLASSES + 0.5, PROBABILITIES), "whole numbers"),
        (lambda: losses.MeanSquaredError()(OTHERS[:5], NUMBERS), "must have shape 6x4 but has shape 5x4"),
        (lambda: losses.BinaryCrossentropy()(BITS, PROBABILITIES[:, :1]), "y_true has shape"),
    ],
)
def test_errors(call: Any, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        call()


def test_weights_of_samples_count_for_whole_sequences() -> None:
    """(N,) weights of (N, N) losses weigh rows; broadcasting would have weighed columns."""
    values = rv.Tensor(np.arange(9.0).reshape(3, 3))
    loss = losses.LossFunctionWrapper(lambda y_true, y_pred: y_pred, reduction="none")
    weighted = loss(values, values, np.array([1.0, 0.0, 2.0]))
    np.testing.assert_array_equal(weighted.numpy(), [[0, 1, 2], [0, 0, 0], [12, 14, 16]])
