"""Every layer with the same weights as Keras 3's: gradients to 1e-4, twenty training steps to 1e-4."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

import ranvier as rv
from ranvier import _tree
from tests.layers.cases import CASES, Case
from tests.layers.test_against_keras import drawn_like

os.environ.setdefault("KERAS_BACKEND", "torch")
torch = pytest.importorskip("torch", reason="Keras needs a backend to compare with: pip install torch")
keras = pytest.importorskip("keras", reason="comparison with Keras 3: pip install keras")

DRAWS = ("Dropout", "Noise")  # random numbers in training: other ones than Keras's, by the same laws
COMPARED = [case for case in CASES if not case.keras]
TRAINED = [case for case in COMPARED if not any(part in case.layer for part in DRAWS)]


def both(case: Case) -> tuple[Any, Any, Any]:
    """The layer of each with the same weights, and what goes in."""
    inputs = case.inputs()
    ours = getattr(rv.layers, case.layer)(**case.arguments, dtype="float64")
    theirs = getattr(keras.layers, case.layer)(**case.arguments, dtype="float64")
    ours(inputs), theirs(inputs)
    drawn = zip(drawn_like(ours.weights, 1), ours.weights, strict=True)
    weights = [0.5 * abs(w) + 0.1 if "variance" in v.name else 0.5 * w for w, v in drawn]
    ours.set_weights(weights), theirs.set_weights(weights)
    return ours, theirs, inputs


def scalar(outputs: Any, stack: Any) -> Any:
    """A sum over all outputs with factors of every sign and size."""
    total = 0.0
    for y in _tree.flatten(outputs):
        factors = np.cos(np.arange(int(np.prod(tuple(y.shape))))).reshape(tuple(y.shape))
        total = total + (y * stack(factors)).sum()
    return total


def floats(inputs: Any) -> bool:
    return all(np.asarray(x).dtype.kind == "f" for x in _tree.flatten(inputs))


@pytest.mark.parametrize("case", COMPARED, ids=lambda c: c.name)
def test_gradients(case: Case) -> None:
    ours, theirs, inputs = both(case)
    mine = _tree.map_structure(lambda x: rv.Tensor(x, requires_grad=x.dtype.kind == "f"), inputs)
    right = _tree.map_structure(lambda x: torch.tensor(x, requires_grad=x.dtype.kind == "f"), inputs)
    found = ours(mine, **case.call)
    if not any(y.requires_grad for y in _tree.flatten(found)):
        assert not ours.trainable_weights  # classes, one-hot rows, tokens: there is nothing to differentiate
        return
    scalar(found, rv.Tensor).backward()
    scalar(theirs(right, **case.call), torch.tensor).backward()
    pairs = [(m.grad, r.grad) for m, r in zip(_tree.flatten(mine), _tree.flatten(right), strict=True)]
    pairs += [(m.grad, r.value.grad) for m, r in zip(ours.trainable_weights, theirs.trainable_weights, strict=True)]
    for own, other in pairs:
        if own is None or other is None:
            for gradient in (own, other):  # what one of them leaves out must be nothing
                assert gradient is None or not np.any(np.asarray(gradient.numpy()))
            continue
        scale = max(1.0, float(np.abs(other.numpy()).max(initial=0)))
        np.testing.assert_allclose(own.numpy(), other.numpy(), rtol=1e-4, atol=1e-4 * scale)


@pytest.mark.parametrize("case", TRAINED, ids=lambda c: c.name)
def test_twenty_training_steps(case: Case) -> None:
    """Weights after 20 steps of SGD with momentum on the mean square of the outputs, in training mode."""
    ours, theirs, inputs = both(case)
    if not ours.trainable_weights:
        pytest.skip("it has nothing to train")
    optimizer, peer = rv.optimizers.SGD(0.01, momentum=0.5), keras.optimizers.SGD(0.01, momentum=0.5)
    mode = {"training": True} if "training" not in case.call else {}
    mine = _tree.map_structure(rv.Tensor, inputs)
    right = _tree.map_structure(torch.tensor, inputs)
    for _ in range(20):
        loss = sum((y * y).mean() for y in _tree.flatten(ours(mine, **case.call, **mode)))
        optimizer.apply(rv.grad(loss, ours.trainable_weights, allow_unused=True), ours.trainable_weights)
        theirs.zero_grad()
        sum((y * y).mean() for y in _tree.flatten(theirs(right, **case.call, **mode))).backward()
        with torch.no_grad():
            peer.apply([w.value.grad for w in theirs.trainable_weights], theirs.trainable_weights)
    for m, r in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        scale = max(1.0, float(np.abs(r).max(initial=0)))
        np.testing.assert_allclose(m, r, rtol=1e-4, atol=1e-4 * scale)
