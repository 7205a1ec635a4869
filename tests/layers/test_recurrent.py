"""Recurrent layers, their cells and the wrappers around them, beside Keras 3 with the same weights."""

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

CLOSE = {"rtol": 1e-5, "atol": 1e-5}
X = np.random.default_rng(0).standard_normal((3, 5, 4)).astype("float32")
HOLES = np.array([[1, 1, 0, 1, 0], [0, 1, 1, 1, 1], [0, 0, 0, 0, 0]], bool)
ENDS = np.array([[1, 1, 0, 0, 0], [1, 1, 1, 1, 1], [1, 0, 0, 0, 0]], bool)


def with_same_weights(build: Any, seed: int = 1, x: Any = X) -> tuple[Any, Any]:
    """The layer that ``build(library)`` makes, of both libraries, called once, with equal weights."""
    ours, theirs = build(rv), build(keras)
    ours(x), theirs(x)
    random = np.random.default_rng(seed)
    weights = [random.uniform(-0.7, 0.7, w.shape).astype("float32") for w in ours.weights]
    assert [tuple(w.shape) for w in ours.weights] == [tuple(w.shape) for w in theirs.weights]
    assert [w.name for w in ours.weights] == [w.name for w in theirs.weights]
    ours.set_weights(weights), theirs.set_weights(weights)
    return ours, theirs


def assert_same(build: Any, x: Any = X, **call: Any) -> None:
    """Outputs, states, and gradients of x and all weights."""
    ours, theirs = with_same_weights(build, x=x)
    of_x = rv.Tensor(x, requires_grad=True)
    their_x = torch.tensor(x, requires_grad=True)
    as_theirs = _tree.map_structure(lambda v: torch.tensor(v) if isinstance(v, np.ndarray) else v, call)
    found = _tree.flatten(ours(of_x, **call))
    expected = _tree.flatten(theirs(their_x, **as_theirs))
    assert len(found) == len(expected)
    for mine, right in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine.numpy(), right.detach().numpy(), **CLOSE)
    total = sum(rv.ops.sum(y * y) * float(i + 1) for i, y in enumerate(found))
    sum((y * y).sum() * (i + 1) for i, y in enumerate(expected)).backward()
    gradients = rv.grad(total, [of_x, *ours.trainable_weights])
    right_ones = [their_x.grad, *(w.value.grad for w in theirs.trainable_weights)]
    for mine, right in zip(gradients, right_ones, strict=True):
        np.testing.assert_allclose(mine.numpy(), right.numpy(), rtol=1e-4, atol=1e-4)


RECURRENT = {
    "simple": ("SimpleRNN", {"units": 6}),
    "simple softsign": ("SimpleRNN", {"units": 6, "activation": "softsign"}),
    "gru": ("GRU", {"units": 6}),
    "gru before": ("GRU", {"units": 6, "reset_after": False}),
    "gru softsign": ("GRU", {"units": 6, "activation": "softsign"}),
    "lstm": ("LSTM", {"units": 6}),
    "lstm softsign": ("LSTM", {"units": 6, "activation": "softsign"}),
}
every_layer = pytest.mark.parametrize(("name", "arguments"), RECURRENT.values(), ids=RECURRENT)


@every_layer
@pytest.mark.parametrize("mask", [None, HOLES, ENDS], ids=["all", "holes", "ends"])
@pytest.mark.parametrize("backwards", [False, True])
def test_sequences(name: str, arguments: dict[str, Any], mask: Any, backwards: bool) -> None:
    options = {**arguments, "return_sequences": True, "return_state": True, "go_backwards": backwards}
    states = [np.random.default_rng(i).standard_normal((3, 6)).astype("float32") for i in range(2)]
    call: dict[str, Any] = {"initial_state": states[: 2 if name == "LSTM" else 1]}
    if mask is not None:
        call["mask"] = mask
    assert_same(lambda k: getattr(k.layers, name)(**options), **call)


@every_layer
def test_last_output(name: str, arguments: dict[str, Any]) -> None:
    assert_same(lambda k: getattr(k.layers, name)(**arguments), mask=HOLES)


@pytest.mark.parametrize("mask", [None, HOLES, ENDS], ids=["all", "holes", "ends"])
@pytest.mark.parametrize("merge", ["concat", "sum", "mul", "ave", None])
@pytest.mark.parametrize("sequences", [False, True])
def test_bidirectional(mask: Any, merge: Any, sequences: bool) -> None:
    call = {} if mask is None else {"mask": mask}
    assert_same(lambda k: k.layers.Bidirectional(k.layers.GRU(5, return_sequences=sequences), merge_mode=merge), **call)


