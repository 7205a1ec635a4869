"""Normalization, CategoryEncoding, Discretization, SpectralNormalization and serialize beside Keras 3."""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np
import pytest

import ranvier as rv
from ranvier import layers

os.environ.setdefault("KERAS_BACKEND", "torch")
pytest.importorskip("torch", reason="Keras needs a backend to compare with: pip install torch")
keras = pytest.importorskip("keras", reason="comparison with Keras 3: pip install keras")

X = (np.random.default_rng(0).standard_normal((40, 3, 4)) * 3 + 100).astype("float32")
CLOSE = {"rtol": 1e-4, "atol": 1e-4}


@pytest.mark.parametrize("axis", [-1, 1, (1, 2), None])
@pytest.mark.parametrize("batches", [False, True])
def test_adapted_normalization(axis: Any, batches: bool) -> None:
    data: Any = [X[:7], X[7:30], X[30:]] if batches else X
    ours, theirs = (k.layers.Normalization(axis=axis) for k in (rv, keras))
    ours.adapt(data), theirs.adapt(X)
    assert [(w.name, tuple(w.shape), w.trainable) for w in ours.weights] == [
        (w.name, tuple(w.shape), w.trainable) for w in theirs.weights
    ]
    np.testing.assert_allclose(ours(X).numpy(), theirs(X).numpy(), **CLOSE)
    back = layers.Normalization(axis=axis, invert=True)
    back.adapt(data)
    np.testing.assert_allclose(back(ours(X)).numpy(), X, rtol=1e-5)
    twin = layers.Normalization.from_config(json.loads(json.dumps(ours.get_config())))
    twin.build(X.shape)
    twin.set_weights(ours.get_weights())
    np.testing.assert_array_equal(twin(X).numpy(), ours(X).numpy())


def test_normalization_adapts_in_float64() -> None:
    x = np.array([[1e4 + 1e-2], [1e4 - 1e-2]])
    layer = layers.Normalization(dtype="float64")
    layer.adapt(x)
    np.testing.assert_allclose(layer(x).numpy(), [[1], [-1]], rtol=1e-6)


def test_normalization_adapts_again_and_on_sequences_of_pairs() -> None:
    class Pairs(rv.utils.PyDataset):
        def __len__(self) -> int:
            return 4

        def __getitem__(self, i: int) -> Any:
            return X[10 * i : 10 * i + 10], np.zeros(10)

    layer, once = layers.Normalization(), layers.Normalization()
    layer.adapt(2 * X)
    layer.adapt(Pairs())
    once.adapt(X)
    np.testing.assert_allclose(layer(X).numpy(), once(X).numpy(), **CLOSE)


def test_count_weights() -> None:
    tokens, weights = np.array([[0, 1, 1], [3, 3, 0]]), np.array([[0.5, 1, 2], [1, 1, 4]], "float32")
    ours, theirs = (k.layers.CategoryEncoding(4, "count")(tokens, count_weights=weights) for k in (rv, keras))
    np.testing.assert_allclose(ours.numpy(), theirs.numpy())
    symbolic = layers.CategoryEncoding(4, "count")(rv.Input((3,), dtype="int32"), count_weights=rv.Input((3,)))
    assert symbolic.shape == (None, 4)


def test_bins() -> None:
    x = np.array([[-1.0, 0.0, 0.2], [1.0, 7.0, -0.0]])
    ours, theirs = (k.layers.Discretization([0.0, 0.5, 1.0])(x) for k in (rv, keras))
    assert ours.dtype == "int32" and ours.tolist() == theirs.tolist()
    assert layers.Discretization([0.0])(rv.Input((3,))).dtype == "int32"
    assert layers.Discretization([0.0])([np.nan]).tolist() == [1]  # as numpy.digitize


@pytest.mark.parametrize("batches", [False, True])
@pytest.mark.parametrize("epsilon", [0.01, 0.2])
def test_adapted_bins(batches: bool, epsilon: float) -> None:
    data: Any = [X[:17], X[17:]] if batches else X
    ours, theirs = (k.layers.Discretization(num_bins=5, epsilon=epsilon) for k in (rv, keras))
    ours.adapt(data)
    for batch in data if batches else [data]:  # what its adapt() does, without the TensorFlow that it asks for
        theirs.update_state(batch)
    theirs.finalize_state()
    np.testing.assert_allclose(ours.bin_boundaries, theirs.bin_boundaries, rtol=1e-6)
    twin = layers.Discretization.from_config(json.loads(json.dumps(ours.get_config())))
    assert twin(X).tolist() == ours(X).tolist()
    ours.adapt(X[:5])
    theirs.reset_state()
    theirs.update_state(X[:5])
    theirs.finalize_state()
    np.testing.assert_allclose(ours.bin_boundaries, theirs.bin_boundaries, rtol=1e-6)


