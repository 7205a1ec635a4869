"""Learning rates that follow the number of steps taken."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ranvier import config as names


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


class _Decay(LearningRateSchedule):
    """Decays by a function of t = step / decay_steps, or of its whole part (``staircase``)."""

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str | None = None,
    ) -> None:
        if not decay_steps > 0:
            raise ValueError(f"{type(self).__name__}: decay_steps must be positive, got {decay_steps}")
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name or names.to_snake_case(type(self).__name__)

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

    def __call__(self, step: Any) -> float:
        return float(self.initial_learning_rate * self.decay_rate ** self._time(step))


class InverseTimeDecay(_Decay):
    """initial_learning_rate / (1 + decay_rate * step / decay_steps). Source: Keras; Keras 2's ``decay=``.

    >>> import ranvier as rv
    >>> rv.optimizers.schedules.InverseTimeDecay(0.1, decay_steps=1, decay_rate=0.5)(2)
    0.05
    """

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
