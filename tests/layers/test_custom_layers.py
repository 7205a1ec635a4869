"""What layers of one's own may do, as in Keras: losses, masks, several inputs, structures, variables, ``build``."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

import ranvier as rv
from ranvier import layers

os.environ.setdefault("KERAS_BACKEND", "torch")
pytest.importorskip("torch", reason="Keras needs a backend to compare with: pip install torch")
keras = pytest.importorskip("keras", reason="comparison with Keras 3: pip install keras")

X = np.random.default_rng(0).standard_normal((6, 3)).astype("float32")
TOKENS = np.array([[1, 2, 0], [3, 0, 0]], np.int32)


def with_loss(k: Any) -> Any:
    class WithLoss(k.layers.Layer):
        def call(self, x: Any) -> Any:
            self.add_loss(0.1 * k.ops.sum(x * x))
            return x

    return WithLoss()


def test_losses_of_layers_join_the_training() -> None:
    """Ten steps with ``add_loss``, a regularizer and an activity regularizer, beside Keras."""
    histories = []
    for k in (rv, keras):
        dense = k.layers.Dense(2, kernel_regularizer="l2", activity_regularizer="l1")
        model = k.Sequential([k.Input((3,)), dense, with_loss(k), k.layers.Dense(1)])
        model.set_weights([np.full(w.shape, 0.3, "float32") for w in model.weights])
        model.compile(optimizer=k.optimizers.SGD(0.05), loss="mse")
        histories.append(model.fit(X, X[:, :1], batch_size=3, epochs=5, shuffle=False, verbose=0).history["loss"])
    np.testing.assert_allclose(histories[0], histories[1], rtol=1e-4)


def test_losses_are_those_of_the_last_call_and_of_all_calls_inside_it() -> None:
    for k in (rv, keras):

        class Outer(k.layers.Layer):
            def __init__(self, inner: Any) -> None:
                super().__init__()
                self.inner = inner

            def call(self, x: Any) -> Any:
                return self.inner(self.inner(x) * 2.0)

        outer = Outer(with_loss(k))
        for _ in range(2):
            outer(X)
            total = float((X * X).sum()) * 0.1
            np.testing.assert_allclose([float(v) for v in outer.losses], [total, 4 * total], rtol=1e-5)


class Bilinear(layers.Layer):
    """Two inputs and an option; weights from both shapes."""

    def build(self, left_shape: Any, right_shape: Any) -> None:
        self.kernel = self.add_weight((left_shape[-1], right_shape[-1]), "ones", name="kernel")

    def call(self, left: Any, right: Any, scale: float = 1.0) -> Any:
        return rv.ops.sum(rv.ops.matmul(left, self.kernel) * right, -1, keepdims=True) * scale


def test_several_inputs_and_options() -> None:
    expected = X.sum(1, keepdims=True) * X[:, :2].sum(1, keepdims=True) * 2
    layer = Bilinear()
    np.testing.assert_allclose(layer(X, X[:, :2], scale=2.0).numpy(), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(layer(X, right=X[:, :2], scale=2.0).numpy(), expected, rtol=1e-4, atol=1e-5)
    left, right = rv.Input((3,)), rv.Input((2,))
    model = rv.Model([left, right], layer(left, right=right, scale=2.0))
    np.testing.assert_allclose(model([X, X[:, :2]]).numpy(), expected, rtol=1e-4, atol=1e-5)


class Branches(layers.Layer):
    """A dictionary in, nested structures out."""

    def build(self, input_shape: Any) -> None:
        self.seen = input_shape

    def call(self, inputs: Any) -> Any:
        total = inputs["a"] + inputs["b"]
        return {"sum": total, "both": [inputs["a"], inputs["b"]]}


def test_structures() -> None:
    layer = Branches()
    found = layer({"a": X, "b": X})
    assert layer.seen == {"a": (6, 3), "b": (6, 3)}
    np.testing.assert_array_equal(found["sum"].numpy(), 2 * X)
    symbolic = Branches()({"a": rv.Input((3,)), "b": rv.Input((3,))})
    assert symbolic["sum"].shape == symbolic["both"][1].shape == (None, 3)


class Shift(layers.Layer):
    """Makes masks of its own: the steps but the first."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, x: Any, mask: Any = None) -> Any:
        self.seen = mask
        return x[:, 1:] * 1.0

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return None if previous_mask is None else previous_mask[:, 1:]


def test_masks_of_ones_own() -> None:
    layer = Shift()
    y = layer(layers.Embedding(5, 2, mask_zero=True)(TOKENS))
    assert layer.seen.tolist() == (TOKENS != 0).tolist()
    assert layers.get_mask(y).tolist() == (TOKENS[:, 1:] != 0).tolist()
    layer(rv.ops.ones((2, 3, 2)))
    assert layer.seen is None


def test_layers_that_do_not_know_masks_end_them() -> None:
    class Plain(layers.Layer):
        def call(self, x: Any) -> Any:
            return x * 2.0

    assert layers.get_mask(Plain()(layers.Embedding(5, 2, mask_zero=True)(TOKENS))) is None


