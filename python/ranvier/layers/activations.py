"""Activations with parameters, as layers."""

from __future__ import annotations

from typing import Any

from ranvier import activations, constraints, initializers, ops, regularizers
from ranvier.layers.arguments import known_axis
from ranvier.layers.input_spec import InputSpec
from ranvier.layers.layer import Layer
from ranvier.saving.registry import serialize_object


class _ActivationLayer(Layer):
    casts_integers = True

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.built = True

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


class ReLU(_ActivationLayer):
    """max(x, 0), perhaps with a slope below ``threshold`` and a cap. Source: Keras ``ReLU``.

    >>> import ranvier as rv
    >>> rv.layers.ReLU(max_value=6.0)([-1.0, 2.0, 9.0]).numpy()
    array([0., 2., 6.], dtype=float32)
    """

    def __init__(
        self, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        given = {"max_value": max_value or 0, "negative_slope": negative_slope, "threshold": threshold}
        for name, value in given.items():
            if value is None or value < 0:
                raise ValueError(f"ReLU: {name} must not be negative, got {value!r}")
        self.max_value = max_value
        self.negative_slope = negative_slope or 0.0
        self.threshold = threshold or 0.0

    def call(self, inputs: Any) -> Any:
        return activations.relu(inputs, self.negative_slope, self.max_value, self.threshold)

    def get_config(self) -> dict[str, Any]:
        own = {"max_value": self.max_value, "negative_slope": self.negative_slope, "threshold": self.threshold}
        return {**super().get_config(), **own}


class LeakyReLU(_ActivationLayer):
    """x where positive, else ``negative_slope * x``. Source: Keras ``LeakyReLU``.

    >>> import ranvier as rv
    >>> rv.layers.LeakyReLU(0.5)([-1.0, 2.0]).numpy()
    array([-0.5,  2. ], dtype=float32)
    """

    renamed_arguments = {"alpha": "negative_slope"}

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if negative_slope is None or negative_slope < 0:
            raise ValueError(f"LeakyReLU: negative_slope must not be negative, got {negative_slope!r}")
        self.negative_slope = negative_slope

    def call(self, inputs: Any) -> Any:
        return ops.leaky_relu(inputs, self.negative_slope)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "negative_slope": self.negative_slope}


class ELU(_ActivationLayer):
    """x where positive, else ``alpha * (exp(x) - 1)``. Source: Keras ``ELU``."""

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = alpha

    def call(self, inputs: Any) -> Any:
        return ops.elu(inputs, self.alpha)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": self.alpha}


class PReLU(Layer):
    """x where positive, else ``alpha * x``, with alpha trained: one for each place of a sample.

    ``shared_axes`` share theirs: with ``[1, 2]`` images have one alpha a channel. Raises ValueError where a size that
    alpha needs is not known. Source: Keras ``PReLU`` (He et al. 2015).

    >>> import ranvier as rv
    >>> rv.layers.PReLU(alpha_initializer=rv.initializers.Constant(0.5))([[-1.0, 2.0]]).numpy()
    array([[-0.5,  2. ]], dtype=float32)
    """

    casts_integers = True

    def __init__(
        self,
        alpha_initializer: Any = "Zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.alpha_initializer = initializers.get(alpha_initializer)
        self.alpha_regularizer = regularizers.get(alpha_regularizer)
        self.alpha_constraint = constraints.get(alpha_constraint)
        self.shared_axes = (
            [shared_axes] if isinstance(shared_axes, int) else None if shared_axes is None else [*shared_axes]
        )
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        rank, shared = len(input_shape), self.shared_axes or []
        if not all(1 <= axis < rank for axis in shared):
            raise ValueError(
                f"PReLU {self.name!r}: shared_axes {shared} must be axes of the input of shape {tuple(input_shape)} "
                "after the batch axis, which is 0"
            )
        sizes = [1 if axis in shared else known_axis(self, input_shape, axis) for axis in range(1, rank)]
        self.alpha = self.add_weight(
            sizes,
            self.alpha_initializer,
            regularizer=self.alpha_regularizer,
            constraint=self.alpha_constraint,
            name="alpha",
        )
        self.input_spec = InputSpec(ndim=rank, axes={a: input_shape[a] for a in range(1, rank) if a not in shared})
        self.built = True

    def call(self, inputs: Any) -> Any:
        return ops.relu(inputs) + self.alpha * ops.minimum(inputs, 0.0)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "alpha_initializer": serialize_object(self.alpha_initializer),
            "alpha_regularizer": serialize_object(self.alpha_regularizer),
            "alpha_constraint": serialize_object(self.alpha_constraint),
            "shared_axes": self.shared_axes,
        }


class Softmax(_ActivationLayer):
    """Softmax along ``axis``, or over several axes together. Where a ``mask`` is False the result is 0 and the others
    share the whole.

    Raises ValueError for a mask that does not fit the inputs. Source: Keras ``Softmax``.

    >>> import ranvier as rv
    >>> rv.layers.Softmax()([0.0, 0.0, 5.0], mask=[True, True, False]).numpy()
    array([0.5, 0.5, 0. ], dtype=float32)
    """

    def __init__(self, axis: Any = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis if isinstance(axis, int) else list(axis)

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if mask is None:
            return self._softmax(inputs)
        if any(m not in (1, n) for m, n in zip(mask.shape[::-1], inputs.shape[::-1], strict=False)) or (
            mask.ndim > inputs.ndim
        ):
            raise ValueError(
                f"Softmax {self.name!r}: the mask of shape {mask.shape} does not fit inputs of shape {inputs.shape}: "
                "from the last axis on each of its sizes must be 1 or the same"
            )
        if mask.dtype != "bool":
            mask = ops.greater(mask, 0.5)
        return ops.where(mask, self._softmax(ops.where(mask, inputs, -1e9)), 0.0)

    def _softmax(self, x: Any) -> Any:
        if isinstance(self.axis, int):
            return ops.softmax(x, self.axis)
        if len(self.axis) == 1:
            return ops.softmax(x, self.axis[0])
        return ops.exp(x - ops.logsumexp(x, tuple(self.axis), keepdims=True))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}