def test_bidirectional_states_and_another_backward_layer() -> None:
    states = [np.random.default_rng(i).standard_normal((3, 5)).astype("float32") for i in range(4)]

    def build(k: Any) -> Any:
        back = k.layers.LSTM(5, return_state=True, go_backwards=True, activation="relu")
        return k.layers.Bidirectional(k.layers.LSTM(5, return_state=True), backward_layer=back)

    assert_same(build, initial_state=states)


def test_bidirectional_refuses_what_does_not_go_together() -> None:
    with pytest.raises(ValueError, match="one layer must go backwards"):
        layers.Bidirectional(layers.GRU(3), backward_layer=layers.GRU(3))
    with pytest.raises(ValueError, match="the same return_sequences"):
        layers.Bidirectional(layers.GRU(3), backward_layer=layers.GRU(3, go_backwards=True, return_sequences=True))
    with pytest.raises(ValueError, match="merge_mode"):
        layers.Bidirectional(layers.GRU(3), merge_mode="max")
    with pytest.raises(ValueError, match="expected a recurrent layer"):
        layers.Bidirectional(layers.Dense(3))


CELLS = {
    "SimpleRNNCell": {"units": 6, "activation": "elu"},
    "GRUCell": {"units": 6, "reset_after": False},
    "LSTMCell": {"units": 6},
}


@pytest.mark.parametrize(("name", "arguments"), CELLS.items(), ids=CELLS)
@pytest.mark.parametrize("mask", [None, HOLES], ids=["all", "holes"])
def test_rnn_of_a_cell(name: str, arguments: dict[str, Any], mask: Any) -> None:
    call = {} if mask is None else {"mask": mask}
    assert_same(
        lambda k: k.layers.RNN(getattr(k.layers, name)(**arguments), return_sequences=True, return_state=True), **call
    )


@pytest.mark.parametrize("name", ["SimpleRNNCell", "GRUCell", "LSTMCell"])
def test_one_step_of_a_cell(name: str) -> None:
    states = [np.random.default_rng(i).standard_normal((3, 6)).astype("float32") for i in range(2)]
    states = states[: 2 if name == "LSTMCell" else 1]
    ours, theirs = getattr(layers, name)(6), getattr(keras.layers, name)(6)
    ours(X[:, 0], states), theirs(X[:, 0], states)
    ours.set_weights([w.numpy() for w in theirs.weights])
    found, expected = _tree.flatten(ours(X[:, 0], states)), _tree.flatten(theirs(X[:, 0], states))
    for mine, right in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine.numpy(), right.detach().numpy(), **CLOSE)


def test_stacked_cells() -> None:
    assert_same(
        lambda k: k.layers.RNN([k.layers.LSTMCell(4), k.layers.GRUCell(5), k.layers.SimpleRNNCell(3)]), mask=HOLES
    )


class Minimal:
    """A cell that is no layer: the running sum of the inputs."""

    state_size = 4

    def call(self, inputs: Any, states: Any) -> Any:
        total = states[0] + inputs
        return total, [total]


def test_a_cell_that_is_no_layer() -> None:
    found = layers.RNN(Minimal(), return_sequences=True)(X).numpy()
    np.testing.assert_allclose(found, np.cumsum(X, axis=1), rtol=1e-5)
    with pytest.raises(ValueError, match="has no `state_size`"):
        layers.RNN(layers.Dense(3))


@pytest.mark.parametrize("mask", [None, HOLES], ids=["all", "holes"])
def test_time_distributed(mask: Any) -> None:
    call = {} if mask is None else {"mask": mask}
    assert_same(lambda k: k.layers.TimeDistributed(k.layers.Dense(3, activation="tanh")), **call)


def test_time_distributed_batch_normalization_sees_one_step_at_a_time() -> None:
    ours, theirs = with_same_weights(lambda k: k.layers.TimeDistributed(k.layers.BatchNormalization()))
    weights = [np.abs(w) for w in ours.get_weights()]
    ours.set_weights(weights), theirs.set_weights(weights)
    found, expected = ours(X, training=True), theirs(X, training=True)
    np.testing.assert_allclose(found.numpy(), expected.detach().numpy(), **CLOSE)
    for mine, right in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, right, **CLOSE)


