"""Counting, F score, IoU, regression and probability metrics against Keras 3, recorded and not."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import ranvier as rv
from ranvier import _core, metrics
from tests.peers import keras_or_skip

Batch = tuple[np.ndarray, np.ndarray, np.ndarray]


def batches(kind: str, seed: int = 1) -> list[Batch]:
    """Three batches, the last shorter, of labels, predictions and weights of a kind."""
    rng = np.random.default_rng(seed)
    found = []
    for size in (16, 16, 5):
        scores = rng.dirichlet(np.ones(4), size)
        classes = rng.integers(0, 4, size)
        bits = rng.integers(0, 2, (size, 4))
        pairs = {
            "one_hot": (np.eye(4)[classes], scores),
            "bits": (bits, np.clip(rng.random((size, 4)) * 0.7 + bits * 0.3, 0, 1)),
            "grid": (bits, rng.integers(1, 9, (size, 4)) / 8),  # on thresholds
            "binary": (bits[:, :1], rng.random((size, 1))),
            "flat": (bits[:, 0], rng.random(size)),
            "logits": (bits, rng.normal(size=(size, 4)) * 3),
            "numbers": (rng.normal(size=(size, 4)), rng.normal(size=(size, 4))),
            "positive": (rng.random((size, 4)), rng.random((size, 4))),
            "classes": (classes, rng.integers(0, 4, size)),
            "image": (rng.integers(0, 4, (size, 3, 3)), rng.integers(0, 4, (size, 3, 3))),
            "channels": (np.eye(4)[rng.integers(0, 4, (size, 3))], rng.dirichlet(np.ones(4), (size, 3))),
            "ids": (classes, np.argsort(-scores, axis=1)),
        }
        y_true, y_pred = pairs[kind]
        found.append((y_true.astype("float32"), y_pred.astype("float32"), rng.random(size).astype("float32")))
    return found


CASES: list[tuple[str, dict[str, Any], str]] = [
    ("TruePositives", {}, "bits"),
    ("TruePositives", {"thresholds": [0.8, 0.2]}, "binary"),
    ("FalsePositives", {}, "flat"),
    ("TrueNegatives", {"thresholds": [0.0, 0.25, 0.5, 0.75, 1.0]}, "bits"),
    ("FalseNegatives", {"thresholds": 0.3}, "bits"),
    ("Precision", {"class_id": 2}, "bits"),
    ("Precision", {"top_k": 2, "class_id": 1}, "one_hot"),
    ("Recall", {"top_k": 1}, "one_hot"),
    ("Recall", {"thresholds": [0.9, 0.1, 0.5]}, "flat"),
    ("PrecisionAtRecall", {"recall": 0.6}, "bits"),
    ("PrecisionAtRecall", {"recall": 0.6, "class_id": 1}, "bits"),
    ("RecallAtPrecision", {"precision": 0.6, "num_thresholds": 50}, "bits"),
    ("SensitivityAtSpecificity", {"specificity": 0.7}, "bits"),
    ("SensitivityAtSpecificity", {"specificity": 0.7, "num_thresholds": 1}, "bits"),
    ("SpecificityAtSensitivity", {"sensitivity": 0.7, "num_thresholds": 2}, "bits"),
    ("AUC", {}, "bits"),
    ("AUC", {"num_thresholds": 9}, "grid"),
    ("AUC", {"thresholds": [0.25, 0.375], "curve": "PR"}, "grid"),
    ("FalsePositives", {"thresholds": [0.0, 0.25, 0.5, 0.75, 1.0]}, "grid"),
    ("FalseNegatives", {"thresholds": [0.25, 0.625]}, "grid"),
    ("SensitivityAtSpecificity", {"specificity": 0.5, "num_thresholds": 5}, "grid"),
    ("BinaryIoU", {"threshold": 0.5}, "grid"),
    ("AUC", {"from_logits": True}, "logits"),
    ("AUC", {"label_weights": [0.1, 0.2, 0.3, 0.4]}, "bits"),
    ("AUC", {"multi_label": True}, "bits"),
    ("AUC", {"multi_label": True, "num_labels": 4, "label_weights": [0.1, 0.2, 0.3, 0.4]}, "bits"),
    ("AUC", {"multi_label": True, "curve": "PR", "thresholds": [0.2, 0.3, 0.9]}, "bits"),
    ("AUC", {"curve": "PRGAIN"}, "bits"),
    ("AUC", {"curve": "PR", "summation_method": "minoring", "num_thresholds": 20}, "bits"),
    ("AUC", {"curve": "PR", "summation_method": "majoring", "num_thresholds": 20}, "flat"),
    ("F1Score", {}, "one_hot"),
    ("F1Score", {"average": "micro", "threshold": 0.4}, "bits"),
    ("F1Score", {"average": "macro"}, "one_hot"),
    ("FBetaScore", {"average": "weighted", "beta": 2.0, "threshold": 0.5}, "bits"),
    ("FBetaScore", {"beta": 0.5}, "one_hot"),
    ("IoU", {"num_classes": 4, "target_class_ids": [0, 2]}, "classes"),
    ("IoU", {"num_classes": 4, "target_class_ids": [1], "ignore_class": 3}, "image"),
    ("MeanIoU", {"num_classes": 4}, "image"),
    ("MeanIoU", {"num_classes": 3, "ignore_class": 0}, "image"),
    ("BinaryIoU", {"threshold": 0.3}, "flat"),
    ("BinaryIoU", {"target_class_ids": [1]}, "bits"),
    ("OneHotIoU", {"num_classes": 4, "target_class_ids": [0, 1]}, "one_hot"),
    ("OneHotMeanIoU", {"num_classes": 4}, "channels"),
    ("CategoricalHinge", {}, "one_hot"),
    ("Hinge", {}, "bits"),
    ("SquaredHinge", {}, "bits"),
    ("KLDivergence", {}, "positive"),
    ("Poisson", {}, "positive"),
    ("LogCoshError", {}, "numbers"),
    ("MeanAbsolutePercentageError", {}, "numbers"),
    ("MeanSquaredLogarithmicError", {}, "positive"),
    ("CosineSimilarity", {}, "numbers"),
    ("CosineSimilarity", {"axis": 1}, "channels"),
    ("PearsonCorrelation", {}, "numbers"),
    ("ConcordanceCorrelation", {}, "numbers"),
    ("ConcordanceCorrelation", {"axis": 1}, "channels"),
    ("R2Score", {}, "numbers"),
    ("R2Score", {"class_aggregation": None}, "numbers"),
    ("R2Score", {"class_aggregation": "variance_weighted_average", "num_regressors": 2}, "numbers"),
    ("Accuracy", {}, "classes"),
    ("SparseTopKCategoricalAccuracy", {"k": 2, "from_sorted_ids": True}, "ids"),
    ("SparseCategoricalCrossentropy", {"ignore_class": 2}, "ids"),
    ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, "logits"),
    ("MeanAbsoluteError", {}, "channels"),
    ("CategoricalCrossentropy", {"axis": 1}, "channels"),
]
every_case = pytest.mark.parametrize(
    ("name", "options", "kind"), CASES, ids=[f"{c[0]}-{i}" for i, c in enumerate(CASES)]
)


def made(name: str, options: dict[str, Any], kind: str) -> tuple[Any, list[Batch]]:
    found = batches(kind)
    if name == "SparseCategoricalCrossentropy":  # class numbers and probabilities
        found = [(y, s, w) for (y, _, w), (_, s, _) in zip(found, batches("one_hot"), strict=True)]
    return getattr(metrics, name)(**options), found


def told(metric: Any) -> np.ndarray:
    return np.asarray(metric.result().numpy(), np.float64)


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@every_case
def test_as_keras_over_batches_and_after_a_reset(name: str, options: dict[str, Any], kind: str, weighted: bool) -> None:
    keras = keras_or_skip()
    ours, found = made(name, options, kind)
    # Keras adds in float32 unless it is told otherwise, and truncates the weights of an integer IoU.
    theirs = getattr(keras.metrics, name)(**options, dtype="float32" if "IoU" in name else None)
    for _ in range(2):
        for y_true, y_pred, weights in found:
            if name == "SparseTopKCategoricalAccuracy" or "ignore_class" in options:
                y_true = y_true.astype("int32")
            given = weights if weighted else None
            if given is not None and y_pred.size != given.size and "IoU" in name:  # Keras: one weight per label
                given = np.repeat(given, y_true.size // given.size // (4 if "OneHot" in name else 1))
            ours.update_state(y_true, y_pred, sample_weight=given)
            theirs.update_state(y_true, y_pred, sample_weight=given)
        expected = keras.ops.convert_to_numpy(theirs.result())
        # Keras subtracts float32 sums of up to 150 weights: 150 eps.
        slack = 1e-5 if name.endswith(("Positives", "Negatives")) else 1e-6
        np.testing.assert_allclose(told(ours), expected, rtol=1e-5, atol=slack)
        ours.reset_state()
        theirs.reset_state()


@every_case
def test_a_recorded_step_counts_on(name: str, options: dict[str, Any], kind: str) -> None:
    """Three replays add what three updates add, bit for bit."""
    ours, found = made(name, options, kind)
    eager, _ = made(name, options, kind)
    y_true, y_pred, weights = found[0]
    if name == "SparseCategoricalCrossentropy":
        y_true = y_true.astype("int32")
    arrays = rv.Tensor(y_true), rv.Tensor(y_pred), rv.Tensor(weights)
    assert ours.replayable
    ours.update_state(*arrays)  # builds
    recording = _core._Recording()
    recording.begin()
    ours.update_state(*arrays)
    recording.end()
    assert not recording.refusal
    recording.replay([], [])
    for _ in range(3):
        eager.update_state(*arrays)
    np.testing.assert_array_equal(told(ours), told(eager))


@every_case
def test_configurations(name: str, options: dict[str, Any], kind: str) -> None:
    metric, found = made(name, options, kind)
    written = json.loads(json.dumps(metrics.serialize(metric)))
    again = metrics.deserialize(written)
    assert type(again) is type(metric) and again.get_config() == metric.get_config()
    for each in (metric, again):
        for y_true, y_pred, _ in found:
            each.update_state(y_true.astype("int32") if "Sparse" in name else y_true, y_pred)
    np.testing.assert_array_equal(told(metric), told(again))


def test_masked_steps_do_not_count() -> None:
    keras = keras_or_skip()
    rng = np.random.default_rng(2)
    mask = np.array([[True, True, False], [True, False, False]])
    y_true, y_pred = rng.integers(0, 4, (2, 3)), rng.random((2, 3, 4)).astype("float32")
    for weights in (None, np.array([0.3, 0.9], "float32")[:, None] * np.ones((1, 3), "float32")):
        ours, theirs = metrics.SparseCategoricalAccuracy(), keras.metrics.SparseCategoricalAccuracy()
        predictions, their_predictions = rv.Tensor(y_pred), keras.ops.convert_to_tensor(y_pred)
        predictions.mask = rv.Tensor(mask)
        their_predictions._keras_mask = keras.ops.convert_to_tensor(mask)
        ours.update_state(y_true, predictions, weights)
        theirs.update_state(y_true, their_predictions, weights)
        assert ours.result().item() == pytest.approx(float(theirs.result()), rel=1e-6)


def test_metrics_of_a_recorded_fit() -> None:
    """``fit`` replays its step with metrics that count; an eager twin reports the same."""
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(64, 5)).astype("float32"), rng.integers(0, 2, (64, 3)).astype("float32")

    def history(jit: Any) -> tuple[Any, dict[str, str]]:
        rv.utils.set_random_seed(0)
        rv.config.clear_session()  # the same automatic names
        model = rv.Sequential([rv.Input((5,)), rv.layers.Dense(3, activation="sigmoid")])
        every = ["AUC", "Precision", metrics.F1Score(threshold=0.5), metrics.Recall(top_k=2), "R2Score", "hinge"]
        every += [metrics.AUC(multi_label=True, name="each"), metrics.BinaryIoU(), metrics.TruePositives()]
        model.compile("sgd", "binary_crossentropy", metrics=every, jit_compile=jit)
        found = model.fit(x, y, batch_size=16, epochs=3, verbose=0, shuffle=False).history
        return found, model.replay_info()

    replayed, how = history("auto")
    eager, _ = history(False)
    assert any("replayed" in text for text in how.values()), how
    assert replayed.keys() == eager.keys()
    for name in eager:
        np.testing.assert_array_equal(np.array(replayed[name]), np.array(eager[name]), err_msg=name)


def test_the_confusion_matrix() -> None:
    from sklearn.metrics import confusion_matrix

    rng = np.random.default_rng(0)
    for normalize in (None, "true", "pred", "all"):
        metric = metrics.ConfusionMatrix(normalize=normalize)
        labels, called, weights = [], [], []
        for size in (20, 9):
            true, scores, weight = rng.integers(0, 3, size), rng.random((size, 3)), rng.random(size)
            metric.update_state(np.eye(3)[true] if size == 9 else true, scores, weight)
            labels.append(true)
            called.append(scores.argmax(1))
            weights.append(weight)
        expected = confusion_matrix(*map(np.concatenate, (labels, called)), sample_weight=np.concatenate(weights))
        if normalize is not None:
            expected = expected / expected.sum({"true": 1, "pred": 0, "all": None}[normalize], keepdims=True)
        np.testing.assert_allclose(metric.result().numpy(), expected, rtol=1e-12)
    metric.reset_state()
    assert not metric.result().numpy().any()
    binary = metrics.ConfusionMatrix(threshold=0.3)
    assert binary([1, 0, 1], [[0.4], [0.2], [0.1]]).tolist() == [[1, 0], [1, 1]]
    numbers = metrics.ConfusionMatrix(num_classes=2)
    assert numbers([1, 0, 5], [0, 0, 1]).tolist() == [[1, 0], [1, 0]]  # 5 is no class


def test_scores_at_the_ends() -> None:
    """0 exceeds only AUC's threshold below 0, 1 all but the one above 1."""
    counts = metrics.TruePositives(thresholds=[0.0, 0.5, 1.0])
    counts.update_state([1, 1, 1], [0.0, 1.0, 0.5])
    assert counts.result().tolist() == [2, 1, 0]
    auc = metrics.AUC(num_thresholds=3)
    auc.update_state([0, 1], [0.0, 1.0])
    assert auc.result().item() == 1
    auc.reset_state()
    auc.update_state([1, 0], [-7.0, 7.0])  # beyond the ends
    assert auc.result().item() == 0


