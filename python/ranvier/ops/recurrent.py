"""Recurrent layers: long short-term memory, gated recurrent units and the simple one, whole sequences and one step."""

from __future__ import annotations

from typing import Any

import ranvier
from ranvier.autograd import Function
from ranvier.tensor import Tensor, as_tensor, wrap

__all__ = ["gru", "gru_cell", "lstm", "lstm_cell", "simple_rnn", "simple_rnn_cell"]


def _arrays(*saved: Tensor | None) -> list[Any]:
    return [None if tensor is None else tensor.array for tensor in saved]


def _tensors(found: tuple[Any, ...]) -> list[Tensor | None]:
    return [None if gradient is None else wrap(gradient) for gradient in found]


class Lstm(Function):
    optional = (3, 4, 5, 6)
    narrow = ()

    def forward(
        self, x: Any, kernel: Any, recurrent_kernel: Any, bias: Any, h: Any, c: Any, mask: Any, go_backwards: bool
    ) -> Any:
        self.go_backwards = go_backwards
        training = any(self.needs)
        outputs, last_h, last_c, gates, c_before = self.kernels.lstm_forward(
            x, kernel, recurrent_kernel, bias, h, c, mask, go_backwards, training
        )
        if training:
            self.save(x, kernel, recurrent_kernel, h, mask, outputs, gates, c_before)
        return outputs, last_h, last_c

    def backward(self, doutputs: Tensor, dh: Tensor, dc: Tensor) -> tuple[Tensor | None, ...]:
        self.refuse_create_graph()
        found = self.kernels.lstm_backward(*_arrays(*self.saved, doutputs, dh, dc), self.go_backwards, self.needs[:4])
        return (*_tensors(found), None)


class Gru(Function):
    optional = (3, 4, 5)
    narrow = ()

    def forward(
        self, x: Any, kernel: Any, recurrent_kernel: Any, bias: Any, h: Any, mask: Any, reset_after: bool,
        go_backwards: bool,
    ) -> Any:  # fmt: skip
        self.options = (reset_after, go_backwards)
        training = any(self.needs)
        outputs, last_h, gates = self.kernels.gru_forward(
            x, kernel, recurrent_kernel, bias, h, mask, reset_after, go_backwards, training
        )
        if training:
            self.save(x, kernel, recurrent_kernel, h, mask, outputs, gates)
        return outputs, last_h

    def backward(self, doutputs: Tensor, dh: Tensor) -> tuple[Tensor | None, ...]:
        self.refuse_create_graph()
        found = self.kernels.gru_backward(*_arrays(*self.saved, doutputs, dh), *self.options, self.needs[:4])
        return (*_tensors(found), None)


class SimpleRnn(Function):
    optional = (3, 4, 5)
    narrow = ()

    def forward(
        self, x: Any, kernel: Any, recurrent_kernel: Any, bias: Any, h: Any, mask: Any, activation: str,
        go_backwards: bool,
    ) -> Any:  # fmt: skip
        self.options = (activation, go_backwards)
        outputs, last_h = self.kernels.simple_rnn_forward(
            x, kernel, recurrent_kernel, bias, h, mask, activation, go_backwards
        )
        self.save(x, kernel, recurrent_kernel, h, mask, outputs)
        return outputs, last_h

    def backward(self, doutputs: Tensor, dh: Tensor) -> tuple[Tensor | None, ...]:
        self.refuse_create_graph()
        found = self.kernels.simple_rnn_backward(*_arrays(*self.saved, doutputs, dh), *self.options, self.needs[:4])
        return (*_tensors(found), None)


