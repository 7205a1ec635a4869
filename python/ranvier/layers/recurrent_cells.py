"""Cells of recurrent layers: one step each, with their weights."""

from __future__ import annotations

from typing import Any

from ranvier import _tree, activations, constraints, initializers, ops, random, regularizers
from ranvier.layers.arguments import known_axis, positive
from ranvier.layers.layer import Layer
from ranvier.saving.registry import serialize_object

_INITIALIZERS = ("kernel_initializer", "recurrent_initializer", "bias_initializer")
_REGULARIZERS = ("kernel_regularizer", "recurrent_regularizer", "bias_regularizer")
_CONSTRAINTS = ("kernel_constraint", "recurrent_constraint", "bias_constraint")


class _Cell(Layer):
    """What SimpleRNNCell, GRUCell and LSTMCell share: weights of ``gates`` blocks of units, and dropout."""

    gates = 1
    options: tuple[str, ...] = ()  # plain arguments of one cell only, as the configuration has them

    bias_initializer: Any
    bias_regularizer: Any
    bias_constraint: Any

    def __init__(self, arguments: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = positive(type(self).__name__, "units", arguments["units"])
        self.activation = activations.get(arguments["activation"])
        self.recurrent_activation: Any = None
        self.use_bias = arguments["use_bias"]
        for names, kind in ((_INITIALIZERS, initializers), (_REGULARIZERS, regularizers), (_CONSTRAINTS, constraints)):
            for name in names:
                setattr(self, name, kind.get(arguments[name]))
        self.dropout = self._rate("dropout", arguments["dropout"])
        self.recurrent_dropout = self._rate("recurrent_dropout", arguments["recurrent_dropout"])
        self.seed = arguments["seed"]
        self._generator = random.Generator(self.seed) if self.seed is not None else None
        self._dropout_masks: dict[str, Any] = {}
        self.bias: Any = None

    def _rate(self, name: str, value: Any) -> float:
        if not isinstance(value, (int, float)) or not 0 <= value < 1:
            raise ValueError(f"{type(self).__name__}: {name} must be in [0, 1), got {value!r}")
        return float(value)

    @property
    def state_size(self) -> Any:
        return self.units

    @property
    def output_size(self) -> int:
        return self.units

    def get_initial_state(self, batch_size: int) -> list[Any]:
        """Zeros."""
        sizes = self.state_size if isinstance(self.state_size, list) else [self.state_size]
        return [ops.zeros((batch_size, size), self.compute_dtype) for size in sizes]

    def build(self, input_shape: Any, states_shape: Any = None) -> None:
        features, columns = known_axis(self, input_shape, -1), self.gates * self.units
        self.kernel = self._weight("kernel", (features, columns))
        self.recurrent_kernel = self._weight("recurrent", (self.units, columns), "recurrent_kernel")
        if self.use_bias:
            self.bias = self._weight("bias", self._bias_shape())
        self.built = True

    def _bias_shape(self) -> tuple[int, ...]:
        return (self.gates * self.units,)

    def _weight(self, kind: str, shape: tuple[int, ...], name: str | None = None) -> Any:
        return self.add_weight(
            shape,
            getattr(self, f"{kind}_initializer"),
            regularizer=getattr(self, f"{kind}_regularizer"),
            constraint=getattr(self, f"{kind}_constraint"),
            name=name or kind,
        )

    def dropped(self, kind: str, shape: tuple[int, ...], training: bool) -> Any:
        """The mask of ``dropout`` or ``recurrent_dropout``, the same in every step of a sequence; None without."""
        rate = getattr(self, kind)
        if not training or rate == 0:
            return None
        if kind not in self._dropout_masks:
            self._dropout_masks[kind] = ops.dropout(ops.ones(shape, self.compute_dtype), rate, self._generator)
        return self._dropout_masks[kind]

    def reset_dropout_mask(self) -> None:
        self._dropout_masks.pop("dropout", None)

    def reset_recurrent_dropout_mask(self) -> None:
        self._dropout_masks.pop("recurrent_dropout", None)

    def _inputs(self, inputs: Any, h: Any, training: bool) -> tuple[Any, Any]:
        """x and h behind their dropout."""
        for_x = self.dropped("dropout", inputs.shape, training)
        for_h = self.dropped("recurrent_dropout", h.shape, training)
        return inputs if for_x is None else inputs * for_x, h if for_h is None else h * for_h

    @property
    def fused(self) -> bool:
        """Whether the activations are those of the op over whole sequences."""
        return self.activation is activations.tanh and self.recurrent_activation is activations.sigmoid

    def get_config(self) -> dict[str, Any]:
        plain = ("units", "use_bias", "dropout", "recurrent_dropout", "seed", *self.options)
        objects: tuple[str, ...] = ("activation", *_INITIALIZERS, *_REGULARIZERS, *_CONSTRAINTS)
        if self.recurrent_activation is not None:
            objects = ("recurrent_activation", *objects)
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in plain},
            **{name: serialize_object(getattr(self, name)) for name in objects},
        }


