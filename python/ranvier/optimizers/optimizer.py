"""Optimizer: state for a list of variables, and one kernel call that steps them all."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ranvier import _core, config
from ranvier.changes import Noticed
from ranvier.schedules import LearningRateSchedule
from ranvier.tensor import Tensor, as_tensor, wrap
from ranvier.variable import Variable

LearningRate = float | LearningRateSchedule | Callable[[], float]

_DROPPED = {
    "lr": "`lr` is now `learning_rate`",
    "decay": "`decay` is gone; pass learning_rate=rv.optimizers.schedules.InverseTimeDecay(learning_rate, 1, decay)",
}
_NOT_YET = ("use_ema", "loss_scale_factor", "gradient_accumulation_steps")


class Optimizer(Noticed):
    """Base of all optimizers: learning rate, clipping, weight decay, the number of steps taken, and saved state.

    ``learning_rate``: a number, a ``LearningRateSchedule`` (called with the number of steps taken) or a function of
    nothing. ``weight_decay`` shrinks each variable by learning_rate * weight_decay of itself before a step. At most one
    of ``clipnorm`` (each gradient), ``clipvalue`` (each element) and ``global_clipnorm`` (all gradients together) is
    given, else ValueError; arguments that Keras 3 dropped (``lr``, ``decay``) raise a TypeError that names today's
    form. Source: Keras 3 ``Optimizer``.

    >>> import ranvier as rv
    >>> w = rv.Variable([1.0, 2.0])
    >>> optimizer = rv.optimizers.SGD(learning_rate=0.5)
    >>> optimizer.apply_gradients([(rv.Tensor([1.0, 1.0]), w)])
    1
    >>> w.numpy()
    array([0.5, 1.5], dtype=float32)
    """

    # Names of the state of each variable, in Keras' order: all of a group for one variable, then for the next.
    slot_groups: tuple[tuple[str, ...], ...] = ()

    def __init__(
        self,
        learning_rate: LearningRate,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        kind = type(self).__name__
        self._refuse(kind, kwargs)
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
        self.built = False
        self._iterations = self._state(np.int64(0), "iteration")
        self._rate_now = _core.Array.zeros((), "float64")  # of a schedule or function, for the step to come
        self._learning_rate: Any = None
        self._set_learning_rate(learning_rate)
        self._trainable_variables: list[Tensor] = []
        self._index: dict[int, int] = {}
        self._slots: dict[str, list[Variable]] = {}
        self._slot_order: list[Variable] = []

    def _refuse(self, kind: str, kwargs: dict[str, Any]) -> None:
        for name, value in kwargs.items():
            if name in _DROPPED:
                raise TypeError(f"{kind}: {_DROPPED[name]}")
            if name in _NOT_YET:
                if value:
                    raise NotImplementedError(f"{kind}: {name} is not supported yet, got {name}={value!r}")
            elif name not in ("ema_momentum", "ema_overwrite_frequency"):
                raise TypeError(f"{kind}: unknown argument {name!r}")

    def _state(self, value: Any, name: str) -> Variable:
        return Variable(value, trainable=False, name=name, path=f"{self.name}/{name}")

    # --- learning rate and iterations ---------------------------------------------------------------------

    @property
    def iterations(self) -> Variable:
        """The number of steps taken, an int64 scalar."""
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

    # --- state --------------------------------------------------------------------------------------------

    def build(self, variables: Iterable[Tensor]) -> None:
        """Makes the state of ``variables``, on their devices and in their dtypes. Does nothing the second time."""
        if self.built:
            return
        self._trainable_variables = list(variables)
        self._index = {id(v): i for i, v in enumerate(self._trainable_variables)}
        self._slots = {name: [] for group in self._used_groups() for name in group}
        for group in self._used_groups():
            for i, variable in enumerate(self._trainable_variables):
                for name in group:
                    slot = self._slot(variable, i, name)
                    self._slots[name].append(slot)
                    self._slot_order.append(slot)
        self.built = True

    def _slot(self, variable: Tensor, index: int, name: str) -> Variable:
        array = _core.Array.zeros(variable.shape, variable.dtype, variable.device)
        if initial := self.initial_value(name):
            array.numpy()[...] = initial
        owner = str(getattr(variable, "path", f"variable_{index}")).replace("/", "_")
        return self._state(wrap(array), f"{owner}_{name}")

    def _used_groups(self) -> tuple[tuple[str, ...], ...]:
        """The groups of state that this optimizer's options need."""
        return self.slot_groups

    def initial_value(self, slot: str) -> float:
        """What the state called ``slot`` starts from."""
        return 0.0

    @property
    def variables(self) -> list[Variable]:
        """Iterations, the learning rate if it is a variable, then the state: what is saved, in a fixed order."""
        rate = [self._learning_rate] if isinstance(self._learning_rate, Variable) else []
        return [self._iterations, *rate, *self._slot_order]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Overwrites ``variables``. Raises ValueError before ``build`` and for other numbers or shapes."""
        if not self.built:
            raise ValueError(f"{type(self).__name__}: build(trainable_variables) comes before set_weights()")
        if len(weights) != len(self.variables):
            raise ValueError(f"{type(self).__name__}: {len(weights)} weights for {len(self.variables)} variables")
        for variable, weight in zip(self.variables, weights, strict=True):
            variable.assign(weight)

    def save_own_variables(self, store: dict[str, Any]) -> None:
        """Puts the values of ``variables`` into ``store`` under "0", "1", ..."""
        for i, variable in enumerate(self.variables):
            store[str(i)] = variable.numpy()

    def load_own_variables(self, store: dict[str, Any]) -> None:
        """Takes what ``save_own_variables`` put there."""
        self.set_weights([store[str(i)] for i in range(len(store))])

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
        if not _core._is_recording():
            self.prepare()
        _core._increment(self._iterations.array)  # no tape holds it: no version to raise
        try:
            self._step(parameters, gradients, slots)
        except Exception:
            self._iterations.array.numpy()[...] -= 1
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

    def _step(self, parameters: list[Tensor], gradients: list[Tensor], slots: dict[str, list[Variable]]) -> None:
        """``step`` with the options that all share; the numbers that vary are read when the kernel runs."""
        rate = self._learning_rate
        self.step(
            parameters,
            gradients,
            slots,
            learning_rate=rate.array if isinstance(rate, Variable) else self._rate_now,
            weight_decay=self.weight_decay or None,
            clipnorm=self.clipnorm or None,
            clipvalue=self.clipvalue or None,
            global_clipnorm=self.global_clipnorm or None,
        )

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
        """The op of this optimizer on all parameters; ``common`` are the options that all steps share."""
        raise NotImplementedError(f"{type(self).__name__}: define step()")

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
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        from ranvier.saving.registry import deserialize_object

        rate = config.get("learning_rate")
        return cls(**{**config, "learning_rate": deserialize_object(rate)} if isinstance(rate, dict) else config)


def same_objects(a: Sequence[Any], b: Sequence[Any]) -> bool:
    """Whether two lists hold the very same objects in the same order."""
    return len(a) == len(b) and all(map(operator.is_, a, b))


def check_fraction(kind: str, name: str, value: Any) -> float:
    """``value`` as a number in 0..1; ValueError names it otherwise."""
    if isinstance(value, (bool, str)) or not 0 <= value <= 1:
        raise ValueError(f"{kind}: {name} must be a number between 0 and 1, got {value!r}")
    return value
