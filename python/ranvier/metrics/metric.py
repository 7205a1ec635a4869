"""Metric, the base of all metrics, and the plain means and sums that most of them are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ranvier import _core, config, losses, ops
from ranvier.autograd import no_grad
from ranvier.config import auto_name, to_snake_case
from ranvier.losses.functions import same_rank
from ranvier.tensor import Tensor, as_tensor
from ranvier.variable import Variable


class Metric:
    """A quantity accumulated over batches: ``update_state`` adds one, ``result`` tells, ``reset_state`` forgets.

    Subclasses keep their sums in variables (``add_variable``), which ``reset_state`` sets to zero; ``_direction``
    ("up" or "down") tells callbacks which way is better. Source: Keras ``metrics.Metric``.

    >>> import ranvier as rv
    >>> class Largest(rv.metrics.Metric):
    ...     def __init__(self, name="largest"):
    ...         super().__init__(name=name)
    ...         self.value = self.add_variable((), "zeros")
    ...     def update_state(self, y_true, y_pred, sample_weight=None):
    ...         self.value.assign(rv.ops.maximum(self.value, rv.ops.max(rv.ops.abs(y_true - y_pred))))
    ...     def result(self):
    ...         return self.value
    >>> float(Largest()(rv.Tensor([1.0, 2.0]), rv.Tensor([1.5, 2.0])))
    0.5
    """

    _direction: str | None = None
    replayable = True  # whether update_state is all kernel calls, so that a recorded step can repeat it

    def __init__(self, dtype: str | None = None, name: str | None = None) -> None:
        self.name = name or auto_name(to_snake_case(type(self).__name__))
        self.dtype = dtype or config.floatx()
        self._variables: list[Variable] = []

    def add_variable(
        self, shape: Any, initializer: Any = "zeros", dtype: str | None = None, name: str | None = None
    ) -> Variable:
        """A variable of this metric's state, zero at first and after each ``reset_state``."""
        if initializer not in (None, "zeros"):
            raise ValueError(f"{self.name}: metric variables start at zero, not from {initializer!r}")
        value = np.zeros(shape, dtype or self.dtype)
        self._variables.append(Variable(value, trainable=False, name=name or "variable"))
        return self._variables[-1]

    add_weight = add_variable

    @property
    def variables(self) -> list[Variable]:
        """The variables that ``add_variable`` made."""
        return list(self._variables)

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Adds one batch."""
        raise NotImplementedError(f"{type(self).__name__} has no update_state")

    def result(self) -> Any:
        """The value over all batches since the last reset: a scalar Tensor, or anything that ``float`` takes."""
        raise NotImplementedError(f"{type(self).__name__} has no result")

    def reset_state(self) -> None:
        """Forgets all batches."""
        for variable in self._variables:
            variable.assign(np.zeros(variable.shape, variable.dtype))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.update_state(*args, **kwargs)
        return self.result()

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this metric again."""
        return {"name": self.name, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Metric:
        """The metric that ``get_config`` described."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


class _Reduction(Metric):
    """Running totals of values and of their weights in float64, added where the values are and read when asked for."""

    def __init__(self, dtype: str | None = None, name: str | None = None) -> None:
        super().__init__(dtype=dtype, name=name)
        self._sums = _core.Array.zeros((2,), "float64")  # of values, of weights

    def reset_state(self) -> None:
        self._sums.numpy()[...] = 0.0

    def _add(self, value: Tensor, scale: float, count: Tensor | float) -> None:
        _core._accumulate(self._sums, value.array, scale, count if isinstance(count, float) else count.array)

    @property
    def total(self) -> float:
        """The weighted sum so far."""
        return float(self._sums.numpy()[0])

    @property
    def count(self) -> float:
        """The sum of weights so far (of samples, where there are no weights)."""
        return float(self._sums.numpy()[1])


def _weighted(values: Tensor, sample_weight: Any, reduce: Callable[..., Tensor]) -> tuple[Tensor, Tensor]:
    """Values times weights, and the weights, one per sample, as Keras's ``reduce_to_samplewise_values``."""
    weights = as_tensor(sample_weight, values.dtype, values.device)
    values, weights = same_rank(values, weights)
    rank = weights.ndim
    if values.ndim > rank:
        values = reduce(values, axis=tuple(range(rank, values.ndim)))
    weights = ops.broadcast_to(weights, values.shape)
    values = values * weights
    if rank > 1:
        weights = reduce(weights, axis=tuple(range(1, rank)))
    if values.ndim > 1:
        values = reduce(values, axis=tuple(range(1, values.ndim)))
    return values, weights


def _masked(counts: Tensor, weights: Tensor) -> Tensor:
    """Weights (N,) or (N, T) where the mask (N, T) counts."""
    counts, weights = same_rank(counts, weights)
    return counts * ops.reshape(weights, weights.shape + (1,) * (counts.ndim - weights.ndim))


def _as_values(values: Any, dtype: str) -> Tensor:
    tensor = as_tensor(values)
    return tensor if tensor.dtype in ("float32", "float64") else ops.cast(tensor, dtype)


class Sum(_Reduction):
    """The (weighted) sum of values. Source: Keras ``metrics.Sum``.

    >>> import ranvier as rv
    >>> total = rv.metrics.Sum()
    >>> total.update_state([1.0, 3.0, 5.0, 7.0], sample_weight=[1, 1, 0, 0])
    >>> total.result().item()
    4.0
    """

    def __init__(self, name: str = "sum", dtype: str | None = None) -> None:
        super().__init__(dtype=dtype, name=name)

    @no_grad()
    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        tensor = _as_values(values, self.dtype)
        if sample_weight is not None:
            tensor, _ = _weighted(tensor, sample_weight, ops.sum)
        self._add(ops.sum(tensor) if tensor.ndim else tensor, 1.0, 0.0)

    def result(self) -> Tensor:
        return as_tensor(self.total, self.dtype)


class Mean(_Reduction):
    """The (weighted) mean of values; values of higher rank count as one mean per sample. Source: Keras ``Mean``.

    >>> import ranvier as rv
    >>> mean = rv.metrics.Mean()
    >>> mean.update_state([1.0, 3.0, 5.0, 7.0])
    >>> mean.result().item()
    4.0
    """

    def __init__(self, name: str = "mean", dtype: str | None = None) -> None:
        super().__init__(dtype=dtype, name=name)

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        scalar = isinstance(values, Tensor) and values.ndim == 0 and values.dtype in ("float32", "float64")
        if scalar and isinstance(sample_weight, (int, float)):  # a step's loss
            self._add(values, float(sample_weight), float(sample_weight))
        else:
            self._update(values, sample_weight)

    @no_grad()
    def _update(self, values: Any, sample_weight: Any) -> None:
        tensor = _as_values(values, self.dtype)
        if sample_weight is None:
            count = float(tensor.shape[0]) if tensor.ndim else 1.0
            if count and tensor.size:  # an empty batch adds nothing
                self._add(ops.mean(tensor) if tensor.ndim else tensor, count, count)
        elif tensor.ndim == 0 and isinstance(sample_weight, (int, float)):
            self._add(tensor, float(sample_weight), float(sample_weight))
        else:
            tensor, weights = _weighted(tensor, sample_weight, ops.mean)
            self._add(ops.sum(tensor), 1.0, ops.sum(weights))

    def result(self) -> Tensor:
        total, count = self.total, self.count
        return as_tensor(total / count if count else 0.0, self.dtype)


class MeanMetricWrapper(Mean):
    """The mean of ``fn(y_true, y_pred, **kwargs)``, which gives a value per sample. Source: Keras.

    >>> import ranvier as rv
    >>> worst = rv.metrics.MeanMetricWrapper(lambda y, p: rv.ops.max(rv.ops.abs(y - p), axis=-1), name="worst")
    >>> worst.update_state(rv.Tensor([[0.0, 1.0]]), rv.Tensor([[0.5, 1.0]]))
    >>> worst.result().item()
    0.5
    """

    def __init__(
        self, fn: Callable[..., Any], name: str | None = None, dtype: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(name=name or str(getattr(fn, "__name__", "metric")), dtype=dtype)
        self._fn = fn
        self._fn_kwargs = kwargs

    @no_grad()
    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        y_pred = as_tensor(y_pred)
        y_true = as_tensor(y_true, device=y_pred.device)
        mask = getattr(y_pred, "mask", None)  # steps that it leaves out have no weight
        if mask is not None:
            counts = ops.cast(mask, "float32")
            sample_weight = counts if sample_weight is None else _masked(counts, as_tensor(sample_weight, "float32"))
        values = self._fn(y_true, y_pred, **self._fn_kwargs)
        ignored = getattr(values, "mask", None)  # of ignore_class; it counts where there are weights, as in Keras
        if ignored is not None and sample_weight is not None:
            sample_weight = _masked(ops.cast(ignored, "float32"), as_tensor(sample_weight, "float32"))
        super().update_state(values, sample_weight=sample_weight)

    def get_config(self) -> dict[str, Any]:
        if type(self) is MeanMetricWrapper:
            return {**super().get_config(), "fn": losses.serialize(self._fn), **self._fn_kwargs}
        return {**super().get_config(), **self._fn_kwargs}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Metric:
        return cls(**{**config, "fn": losses.deserialize(config["fn"])}) if "fn" in config else cls(**config)


def host(values: Any) -> np.ndarray:
    """Values of a Tensor, or of anything NumPy takes, on the host."""
    return values.numpy() if isinstance(values, Tensor) else np.asarray(values)
