"""The course's learning rate schedules (curriculum F27), as functions of the step.

Piecewise constant rates (0.1, after 50 epochs 0.001) are ``rv.optimizers.schedules.PiecewiseConstantDecay``, and the
rate that follows the validation error is ``rv.classic.callbacks.PerformanceScheduling``.
"""

from __future__ import annotations

from typing import Any

from ranvier.saving.registry import register_serializable
from ranvier.schedules import LearningRateSchedule

__all__ = ["ExponentialScheduling", "PowerScheduling"]


class _Scheduling(LearningRateSchedule):
    def __init__(self, initial_learning_rate: float, steps: float, **more: float) -> None:
        if not steps > 0:
            raise ValueError(f"{type(self).__name__}: steps must be positive, got {steps!r}")
        self._config = {"initial_learning_rate": initial_learning_rate, "steps": steps, **more}
        self.initial_learning_rate = initial_learning_rate
        self.steps = steps

    def get_config(self) -> dict[str, Any]:
        return dict(self._config)


@register_serializable("classic")
class ExponentialScheduling(_Scheduling):
    """lr0 * 10^(-t / steps): a tenth after each ``steps`` steps. Source: curriculum F27.

    >>> import ranvier as rv
    >>> [round(rv.classic.schedules.ExponentialScheduling(0.1, 20)(t), 6) for t in (0, 20, 40)]
    [0.1, 0.01, 0.001]
    """

    def __init__(self, initial_learning_rate: float, steps: float) -> None:
        super().__init__(initial_learning_rate, steps)

    def __call__(self, step: Any) -> float:
        return float(self.initial_learning_rate * 10 ** (-float(step) / self.steps))


@register_serializable("classic")
class PowerScheduling(_Scheduling):
    """lr0 * (1 + t / steps)^-power: a half, a third, a quarter of lr0 with power 1. Source: curriculum F27.

    >>> import ranvier as rv
    >>> [round(rv.classic.schedules.PowerScheduling(0.12, 10)(t), 6) for t in (0, 10, 20, 30)]
    [0.12, 0.06, 0.04, 0.03]
    """

    def __init__(self, initial_learning_rate: float, steps: float, power: float = 1.0) -> None:
        super().__init__(initial_learning_rate, steps, power=power)
        self.power = power

    def __call__(self, step: Any) -> float:
        return float(self.initial_learning_rate * (1 + float(step) / self.steps) ** -self.power)
