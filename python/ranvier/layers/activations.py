"""Activations with parameters, as layers."""

from __future__ import annotations

from typing import Any

from ranvier import activations, ops
from ranvier.layers.layer import Layer


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


class Softmax(_ActivationLayer):
    """Softmax along ``axis``. Source: Keras ``Softmax``.

    >>> import ranvier as rv
    >>> rv.layers.Softmax()([0.0, 0.0]).numpy()
    array([0.5, 0.5], dtype=float32)
    """

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs: Any) -> Any:
        return ops.softmax(inputs, self.axis)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}
