"""RNN of any cell, and what the layers with a kernel for whole sequences share."""

from __future__ import annotations

import inspect
from typing import Any

from ranvier import _tree, ops
from ranvier.layers.input_spec import InputSpec
from ranvier.layers.layer import Layer
from ranvier.layers.recurrent_cells import StackedRNNCells, check_cell, initial_state_of, output_size_of, step_of
from ranvier.saving.registry import serialize_object
from ranvier.variable import Variable


class RNN(Layer):
    """A cell over time: (N, T, ...) -> (N, output_size), or (N, T, output_size) with ``return_sequences``.

    A cell is a layer, or any object, with ``call(inputs, states) -> (output, new_states)`` and ``state_size`` (a
    number, or a list of them); a list of cells is stacked. ``return_state`` adds the last states to the result,
    ``initial_state=[...]`` begins with them, ``stateful`` begins each batch where the last ended until
    ``reset_state()``. Where ``mask`` (N, T) is False a step changes nothing and repeats the output before it, or gives
    zeros with ``zero_output_for_mask``. ``go_backwards`` reads, and returns, the steps in reverse. Raises ValueError
    for what is no cell and for states that do not fit. Source: Keras ``RNN``.

    >>> import ranvier as rv
    >>> rv.layers.RNN(rv.layers.SimpleRNNCell(4), return_sequences=True)(rv.ops.ones((2, 5, 3))).shape
    (2, 5, 4)
    """

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.cell: Any = StackedRNNCells(cell) if isinstance(cell, (list, tuple)) else cell
        check_cell(self.cell)
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.stateful = stateful
        self.unroll = unroll
        self.zero_output_for_mask = zero_output_for_mask
        self.states: Any = None
        self._begins_anew = True
        self.supports_masking = True

    _not_scanned = Layer._not_scanned | {"states"}  # they are no weights

    @property
    def state_size(self) -> list[Any]:
        size = self.cell.state_size
        return list(size) if isinstance(size, (list, tuple)) else [size]

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        if isinstance(self.cell, Layer) and not self.cell.built:
            self.cell.build((sequences_shape[0], *sequences_shape[2:]))
            self.cell.built = True
        self.built = True

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False) -> Any:
        states = self._initial_states(sequences, initial_state)
        mask = ops.cast(_tree.flatten(mask)[0], "bool") if mask is not None else None
        self._reset_dropout(self.cell)
        outputs, states = self._run(sequences, states, mask, training)
        self._reset_dropout(self.cell)
        if self.stateful:
            for kept, state in zip(_tree.flatten(self.states), _tree.flatten(states), strict=True):
                kept.assign(state)
            self._begins_anew = False
        if self.zero_output_for_mask and mask is not None:
            shown = ops.flip(mask, axis=1) if self.go_backwards else mask
            outputs = ops.where(ops.expand_dims(shown, -1), outputs, ops.zeros_like(outputs))
        result = outputs if self.return_sequences else self._last(outputs, states, mask)
        return [result, *states] if self.return_state else result

    def _last(self, outputs: Any, states: Any, mask: Any) -> Any:
        if outputs.shape[1] == 0:
            raise ValueError(f"{type(self).__name__} {self.name!r}: a sequence of no steps has no last output")
        return outputs[:, -1]

    def _initial_states(self, sequences: Any, initial_state: Any) -> Any:
        """As given, as kept from the last batch, or None: those in which the cell begins."""
        if self.stateful:
            self._make_states(sequences.shape[0])
        if initial_state is None:
            if not self.stateful:
                return None
            initial_state = _tree.map_structure(lambda state: state + 0.0, self.states)  # they change before backward
        wanted = self._state_shapes(sequences.shape[0])
        states = list(initial_state) if isinstance(initial_state, (list, tuple)) else [initial_state]
        flat = _tree.flatten(states)
        if len(flat) != len(wanted):
            raise ValueError(
                f"{type(self).__name__} {self.name!r}: initial_state must hold {len(wanted)} tensors, got {len(flat)}"
            )
        for state, shape in zip(flat, wanted, strict=True):
            if tuple(state.shape) != shape:
                raise ValueError(
                    f"{type(self).__name__} {self.name!r}: the initial state must have shape {shape}, got "
                    f"{tuple(state.shape)}"
                    + (" (stateful: every batch must have the same size)" if self.stateful else "")
                )
        return states

    def _state_shapes(self, batch_size: int) -> list[tuple[int, ...]]:
        return [(batch_size, size) for size in _tree.flatten(self.state_size)]

    def _make_states(self, batch_size: int) -> None:
        """Variables, written in place: a recorded step finds them again."""
        if self.states is None or (self._begins_anew and _tree.flatten(self.states)[0].shape[0] != batch_size):
            initial = initial_state_of(self.cell, batch_size, self.compute_dtype)
            self.states = _tree.map_structure(lambda state: Variable(state, trainable=False, name="rnn_state"), initial)

    def reset_state(self) -> None:
        """Forgets the state that ``stateful`` keeps; the next batch may have another size."""
        for state in _tree.flatten(self.states or []):
            state.assign(ops.zeros_like(state.value))
        self._begins_anew = True

    reset_states = reset_state

    def _reset_dropout(self, cell: Any) -> None:
        for inner in getattr(cell, "cells", [cell]):
            for name in ("reset_dropout_mask", "reset_recurrent_dropout_mask"):
                getattr(inner, name, lambda: None)()

    def _run(self, x: Any, states: Any, mask: Any, training: bool) -> tuple[Any, Any]:
        """Outputs of all steps, and the last states: one call of the cell after another."""
        n, steps = x.shape[:2]
        states = initial_state_of(self.cell, n, self.compute_dtype) if states is None else states
        output, outputs = ops.zeros((n, output_size_of(self.cell)), self.compute_dtype), []
        for t in reversed(range(steps)) if self.go_backwards else range(steps):
            fresh, after = step_of(self.cell, x[:, t], states, training)
            after = after if isinstance(after, (list, tuple)) else [after]
            if mask is None:
                output, states = fresh, list(after)
            else:
                alive = ops.expand_dims(mask[:, t], -1)
                output = ops.where(alive, fresh, output)
                pairs = zip(_tree.flatten(list(after)), _tree.flatten(states), strict=True)
                states = _tree.pack(states, [ops.where(alive, new, old) for new, old in pairs])
            outputs.append(output)
        return ops.stack(outputs, axis=1) if outputs else ops.zeros(
            (n, 0, *output.shape[1:]), self.compute_dtype
        ), states

    def compute_output_shape(self, sequences_shape: Any, initial_state_shape: Any = None) -> Any:
        n, steps = sequences_shape[:2]
        size = output_size_of(self.cell)
        shape = (n, steps, size) if self.return_sequences else (n, size)
        states = [[(n, s) for s in size] if isinstance(size, (list, tuple)) else (n, size) for size in self.state_size]
        return [shape, *states] if self.return_state else shape

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        mask = _tree.flatten(previous_mask)[0] if self.return_sequences else None
        return [mask, *(None for _ in _tree.flatten(self.state_size))] if self.return_state else mask

    def get_config(self) -> dict[str, Any]:
        plain = (
            "return_sequences", "return_state", "go_backwards", "stateful", "unroll", "zero_output_for_mask",
        )  # fmt: skip
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in plain},
            "cell": serialize_object(self.cell),
        }


