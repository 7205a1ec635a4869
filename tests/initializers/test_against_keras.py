"""Initializers, regularizers and constraints against Keras 3: values, gradients, laws, configurations, messages."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import ranvier as rv
from ranvier import constraints, initializers, regularizers
from tests.peers import keras_or_skip

RNG = np.random.default_rng(4)
WEIGHT = RNG.normal(size=(5, 4))
KERNEL = RNG.normal(size=(3, 3, 2, 4))

FIXED: list[tuple[str, dict[str, Any], tuple[int, ...]]] = [
    ("Zeros", {}, (2, 3)),
    ("Ones", {}, (4,)),
    ("Constant", {"value": 2.5}, (2, 2)),
    ("Identity", {"gain": 0.5}, (3, 5)),
    ("STFT", {}, (8, 1, 5)),
    ("STFT", {"side": "imag", "window": "hamming", "scaling": "spectrum"}, (8, 1, 5)),
    ("STFT", {"window": "blackman", "periodic": True, "scaling": None}, (9, 1, 9)),
    ("STFT", {"window": None}, (6, 1, 4)),
    ("STFT", {"window": [0.1, 0.5, 0.5, 0.1]}, (4, 1, 3)),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "options", "shape"), FIXED, ids=[f"{c[0]}-{i}" for i, c in enumerate(FIXED)])
def test_values_that_are_not_drawn(name: str, options: dict[str, Any], shape: tuple[int, ...], dtype: str) -> None:
    keras = keras_or_skip()
    ours = getattr(initializers, name)(**options)(shape, dtype)
    theirs = keras.ops.convert_to_numpy(getattr(keras.initializers, name)(**options)(shape, dtype))
    assert ours.dtype == dtype
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-5, atol=2e-6 if dtype == "float32" else 1e-7)


DRAWN: list[tuple[str, dict[str, Any]]] = [
    ("RandomUniform", {"minval": -0.3, "maxval": 0.5}),
    ("RandomNormal", {"mean": 1.0, "stddev": 0.2}),
    ("TruncatedNormal", {"mean": 1.0, "stddev": 0.2}),
    ("GlorotUniform", {}),
    ("GlorotNormal", {}),
    ("HeUniform", {}),
    ("HeNormal", {}),
    ("LecunUniform", {}),
    ("LecunNormal", {"input_axes": [0], "output_axes": [1, 2]}),
    ("VarianceScaling", {"scale": 3.0, "mode": "fan_out", "distribution": "untruncated_normal"}),
    ("Orthogonal", {"gain": 2.0}),
]


@pytest.mark.parametrize(("name", "options"), DRAWN, ids=[c[0] for c in DRAWN])
def test_laws_of_what_is_drawn(name: str, options: dict[str, Any]) -> None:
    """Mean, spread and extremes as Keras's: samples of n = 48000, whose moments scatter by 1/sqrt(n)."""
    keras = keras_or_skip()
    shape = (40, 30, 40)
    ours = getattr(initializers, name)(**options, seed=1)(shape, "float64").numpy()
    theirs = keras.ops.convert_to_numpy(getattr(keras.initializers, name)(**options, seed=1)(shape, "float64"))
    spread = theirs.std()
    assert abs(ours.mean() - theirs.mean()) < 6 * 1.5 * spread / np.sqrt(ours.size)
    assert abs(ours.std() / spread - 1) < 6 * 1.5 / np.sqrt(2 * ours.size)
    if "Normal" not in name or "Truncated" in name:
        assert np.abs(ours).max() == pytest.approx(np.abs(theirs).max(), rel=0.2)


REGULARIZERS: list[tuple[str, dict[str, Any]]] = [
    ("L1", {"l1": 0.3}),
    ("L2", {"l2": 0.3}),
    ("L1L2", {"l1": 0.1, "l2": 0.2}),
    ("L1L2", {}),
    ("OrthogonalRegularizer", {"factor": 0.5}),
    ("OrthogonalRegularizer", {"factor": 0.5, "mode": "columns"}),
]


@pytest.mark.parametrize(("name", "options"), REGULARIZERS, ids=[f"{c[0]}-{i}" for i, c in enumerate(REGULARIZERS)])
def test_regularizers_and_their_gradients(name: str, options: dict[str, Any]) -> None:
    keras = keras_or_skip()
    import torch

    theirs_w = torch.tensor(WEIGHT, requires_grad=True)
    theirs = getattr(keras.regularizers, name)(**options)(theirs_w)
    ours_w = rv.Tensor(WEIGHT, requires_grad=True)
    ours = getattr(regularizers, name)(**options)(ours_w)
    assert ours.item() == pytest.approx(float(theirs), rel=1e-6)
    if options:
        theirs.backward()
        ours.backward()
        np.testing.assert_allclose(ours_w.grad.numpy(), theirs_w.grad.numpy(), rtol=1e-5, atol=1e-9)


