"""The state of an optimizer: variables beside those that it steps, and how they are saved."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ranvier import _core, config, initializers
from ranvier.changes import Noticed
from ranvier.tensor import Tensor, array_of, wrap
from ranvier.variable import Variable


class State(Noticed):
    """What an optimizer remembers. Its own part follows from ``slot_groups``, or from ``build`` of a subclass."""

    # Names of the state of each variable, in Keras' order: all of a group for one variable, then for the next.
    slot_groups: tuple[tuple[str, ...], ...] = ()

    name: str
    use_ema: bool
    gradient_accumulation_steps: int | None
    _learning_rate: Any

    def __init__(self) -> None:
        self.built = False
        self._iterations = self._state(np.int64(0), "iteration")
        self._trainable_variables: list[Tensor] = []
        self._index: dict[int, int] = {}
        self._slots: dict[str, list[Variable]] = {}
        self._slot_order: list[Variable] = []
        self._model_variables_moving_average: list[Variable] = []
        self._accumulated_gradients: list[Variable] = []

    def _state(self, value: Any, name: str) -> Variable:
        if not isinstance(value, Tensor):  # numbers that the host reads: never on a GPU
            value = wrap(array_of(value, None, "cpu"))
        return Variable(value, trainable=False, name=name, path=f"{self.name}/{name}")

    def build(self, variables: Iterable[Tensor]) -> None:
        """Makes the state of ``variables``, on their devices and in their dtypes. Does nothing the second time.

        A subclass with state of its own calls this first, then ``add_optimizer_variables`` and its kin.
        """
        if self.built:
            return
        variables = list(variables)
        self._trainable_variables = variables
        self._index = {id(v): i for i, v in enumerate(variables)}
        if self.use_ema:
            self._model_variables_moving_average = self.add_optimizer_variables(variables, "average")
        if self.gradient_accumulation_steps:
            self._accumulated_gradients = self.add_optimizer_variables(variables, "gradient_accumulator")
        for group in self._used_groups():
            lists = self.add_optimizer_variables(variables, group, [self.initial_value(name) for name in group])
            self._slots |= dict(zip(group, lists, strict=True))
        self.built = True

    def _used_groups(self) -> tuple[tuple[str, ...], ...]:
        """The groups of state that this optimizer's options need."""
        return self.slot_groups

    def initial_value(self, slot: str) -> float:
        """What the state called ``slot`` starts from."""
        return 0.0

    # --- variables of a subclass ----------------------------------------------------------------------------

    def add_variable(
        self,
        shape: Sequence[int],
        initializer: Any = "zeros",
        dtype: str | None = None,
        aggregation: str = "none",
        layout: Any = None,
        name: str | None = None,
    ) -> Variable:
        """A variable of ``shape`` among the optimizer's. ``aggregation`` and ``layout`` are without effect."""
        value = _initial(initializer, tuple(shape), dtype or config.floatx())
        variable = self._state(value, name or "variable")
        self._slot_order.append(variable)
        return variable

    def add_variable_from_reference(
        self, reference_variable: Tensor, name: str | None = None, initializer: Any = 0.0
    ) -> Variable:
        """State of one variable: of its shape, dtype and device. ``initializer``: a number, a name or an object."""
        reference = reference_variable
        array = _core.Array.zeros(reference.shape, reference.dtype, reference.device)
        if isinstance(initializer, (int, float)):
            array.copy_from(array_of(np.full(reference.shape, initializer), reference.dtype, reference.device))
        else:
            array.copy_from(array_of(_initial(initializer, reference.shape, reference.dtype), None, reference.device))
        place = self._index.get(id(reference), len(self._slot_order))
        owner = str(getattr(reference, "path", f"variable_{place}")).replace("/", "_")
        variable = self._state(wrap(array), f"{owner}_{name or 'var'}")
        self._slot_order.append(variable)
        return variable

    def add_optimizer_variables(
        self, trainable_variables: Sequence[Tensor], name: Any, initializer: Any = 0.0
    ) -> list[Any]:
        """State of each variable, as a list; for several names (and initial values) one list for each name."""
        if isinstance(name, str):
            return [self.add_variable_from_reference(v, name, initializer) for v in trainable_variables]
        names = list(name)
        each = initializer if isinstance(initializer, (list, tuple)) else [initializer] * len(names)
        if len(each) != len(names):
            raise ValueError(f"add_optimizer_variables: {len(each)} initializers for {len(names)} names")
        lists: list[Any] = [[] for _ in names]
        for variable in trainable_variables:
            for slots, own, initial in zip(lists, names, each, strict=True):
                slots.append(self.add_variable_from_reference(variable, own, initial))
        return lists

    def _get_variable_index(self, variable: Tensor) -> int:
        return self._index[id(variable)]

    def assign(self, variable: Variable, value: Any) -> None:
        """Overwrites a variable; with ``assign_add`` and ``assign_sub``, what ``update_step`` is written with."""
        variable.assign(value)

    def assign_add(self, variable: Variable, value: Any) -> None:
        """Adds to a variable."""
        variable.assign_add(value)

    def assign_sub(self, variable: Variable, value: Any) -> None:
        """Subtracts from a variable."""
        variable.assign_sub(value)

    # --- saving -----------------------------------------------------------------------------------------------

    @property
    def variables(self) -> list[Variable]:
        """Iterations, the learning rate if it is a variable, then the state: what is saved, in a fixed order."""
        rate = [self._learning_rate] if isinstance(self._learning_rate, Variable) else []
        return [self._iterations, *rate, *self._slot_order]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Overwrites ``variables``. Raises ValueError before ``build`` and for other numbers or shapes.

        Nothing is overwritten where one does not fit.
        """
        kind, own = type(self).__name__, self.variables
        if not self.built:
            raise ValueError(f"{kind}: build(trainable_variables) comes before set_weights()")
        if problem := mismatch(kind, [(v.name, tuple(v.shape)) for v in own], [np.shape(w) for w in weights]):
            raise ValueError(problem)
        for variable, weight in zip(own, weights, strict=True):
            variable.assign(weight)

    def save_own_variables(self, store: dict[str, Any]) -> None:
        """Puts the values of ``variables`` into ``store`` under "0", "1", ..."""
        for i, variable in enumerate(self.variables):
            store[str(i)] = variable.numpy()

    def load_own_variables(self, store: dict[str, Any]) -> None:
        """Takes what ``save_own_variables`` put there; raises ValueError for the state of another optimizer."""
        self.set_weights([store[str(i)] for i in range(len(store))])


def _initial(initializer: Any, shape: tuple[int, ...], dtype: str) -> Any:
    make = initializers.get(initializer)
    if make is None:
        raise ValueError("an optimizer's variable needs an initializer")
    return make(shape, dtype=dtype)


def mismatch(kind: str, own: Sequence[tuple[str, Any]], given: Sequence[tuple[int, ...]]) -> str | None:
    """Why arrays of these shapes are not the state of a ``kind`` with these variables, for people; None if they are."""
    names = [name for name, _ in own]
    advice = "was it saved by another optimizer, with other options, or for another model?"
    if len(given) != len(own):
        return f"{kind}: a state of {len(given)} arrays for {len(own)} variables ({', '.join(names)}); {advice}"
    for (name, shape), came in zip(own, given, strict=True):
        if tuple(came) != tuple(shape):
            return f"{kind}: {name!r} has shape {tuple(shape)}, the state has {tuple(came)} there; {advice}"
    return None
