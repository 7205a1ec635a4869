"""The optimizer classes against Keras 3 and the reference, over many steps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import ranvier as rv
from ranvier import optimizers
from tests.optimizers.table import LIMITS, OPTIMIZERS, every_optimizer, keras_torch, to_numpy, trajectory


def apart(optimizer: Any, variable: Any, value: Any) -> None:
    """``assign_sub`` that leaves the old values alone, as on Keras's other backends.

    On PyTorch ScheduleFreeAdamW's "momentum_old" is the momentum itself, and so new by the time that it is read.
    """
    variable._value = type(variable.value)(variable.value - value, requires_grad=False)


@pytest.fixture
def keras64(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Keras 3 in float64, its learning rates too."""
    keras = keras_torch()
    monkeypatch.setattr(keras.optimizers.ScheduleFreeAdamW, "assign_sub", apart)
    before = keras.config.floatx()
    keras.config.set_floatx("float64")
    yield keras
    keras.config.set_floatx(before)


# What all optimizers take beside their own options.
SHARED: list[dict[str, Any]] = [
    {},
    {"clipvalue": 0.3, "use_ema": True, "ema_momentum": 0.9},
    {"use_ema": True, "ema_overwrite_frequency": 3, "weight_decay": 0.1, "spared": "bias"},
    {"gradient_accumulation_steps": 3, "clipnorm": 0.5},
    {"gradient_accumulation_steps": 2, "use_ema": True, "ema_overwrite_frequency": 4},
    {
        "learning_rate": ("CosineDecay", 0.1, 30),
        "loss_scale_factor": 8.0,
        "global_clipnorm": 0.1,
        "weight_decay": 0.01,
    },
]


@every_optimizer
@pytest.mark.parametrize("more", SHARED, ids=str)
def test_keras_takes_the_same_steps(keras64: Any, name: str, options: dict[str, Any], more: dict[str, Any]) -> None:
    """To float64's roundings, where Keras does not fall back to float32 on the way (norms, schedules, three)."""
    both = {**options, **more}
    ours = trajectory(optimizers, rv.Variable, name, both)
    theirs = trajectory(keras64.optimizers, keras64.Variable, name, both, keras64.ops.convert_to_tensor)
    single = name in ("Adafactor", "Muon", "ScheduleFreeAdamW") or "clipnorm" in more or "global_clipnorm" in more
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6 if single else 1e-9)


@every_optimizer
@pytest.mark.parametrize("limits", LIMITS, ids=str)
def test_reference_takes_the_same_steps(name: str, options: dict[str, Any], limits: dict[str, float]) -> None:
    both = {**limits, **options}
    ours = trajectory(optimizers, rv.Variable, name, both)
    with rv.device("reference"):
        reference = trajectory(optimizers, rv.Variable, name, both)
    np.testing.assert_allclose(ours, reference, rtol=1e-12, atol=1e-13)


def test_variables_are_those_of_keras_in_its_order() -> None:
    keras = keras_torch()
    shapes = [(2, 3), (3,)]
    for name, options in OPTIMIZERS:
        ours, theirs = getattr(optimizers, name)(**options), getattr(keras.optimizers, name)(**options)
        ours.build([rv.Variable(np.zeros(s, "float32"), name=f"v{i}") for i, s in enumerate(shapes)])
        theirs.build([keras.Variable(np.zeros(s, "float32"), name=f"v{i}") for i, s in enumerate(shapes)])
        expected = theirs.variables[:-1] if name == "Nadam" else theirs.variables  # its product follows from the step
        assert [tuple(v.shape) for v in ours.variables] == [tuple(v.shape) for v in expected]
        placeholders = name == "Adafactor"  # which Keras does not count among its own
        assert placeholders or [v.name for v in ours.variables] == [v.name for v in expected]


def test_loss_scaling_as_in_keras() -> None:
    keras = keras_torch()
    gradients = [1.0, np.inf, 2.0, 3.0, np.nan, 1.0, 1.0]
    found = []
    for module, make, tensor in (
        (optimizers, rv.Variable, rv.Tensor),
        (keras.optimizers, keras.Variable, keras.ops.convert_to_tensor),
    ):
        w = make(np.ones(2, "float32"))
        inner = module.SGD(0.5, momentum=0.5)
        optimizer = module.LossScaleOptimizer(inner, initial_scale=8.0, dynamic_growth_steps=2)
        scales = []
        for gradient in gradients:
            optimizer.apply([tensor(np.full(2, gradient, "float32"))], [w])
            scales.append(float(optimizer.dynamic_scale.numpy()))
        found.append((to_numpy(w).tolist(), scales, int(optimizer.iterations), float(optimizer.scale_loss(2.0))))
    assert found[0] == found[1]
    config = optimizers.serialize(optimizers.LossScaleOptimizer(optimizers.Adam(0.25), 4.0))
    assert float(optimizers.deserialize(config).learning_rate) == 0.25
    with pytest.raises(ValueError, match="does not take clipnorm: set it on the inner_optimizer"):
        optimizers.LossScaleOptimizer(optimizers.SGD(), clipnorm=1.0)


# --- several optimizers, and steps that are left out -----------------------------------------------------------


def by_path(module: Any, make: Any, tensor: Any) -> list[Any]:
    """Twenty steps of three variables by two optimizers."""
    rng = np.random.default_rng(5)
    variables = [make(rng.normal(size=s), dtype="float64", name=n) for s, n in (((3, 2), "kernel"), ((2,), "bias"))]
    chosen = module.OptimizerMap(module.SGD(0.1, momentum=0.9), {".*bias": module.Adam(0.01)})
    optimizer = module.MultiOptimizer(chosen, loss_scale_factor=4.0)
    for _ in range(20):
        optimizer.apply([tensor(rng.normal(size=tuple(v.shape))) for v in variables], variables)
    optimizer.finalize_variable_values(variables)
    counts = [int(optimizer.iterations), *(int(o.iterations) for o in optimizer.optimizers)]
    return [*(to_numpy(v) for v in variables), counts, len(optimizer.variables)]


def test_several_optimizers_step_as_in_keras(keras64: Any) -> None:
    ours = by_path(optimizers, rv.Variable, rv.Tensor)
    theirs = by_path(keras64.optimizers, keras64.Variable, keras64.ops.convert_to_tensor)
    for mine, right in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, right, rtol=0, atol=1e-9)


def test_overflow_leaves_any_inner_optimizer_as_it_was() -> None:
    keras = keras_torch()
    rng = np.random.default_rng(1)
    gradients = [rng.normal(size=3).astype("float32") for _ in range(20)]
    for bad in (3, 4, 11):
        gradients[bad][bad % 3] = np.nan
    found = []
    for module, make, tensor in (
        (optimizers, rv.Variable, rv.Tensor),
        (keras.optimizers, keras.Variable, keras.ops.convert_to_tensor),
    ):
        w = make(np.ones(3, "float32"))
        inner = module.Adam(0.1, amsgrad=True, weight_decay=0.1)
        optimizer = module.LossScaleOptimizer(inner, initial_scale=64.0, dynamic_growth_steps=4)
        for gradient in gradients:
            optimizer.apply([tensor(gradient)], [w])
        found.append([to_numpy(w), float(optimizer.dynamic_scale.numpy()), int(optimizer.iterations)])
    for mine, right in zip(*found, strict=True):
        np.testing.assert_allclose(mine, right, rtol=1e-5)
