"""Attention beside Keras 3 with the same weights: heads, masks, axes, scores, gradients, models."""

from __future__ import annotations

import inspect
import json
import os
from typing import Any

import numpy as np
import pytest

import ranvier as rv
from ranvier import _tree, layers

os.environ.setdefault("KERAS_BACKEND", "torch")
torch = pytest.importorskip("torch", reason="Keras needs a backend to compare with: pip install torch")
keras = pytest.importorskip("keras", reason="comparison with Keras 3: pip install keras")

CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def drawn(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


QUERY, VALUE, KEY = drawn(2, 5, 6), drawn(2, 7, 8, seed=1), drawn(2, 7, 9, seed=2)
QUERY_MASK = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], bool)
VALUE_MASK = np.array([[1, 0, 1, 1, 0, 0, 1], [1, 1, 1, 1, 1, 0, 0]], bool)
SOME = np.random.default_rng(3).random((2, 5, 7)) < 0.6
SOME[..., 0] = True  # every query sees something


def assert_same(name: str, options: dict[str, Any], *inputs: np.ndarray, **call: Any) -> None:
    """Names and shapes of weights, outputs, gradients of all inputs and weights."""
    ours, theirs = (getattr(k.layers, name)(**options) for k in (rv, keras))
    mine = [rv.Tensor(x, requires_grad=True) for x in inputs]
    right = [torch.tensor(x, requires_grad=True) for x in inputs]
    ours(*mine), theirs(*right)
    assert [(w.name, tuple(w.shape)) for w in ours.weights] == [(w.name, tuple(w.shape)) for w in theirs.weights]
    weights = [0.5 * drawn(*w.shape, seed=i) for i, w in enumerate(ours.weights)]
    ours.set_weights(weights), theirs.set_weights(weights)
    as_theirs = _tree.map_structure(lambda v: torch.tensor(v) if isinstance(v, np.ndarray) else v, call)
    found, expected = _tree.flatten(ours(*mine, **call)), _tree.flatten(theirs(*right, **as_theirs))
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.numpy(), other.detach().numpy(), **CLOSE)
    (expected[0] ** 2).sum().backward()
    gradients = rv.grad(rv.ops.sum(rv.ops.square(found[0])), [*mine, *ours.trainable_weights])
    others = [x.grad for x in right] + [w.value.grad for w in theirs.trainable_weights]
    for one, other in zip(gradients, others, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-4, atol=1e-4)


HEADS = {"num_heads": 3, "key_dim": 4}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"use_bias": False},
        {"value_dim": 2, "output_shape": 5},
        {"use_gate": True, "value_dim": 5},
        {"sliding_window": 2},
        {"output_shape": (3, 2)},
        {"attention_axes": 1},
    ],
    ids=str,
)
@pytest.mark.parametrize("scores", [False, True])
def test_self_attention(options: dict[str, Any], scores: bool) -> None:
    call = {"return_attention_scores": True} if scores else {}
    assert_same("MultiHeadAttention", {**HEADS, **options}, QUERY, QUERY, **call)


@pytest.mark.parametrize("inputs", [(QUERY, VALUE), (QUERY, VALUE, KEY)], ids=["value", "value and key"])
@pytest.mark.parametrize("call", [{}, {"use_causal_mask": True}, {"attention_mask": SOME},
                                  {"attention_mask": SOME, "use_causal_mask": True, "return_attention_scores": True},
                                  {"attention_mask": SOME[:, None].repeat(3, 1)}], ids=str)  # fmt: skip
def test_cross_attention(inputs: Any, call: dict[str, Any]) -> None:
    assert_same("MultiHeadAttention", HEADS, *inputs, **call)


@pytest.mark.parametrize("axes", [None, (1, 2), (2,), (1,)])
def test_axes_of_images(axes: Any) -> None:
    assert_same("MultiHeadAttention", {**HEADS, "attention_axes": axes}, drawn(2, 3, 4, 6), drawn(2, 3, 4, 6, seed=1))


GROUPS = {"head_dim": 4, "num_query_heads": 6, "num_key_value_heads": 2}


@pytest.mark.parametrize("options", [{}, {"use_bias": False, "use_gate": True}, {"sliding_window": 3}], ids=str)
@pytest.mark.parametrize("call", [{}, {"use_causal_mask": True}, {"return_attention_scores": True},
                                  {"attention_mask": SOME}], ids=str)  # fmt: skip
def test_grouped_heads(options: dict[str, Any], call: dict[str, Any]) -> None:
    assert_same("GroupQueryAttention", {**GROUPS, **options}, QUERY, VALUE, KEY, **call)


def sequences(k: Any, name: str) -> Any:
    """A model whose embeddings carry masks into attention, and attention into what follows."""
    words, others = k.Input((5,), dtype="int32"), k.Input((7,), dtype="int32")
    query, value = k.layers.Embedding(9, 6, mask_zero=True)(words), k.layers.Embedding(9, 6, mask_zero=True)(others)
    if name in ("Attention", "AdditiveAttention"):
        y = getattr(k.layers, name)()([query, value])
    elif name == "MultiHeadAttention":
        y = k.layers.MultiHeadAttention(2, 3)(query, value)
    else:
        y = k.layers.GroupQueryAttention(3, 4, 2)(query, value)
    return k.Model([words, others], k.layers.GlobalAveragePooling1D()(y))


