"""What attention by several heads shares: projections into heads and out of them, masks, weighting."""

from __future__ import annotations

import string
from functools import reduce
from typing import Any

import numpy as np

from ranvier import constraints, initializers, ops, regularizers
from ranvier.layers.arguments import positive
from ranvier.layers.attention import carried, causal_mask
from ranvier.layers.einsum_dense import EinsumDense
from ranvier.layers.layer import Layer
from ranvier.saving.registry import serialize_object
from ranvier.tensor import Tensor

KINDS = {"initializer": initializers, "regularizer": regularizers, "constraint": constraints}
SHARED = tuple(f"{part}_{kind}" for kind in KINDS for part in ("kernel", "bias"))


class Heads(Layer):
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
        self._parts = {n: KINDS[n.rsplit("_", 1)[1]].get(value) for n, value in parts.items()}
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
            dtype=self.dtype_policy,
            name=name,
            **self._parts,
        )

    def _into_heads(self, name: str, shape: Any, heads: int, size: int, activation: str | None = None) -> EinsumDense:
        """(N, ..., features) -> (N, ..., heads, size), built."""
        free = string.ascii_lowercase[: len(shape) - 1]
        a, b, c = tuple(string.ascii_lowercase[len(shape) - 1 : len(shape) + 2])
        sizes = [None] * (len(shape) - 2) + [heads, size]
        layer = self._dense(name, f"{free}{a},{a}{b}{c}->{free}{b}{c}", b + c, sizes, activation)
        return built(layer, shape)

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


def built(layer: EinsumDense, shape: Any) -> EinsumDense:
    """The layer, built for inputs of a shape."""
    layer.build(shape)
    return layer
