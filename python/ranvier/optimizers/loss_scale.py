"""LossScaleOptimizer: another optimizer whose loss is scaled by as much as its gradients bear."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ranvier import ops
from ranvier.autograd import no_grad
from ranvier.optimizers.optimizer import Optimizer, Phase
from ranvier.tensor import Tensor
from ranvier.variable import Variable


class LossScaleOptimizer(Optimizer):
    """Scales the loss for ``inner_optimizer``, halving the scale where gradients overflow (that step is left out).

    After ``dynamic_growth_steps`` steps without overflow the scale doubles. Whether gradients are finite is read on the
    host, so steps are not replayed; nothing in float32 needs the scaling. Options of all optimizers belong to the inner
    one, else ValueError. Source: Keras ``LossScaleOptimizer``.

    >>> import ranvier as rv
    >>> w = rv.Variable([1.0])
    >>> optimizer = rv.optimizers.LossScaleOptimizer(rv.optimizers.SGD(0.5), initial_scale=4.0)
    >>> optimizer.apply([rv.Tensor([4.0])], [w])
    >>> w.numpy()
    array([0.5], dtype=float32)
    """

    def __init__(
        self,
        inner_optimizer: Optimizer,
        initial_scale: float = 2.0**15,
        dynamic_growth_steps: int = 2000,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        if not kwargs.pop("dynamic", True):
            raise ValueError("LossScaleOptimizer: for a fixed scale set loss_scale_factor on the inner optimizer")
        for option, value in kwargs.items():
            if value not in (None, False) and (option, value) != ("ema_momentum", 0.99):
                raise ValueError(f"LossScaleOptimizer does not take {option}: set it on the inner_optimizer")
        super().__init__(0.0, name=name)
        self.inner_optimizer = inner_optimizer
        self.initial_scale = initial_scale
        self.dynamic_growth_steps = dynamic_growth_steps
        inner_optimizer.loss_scale_factor = None  # else gradients would be scaled twice

    def build(self, variables: Iterable[Tensor]) -> None:
        if self.built:
            return
        variables = list(variables)
        self.step_counter = self._state(np.int64(0), "step_counter")
        self.dynamic_scale = self._state(np.float32(self.initial_scale), "dynamic_scale")
        self._slot_order += [self.step_counter, self.dynamic_scale]
        self.inner_optimizer.build(variables)
        super().build(variables)

    @property
    def variables(self) -> list[Variable]:
        return super().variables + self.inner_optimizer.variables

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Tensor] | None = None) -> None:
        """One step of the inner optimizer by the gradients without their scale, if all are finite."""
        if trainable_variables is not None:
            self.build(trainable_variables)
        given = [g for g in grads if g is not None]
        finite = all(np.isfinite(np.asarray(g.numpy() if isinstance(g, Tensor) else g)).all() for g in given)
        scale, counter = self.dynamic_scale, int(self.step_counter)
        if not finite:
            scale.assign(float(scale) * 0.5)
            self.step_counter.assign(np.int64(0))
            return
        with no_grad():
            inverse = 1 / float(scale)
            self.inner_optimizer.apply(
                [None if g is None else ops.multiply(g, inverse) for g in grads], trainable_variables
            )
        grows = counter == self.dynamic_growth_steps - 1
        self.step_counter.assign(np.int64(0 if grows else counter + 1))
        if grows:
            scale.assign(float(scale) * 2)

    def prepare(self) -> None:
        self.inner_optimizer.prepare()

    def phase(self) -> Phase:
        return self.inner_optimizer.phase()

    @property
    def learning_rate(self) -> Any:
        """The inner optimizer's."""
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self.inner_optimizer.learning_rate = value

    @property
    def iterations(self) -> Variable:
        """The inner optimizer's: steps that were left out do not count."""
        return self.inner_optimizer.iterations

    def scale_loss(self, loss: Tensor) -> Tensor:
        """The loss times the scale."""
        return loss * (float(self.dynamic_scale) if self.built else self.initial_scale)

    def finalize_variable_values(self, var_list: Sequence[Tensor]) -> None:
        """The inner optimizer's."""
        self.inner_optimizer.finalize_variable_values(var_list)

    def get_config(self) -> dict[str, Any]:
        from ranvier.saving.registry import serialize_object

        return {
            "name": self.name,
            "inner_optimizer": serialize_object(self.inner_optimizer),
            "initial_scale": self.initial_scale,
            "dynamic_growth_steps": self.dynamic_growth_steps,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
        from ranvier.optimizers import deserialize

        inner = config["inner_optimizer"]
        if isinstance(inner, dict):
            inner = deserialize(inner, custom_objects)
        return cls(**{**config, "inner_optimizer": inner})
