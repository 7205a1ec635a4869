"""Long short-term memory: a whole sequence, and one step of it."""

from __future__ import annotations

from typing import Any

import ranvier
from ranvier.autograd import Function
from ranvier.tensor import Tensor, as_tensor, wrap

__all__ = ["lstm", "lstm_cell"]


class Lstm(Function):
    optional = (3, 4, 5, 6)

    def forward(
        self, x: Any, kernel: Any, recurrent_kernel: Any, bias: Any, h: Any, c: Any, mask: Any, go_backwards: bool
    ) -> Any:
        self.go_backwards = go_backwards
        outputs, h, c, gates, h_before, c_before = self.kernels.lstm_forward(
            x, kernel, recurrent_kernel, bias, h, c, mask, go_backwards
        )
        self.save(x, kernel, recurrent_kernel, mask, gates, h_before, c_before)
        return outputs, h, c

    def backward(self, doutputs: Tensor, dh: Tensor, dc: Tensor) -> tuple[Tensor | None, ...]:
        self.refuse_create_graph()
        x, kernel, recurrent_kernel, mask, gates, h_before, c_before = self.saved
        dz, initial_dh, initial_dc = self.kernels.lstm_backward(
            recurrent_kernel.array,
            None if mask is None else mask.array,
            gates.array,
            c_before.array,
            doutputs.array,
            dh.array,
            dc.array,
            self.go_backwards,
        )
        rows = x.shape[0] * x.shape[1]
        flat = dz.reshape((rows, dz.shape[-1]))

        def weights(states: Tensor) -> Tensor:  # the gradient of what `states` were multiplied by
            left = states.array.reshape((rows, states.shape[-1]))
            return wrap(self.kernels.matmul_forward(left, flat, True, False))

        return (
            wrap(self.kernels.matmul_forward(dz, kernel.array, False, True)) if self.needs[0] else None,
            weights(x) if self.needs[1] else None,
            weights(h_before) if self.needs[2] else None,
            wrap(self.kernels.column_sums(flat)) if self.needs[3] else None,
            wrap(initial_dh),
            wrap(initial_dc),
            None,
        )


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
    ``mask`` (N, T, bool) is false the states stay and the output is the previous one (zeros before the first).
    ``go_backwards`` reads x from its end; outputs are in the order in which they are made. float32 or float64.
    Raises TypeError for other or different dtypes, ValueError for shapes that do not fit, NotImplementedError from
    backward with ``create_graph``. Source: Keras ``layers.LSTM``; curriculum F44.

    >>> import numpy as np, ranvier as rv
    >>> y, h, c = rv.ops.lstm(np.ones((1, 2, 3)), np.ones((3, 4)), np.ones((1, 4)))
    >>> y.numpy().round(3).tolist()
    [[[0.704], [0.933]]]
    """
    inputs = (x, kernel, recurrent_kernel, bias, initial_h, initial_c, mask)
    outputs, h, c = Lstm.apply(*inputs, go_backwards=go_backwards)
    return outputs, h, c


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
    x = as_tensor(x)
    if x.ndim != 2:
        raise ValueError(f"lstm_cell: x must have rank 2 but has rank {x.ndim} (shape {x.shape})")
    sequence = ranvier.ops.reshape(x, (x.shape[0], 1, x.shape[1]))
    _, next_h, next_c = lstm(sequence, kernel, recurrent_kernel, bias, h, c)
    return next_h, next_c