class WholeSequence(RNN):
    """A layer with a cell of its own, and an op that runs whole sequences of it."""

    def __init__(self, cell_class: Any, arguments: dict[str, Any], **kwargs: Any) -> None:
        """``arguments``: all of the subclass's, from which the cell takes its own."""
        names = [name for name in inspect.signature(cell_class.__init__).parameters if name not in ("self", "kwargs")]
        common = {name: kwargs[name] for name in ("dtype", "trainable") if name in kwargs}
        kwargs.pop("implementation", None)  # of no meaning here: there is one
        cell = cell_class(**{name: arguments[name] for name in names}, **common)
        of_rnn = ("return_sequences", "return_state", "go_backwards", "stateful", "unroll")
        super().__init__(
            cell,
            **{name: arguments[name] for name in of_rnn},
            activity_regularizer=arguments["activity_regularizer"],
            **kwargs,
        )
        self.input_spec = InputSpec(ndim=3)

    def __getattr__(self, name: str) -> Any:
        """units, kernel_initializer, dropout...: what the cell was made with."""
        if name.startswith("_") or "cell" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self.__dict__["cell"], name)

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        super().build(sequences_shape)
        self.input_spec = InputSpec(ndim=3, axes={-1: sequences_shape[-1]})

    def _last(self, outputs: Any, states: Any, mask: Any) -> Any:
        # the last output is h, but where every step is masked: there it is zero, and h the initial one
        return states[0] if mask is None else outputs[:, -1]

    def _needs_steps(self, training: bool) -> bool:
        """Whether the op, which has the usual activations and no dropout of states, does not serve."""
        return not self.cell.fused or (training and self.cell.recurrent_dropout > 0)

    def _run(self, x: Any, states: Any, mask: Any, training: bool) -> tuple[Any, Any]:
        if self._needs_steps(training):
            return super()._run(x, states, mask, training)
        n, _, features = x.shape
        kept = self.cell.dropped("dropout", (n, features), training)
        x = x if kept is None else x * ops.expand_dims(kept, 1)
        outputs, *states = self._sequence(x, states or [None] * len(self.state_size), mask)
        return outputs, states

    def _sequence(self, x: Any, states: Any, mask: Any) -> Any:
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        of_rnn, of_cell = super().get_config(), self.cell.get_config()
        del of_rnn["cell"]
        return {**{k: v for k, v in of_cell.items() if k not in ("name", "trainable", "dtype")}, **of_rnn}