@pytest.mark.parametrize("name", ["MultiHeadAttention", "GroupQueryAttention", "Attention", "AdditiveAttention"])
def test_masks_travel(name: str) -> None:
    ours, theirs = sequences(rv, name), sequences(keras, name)
    weights = [drawn(*w.shape, seed=i) for i, w in enumerate(ours.weights)]
    ours.set_weights(weights), theirs.set_weights(weights)
    words = np.where(QUERY_MASK, np.arange(1, 6), 0).astype("int32")
    others = np.where(VALUE_MASK, np.arange(1, 8), 0).astype("int32")
    np.testing.assert_allclose(ours([words, others]).numpy(), theirs([words, others]).detach().numpy(), **CLOSE)


@pytest.mark.parametrize("name", ["MultiHeadAttention", "GroupQueryAttention"])
def test_masks_given_are_masks_carried(name: str) -> None:
    layer = layers.MultiHeadAttention(2, 3) if name == "MultiHeadAttention" else layers.GroupQueryAttention(3, 4, 2)
    given = layer(QUERY, VALUE, query_mask=QUERY_MASK, value_mask=VALUE_MASK)
    query, value = rv.Tensor(QUERY), rv.Tensor(VALUE)
    layers.set_mask(query, rv.Tensor(QUERY_MASK)), layers.set_mask(value, rv.Tensor(VALUE_MASK))
    carried = layer(query, value)
    np.testing.assert_array_equal(given.numpy(), carried.numpy())
    assert layers.get_mask(carried).tolist() == QUERY_MASK.tolist()
    allowed = QUERY_MASK[:, :, None] & VALUE_MASK[:, None]
    y, weights = layer(QUERY, VALUE, attention_mask=allowed, return_attention_scores=True)
    np.testing.assert_allclose(y.numpy(), given.numpy(), **CLOSE)
    assert not weights.numpy()[~np.broadcast_to(allowed[:, None], weights.shape)].any()


@pytest.mark.parametrize("masks", [[None, VALUE_MASK], [QUERY_MASK, VALUE_MASK], [QUERY_MASK, None]], ids=str)
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("name", ["Attention", "AdditiveAttention"])
def test_masks_of_attention(masks: Any, causal: bool, name: str) -> None:
    ours, theirs = (getattr(k.layers, name)() for k in (rv, keras))
    value, call = drawn(2, 7, 6), {"use_causal_mask": causal, "return_attention_scores": True}
    ours([QUERY, value]), theirs([QUERY, value])
    theirs.set_weights(ours.get_weights())
    found = ours([QUERY, value], mask=masks, **call)
    expected = theirs([QUERY, value], mask=[None if m is None else torch.tensor(m) for m in masks], **call)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.numpy(), other.detach().numpy(), **CLOSE)


LAYERS = {
    "heads": lambda: layers.MultiHeadAttention(2, 3, value_dim=4, output_shape=5, attention_axes=[1], dropout=0.1),
    "regularized": lambda: layers.MultiHeadAttention(
        2, 3, kernel_regularizer="l2", activity_regularizer=rv.regularizers.L1(0.25)
    ),
    "groups": lambda: layers.GroupQueryAttention(4, 6, 2, use_gate=True, sliding_window=3),
}


@pytest.mark.parametrize("build", LAYERS.values(), ids=LAYERS)
def test_configuration_makes_it_anew(build: Any) -> None:
    layer = build()
    expected = layer(QUERY, VALUE).numpy()
    config = json.loads(json.dumps(layer.get_config()))
    twin = type(layer).from_config(config)
    assert twin.get_config() == layer.get_config()
    twin(QUERY, VALUE)
    twin.set_weights(layer.get_weights())
    np.testing.assert_array_equal(twin(QUERY, VALUE).numpy(), expected)
    assert [loss.item() for loss in twin.losses] == [loss.item() for loss in layer.losses]
    theirs = getattr(keras.layers, type(layer).__name__.replace("Grouped", "Group")).from_config(config)
    back = type(layer).from_config(json.loads(json.dumps(theirs.get_config())))
    assert {k: v for k, v in back.get_config().items() if k != "attention_axes"} == {
        k: v for k, v in layer.get_config().items() if k != "attention_axes"
    }


@pytest.mark.parametrize("name", ["MultiHeadAttention", "GroupQueryAttention"])
def test_arguments_and_defaults(name: str) -> None:
    for method in ("__init__", "call"):
        ours, theirs = (inspect.signature(getattr(getattr(k.layers, name), method)).parameters for k in (rv, keras))
        assert list(ours) == list(theirs)
        assert [p.default for p in ours.values()] == [p.default for p in theirs.values()]


