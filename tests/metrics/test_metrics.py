"""Metrics against NumPy's definition of them, and against Keras where it is installed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ranvier as rv
from ranvier import _core, metrics
from tests.peers import keras_or_skip

EPS = float(np.finfo(np.float32).eps)


def random_batches(kind: str, weighted: bool, seed: int = 0) -> list[tuple[Any, Any, Any]]:
    """Three batches, the last shorter, of labels and predictions of a kind."""
    rng = np.random.default_rng(seed)
    batches = []
    for size in (8, 8, 3):
        scores = rng.random((size, 7)).astype(np.float32)
        scores /= scores.sum(-1, keepdims=True)
        labels = rng.integers(0, 7, size)
        pairs = {
            "sparse": (labels, scores),
            "one_hot": (np.eye(7, dtype=np.float32)[labels], scores),
            "binary": (rng.integers(0, 2, (size, 1)).astype(np.float32), rng.random((size, 1)).astype(np.float32)),
            "regression": (
                rng.normal(size=(size, 4)).astype(np.float32),
                rng.normal(size=(size, 4)).astype(np.float32),
            ),
            "sequence": (rng.integers(0, 7, (size, 5)), rng.random((size, 5, 7)).astype(np.float32)),
        }
        weights = rng.random(size).astype(np.float32) if weighted else None
        batches.append((*pairs[kind], weights))
    return batches


CASES = [
    ("BinaryAccuracy", {}, "binary"),
    ("BinaryAccuracy", {"threshold": 0.3}, "binary"),
    ("CategoricalAccuracy", {}, "one_hot"),
    ("SparseCategoricalAccuracy", {}, "sparse"),
    ("SparseCategoricalAccuracy", {}, "sequence"),
    ("TopKCategoricalAccuracy", {"k": 3}, "one_hot"),
    ("SparseTopKCategoricalAccuracy", {"k": 2}, "sparse"),
    ("MeanSquaredError", {}, "regression"),
    ("MeanAbsoluteError", {}, "regression"),
    ("RootMeanSquaredError", {}, "regression"),
    ("BinaryCrossentropy", {}, "binary"),
    ("CategoricalCrossentropy", {}, "one_hot"),
    ("CategoricalCrossentropy", {"label_smoothing": 0.1}, "one_hot"),
    ("SparseCategoricalCrossentropy", {}, "sparse"),
    ("Precision", {}, "binary"),
    ("Precision", {"thresholds": [0.2, 0.7]}, "binary"),
    ("Precision", {"top_k": 2}, "one_hot"),
    ("Recall", {}, "binary"),
    ("Recall", {"class_id": 3, "thresholds": 0.1}, "one_hot"),
    ("AUC", {}, "binary"),
    ("AUC", {"curve": "PR"}, "binary"),
    ("AUC", {"num_thresholds": 5, "summation_method": "minoring"}, "binary"),
    ("AUC", {"thresholds": [0.1, 0.35, 0.6], "curve": "PR", "summation_method": "majoring"}, "binary"),
]


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize(("name", "options", "kind"), CASES)
def test_as_keras(name: str, options: dict[str, Any], kind: str, weighted: bool) -> None:
    keras = keras_or_skip()
    ours, theirs = getattr(metrics, name)(**options), getattr(keras.metrics, name)(**options)
    for y_true, y_pred, weights in random_batches(kind, weighted):
        ours.update_state(y_true, y_pred, sample_weight=weights)
        theirs.update_state(y_true, y_pred, sample_weight=weights)
    expected = keras.ops.convert_to_numpy(theirs.result())
    # A mean of at most a few dozen terms, in float32 there and in float64 here.
    np.testing.assert_allclose(ours.result().numpy(), expected, rtol=64 * EPS)


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_accuracy_is_the_share_of_right_answers(weighted: bool) -> None:
    metric = metrics.SparseCategoricalAccuracy()
    right = weight = 0.0
    for labels, scores, weights in random_batches("sparse", weighted):
        metric.update_state(labels, scores, sample_weight=weights)
        w = np.ones(len(labels)) if weights is None else weights.astype(np.float64)
        right, weight = right + (w * (scores.argmax(-1) == labels)).sum(), weight + w.sum()
    assert metric.result().item() == pytest.approx(right / weight, rel=4 * EPS)


@pytest.mark.parametrize("labels", [np.uint8, np.int32, np.int64, np.float32])
def test_labels_of_any_dtype(labels: Any) -> None:
    scores = np.eye(4, dtype=np.float32)
    metric = metrics.SparseCategoricalAccuracy()
    metric.update_state(np.array([0, 1, 2, 0], labels), scores)
    metric.update_state(np.array([[3], [3], [3], [3]], labels), scores)
    assert metric.result().item() == 0.5


def test_an_update_reads_nothing_on_the_host() -> None:
    mean, value = metrics.Mean(), rv.Tensor(2.0)
    recording = _core._Recording()
    recording.begin()
    mean.update_state(value, sample_weight=2)
    recording.end()
    assert not recording.refusal
    recording.replay([], [])
    assert (mean.result().item(), mean.count) == (2.0, 4.0)


def test_mean_of_nothing_is_zero_and_reset_forgets() -> None:
    mean = metrics.Mean()
    assert mean.result().item() == 0.0
    mean.update_state([1.0, 2.0])
    mean.update_state(np.zeros((0, 3), np.float32))
    assert mean.result().item() == 1.5
    mean.reset_state()
    assert mean.result().item() == 0.0


def test_sum() -> None:
    total = metrics.Sum()
    total.update_state([[1.0, 2.0], [3.0, 4.0]], sample_weight=[1.0, 0.5])
    assert total.result().item() == 6.5


def test_nan_is_reported_as_it_is() -> None:
    mean = metrics.Mean()
    mean.update_state([1.0, float("nan")])
    assert np.isnan(mean.result().item())


def test_a_function_becomes_a_mean() -> None:
    def largest_error(y_true: Any, y_pred: Any) -> Any:
        return rv.ops.max(rv.ops.abs(y_true - y_pred), axis=-1)

    metric = metrics.MeanMetricWrapper(metrics.get(largest_error))
    metric.update_state([[1.0, 2.0], [0.0, 0.0]], [[1.5, 2.0], [0.0, 1.0]])
    assert (metric.name, metric.result().item()) == ("largest_error", 0.75)


@pytest.mark.parametrize("name", ["accuracy", "AUC", "mse", "MAE", "bce", "binary_accuracy", "TopKCategoricalAccuracy"])
def test_get_by_name_and_back_from_its_configuration(name: str) -> None:
    metric = metrics.get(name)
    again = metrics.get(metrics.serialize(metric))
    assert (type(again), again.get_config()) == (type(metric), metric.get_config())


def test_get_refuses() -> None:
    with pytest.raises(ValueError, match=r"Unknown metric: 'accuracyy'.* Did you mean 'accuracy'"):
        metrics.get("accuracyy")
    with pytest.raises(ValueError, match="cannot make a metric of 3"):
        metrics.get(3)
    assert metrics.get(None) is None


def test_confusion_matrix() -> None:
    rng = np.random.default_rng(0)
    true, scores = rng.integers(0, 5, 200), rng.random((200, 5))
    counts = metrics.confusion_matrix(true, scores)
    expected = np.zeros((5, 5), int)
    for t, p in zip(true, scores.argmax(-1), strict=True):
        expected[t, p] += 1
    np.testing.assert_array_equal(counts, expected)
    np.testing.assert_array_equal(metrics.confusion_matrix(np.eye(5)[true], scores), expected)
    assert metrics.confusion_matrix([0], [0], num_classes=3).shape == (3, 3)


def test_confusion_matrix_refuses() -> None:
    with pytest.raises(ValueError, match="2 labels but 3 predictions"):
        metrics.confusion_matrix([0, 1], [0, 1, 1])
    with pytest.raises(ValueError, match=r"classes must be in 0\.\.1"):
        metrics.confusion_matrix([0, 2], [0, 1], num_classes=2)
    with pytest.raises(ValueError, match="classes must be in"):
        metrics.confusion_matrix([0, -1], [0, 1])


def test_thresholds_are_checked() -> None:
    with pytest.raises(ValueError, match=r"Precision: thresholds must be in \[0, 1\]"):
        metrics.Precision(thresholds=1.5)
    with pytest.raises(ValueError, match="AUC: curve"):
        metrics.AUC(curve="ROCK")