def _split(states: Any) -> list[Any]:
    return list(states) if isinstance(states, (list, tuple)) else [states]


def _joined(fresh: list[Any], states: Any) -> Any:
    return fresh if isinstance(states, (list, tuple)) else fresh[0]


class SimpleRNNCell(_Cell):
    """h = activation(x W + h U + b): ``cell(x, h)`` -> (output, new state). Source: Keras ``SimpleRNNCell``.

    >>> import ranvier as rv
    >>> cell = rv.layers.SimpleRNNCell(4)
    >>> output, [h] = cell(rv.ops.ones((2, 3)), [rv.ops.zeros((2, 4))])
    >>> output.shape
    (2, 4)
    """

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(dict(locals()), **kwargs)

    @property
    def fused(self) -> bool:
        return self.activation_name is not None

    @property
    def activation_name(self) -> str | None:
        """The activation as the op over whole sequences calls it; None where it has no such one."""
        known = ("tanh", "relu", "sigmoid", "linear")
        return next((name for name in known if activations.BY_NAME[name] is self.activation), None)

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        (h,) = _split(states)
        inputs, h = self._inputs(inputs, h, training)
        if self.activation_name is not None:
            fresh = ops.simple_rnn_cell(inputs, h, self.kernel, self.recurrent_kernel, self.bias, self.activation_name)
        else:
            z = ops.matmul(inputs, self.kernel) + ops.matmul(h, self.recurrent_kernel)
            fresh = self.activation(z if self.bias is None else z + self.bias)
        return fresh, _joined([fresh], states)


class GRUCell(_Cell):
    """One step of GRU: ``cell(x, h)`` -> (output, new state). Weights and options as in ``GRU``. Source: Keras
    ``GRUCell``.

    >>> import ranvier as rv
    >>> cell = rv.layers.GRUCell(4)
    >>> output, [h] = cell(rv.ops.ones((2, 3)), [rv.ops.zeros((2, 4))])
    >>> [tuple(w.shape) for w in cell.weights]
    [(3, 12), (4, 12), (2, 12)]
    """

    gates = 3
    options = ("reset_after",)

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        reset_after: bool = True,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(dict(locals()), **kwargs)
        self.recurrent_activation = activations.get(recurrent_activation)
        self.reset_after = reset_after

    def _bias_shape(self) -> tuple[int, ...]:
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        (h,) = _split(states)
        before, (inputs, h) = h, self._inputs(inputs, h, training)
        if self.fused and before is h:
            fresh = ops.gru_cell(inputs, h, self.kernel, self.recurrent_kernel, self.bias, self.reset_after)
        else:
            fresh = self._step(inputs, h, before)
        return fresh, _joined([fresh], states)

    def _step(self, inputs: Any, h: Any, before: Any) -> Any:
        """For other activations, and for dropout of the state, which spares the h that z keeps."""
        n = self.units
        x = ops.matmul(inputs, self.kernel)
        bias, recurrent_bias = (self.bias, None) if not self.reset_after or self.bias is None else self.bias
        x = x if bias is None else x + bias
        columns = 3 * n if self.reset_after else 2 * n
        u = ops.matmul(h, self.recurrent_kernel[:, :columns])
        u = u if recurrent_bias is None else u + recurrent_bias
        z = self.recurrent_activation(x[:, :n] + u[:, :n])
        r = self.recurrent_activation(x[:, n : 2 * n] + u[:, n : 2 * n])
        of_h = r * u[:, 2 * n :] if self.reset_after else ops.matmul(r * h, self.recurrent_kernel[:, 2 * n :])
        return z * before + (1.0 - z) * self.activation(x[:, 2 * n :] + of_h)