def test_dropout_acts_on_the_weights_in_training_only() -> None:
    for layer in (layers.MultiHeadAttention(2, 3, dropout=0.5, seed=1), layers.GroupQueryAttention(3, 4, 2, 0.5)):
        plain = layer(QUERY, VALUE).numpy()
        np.testing.assert_array_equal(plain, layer(QUERY, VALUE).numpy())
        assert not np.array_equal(plain, layer(QUERY, VALUE, training=True).numpy())
    layer = layers.Attention(dropout=0.5, seed=1)
    assert not np.array_equal(layer([QUERY, QUERY]).numpy(), layer([QUERY, QUERY], training=True).numpy())


def test_symbolic_shapes() -> None:
    query, value = rv.Input((None, 6)), rv.Input((7, 8))
    y, weights = layers.MultiHeadAttention(2, 3)(query, value, return_attention_scores=True)
    assert y.shape == (None, None, 6) and weights.shape == (None, 2, None, 7)
    y, weights = layers.GroupQueryAttention(3, 4, 2)(query, value, return_attention_scores=True)
    assert y.shape == (None, None, 6) and weights.shape == (None, 4, None, 7)
    y, weights = layers.Attention()([query, rv.Input((7, 6))], return_attention_scores=True)
    assert y.shape == (None, None, 6) and weights.shape == (None, None, 7)


def test_reference_device_agrees() -> None:
    layer = layers.MultiHeadAttention(2, 3, dtype="float64")
    expected = layer(QUERY, VALUE, use_causal_mask=True).numpy()
    with rv.device("reference"):
        twin = layers.MultiHeadAttention(2, 3, dtype="float64")
        twin(QUERY, VALUE)
        twin.set_weights(layer.get_weights())
        np.testing.assert_allclose(twin(QUERY, VALUE, use_causal_mask=True).numpy(), expected, rtol=1e-10, atol=1e-12)


def test_a_model_learns_where_to_look() -> None:
    """The answer stands at the place that the first step names: recorded steps, saved and loaded."""
    rv.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    x = random.standard_normal((256, 6, 8)).astype("float32")
    places = random.integers(1, 6, 256)
    x[:, 0] = 0
    x[np.arange(256), 0, places] = 3
    x[:, 1:, :6] = np.eye(6, dtype="float32")[1:] * 3
    y = (x[np.arange(256), places, 7] > 0).astype("float32")
    inputs = rv.Input((6, 8))
    seen = layers.MultiHeadAttention(2, 8)(inputs, inputs)
    model = rv.Model(inputs, layers.Dense(1, activation="sigmoid")(layers.Flatten()(layers.Add()([inputs, seen]))))
    model.compile(optimizer=rv.optimizers.Adam(0.01), loss="binary_crossentropy")
    history = model.fit(x, y, epochs=25, batch_size=32, verbose=0).history["loss"]
    assert history[-1] < 0.5 * history[0]


MESSAGES = {
    "heads": (lambda: layers.MultiHeadAttention(0, 3), "num_heads must be a positive integer, got 0"),
    "axes": (
        lambda: layers.MultiHeadAttention(2, 3, attention_axes=2)(QUERY, VALUE),
        r"attention_axes \(2,\) must lie",
    ),
    "steps": (lambda: layers.MultiHeadAttention(2, 3)(QUERY, VALUE, QUERY), r"value of shape \(2, 7, 8\) and key of"),
    "ranks": (lambda: layers.MultiHeadAttention(2, 3)(QUERY, VALUE[0]), "must have the same rank, 3 or more"),
    "divide": (lambda: layers.GroupQueryAttention(3, 4, 3), "num_query_heads=4 must be a multiple"),
    "rank": (lambda: layers.GroupQueryAttention(3, 4, 2)(QUERY[0], VALUE), r"query must have shape \(N, steps, feat"),
    "list": (lambda: layers.Attention()(QUERY), r"must be called on a list \[query, value\]"),
    "sizes": (lambda: layers.Attention()([QUERY, VALUE]), "must have the same last size"),
    "mask": (lambda: layers.Attention()([QUERY, QUERY], mask=QUERY_MASK), "mask must be a list"),
    "mode": (lambda: layers.Attention(score_mode="dott"), "Did you mean 'dot'"),
    "equation": (lambda: layers.EinsumDense("ab,bc", 3), "must be of the form"),
    "bias": (lambda: layers.EinsumDense("ab,bc->ac", 3, bias_axes="b"), "bias axis 'b' is not an axis of the result"),
    "output": (lambda: layers.EinsumDense("abc,cd->abd", 3)(QUERY), "names 3 axes of the result"),
    "input": (lambda: layers.EinsumDense("ab,bc->ac", 3)(QUERY), "has 2 axes for the input, which has shape"),
    "conflict": (lambda: layers.EinsumDense("abc,cd->abd", (4, 3))(QUERY), "size 5 in the input, but 4"),
    "unknown": (lambda: layers.EinsumDense("ab,bc->ac", 3)(rv.Input((None,))), "axis 'b' must be known to build it"),
}


@pytest.mark.parametrize(("call", "message"), MESSAGES.values(), ids=MESSAGES)
def test_messages(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