@pytest.mark.parametrize("thresholds", [0.3, [0.3, 0.7]])
def test_a_score_does_not_exceed_its_own_value(thresholds: Any) -> None:
    """In float32 0.3 is above 0.3 in float64; the comparison is in the scores' dtype, as in Keras."""
    counts = metrics.TruePositives(thresholds=thresholds)
    counts.update_state([1, 1], np.array([0.3, 0.7], "float32"))
    assert np.atleast_1d(counts.result().numpy()).tolist() == ([1] if thresholds == 0.3 else [1, 0])


def test_ties_and_missing_scores() -> None:
    """Of equal scores the first is among the highest; NaN exceeds no threshold."""
    metric = metrics.Recall(top_k=1)
    metric.update_state([[0, 1, 0]], [[0.5, 0.5, 0.5]])
    assert metric.result().item() == 0
    auc = metrics.AUC()
    auc.update_state([1, 0], [float("nan"), 0.5])
    assert auc.result().item() == pytest.approx(0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.get("mean_square_error"), "Did you mean 'mean_squared_error'"),
        (lambda: metrics.get("sensitivity"), "Unknown metric: 'sensitivity'"),
        (lambda: metrics.AUC()([0, 1], [[0.1, 0.9], [0.2, 0.8]]), r"labels have shape \(2,\) but predictions \(2, 2\)"),
        (
            lambda: metrics.AUC(multi_label=True)([0, 1], [0.1, 0.9]),
            "multi_label expects predictions",
        ),
        (lambda: metrics.AUC(num_labels=3), "only with multi_label=True"),
        (lambda: metrics.AUC(summation_method="simpson"), "summation_method must be"),
        (lambda: metrics.Precision(class_id=1)([0, 1], [0.1, 0.9]), "class_id needs predictions"),
        (lambda: metrics.SensitivityAtSpecificity(1.5), r"specificity must be in \[0, 1\]"),
        (lambda: metrics.RecallAtPrecision(0.5, num_thresholds=0), "num_thresholds must be positive"),
        (lambda: metrics.F1Score()([0, 1], [[0.1, 0.9], [0.2, 0.8]]), r"for class numbers use rv.utils.to_categorical"),
        (lambda: metrics.FBetaScore(average="all"), "average must be None, 'micro'"),
        (lambda: metrics.FBetaScore(beta=2), "beta must be a positive float, not 2"),
        (lambda: metrics.F1Score(threshold=1.5), r"threshold must be a float in \(0, 1\]"),
        (lambda: metrics.R2Score()([0, 1], [[0.1, 0.9], [0.2, 0.8]]), r"\(samples, outputs\) of one shape"),
        (lambda: metrics.R2Score(class_aggregation="mean"), "class_aggregation must be one of"),
        (lambda: metrics.IoU(2, [2]), r"target class 2 is not in 0\.\.1"),
        (lambda: metrics.MeanIoU(2)([0, 1], [[0.1, 0.9], [0.2, 0.8]]), "sparse_y_pred=False"),
        (lambda: metrics.ConfusionMatrix()([0, 1], [0, 1]), "give num_classes"),
        (lambda: metrics.ConfusionMatrix(normalize="rows"), "normalize must be None, 'true'"),
        (lambda: metrics.ConfusionMatrix()([0, 1, 1], [[0.1, 0.9], [0.2, 0.8]]), "3 labels .* but 2 predictions"),
    ],
)
def test_errors(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
