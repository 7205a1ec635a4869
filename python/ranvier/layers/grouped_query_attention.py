"""GroupedQueryAttention, whose heads share keys and values."""

from __future__ import annotations

import math
from typing import Any

from ranvier import ops
from ranvier.layers.activations import Softmax
from ranvier.layers.arguments import positive
from ranvier.layers.attention_heads import SHARED, Heads
from ranvier.layers.regularization import Dropout
from ranvier.layers.symbolic import KerasTensor


class GroupedQueryAttention(Heads):
    """Attention in which ``num_query_heads`` share ``num_key_value_heads`` keys and values, a multiple of them.

    ``layer(query, value, key=value)``: (N, T, E), (N, S, F) -> (N, T, E); masks and options as ``MultiHeadAttention``.
    Nothing is repeated in memory: the heads of a group are rows of one product. Raises ValueError where the numbers of
    heads do not divide. Source: Keras ``GroupQueryAttention`` (Ainslie et al. 2023).

    >>> import ranvier as rv
    >>> layer = rv.layers.GroupQueryAttention(head_dim=4, num_query_heads=6, num_key_value_heads=2)
    >>> layer(rv.ops.ones((3, 5, 6)), rv.ops.ones((3, 7, 6))).shape
    (3, 5, 6)
    """

    def __init__(
        self,
        head_dim: int,
        num_query_heads: int,
        num_key_value_heads: int,
        dropout: float = 0.0,
        use_bias: bool = True,
        sliding_window: int | None = None,
        flash_attention: bool | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        use_gate: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        given = locals()
        parts = {name: given[name] for name in SHARED}
        super().__init__(
            dropout, use_bias, sliding_window, flash_attention, use_gate, seed, activity_regularizer, parts, **kwargs
        )
        self.head_dim = positive("GroupQueryAttention", "head_dim", head_dim)
        self.num_query_heads = positive("GroupQueryAttention", "num_query_heads", num_query_heads)
        self.num_key_value_heads = positive("GroupQueryAttention", "num_key_value_heads", num_key_value_heads)
        if num_query_heads % num_key_value_heads:
            raise ValueError(
                f"GroupQueryAttention: num_query_heads={num_query_heads} must be a multiple of num_key_value_heads="
                f"{num_key_value_heads}"
            )

    def build(self, query_shape: Any, value_shape: Any, key_shape: Any = None) -> None:  # type: ignore[override]
        key_shape = value_shape if key_shape is None else key_shape
        self.compute_output_shape(query_shape, value_shape, key_shape)
        self._query_dense = self._into_heads("query", query_shape, self.num_query_heads, self.head_dim)
        self._key_dense = self._into_heads("key", key_shape, self.num_key_value_heads, self.head_dim)
        if self.use_gate:
            self._gate_dense = self._into_heads("gate", query_shape, self.num_query_heads, self.head_dim, "sigmoid")
        self._value_dense = self._into_heads("value", value_shape, self.num_key_value_heads, self.head_dim)
        self._output_dense = self._dense("attention_output", "bquh,uhm->bqm", "m", (None, query_shape[-1]))
        self._output_dense.build((None, None, self.num_query_heads, self.head_dim))
        self._softmax = Softmax(dtype=self.dtype_policy)
        self._dropout_layer = Dropout(self.dropout, seed=self.seed, dtype=self.dtype_policy)
        self.built = True

    def call(
        self,
        query: Any,
        value: Any,
        key: Any = None,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        return_attention_scores: bool = False,
        training: bool | None = None,
        use_causal_mask: bool = False,
    ) -> Any:
        masks = (query_mask, value_mask, key_mask)
        mask = self._mask(query, value, key, masks, attention_mask, use_causal_mask)
        key = value if key is None else key
        gate = self._gate_dense(query) if self.use_gate else None
        n, steps = query.shape[:2]
        groups, size = self.num_key_value_heads, self.head_dim
        heads = ops.reshape(
            self._query_dense(query) * (1 / math.sqrt(size)), (n, steps, groups, self.num_query_heads // groups, size)
        )
        scores = ops.einsum("bqvrh,bkvh->bvrqk", heads, self._key_dense(key))
        while mask is not None and mask.ndim < scores.ndim:
            mask = ops.expand_dims(mask, -3)
        weights = self._softmax(scores) if mask is None else self._softmax(scores, mask=mask)
        kept = self._dropout_layer(weights, training=training) if self.dropout else weights
        outputs = ops.einsum("bvrqk,bkvh->bqvrh", kept, self._value_dense(value))
        outputs = ops.reshape(outputs, (n, steps, self.num_query_heads, size))
        outputs = self._output_dense(outputs if gate is None else outputs * gate)
        every = ops.reshape(weights, (n, self.num_query_heads, *weights.shape[3:]))
        return (outputs, every) if return_attention_scores else outputs

    def compute_output_shape(self, query_shape: Any, value_shape: Any, key_shape: Any = None) -> Any:  # type: ignore[override]
        for name, shape in (("query", query_shape), ("value", value_shape), ("key", key_shape or value_shape)):
            if len(shape) != 3:
                raise ValueError(
                    f"GroupQueryAttention {self.name!r}: {name} must have shape (N, steps, features), got "
                    f"{tuple(shape)}"
                )
        return tuple(query_shape)

    def compute_output_spec(
        self, query: Any, value: Any, key: Any = None, return_attention_scores: bool = False, **kwargs: Any
    ) -> Any:
        output = KerasTensor(self.compute_output_shape(query.shape, value.shape), self.compute_dtype)
        sizes = (query.shape[0], self.num_query_heads, query.shape[1], value.shape[1])
        return (output, KerasTensor(sizes, self.compute_dtype)) if return_attention_scores else output

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "head_dim": self.head_dim,
            "num_query_heads": self.num_query_heads,
            "num_key_value_heads": self.num_key_value_heads,
            **self._shared_config(),
        }
