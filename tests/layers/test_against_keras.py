"""The same layer with the same weights gives what Keras 3 gives; so do initializers' laws and automatic names."""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np
import pytest

import ranvier as rv
from ranvier import _tree
from tests.layers.cases import CASES, Case

os.environ.setdefault("KERAS_BACKEND", "torch")
pytest.importorskip("torch", reason="Keras needs a backend to compare with: pip install torch")
keras = pytest.importorskip("keras", reason="comparison with Keras 3: pip install keras")


# Keras's torch backend multiplies in float32 whatever dtype is asked for: sums of tens of terms of size one.
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


def drawn_like(weights: list[Any], seed: int) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.uniform(0.2, 1.2, np.shape(w)) * random.choice([1.0, 1.0, -0.4], np.shape(w)) for w in weights]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_outputs_and_states(case: Case) -> None:
    if case.keras:
        pytest.skip(case.keras)
    ours = getattr(rv.layers, case.layer)(**case.arguments, dtype="float64")
    theirs = getattr(keras.layers, case.layer)(**case.arguments, dtype="float64")
    inputs = case.inputs()
    if case.layer == "Masking":
        inputs[0, 2] = 0
    ours(inputs)
    theirs(inputs)
    assert [tuple(w.shape) for w in ours.weights] == [tuple(w.shape) for w in theirs.weights]
    assert [w.name for w in ours.weights] == [w.name for w in theirs.weights]
    assert [w.trainable for w in ours.weights] == [w.trainable for w in theirs.weights]
    drawn = zip(drawn_like(ours.weights, 1), ours.weights, strict=True)
    weights = [abs(w) if "variance" in v.name else w for w, v in drawn]
    ours.set_weights(weights)
    theirs.set_weights(weights)
    found = _tree.flatten(ours(inputs, **case.call))
    expected = _tree.flatten(theirs(inputs, **case.call))
    assert len(found) == len(expected)
    for mine, right in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine.numpy(), right.detach().numpy(), **CLOSE)
    for mine, right in zip(ours.get_weights(), theirs.get_weights(), strict=True):  # moving statistics
        np.testing.assert_allclose(mine, right, **CLOSE)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_arguments_and_defaults(case: Case) -> None:
    """Argument names, their order and their defaults are Keras's."""
    import inspect

    if not hasattr(keras.layers, case.layer):
        pytest.skip(case.keras)

    ours = inspect.signature(getattr(rv.layers, case.layer).__init__).parameters
    theirs = inspect.signature(getattr(keras.layers, case.layer).__init__).parameters
    skipped = {"self", "kwargs", "args", "lora_rank", "lora_alpha", "quantization_config", "optional", "sparse"}
    skipped |= {"dtype", "gptq_unpacked_column_size", "renorm", "renorm_clipping", "renorm_momentum"}
    names = [n for n in theirs if n not in skipped and n != "name"]
    assert [n for n in ours if n not in skipped and n != "name"] == names
    for name in names:
        if name not in ("use_cudnn",):
            assert ours[name].default == theirs[name].default, name


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_configuration_that_keras_wrote(case: Case) -> None:
    if not hasattr(keras.layers, case.layer):
        pytest.skip(case.keras)
    theirs = getattr(keras.layers, case.layer)(**case.arguments)
    ours = getattr(rv.layers, case.layer).from_config(json.loads(json.dumps(theirs.get_config())))
    mine = getattr(rv.layers, case.layer)(**case.arguments, name=theirs.name)
    assert ours.get_config() == mine.get_config()


@pytest.mark.parametrize("mask", [[[1, 1, 0, 1, 0], [0, 1, 1, 1, 1]], [[0, 0, 0, 0, 0], [1, 1, 1, 1, 1]]])
@pytest.mark.parametrize("options", [{}, {"return_sequences": True}, {"go_backwards": True, "return_sequences": True}])
@pytest.mark.parametrize("activation", ["tanh", "softsign"])
def test_lstm_with_mask_and_initial_state(mask: Any, options: dict[str, Any], activation: str) -> None:
    options = {**options, "units": 3, "activation": activation, "dtype": "float64"}
    ours, theirs = rv.layers.LSTM(**options), keras.layers.LSTM(**options)
    x = np.random.default_rng(0).standard_normal((2, 5, 4))
    states = [np.random.default_rng(i).standard_normal((2, 3)) for i in (1, 2)]
    ours(x), theirs(x)
    weights = drawn_like(ours.weights, 4)
    ours.set_weights(weights), theirs.set_weights(weights)
    found = ours(x, mask=np.array(mask, bool), initial_state=states)
    expected = theirs(x, mask=keras.ops.convert_to_tensor(np.array(mask, bool)),
                      initial_state=[keras.ops.convert_to_tensor(s) for s in states])  # fmt: skip
    np.testing.assert_allclose(found.numpy(), expected.detach().numpy(), **CLOSE)


def test_mask_travels_from_embedding_to_lstm() -> None:
    tokens = np.array([[1, 2, 0, 0], [3, 0, 1, 2]], np.int32)

    def build(k: Any) -> Any:
        layers = [k.layers.Embedding(5, 3, mask_zero=True), k.layers.Dropout(0.2), k.layers.LSTM(4), k.layers.Dense(2)]
        return k.Sequential([k.Input((4,), dtype="int32"), *layers])

    ours, theirs = build(rv), build(keras)
    weights = [w.astype("float32") for w in drawn_like(ours.weights, 2)]
    ours.set_weights(weights), theirs.set_weights(weights)
    np.testing.assert_allclose(ours(tokens).numpy(), theirs(tokens).detach().numpy(), rtol=1e-4, atol=1e-6)


NAMES = (
    "glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_uniform", "lecun_normal", "random_uniform",
    "random_normal", "truncated_normal", "variance_scaling",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(200, 300), (3, 3, 40, 60)])
def test_initializers_have_kerass_moments(name: str, shape: tuple[int, ...]) -> None:
    rv.utils.set_random_seed(0)
    mine = rv.initializers.get(name)(shape).numpy()
    theirs = keras.ops.convert_to_numpy(keras.initializers.get(name)(shape))
    count = mine.size
    deviation = theirs.std()
    assert abs(mine.mean() - theirs.mean()) < 6 * deviation * np.sqrt(2 / count)
    assert abs(mine.std() / deviation - 1) < 6 * np.sqrt(2 / count)
    assert abs(np.abs(mine).max() / np.abs(theirs).max() - 1) < (0.25 if name in ("random_normal",) else 0.02)


@pytest.mark.parametrize("name", ["L1", "L2", "L1L2", "OrthogonalRegularizer"])
def test_regularizers(name: str) -> None:
    w = np.random.default_rng(0).standard_normal((4, 3))
    arguments = {"l1": 0.3, "l2": 0.2} if name == "L1L2" else {}
    right = float(getattr(keras.regularizers, name)(**arguments)(w))
    mine = getattr(rv.regularizers, name)(**arguments)
    np.testing.assert_allclose(mine(rv.Tensor(w)).item(), right, **CLOSE)
    assert type(mine).from_config(mine.get_config()).get_config() == mine.get_config()


@pytest.mark.parametrize("name", ["max_norm", "non_neg", "unit_norm", "min_max_norm"])
def test_constraints(name: str) -> None:
    w = np.random.default_rng(0).standard_normal((6, 3)) * 2
    right = keras.ops.convert_to_numpy(keras.constraints.get(name)(keras.ops.convert_to_tensor(w)))
    np.testing.assert_allclose(rv.constraints.get(name)(rv.Tensor(w)).numpy(), right, rtol=1e-6, atol=1e-9)