@pytest.mark.parametrize(
    ("build", "shape"),
    [
        (lambda k: k.layers.Dense(5), (6, 4)),
        (lambda k: k.layers.Conv2D(3, 3), (2, 6, 6, 2)),
        (lambda k: k.layers.Dense(2, use_bias=False), (3, 4)),
    ],
)
@pytest.mark.parametrize("iterations", [1, 3])
def test_spectral_normalization(build: Any, shape: Any, iterations: int) -> None:
    ours, theirs = (k.layers.SpectralNormalization(build(k), power_iterations=iterations) for k in (rv, keras))
    x = np.random.default_rng(1).standard_normal(shape).astype("float32")
    ours(x), theirs(x)
    assert [(w.name, tuple(w.shape), w.trainable) for w in ours.weights] == [
        (w.name, tuple(w.shape), w.trainable) for w in theirs.weights
    ]
    weights = [np.random.default_rng(i).standard_normal(w.shape) for i, w in enumerate(ours.weights)]
    ours.set_weights(weights), theirs.set_weights(weights)
    for training in (False, True, True, False):
        found, expected = ours(x, training=training), theirs(x, training=training)
        np.testing.assert_allclose(found.numpy(), expected.detach().numpy(), **CLOSE)
        for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_allclose(one, other, **CLOSE)
    twin = layers.SpectralNormalization.from_config(json.loads(json.dumps(ours.get_config())))
    twin(x)
    twin.set_weights(ours.get_weights())
    np.testing.assert_array_equal(twin(x).numpy(), ours(x).numpy())


def test_spectral_normalization_leaves_zeros_and_embeddings_work() -> None:
    zeros = layers.SpectralNormalization(layers.Dense(3, kernel_initializer="zeros"))
    zeros(np.ones((2, 4)))
    before = zeros.vector_u.numpy()
    assert not zeros(np.ones((2, 4)), training=True).numpy().any()
    np.testing.assert_array_equal(zeros.vector_u.numpy(), before)
    words = layers.SpectralNormalization(layers.Embedding(6, 3), power_iterations=50)
    words(np.array([[1, 2]]), training=True)
    np.testing.assert_allclose(np.linalg.norm(words.kernel.numpy(), 2), 1, rtol=1e-4)


def test_spectral_normalization_in_recorded_steps() -> None:
    """Steps replayed without Python normalise too."""
    rv.utils.set_random_seed(0)
    x, y = X[:, 0], X[:, 1, :1] / 100
    kernels = []
    for eagerly in (True, False):
        rv.utils.set_random_seed(1)
        model = rv.Sequential([rv.Input((4,)), layers.SpectralNormalization(layers.Dense(3)), layers.Dense(1)])
        model.compile(optimizer=rv.optimizers.SGD(1e-6), loss="mse", run_eagerly=eagerly)
        model.fit(x, y, epochs=3, batch_size=10, shuffle=False, verbose=0)
        kernels.append(model.layers[0].kernel.numpy())
    np.testing.assert_allclose(kernels[1], kernels[0], rtol=1e-5)
    assert np.linalg.norm(kernels[1], 2) < 1.2


def test_serialize_and_deserialize() -> None:
    layer = layers.Bidirectional(layers.GRU(3, return_sequences=True), name="both")
    config = json.loads(json.dumps(layers.serialize(layer)))
    assert layers.deserialize(config).get_config() == layer.get_config()
    theirs = json.loads(json.dumps(keras.layers.serialize(keras.layers.Conv2D(3, 2, activation="relu"))))
    assert layers.deserialize(theirs).filters == 3

    class Mine(layers.Layer):
        def __init__(self, factor: float = 1.0, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.factor = factor

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "factor": self.factor}

    config = layers.serialize(Mine(3.0))
    assert layers.deserialize(config, custom_objects={"Mine": Mine}).factor == 3.0
    with pytest.raises(ValueError, match="not that of a layer"):
        layers.deserialize(rv.saving.serialize_object(rv.initializers.Zeros()))
    with pytest.raises(ValueError, match="Mine"):
        layers.deserialize(config)


MESSAGES = {
    "one of two": (lambda: layers.Normalization(mean=1.0), "give both mean and variance"),
    "axis": (lambda: layers.Normalization(axis=3).adapt(X), r"axis \(3,\) is not all axes of inputs of shape"),
    "shapes": (lambda: layers.Normalization(mean=[1.0], variance=[1.0, 2.0]), "must have one shape"),
    "given": (lambda: layers.Normalization(mean=1.0, variance=1.0).adapt(X), "there is nothing to adapt"),
    "empty": (lambda: layers.Normalization().adapt([]), r"adapt\(\) got no data"),
    "data": (lambda: layers.Normalization().adapt([X, X[..., :2]]), r"adapt\(\) got data of shape \(40, 3, 2\)"),
    "tokens": (lambda: layers.CategoryEncoding(), "num_tokens must be a positive integer, got None"),
    "mode": (lambda: layers.CategoryEncoding(3, "multihot"), "Did you mean 'multi_hot'"),
    "weights": (lambda: layers.CategoryEncoding(3)([[1]], count_weights=[[1.0]]), "count_weights need output_mode"),
    "either": (lambda: layers.Discretization(), "give either bin_boundaries or num_bins"),
    "not adapted": (lambda: layers.Discretization(num_bins=3)(X), r"call adapt\(data\) first"),
    "no kernel": (lambda: layers.SpectralNormalization(layers.ReLU())(X), "has neither a kernel nor embeddings"),
    "iterations": (lambda: layers.SpectralNormalization(layers.Dense(2), 0), "power_iterations must be positive"),
}


@pytest.mark.parametrize(("call", "message"), MESSAGES.values(), ids=MESSAGES)
def test_messages(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_adapt_refuses_what_is_no_data() -> None:
    with pytest.raises(TypeError, match="takes an array, a PyDataset or batches, got int"):
        layers.Normalization().adapt(3)
