"""Input, Dense, Activation, Flatten and other layers of every model."""

from __future__ import annotations

from typing import Any

from ranvier import activations, config, constraints, initializers, regularizers
from ranvier.layers.arguments import known_axis, positive
from ranvier.layers.input_spec import InputSpec
from ranvier.layers.layer import Layer
from ranvier.layers.symbolic import KerasTensor, Node
from ranvier.ops.gemm import dense  # as it is: what a layer computes with is never symbolic
from ranvier.saving.registry import serialize_object


class InputLayer(Layer):
    """Where data enters a model; ``Input`` makes one and gives its symbolic output. Source: Keras ``InputLayer``."""

    def __init__(
        self,
        shape: Any = None,
        batch_size: int | None = None,
        dtype: str | None = None,
        batch_shape: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(dtype=dtype or config.floatx(), name=name, **kwargs)
        if (shape is None) == (batch_shape is None):
            raise ValueError("Input: pass either `shape` (without the batch axis) or `batch_shape`")
        if batch_shape is None:
            batch_shape = (batch_size, *_checked_input_shape(shape))
        self.batch_shape = _checked_input_shape(batch_shape)
        self.built = True
        Node(self, (), {}, KerasTensor(self.batch_shape, self.dtype, self.name))

    def call(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError("an InputLayer is not called: use Input() to begin a model")

    def get_config(self) -> dict[str, Any]:
        return {"batch_shape": list(self.batch_shape), "dtype": self.dtype, "name": self.name}


def _checked_input_shape(shape: Any) -> tuple[int | None, ...]:
    if isinstance(shape, int):
        raise ValueError(f"Input: a shape is a tuple such as ({shape},), got {shape}")
    shape = tuple(shape)
    for size in shape:
        if size is not None and (not isinstance(size, int) or size < 0):
            raise ValueError(f"Input: sizes are non-negative integers or None, got shape {shape}")
    return shape


def Input(
    shape: Any = None,
    batch_size: int | None = None,
    dtype: str | None = None,
    batch_shape: Any = None,
    name: str | None = None,
) -> KerasTensor:
    """A symbolic tensor to begin a model with: ``shape`` without the batch axis, None where a size varies.

    Raises ValueError for a shape that is none. Source: Keras ``Input``.

    >>> import ranvier as rv
    >>> rv.Input((28, 28, 1)).shape
    (None, 28, 28, 1)
    """
    layer = InputLayer(shape, batch_size, dtype, batch_shape, name)
    return layer.output


class WeightedLayer(Layer):
    """Base of layers with a kernel and a bias: their initializers, regularizers, constraints and activation."""

    # what the op applies in its own last pass; not gelu, of which the op's default is the approximate form, nor
    # softmax and sigmoid, which losses look for to take the logits instead
    fused = frozenset({"relu", "tanh", "elu", "selu", "silu", "softplus", "leaky_relu"})
    casts_integers = True

    def __init__(
        self,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.bias: Any = None

    def add_kernel_and_bias(self, kernel_shape: Any, outputs: int) -> None:
        self.kernel = self.add_weight(
            kernel_shape,
            self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            name="kernel",
        )
        if self.use_bias:
            self.bias = self.add_weight(
                (outputs,),
                self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                name="bias",
            )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "activation": serialize_object(self.activation),
            "use_bias": self.use_bias,
            **{
                name: serialize_object(getattr(self, name))
                for name in (
                    "kernel_initializer",
                    "bias_initializer",
                    "kernel_regularizer",
                    "bias_regularizer",
                    "kernel_constraint",
                    "bias_constraint",
                )
            },
        }


class Dense(WeightedLayer):
    """``activation(inputs @ kernel + bias)``: (..., in) -> (..., units), kernel (in, units).

    Raises ValueError for units < 1, inputs without a known last axis, or another last axis than it was built for.
    Source: Keras ``Dense``.

    >>> import ranvier as rv
    >>> layer = rv.layers.Dense(2, kernel_initializer="ones", activation="relu")
    >>> layer([[1.0, 2.0], [-3.0, 1.0]]).numpy()
    array([[3., 3.],
           [0., 0.]], dtype=float32)
    """

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            activation,
            use_bias,
            kernel_initializer,
            bias_initializer,
            kernel_regularizer,
            bias_regularizer,
            activity_regularizer,
            kernel_constraint,
            bias_constraint,
            **kwargs,
        )
        self.units = positive("Dense", "units", units)
        self.input_spec = InputSpec(min_ndim=2)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        size = known_axis(self, input_shape, -1)
        self.add_kernel_and_bias((size, self.units), self.units)
        self.input_spec = InputSpec(min_ndim=2, axes={-1: size})
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        name = activations.name_of(self.activation)
        if name in self.fused:
            return dense(inputs, self.kernel, self.bias, name)
        return self.activation(dense(inputs, self.kernel, self.bias))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


class Activation(Layer):
    """An activation as a layer, by name or function. Source: Keras ``Activation``.

    >>> import ranvier as rv
    >>> rv.layers.Activation("relu")([-1.0, 2.0]).numpy()
    array([0., 2.], dtype=float32)
    """

    casts_integers = True

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = activations.get(activation)
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any) -> Any:
        return self.activation(inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "activation": serialize_object(self.activation)}


class Lambda(Layer):
    """A function as a layer. It cannot be saved: models that shall be define a Layer. Source: Keras ``Lambda``.

    >>> import ranvier as rv
    >>> rv.layers.Lambda(lambda x: x * 2)([1.0]).numpy()
    array([2.], dtype=float32)
    """

    def __init__(self, function: Any, output_shape: Any = None, arguments: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.function = function
        self.arguments = dict(arguments or {})
        self.built = True

    def call(self, inputs: Any) -> Any:
        return self.function(inputs, **self.arguments)

    def get_config(self) -> dict[str, Any]:
        raise NotImplementedError(
            f"The Lambda layer {self.name!r} holds a Python function, which a safe file cannot: define a Layer "
            "subclass and register it with rv.saving.register_serializable()"
        )


class Identity(Layer):
    """The inputs, unchanged. Source: Keras ``Identity``."""

    keeps_dtype = True

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any) -> Any:
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape
