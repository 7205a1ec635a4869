"""LSTM."""

from __future__ import annotations

from typing import Any

from ranvier import activations, constraints, initializers, ops, random, regularizers
from ranvier.layers.arguments import known_axis, positive
from ranvier.layers.input_spec import InputSpec
from ranvier.layers.layer import Layer
from ranvier.saving.registry import serialize_object

_objects = (
    "activation", "recurrent_activation", "kernel_initializer", "recurrent_initializer", "bias_initializer",
    "kernel_regularizer", "recurrent_regularizer", "bias_regularizer",
    "kernel_constraint", "recurrent_constraint", "bias_constraint",
)  # fmt: skip


class LSTM(Layer):
    """Long short-term memory over time: (N, T, features) -> (N, units), or (N, T, units) with ``return_sequences``.

    Gates in the order i, f, c, o: kernel (features, 4 * units), recurrent_kernel (units, 4 * units), bias
    (4 * units), whose forget part begins at 1 with ``unit_forget_bias``. ``return_state`` adds h and c to the
    result, ``initial_state=[h, c]`` begins with them, ``stateful`` begins each batch where the last ended until
    ``reset_state()``. Where ``mask`` (N, T) is False a step changes nothing. ``go_backwards`` reads, and returns,
    the steps in reverse. Raises ValueError for inputs that are not of rank 3. Source: Keras ``LSTM`` (Hochreiter and
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
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.units = positive("LSTM", "units", units)
        self.activation = activations.get(activation)
        self.recurrent_activation = activations.get(recurrent_activation)
        self.use_bias = use_bias
        self.unit_forget_bias = unit_forget_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.recurrent_initializer = initializers.get(recurrent_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.recurrent_regularizer = regularizers.get(recurrent_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.recurrent_constraint = constraints.get(recurrent_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.dropout = _rate("dropout", dropout)
        self.recurrent_dropout = _rate("recurrent_dropout", recurrent_dropout)
        self.seed = seed
        self._generator = random.Generator(seed) if seed is not None else None
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.stateful = stateful
        self.unroll = unroll
        self.use_cudnn = use_cudnn
        self.states: Any = None
        self.supports_masking = True
        self.input_spec = InputSpec(ndim=3)
        self.bias: Any = None

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        features = known_axis(self, sequences_shape, -1)
        self.kernel = self._weight("kernel", (features, 4 * self.units), self.kernel_initializer)
        self.recurrent_kernel = self._weight(
            "recurrent", (self.units, 4 * self.units), self.recurrent_initializer, "recurrent_kernel"
        )
        if self.use_bias:
            initial = self._bias_values if self.unit_forget_bias else self.bias_initializer
            self.bias = self._weight("bias", (4 * self.units,), initial)
        self.input_spec = InputSpec(ndim=3, axes={-1: features})
        self.built = True

    def _weight(self, kind: str, shape: tuple[int, ...], initializer: Any, name: str | None = None) -> Any:
        return self.add_weight(
            shape,
            initializer,
            regularizer=getattr(self, f"{kind}_regularizer"),
            constraint=getattr(self, f"{kind}_constraint"),
            name=name or kind,
        )

    def _bias_values(self, shape: Any, dtype: str | None = None) -> Any:
        initial: Any = self.bias_initializer
        first, rest = (initial((n * self.units,), dtype=dtype) for n in (1, 2))
        return ops.concatenate([first, ops.ones((self.units,), dtype or self.dtype), rest], axis=0)

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False) -> Any:
        h, c = self._initial_state(sequences, initial_state)
        if training and self.dropout:
            n, _, features = sequences.shape
            sequences = sequences * self._dropped((n, 1, features), self.dropout)
        if mask is not None:
            mask = ops.cast(mask, "bool")
        run = self._run_steps if self._needs_steps(training) else ops.lstm
        outputs, h, c = run(
            sequences, self.kernel, self.recurrent_kernel, self.bias, h, c, mask, self.go_backwards,
            **({"training": training} if run is not ops.lstm else {}),
        )  # fmt: skip
        if self.stateful:
            self.states = [h.detach(), c.detach()]
        # the last output is h, but where every step is masked: there it is zero, and h the initial one
        result = outputs if self.return_sequences else h if mask is None else outputs[:, -1]
        return [result, h, c] if self.return_state else result

    def _initial_state(self, sequences: Any, initial_state: Any) -> tuple[Any, Any]:
        if initial_state is None:
            if not self.stateful or self.states is None:
                return None, None
            initial_state = self.states
        if not isinstance(initial_state, (list, tuple)) or len(initial_state) != 2:
            raise ValueError(f"LSTM {self.name!r}: initial_state must be [h, c], got {initial_state!r}")
        wanted = (sequences.shape[0], self.units)
        for state in initial_state:
            if tuple(state.shape) != wanted:
                raise ValueError(
                    f"LSTM {self.name!r}: the initial state must have shape {wanted}, got {tuple(state.shape)}"
                    + (" (stateful: every batch must have the same size)" if self.stateful else "")
                )
        return initial_state[0], initial_state[1]

    def reset_state(self) -> None:
        """Forgets the state that ``stateful`` keeps."""
        self.states = None

    def _dropped(self, shape: tuple[int, ...], rate: float) -> Any:
        return ops.dropout(ops.ones(shape, self.dtype), rate, self._generator)

    def _needs_steps(self, training: bool) -> bool:
        """Whether the fused kernel, which has tanh and sigmoid, does not serve."""
        usual = self.activation is activations.tanh and self.recurrent_activation is activations.sigmoid
        return not usual or (training and self.recurrent_dropout > 0)

    def _run_steps(
        self, x: Any, kernel: Any, recurrent_kernel: Any, bias: Any, h: Any, c: Any, mask: Any, backwards: bool,
        training: bool,
    ) -> tuple[Any, Any, Any]:  # fmt: skip
        """One step after another, built of ops: for other activations and for dropout of the state."""
        n, steps, _ = x.shape
        h = ops.zeros((n, self.units), self.dtype) if h is None else h
        c = ops.zeros((n, self.units), self.dtype) if c is None else c
        kept = self._dropped((n, self.units), self.recurrent_dropout) if training and self.recurrent_dropout else None
        gates = ops.matmul(x, kernel) if bias is None else ops.matmul(x, kernel) + bias
        output, outputs = ops.zeros((n, self.units), self.dtype), []
        for t in reversed(range(steps)) if backwards else range(steps):
            z = gates[:, t] + ops.matmul(h if kept is None else h * kept, recurrent_kernel)
            i, f, g, o = (z[:, k * self.units : (k + 1) * self.units] for k in range(4))
            fresh_c = self.recurrent_activation(f) * c + self.recurrent_activation(i) * self.activation(g)
            fresh_h = self.recurrent_activation(o) * self.activation(fresh_c)
            if mask is None:
                output = h = fresh_h
                c = fresh_c
            else:
                step = ops.expand_dims(mask[:, t], -1)
                h, c = ops.where(step, fresh_h, h), ops.where(step, fresh_c, c)
                output = ops.where(step, fresh_h, output)
            outputs.append(output)
        return ops.stack(outputs, axis=1) if outputs else ops.zeros((n, 0, self.units), self.dtype), h, c

    def compute_output_shape(self, sequences_shape: Any, initial_state_shape: Any = None) -> Any:
        n, steps, _ = sequences_shape
        shape = (n, steps, self.units) if self.return_sequences else (n, self.units)
        return [shape, (n, self.units), (n, self.units)] if self.return_state else shape

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        mask = previous_mask if self.return_sequences else None
        return [mask, None, None] if self.return_state else mask

    def get_config(self) -> dict[str, Any]:
        plain = (
            "units", "use_bias", "unit_forget_bias", "dropout", "recurrent_dropout", "seed", "return_sequences",
            "return_state", "go_backwards", "stateful", "unroll",
        )  # fmt: skip
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in plain},
            **{name: serialize_object(getattr(self, name)) for name in _objects},
        }


def _rate(name: str, value: Any) -> float:
    if not isinstance(value, (int, float)) or not 0 <= value < 1:
        raise ValueError(f"LSTM: {name} must be in [0, 1), got {value!r}")
    return float(value)
