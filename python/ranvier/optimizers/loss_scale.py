"""LossScaleOptimizer: another optimizer whose loss is scaled by as much as its gradients bear."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ranvier import _core, ops
from ranvier.autograd import no_grad
from ranvier.optimizers.optimizer import Optimizer, Phase, same_objects
from ranvier.tensor import Tensor, array_of, as_tensor, wrap
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
        device = variables[0].device if variables else "cpu"
        self.step_counter = self._state(wrap(array_of(np.int64(0), None, device)), "step_counter")
        scale = np.array(self.initial_scale, "float32")
        self.dynamic_scale = self._state(wrap(array_of(scale, None, device)), "dynamic_scale")
        self._gradient_scale = wrap(_core.Array.zeros((), "float64", device))  # of the step to come, 0: it is left out
        self._slot_order += [self.step_counter, self.dynamic_scale]
        self.inner_optimizer.build(variables)
        if self.inner_optimizer.is_one_op:  # which steps were taken is known there alone
            count = self.inner_optimizer._iterations
            count.array = count.array.to_device(device)
        super().build(variables)

    @property
    def variables(self) -> list[Variable]:
        return super().variables + self.inner_optimizer.variables

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Tensor] | None = None) -> None:
        """One step of the inner optimizer by the gradients without their scale, if all are finite.

        Decided where the gradients are, so that a recorded step decides anew each time it runs: nothing is read back.
        """
        if trainable_variables is not None:
            self.build(trainable_variables)
        given = [g if g is None or isinstance(g, Tensor) else as_tensor(g) for g in grads]
        if not any(g is not None for g in given):
            return self.inner_optimizer.apply(grads, trainable_variables)  # which says what is wrong
        with no_grad():
            if self._is_one_op(given, trainable_variables):
                self._apply_by_op(given)
            else:
                self._apply_and_undo(given, trainable_variables)

    def _is_one_op(self, grads: Sequence[Any], trainable_variables: Sequence[Tensor] | None) -> bool:
        inner, ours = self.inner_optimizer, self._trainable_variables
        all_there = trainable_variables is None or same_objects(trainable_variables, ours)
        plain = inner.is_one_op and type(inner).step.__module__.startswith("ranvier.")
        plain = plain and not (inner.use_ema or inner.gradient_accumulation_steps)
        return (
            plain
            and all_there
            and len(grads) == len(ours)
            and all(g is not None and g.dtype == v.dtype for g, v in zip(grads, ours, strict=True))
            and not any(getattr(v, "constraint", None) is not None for v in ours)
        )

    def _apply_by_op(self, grads: list[Any]) -> None:
        """The kernel of the step multiplies by what the decision left: 1 / scale, or 0, which is no step."""
        inner = self.inner_optimizer
        if not _core._is_recording():
            inner.prepare()
        growth = self.dynamic_growth_steps
        count, factor = inner._iterations, self._gradient_scale
        ops.loss_scale_step(grads, self.dynamic_scale, self.step_counter, count, factor, growth)
        inner._step(list(self._trainable_variables), grads, inner._slots, gradient_scale=factor)

    def _apply_and_undo(self, given: list[Any], trainable_variables: Sequence[Tensor] | None) -> None:
        """The step of an optimizer of many ops is made in any case; what it changed is put back after an overflow."""
        finite = _all_finite([g for g in given if g is not None])
        changed: list[Any] = [*self._trainable_variables, *self.inner_optimizer.variables]
        before = [_copy(v) for v in changed]
        scaled = [None if g is None else g / self.dynamic_scale.detach().astype(g.dtype) for g in given]
        self.inner_optimizer.apply(scaled, trainable_variables)
        for variable, old in zip(changed, before, strict=True):
            variable.assign(ops.where(finite.to(variable.device), variable.detach(), old))
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
