"""Initializers, regularizers, constraints, activations and the registry, without a peer."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import ranvier as rv
from ranvier import initializers

LAWS = {  # limit of a uniform, or standard deviation of a normal, from fan_in and fan_out
    "glorot_uniform": lambda i, o: np.sqrt(6 / (i + o)),
    "he_uniform": lambda i, o: np.sqrt(6 / i),
    "lecun_uniform": lambda i, o: np.sqrt(3 / i),
    "glorot_normal": lambda i, o: np.sqrt(2 / (i + o)),  # F28
    "he_normal": lambda i, o: np.sqrt(2 / i),  # F29
    "lecun_normal": lambda i, o: np.sqrt(1 / i),
}


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize(("shape", "fans"), [((300, 500), (300, 500)), ((3, 5, 40, 60), (600, 900))])
def test_scaled_laws(name: str, shape: tuple[int, ...], fans: tuple[int, int]) -> None:
    """F28, F29: the spread that the fans give; a sample of n has a relative deviation of about 1/sqrt(2n)."""
    rv.utils.set_random_seed(1)
    values = initializers.get(name)(shape, "float64").numpy()
    spread = LAWS[name](*fans)
    slack = 6 / np.sqrt(2 * values.size)
    assert abs(values.mean()) < 6 * spread / np.sqrt(values.size)
    if "uniform" in name:
        assert np.abs(values).max() <= spread
        assert abs(values.std() / (spread / np.sqrt(3)) - 1) < slack
    else:
        assert abs(values.std() / spread - 1) < slack
        assert np.abs(values).max() <= 2 * spread / 0.87962566103423978


def test_textbook_variant_of_he() -> None:
    """F29 as the textbook prints it: sqrt(4 / (fan_in + fan_out))."""
    values = initializers.VarianceScaling(2.0, "fan_avg", "untruncated_normal", seed=1)((300, 500)).numpy()
    assert abs(values.std() / np.sqrt(4 / 800) - 1) < 6 / np.sqrt(2 * values.size)


@pytest.mark.parametrize("name", [*LAWS, "random_uniform", "random_normal", "truncated_normal", "orthogonal"])
def test_seeds(name: str) -> None:
    kind = type(initializers.get(name))
    seeded = kind(seed=7)
    np.testing.assert_array_equal(seeded((4, 3)).numpy(), seeded((4, 3)).numpy())
    np.testing.assert_array_equal(seeded((4, 3)).numpy(), kind.from_config(seeded.get_config())((4, 3)).numpy())
    free = kind()
    rv.utils.set_random_seed(3)
    first = free((4, 3)).numpy(), free((4, 3)).numpy()
    rv.utils.set_random_seed(3)
    again = free((4, 3)).numpy(), free((4, 3)).numpy()
    np.testing.assert_array_equal(first, again)
    assert (first[0] != first[1]).any()


@pytest.mark.parametrize("shape", [(5, 5), (7, 3), (3, 7), (3, 3, 2, 4)])
def test_orthogonal(shape: tuple[int, ...]) -> None:
    w = initializers.Orthogonal(gain=2.0, seed=0)(shape, "float64").numpy().reshape(-1, shape[-1])
    gram = w.T @ w if w.shape[0] >= w.shape[1] else w @ w.T
    np.testing.assert_allclose(gram, 4 * np.eye(len(gram)), atol=1e-13)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: initializers.VarianceScaling(0), "scale must be positive"),
        (lambda: initializers.VarianceScaling(mode="fan"), "mode must be"),
        (lambda: initializers.VarianceScaling(distribution="cauchy"), "distribution must be"),
        (lambda: initializers.RandomNormal(seed="x"), "seed must be an integer"),
        (lambda: initializers.Orthogonal()((3,)), "rank 2 or more"),
        (lambda: initializers.Identity()((3,)), "only matrices"),
        (lambda: initializers.get("xavier"), "Unknown initializer: 'xavier'. Known: "),
        (lambda: initializers.get(3.0), "Could not interpret initializer"),
        (lambda: rv.regularizers.L1(-1), "finite number >= 0"),
        (lambda: rv.regularizers.L2(float("nan")), "finite number >= 0"),
        (lambda: rv.activations.get(3), "Could not interpret activation"),
    ],
)
def test_refuses(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_get_takes_every_form() -> None:
    he = initializers.HeNormal(3)
    for form in ("he_normal", "HeNormal", initializers.HeNormal, he, rv.saving.serialize_object(he)):
        assert isinstance(initializers.get(form), initializers.HeNormal)
    np.testing.assert_array_equal(initializers.get(np.eye(2))((2, 2)).numpy(), np.eye(2, dtype=np.float32))
    own = rv.layers.Dense(2, kernel_initializer=lambda shape, dtype=None: np.full(shape, 5.0, dtype))
    own.build((None, 3))
    assert (own.kernel.numpy() == 5).all()
    assert isinstance(rv.regularizers.get("l1_l2"), rv.regularizers.L1L2)
    assert rv.regularizers.get({"class_name": "L2", "config": {"l2": 0.5}}).l2 == 0.5


def test_regularizers_by_hand() -> None:
    w = rv.Tensor([[1.0, -2.0], [3.0, -4.0]], "float64", requires_grad=True)
    penalty = rv.regularizers.l1_l2(0.1, 0.01)(w)
    assert penalty.item() == pytest.approx(0.1 * 10 + 0.01 * 30)
    (gradient,) = rv.grad(penalty, [w])
    np.testing.assert_allclose(gradient.numpy(), 0.1 * np.sign(w.numpy()) + 0.02 * w.numpy())
    assert rv.regularizers.L1L2()(w).item() == 0


ACTIVATIONS = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.2 * x),
    "elu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "swish": lambda x: x / (1 + np.exp(-x)),
    "softplus": lambda x: np.log1p(np.exp(x)),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "hard_sigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    "tanh": np.tanh,
    "exponential": np.exp,
    "log_sigmoid": lambda x: -np.log1p(np.exp(-x)),
    "mish": lambda x: x * np.tanh(np.log1p(np.exp(x))),
    "softmax": lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name: str) -> None:
    x = np.random.default_rng(0).standard_normal((4, 9)) * 4
    np.testing.assert_allclose(rv.activations.get(name)(rv.Tensor(x)).numpy(), ACTIVATIONS[name](x), rtol=1e-12)
    layer = rv.layers.Dense(9, kernel_initializer="identity", activation=name, dtype="float64")
    np.testing.assert_allclose(layer(x).numpy(), ACTIVATIONS[name](x), rtol=1e-12)


class TestRegistry:
    def test_functions_and_classes(self) -> None:
        @rv.saving.register_serializable("registry_tests")
        def cubed(x: Any) -> Any:
            return x * x * x

        @rv.saving.register_serializable("registry_tests", "Tenfold")
        class Times(rv.layers.Layer):
            def call(self, x: Any) -> Any:
                return x * 10.0

        model = rv.Sequential([rv.Input((2,)), Times(), rv.layers.Activation(cubed)])
        twin = rv.models.model_from_json(model.to_json())
        assert twin(np.full((1, 2), 0.2)).tolist()[0] == pytest.approx([8.0, 8.0])

    def test_custom_objects_and_scope(self) -> None:
        class Unregistered(rv.layers.Layer):
            def call(self, x: Any) -> Any:
                return x

        config = json.loads(rv.Sequential([rv.Input((2,)), Unregistered()]).to_json())
        with pytest.raises(ValueError, match="Could not locate 'Unregistered'"):
            rv.models.model_from_config(config)
        twin = rv.models.model_from_config(config, {"Unregistered": Unregistered})
        assert isinstance(twin.layers[0], Unregistered)
        with rv.saving.custom_object_scope({"Unregistered": Unregistered}):
            rv.models.model_from_config(config)

    def test_what_has_no_configuration(self) -> None:
        with pytest.raises(TypeError, match="lambda"):
            rv.saving.serialize_object(lambda x: x)
        with pytest.raises(TypeError, match="cannot be written"):
            rv.saving.serialize_object(object())
        with pytest.raises(ValueError, match="get_config"):
            rv.saving.register_serializable()(type("NoConfig", (), {}))

    @pytest.mark.parametrize(
        "value",
        [
            None,
            1,
            2.5,
            "x",
            [1, (2, 3)],
            {"a": (None, [True])},
            slice(1, None, 2),
            np.float32(0.5),
            ...,
            (slice(None),),
        ],
    )
    def test_values_round_trip(self, value: Any) -> None:
        written = json.loads(json.dumps(rv.saving.serialize_object(value)))
        assert rv.saving.deserialize_object(written) == value