class LSTMCell(_Cell):
    """One step of LSTM: ``cell(x, [h, c])`` -> (output, [h, c]). Weights and options as in ``LSTM``. Source: Keras
    ``LSTMCell``.

    >>> import ranvier as rv
    >>> cell = rv.layers.LSTMCell(4)
    >>> output, [h, c] = cell(rv.ops.ones((2, 3)), [rv.ops.zeros((2, 4)), rv.ops.zeros((2, 4))])
    >>> output.shape
    (2, 4)
    """

    gates = 4
    options: tuple[str, ...] = ("unit_forget_bias",)

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(dict(locals()), **kwargs)
        self.recurrent_activation = activations.get(recurrent_activation)
        self.unit_forget_bias = unit_forget_bias

    @property
    def state_size(self) -> Any:
        return [self.units, self.units]

    def _weight(self, kind: str, shape: tuple[int, ...], name: str | None = None) -> Any:
        if kind != "bias" or not self.unit_forget_bias:
            return super()._weight(kind, shape, name)
        return self.add_weight(
            shape, self._bias_values, regularizer=self.bias_regularizer, constraint=self.bias_constraint, name="bias"
        )

    def _bias_values(self, shape: Any, dtype: str | None = None) -> Any:
        initial: Any = self.bias_initializer
        first, rest = (initial((n * self.units,), dtype=dtype) for n in (1, 2))
        return ops.concatenate([first, ops.ones((self.units,), dtype or self.dtype), rest], axis=0)

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        h, c = states
        inputs, h = self._inputs(inputs, h, training)
        if self.fused:
            h, c = ops.lstm_cell(inputs, h, c, self.kernel, self.recurrent_kernel, self.bias)
            return h, [h, c]
        z = ops.matmul(inputs, self.kernel) + ops.matmul(h, self.recurrent_kernel)
        z = z if self.bias is None else z + self.bias
        i, f, g, o = (z[:, k * self.units : (k + 1) * self.units] for k in range(4))
        c = self.recurrent_activation(f) * c + self.recurrent_activation(i) * self.activation(g)
        h = self.recurrent_activation(o) * self.activation(c)
        return h, [h, c]


class StackedRNNCells(Layer):
    """Several cells as one: the output of each is the input of the next. Source: Keras ``StackedRNNCells``.

    >>> import ranvier as rv
    >>> layer = rv.layers.RNN([rv.layers.GRUCell(4), rv.layers.LSTMCell(5)])
    >>> layer(rv.ops.ones((2, 6, 3))).shape
    (2, 5)
    """

    def __init__(self, cells: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cells = list(cells)
        for cell in self.cells:
            check_cell(cell)

    @property
    def state_size(self) -> list[Any]:
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self) -> Any:
        return output_size_of(self.cells[-1])

    def get_initial_state(self, batch_size: int) -> list[Any]:
        return [initial_state_of(cell, batch_size, self.compute_dtype) for cell in self.cells]

    def build(self, input_shape: Any, states_shape: Any = None) -> None:
        for cell in self.cells:
            if isinstance(cell, Layer) and not cell.built:
                cell.build(input_shape)
                cell.built = True
            input_shape = (input_shape[0], output_size_of(cell))
        self.built = True

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        fresh = []
        for cell, own in zip(self.cells, states, strict=True):
            inputs, after = step_of(cell, inputs, _split(own), training)
            fresh.append(_split(after))
        return inputs, fresh

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "cells": [serialize_object(cell) for cell in self.cells]}


def check_cell(cell: Any) -> None:
    """Raises ValueError for what is no cell."""
    for name in ("call", "state_size"):
        if not hasattr(cell, name):
            raise ValueError(f"RNN: a cell must have `call(inputs, states)` and `state_size`, {cell!r} has no `{name}`")


def output_size_of(cell: Any) -> Any:
    """How many features a cell's output has: by default as many as its first state."""
    size = getattr(cell, "output_size", None)
    return _tree.flatten(cell.state_size)[0] if size is None else size


def initial_state_of(cell: Any, batch_size: int, dtype: str) -> list[Any]:
    """The state in which a cell begins: its own choice, or zeros."""
    if hasattr(cell, "get_initial_state"):
        return _split(cell.get_initial_state(batch_size=batch_size))
    return [ops.zeros((batch_size, size), dtype) for size in _split(cell.state_size)]


def step_of(cell: Any, inputs: Any, states: Any, training: bool) -> Any:
    """One call of any cell."""
    if isinstance(cell, Layer):
        return cell(inputs, states, training=training)
    return cell.call(inputs, states)
