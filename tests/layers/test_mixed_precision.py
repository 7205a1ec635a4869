"""Dtype policies: names as in Keras, casts of inputs and weights, and weights and their gradients in float32."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import ranvier as rv
from ranvier import layers
from tests.peers import keras_or_skip

POLICIES = ("mixed_float16", "mixed_bfloat16", "float32", "float64")


@pytest.fixture(autouse=True)
def _policy() -> Iterator[None]:
    """Each test leaves the global policy as it was."""
    yield
    rv.config.clear_session()


def test_the_global_policy() -> None:
    assert rv.mixed_precision.global_policy() == rv.DTypePolicy("float32")
    rv.mixed_precision.set_global_policy("mixed_float16")
    assert rv.config.dtype_policy().name == "mixed_float16" == rv.mixed_precision.Policy().name
    layer = layers.Dense(2)
    rv.mixed_precision.set_global_policy(rv.DTypePolicy("float64"))
    assert layer.dtype_policy.name == "mixed_float16"
    assert layers.Dense(2).compute_dtype == layers.Dense(2).variable_dtype == "float64"
    for wrong in ("mixed_float8", 3):
        with pytest.raises(ValueError, match="mixed_float16"):
            rv.mixed_precision.set_global_policy(wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="must be a string"):
        rv.DTypePolicy(3)  # type: ignore[arg-type]


def test_policies_as_configurations() -> None:
    for name in POLICIES:
        policy = rv.DTypePolicy(name)
        assert rv.dtype_policies.get(rv.dtype_policies.serialize(policy)) == policy == rv.dtype_policies.get(name)
        assert rv.DTypePolicy.from_config(policy.get_config()) == policy
        config = layers.Dense(2, dtype=policy).get_config()
        assert layers.Dense.from_config(config).dtype_policy == policy
        config["dtype"] = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": name}}
        assert layers.Dense.from_config(config).dtype_policy == policy
    assert rv.dtype_policies.get(np.float64).name == rv.dtype_policies.get(np.dtype("float64")).name == "float64"


MAKERS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "dense": (lambda m: m.Dense(3), (5,)),
    "conv2d": (lambda m: m.Conv2D(3, 3), (8, 8, 2)),
    "separable": (lambda m: m.SeparableConv2D(3, 3), (8, 8, 2)),
    "batch norm": (lambda m: m.BatchNormalization(), (5,)),
    "layer norm": (lambda m: m.LayerNormalization(), (5,)),
    "group norm": (lambda m: m.GroupNormalization(2), (4, 4, 4)),
    "rms norm": (lambda m: m.RMSNormalization(), (5,)),
    "lstm": (lambda m: m.LSTM(3), (4, 2)),
    "gru": (lambda m: m.GRU(3, return_sequences=True), (4, 2)),
    "bidirectional": (lambda m: m.Bidirectional(m.LSTM(3)), (4, 2)),
    "softmax": (lambda m: m.Softmax(), (5,)),
    "dropout": (lambda m: m.Dropout(0.5), (5,)),
    "pool": (lambda m: m.MaxPooling2D(), (4, 4, 2)),
    "flatten": (lambda m: m.Flatten(), (4, 4)),
    "own dtype": (lambda m: m.Dense(3, dtype="float32"), (5,)),
    "own policy": (lambda m: m.Dense(3, dtype="mixed_bfloat16"), (5,)),
    "rescaling": (lambda m: m.Rescaling(0.5), (5,)),
    "prelu": (lambda m: m.PReLU(), (5,)),
}


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", MAKERS)
def test_dtypes_are_those_of_keras(name: str, policy: str) -> None:
    keras = keras_or_skip()
    make, shape = MAKERS[name]
    keras.config.set_dtype_policy(policy)
    rv.mixed_precision.set_global_policy(policy)
    seen = []
    for module, start in ((keras.layers, keras.Input), (layers, rv.Input)):
        try:
            layer = make(module)
            output = layer(start(shape))
        finally:
            keras.config.set_dtype_policy("float32")
        weights = [(tuple(w.shape), str(w.dtype).removeprefix("torch.")) for w in layer.weights]
        names = ("dtype", "compute_dtype", "variable_dtype", "input_dtype")
        seen.append(([getattr(layer, n) for n in names], layer.dtype_policy.name, output.dtype, weights))
    if name in ("lstm", "gru", "bidirectional", "dropout"):  # Keras counts the states of its generators as weights
        seen[0][3][:] = [w for w in seen[0][3] if w[1] != "int64"]
    assert seen[1] == seen[0]


class Scale(layers.Layer):
    """Tells in which dtype it reads its weight."""

    def build(self, input_shape: Any) -> None:
        self.factor = self.add_weight((input_shape[-1],), initializer="ones", name="factor")
        self.fixed = self.add_weight((1,), initializer="ones", name="fixed", autocast=False)
        self.count = self.add_weight((), initializer="zeros", trainable=False, name="count")
        assert self.factor.dtype == "float32"  # while it is built

    def call(self, x: Any) -> Any:
        self.seen = (x.dtype, self.factor.dtype, self.fixed.dtype)
        self.count.assign_add(1.0)
        return x * self.factor


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_casts(dtype: str) -> None:
    layer = Scale(dtype=f"mixed_{dtype}")
    x = rv.Tensor([[1.0, 2.0]], requires_grad=True)
    y = layer(x)
    assert layer.seen == (dtype, dtype, "float32")
    assert y.dtype == dtype
    assert layer.factor.dtype == layer.fixed.dtype == "float32"
    assert layer.count.item() == 1
    dx, dw = rv.grad(y.sum(), [x, layer.factor])
    assert dx.dtype == dw.dtype == "float32"
    assert dw.tolist() == [1, 2]
    assert [w.name for w in layer.weights] == ["factor", "fixed", "count"]
    assert Scale(dtype=f"mixed_{dtype}", autocast=False)(x).dtype == "float32"


def test_the_policy_of_a_layer_may_change() -> None:
    layer = Scale()
    layer([[1.0]])
    for policy, read in (("mixed_bfloat16", "bfloat16"), ("float32", "float32"), ("mixed_float16", "float16")):
        layer.dtype_policy = policy  # type: ignore[assignment]
        layer([[1.0]])
        assert layer.seen[1] == read
        assert layer.factor in layer.weights or any(w is layer.factor for w in layer.weights)
        assert len(layer.weights) == 3
    layer.factor = None  # type: ignore[assignment]
    assert layer.factor is None


def test_statistics_are_float32() -> None:
    """Squares of 300 overflow in float16, and thousands of small numbers stop adding up."""
    x = np.random.default_rng(0).normal(300, 20, (64, 8)).astype("float32")
    for make in (layers.BatchNormalization, layers.LayerNormalization, layers.RMSNormalization):
        plain, mixed = make(), make(dtype="mixed_float16")
        options = {"training": True} if make is layers.BatchNormalization else {}
        wanted, got = plain(x, **options), mixed(x, **options)
        assert got.dtype == "float16"
        np.testing.assert_allclose(got.numpy(), wanted.numpy(), atol=0.02)
    assert abs(mixed(x).numpy()).max() < 2


def test_row_numbers_are_not_rounded() -> None:
    layer = layers.Embedding(5000, 2, dtype="mixed_bfloat16")
    y = layer(np.array([[4097.0, 3.0]], "float32"))
    assert y.dtype == "bfloat16"
    np.testing.assert_array_equal(y.numpy()[0, 0], rv.ops.cast(layer.embeddings[4097], "bfloat16").numpy())
    assert layers.Discretization([2000.5], dtype="mixed_bfloat16")([2001.0]).tolist() == [1]


def test_a_model_leaves_its_input_to_the_layers() -> None:
    rv.mixed_precision.set_global_policy("mixed_float16")
    seen = []

    class Look(layers.Layer):
        def call(self, x: Any) -> Any:
            seen.append(x.dtype)
            return x

    model = rv.Sequential([rv.Input((2,)), Look(dtype="float32"), Look()])
    seen.clear()
    assert model([[2049.0, 1.0]]).dtype == "float16"
    assert seen == ["float32", "float16"]


def test_compile_scales_the_loss_of_float16_alone() -> None:
    for policy, kind in (("mixed_float16", "LossScaleOptimizer"), ("mixed_bfloat16", "SGD"), ("float32", "SGD")):
        rv.mixed_precision.set_global_policy(policy)
        model = rv.Sequential([layers.Dense(1)])
        model.compile("sgd", loss="mse")
        assert type(model.optimizer).__name__ == kind
        model.compile("sgd", loss="mse", auto_scale_loss=False)
        assert type(model.optimizer).__name__ == "SGD"
    rv.mixed_precision.set_global_policy("mixed_float16")
    model = rv.Sequential([layers.Dense(1)])
    optimizer = rv.optimizers.LossScaleOptimizer(rv.optimizers.Adam(), initial_scale=4.0)
    model.compile(optimizer, loss="mse")
    assert model.optimizer is optimizer
