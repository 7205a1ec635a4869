"""ConvLSTM1D and ConvLSTM2D: LSTM whose products are convolutions, over sequences of signals or images."""

from __future__ import annotations

from typing import Any

from ranvier import activations, ops
from ranvier.layers.arguments import check_data_format, check_padding, checked_places, known_axis, output_size, sizes
from ranvier.layers.convolution import as_image, as_pair
from ranvier.layers.input_spec import InputSpec
from ranvier.layers.recurrent_cells import LSTMCell, _Cell
from ranvier.layers.recurrent_rnn import WholeSequence


class _ConvLSTMCell(LSTMCell):
    """One step: gates i, f, c, o from conv(x) + conv(h) + b. The state has the places that the window takes on x."""

    options: tuple[str, ...] = ("unit_forget_bias", "kernel_size", "strides", "padding", "data_format", "dilation_rate")

    def __init__(
        self,
        rank: int,
        filters: int,
        kernel_size: Any,
        strides: Any,
        padding: str,
        data_format: str | None,
        dilation_rate: Any,
        activation: Any,
        recurrent_activation: Any,
        use_bias: bool,
        kernel_initializer: Any,
        recurrent_initializer: Any,
        bias_initializer: Any,
        unit_forget_bias: bool,
        kernel_regularizer: Any,
        recurrent_regularizer: Any,
        bias_regularizer: Any,
        kernel_constraint: Any,
        recurrent_constraint: Any,
        bias_constraint: Any,
        dropout: float,
        recurrent_dropout: float,
        seed: int | None,
        **kwargs: Any,
    ) -> None:
        _Cell.__init__(self, {**locals(), "units": filters}, **kwargs)
        name = f"ConvLSTM{rank}D"
        check_data_format(name, data_format)
        self.rank = rank
        self.filters = filters
        self.kernel_size = sizes(name, "kernel_size", kernel_size, rank)
        self.strides = sizes(name, "strides", strides, rank)
        self.padding = check_padding(name, padding)
        self.data_format = data_format or "channels_last"
        self.dilation_rate = sizes(name, "dilation_rate", dilation_rate, rank)
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(f"{name}: strides > 1 are not supported together with dilation_rate > 1")
        self.recurrent_activation = activations.get(recurrent_activation)
        self.unit_forget_bias = unit_forget_bias

    def places(self, shape: Any) -> tuple[Any, ...]:
        """The state's shape for inputs (N, ..., C), without N."""
        parts = zip(shape[1:-1], self.kernel_size, self.strides, self.dilation_rate, strict=True)
        return (*(output_size(size, k, s, self.padding, d) for size, k, s, d in parts), self.filters)

    def build(self, input_shape: Any, states_shape: Any = None) -> None:
        checked_places(self, input_shape, self.places(input_shape))
        if None in input_shape[1:-1]:
            raise ValueError(f"ConvLSTM: the sizes of the images must be known, got {tuple(input_shape)}")
        self.state_shape = tuple(map(int, self.places(input_shape)))
        channels = known_axis(self, input_shape, -1)
        self.kernel = self._weight("kernel", (*self.kernel_size, channels, 4 * self.filters))
        recurrent = (*self.kernel_size, self.filters, 4 * self.filters)
        self.recurrent_kernel = self._weight("recurrent", recurrent, "recurrent_kernel")
        if self.use_bias:
            self.bias = self._weight("bias", self._bias_shape())
        self.built = True

    def get_initial_state(self, batch_size: int) -> list[Any]:
        return [ops.zeros((batch_size, *self.state_shape), self.compute_dtype) for _ in range(2)]

    def _conv(self, x: Any, kernel: Any, bias: Any, strides: Any, padding: str, dilation: Any) -> Any:
        kernel = ops.expand_dims(kernel, 0) if self.rank == 1 else kernel
        y = ops.conv2d(as_image(x), kernel, bias, as_pair(strides), padding, as_pair(dilation))
        return y[:, 0] if self.rank == 1 else y

    def project(self, inputs: Any) -> Any:
        """What the inputs add to the gates: for all steps at once."""
        return self._conv(inputs, self.kernel, self.bias, self.strides, self.padding, self.dilation_rate)

    def advance(self, projected: Any, states: Any, training: bool) -> tuple[Any, list[Any]]:
        """One step from what ``project`` gave."""
        h, c = states
        kept = self.dropped("recurrent_dropout", tuple(h.shape), training)
        one = (1,) * self.rank
        z = projected + self._conv(h if kept is None else h * kept, self.recurrent_kernel, None, one, "same", one)
        i, f, g, o = ops.split(z, 4, axis=-1)
        c = self.recurrent_activation(f) * c + self.recurrent_activation(i) * self.activation(g)
        h = self.recurrent_activation(o) * self.activation(c)
        return h, [h, c]

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        kept = self.dropped("dropout", tuple(inputs.shape), training)
        return self.advance(self.project(inputs if kept is None else inputs * kept), states, training)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config["filters"] = config.pop("units")
        return config


