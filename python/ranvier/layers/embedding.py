"""Embedding and Masking."""

from __future__ import annotations

from typing import Any

from ranvier import constraints, initializers, ops, regularizers
from ranvier.layers.arguments import positive
from ranvier.layers.layer import Layer
from ranvier.layers.masks import set_mask
from ranvier.saving.registry import serialize_object


class Embedding(Layer):
    """A trained vector for each integer: (N, ...) of int -> (N, ..., output_dim), table (input_dim, output_dim).

    With ``mask_zero`` the time steps where the input is 0 are masked: recurrent layers skip them. Raises ValueError
    for integers outside [0, input_dim). Source: Keras ``Embedding``.

    >>> import ranvier as rv
    >>> rv.layers.Embedding(10, 4)([[1, 2, 3]]).shape
    (1, 3, 4)
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        weights: Any = None,
        **kwargs: Any,
    ) -> None:
        input_length = kwargs.pop("input_length", None)  # of no use, but older code gives it
        if input_length is not None and "input_shape" not in kwargs:
            kwargs["input_shape"] = (input_length,)
        kwargs["autocast"] = False  # numbers of rows, even as floats, are no numbers to round
        super().__init__(**kwargs)
        self.input_dim = positive("Embedding", "input_dim", input_dim)
        self.output_dim = positive("Embedding", "output_dim", output_dim)
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        self.embeddings_regularizer = regularizers.get(embeddings_regularizer)
        self.embeddings_constraint = constraints.get(embeddings_constraint)
        self.mask_zero = mask_zero
        self.supports_masking = mask_zero
        self._initial = weights

    def build(self, input_shape: Any = None) -> None:
        self.embeddings = self.add_weight(
            (self.input_dim, self.output_dim),
            self.embeddings_initializer,
            regularizer=self.embeddings_regularizer,
            constraint=self.embeddings_constraint,
            name="embeddings",
            autocast=False,  # fewer are looked up than there are
        )
        self.built = True
        if self._initial is not None:
            self.set_weights(self._initial if isinstance(self._initial, (list, tuple)) else [self._initial])

    def call(self, inputs: Any) -> Any:
        if inputs.dtype not in ("int32", "int64"):
            inputs = ops.cast(inputs, "int32")
        outputs = ops.cast(ops.embedding(inputs, self.embeddings), self.compute_dtype)
        if self.mask_zero:
            set_mask(outputs, self.compute_mask(inputs))
        return outputs

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return ops.not_equal(inputs, 0) if self.mask_zero else None

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape, self.output_dim)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "input_dim": self.input_dim,
            "output_dim": self.output_dim,
            "embeddings_initializer": serialize_object(self.embeddings_initializer),
            "embeddings_regularizer": serialize_object(self.embeddings_regularizer),
            "embeddings_constraint": serialize_object(self.embeddings_constraint),
            "mask_zero": self.mask_zero,
        }


class Masking(Layer):
    """Masks the time steps of (N, T, features) all of whose features equal ``mask_value``. Source: Keras ``Masking``.

    >>> import ranvier as rv
    >>> x = rv.layers.Masking()([[[1.0, 0.0], [0.0, 0.0]]])
    >>> rv.layers.get_mask(x).tolist()
    [[True, False]]
    """

    def __init__(self, mask_value: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mask_value = mask_value
        self.supports_masking = True
        self.built = True

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return ops.any(ops.not_equal(inputs, self.mask_value), axis=-1)

    def call(self, inputs: Any) -> Any:
        mask = self.compute_mask(inputs)
        outputs = inputs * ops.cast(ops.expand_dims(mask, -1), inputs.dtype)
        set_mask(outputs, mask)
        return outputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mask_value": self.mask_value}
