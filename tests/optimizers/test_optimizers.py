"""The optimizer classes: the course's figures, Keras 3 and the reference over many steps, state and arguments."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import ranvier as rv
from ranvier import optimizers

OPTIMIZERS = [
    ("SGD", {"learning_rate": 0.1}),
    ("SGD", {"learning_rate": 0.1, "momentum": 0.9}),
    ("SGD", {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True}),
    ("Adagrad", {"learning_rate": 0.1}),
    ("Adadelta", {"learning_rate": 1.0}),
    ("RMSprop", {"learning_rate": 0.01}),
    ("RMSprop", {"learning_rate": 0.01, "momentum": 0.5, "centered": True}),
    ("Adam", {"learning_rate": 0.01}),
    ("Adam", {"learning_rate": 0.01, "amsgrad": True, "epsilon": 1e-3}),
    ("AdamW", {"learning_rate": 0.01, "weight_decay": 0.1}),
    ("Nadam", {"learning_rate": 0.01}),
    ("Nadam", {"learning_rate": 0.1, "beta_1": 0.5, "epsilon": 1e-3}),
    ("Adamax", {"learning_rate": 0.01}),
    ("Lamb", {"learning_rate": 0.01}),
    ("Lion", {"learning_rate": 0.01}),
    ("Ftrl", {"learning_rate": 0.1}),
    (
        "Ftrl",
        {
            "learning_rate": 0.1,
            "learning_rate_power": -0.3,
            "l1_regularization_strength": 0.1,
            "l2_regularization_strength": 0.1,
            "l2_shrinkage_regularization_strength": 0.01,
            "beta": 0.2,
        },
    ),
    ("Adafactor", {"learning_rate": 0.1}),
    ("Adafactor", {"learning_rate": 0.5, "relative_step": False, "clip_threshold": 0.5}),
    ("Muon", {"learning_rate": 0.01}),
    ("Muon", {"learning_rate": 0.01, "nesterov": False, "rms_rate": None, "adam_lr_ratio": 0.5}),
]
LIMITS = [{}, {"clipnorm": 0.5}, {"clipvalue": 0.3}, {"global_clipnorm": 0.7, "weight_decay": 0.01}]
STEPS = 20

every_optimizer = pytest.mark.parametrize(("name", "options"), OPTIMIZERS, ids=lambda v: str(v))


def keras_torch() -> Any:
    """Keras 3 on PyTorch, or a skip that says what is missing."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    return pytest.importorskip("keras", reason="compares with Keras 3, which is not installed")


def trajectory(module: Any, make: Any, name: str, options: dict[str, Any], tensor: Any = rv.Tensor) -> np.ndarray:
    """Where three variables stand after each of 20 steps of gradients that do not depend on them, in float64."""
    rng = np.random.default_rng(3)
    names = ("kernel", "bias", "embeddings")
    variables = [
        make(rng.normal(size=s), dtype="float64", name=n) for s, n in zip(((5, 3), (7,), (2, 3)), names, strict=True)
    ]
    options = dict(options)
    if isinstance(rate := options.get("learning_rate"), tuple):
        options["learning_rate"] = getattr(module.schedules, rate[0])(*rate[1:])
    spared = options.pop("spared", None)
    optimizer = getattr(module, name)(**options)
    if spared:
        optimizer.exclude_from_weight_decay(var_names=[spared])
    places = []
    for _ in range(STEPS):
        gradients = [rng.normal(size=tuple(v.shape)) for v in variables]
        optimizer.apply_gradients(zip([tensor(g) for g in gradients], variables, strict=True))
        places.append(np.concatenate([to_numpy(v).ravel() for v in variables]))
    optimizer.finalize_variable_values(variables)
    places.append(np.concatenate([to_numpy(v).ravel() for v in variables]))
    return np.array(places)


def to_numpy(variable: Any) -> np.ndarray:
    value = variable.numpy() if isinstance(variable, rv.Tensor) else variable.value.detach().numpy()
    return np.array(value)


@pytest.fixture
def keras64() -> Iterator[Any]:
    """Keras 3 in float64, its learning rates too."""
    keras = keras_torch()
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
    """To float64's roundings, where Keras does not fall back to float32 on the way (norms, schedules, two of them)."""
    both = {**options, **more}
    ours = trajectory(optimizers, rv.Variable, name, both)
    theirs = trajectory(keras64.optimizers, keras64.Variable, name, both, keras64.ops.convert_to_tensor)
    single = name in ("Adafactor", "Muon") or "clipnorm" in more or "global_clipnorm" in more
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6 if single else 1e-9)