class _ConvLSTM(WholeSequence):
    """ConvLSTM of any rank: one convolution over the inputs of all steps, then one of the state in each."""

    def __init__(self, rank: int, arguments: dict[str, Any], **kwargs: Any) -> None:
        flags = {"unroll": kwargs.pop("unroll", False), "rank": rank}
        super().__init__(_ConvLSTMCell, {**arguments, **flags}, **kwargs)
        self.input_spec = InputSpec(ndim=rank + 3)

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        super().build(sequences_shape)
        self.input_spec = InputSpec(ndim=self.cell.rank + 3, axes={-1: sequences_shape[-1]})

    def _state_shapes(self, batch_size: int) -> list[tuple[int, ...]]:
        return [(batch_size, *self.cell.state_shape)] * 2

    def _run(self, x: Any, states: Any, mask: Any, training: bool) -> tuple[Any, Any]:
        cell, (n, steps) = self.cell, x.shape[:2]
        states = cell.get_initial_state(n) if states is None else states
        kept = cell.dropped("dropout", (n, *x.shape[2:]), training)
        x = x if kept is None else x * ops.expand_dims(kept, 1)
        gates = cell.project(ops.reshape(x, (n * steps, *x.shape[2:])))
        gates = ops.reshape(gates, (n, steps, *gates.shape[1:]))
        output, outputs = ops.zeros_like(states[0]), []
        for t in reversed(range(steps)) if self.go_backwards else range(steps):
            fresh, after = cell.advance(gates[:, t], states, training)
            if mask is None:
                output, states = fresh, after
            else:
                alive = ops.reshape(mask[:, t], (n,) + (1,) * (cell.rank + 1))
                output = ops.where(alive, fresh, output)
                states = [ops.where(alive, new, old) for new, old in zip(after, states, strict=True)]
            outputs.append(output)
        return ops.stack(outputs, axis=1) if outputs else ops.zeros(
            (n, 0, *output.shape[1:]), self.compute_dtype
        ), states

    def compute_output_shape(self, sequences_shape: Any, initial_state_shape: Any = None) -> Any:
        n, steps, *rest = sequences_shape
        state = (n, *checked_places(self, sequences_shape, self.cell.places((n, *rest))))
        shape = (n, steps, *state[1:]) if self.return_sequences else state
        return [shape, state, state] if self.return_state else shape


class ConvLSTM1D(_ConvLSTM):
    """LSTM over signals: (N, T, L, C) -> (N, L', filters), or (N, T, L', filters) with ``return_sequences``.

    As ``ConvLSTM2D``, along one axis. Source: Keras ``ConvLSTM1D``; Shi et al. 2015.

    >>> import ranvier as rv
    >>> rv.layers.ConvLSTM1D(4, 3, padding="same")(rv.ops.ones((2, 5, 8, 3))).shape
    (2, 8, 4)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
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
        **kwargs: Any,
    ) -> None:
        super().__init__(1, dict(locals()), **kwargs)


class ConvLSTM2D(_ConvLSTM):
    """LSTM over images: (N, T, H, W, C) -> (N, H', W', filters); all steps with ``return_sequences``.

    The inputs go through a convolution with ``kernel_size``, ``strides``, ``padding`` and ``dilation_rate``, the state
    through one that keeps its places. The other options are those of ``LSTM``. Raises ValueError for inputs of another
    rank and for images of unknown sizes. Source: Keras ``ConvLSTM2D``; Shi et al. 2015.

    >>> import ranvier as rv
    >>> rv.layers.ConvLSTM2D(4, 3, return_sequences=True)(rv.ops.ones((2, 5, 8, 6, 3))).shape
    (2, 5, 6, 4, 4)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
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
        **kwargs: Any,
    ) -> None:
        super().__init__(2, dict(locals()), **kwargs)