def lstm(
    x: Any,
    kernel: Any,
    recurrent_kernel: Any,
    bias: Any = None,
    initial_h: Any = None,
    initial_c: Any = None,
    mask: Any = None,
    go_backwards: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """Long short-term memory over a sequence: x (N, T, I) -> outputs (N, T, H), final h (N, H), final c (N, H).

    ``kernel`` (I, 4H), ``recurrent_kernel`` (H, 4H) and ``bias`` (4H) hold the gates in Keras' order: input, forget,
    cell, output; sigmoid gates, tanh cell. The states start at zero or at ``initial_h`` and ``initial_c`` (N, H). Where
    ``mask`` (N, T) is false the states stay and the output is the previous one (zeros before the first); such steps
    cost next to nothing, so sequences of different lengths are masked beyond their ends. ``go_backwards`` reads x from
    its end; outputs are in the order in which they are made. float32 or float64. Raises TypeError for other or
    different dtypes, ValueError for shapes that do not fit, NotImplementedError from backward with ``create_graph``.
    Source: Keras ``layers.LSTM``; curriculum F44.

    >>> import numpy as np, ranvier as rv
    >>> y, h, c = rv.ops.lstm(np.ones((1, 2, 3)), np.ones((3, 4)), np.ones((1, 4)))
    >>> y.numpy().round(3).tolist()
    [[[0.704], [0.933]]]
    """
    inputs = (x, kernel, recurrent_kernel, bias, initial_h, initial_c, mask)
    outputs, h, c = Lstm.apply(*inputs, go_backwards=go_backwards)
    return outputs, h, c


def gru(
    x: Any,
    kernel: Any,
    recurrent_kernel: Any,
    bias: Any = None,
    initial_h: Any = None,
    mask: Any = None,
    reset_after: bool = True,
    go_backwards: bool = False,
) -> tuple[Tensor, Tensor]:
    """Gated recurrent units over a sequence: x (N, T, I) -> outputs (N, T, H), final h (N, H).

    ``kernel`` (I, 3H) and ``recurrent_kernel`` (H, 3H) hold the gates in Keras' order: update z, reset r, candidate h;
    h_t = z h_{t-1} + (1 - z) h. With ``reset_after`` the reset gate scales the product of the state and its kernel,
    and ``bias`` (2, 3H) is one row beside x and one beside the state; without it r scales the state itself, and
    ``bias`` is (3H). Initial state, mask, direction, dtypes and errors as in ``lstm``. Source: Keras ``layers.GRU``
    (Cho et al. 2014).

    >>> import numpy as np, ranvier as rv
    >>> y, h = rv.ops.gru(np.ones((1, 2, 3)), np.ones((3, 3)), np.ones((1, 3)))
    >>> y.numpy().round(3).tolist()
    [[[0.047], [0.09]]]
    """
    inputs = (x, kernel, recurrent_kernel, bias, initial_h, mask)
    outputs, h = Gru.apply(*inputs, reset_after=reset_after, go_backwards=go_backwards)
    return outputs, h


def simple_rnn(
    x: Any,
    kernel: Any,
    recurrent_kernel: Any,
    bias: Any = None,
    initial_h: Any = None,
    mask: Any = None,
    activation: str = "tanh",
    go_backwards: bool = False,
) -> tuple[Tensor, Tensor]:
    """h_t = activation(x_t W + h_{t-1} U + b) over a sequence: x (N, T, I) -> outputs (N, T, H), final h (N, H).

    ``kernel`` W is (I, H), ``recurrent_kernel`` U (H, H), ``bias`` (H); ``activation`` is ``"tanh"``, ``"relu"``,
    ``"sigmoid"`` or ``"linear"``. Initial state, mask, direction, dtypes and errors as in ``lstm``. Source: Keras
    ``layers.SimpleRNN`` (Elman 1990).

    >>> import numpy as np, ranvier as rv
    >>> y, h = rv.ops.simple_rnn(np.ones((1, 2, 3)), np.ones((3, 1)), np.ones((1, 1)), activation="relu")
    >>> y.numpy().tolist()
    [[[3.0], [6.0]]]
    """
    inputs = (x, kernel, recurrent_kernel, bias, initial_h, mask)
    outputs, h = SimpleRnn.apply(*inputs, activation=activation, go_backwards=go_backwards)
    return outputs, h


def _one_step(op: str, x: Any) -> Tensor:
    """x (N, I) as a sequence of one step."""
    x = as_tensor(x)
    if x.ndim != 2:
        raise ValueError(f"{op}: x must have rank 2 but has rank {x.ndim} (shape {x.shape})")
    return ranvier.ops.reshape(x, (x.shape[0], 1, x.shape[1]))


def lstm_cell(x: Any, h: Any, c: Any, kernel: Any, recurrent_kernel: Any, bias: Any = None) -> tuple[Tensor, Tensor]:
    """One step of ``lstm``: x (N, I), h and c (N, H) -> the next h and c (N, H).

    A sequence of length one: the same weights, dtypes and errors as ``lstm``. Source: Keras ``layers.LSTMCell``;
    curriculum F44.

    >>> import numpy as np, ranvier as rv
    >>> zero = np.zeros((1, 1))
    >>> h, c = rv.ops.lstm_cell(np.ones((1, 3)), zero, zero, np.ones((3, 4)), np.ones((1, 4)))
    >>> h.numpy().round(3)
    array([[0.704]])
    """
    _, next_h, next_c = lstm(_one_step("lstm_cell", x), kernel, recurrent_kernel, bias, h, c)
    return next_h, next_c


def gru_cell(x: Any, h: Any, kernel: Any, recurrent_kernel: Any, bias: Any = None, reset_after: bool = True) -> Tensor:
    """One step of ``gru``: x (N, I), h (N, H) -> the next h (N, H). Source: Keras ``layers.GRUCell``.

    >>> import numpy as np, ranvier as rv
    >>> rv.ops.gru_cell(np.ones((1, 3)), np.zeros((1, 1)), np.ones((3, 3)), np.ones((1, 3))).numpy().round(3)
    array([[0.047]])
    """
    return gru(_one_step("gru_cell", x), kernel, recurrent_kernel, bias, h, reset_after=reset_after)[1]


def simple_rnn_cell(
    x: Any, h: Any, kernel: Any, recurrent_kernel: Any, bias: Any = None, activation: str = "tanh"
) -> Tensor:
    """One step of ``simple_rnn``: x (N, I), h (N, H) -> the next h (N, H). Source: Keras ``layers.SimpleRNNCell``.

    >>> import numpy as np, ranvier as rv
    >>> rv.ops.simple_rnn_cell(np.ones((1, 3)), np.ones((1, 1)), np.ones((3, 1)), np.ones((1, 1))).numpy().round(3)
    array([[0.999]])
    """
    return simple_rnn(_one_step("simple_rnn_cell", x), kernel, recurrent_kernel, bias, h, activation=activation)[1]
