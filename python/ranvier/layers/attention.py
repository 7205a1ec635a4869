"""Attention without weights of its own: dot-product and additive (Luong, Bahdanau)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ranvier import ops, random
from ranvier._names import unknown
from ranvier.layers.arguments import known_axis
from ranvier.layers.layer import Layer
from ranvier.layers.masks import get_mask
from ranvier.layers.symbolic import KerasTensor
from ranvier.tensor import Tensor


def causal_mask(queries: int, values: int) -> Tensor:
    """(1, queries, values): True where a value is no later than the query."""
    return Tensor(np.arange(values) <= np.arange(queries)[:, None]).reshape((1, queries, values))


class Attention(Layer):
    """For each query the mean of the values, weighted by how well their keys fit: called on ``[query, value]`` or
    ``[query, value, key]``, (N, Tq, d), (N, Tv, D), (N, Tv, d) -> (N, Tq, D).

    Weights are the softmax of the scores: products of query and key (``score_mode="dot"``), or sums of
    tanh(query + key) (``"concat"``); ``use_scale`` trains a factor. Masked values do not count, rows of masked queries
    are 0: ``mask`` is ``[query_mask, value_mask]``, or what the inputs carry. ``use_causal_mask``: no query sees later
    values;
    ``return_attention_scores`` gives the weights (N, Tq, Tv) too. Raises ValueError for other than two or three inputs.
    Source: Keras ``Attention`` (Luong et al. 2015).

    >>> import ranvier as rv
    >>> query, value = rv.ops.ones((2, 3, 4)), rv.ops.ones((2, 5, 4))
    >>> rv.layers.Attention()([query, value]).shape
    (2, 3, 4)
    """

    def __init__(
        self,
        use_scale: bool = False,
        score_mode: str = "dot",
        dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if score_mode not in ("dot", "concat"):
            raise ValueError(f"Attention: {unknown('score_mode', str(score_mode), ('dot', 'concat'))}")
        if not 0 <= dropout < 1:
            raise ValueError(f"{type(self).__name__}: dropout must be in [0, 1), got {dropout!r}")
        self.use_scale = use_scale
        self.score_mode = score_mode
        self.dropout = dropout
        self.seed = seed
        self._generator = random.Generator(seed) if seed is not None else None
        self.scale: Any = None
        self.concat_score_weight: Any = None
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        self.compute_output_shape(input_shape)
        if self.use_scale:
            self.scale = self.add_weight((), "ones", name="scale")
        if self.score_mode == "concat":
            self.concat_score_weight = self.add_weight((), "ones", name="concat_score_weight")
        self.built = True

    def _scores(self, query: Any, key: Any) -> Any:
        if self.score_mode == "dot":
            scores = ops.matmul(query, key, transpose_x2=True)
            return scores if self.scale is None else scores * self.scale
        pairs = ops.expand_dims(query, -2) + ops.expand_dims(key, -3)
        return self.concat_score_weight * ops.sum(ops.tanh(pairs if self.scale is None else self.scale * pairs), -1)

    def call(
        self,
        inputs: Any,
        mask: Any = None,
        training: bool = False,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        query, value, key = self._three(inputs)
        query_mask, value_mask = self._masks(mask)
        scores = self._scores(query, key)
        allowed = None if value_mask is None else ops.expand_dims(value_mask, -2)
        if use_causal_mask:
            causal = causal_mask(*scores.shape[-2:])
            allowed = causal if allowed is None else ops.logical_and(allowed, causal)
        if allowed is not None:
            scores = ops.where(allowed, scores, scores - 1e9)
        weights = ops.softmax(scores)
        if training and self.dropout:
            weights = ops.dropout(weights, self.dropout, self._generator)
        outputs = ops.matmul(weights, value)
        if query_mask is not None:
            outputs = ops.where(ops.expand_dims(query_mask, -1), outputs, 0.0)
        return (outputs, weights) if return_attention_scores else outputs

    def _three(self, inputs: Any) -> tuple[Any, Any, Any]:
        if not isinstance(inputs, (list, tuple)) or len(inputs) not in (2, 3):
            found = len(inputs) if isinstance(inputs, (list, tuple)) else "no list"
            raise ValueError(
                f"{type(self).__name__} {self.name!r} must be called on a list [query, value] or [query, value, key], "
                f"got {found if isinstance(found, str) else f'a list of {found}'}"
            )
        return inputs[0], inputs[1], inputs[-1]  # without a key the value is one

    def _masks(self, mask: Any) -> tuple[Any, Any]:
        if mask is None:
            return None, None
        if not isinstance(mask, (list, tuple)) or len(mask) not in (2, 3):
            raise ValueError(
                f"{type(self).__name__} {self.name!r}: mask must be a list [query_mask, value_mask], each of which may "
                f"be None, got {mask!r}"
            )
        return mask[0], mask[1]

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return self._masks(previous_mask)[0]

    def compute_output_shape(self, input_shape: Any) -> Any:
        query, value, key = self._three(input_shape if isinstance(input_shape[0], (list, tuple)) else None)
        if None not in (query[-1], key[-1]) and query[-1] != key[-1]:
            raise ValueError(
                f"{type(self).__name__} {self.name!r}: query of shape {tuple(query)} and key of shape {tuple(key)} "
                "must have the same last size"
            )
        if None not in (value[-2], key[-2]) and value[-2] != key[-2]:
            raise ValueError(
                f"{type(self).__name__} {self.name!r}: value of shape {tuple(value)} and key of shape {tuple(key)} "
                "must have the same number of steps"
            )
        return (*query[:-1], value[-1])

    def compute_output_spec(
        self,
        inputs: Any,
        mask: Any = None,
        training: bool = False,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        query, value, key = self._three(inputs)
        output = KerasTensor(self.compute_output_shape([query.shape, value.shape, key.shape]), self.compute_dtype)
        weights = KerasTensor((*query.shape[:-1], key.shape[-2]), self.compute_dtype)
        return (output, weights) if return_attention_scores else output

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "use_scale": self.use_scale,
            "score_mode": self.score_mode,
            "dropout": self.dropout,
            "seed": self.seed,
        }


class AdditiveAttention(Attention):
    """Attention whose scores are ``sum(scale * tanh(query + key))``, with a trained scale (d,) unless ``use_scale`` is
    False; otherwise as ``Attention``. Source: Keras ``AdditiveAttention`` (Bahdanau et al. 2015).

    >>> import ranvier as rv
    >>> query, value = rv.ops.ones((2, 3, 4)), rv.ops.ones((2, 5, 4))
    >>> rv.layers.AdditiveAttention()([query, value]).shape
    (2, 3, 4)
    """

    def __init__(self, use_scale: bool = True, dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(use_scale=use_scale, dropout=dropout, **kwargs)

    def build(self, input_shape: Any) -> None:
        self.compute_output_shape(input_shape)
        if self.use_scale:
            self.scale = self.add_weight((known_axis(self, input_shape[0], -1),), "glorot_uniform", name="scale")
        self.built = True

    def _scores(self, query: Any, key: Any) -> Any:
        pairs = ops.tanh(ops.expand_dims(query, -2) + ops.expand_dims(key, -3))
        return ops.sum(pairs if self.scale is None else self.scale * pairs, -1)

    def get_config(self) -> dict[str, Any]:
        return {k: v for k, v in super().get_config().items() if k != "score_mode"}


def carried(tensor: Any, given: Any) -> Any:
    """A mask given by hand, or else the one that a tensor carries, as bool."""
    mask = get_mask(tensor) if given is None and tensor is not None else given
    return None if mask is None else ops.cast(mask, "bool")
