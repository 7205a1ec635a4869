"""Focal, overlap, circle and CTC losses, masks and float64 against Keras 3."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ranvier as rv
from ranvier import _core, losses
from tests.peers import keras_or_skip

RNG = np.random.default_rng(8)
PROBABILITIES = RNG.dirichlet(np.ones(4), 6)
NUMBERS = RNG.normal(size=(6, 4))
CLASSES = np.array([0, 1, 1, 2, 0, 3])
ONE_HOT = np.eye(4)[CLASSES]
BITS = RNG.integers(0, 2, (6, 4)).astype(float)
AREAS = RNG.integers(0, 2, (3, 5, 5, 2)).astype(float)
GUESSES = RNG.random((3, 5, 5, 2))
UNITS = NUMBERS / np.linalg.norm(NUMBERS, axis=1, keepdims=True)
LOGITS = RNG.normal(size=(3, 9, 5))
LABELS = np.array([[1, 2, 2, 0], [4, 0, 0, 0], [3, 1, 3, 4]])
WEIGHTS = RNG.random(6)

CASES: list[tuple[str, dict[str, Any], Any, Any]] = [
    ("BinaryFocalCrossentropy", {}, BITS, PROBABILITIES),
    ("BinaryFocalCrossentropy", {"apply_class_balancing": True, "alpha": 0.3, "gamma": 1.5}, BITS, PROBABILITIES),
    ("BinaryFocalCrossentropy", {"from_logits": True, "label_smoothing": 0.2}, BITS, NUMBERS),
    ("CategoricalFocalCrossentropy", {}, ONE_HOT, PROBABILITIES * 2),
    ("CategoricalFocalCrossentropy", {"from_logits": True, "gamma": 3.0, "label_smoothing": 0.1}, ONE_HOT, NUMBERS),
    ("CategoricalFocalCrossentropy", {"alpha": [0.1, 0.2, 0.3, 0.4]}, ONE_HOT, PROBABILITIES),
    ("CategoricalFocalCrossentropy", {"axis": 0}, ONE_HOT, PROBABILITIES),
    ("CategoricalGeneralizedCrossEntropy", {}, CLASSES, PROBABILITIES),
    ("CategoricalGeneralizedCrossEntropy", {"q": 0.8}, CLASSES, PROBABILITIES),
    ("Dice", {}, AREAS, GUESSES),
    ("Dice", {"axis": (1, 2, 3)}, AREAS, GUESSES),
    ("Tversky", {}, AREAS, GUESSES),
    ("Tversky", {"alpha": 0.2, "beta": 0.9, "axis": (1, 2)}, AREAS, GUESSES),
    ("Circle", {}, CLASSES, UNITS),
    ("Circle", {"gamma": 8.0, "margin": 0.2, "remove_diagonal": False}, CLASSES, UNITS),
    ("CTC", {}, LABELS, LOGITS),
]
every_case = pytest.mark.parametrize(
    ("name", "options", "y_true", "y_pred"), CASES, ids=[f"{c[0]}-{i}" for i, c in enumerate(CASES)]
)


@every_case
@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight", "none"])
@pytest.mark.parametrize("weighted", [False, True])
def test_same_numbers_in_float64(
    name: str, options: dict[str, Any], y_true: Any, y_pred: Any, reduction: str, weighted: bool
) -> None:
    keras = keras_or_skip()
    rows = len(y_pred) if options.get("axis") != 0 else 4
    if weighted and name in ("Dice", "Tversky") and options.get("axis") == (1, 2):
        pytest.skip("losses (N, 2), weights (N,): Keras broadcasts them over the columns")
    weights = WEIGHTS[:rows] if weighted else None
    theirs = getattr(keras.losses, name)(**options, reduction=reduction, dtype="float64")(y_true, y_pred, weights)
    ours = getattr(losses, name)(**options, reduction=reduction)(y_true, y_pred, weights)
    # 1e-5 is what is asked; the constants that Keras rounds to float32 (gamma, eps) leave some 1e-7.
    np.testing.assert_allclose(ours.numpy(), keras.ops.convert_to_numpy(theirs), rtol=1e-6, atol=1e-9)


@every_case
def test_same_gradients(name: str, options: dict[str, Any], y_true: Any, y_pred: Any) -> None:
    keras_or_skip()
    import keras
    import torch

    theirs = torch.tensor(y_pred, requires_grad=True)
    getattr(keras.losses, name)(**options, dtype="float64")(y_true, theirs).backward()
    ours = rv.Tensor(y_pred, requires_grad=True)
    getattr(losses, name)(**options)(y_true, ours).backward()
    # Keras computes CTC and its constants in float32.
    np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), rtol=1e-4, atol=1e-7)


@every_case
def test_central_differences_and_the_reference(name: str, options: dict[str, Any], y_true: Any, y_pred: Any) -> None:
    loss = getattr(losses, name)(**options)
    rv.gradcheck(lambda p: loss(y_true, p), rv.Tensor(y_pred, requires_grad=True))
    with rv.device("reference"):
        value = loss(y_true, rv.Tensor(y_pred)).item()
    assert value == pytest.approx(loss(y_true, y_pred).item(), rel=1e-12)


@every_case
def test_a_recorded_step_repeats_the_loss(name: str, options: dict[str, Any], y_true: Any, y_pred: Any) -> None:
    labels, predictions = rv.Tensor(y_true), rv.Tensor(y_pred)
    loss = getattr(losses, name)(**options)
    expected = loss(labels, predictions).item()
    recording = _core._Recording()
    recording.begin()
    result = loss(labels, predictions)
    recording.end()
    assert not recording.refusal
    result.numpy()[...] = 0
    recording.replay([], [])
    assert result.item() == expected


@pytest.mark.parametrize("name", ["Hinge", "SquaredHinge"])
def test_margins_are_recorded(name: str) -> None:
    labels, predictions = rv.Tensor(BITS), rv.Tensor(NUMBERS)
    recording = _core._Recording()
    recording.begin()
    getattr(losses, name)()(labels, predictions)
    recording.end()
    assert not recording.refusal


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight", "none"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", ["MeanSquaredError", "SparseCategoricalCrossentropy"])
def test_masks_of_sequences(name: str, reduction: str, weighted: bool) -> None:
    """Steps that a mask leaves out do not count, and a mean is over those that do."""
    keras = keras_or_skip()
    mask = np.array([[True, True, False], [True, False, False]])
    y_pred = RNG.dirichlet(np.ones(4), (2, 3))
    y_true = RNG.random((2, 3, 4)) if name == "MeanSquaredError" else RNG.integers(0, 4, (2, 3))
    weights = RNG.random((2, 3)) if weighted else None
    theirs_pred = keras.ops.convert_to_tensor(y_pred)
    theirs_pred._keras_mask = keras.ops.convert_to_tensor(mask)
    theirs = getattr(keras.losses, name)(reduction=reduction, dtype="float64")(y_true, theirs_pred, weights)
    ours_pred = rv.Tensor(y_pred)
    ours_pred.mask = rv.Tensor(mask)
    ours = getattr(losses, name)(reduction=reduction)(y_true, ours_pred, weights)
    np.testing.assert_allclose(ours.numpy(), keras.ops.convert_to_numpy(theirs), rtol=1e-6)


def test_ctc_of_what_does_not_fit() -> None:
    """Three equal labels need five steps (blanks between them); in four the loss is infinite, as in PyTorch."""
    logits = RNG.normal(size=(1, 4, 3))
    assert np.isinf(losses.ctc([[1, 1, 1]], logits).item())
    assert np.isfinite(losses.ctc([[1, 1, 1]], RNG.normal(size=(1, 5, 3))).item())
    assert losses.ctc([[0, 0]], np.zeros((1, 2, 4))).item() == pytest.approx(2 * np.log(4))  # blanks all along


def test_circle_of_rows_without_partners() -> None:
    """A class of one row has no positive pair: its row costs nothing and its gradient is finite."""
    x = rv.Tensor(UNITS, requires_grad=True)
    losses.Circle()(np.arange(6), x).backward()
    np.testing.assert_array_equal(x.grad.numpy(), 0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: losses.get("mean_square_error"), r"Did you mean 'mean_squared_error'"),
        (lambda: losses.get("sparse_crossentropy"), r"Did you mean .*'sparse_categorical_crossentropy'"),
        (lambda: losses.BinaryFocalCrossentropy()(BITS[:5], PROBABILITIES), r"y_true has shape \(5, 4\) but y_pred"),
        (lambda: losses.CategoricalFocalCrossentropy()(ONE_HOT, PROBABILITIES[:, :3]), "but y_pred has shape"),
        (lambda: losses.CategoricalFocalCrossentropy(axis=True)(ONE_HOT, PROBABILITIES), "axis must be an integer"),
        (lambda: losses.CategoricalGeneralizedCrossEntropy(q=1.0), "q must be between 0 and 1, got 1.0"),
        (lambda: losses.CategoricalGeneralizedCrossEntropy()(ONE_HOT, PROBABILITIES), "one class number per sample"),
        (lambda: losses.Dice()(AREAS[:2], GUESSES), r"dice: y_true has shape \(2, 5, 5, 2\)"),
        (lambda: losses.Tversky()(AREAS[:2], GUESSES), "tversky: y_true has shape"),
        (lambda: losses.Circle()(CLASSES[:4], UNITS), r"4 labels for embeddings of shape \(6, 4\)"),
        (lambda: losses.CTC()(LABELS[0], LOGITS), r"expected class numbers \(N, length\) and logits"),
    ],
)
def test_errors(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
