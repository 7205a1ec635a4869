"""SpectralNormalization: a layer whose kernel stretches no vector."""

from __future__ import annotations

from typing import Any

from ranvier import initializers, ops
from ranvier.autograd import no_grad
from ranvier.layers.input_spec import InputSpec
from ranvier.layers.recurrent_wrappers import Wrapper
from ranvier.layers.signature import signature_of


class SpectralNormalization(Wrapper):
    """A layer whose kernel is divided by its largest singular value each time that it is called in training.

    The value is found by ``power_iterations`` steps of the power method, which go on from call to call. The layer needs
    a ``kernel`` or ``embeddings``; to a matrix, its last axis is columns and the others are rows. Raises ValueError for
    another layer and for less than one iteration. Source: Keras ``SpectralNormalization`` (Miyato et al. 2018).

    >>> import numpy as np, ranvier as rv
    >>> layer = rv.layers.SpectralNormalization(rv.layers.Dense(3), power_iterations=30)
    >>> y = layer(rv.ops.ones((2, 4)), training=True)
    >>> np.linalg.norm(layer.kernel.numpy(), 2).round(3)
    np.float32(1.0)
    """

    kernel: Any

    def __init__(self, layer: Any, power_iterations: int = 1, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        if not power_iterations > 0:
            raise ValueError(f"SpectralNormalization: power_iterations must be positive, got {power_iterations!r}")
        self.power_iterations = power_iterations

    def build(self, input_shape: Any = None) -> None:
        super().build(input_shape)
        self.input_spec = InputSpec(min_ndim=1, axes={-1: input_shape[-1]})
        self.kernel = getattr(self.layer, "kernel", None)
        if self.kernel is None:
            self.kernel = getattr(self.layer, "embeddings", None)
        if self.kernel is None:
            raise ValueError(
                f"SpectralNormalization {self.name!r}: layer {self.layer.name!r} ({type(self.layer).__name__}) has "
                "neither a kernel nor embeddings to normalise"
            )
        self.vector_u = self.add_weight(
            (1, self.kernel.shape[-1]),
            initializers.TruncatedNormal(stddev=0.02),
            dtype=self.kernel.dtype,
            trainable=False,
            name="vector_u",
        )

    def call(self, inputs: Any, training: bool = False) -> Any:
        if training:
            self._normalize()
        options = {"training": training} if signature_of(type(self.layer)).training else {}
        return self.layer(inputs, **options)

    def _normalize(self) -> None:
        with no_grad(), self._casting(False):  # the weights themselves
            matrix = ops.reshape(self.kernel, (-1, self.kernel.shape[-1]))
            u = self.vector_u.detach()
            for _ in range(self.power_iterations):
                v = _unit(ops.matmul(u, matrix, transpose_x2=True))
                u = _unit(ops.matmul(v, matrix))
            sigma = ops.sum(ops.matmul(v, matrix) * u)
            some = ops.any(ops.not_equal(self.kernel, 0.0))  # a kernel of zeros stays one, and u as it was
            self.vector_u.assign(ops.where(some, u, self.vector_u))
            self.kernel.assign(self.kernel / ops.where(some, sigma, 1.0))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.layer.compute_output_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "power_iterations": self.power_iterations}


def _unit(x: Any) -> Any:
    return x / ops.sqrt(ops.maximum(ops.sum(x * x), 1e-14))
