"""SimpleRNN, GRU and LSTM: recurrent layers whose sequences are one kernel call."""

from __future__ import annotations

from typing import Any

from ranvier import ops
from ranvier.layers.recurrent_cells import GRUCell, LSTMCell, SimpleRNNCell
from ranvier.layers.recurrent_rnn import WholeSequence


class SimpleRNN(WholeSequence):
    """h_t = activation(x_t W + h_{t-1} U + b) over time: (N, T, features) -> (N, units), or (N, T, units).

    Weights: kernel (features, units), recurrent_kernel (units, units), bias (units). Sequences, states and masks as
    in ``RNN``. Source: Keras ``SimpleRNN`` (Elman 1990).

    >>> import ranvier as rv
    >>> layer = rv.layers.SimpleRNN(4)
    >>> layer(rv.ops.ones((2, 5, 3))).shape, layer.count_params()
    ((2, 4), 32)
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
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(SimpleRNNCell, dict(locals()), **kwargs)

    def _sequence(self, x: Any, states: Any, mask: Any) -> Any:
        c = self.cell
        return ops.simple_rnn(
            x, c.kernel, c.recurrent_kernel, c.bias, states[0], mask, c.activation_name, self.go_backwards
        )


class GRU(WholeSequence):
    """Gated recurrent units over time: (N, T, features) -> (N, units), or (N, T, units) with ``return_sequences``.

    Gates in the order z, r, h: kernel (features, 3 * units), recurrent_kernel (units, 3 * units), bias (2, 3 * units)
    with ``reset_after``, whose reset gate scales the product of the state; without it r scales the state, and bias is
    (3 * units). Sequences, states and masks as in ``RNN``. Source: Keras ``GRU`` (Cho et al. 2014).

    >>> import ranvier as rv
    >>> layer = rv.layers.GRU(4, return_state=True)
    >>> output, state = layer(rv.ops.ones((2, 5, 3)))
    >>> output.shape, layer.count_params()
    ((2, 4), 108)
    """

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
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        reset_after: bool = True,
        use_cudnn: Any = "auto",
        **kwargs: Any,
    ) -> None:
        super().__init__(GRUCell, dict(locals()), **kwargs)
        self.use_cudnn = use_cudnn

    def _sequence(self, x: Any, states: Any, mask: Any) -> Any:
        c = self.cell
        return ops.gru(x, c.kernel, c.recurrent_kernel, c.bias, states[0], mask, c.reset_after, self.go_backwards)


class LSTM(WholeSequence):
    """Long short-term memory over time: (N, T, features) -> (N, units), or (N, T, units) with ``return_sequences``.

    Gates in the order i, f, c, o: kernel (features, 4 * units), recurrent_kernel (units, 4 * units), bias
    (4 * units), whose forget part begins at 1 with ``unit_forget_bias``. The states are h and c; sequences, states and
    masks as in ``RNN``. Raises ValueError for inputs that are not of rank 3. Source: Keras ``LSTM`` (Hochreiter and
    Schmidhuber 1997; forget bias: Jozefowicz et al. 2015).

    >>> import ranvier as rv
    >>> layer = rv.layers.LSTM(4)
    >>> layer(rv.ops.ones((2, 5, 3))).shape, layer.count_params()
    ((2, 4), 128)
    """

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
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        use_cudnn: Any = "auto",
        **kwargs: Any,
    ) -> None:
        super().__init__(LSTMCell, dict(locals()), **kwargs)
        self.use_cudnn = use_cudnn

    def _sequence(self, x: Any, states: Any, mask: Any) -> Any:
        c = self.cell
        return ops.lstm(x, c.kernel, c.recurrent_kernel, c.bias, states[0], states[1], mask, self.go_backwards)
