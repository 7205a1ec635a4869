"""Learning rates that follow the number of steps taken."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any


class LearningRateSchedule:
    """Base of schedules: ``schedule(step)`` gives the learning rate of step 0, 1, 2, ...

    Subclasses define ``__call__`` and ``get_config``. Source: Keras.

    >>> import ranvier as rv
    >>> class Halving(rv.optimizers.schedules.LearningRateSchedule):
    ...     def __call__(self, step):
    ...         return 0.1 * 0.5**step
    >>> rv.optimizers.SGD(Halving()).learning_rate
    0.1
    """

    def __call__(self, step: Any) -> float:
        raise NotImplementedError(f"{type(self).__name__}: define __call__(step)")

    def get_config(self) -> dict[str, Any]:
        raise NotImplementedError(f"{type(self).__name__}: define get_config(), so that optimizers can be saved")

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(**config)


def _must_be_positive(schedule: LearningRateSchedule, name: str, value: float) -> None:
    if not value > 0:
        raise ValueError(f"{type(schedule).__name__}: {name} must be positive, got {value!r}")


class _Decay(LearningRateSchedule):
    """Decays by a function of t = step / decay_steps, or of its whole part (``staircase``)."""

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool,
        name: str,
    ) -> None:
        _must_be_positive(self, "decay_steps", decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name

    def _time(self, step: Any) -> float:
        time = float(step) / self.decay_steps
        return math.floor(time) if self.staircase else time

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "decay_rate": self.decay_rate,
            "staircase": self.staircase,
            "name": self.name,
        }


class ExponentialDecay(_Decay):
    """initial_learning_rate * decay_rate ** (step / decay_steps). Source: Keras; curriculum F27.

    >>> import ranvier as rv
    >>> rv.optimizers.schedules.ExponentialDecay(0.1, decay_steps=10, decay_rate=0.5)(20)
    0.025
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ) -> None:
        super().__init__(initial_learning_rate, decay_steps, decay_rate, staircase, name)

    def __call__(self, step: Any) -> float:
        return float(self.initial_learning_rate * self.decay_rate ** self._time(step))


class InverseTimeDecay(_Decay):
    """initial_learning_rate / (1 + decay_rate * step / decay_steps). Source: Keras; Keras 2's ``decay=``.

    >>> import ranvier as rv
    >>> rv.optimizers.schedules.InverseTimeDecay(0.1, decay_steps=1, decay_rate=0.5)(2)
    0.05
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ) -> None:
        super().__init__(initial_learning_rate, decay_steps, decay_rate, staircase, name)

    def __call__(self, step: Any) -> float:
        return float(self.initial_learning_rate / (1 + self.decay_rate * self._time(step)))


class PiecewiseConstantDecay(LearningRateSchedule):
    """``values[i]`` up to and including step ``boundaries[i]``, the last value beyond. Source: Keras; curriculum F27.

    >>> import ranvier as rv
    >>> schedule = rv.optimizers.schedules.PiecewiseConstantDecay([50], [0.1, 0.001])
    >>> schedule(50), schedule(51)
    (0.1, 0.001)
    """

    def __init__(self, boundaries: Sequence[float], values: Sequence[float], name: str = "PiecewiseConstant") -> None:
        if len(boundaries) != len(values) - 1:
            raise ValueError(
                f"PiecewiseConstantDecay: {len(values)} values need {len(values) - 1} boundaries, got {len(boundaries)}"
            )
        self.boundaries = list(boundaries)
        self.values = list(values)
        self.name = name

    def __call__(self, step: Any) -> float:
        passed = sum(1 for boundary in self.boundaries if float(step) > boundary)
        return float(self.values[passed])

    def get_config(self) -> dict[str, Any]:
        return {"boundaries": self.boundaries, "values": self.values, "name": self.name}


class PolynomialDecay(LearningRateSchedule):
    """From the initial rate to ``end_learning_rate`` as (1 - step / decay_steps) ** power, and constant after.

    With ``cycle`` it goes on over 2, 3, ... times as many steps. ``power=1`` is linear. Source: Keras; curriculum F27.

    >>> import ranvier as rv
    >>> schedule = rv.optimizers.schedules.PolynomialDecay(0.1, decay_steps=10, end_learning_rate=0.0)
    >>> schedule(5), schedule(20)
    (0.05, 0.0)
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ) -> None:
        _must_be_positive(self, "decay_steps", decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.end_learning_rate = end_learning_rate
        self.power = power
        self.cycle = cycle
        self.name = name

    def __call__(self, step: Any) -> float:
        step, steps = float(step), float(self.decay_steps)
        if self.cycle:
            steps *= max(1, math.ceil(step / steps))
        left = 1 - min(step, steps) / steps
        return float((self.initial_learning_rate - self.end_learning_rate) * left**self.power + self.end_learning_rate)

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "end_learning_rate": self.end_learning_rate,
            "power": self.power,
            "cycle": self.cycle,
            "name": self.name,
        }


