"""Embedding: rows of a table by their numbers."""

from __future__ import annotations

from typing import Any

from ranvier.autograd import Function
from ranvier.ops.symbolic import direct
from ranvier.tensor import Tensor

__all__ = ["embedding"]


class Embedding(Function):
    def forward(self, indices: Any, table: Any) -> Any:
        self.save(indices)
        self.vocabulary = table.shape[0] if table.ndim else 0
        return self.kernels.embedding_forward(indices, table)

    def backward(self, dy: Tensor) -> tuple[None, Tensor]:
        (indices,) = self.saved
        return None, EmbeddingGradient.apply(indices, dy, vocabulary=self.vocabulary)


class EmbeddingGradient(Function):
    """The sum of what flowed to the uses of each row; its own gradient is a look-up again."""

    narrow = ()

    def forward(self, indices: Any, dy: Any, vocabulary: int) -> Any:
        self.save(indices)
        return self.kernels.embedding_backward(indices, dy, vocabulary)

    def backward(self, ddtable: Tensor) -> tuple[None, Tensor]:
        (indices,) = self.saved
        return None, embedding(indices, ddtable)


@direct("embedding")
def embedding(indices: Any, table: Any) -> Tensor:
    """Rows of ``table`` (vocabulary, d) by ``indices`` (...): (..., d).

    ``indices`` are int32 or int64; ``table`` may have any dtype, its gradient float32 or float64. The gradient is a
    dense (vocabulary, d) table, in which the contributions to a row are added in the order of the indices: it repeats
    bit for bit on any number of threads. Raises ValueError for an index outside 0..vocabulary-1, naming it and its
    position, or a table that is not a matrix; TypeError for indices that are not integers. Source: Keras
    ``layers.Embedding``.

    >>> import ranvier as rv
    >>> rv.ops.embedding([2, 0], [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]).numpy()
    array([[5., 6.],
           [1., 2.]], dtype=float32)
    """
    return Embedding.apply(indices, table)