@every_optimizer
@pytest.mark.parametrize("limits", LIMITS, ids=str)
def test_reference_takes_the_same_steps(name: str, options: dict[str, Any], limits: dict[str, float]) -> None:
    both = {**limits, **options}
    ours = trajectory(optimizers, rv.Variable, name, both)
    with rv.device("reference"):
        reference = trajectory(optimizers, rv.Variable, name, both)
    np.testing.assert_allclose(ours, reference, rtol=1e-12, atol=1e-13)


# --- the course ------------------------------------------------------------------------------------------


def after_three_steps(optimizer: Any) -> float:
    """W19: a constant gradient of 1, three steps from 0."""
    w = rv.Variable(np.zeros(1), dtype="float64")
    for _ in range(3):
        optimizer.apply([rv.Tensor([1.0], dtype="float64")], [w])
    return float(w.numpy()[0])


W19 = [
    (optimizers.SGD(0.1), -0.3),
    (optimizers.SGD(0.1, momentum=0.9), -0.561),
    (optimizers.SGD(0.1, momentum=0.9, nesterov=True), -0.8049),
    (optimizers.Adagrad(0.1, initial_accumulator_value=0.0), -0.228446),
    (optimizers.RMSprop(0.1), -0.737738),
    (optimizers.Adadelta(1.0, rho=0.95, epsilon=1e-6), -0.013569),
    (optimizers.Adam(0.1), -0.3),
]


@pytest.mark.parametrize(("optimizer", "expected"), W19, ids=[type(o).__name__ for o, _ in W19])
def test_worked_example_w19(optimizer: Any, expected: float) -> None:
    assert after_three_steps(optimizer) == pytest.approx(expected, abs=1e-6)


def test_momentum_reaches_its_terminal_velocity() -> None:
    """F20: with momentum b the speed tends to lr g / (1 - b): ten times lr g for b = 0.9."""
    w = rv.Variable(np.zeros(1), dtype="float64")
    optimizer = optimizers.SGD(0.1, momentum=0.9)
    for _ in range(400):
        before = w.numpy().copy()
        optimizer.apply([rv.Tensor([1.0], dtype="float64")], [w])
    assert float((w.numpy() - before)[0]) == pytest.approx(-1.0, abs=1e-12)


class SignedSteps(optimizers.Optimizer):
    """Written as one writes it for Keras."""

    def __init__(self, learning_rate: Any = 0.1, momentum: float = 0.5, **kwargs: Any) -> None:
        super().__init__(learning_rate, **kwargs)
        self.momentum = momentum

    def build(self, variables: Any) -> None:
        if self.built:
            return
        super().build(variables)
        self.sums = self.add_optimizer_variables(variables, "sum")
        self.steps = self.add_variable((), name="steps")

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        own = self.sums[self._get_variable_index(variable)]
        self.assign(own, self.momentum * own.detach() + gradient)
        self.assign_add(self.steps, 1.0)
        self.assign_sub(variable, learning_rate * own.detach())


def test_an_optimizer_of_ones_own_has_what_all_have() -> None:
    a, b = rv.Variable([1.0, 2.0], name="a"), rv.Variable([3.0], name="b")
    optimizer = SignedSteps(0.5, clipnorm=1.0, weight_decay=0.5, use_ema=True)
    optimizer.exclude_from_weight_decay(var_list=[b])
    optimizer.apply([rv.Tensor([3.0, 4.0]), rv.Tensor([0.5])], [a, b])
    np.testing.assert_allclose(a.numpy(), [0.75 - 0.3, 1.5 - 0.4], rtol=1e-6)
    np.testing.assert_allclose(b.numpy(), [2.75])
    assert [v.name for v in optimizer.variables] == [
        "iteration", "learning_rate", "a_average", "b_average", "a_sum", "b_sum", "steps",
    ]  # fmt: skip
    optimizer.apply([rv.Tensor([0.0, 0.0]), rv.Tensor([0.5])], [a, b])
    assert float(optimizer.steps) == 4.0
    with pytest.raises(NotImplementedError, match="Optimizer: define update_step"):
        optimizers.Optimizer(0.1).apply([rv.Tensor([1.0])], [rv.Variable([1.0])])


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


def test_fit_ends_with_the_means_of_the_weights() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(32, 3)).astype("float32"), rng.normal(size=(32, 1)).astype("float32")
    model = rv.Sequential([rv.layers.Input((3,)), rv.layers.Dense(1)])
    model.compile(optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5), "mse")
    model.fit(x, y, epochs=3, verbose=0)
    for mean, weight in zip(model.optimizer._model_variables_moving_average, model.weights, strict=True):
        np.testing.assert_array_equal(mean.numpy(), weight.numpy())