def _cosine(fraction: float, alpha: float, factor: float = 1.0) -> float:
    """From ``factor`` to ``alpha`` along half a cosine."""
    return (1 - alpha) * 0.5 * factor * (1 + math.cos(math.pi * fraction)) + alpha


class CosineDecay(LearningRateSchedule):
    """Down to ``alpha`` times the rate along half a cosine in ``decay_steps``, and constant after.

    With ``warmup_target`` the rate first rises linearly from the initial one to the target in ``warmup_steps``, and the
    cosine begins there. Source: Keras; Loshchilov and Hutter 2017; curriculum F27.

    >>> import ranvier as rv
    >>> schedule = rv.optimizers.schedules.CosineDecay(0.0, 10, warmup_target=0.1, warmup_steps=4)
    >>> [round(schedule(step), 4) for step in (0, 2, 4, 9, 14, 99)]
    [0.0, 0.05, 0.1, 0.05, 0.0, 0.0]
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: int = 0,
    ) -> None:
        _must_be_positive(self, "decay_steps", decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.alpha = alpha
        self.name = name
        self.warmup_target = warmup_target
        self.warmup_steps = warmup_steps

    def __call__(self, step: Any) -> float:
        step, start = float(step), self.initial_learning_rate
        if self.warmup_target is not None:
            if step < self.warmup_steps:
                return float(start + (self.warmup_target - start) * (step / self.warmup_steps))
            step, start = step - self.warmup_steps, self.warmup_target
        return float(start * _cosine(min(step / self.decay_steps, 1.0), self.alpha))

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "alpha": self.alpha,
            "name": self.name,
            "warmup_target": self.warmup_target,
            "warmup_steps": self.warmup_steps,
        }


class CosineDecayRestarts(LearningRateSchedule):
    """Half a cosine in ``first_decay_steps``, again in ``t_mul`` times as many from ``m_mul`` times the height, ...

    Source: Keras; Loshchilov and Hutter 2017 (SGDR).

    >>> import ranvier as rv
    >>> schedule = rv.optimizers.schedules.CosineDecayRestarts(0.1, 10, m_mul=0.5)
    >>> [round(schedule(step), 4) for step in (0, 5, 10, 20)]
    [0.1, 0.05, 0.05, 0.025]
    """

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: int,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ) -> None:
        _must_be_positive(self, "first_decay_steps", first_decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.first_decay_steps = first_decay_steps
        self.t_mul = t_mul
        self.m_mul = m_mul
        self.alpha = alpha
        self.name = name

    def __call__(self, step: Any) -> float:
        fraction = float(step) / self.first_decay_steps
        if self.t_mul == 1:
            restarts = math.floor(fraction)
            fraction -= restarts
        else:
            # Restart i begins at (1 - t^i) / (1 - t); 1e-12: the logarithm may round below a whole number.
            power = 1 - fraction * (1 - self.t_mul)
            restarts = math.floor(math.log(power) / math.log(self.t_mul) + 1e-12)
            begun = (1 - self.t_mul**restarts) / (1 - self.t_mul)
            fraction = (fraction - begun) / self.t_mul**restarts
        return float(self.initial_learning_rate * _cosine(fraction, self.alpha, self.m_mul**restarts))

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "first_decay_steps": self.first_decay_steps,
            "t_mul": self.t_mul,
            "m_mul": self.m_mul,
            "alpha": self.alpha,
            "name": self.name,
        }


def serialize(learning_rate_schedule: LearningRateSchedule) -> Any:
    """A schedule as JSON values.

    >>> import ranvier as rv
    >>> rv.optimizers.schedules.serialize(rv.optimizers.schedules.CosineDecay(0.1, 10))["class_name"]
    'CosineDecay'
    """
    from ranvier.saving.registry import serialize_object

    return serialize_object(learning_rate_schedule)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The schedule that ``serialize`` wrote; classes of yours come in ``custom_objects``.

    >>> import ranvier as rv
    >>> config = {"class_name": "CosineDecay", "config": {"initial_learning_rate": 0.1, "decay_steps": 10}}
    >>> rv.optimizers.schedules.deserialize(config)(10)
    0.0
    """
    from ranvier.saving.registry import deserialize_object

    return deserialize_object(config, custom_objects)
