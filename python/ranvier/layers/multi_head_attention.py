"""MultiHeadAttention."""

from __future__ import annotations

import math
import string
from typing import Any

from ranvier import ops
from ranvier.layers.activations import Softmax
from ranvier.layers.arguments import positive
from ranvier.layers.attention_heads import SHARED, Heads
from ranvier.layers.regularization import Dropout
from ranvier.layers.symbolic import KerasTensor


class MultiHeadAttention(Heads):
    """Attention by several heads, each on projections of its own; their results together are projected again.

    ``layer(query, value, key=value)``: (N, T, ...), (N, S, ...) -> (N, T, E), where E is ``output_shape`` or the
    query's last size; ``key_dim`` and ``value_dim`` (by default the same) are a head's sizes. ``attention_axes``: the
    axes that are attended over, by default all but the first and the last. Masks that the inputs carry,
    ``query_mask``, ``value_mask``, ``key_mask`` (N, T or S), ``attention_mask`` (N, T, S), ``use_causal_mask`` and
    ``sliding_window`` (no further than that apart) all count; where a query may see nothing its heads give 0.
    ``return_attention_scores`` gives the weights (N, heads, T, S) too. ``dropout`` drops weights; ``use_gate``
    multiplies the heads' results by a sigmoid of the query. Raises ValueError for sizes that do not fit. Source: Keras
    ``MultiHeadAttention`` (Vaswani et al. 2017).

    >>> import ranvier as rv
    >>> layer = rv.layers.MultiHeadAttention(num_heads=2, key_dim=4)
    >>> y, weights = layer(rv.ops.ones((3, 5, 6)), rv.ops.ones((3, 7, 6)), return_attention_scores=True)
    >>> y.shape, weights.shape
    ((3, 5, 6), (3, 2, 5, 7))
    """

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: Any = None,
        attention_axes: Any = None,
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
        self.num_heads = positive("MultiHeadAttention", "num_heads", num_heads)
        self.key_dim = positive("MultiHeadAttention", "key_dim", key_dim)
        self.value_dim = self.key_dim if value_dim is None else positive("MultiHeadAttention", "value_dim", value_dim)
        self._output_shape = (output_shape,) if isinstance(output_shape, int) else output_shape and tuple(output_shape)
        self.attention_axes = (attention_axes,) if isinstance(attention_axes, int) else attention_axes

    def build(self, query_shape: Any, value_shape: Any, key_shape: Any = None) -> None:  # type: ignore[override]
        key_shape = value_shape if key_shape is None else key_shape
        self.compute_output_shape(query_shape, value_shape, key_shape)
        self._query_dense = self._into_heads("query", query_shape, self.num_heads, self.key_dim)
        self._key_dense = self._into_heads("key", key_shape, self.num_heads, self.key_dim)
        if self.use_gate:
            self._gate_dense = self._into_heads("gate", query_shape, self.num_heads, self.value_dim, "sigmoid")
        self._value_dense = self._into_heads("value", value_shape, self.num_heads, self.value_dim)
        rank = len(query_shape)
        free, letters = string.ascii_lowercase[: rank - 1], string.ascii_lowercase[rank - 1 :]
        output = self._output_shape or (query_shape[-1],)
        bound, made = letters[:2], letters[2 : 2 + len(output)]
        shape = [None] * (rank - 2) + list(output)
        self._output_dense = self._dense("attention_output", f"{free}{bound},{bound}{made}->{free}{made}", made, shape)
        self._output_dense.build((*query_shape[:-1], self.num_heads, self.value_dim))
        self._plan(rank)
        self._dropout_layer = Dropout(self.dropout, seed=self.seed, dtype=self.dtype_policy)
        self.built = True

    def _plan(self, rank: int) -> None:
        """The equations of scores and results, for heads (N, ..., heads, size)."""
        axes = tuple(range(1, rank - 1)) if self.attention_axes is None else tuple(self.attention_axes)
        if not all(-rank <= a < rank and 0 < a % rank < rank - 1 for a in axes):
            raise ValueError(
                f"MultiHeadAttention {self.name!r}: attention_axes {axes} must lie between the first and the last of "
                f"the {rank} axes"
            )
        self._axes = tuple(a % rank for a in axes)
        target = string.ascii_lowercase[: rank + 1]
        fresh = iter(string.ascii_lowercase[rank + 1 :])
        source = "".join(next(fresh) if i in self._axes else c for i, c in enumerate(target))
        self._batch = [i for i in range(rank) if i not in self._axes]
        scores = "".join(target[i] for i in self._batch) + "".join(w[i] for w in (target, source) for i in self._axes)
        self._score_equation = f"{target},{source}->{scores}"
        self._combine_equation = f"{scores},{source}->{target}"
        count = len(self._axes)
        self._softmax = Softmax(axis=list(range(-count, 0)) if count > 1 else -1, dtype=self.dtype_policy)

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
        scaled = self._query_dense(query) * (1 / math.sqrt(self.key_dim))
        scores = ops.einsum(self._score_equation, scaled, self._key_dense(key))
        while mask is not None and mask.ndim < scores.ndim:
            mask = ops.expand_dims(mask, -2 * len(self._axes) - 1)  # the axis of heads, and others that it lacks
        weights = self._softmax(scores) if mask is None else self._softmax(scores, mask=mask)
        kept = self._dropout_layer(weights, training=training) if self.dropout else weights
        outputs = ops.einsum(self._combine_equation, kept, self._value_dense(value))
        outputs = self._output_dense(outputs if gate is None else outputs * gate)
        return (outputs, weights) if return_attention_scores else outputs

    def compute_output_shape(self, query_shape: Any, value_shape: Any, key_shape: Any = None) -> Any:  # type: ignore[override]
        key_shape = value_shape if key_shape is None else key_shape
        pairs = zip(value_shape[1:-1], key_shape[1:-1], strict=False)
        if len(value_shape) != len(key_shape) or any(a != b and None not in (a, b) for a, b in pairs):
            raise ValueError(
                f"MultiHeadAttention {self.name!r}: value of shape {tuple(value_shape)} and key of shape "
                f"{tuple(key_shape)} must agree in all axes but the last"
            )
        if len(query_shape) != len(value_shape) or len(query_shape) < 3:
            raise ValueError(
                f"MultiHeadAttention {self.name!r}: query of shape {tuple(query_shape)} and value of shape "
                f"{tuple(value_shape)} must have the same rank, 3 or more: (N, steps, features)"
            )
        return (*query_shape[:-1], *self._output_shape) if self._output_shape else tuple(query_shape)

    def compute_output_spec(
        self, query: Any, value: Any, key: Any = None, return_attention_scores: bool = False, **kwargs: Any
    ) -> Any:
        shape = self.compute_output_shape(query.shape, value.shape, None if key is None else key.shape)
        output = KerasTensor(shape, self.compute_dtype)
        lead, steps = [query.shape[i] for i in self._batch if i < query.ndim - 1], [query.shape[i] for i in self._axes]
        sizes = (*lead, self.num_heads, *steps, *(value.shape[i] for i in self._axes))
        return (output, KerasTensor(sizes, self.compute_dtype)) if return_attention_scores else output

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "key_dim": self.key_dim,
            "value_dim": self.value_dim,
            "output_shape": None if self._output_shape is None else list(self._output_shape),
            "attention_axes": None if self.attention_axes is None else list(self.attention_axes),
            **self._shared_config(),
        }
