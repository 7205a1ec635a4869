"""Optimizer: state for a list of variables, and one kernel call that steps them all."""

from __future__ import annotations

import operator
import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

import numpy as np

from ranvier import _core, config, ops
from ranvier.autograd import no_grad
from ranvier.optimizers.state import State
from ranvier.schedules import LearningRateSchedule
from ranvier.tensor import Tensor, as_tensor, wrap
from ranvier.variable import Variable

Phase = tuple[bool, ...]
LearningRate = float | LearningRateSchedule | Callable[[], float]

_DROPPED = {
    "lr": "`lr` is now `learning_rate`",
    "decay": "`decay` is gone; pass learning_rate=rv.optimizers.schedules.InverseTimeDecay(learning_rate, 1, decay)",
}
# What all optimizers are told, in Keras's order.
_SHARED = (
    "weight_decay", "clipnorm", "clipvalue", "global_clipnorm", "use_ema", "ema_momentum", "ema_overwrite_frequency",
    "loss_scale_factor", "gradient_accumulation_steps", "name",
)  # fmt: skip


def shared(given: dict[str, Any]) -> dict[str, Any]:
    """Of a constructor's arguments those that all optimizers take, and what came by ``**kwargs``."""
    return {name: given[name] for name in _SHARED} | given["kwargs"]


