"""The optimizer classes: the course's figures, state, names and arguments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ranvier as rv
from ranvier import optimizers
from tests.optimizers.table import OPTIMIZERS, every_optimizer

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


# --- several optimizers ----------------------------------------------------------------------------------


def two_optimizers() -> Any:
    chosen = optimizers.OptimizerMap(optimizers.SGD(0.5, name="slow"))
    chosen["last/.*"] = optimizers.Adam(0.25, name="fast")
    return optimizers.MultiOptimizer(chosen)


def test_several_optimizers_train_save_and_come_back(tmp_path: Any) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(32, 3)).astype("float32"), rng.normal(size=(32, 2)).astype("float32")
    layers = [rv.Input((3,)), rv.layers.Dense(4, name="first"), rv.layers.Dense(2, name="last")]
    model = rv.Sequential(layers)
    model.compile(two_optimizers(), "mse")
    model.fit(x, y, epochs=3, verbose=0)
    assert any("replayed" in text for text in model.replay_info().values())
    assert [o.name for o in model.optimizer.optimizers] == ["fast", "slow"]
    assert [int(o.iterations) for o in model.optimizer.optimizers] == [3, 3]
    model.save(tmp_path / "model.rv")
    again = rv.saving.load_model(tmp_path / "model.rv")
    for each in (model, again):
        each.fit(x, y, epochs=2, verbose=0, shuffle=False)
    for a, b in zip(
        model.variables + model.optimizer.variables, again.variables + again.optimizer.variables, strict=True
    ):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: two_optimizers().learning_rate, AttributeError, "each of its optimizers has one"),
        (lambda: setattr(two_optimizers(), "learning_rate", 0.1), AttributeError, "set that of one of its optimizers"),
        (lambda: optimizers.OptimizerMap("sgd"), TypeError, "default_optimizer must be an optimizer, got 'sgd'"),
        (lambda: optimizers.OptimizerMap(optimizers.SGD(), {"a": "adam"}), ValueError, "expected an optimizer"),
        (
            lambda: optimizers.OptimizerMap(optimizers.SGD(), {"a": two_optimizers()}),
            ValueError,
            "a MultiOptimizer cannot be one of its optimizers",
        ),
        (
            lambda: optimizers.OptimizerMap(optimizers.SGD(), {"a.*": optimizers.SGD(), ".*b": optimizers.SGD()})["ab"],
            ValueError,
            "'ab' has several optimizers: 'a.*' and '.*b' match it",
        ),
        (lambda: optimizers.MultiOptimizer(lambda v: None).build([rv.Variable([1.0])]), ValueError, "got None"),
        (lambda: optimizers.MultiOptimizer(lambda v: None).get_config(), ValueError, "use OptimizerMap"),
        (lambda: optimizers.ScheduleFreeAdamW(beta_1=0.0), ValueError, "beta_1 must be above 0"),
    ],
)
def test_refused_combinations(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert words in str(caught.value)