def test_masks_travel_through_masking_bidirectional_and_time_distributed() -> None:
    x = np.where(ENDS[..., None], X, 0).astype("float32")

    def build(k: Any) -> Any:
        return k.Sequential(
            [
                k.Input((5, 4)),
                k.layers.Masking(),
                k.layers.Bidirectional(k.layers.GRU(4, return_sequences=True)),
                k.layers.TimeDistributed(k.layers.Dense(5)),
                k.layers.SimpleRNN(3),
            ]
        )

    ours, theirs = with_same_weights(build, x=x)
    np.testing.assert_allclose(ours(x).numpy(), theirs(x).detach().numpy(), **CLOSE)


@pytest.mark.parametrize("name", ["SimpleRNN", "GRU", "LSTM", "RNN"])
def test_stateful(name: str) -> None:
    def build(**options: Any) -> Any:
        if name == "RNN":
            return layers.RNN([layers.GRUCell(3), layers.LSTMCell(4)], **options)
        return getattr(layers, name)(4, **options)

    whole, parts = build(), build(stateful=True)
    expected = whole(X).numpy()
    parts(X[:, :3])
    parts.set_weights(whole.get_weights())
    parts.reset_state()
    parts(X[:, :3])
    np.testing.assert_allclose(parts(X[:, 3:]).numpy(), expected, **CLOSE)
    with pytest.raises(ValueError, match="every batch must have the same size"):
        parts(X[:1])


@pytest.mark.parametrize("name", ["SimpleRNN", "GRU", "LSTM"])
def test_dropout_is_the_same_in_every_step_and_only_in_training(name: str) -> None:
    layer = getattr(layers, name)(4, dropout=0.5, recurrent_dropout=0.5, seed=1, return_sequences=True)
    plain = layer(X).numpy()
    np.testing.assert_array_equal(plain, layer(X).numpy())
    first, second = layer(X, training=True).numpy(), layer(X, training=True).numpy()
    assert not np.array_equal(first, second) and not np.array_equal(first, plain)
    twin = getattr(layers, name)(4, dropout=0.5, recurrent_dropout=0.5, seed=1, return_sequences=True)
    twin(X)
    twin.set_weights(layer.get_weights())
    np.testing.assert_array_equal(twin(X, training=True).numpy(), first)
    # the kernel over the whole sequence and the cell step by step draw the same mask for x
    fused, stepped = (getattr(layers, name)(4, dropout=0.5, seed=2) for _ in range(2))
    fused(X), stepped(X)
    stepped.set_weights(fused.get_weights())
    stepped._needs_steps = lambda training: True
    np.testing.assert_allclose(fused(X, training=True).numpy(), stepped(X, training=True).numpy(), **CLOSE)


@pytest.mark.parametrize(
    "build",
    [
        lambda: layers.RNN([layers.GRUCell(3), layers.LSTMCell(4)], return_sequences=True),
        lambda: layers.Bidirectional(layers.LSTM(3, return_sequences=True), merge_mode="sum"),
        lambda: layers.Bidirectional(layers.GRU(3), backward_layer=layers.GRU(4, go_backwards=True)),
        lambda: layers.TimeDistributed(layers.Dense(3)),
        lambda: layers.SimpleRNN(3, dropout=0.1, activation="relu"),
    ],
)
def test_configuration_makes_it_anew(build: Any) -> None:
    layer = build()
    expected = layer(X).numpy()
    twin = type(layer).from_config(json.loads(json.dumps(layer.get_config())))
    assert twin.get_config() == layer.get_config()
    twin(X)
    twin.set_weights(layer.get_weights())
    np.testing.assert_array_equal(twin(X).numpy(), expected)


def test_wrappers_that_keras_wrote() -> None:
    theirs = keras.layers.Bidirectional(keras.layers.GRU(3, return_sequences=True), merge_mode="ave")
    ours = layers.Bidirectional.from_config(json.loads(json.dumps(theirs.get_config())))
    assert ours.merge_mode == "ave" and ours.forward_layer.units == 3 and ours.backward_layer.go_backwards
    stacked = keras.layers.RNN([keras.layers.LSTMCell(3), keras.layers.SimpleRNNCell(2)])
    assert layers.RNN.from_config(json.loads(json.dumps(stacked.get_config())))(X).shape == (3, 2)