@pytest.mark.parametrize("other", ["SGD", "AdamW", "Adamax"])
def test_the_state_of_another_optimizer_is_refused(other: str) -> None:
    w = rv.Variable(np.zeros((2, 3), "float32"), name="w")
    ours, theirs = optimizers.RMSprop(0.1), getattr(optimizers, other)(0.1)
    ours.build([w])
    theirs.build([w])
    store: dict[str, Any] = {}
    theirs.save_own_variables(store)
    message = (
        rf"RMSprop: a state of {len(store)} arrays for 3 variables \(iteration, learning_rate, w_velocity\); "
        "was it saved by another optimizer, with other options, or for another model"
    )
    with pytest.raises(ValueError, match=message):
        ours.load_own_variables(store)
    with pytest.raises(ValueError, match=r"RMSprop: 'w_velocity' has shape \(2, 3\), the state has \(3,\) there"):
        ours.set_weights([0, 0.1, np.zeros(3)])


# --- state and arguments ---------------------------------------------------------------------------------


@every_optimizer
def test_saved_state_continues_bit_for_bit(name: str, options: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    gradients = [rv.Tensor(rng.normal(size=(4, 2)).astype("float32")) for _ in range(6)]
    start = rng.normal(size=(4, 2)).astype("float32")

    def run(break_after: int | None) -> np.ndarray:
        w = rv.Variable(start, name="w")
        optimizer = optimizers.get({"class_name": name, "config": options})
        for i, gradient in enumerate(gradients):
            if i == break_after:
                store: dict[str, Any] = {}
                optimizer.save_own_variables(store)
                store = {k: v.copy() for k, v in store.items()}
                optimizer = optimizers.deserialize(optimizers.serialize(optimizer))
                optimizer.build([w])
                optimizer.load_own_variables(store)
            optimizer.apply([gradient], [w])
        assert int(optimizer.iterations) == len(gradients)
        return w.numpy().copy()

    np.testing.assert_array_equal(run(3), run(None))


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


def test_configuration_comes_back() -> None:
    for name, options in OPTIMIZERS:
        config = optimizers.serialize(getattr(optimizers, name)(**options, clipnorm=2.0))
        assert optimizers.serialize(optimizers.deserialize(config)) == config


def test_names() -> None:
    for name in ("sgd", "rmsprop", "adam", "adamw", "adagrad", "adadelta", "Adam", "RMSprop"):
        assert type(optimizers.get(name)).__name__.lower() == name.lower()
    with pytest.raises(ValueError, match=r"Unknown optimizer: 'sdg'\. Did you mean 'sgd'.* Known: adadelta"):
        optimizers.get("sdg")
    with pytest.raises(ValueError, match="Could not interpret optimizer identifier: 3"):
        optimizers.get(3)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"lr": 0.1}, TypeError, "`lr` is now `learning_rate`"),
        ({"decay": 0.1}, TypeError, "InverseTimeDecay"),
        ({"speed": 0.1}, TypeError, "unknown argument 'speed'"),
        ({"use_ema": True, "ema_momentum": 2.0}, ValueError, "ema_momentum must be a number between 0 and 1, got 2.0"),
        ({"ema_overwrite_frequency": 0.5}, ValueError, "whole number of at least 1 or None, got 0.5"),
        ({"gradient_accumulation_steps": 1}, ValueError, "whole number of at least 2 or None, got 1"),
        ({"learning_rate": "fast"}, ValueError, "got 'fast'"),
        ({"learning_rate": float("nan")}, ValueError, "finite"),
        ({"clipnorm": 1.0, "clipvalue": 1.0}, ValueError, "only one of clipnorm, clipvalue and global_clipnorm"),
        ({"beta_1": 1.5}, ValueError, "beta_1 must be a number between 0 and 1, got 1.5"),
    ],
)
def test_refused_arguments(options: dict[str, Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        optimizers.Adam(**options)


def test_learning_rate_can_be_set_and_scheduled() -> None:
    optimizer = optimizers.SGD(0.1)
    optimizer.learning_rate = 0.5
    assert float(optimizer.learning_rate) == 0.5
    optimizer.learning_rate.assign(0.25)
    assert float(optimizer.learning_rate) == 0.25
    w = rv.Variable([0.0])
    scheduled = optimizers.SGD(optimizers.schedules.PiecewiseConstantDecay([0], [1.0, 0.5]))
    for _ in range(2):
        scheduled.apply([rv.Tensor([1.0])], [w])
    assert w.numpy().item() == -1.5
    with pytest.raises(TypeError, match="follows PiecewiseConstantDecay and cannot be set"):
        scheduled.learning_rate = 0.1
    rates = iter([1.0, 2.0])
    called = optimizers.SGD(lambda: next(rates))
    called.apply([rv.Tensor([1.0])], [w])
    called.apply([rv.Tensor([1.0])], [w])
    assert w.numpy().item() == -4.5
    config = optimizers.serialize(scheduled)
    assert float(optimizers.deserialize(config).learning_rate) == 1.0


def test_variables_without_gradients_stay() -> None:
    a, b = rv.Variable([1.0], name="a"), rv.Variable([1.0], name="b")
    optimizer = optimizers.Adam(0.1)
    with pytest.warns(UserWarning, match=r"Gradients do not exist for variables \['b'\]"):
        optimizer.apply_gradients([(rv.Tensor([1.0]), a), (None, b)])
    assert b.numpy().item() == 1.0 and a.numpy().item() < 1.0
    with pytest.raises(ValueError, match="no gradients for any variable"):
        optimizer.apply_gradients([(None, a)])
    with pytest.raises(ValueError, match="unknown variable 'c'"):
        optimizer.apply_gradients([(rv.Tensor([1.0]), rv.Variable([1.0], name="c"))])
    with pytest.raises(ValueError, match="1 gradients for 2 variables"):
        optimizer.apply([rv.Tensor([1.0])])


def test_constraints_hold_after_a_step() -> None:
    w = rv.Variable([1.0], constraint=lambda v: rv.ops.maximum(v, 0.5))
    optimizers.SGD(1.0).apply([rv.Tensor([5.0])], [w])
    assert w.numpy().item() == 0.5


def test_a_step_invalidates_the_tape() -> None:
    w = rv.Variable([2.0])
    y = w * w
    optimizers.SGD(1.0).apply([rv.Tensor([1.0])], [w])
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


# --- the ops ---------------------------------------------------------------------------------------------


def test_shared_memory_is_refused() -> None:
    p, g = rv.Tensor(np.ones(4)), rv.Tensor(np.ones(4))
    with pytest.raises(ValueError, match=r"parameters\[1\] shares memory with parameters\[0\]"):
        rv.ops.sgd_step([p, p], [g, g], learning_rate=0.1)
    with pytest.raises(ValueError, match="shares memory with"):
        rv.ops.sgd_step([p], [g], [p], learning_rate=0.1)
    with pytest.raises(ValueError, match="shares memory with"):
        rv.ops.sgd_step([p], [p.detach()], learning_rate=0.1)
    rv.ops.sgd_step([p, rv.Tensor(np.ones(4))], [g, g], learning_rate=0.1)  # reading twice is fine
    assert (p.numpy() == 0.9).all()


def test_read_only_parameters_are_refused() -> None:
    values = np.ones(3)
    values.setflags(write=False)
    frozen = rv.tensor.wrap(rv._core.Array.from_numpy(values, copy=False))
    with pytest.raises(ValueError, match=r"sgd_step: parameters\[0\] is read-only"):
        rv.ops.sgd_step([frozen], [rv.Tensor(np.ones(3))], learning_rate=0.1)


def test_no_parameters_is_no_step() -> None:
    rv.ops.adam_step([], [], [], [], learning_rate=0.1, iteration=1)


def test_nan_gradients_are_not_hidden_by_clipping() -> None:
    for limit in ("clipnorm", "clipvalue", "global_clipnorm"):
        a, b = rv.Tensor([1.0, 1.0]), rv.Tensor([1.0])
        rv.ops.sgd_step([a, b], [rv.Tensor([np.nan, 1.0]), rv.Tensor([1.0])], learning_rate=0.1, **{limit: 1.0})
        assert np.isnan(a.numpy()[0])
        assert np.isnan(b.numpy()[0]) == (limit == "global_clipnorm")


def test_centred_rmsprop_survives_a_constant_gradient() -> None:
    """s - a^2 is a difference of equals in the end; rounding must not take it below zero."""
    p, g, v, a = (rv.Tensor(np.full(5, x, "float32")) for x in (0.0, 1234.567, 0.0, 0.0))
    for _ in range(300):
        rv.ops.rmsprop_step([p], [g], [v], None, [a], learning_rate=1e-6)
    assert np.isfinite(p.numpy()).all()


@pytest.mark.parametrize("limit", [{"global_clipnorm": 0.1}, {"clipnorm": 0.1}])
def test_threads_do_not_change_bits(limit: dict[str, float]) -> None:
    rng = np.random.default_rng(0)
    shapes = [(100_003,), (17,), (300, 301)]
    start = [rng.normal(size=s).astype("float32") for s in shapes]
    gradients = [rv.Tensor(rng.normal(size=s).astype("float32")) for s in shapes]
    results = []
    for threads in (1, 2):
        rv.set_num_threads(threads)
        p, m, v = ([rv.Tensor(x * k) for x in start] for k in (1, 0, 0))
        for t in range(1, 4):
            rv.ops.adam_step(p, gradients, m, v, learning_rate=0.1, iteration=t, **limit)
        results.append(p)
    for one, two in zip(*results, strict=True):
        np.testing.assert_array_equal(one.numpy(), two.numpy())
