"""Files that Keras 3 wrote, and files that it reads: every layer both ways, and whole networks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ranvier as rv
from ranvier import _tree
from ranvier.saving import keras_config
from tests.layers.cases import CASES, Case

os.environ.setdefault("KERAS_BACKEND", "torch")
pytest.importorskip("torch", reason="Keras needs a backend to compare with: pip install torch")
keras = pytest.importorskip("keras", reason="files of Keras 3 are written and read by it: pip install keras")

# Keras's torch backend and our kernels add in other orders: a few roundings of float32.
CLOSE = {"rtol": 2e-5, "atol": 2e-5}
LARGEST: dict[str, float] = {}  # by direction, the largest difference relative to the largest output


def nested(k: Any) -> list[tuple[str, Any, Any]]:
    """Layers that hold layers, with their inputs' shapes (without the batch)."""
    la = k.layers
    lstm = {"return_sequences": True, "name": "inner"}
    return [
        ("bidirectional", la.Bidirectional(la.LSTM(3, **lstm)), (5, 4)),
        ("bidirectional_sum", la.Bidirectional(la.GRU(3), merge_mode="sum"), (5, 4)),
        ("stacked", la.RNN([la.LSTMCell(3), la.GRUCell(2)]), (5, 4)),
        ("one_cell", la.RNN(la.SimpleRNNCell(3), return_sequences=True), (5, 4)),
        ("time_distributed", la.TimeDistributed(la.Dense(3)), (5, 4)),
        ("spectral", la.SpectralNormalization(la.Conv2D(3, 3)), (9, 8, 4)),
        ("einsum", la.EinsumDense("abc,cd->abd", output_shape=(None, 7), bias_axes="d"), (5, 4)),
        ("normalization", la.Normalization(), (5, 4)),
        ("nested", k.Sequential([la.Dense(3, name="a"), la.Dense(2, name="b")], name="inside"), (4,)),
    ]


def model_of(k: Any, layer: Any, shape: Any, integers: bool = False) -> Any:
    """A functional model of one layer, for inputs of one or several shapes."""
    options = {"dtype": "int32"} if integers else {}
    inputs = [k.Input(s, **options) for s in shape] if isinstance(shape, list) else k.Input(shape, **options)
    return k.Model(inputs, layer(inputs))


def randomized(model: Any, seed: int = 1) -> Any:
    random = np.random.default_rng(seed)
    model.set_weights([random.uniform(0.2, 1.0, np.shape(w)).astype(np.float32) for w in model.get_weights()])
    return model


def outputs(model: Any, x: Any) -> list[np.ndarray]:
    found = model(x, training=False)
    return [np.asarray(t.detach().cpu() if hasattr(t, "cpu") else t.numpy()) for t in _tree.flatten(found)]


def same(direction: str, ours: Any, theirs: Any, x: Any) -> None:
    mine, right = outputs(ours, x), outputs(theirs, x)
    assert len(mine) == len(right)
    for a, b in zip(mine, right, strict=True):
        np.testing.assert_allclose(a, b, **CLOSE)
        if a.size:
            difference = float(np.abs(np.float64(a) - b).max()) / max(float(np.abs(b).max()), 1.0)
            LARGEST[direction] = max(LARGEST.get(direction, 0.0), difference)


def both_ways(folder: Path, ours: Any, theirs: Any, x: Any) -> None:
    """What each wrote, the other opens: whole models and weights."""
    randomized(theirs)
    theirs.save(folder / "theirs.keras")
    theirs.save_weights(folder / "theirs.weights.h5")
    read = rv.models.load_model(folder / "theirs.keras")
    same("from Keras", read, theirs, x)
    for suffix in ("keras", "weights.h5"):
        randomized(ours, 2).load_weights(folder / f"theirs.{suffix}")
        same("from Keras", ours, theirs, x)
    randomized(ours, 3)
    ours.save(folder / "ours.keras")
    ours.save_weights(folder / "ours.weights.h5")
    same("to Keras", ours, keras.models.load_model(folder / "ours.keras"), x)
    theirs.load_weights(folder / "ours.weights.h5")
    same("to Keras", ours, theirs, x)


def _inputs_of(case: Case) -> Any:
    inputs = case.inputs(dtype="float32")
    if case.layer == "Masking":
        inputs[0, 2] = 0
    return inputs


@pytest.mark.parametrize("case", [c for c in CASES if not c.keras and not c.call], ids=lambda c: c.name)
def test_every_layer(case: Case, tmp_path: Path) -> None:
    shape = [s[1:] for s in case.shape] if isinstance(case.shape, list) else case.shape[1:]
    ours, theirs = (
        model_of(k, getattr(k.layers, case.layer)(**case.arguments), shape, case.integers is not None)
        for k in (rv, keras)
    )
    both_ways(tmp_path, ours, theirs, _inputs_of(case))


@pytest.mark.parametrize("place", range(9), ids=[name for name, _, _ in nested(rv)])
def test_layers_that_hold_layers(place: int, tmp_path: Path) -> None:
    (_, ours, shape), (_, theirs, _) = nested(rv)[place], nested(keras)[place]
    x = np.random.default_rng(0).standard_normal((2, *shape)).astype(np.float32)
    both_ways(tmp_path, model_of(rv, ours, shape), model_of(keras, theirs, shape), x)


