"""Models that Keras 3 builds too: weights in the same order, the same outputs."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

import ranvier as rv

os.environ.setdefault("KERAS_BACKEND", "torch")
pytest.importorskip("torch", reason="Keras needs a backend to compare with: pip install torch")
keras = pytest.importorskip("keras", reason="comparison with Keras 3: pip install keras")


def convnet(k: Any) -> Any:
    layers = k.layers
    return k.Sequential(
        [
            k.Input((14, 14, 2)),
            layers.Conv2D(8, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(2),
            layers.Conv2D(4, 3, padding="same"),
            layers.Activation("elu"),
            layers.GlobalAveragePooling2D(),
            layers.Dropout(0.5),
            layers.Dense(5, activation="softmax"),
        ]
    )


def branches(k: Any) -> Any:
    """Inputs read at different depths, a shared layer, ops, a nested model, and branches of unequal length."""
    layers = k.layers
    a, b = k.Input((6,), name="a"), k.Input((6,), name="b")
    shared = layers.Dense(4, activation="tanh")
    left, right = shared(a), shared(b)
    inner_in = k.Input((4,))
    inner = k.Model(inner_in, layers.Dense(3)(layers.Dense(7, activation="selu")(inner_in)))
    long = layers.Dense(4, activation="gelu")(layers.Dense(5)(left))
    joined = layers.Concatenate()([long, right, inner(left), b])
    out = layers.Dense(2)(joined) + layers.Dense(2, use_bias=False)(a) * 2.0
    return k.Model([a, b], [out, layers.Softmax()(joined)])


def residual(k: Any) -> Any:
    layers = k.layers
    x = inputs = k.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", use_bias=False)(x)
    for _ in range(2):
        h = layers.BatchNormalization()(x)
        h = layers.ReLU()(h)
        h = layers.Conv2D(4, 3, padding="same")(h)
        x = layers.Add()([x, h])
    return k.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))


@pytest.mark.parametrize("make", [convnet, branches, residual])
def test_same_weights_same_outputs(make: Any) -> None:
    rv.config.clear_session()
    keras.utils.clear_session()
    ours, theirs = make(rv), make(keras)
    assert [tuple(w.shape) for w in ours.weights] == [tuple(w.shape) for w in theirs.weights]
    assert [layer.name for layer in ours.layers] == [layer.name for layer in theirs.layers]
    random = np.random.default_rng(0)
    weights = [random.uniform(0.1, 0.9, w.shape).astype(np.float32) for w in ours.weights]
    ours.set_weights(weights), theirs.set_weights(weights)
    shapes = [(3, *t.shape[1:]) for t in ours.inputs]
    data = [random.standard_normal(s).astype(np.float32) for s in shapes]
    data = data if len(data) > 1 else data[0]
    mine, right = ours(data), theirs(data)
    for one, other in zip(*((v if isinstance(v, list) else [v]) for v in (mine, right)), strict=True):
        np.testing.assert_allclose(one.numpy(), other.detach().numpy(), rtol=2e-4, atol=1e-5)


@pytest.mark.parametrize("make", [convnet, branches, residual])
def test_keras_configuration_is_understood(make: Any) -> None:
    """A model that Keras wrote as JSON, operators aside, builds here."""
    if make is branches:
        pytest.skip("Keras writes operators as classes of its own")
    theirs = make(keras)
    ours = rv.models.model_from_json(theirs.to_json())
    assert [tuple(w.shape) for w in ours.weights] == [tuple(w.shape) for w in theirs.weights]


def nested(k: Any) -> Any:
    layers = k.layers
    inner = k.Sequential([k.Input((6,)), layers.Dense(3), layers.Dropout(0.5), layers.Dense(2)], name="inner")
    a, b = k.Input((4,), name="first_of_the_inputs"), k.Input((4, 2), name="b")
    inner.trainable = False
    outer = k.Model(
        a, inner(layers.Dense(6, name="a_name_that_is_too_long_for_its_column_in_the_table")(a)), name="outer"
    )
    joined = layers.Concatenate()([outer(a), layers.LSTM(3)(b), layers.Flatten()(b)])
    return k.Model([a, b], [layers.Dense(1)(joined), layers.BatchNormalization()(joined)], name="model")


@pytest.mark.parametrize("make", [convnet, residual, nested])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"expand_nested": True, "show_trainable": True},
        {"line_length": 70, "positions": [0.3, 0.5, 0.7, 1.0]},
        {"layer_range": ("conv2d.*", "dense.*")},
    ],
    ids=str,
)
@pytest.mark.parametrize("columns", ["80", "140"])
def test_summary_is_keras_s(make: Any, options: dict[str, Any], columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    if make is nested and "layer_range" in options:
        options = {"layer_range": ("outer", "flatten")}
    if make is convnet and "positions" in options:
        options = {"line_length": 60, "positions": [0.4, 0.7, 1.0]}
    texts = []
    for k in (rv, keras):
        k.utils.clear_session()
        make(k).summary(print_fn=texts.append, **options)
    ours, theirs = ([line.rstrip() for line in text.strip("\n").splitlines()] for text in texts)
    assert ours == theirs
