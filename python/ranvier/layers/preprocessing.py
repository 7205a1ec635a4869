"""Features made ready in the model: Normalization, CategoryEncoding, Discretization."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ranvier import ops
from ranvier._names import unknown
from ranvier.layers.arguments import positive
from ranvier.layers.layer import Layer
from ranvier.layers.symbolic import KerasTensor
from ranvier.tensor import Tensor


def batches_of(layer: str, data: Any) -> Iterable[np.ndarray]:
    """What ``adapt`` is given: one array, or batches of them (of pairs, the inputs)."""
    if isinstance(data, Tensor):
        data = data.numpy()
    if isinstance(data, np.ndarray):
        return [data]
    if hasattr(data, "__getitem__") and hasattr(data, "__len__") and not isinstance(data, (list, tuple)):
        data = map(data.__getitem__, range(len(data)))  # a PyDataset
    if not hasattr(data, "__iter__") or isinstance(data, (str, bytes)):
        raise TypeError(f"{layer}: adapt() takes an array, a PyDataset or batches, got {type(data).__name__}")
    return (np.asarray(batch[0] if isinstance(batch, tuple) else batch) for batch in data)


class Normalization(Layer):
    """``(x - mean) / sqrt(variance)``, one mean and variance for each place along ``axis`` (None: one for all).

    They are given, or learned from data by ``adapt``. ``invert`` goes back: ``mean + x * sqrt(variance)``. Raises
    ValueError for axes that the inputs have not, and where just one of ``mean`` and ``variance`` is given or their
    shapes differ. Source: Keras ``Normalization``.

    >>> import numpy as np, ranvier as rv
    >>> layer = rv.layers.Normalization()
    >>> layer.adapt(np.array([[1.0, 10.0], [3.0, 50.0]]))
    >>> layer([[1.0, 30.0]]).tolist()
    [[-1.0, 0.0]]
    """

    computes_inputs = False  # 16 bits round large numbers

    casts_integers = True

    def __init__(
        self, axis: Any = -1, mean: Any = None, variance: Any = None, invert: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.axis = () if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
        if (mean is None) != (variance is None):
            raise ValueError(f"Normalization: give both mean and variance or none, got {mean} and {variance}")
        if mean is not None and (np.shape(mean) != np.shape(variance) or np.ndim(mean) > len(self.axis)):
            raise ValueError(
                f"Normalization: mean and variance must have one shape with an axis for each of axis={axis}, got "
                f"shapes {np.shape(mean)} and {np.shape(variance)}"
            )
        self.input_mean = None if mean is None else np.asarray(mean)
        self.input_variance = None if variance is None else np.asarray(variance)
        self.invert = invert
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        rank = len(input_shape)
        if not all(-rank <= a < rank for a in self.axis):
            raise ValueError(
                f"Normalization {self.name!r}: axis {self.axis} is not all axes of inputs of shape {tuple(input_shape)}"
            )
        self._kept = sorted(a % rank for a in self.axis)
        if any(input_shape[a] is None for a in self._kept):
            raise ValueError(
                f"Normalization {self.name!r}: the sizes of axis {self.axis} must be known to build it, got input "
                f"shape {tuple(input_shape)}"
            )
        sizes = tuple(input_shape[a] for a in self._kept)
        self._shape = tuple(input_shape[a] if a in self._kept else 1 for a in range(rank))
        if self.input_mean is None:
            self.adapt_mean = self.add_weight(sizes, "zeros", trainable=False, name="mean")
            self.adapt_variance = self.add_weight(sizes, "ones", trainable=False, name="variance")
            self.count = self.add_weight((), "zeros", dtype="int32", trainable=False, name="count")  # of old Keras
        self.built = True

    def adapt(self, data: Any) -> None:
        """Learns mean and variance from an array, a PyDataset or batches, in float64. Raises ValueError for no data,
        for another shape than the layer was built for and where mean and variance are given."""
        if self.input_mean is not None:
            raise ValueError(f"Normalization {self.name!r}: mean and variance are given; there is nothing to adapt")
        count, mean, squares = 0, np.zeros(()), np.zeros(())
        for batch in batches_of("Normalization", data):
            if not self.built:
                self.build(batch.shape)
            fits = batch.ndim == len(self._shape) and all(batch.shape[a] == self._shape[a] for a in self._kept)
            if not fits:
                raise ValueError(
                    f"Normalization {self.name!r}: built for {self._shape} (1 for axes of any size), adapt() got data "
                    f"of shape {batch.shape}"
                )
            axes = tuple(a for a in range(batch.ndim) if a not in self._kept)
            values = batch.astype(np.float64)
            here = int(np.prod([batch.shape[a] for a in axes], dtype=np.int64))
            if here == 0:
                continue
            # Chan, Golub and LeVeque's update of the mean and of the sum of squared deviations
            delta = values.mean(axes) - mean
            squares = squares + values.var(axes) * here + delta**2 * (count * here / (count + here))
            mean = mean + delta * (here / (count + here))
            count += here
        if count == 0:
            raise ValueError(f"Normalization {self.name!r}: adapt() got no data")
        self.adapt_mean.assign(mean.astype(self.dtype))
        self.adapt_variance.assign((squares / count).astype(self.dtype))

    def _given(self, values: Any) -> Tensor:
        """``mean`` or ``variance`` as given, its axes put beside the last of those kept."""
        shape = [1] * len(self._shape)
        for place, size in zip(reversed(self._kept), reversed(values.shape), strict=False):
            shape[place] = size
        return Tensor(values.reshape(shape), dtype=self.dtype)

    def call(self, inputs: Any) -> Any:
        if self.input_mean is None:
            mean, variance = (ops.reshape(v, self._shape) for v in (self.adapt_mean, self.adapt_variance))
        else:
            mean, variance = self._given(self.input_mean), self._given(self.input_variance)
            if any(a not in (1, b) for a, b in zip(mean.shape, inputs.shape, strict=False)):
                raise ValueError(
                    f"Normalization {self.name!r}: a mean of shape {self.input_mean.shape} does not fit inputs of "
                    f"shape {inputs.shape}"
                )
        deviation = ops.maximum(ops.sqrt(variance), 1e-7)
        result = mean + inputs * deviation if self.invert else (inputs - mean) / deviation
        return ops.cast(result, self.compute_dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        mean, variance = (None if v is None else v.tolist() for v in (self.input_mean, self.input_variance))
        own = {"axis": list(self.axis), "invert": self.invert, "mean": mean, "variance": variance}
        return {**super().get_config(), **own}


_MODES = ("one_hot", "multi_hot", "count")


def encoded_shape(shape: Any, mode: str, depth: int) -> Any:
    """The shape of what ``encode`` gives for numbers of a shape."""
    if mode == "int":
        return tuple(shape)
    if mode == "one_hot" and (len(shape) < 2 or shape[-1] != 1):
        return (*shape, depth)
    return (*shape[:-1], depth)


def encode(indices: Any, mode: str, depth: int, dtype: str, weights: Any = None) -> Any:
    """Class numbers as rows of 0 and 1: one a number, or one for all of a sample."""
    if mode == "one_hot" and indices.ndim > 1 and indices.shape[-1] == 1:
        indices = ops.squeeze(indices, -1)
    rows = ops.one_hot(indices, depth, dtype=dtype)
    if mode == "one_hot" or indices.ndim == 0:
        return rows
    if mode == "multi_hot":
        return ops.max(rows, -2)
    return ops.sum(rows if weights is None else rows * ops.expand_dims(weights, -1), -2)


class CategoryEncoding(Layer):
    """Numbers of classes as rows of ``num_tokens``: which are there, (N, n) -> (N, num_tokens), for ``"multi_hot"``;
    how often, for ``"count"`` (weighed by ``count_weights``); a row for each, (N, n) -> (N, n, num_tokens), for
    ``"one_hot"``.

    Raises ValueError for numbers outside [0, num_tokens) and unknown modes. Source: Keras ``CategoryEncoding``.

    >>> import ranvier as rv
    >>> rv.layers.CategoryEncoding(4, output_mode="count")([[0, 1, 1], [3, 3, 3]]).tolist()
    [[1.0, 2.0, 0.0, 0.0], [0.0, 0.0, 0.0, 3.0]]
    """

    computes_inputs = False  # 16 bits round large numbers

    def __init__(self, num_tokens: int | None = None, output_mode: str = "multi_hot", **kwargs: Any) -> None:
        if kwargs.pop("sparse", False):
            raise ValueError("CategoryEncoding: sparse=True is not supported: arrays are dense")
        super().__init__(**kwargs)
        self.output_mode = "multi_hot" if output_mode == "binary" else output_mode
        if self.output_mode not in _MODES:
            raise ValueError(f"CategoryEncoding: {unknown('output_mode', str(output_mode), _MODES)}")
        self.num_tokens = positive("CategoryEncoding", "num_tokens", num_tokens)
        self.built = True

    def call(self, inputs: Any, count_weights: Any = None) -> Any:
        if count_weights is not None and self.output_mode != "count":
            raise ValueError(
                f"CategoryEncoding {self.name!r}: count_weights need output_mode='count', which is {self.output_mode!r}"
            )
        indices = inputs if inputs.dtype in ("int32", "int64") else ops.cast(inputs, "int32")
        weights = None if count_weights is None else ops.cast(count_weights, self.compute_dtype)
        return encode(indices, self.output_mode, self.num_tokens, self.compute_dtype, weights)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return encoded_shape(input_shape, self.output_mode, self.num_tokens)

    def compute_output_spec(self, inputs: Any, count_weights: Any = None) -> Any:
        return KerasTensor(self.compute_output_shape(inputs.shape), self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_tokens": self.num_tokens, "output_mode": self.output_mode}


class Discretization(Layer):
    """Numbers as the bins that they lie in: below the first boundary 0, from the last on ``len(bin_boundaries)``.

    The boundaries are given, or ``adapt`` finds ``num_bins - 1`` that part the data into bins of equal counts (to
    within ``epsilon``). ``output_mode`` is ``"int"`` (int32), or one of ``CategoryEncoding``. Raises ValueError unless
    just one of ``bin_boundaries`` and ``num_bins`` is given. Source: Keras ``Discretization``.

    >>> import ranvier as rv
    >>> rv.layers.Discretization([0.0, 1.0])([[-1.5, 0.0, 3.4, 0.5]]).tolist()
    [[0, 1, 2, 1]]
    """

    computes_inputs = False  # 16 bits round large numbers

    casts_integers = True

    def __init__(
        self,
        bin_boundaries: Any = None,
        num_bins: int | None = None,
        epsilon: float = 0.01,
        output_mode: str = "int",
        sparse: bool = False,
        dtype: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(dtype=dtype, name=name, **kwargs)
        if sparse:
            raise ValueError("Discretization: sparse=True is not supported: arrays are dense")
        if output_mode not in ("int", *_MODES):
            raise ValueError(f"Discretization: {unknown('output_mode', str(output_mode), ('int', *_MODES))}")
        if (bin_boundaries is None) == (num_bins is None):
            raise ValueError(
                f"Discretization: give either bin_boundaries or num_bins, got {bin_boundaries!r} and {num_bins!r}"
            )
        self.bin_boundaries = None if bin_boundaries is None else [float(b) for b in bin_boundaries]
        self.num_bins = None if num_bins is None else positive("Discretization", "num_bins", num_bins)
        self.epsilon = epsilon
        self.output_mode = output_mode
        self.built = True

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Finds the boundaries in an array, or in batches, of which ``steps`` limits the number."""
        if self.num_bins is None:
            raise ValueError(f"Discretization {self.name!r}: bin_boundaries are given; there is nothing to adapt")
        summary = np.zeros((2, 0), np.float32)
        for number, batch in enumerate(batches_of("Discretization", data)):
            if steps is not None and number >= steps:
                break
            merged = np.concatenate([_summary(batch, self.epsilon), summary], axis=1)
            summary = _compressed(merged[:, np.argsort(merged[0])], self.epsilon)
        if not summary.size:
            raise ValueError(f"Discretization {self.name!r}: adapt() got no data")
        self.bin_boundaries = _compressed(summary, 1 / self.num_bins)[0, :-1].tolist()

    def call(self, inputs: Any) -> Any:
        if self.bin_boundaries is None:
            raise ValueError(f"Discretization {self.name!r}: call adapt(data) first, or give bin_boundaries")
        boundaries = Tensor(np.array(self.bin_boundaries), dtype=inputs.dtype)
        above = ops.less(ops.expand_dims(inputs, -1), boundaries)
        indices = len(self.bin_boundaries) - ops.sum(ops.cast(above, "int32"), -1)
        if self.output_mode == "int":
            return ops.cast(indices, "int32")
        return encode(indices, self.output_mode, len(self.bin_boundaries) + 1, self.compute_dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        depth = self.num_bins if self.bin_boundaries is None else len(self.bin_boundaries) + 1
        return encoded_shape(input_shape, self.output_mode, depth or 0)

    def compute_output_spec(self, inputs: Any) -> Any:
        dtype = "int32" if self.output_mode == "int" else self.compute_dtype
        return KerasTensor(self.compute_output_shape(inputs.shape), dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "bin_boundaries": self.bin_boundaries,
            "num_bins": self.num_bins,
            "epsilon": self.epsilon,
            "output_mode": self.output_mode,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """A new layer; one that was adapted has both boundaries and a number of bins."""
        boundaries = config.get("bin_boundaries")
        if boundaries is None or config.get("num_bins") is None:
            return super().from_config(config)
        layer = super().from_config({k: v for k, v in config.items() if k != "bin_boundaries"})
        layer.bin_boundaries = list(boundaries)
        return layer


def _summary(values: np.ndarray, epsilon: float) -> np.ndarray:
    """Values at equal steps through the sorted ones, and how many each stands for."""
    values = np.sort(values.astype(np.float32), axis=None)
    step = max(values.size * epsilon, 1)
    picked = values[int(step - 1) :: int(step)]
    return np.stack([picked, np.full_like(picked, step)])


def _compressed(summary: np.ndarray, epsilon: float) -> np.ndarray:
    """The same in no more than ``1 / epsilon`` values, interpolated."""
    if summary.shape[1] * epsilon < 1:
        return summary
    shares = epsilon + np.arange(0.0, 1.0, epsilon)
    counts = summary[1].cumsum()
    values = np.interp(shares, counts / counts[-1], summary[0])
    weights = np.diff(np.interp(shares, counts / counts[-1], counts), prepend=0)
    return np.stack([values, weights]).astype(np.float32)
