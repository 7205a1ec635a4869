"""No public layer, loss, metric or optimizer without a comparison with Keras 3, and no family without its messages."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import pytest

import ranvier as rv
from tests.peers import keras_or_skip

# Layers that take other layers, or strings, and so have comparisons of their own: where.
OWN_TESTS = {
    "Bidirectional": "layers.test_recurrent",
    "GRUCell": "layers.test_recurrent",
    "GroupQueryAttention": "layers.test_attention",
    "LSTMCell": "layers.test_recurrent",
    "MultiHeadAttention": "layers.test_attention",
    "Pipeline": "layers.test_images",
    "RNN": "layers.test_recurrent",
    "SimpleRNNCell": "layers.test_recurrent",
    "SpectralNormalization": "layers.test_preprocessing",
    "StackedRNNCells": "layers.test_recurrent",
    "TextVectorization": "layers.test_text_vectorization",
    "TimeDistributed": "layers.test_recurrent",
}
# Keras's need TensorFlow: their tests hold the numbers of its documentation.
UNMEASURED = {"HashedCrossing", "Hashing", "IntegerLookup", "StringLookup"}
# What computes nothing, or calls what it is given.
BASES = {"InputLayer", "Lambda", "Layer", "Operation", "Wrapper", "Loss", "Metric", "Optimizer", "MeanMetricWrapper"}


def public(module: Any, base: type) -> dict[str, Any]:
    """The public classes of a module by name, each once: aliases under the name of the class."""
    found = {n: c for n, c in vars(module).items() if inspect.isclass(c) and issubclass(c, base) and n[0] != "_"}
    return {c.__name__: c for c in found.values() if c.__name__ not in BASES}


def compared_layers() -> set[str]:
    from tests.layers.cases import CASES

    return {case.layer for case in CASES}


def images() -> set[str]:
    """Layers that draw or resize pictures have a table of their own where there is one."""
    try:
        module = importlib.import_module("tests.layers.cases_images")
    except ImportError:
        return set()
    return {case.layer for case in module.CASES}


def test_every_layer() -> None:
    layers = public(rv.layers, rv.layers.Layer)
    by_name = {getattr(rv.layers, name).__name__ for name in compared_layers()}
    own = {getattr(rv.layers, name).__name__ for name in OWN_TESTS}
    missing = sorted(set(layers) - by_name - images() - own - UNMEASURED)
    assert not missing, f"no comparison with Keras for {missing}: add cases to tests/layers/cases*.py"


@pytest.mark.parametrize("name", sorted(OWN_TESTS))
def test_own_comparisons_are_there(name: str) -> None:
    source = inspect.getsource(importlib.import_module(f"tests.{OWN_TESTS[name]}"))
    assert name in source
    assert "keras" in source


def names_of(*modules: str) -> set[str]:
    """The classes that the tables of these test modules name."""
    found = set()
    for module in modules:
        for value in vars(importlib.import_module(f"tests.{module}")).values():
            if isinstance(value, list) and value and all(isinstance(v, tuple) and isinstance(v[0], str) for v in value):
                found |= {v[0] for v in value}
    return found


def test_every_loss() -> None:
    missing = sorted(
        set(public(rv.losses, rv.losses.Loss)) - names_of("losses.test_against_keras", "losses.test_losses")
    )
    assert not [name for name in missing if name != "LossFunctionWrapper"], missing


def test_every_metric() -> None:
    tables = names_of("metrics.test_against_keras", "metrics.test_metrics")
    missing = sorted(
        set(public(rv.metrics, rv.metrics.Metric)) - tables - {"ConfusionMatrix", "Mean", "Sum"}
    )  # Keras has no ConfusionMatrix
    assert not missing, missing


@pytest.mark.parametrize("name", ["Mean", "Sum"])
def test_sums_and_means(name: str) -> None:
    keras = keras_or_skip()
    ours, theirs = getattr(rv.metrics, name)(), getattr(keras.metrics, name)()
    for values, weights in (([1.0, 3.0, 5.5], None), (2.0, None), ([1.0, 4.0], [0.5, 0.25]), ([[1.0], [2.0]], 3.0)):
        ours.update_state(values, sample_weight=weights)
        theirs.update_state(values, sample_weight=weights)
        assert float(ours.result()) == pytest.approx(float(theirs.result()), rel=1e-6)


def test_every_optimizer() -> None:
    from tests.optimizers import test_against_keras as peers

    compared = {name for name, _ in peers.OPTIMIZERS}
    compared |= {name for name in ("MultiOptimizer", "LossScaleOptimizer") if name in inspect.getsource(peers)}
    assert not set(public(rv.optimizers, rv.optimizers.Optimizer)) - compared


def functions(module: Any) -> set[str]:
    return {n for n, f in vars(module).items() if inspect.isfunction(f) and n[0] != "_"}


ARGUMENTS = {
    "classes": ([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]], [[0.2, 0.7, 0.1], [0.3, 0.3, 0.4]]),
    "sparse": ([1, 0], [[0.2, 0.7, 0.1], [0.3, 0.3, 0.4]]),
}


@pytest.mark.parametrize("family", ["losses", "metrics"])
def test_functions_as_well(family: str) -> None:
    """Each function by Keras's name gives what Keras's gives, row by row."""
    keras = keras_or_skip()
    import numpy as np

    ours, theirs = getattr(rv, family), getattr(keras, family)
    skipped = {"deserialize", "get", "serialize", "ctc", "circle"}  # the last two have tables of their own
    shared = sorted((functions(ours) & functions(theirs)) - skipped)
    assert len(shared) > 15
    for name in shared:
        kind = "sparse" if name.startswith(("sparse", "categorical_generalized")) else "classes"
        y_true, y_pred = (np.array(a, "float32") for a in ARGUMENTS[kind])
        y_true = y_true.astype("int32") if kind == "sparse" else y_true
        more = {"q": 0.5} if "generalized" in name else {"k": 2} if "top_k" in name else {}
        found = getattr(ours, name)(y_true, y_pred, **more).numpy()
        given = [keras.ops.convert_to_tensor(y) for y in (y_true, y_pred)]
        expected = keras.ops.convert_to_numpy(getattr(theirs, name)(*given, **more))
        np.testing.assert_allclose(np.asarray(found, "float64"), expected, rtol=1e-5, atol=1e-6, err_msg=name)