class Optimizer(State):
    """Base of all optimizers: learning rate, clipping, weight decay, the number of steps taken, and saved state.

    ``learning_rate``: a number, a ``LearningRateSchedule`` (called with the number of steps taken) or a function of
    nothing. ``weight_decay`` shrinks each variable by learning_rate * weight_decay of itself before a step, but for
    those that ``exclude_from_weight_decay`` names. At most one of ``clipnorm`` (each gradient), ``clipvalue`` (each
    element) and ``global_clipnorm`` (all gradients together) is given, else ValueError. ``use_ema`` keeps running
    means of the variables, with ``ema_momentum``, which take their place every ``ema_overwrite_frequency`` steps and
    at the end of ``fit``. ``gradient_accumulation_steps``: so many gradients are averaged for one step.
    ``loss_scale_factor`` multiplies the loss and divides the gradients. Arguments that Keras 3 dropped (``lr``,
    ``decay``) raise a TypeError that names today's form.

    A subclass defines ``build`` and ``update_step(gradient, variable, learning_rate)``. Source: Keras 3 ``Optimizer``.

    >>> import ranvier as rv
    >>> w = rv.Variable([1.0, 2.0])
    >>> optimizer = rv.optimizers.SGD(learning_rate=0.5)
    >>> optimizer.apply_gradients([(rv.Tensor([1.0, 1.0]), w)])
    1
    >>> w.numpy()
    array([0.5, 1.5], dtype=float32)
    """

    _unnoticed = frozenset({"_phase"})
    is_one_op: ClassVar[bool] = False  # whether ``step`` is an op that takes a ``gradient_scale``

    def __init__(
        self,
        learning_rate: LearningRate,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        kind = type(self).__name__
        for unknown in kwargs:
            raise TypeError(f"{kind}: {_DROPPED.get(unknown, f'unknown argument {unknown!r}')}")
        if sum(limit is not None for limit in (clipnorm, clipvalue, global_clipnorm)) > 1:
            raise ValueError(
                f"{kind}: only one of clipnorm, clipvalue and global_clipnorm can be set, got clipnorm={clipnorm}, "
                f"clipvalue={clipvalue}, global_clipnorm={global_clipnorm}"
            )
        self.name = name or config.auto_name(config.to_snake_case(kind))
        self.weight_decay = weight_decay
        self.clipnorm = clipnorm
        self.clipvalue = clipvalue
        self.global_clipnorm = global_clipnorm
        self.use_ema = use_ema
        self.ema_momentum = check_fraction(kind, "ema_momentum", ema_momentum)
        self.ema_overwrite_frequency = _check_count(kind, "ema_overwrite_frequency", ema_overwrite_frequency, 1)
        self.loss_scale_factor = loss_scale_factor
        steps = _check_count(kind, "gradient_accumulation_steps", gradient_accumulation_steps, 2)
        self.gradient_accumulation_steps = steps
        super().__init__()
        self._rate_now = _core.Array.zeros((), "float64")  # of a schedule or function, for the step to come
        self._update_now = _core.Array.zeros((), "int64")  # the number of the update to come, from 1
        self._phase: Phase = ()
        self._excluded: tuple[frozenset[int], str | None] = (frozenset(), None)
        self._learning_rate: Any = None
        self._set_learning_rate(learning_rate)

    # --- learning rate and iterations ---------------------------------------------------------------------

    @property
    def iterations(self) -> Variable:
        """The number of steps taken, an int64 scalar; while gradients accumulate, of updates."""
        if self.gradient_accumulation_steps:
            return Variable(np.int64(int(self._iterations) // self.gradient_accumulation_steps), trainable=False)
        return self._iterations

    @property
    def learning_rate(self) -> Any:
        """The learning rate of the next step: a variable that can be assigned, or a schedule's value now."""
        if isinstance(self._learning_rate, Variable):
            return self._learning_rate
        if isinstance(self._learning_rate, LearningRateSchedule):
            return float(self._learning_rate(int(self._iterations)))
        return float(self._learning_rate())

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if isinstance(self._learning_rate, LearningRateSchedule) and not callable(value):
            raise TypeError(
                f"{type(self).__name__}: its learning rate follows {type(self._learning_rate).__name__} and cannot be "
                "set to a number; create the optimizer with a number to set it later"
            )
        self._set_learning_rate(value)

    def _set_learning_rate(self, value: Any) -> None:
        if callable(value):
            self._learning_rate = value
            return
        try:
            number = np.float64(value)
        except (TypeError, ValueError):
            number = np.float64("nan")
        if isinstance(value, (str, bool)) or not np.isfinite(number):
            raise ValueError(
                f"{type(self).__name__}: learning_rate must be a finite number, a LearningRateSchedule or a function, "
                f"got {value!r}"
            )
        if isinstance(self._learning_rate, Variable):
            self._learning_rate.assign(number)
        else:
            self._learning_rate = self._state(number, "learning_rate")

    # --- stepping -------------------------------------------------------------------------------------------

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Tensor]]) -> int:
        """Steps each variable by its gradient, given in pairs; returns the number of steps taken."""
        pairs = list(grads_and_vars)
        self.apply([g for g, _ in pairs], [v for _, v in pairs])
        return int(self._iterations)

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Tensor] | None = None) -> None:
        """One step. ``grads`` fit ``trainable_variables``, or the variables that the optimizer was built with.

        A variable whose gradient is None is left alone, with a warning. Raises ValueError if all are None, for other
        numbers of gradients, and for variables that the optimizer was not built with.
        """
        if len(grads) == 0:
            return
        variables = self._known(grads, trainable_variables)
        parameters, slots = list(variables), self._slots
        gradients = [g for g in grads if g is not None]
        if len(gradients) < len(grads):
            missing = [v for v, g in zip(variables, grads, strict=True) if g is None]
            self._warn_of_missing(missing, len(gradients))
            parameters = [v for v, g in zip(variables, grads, strict=True) if g is not None]
        if slots and not same_objects(parameters, self._trainable_variables):
            places = [self._index[id(v)] for v in parameters]
            slots = {name: [all_of[p] for p in places] for name, all_of in self._slots.items()}
        for i, (g, v) in enumerate(zip(gradients, parameters, strict=True)):
            if not isinstance(g, Tensor) or g.dtype != v.dtype:
                gradients[i] = as_tensor(g, v.dtype, v.device)
        if self.loss_scale_factor is not None:
            with no_grad():
                gradients = [g / self.loss_scale_factor for g in gradients]
        if not _core._is_recording():
            self.prepare()
        _core._increment(self._iterations.array)  # no tape holds it: no version to raise
        try:
            with no_grad():
                self._update(parameters, gradients, slots)
        except Exception:
            self._iterations.assign(np.int64(int(self._iterations) - 1))
            raise
        for variable in parameters:
            constraint = getattr(variable, "constraint", None)
            if constraint is not None:
                variable.assign(constraint(variable.detach()))

    def prepare(self) -> None:
        """Works out the next step's learning rate, where a schedule or function gives it; ``apply`` does so itself.

        A recorded step does not: it reads what was prepared.
        """
        if not isinstance(self._learning_rate, Variable):
            self._rate_now.numpy()[...] = self.learning_rate
        if self.gradient_accumulation_steps:
            self._update_now.numpy()[...] = int(self._iterations) // self.gradient_accumulation_steps + 1
        self._phase = self.phase()

    def phase(self) -> Phase:
        """What the next step does: whether it updates, starts the running means, and is overwritten by them.

        () where all steps are alike. Steps of different phases are recorded apart.
        """
        accumulated = self.gradient_accumulation_steps or 1
        if accumulated == 1 and not self.use_ema:
            return ()
        taken = int(self._iterations)
        updates, frequency = taken // accumulated, self.ema_overwrite_frequency
        due = self.use_ema and frequency is not None and (updates + 1) % frequency == 0
        return ((taken + 1) % accumulated == 0, self.use_ema and updates == 0, due)

    def _update(self, parameters: list[Tensor], gradients: list[Tensor], slots: dict[str, list[Variable]]) -> None:
        """Sums gradients up, steps when there are enough, and keeps the running means of the variables."""
        steps = self.gradient_accumulation_steps
        updates, first, overwritten = self._phase or (True, False, False)
        if steps:
            sums: list[Any] = [self._accumulated_gradients[self._index[id(v)]] for v in parameters]
            share = 1 / steps if updates else 1.0
            ops.blend_step(sums, gradients, keep=share, add=share)
            gradients = sums
        if updates:
            self._step(parameters, gradients, slots)
            if steps:
                ops.blend_step(self._accumulated_gradients, self._trainable_variables, keep=0, add=0)
        if self.use_ema:
            averages, kept = self._model_variables_moving_average, 0.0 if first else self.ema_momentum
            ops.blend_step(averages, self._trainable_variables, keep=kept, add=1 - kept)
            if overwritten:
                ops.blend_step(self._trainable_variables, averages, keep=0, add=1)

    def finalize_variable_values(self, var_list: Sequence[Tensor]) -> None:
        """With ``use_ema`` the running means take the place of the variables, as ``fit`` has it done at its end."""
        if self.use_ema and self.built:
            places = [self._index[id(v)] for v in var_list if id(v) in self._index]
            targets = [self._trainable_variables[i] for i in places]
            ops.blend_step(targets, [self._model_variables_moving_average[i] for i in places], keep=0, add=1)

    def scale_loss(self, loss: Tensor) -> Tensor:
        """The loss times ``loss_scale_factor``, which ``apply`` divides the gradients by."""
        return loss if self.loss_scale_factor is None else loss * self.loss_scale_factor

    def exclude_from_weight_decay(
        self, var_list: Sequence[Tensor] | None = None, var_names: Sequence[str] | None = None
    ) -> None:
        """Spares variables the weight decay: those of ``var_list``, and those with one of ``var_names`` in the name.

        ``var_names=["bias"]`` spares all biases; names are searched for as regular expressions.
        """
        pattern = "|".join(sorted(set(var_names))) if var_names else None
        self._excluded = (frozenset(id(v) for v in var_list or ()), pattern)

    def _is_spared(self, variable: Tensor) -> bool:
        ids, pattern = self._excluded
        found = pattern is not None and re.search(pattern, str(getattr(variable, "name", "")))
        return id(variable) in ids or bool(found)

    def _decays(self, parameters: list[Tensor]) -> float | list[float] | None:
        """The weight decay of all variables, or of each."""
        decay = self.weight_decay or None
        if decay is None or self._excluded == (frozenset(), None):
            return decay
        return [0.0 if self._is_spared(v) else decay for v in parameters]

    def _step(
        self, parameters: list[Tensor], gradients: list[Tensor], slots: dict[str, list[Variable]], **more: Any
    ) -> None:
        """``step`` with the options that all share; the numbers that vary are read when the kernel runs."""
        rate = self._learning_rate
        self.step(
            parameters,
            gradients,
            slots,
            learning_rate=rate.array if isinstance(rate, Variable) else self._rate_now,
            weight_decay=self._decays(parameters),
            clipnorm=self.clipnorm or None,
            clipvalue=self.clipvalue or None,
            global_clipnorm=self.global_clipnorm or None,
            **more,
        )

    @property
    def update_count(self) -> _core.Array:
        """The number of the update that ``step`` makes, from 1, as an array that is read when the kernel runs."""
        return self._update_now if self.gradient_accumulation_steps else self._iterations.array

    def _known(self, grads: Sequence[Any], trainable_variables: Sequence[Tensor] | None) -> Sequence[Tensor]:
        ours = self._trainable_variables
        if trainable_variables is not None and len(grads) == len(ours) and same_objects(trainable_variables, ours):
            return ours  # nearly every call
        kind = type(self).__name__
        if trainable_variables is None:
            if not self.built:
                raise ValueError(f"{kind}: gradients without variables need build(trainable_variables) first")
            trainable_variables = self._trainable_variables
        else:
            self.build(trainable_variables)
        if len(grads) != len(trainable_variables):
            raise ValueError(f"{kind}: {len(grads)} gradients for {len(trainable_variables)} variables")
        for variable in trainable_variables:
            if id(variable) not in self._index:
                raise ValueError(
                    f"{kind}: unknown variable {getattr(variable, 'path', variable)!r}; an optimizer steps the "
                    "variables that it was built with, so make a new one for others"
                )
        return trainable_variables

    def _warn_of_missing(self, variables: list[Tensor], present: int) -> None:
        names = [getattr(v, "path", f"of shape {v.shape}") for v in variables]
        if present == 0:
            raise ValueError(f"{type(self).__name__}: no gradients for any variable ({', '.join(names)})")
        warnings.warn(f"Gradients do not exist for variables {names} when minimizing the loss.", stacklevel=3)

    def step(
        self, parameters: list[Tensor], gradients: list[Tensor], slots: dict[str, list[Variable]], **common: Any
    ) -> None:
        """One step of all parameters; ``common`` are the options that all steps share.

        Ours are one op each. This default clips and decays, then calls ``update_step`` for each variable.
        """
        ready = [wrap(_core.Array.zeros(g.shape, g.dtype, g.device)) for g in gradients]
        ops.blend_step(ready, gradients, keep=0, add=1, **{k: v for k, v in common.items() if k != "weight_decay"})
        if common["weight_decay"]:
            decay = {k: common[k] for k in ("learning_rate", "weight_decay")}
            ops.blend_step(parameters, ready, keep=1, add=0, **decay)
        rate = wrap(common["learning_rate"])
        for gradient, variable in zip(ready, parameters, strict=True):
            self.update_step(gradient, variable, rate.to(variable.device).astype(variable.dtype))

    def update_step(self, gradient: Tensor, variable: Any, learning_rate: Tensor) -> None:
        """Moves one variable by its gradient, clipped; subclasses that are not one op define it. Source: Keras."""
        raise NotImplementedError(f"{type(self).__name__}: define update_step(gradient, variable, learning_rate)")

    # --- configuration --------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        from ranvier.saving.registry import serialize_object

        rate = self._learning_rate
        return {
            "name": self.name,
            "learning_rate": float(rate) if isinstance(rate, Variable) else serialize_object(rate),
            "weight_decay": self.weight_decay,
            "clipnorm": self.clipnorm,
            "global_clipnorm": self.global_clipnorm,
            "clipvalue": self.clipvalue,
            "use_ema": self.use_ema,
            "ema_momentum": self.ema_momentum,
            "ema_overwrite_frequency": self.ema_overwrite_frequency,
            "loss_scale_factor": self.loss_scale_factor,
            "gradient_accumulation_steps": self.gradient_accumulation_steps,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
        from ranvier.saving.registry import CustomObjectScope, deserialize_object

        rate = config.get("learning_rate")
        with CustomObjectScope(custom_objects or {}):
            return cls(**{**config, "learning_rate": deserialize_object(rate)} if isinstance(rate, dict) else config)


def same_objects(a: Sequence[Any], b: Sequence[Any]) -> bool:
    """Whether two lists hold the very same objects in the same order."""
    return len(a) == len(b) and all(map(operator.is_, a, b))


def check_fraction(kind: str, name: str, value: Any) -> float:
    """``value`` as a number in 0..1; ValueError names it otherwise."""
    if isinstance(value, (bool, str)) or not 0 <= value <= 1:
        raise ValueError(f"{kind}: {name} must be a number between 0 and 1, got {value!r}")
    return value


def _check_count(kind: str, name: str, value: Any, least: int) -> int | None:
    if not value:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"{kind}: {name} must be a whole number of at least {least} or None, got {value!r}")
    return int(value)
