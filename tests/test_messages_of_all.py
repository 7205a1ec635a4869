"""Every layer, loss and metric, given what it cannot use: works, or says who complains and what came."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ranvier as rv
from tests.layers.cases import CASES
from tests.losses import test_against_keras as losses
from tests.losses import test_losses as old_losses
from tests.metrics import test_against_keras as metrics

LAYERS = {case.layer: case for case in CASES if not isinstance(case.shape, list)}
MERGING = {case.layer: case for case in CASES if isinstance(case.shape, list)}


def complaint(call: Any) -> str | None:
    """The message of what a call raises, None where it works; an error that no check made fails the test."""
    try:
        call()
    except (ValueError, TypeError) as error:
        return str(error)
    return None


@pytest.mark.parametrize("name", sorted(LAYERS))
def test_layers_of_the_wrong_rank(name: str) -> None:
    case = LAYERS[name]
    for shape in ((2,), (2, 3), (2, 3, 4, 5), (2, 2, 3, 4, 3, 2)):
        layer = getattr(rv.layers, name)(**case.arguments)
        x = np.zeros(shape, "float32" if case.integers is None else "int32")
        text = complaint(lambda layer=layer, x=x: layer(x, **case.call))
        if text is not None:
            assert name in text or layer.name in text, text
            assert any(hint in text for hint in ("ndim", "rank", "shape", "axis", "axes", "leaves", "larger")), text


@pytest.mark.parametrize("name", sorted(MERGING))
def test_merging_layers_of_shapes_that_differ(name: str) -> None:
    case = MERGING[name]
    layer = getattr(rv.layers, name)(**case.arguments)
    text = complaint(lambda: layer([np.zeros((2, 3, 4), "float32"), np.zeros((5, 7, 6), "float32")], **case.call))
    assert text is not None
    assert name in text or layer.name in text, text
    assert "3" in text and "7" in text, text


LOSSES = {name: (options, y_true, y_pred) for name, options, y_true, y_pred in losses.CASES}
LOSSES |= {row[0]: row[1:4] for row in getattr(old_losses, "CASES", []) if len(row) == 4}


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_losses_with_targets_of_another_shape(name: str) -> None:
    options, y_true, y_pred = LOSSES[name]
    loss = getattr(rv.losses, name)(**options)
    wrong = np.concatenate([np.asarray(y_true)] * 2)
    text = complaint(lambda: loss(wrong, y_pred))
    assert text is not None, "twice as many labels as predictions"
    assert str(len(wrong)) in text and str(len(y_pred)) in text, text


@pytest.mark.parametrize(("name", "options", "kind"), metrics.CASES, ids=str)
def test_metrics_with_targets_of_another_shape(name: str, options: Any, kind: str) -> None:
    metric, found = metrics.made(name, options, kind)
    y_true, y_pred, _ = found[0]
    wrong = np.concatenate([y_true, y_true])
    text = complaint(lambda: metric.update_state(wrong, y_pred))
    assert text is not None, "twice as many labels as predictions"
    assert str(len(wrong)) in text and str(len(y_pred)) in text, text


NAMES: list[tuple[Any, str]] = [
    (lambda: rv.layers.Dense(2, kernel_initializer="glorot_unifrom"), "Did you mean 'glorot_uniform'"),
    (lambda: rv.layers.Dense(2, kernel_regularizer="l1l3"), "Did you mean 'l1"),
    (lambda: rv.layers.Dense(2, kernel_constraint="non_negg"), "Did you mean 'non_neg'"),
    (lambda: rv.layers.Dense(2, activation="rellu"), "Did you mean 'relu'"),
    (lambda: rv.layers.deserialize({"class_name": "Dens", "config": {}}), "Did you mean 'Dense'"),
    (lambda: rv.metrics.get("presision"), "Did you mean"),
    (lambda: rv.losses.get("mean_sqared_error"), "Did you mean 'mean_squared_error'"),
    (lambda: rv.optimizers.get("rmsporp"), "Did you mean 'rmsprop'"),
    (lambda: rv.layers.Conv2D(2, 3, padding="smae"), "'same'"),
]


@pytest.mark.parametrize(("call", "words"), NAMES, ids=[words for _, words in NAMES])
def test_names_of_every_family(call: Any, words: str) -> None:
    text = complaint(call)
    assert text is not None
    assert words in text, text
