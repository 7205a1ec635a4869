"""A ReLU after a BatchNormalization runs in its pass over memory: same bits, and only where nobody can tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import ranvier as rv

IMAGES = np.random.default_rng(0).normal(size=(6, 7, 5, 3)).astype("float32")


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """The activation of each call of batch_norm."""
    seen: list[str | None] = []
    batch_norm = rv.ops.batch_norm

    def watched(*args: Any, activation: str | None = None, **options: Any) -> rv.Tensor:
        seen.append(activation)
        return batch_norm(*args, activation=activation, **options)

    monkeypatch.setattr(rv.ops, "batch_norm", watched)
    return seen


def layers_of(relu: Callable[[], rv.layers.Layer], **options: Any) -> list[rv.layers.Layer]:
    return [
        rv.layers.Conv2D(4, 3),
        rv.layers.BatchNormalization(beta_initializer="random_normal", **options),
        relu(),
        rv.layers.Flatten(),
        rv.layers.Dense(2),
    ]


def sequential(layers: list[rv.layers.Layer]) -> rv.Model:
    return rv.Sequential([rv.Input(IMAGES.shape[1:]), *layers])


def functional(layers: list[rv.layers.Layer]) -> rv.Model:
    x = inputs = rv.Input(IMAGES.shape[1:])
    for layer in layers:
        x = layer(x)
    return rv.Model(inputs, x)


def unbuilt(layers: list[rv.layers.Layer]) -> rv.Model:
    return rv.Sequential(layers)


def loss_and_gradients(call: Callable[[Any], Any], layers: list[rv.layers.Layer], training: bool) -> list[np.ndarray]:
    images = rv.Tensor(IMAGES, requires_grad=True)
    y = call(images)
    loss = rv.ops.sum(y * y)
    trained = [v for layer in layers for v in layer.trainable_variables]
    gradients = rv.grad(loss, [images, *trained])
    return [t.numpy() for t in (y, *gradients, *(v for la in layers for v in la.non_trainable_variables))]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("make", [sequential, functional, unbuilt])
@pytest.mark.parametrize("relu", [lambda: rv.layers.Activation("relu"), rv.layers.ReLU])
def test_same_bits_as_one_layer_after_the_other(relu: Any, make: Any, training: bool, passes: list[str | None]) -> None:
    layers = layers_of(relu)
    model = make(layers)
    model(IMAGES)
    weights = model.get_weights()
    passes.clear()
    joined = loss_and_gradients(lambda x: model(x, training=training), layers, training)
    assert passes == ["relu"]
    model.set_weights(weights)

    def one_by_one(x: Any) -> Any:
        for layer in layers:
            x = layer(x, training=training) if isinstance(layer, rv.layers.BatchNormalization) else layer(x)
        return x

    apart = loss_and_gradients(one_by_one, layers, training)
    assert passes == ["relu", None]
    for got, expected in zip(joined, apart, strict=True):
        np.testing.assert_array_equal(got, expected)


class OwnNormalization(rv.layers.BatchNormalization):
    pass


class OwnActivation(rv.layers.Activation):
    pass


@pytest.mark.parametrize(
    "pair",
    [
        lambda: (OwnNormalization(), rv.layers.Activation("relu")),
        lambda: (rv.layers.BatchNormalization(), OwnActivation("relu")),
        lambda: (rv.layers.BatchNormalization(), rv.layers.Activation("tanh")),
        lambda: (rv.layers.BatchNormalization(), rv.layers.ReLU(max_value=6.0)),
        lambda: (rv.layers.BatchNormalization(), rv.layers.ReLU(negative_slope=0.5)),
        lambda: (rv.layers.BatchNormalization(activity_regularizer="l2"), rv.layers.Activation("relu")),
        lambda: (rv.layers.BatchNormalization(), rv.layers.Activation("relu", activity_regularizer="l2")),
        lambda: (rv.layers.BatchNormalization(), rv.layers.Activation("relu", dtype="float64")),
    ],
)
@pytest.mark.parametrize("make", [sequential, functional])
def test_not_where_somebody_could_tell(make: Any, pair: Any, passes: list[str | None]) -> None:
    make(list(pair()))(IMAGES)
    assert passes == [None]


def test_not_where_a_call_was_replaced(passes: list[str | None]) -> None:
    norm = rv.layers.BatchNormalization()
    model = sequential([norm, rv.layers.Activation("relu")])
    seen: list[Any] = []
    norm.call = lambda x, training=False: seen.append(x) or x  # type: ignore[method-assign]
    np.testing.assert_array_equal(model(IMAGES).numpy(), np.maximum(IMAGES, 0))
    assert len(seen) == 1 and not passes


def test_not_where_another_reads_the_sum(passes: list[str | None]) -> None:
    norm, relu = rv.layers.BatchNormalization(), rv.layers.Activation("relu")
    model = sequential([norm, relu])
    both = rv.Model(model.inputs, [norm.output, model.output])
    before, after = both(IMAGES)
    assert passes == [None] and before.numpy().min() < 0
    np.testing.assert_array_equal(after.numpy(), np.maximum(before.numpy(), 0))
    np.testing.assert_array_equal(model(IMAGES).numpy(), after.numpy())
    np.testing.assert_array_equal(rv.Model(model.inputs, norm.output)(IMAGES).numpy(), before.numpy())
    np.testing.assert_array_equal(norm(IMAGES).numpy(), before.numpy())
    inputs = rv.Input(IMAGES.shape[1:])
    sums = norm(inputs)
    residual = rv.Model(inputs, relu(sums) + sums)
    np.testing.assert_array_equal(residual(IMAGES).numpy(), (before + after).numpy())
    assert passes == [None, "relu", None, None, None]


def test_named_arguments(passes: list[str | None]) -> None:
    inputs = rv.Input(IMAGES.shape[1:])
    norm, relu = rv.layers.BatchNormalization(axis=1), rv.layers.Activation("relu")
    model = rv.Model(inputs, relu(inputs=norm(inputs=inputs, training=True)))
    got = model(IMAGES).numpy()
    np.testing.assert_array_equal(got, relu(norm(IMAGES, training=True)).numpy())
    assert passes == ["relu", None]
