"""MultiHeadAttention, and GroupedQueryAttention, whose heads share keys and values."""

from __future__ import annotations

import math
import string
from functools import reduce
from typing import Any

import numpy as np

from ranvier import constraints, initializers, ops, regularizers
from ranvier.layers.activations import Softmax
from ranvier.layers.arguments import positive
from ranvier.layers.attention import carried, causal_mask
from ranvier.layers.einsum_dense import EinsumDense
from ranvier.layers.layer import Layer
from ranvier.layers.regularization import Dropout
from ranvier.layers.symbolic import KerasTensor
from ranvier.saving.registry import serialize_object
from ranvier.tensor import Tensor

_KINDS = {"initializer": initializers, "regularizer": regularizers, "constraint": constraints}
_SHARED = tuple(f"{part}_{kind}" for kind in _KINDS for part in ("kernel", "bias"))


class _Heads(Layer):
    """What the layers here share: dense layers into heads and out of them, masks, and the weighting."""

    casts_integers = True
    _query_dense: EinsumDense
    _key_dense: EinsumDense
    _value_dense: EinsumDense
    _output_dense: EinsumDense

    def __init__(
        self,
        dropout: float,
        use_bias: bool,
        sliding_window: int | None,
        flash_attention: bool | None,
        use_gate: bool,
        seed: int | None,
        activity_regularizer: Any,
        parts: dict[str, Any],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        kind = type(self).__name__
        if not 0 <= dropout <= 1:
            raise ValueError(f"{kind}: dropout must be in [0, 1], got {dropout!r}")
        if flash_attention and dropout:
            raise ValueError(f"{kind}: dropout must be 0 with flash_attention=True")
        self.dropout = dropout
        self.use_bias = use_bias
        self.use_gate = use_gate
        self.sliding_window = None if sliding_window is None else positive(kind, "sliding_window", sliding_window)
        self.seed = seed
        self._parts = {n: _KINDS[n.rsplit("_", 1)[1]].get(value) for n, value in parts.items()}
        self._inner_activity_regularizer = regularizers.get(activity_regularizer)
        self.supports_masking = True

    def _dense(
        self, name: str, equation: str, bias_axes: str, shape: Any, activation: str | None = None
    ) -> EinsumDense:
        return EinsumDense(
            equation,
            shape,
            activation=activation,
            bias_axes=bias_axes if self.use_bias else None,
            activity_regularizer=self._inner_activity_regularizer,
            dtype=self.dtype,
            name=name,
            **self._parts,
        )

    def _into_heads(self, name: str, shape: Any, heads: int, size: int, activation: str | None = None) -> EinsumDense:
        """(N, ..., features) -> (N, ..., heads, size), built."""
        free = string.ascii_lowercase[: len(shape) - 1]
        a, b, c = tuple(string.ascii_lowercase[len(shape) - 1 : len(shape) + 2])
        sizes = [None] * (len(shape) - 2) + [heads, size]
        layer = self._dense(name, f"{free}{a},{a}{b}{c}->{free}{b}{c}", b + c, sizes, activation)
        return _built(layer, shape)

    def _mask(
        self, query: Any, value: Any, key: Any, masks: tuple[Any, Any, Any], attention_mask: Any, use_causal_mask: bool
    ) -> Any:
        """All masks as one of bool that broadcasts to (N, T, S), or None."""
        of_query, of_value, of_key = (carried(x, m) for x, m in zip((query, value, key), masks, strict=True))
        steps = query.shape[1], value.shape[1]
        found = [] if of_query is None else [ops.expand_dims(of_query, -1)]
        found += [ops.expand_dims(m, -2) for m in (of_value, of_key) if m is not None]
        if use_causal_mask:
            found.append(causal_mask(*steps))
        if self.sliding_window is not None:
            near = np.abs(np.arange(steps[0])[:, None] - np.arange(steps[1])) < self.sliding_window
            found.append(Tensor(near[None]))
        if attention_mask is not None:
            found.append(ops.cast(attention_mask, "bool"))
        return reduce(ops.logical_and, found) if found else None

    def _shared_config(self) -> dict[str, Any]:
        return {
            "dropout": self.dropout,
            "use_bias": self.use_bias,
            "use_gate": self.use_gate,
            "sliding_window": self.sliding_window,
            "seed": self.seed,
            "activity_regularizer": serialize_object(self._inner_activity_regularizer),
            **{name: serialize_object(value) for name, value in self._parts.items()},
        }

    @property
    def query_dense(self) -> EinsumDense:
        """The layer that makes the heads' queries."""
        return self._query_dense

    @property
    def key_dense(self) -> EinsumDense:
        """The layer that makes the heads' keys."""
        return self._key_dense

    @property
    def value_dense(self) -> EinsumDense:
        """The layer that makes the heads' values."""
        return self._value_dense

    @property
    def output_dense(self) -> EinsumDense:
        """The layer that brings the heads together."""
        return self._output_dense


def _built(layer: EinsumDense, shape: Any) -> EinsumDense:
    layer.build(shape)
    return layer


class MultiHeadAttention(_Heads):
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
        parts = {name: given[name] for name in _SHARED}
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
        self._dropout_layer = Dropout(self.dropout, seed=self.seed, dtype=self.dtype)
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
        self._softmax = Softmax(axis=list(range(-count, 0)) if count > 1 else -1, dtype=self.dtype)

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
        output = KerasTensor(shape, self.dtype)
        lead, steps = [query.shape[i] for i in self._batch if i < query.ndim - 1], [query.shape[i] for i in self._axes]
        sizes = (*lead, self.num_heads, *steps, *(value.shape[i] for i in self._axes))
        return (output, KerasTensor(sizes, self.dtype)) if return_attention_scores else output

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


class GroupedQueryAttention(_Heads):
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
        parts = {name: given[name] for name in _SHARED}
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
        self._softmax = Softmax(dtype=self.dtype)
        self._dropout_layer = Dropout(self.dropout, seed=self.seed, dtype=self.dtype)
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
        output = KerasTensor(self.compute_output_shape(query.shape, value.shape), self.dtype)
        sizes = (query.shape[0], self.num_query_heads, query.shape[1], value.shape[1])
        return (output, KerasTensor(sizes, self.dtype)) if return_attention_scores else output

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "head_dim": self.head_dim,
            "num_query_heads": self.num_query_heads,
            "num_key_value_heads": self.num_key_value_heads,
            **self._shared_config(),
        }