CONSTRAINTS: list[tuple[str, dict[str, Any], np.ndarray]] = [
    ("MaxNorm", {}, WEIGHT),
    ("MaxNorm", {"max_value": 0.7, "axis": [0, 1, 2]}, KERNEL),
    ("NonNeg", {}, WEIGHT),
    ("UnitNorm", {"axis": 1}, WEIGHT),
    ("MinMaxNorm", {"min_value": 0.5, "max_value": 0.9, "rate": 0.4}, WEIGHT),
    ("MinMaxNorm", {}, KERNEL),
]


@pytest.mark.parametrize(
    ("name", "options", "weight"), CONSTRAINTS, ids=[f"{c[0]}-{i}" for i, c in enumerate(CONSTRAINTS)]
)
def test_constraints(name: str, options: dict[str, Any], weight: np.ndarray) -> None:
    keras = keras_or_skip()
    theirs = keras.ops.convert_to_numpy(getattr(keras.constraints, name)(**options)(weight))
    ours = getattr(constraints, name)(**options)(rv.Tensor(weight))
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-6)


@pytest.mark.parametrize(
    ("module", "name", "options"),
    [(initializers, n, o) for n, o, _ in FIXED]
    + [(initializers, n, {**o, "seed": 3}) for n, o in DRAWN]
    + [(regularizers, n, o) for n, o in REGULARIZERS]
    + [(constraints, n, o) for n, o, _ in CONSTRAINTS],
)
def test_configurations(module: Any, name: str, options: dict[str, Any]) -> None:
    item = getattr(module, name)(**options)
    written = json.loads(json.dumps(module.serialize(item)))
    again = module.deserialize(written)
    assert type(again) is type(item) and again.get_config() == item.get_config()
    assert type(module.get({"class_name": name, "config": item.get_config()})) is type(item)
    assert module.get(item) is item and module.get(None) is None


def test_every_alias_is_its_class() -> None:
    keras = keras_or_skip()
    for module, theirs in (
        (initializers, keras.initializers), (regularizers, keras.regularizers), (constraints, keras.constraints),
    ):  # fmt: skip
        for name, value in vars(theirs).items():
            if isinstance(value, type):
                assert getattr(module, name).__name__ == value.__name__, name


def test_custom_objects() -> None:
    class Halves(initializers.Initializer):
        def __call__(self, shape: Any, dtype: str | None = None) -> Any:
            return np.full(shape, 0.5, dtype)

    made = initializers.deserialize({"class_name": "Halves", "config": {}}, {"Halves": Halves})
    assert isinstance(made, Halves)
    with rv.saving.custom_object_scope({"Halves": Halves}):
        assert isinstance(initializers.get("Halves"), Halves)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: initializers.get("he_norml"), "Unknown initializer: 'he_norml'. Did you mean 'he_normal'"),
        (lambda: regularizers.get("l1l3"), "Did you mean .*'l1_l2'"),
        (lambda: constraints.get("maxnorm"), "Did you mean 'max_norm'"),
        (lambda: initializers.get("GlorotUnifrm"), "Did you mean 'GlorotUniform'"),
        (lambda: rv.activations.get("rellu"), "Unknown activation: 'rellu'. Did you mean 'relu'"),
        (lambda: rv.optimizers.get("sdg"), "Unknown optimizer: 'sdg'. Did you mean 'sgd'"),
        (lambda: initializers.deserialize({"class_name": "Nothing", "config": {}}), "Could not locate 'Nothing'"),
        (lambda: initializers.STFT(side="left"), "side must be 'real' or 'imag', got 'left'"),
        (lambda: initializers.STFT(window="han"), "Unknown window: 'han'. Did you mean 'hann'"),
        (lambda: initializers.STFT(scaling="power"), "scaling must be None"),
        (lambda: initializers.STFT(window=[1.0])((4, 1, 3)), r"the window has shape \(1,\); expected \(4,\)"),
        (lambda: regularizers.OrthogonalRegularizer(mode="rank"), "mode must be 'rows' or 'columns'"),
        (lambda: regularizers.OrthogonalRegularizer()(rv.Tensor(KERNEL)), "expected a weight of rank 2"),
        (lambda: regularizers.L1(l1="much"), "must be a finite number >= 0, got 'much'"),
    ],
)
def test_errors(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
