"""LossScaleOptimizer: another optimizer whose loss is scaled by as much as its gradients bear."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ranvier import ops
from ranvier.autograd import no_grad
from ranvier.optimizers.optimizer import Optimizer, Phase
from ranvier.tensor import Tensor, as_tensor
from ranvier.variable import Variable


class LossScaleOptimizer(Optimizer):
    """Scales the loss for ``inner_optimizer``, halving the scale where gradients overflow (that step is left out).

    After ``dynamic_growth_steps`` steps without overflow the scale doubles. Nothing in float32 needs the scaling.
    Options of all optimizers belong to the inner one, else ValueError. Source: Keras ``LossScaleOptimizer``.

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
        self.dynamic_scale = self._state(np.array(self.initial_scale, "float32"), "dynamic_scale")
        self._slot_order += [self.step_counter, self.dynamic_scale]
        self.inner_optimizer.build(variables)
        super().build(variables)

    @property
    def variables(self) -> list[Variable]:
        return super().variables + self.inner_optimizer.variables

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Tensor] | None = None) -> None:
        """One step of the inner optimizer by the gradients without their scale, if all are finite.

        Decided where the gradients are: the step is made in any case, and what it changed is put back where they
        overflowed. So a recorded step decides anew each time it runs.
        """
        if trainable_variables is not None:
            self.build(trainable_variables)
        given = [g if g is None or isinstance(g, Tensor) else as_tensor(g) for g in grads]
        if not any(g is not None for g in given):
            return self.inner_optimizer.apply(grads, trainable_variables)  # which says what is wrong
        with no_grad():
            finite = _all_finite([g for g in given if g is not None])
            changed: list[Any] = [*self._trainable_variables, *self.inner_optimizer.variables]
            before = [_copy(v) for v in changed]
            scaled = [None if g is None else g / self.dynamic_scale.detach().astype(g.dtype) for g in given]
            self.inner_optimizer.apply(scaled, trainable_variables)
            for variable, old in zip(changed, before, strict=True):
                variable.assign(ops.where(finite, variable.detach(), old))
            self._adapt(finite)

    def _adapt(self, finite: Tensor) -> None:
        """Half the scale after an overflow, twice after enough steps without one."""
        steps = ops.where(finite, self.step_counter.detach() + 1, 0)
        grows = ops.equal(steps, self.dynamic_growth_steps)
        factor = ops.where(finite, ops.where(grows, 2.0, 1.0), 0.5).astype("float32")
        self.dynamic_scale.assign(self.dynamic_scale.detach() * factor)
        self.step_counter.assign(ops.where(grows, 0, steps))

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
        if not self.built:
            return loss * self.initial_scale
        return loss * self.dynamic_scale.detach().astype(getattr(loss, "dtype", "float32"))

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


def _all_finite(gradients: Sequence[Tensor]) -> Tensor:
    finite = [ops.all(ops.isfinite(g)) for g in gradients]
    return finite[0] if len(finite) == 1 else ops.all(ops.stack(finite))


def _copy(variable: Any) -> Tensor:
    """The values as they are now, copied by an op that a recording repeats."""
    return ops.where(True, variable.detach(), variable.detach())