def attention(k: Any, kind: str) -> Any:
    a, b = k.Input((5, 4)), k.Input((6, 4))
    layers = {
        "multi_head": lambda: k.layers.MultiHeadAttention(2, 3)(a, b),
        "grouped": lambda: k.layers.GroupQueryAttention(3, 4, 2)(a, b),
        "scaled": lambda: k.layers.Attention(use_scale=True, score_mode="concat")([a, b]),
        "additive": lambda: k.layers.AdditiveAttention()([a, b]),
    }
    return k.Model([a, b], layers[kind]())


@pytest.mark.parametrize("kind", ["multi_head", "grouped", "scaled", "additive"])
def test_attention(kind: str, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    x = [random.standard_normal((2, n, 4)).astype(np.float32) for n in (5, 6)]
    both_ways(tmp_path, attention(rv, kind), attention(keras, kind), x)


def residual(k: Any) -> Any:
    la = k.layers
    x = inputs = k.Input((16, 16, 3))
    for filters in (8, 8, 16):
        y = la.BatchNormalization()(la.Conv2D(filters, 3, padding="same", use_bias=False)(x))
        y = la.BatchNormalization()(la.Conv2D(filters, 3, padding="same")(la.ReLU()(y)))
        if x.shape[-1] != filters:
            x = la.Conv2D(filters, 1)(x)
        x = la.ReLU()(la.Add()([x, y])) if filters == 8 else k.ops.relu(x * 0.5 + y)
    x = k.ops.mean(x, axis=[1, 2]) - k.ops.max(x, axis=(1, 2))
    return k.Model(inputs, la.Dense(5, activation="softmax")(x))


def words(k: Any) -> Any:
    la = k.layers
    layers = [la.Embedding(20, 6, mask_zero=True), la.Bidirectional(la.LSTM(5, return_sequences=True)), la.LSTM(4)]
    return k.Sequential([k.Input((7,), dtype="int32"), *layers, la.Dropout(0.5), la.Dense(1, "sigmoid")])


@pytest.mark.parametrize("make", [residual, words])
def test_networks_and_their_training(make: Any, tmp_path: Path) -> None:
    """Whole networks with an optimizer's state: both go on training alike."""
    ours, theirs = make(rv), make(keras)
    random = np.random.default_rng(0)
    x = random.integers(0, 20, (8, 7)) if make is words else random.standard_normal((8, 16, 16, 3)).astype(np.float32)
    y = random.integers(0, 2, (8,))
    loss = "binary_crossentropy" if make is words else "sparse_categorical_crossentropy"
    theirs.compile(keras.optimizers.Adam(1e-3, beta_1=0.8), loss, metrics=["accuracy"])
    theirs.fit(x[:4], y[:4], verbose=0)
    theirs.save(tmp_path / "theirs.keras")
    read = rv.models.load_model(tmp_path / "theirs.keras")
    assert read.optimizer.beta_1 == 0.8 and int(read.optimizer.iterations) == 1
    for a, b in zip(read.optimizer.variables, theirs.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    same("from Keras", read, theirs, x)
    np.testing.assert_allclose(read.evaluate(x, y, verbose=0), theirs.evaluate(x, y, verbose=0), rtol=1e-4, atol=1e-5)
    both_ways(tmp_path, ours, make(keras), x)
    read.save(tmp_path / "back.keras")
    back = keras.models.load_model(tmp_path / "back.keras")
    for a, b in zip(back.optimizer.variables, theirs.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    same("to Keras", read, back, x)


def test_vgg16(tmp_path: Path) -> None:
    shape = {"weights": None, "input_shape": (32, 32, 3), "classes": 10}
    theirs, ours = keras.applications.VGG16(**shape), rv.applications.VGG16(**shape)
    x = np.random.default_rng(0).uniform(-1, 1, (1, 32, 32, 3)).astype(np.float32)
    theirs.save(tmp_path / "vgg.keras")
    same("from Keras", rv.models.load_model(tmp_path / "vgg.keras"), theirs, x)
    theirs.save(tmp_path / "vgg.h5")
    ours.load_weights(tmp_path / "vgg.h5")
    same("from Keras", ours, theirs, x)
    ours.save(tmp_path / "ours.keras")
    same("to Keras", ours, keras.models.load_model(tmp_path / "ours.keras"), x)


def test_what_keras_does_not_have_is_refused_by_name(tmp_path: Path) -> None:
    for name in keras_config.NOT_IN_KERAS:
        assert not hasattr(keras.layers, name) and not hasattr(keras.metrics, name)
    model = rv.Sequential([rv.Input((8, 8, 3)), rv.layers.LocalSubtractiveNormalization(name="mine")])
    with pytest.raises(ValueError, match=r"Keras has no LocalSubtractiveNormalization \(layer 'mine'\)"):
        model.save(tmp_path / "m.keras")
    assert list(tmp_path.iterdir()) == []
    ours = {n for n in dir(rv.layers) if n[0].isupper() and isinstance(getattr(rv.layers, n), type)}
    known = set(dir(keras.layers)) | keras_config.NOT_IN_KERAS | {"KerasTensor", "Operation", "GroupedQueryAttention"}
    assert ours <= known, ours - known


def test_the_largest_differences() -> None:
    """Printed with ``-s``; runs after the others."""
    print({name: f"{value:.2e}" for name, value in LARGEST.items()})
    assert all(value < 2e-5 for value in LARGEST.values())