@pytest.mark.parametrize(
    "name", ["RNN", "SimpleRNNCell", "GRUCell", "LSTMCell", "StackedRNNCells", "Bidirectional", "TimeDistributed"]
)
def test_arguments_and_defaults(name: str) -> None:
    ours, theirs = (inspect.signature(getattr(k.layers, name).__init__).parameters for k in (rv, keras))
    names = [n for n in theirs if n not in ("self", "kwargs")]
    assert [n for n in ours if n not in ("self", "kwargs")] == names
    assert [ours[n].default for n in names] == [theirs[n].default for n in names]


def test_symbolic_shapes() -> None:
    x = rv.Input((None, 4))
    assert layers.Bidirectional(layers.GRU(3, return_sequences=True, return_state=True))(x)[0].shape == (None, None, 6)
    assert [y.shape for y in layers.RNN(layers.LSTMCell(3), return_state=True)(x)] == [(None, 3)] * 3
    assert layers.TimeDistributed(layers.Dense(2))(x).shape == (None, None, 2)
    assert [y.shape for y in layers.Bidirectional(layers.GRU(3), merge_mode=None)(x)] == [(None, 3)] * 2


def test_a_model_trains() -> None:
    rv.utils.set_random_seed(0)
    x = np.random.default_rng(0).standard_normal((64, 6, 3)).astype("float32")
    y = (x.sum(axis=(1, 2)) > 0).astype("float32")
    model = rv.Sequential(
        [rv.Input((6, 3)), layers.Bidirectional(layers.GRU(8)), layers.Dense(1, activation="sigmoid")]
    )
    model.compile(optimizer=rv.optimizers.Adam(0.02), loss="binary_crossentropy")
    history = model.fit(x, y, epochs=15, batch_size=16, verbose=0).history["loss"]
    assert history[-1] < 0.5 * history[0]


def test_convolutions_over_time_with_masks_and_states() -> None:
    """ConvLSTM2D as Keras's with a mask, from given states, and from batch to batch."""
    random = np.random.default_rng(3)
    x, mask = random.normal(size=(2, 4, 5, 4, 3)), np.array([[1, 0, 1, 1], [1, 1, 0, 0]], bool)
    states = [random.normal(size=(2, 5, 4, 2)) for _ in range(2)]
    options = {"filters": 2, "kernel_size": 3, "padding": "same", "return_sequences": True, "return_state": True}
    for more in ({}, {"stateful": True}, {"go_backwards": True}):
        ours = rv.layers.ConvLSTM2D(**options, **more, dtype="float64")
        theirs = keras.layers.ConvLSTM2D(**options, **more, dtype="float64")
        ours(x), theirs(x)
        weights = [random.normal(size=tuple(w.shape)) * 0.3 for w in ours.weights]
        ours.set_weights(weights), theirs.set_weights(weights)
        ours.reset_state(), "stateful" in more and theirs.reset_state()
        for given in (None, None, states):
            found = ours(x, mask=mask, initial_state=given)
            expected = theirs(
                keras.ops.convert_to_tensor(x),
                mask=keras.ops.convert_to_tensor(mask),
                initial_state=given and [keras.ops.convert_to_tensor(s) for s in given],
            )
            for mine, right in zip(found, expected, strict=True):
                np.testing.assert_allclose(mine.numpy(), right.detach().numpy(), rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match=r"the initial state must have shape \(2, 5, 4, 2\), got \(2, 4, 4, 2\)"):
        ours(x, initial_state=[states[0][:, 1:], states[1]])
    with pytest.raises(ValueError, match="the window is larger than the input"):
        rv.layers.ConvLSTM1D(2, 5)(np.zeros((1, 2, 4, 3)))
    with pytest.raises(ValueError, match="ndim"):
        rv.layers.ConvLSTM2D(2, 3)(np.zeros((1, 2, 4, 3)))


def test_convolutions_over_time_train_replayed() -> None:
    x = np.random.default_rng(0).normal(size=(24, 3, 5, 5, 2)).astype("float32")
    y = x.mean((1, 2, 3))[:, :1]
    model = rv.Sequential(
        [rv.Input((3, 5, 5, 2)), rv.layers.ConvLSTM2D(4, 3, dropout=0.1), rv.layers.Flatten(), rv.layers.Dense(1)]
    )
    model.compile("adam", "mse")
    losses = model.fit(x, y, epochs=12, batch_size=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert any("replayed" in text for text in model.replay_info().values())
