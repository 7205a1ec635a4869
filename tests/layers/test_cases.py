"""Every layer: shapes known beforehand, configurations that make it anew, the reference device, gradients."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import ranvier as rv
from ranvier import _tree
from tests.layers.cases import CASES, Case

every_case = pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)


def make(case: Case, **extra: Any) -> Any:
    return getattr(rv.layers, case.layer)(**case.arguments, **extra)


def call(layer: Any, case: Case, dtype: str = "float64") -> Any:
    rv.utils.set_random_seed(3)
    return _tree.map_structure(lambda t: t.numpy(), layer(case.inputs(dtype=dtype), **case.call))


@every_case
def test_shape_is_known_beforehand(case: Case) -> None:
    layer = make(case, dtype="float64")
    found = _tree.map_structure(lambda y: y.shape, call(layer, case))
    assert found == case.output
    symbolic = _tree.map_shapes(
        lambda s: rv.Input(s[1:], dtype="float64" if case.integers is None else "int32"), case.shape
    )
    inferred = _tree.map_structure(lambda t: t.shape, make(case, dtype="float64")(symbolic))
    assert inferred == _tree.map_shapes(lambda s: (None, *s[1:]), case.output)


@every_case
def test_unknown_sizes_stay_unknown(case: Case) -> None:
    """With the sizes that may vary left open, what is inferred must not contradict what comes."""
    skipped = ("Dense", "LSTM", "GRU", "SimpleRNN", "Permute", "RepeatVector", "BatchNormalization", "Concatenate")
    skipped += ("LayerNormalization", "GroupNormalization", "RMSNormalization", "PReLU", "EinsumDense")
    skipped += ("Normalization", "ConvLSTM1D", "ConvLSTM2D")
    if case.layer in (*skipped, "Reshape"):
        pytest.skip("its weights or target need the sizes")
    symbolic = _tree.map_shapes(lambda s: rv.Input((*(None for _ in s[1:-1]), *s[-1:][: len(s) - 1])), case.shape)
    inferred = make(case)(symbolic).shape
    assert len(inferred) == len(case.output)
    assert all(a is None or a == b for a, b in zip(inferred, case.output, strict=True))


@every_case
def test_configuration_makes_it_anew(case: Case) -> None:
    layer = make(case, dtype="float64")
    expected = call(layer, case)
    twin = type(layer).from_config(json.loads(json.dumps(layer.get_config())))
    assert twin.get_config() == layer.get_config()
    call(twin, case)
    twin.set_weights(layer.get_weights())
    fresh = type(layer).from_config(layer.get_config())
    call(fresh, case)
    fresh.set_weights(twin.get_weights())
    if case.call.get("training"):
        return
    _tree.map_structure(lambda _: None, expected)
    for ours, right in zip(_tree.flatten(call(fresh, case)), _tree.flatten(expected), strict=True):
        np.testing.assert_array_equal(ours, right)


@every_case
def test_reference_device_agrees(case: Case) -> None:
    layer = make(case, dtype="float64")
    expected = call(layer, case)
    weights = layer.get_weights()
    with rv.device("reference"):
        twin = make(case, dtype="float64")
        call(twin, case)
        assert all(v.device == "reference" for v in twin.weights)
        if case.call.get("training"):
            return
        twin.set_weights(weights)
        found = call(twin, case)
    for ours, right in zip(_tree.flatten(found), _tree.flatten(expected), strict=True):
        np.testing.assert_allclose(ours, right, rtol=1e-10, atol=1e-12)


@every_case
def test_float32_and_arrays_of_other_dtypes(case: Case) -> None:
    """A layer of float32 takes float64 arrays and lists, and computes in float32."""
    result = make(case)(case.inputs(dtype="float64"), **case.call)
    assert {t.dtype for t in _tree.flatten(result)} == {"float32"}


@every_case
def test_every_trained_weight_gets_a_gradient(case: Case) -> None:
    layer = make(case, dtype="float64")
    outputs = _tree.flatten(layer(case.inputs(), **case.call))
    if not layer.trainable_weights:
        return
    total = sum(rv.ops.sum(rv.ops.square(y) * (1 + i)) for i, y in enumerate(outputs))
    gradients = rv.grad(total, layer.trainable_weights)
    for weight, gradient in zip(layer.trainable_weights, gradients, strict=True):
        assert gradient.shape == weight.shape
        assert np.isfinite(gradient.numpy()).all()