def test_state_without_gradients_counts_in_fit() -> None:
    """A moving total, updated in recorded steps too."""

    class Counter(layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.total = self.add_weight((), "zeros", trainable=False, name="total")

        def call(self, x: Any, training: bool = False) -> Any:
            if training:
                self.total.assign_add(rv.ops.sum(rv.ops.ones_like(x)))
            return x

    counter = Counter()
    model = rv.Sequential([rv.Input((3,)), counter, layers.Dense(1)])
    model.compile(optimizer="sgd", loss="mse")
    model.fit(X, X[:, :1], batch_size=2, epochs=4, verbose=0)
    assert counter.total.item() == 4 * X.size
    assert [w.name for w in counter.non_trainable_weights] == ["total"] and counter.trainable_weights == []
    model.predict(X, verbose=0)
    assert counter.total.item() == 4 * X.size


def test_a_layer_used_twice_has_one_set_of_weights() -> None:
    shared = layers.Dense(3)
    a, b = rv.Input((3,)), rv.Input((3,))
    model = rv.Model([a, b], layers.Subtract()([shared(a), shared(b)]))
    assert len(model.weights) == 2
    np.testing.assert_allclose(model([X, X]).numpy(), 0, atol=1e-6)


def test_options_by_their_places() -> None:
    x = rv.ops.ones((4, 50))
    dropped = layers.Dropout(0.5, seed=1)(x, True).numpy()
    np.testing.assert_array_equal(dropped, layers.Dropout(0.5, seed=1)(x, training=True).numpy())
    assert (dropped == 0).any()
    shift = Shift()
    shift(rv.ops.ones((2, 3, 2)), rv.Tensor(TOKENS != 0))
    assert shift.seen.tolist() == (TOKENS != 0).tolist()
    model = rv.Sequential([rv.Input((3,)), layers.Dropout(0.9), layers.Dense(2)])
    assert model(X, True).shape == (6, 2)


class Pair(layers.Layer):
    """A mask for each of two inputs."""

    def call(self, left: Any, right: Any, left_mask: Any = None, right_mask: Any = None) -> Any:
        self.seen = left_mask, right_mask
        return left + right


def test_masks_of_several_arguments() -> None:
    embedded = layers.Embedding(5, 2, mask_zero=True)(TOKENS)
    pair = Pair()
    pair(rv.ops.ones((2, 3, 2)), embedded)
    assert pair.seen[0] is None and pair.seen[1].tolist() == (TOKENS != 0).tolist()
    pair(embedded, right=embedded, left_mask=rv.Tensor(TOKENS == 1))
    assert pair.seen[0].tolist() == (TOKENS == 1).tolist() and pair.seen[1].tolist() == (TOKENS != 0).tolist()


def test_masks_survive_a_conversion() -> None:
    shift = Shift(dtype="float64")
    y = shift(layers.Embedding(5, 2, mask_zero=True)(TOKENS))
    assert y.dtype == "float64" and shift.seen.tolist() == (TOKENS != 0).tolist()
    assert layers.get_mask(y).tolist() == (TOKENS[:, 1:] != 0).tolist()


def test_shapes_that_a_layer_was_built_with() -> None:
    for k in (rv, keras):
        dense = k.layers.Dense(4)
        assert dense.get_build_config() is None
        dense.build((None, 3))
        assert dense.built and tuple(dense.get_build_config()["input_shape"]) == (None, 3)
        twin = k.layers.Dense(4)
        twin.build_from_config(dense.get_build_config())
        assert [tuple(w.shape) for w in twin.weights] == [(3, 4), (4,)]
        assert dense.compute_dtype == dense.variable_dtype == dense.input_dtype == "float32"
        assert dense.path == dense.name
    several = Bilinear()
    several(X, X[:, :2])
    assert several.get_build_config() == {"shapes_dict": {"left_shape": (6, 3), "right_shape": (6, 2)}}
    twin = Bilinear()
    twin.build_from_config(several.get_build_config())
    assert twin.built and twin.kernel.shape == (3, 2)


def test_stateless_call() -> None:
    """Beside Keras: other weights, statistics that come back, losses; the layer's own stay."""
    found = []
    for k in (rv, keras):
        layer = k.layers.BatchNormalization(gamma_regularizer="l2")
        layer.build((None, 3))
        before = layer.get_weights()
        trained = [np.full(3, 2.0, "float32"), np.full(3, 0.5, "float32")]
        statistics = [np.full(3, 0.1, "float32"), np.full(3, 1.5, "float32")]
        outputs, after, losses = layer.stateless_call(trained, statistics, X, training=True, return_losses=True)
        found.append([np.asarray(v.detach()) for v in (outputs, *after, *losses)])
        for a, b in zip(before, layer.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    layer = layers.Dense(2)
    with pytest.raises(ValueError, match="must be built first"):
        layer.stateless_call([], [], X)
    layer.build((None, 3))
    with pytest.raises(ValueError, match="has 2 trainable and 0 non-trainable variables; got 1 and 0"):
        layer.stateless_call([X], [], X)
    with pytest.raises(ValueError, match=r"kernel' of layer .* has shape \(3, 2\), the value given \(2, 3\)"):
        layer.stateless_call([np.ones((2, 3)), np.ones(2)], [], X)
    outputs, _ = layer.stateless_call([np.ones((3, 2)), np.zeros(2)], [], X)
    gradient = rv.grad(rv.ops.sum(rv.ops.square(outputs)), layer.kernel)
    np.testing.assert_allclose(gradient.numpy(), 2 * X.T @ (X @ np.ones((3, 2))), rtol=1e-4)
