"""Activation functions by name, as layers take them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ranvier import ops
from ranvier._names import unknown
from ranvier.tensor import Tensor


def linear(x: Any) -> Any:
    """``x`` itself."""
    return x


def relu(x: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Tensor:
    """max(x, 0), or Keras's general form: ``negative_slope * (x - threshold)`` below ``threshold``, capped at
    ``max_value``.

    >>> import ranvier as rv
    >>> rv.activations.relu(rv.Tensor([-1.0, 2.0, 9.0]), max_value=6.0).numpy()
    array([0., 2., 6.], dtype=float32)
    """
    if threshold:
        below = negative_slope * (x - threshold)
        y = ops.where(ops.greater_equal(x, threshold), x, below)
    else:
        y = ops.leaky_relu(x, negative_slope) if negative_slope else ops.relu(x)
    return ops.minimum(y, max_value) if max_value is not None else y


def leaky_relu(x: Any, negative_slope: float = 0.2) -> Tensor:
    """x where positive, else ``negative_slope * x``."""
    return ops.leaky_relu(x, negative_slope)


def relu6(x: Any) -> Tensor:
    """min(max(x, 0), 6)."""
    return ops.clip(x, 0.0, 6.0)


def elu(x: Any, alpha: float = 1.0) -> Tensor:
    """x where positive, else ``alpha * (exp(x) - 1)``."""
    return ops.elu(x, alpha)


def selu(x: Any) -> Tensor:
    """Scaled ELU, which keeps mean and variance (Klambauer et al. 2017)."""
    return ops.selu(x)


def gelu(x: Any, approximate: bool = False) -> Tensor:
    """x times the normal distribution function of x, exactly or by tanh (Hendrycks and Gimpel 2016)."""
    return ops.gelu(x, approximate)


def silu(x: Any) -> Tensor:
    """x * sigmoid(x), also called swish."""
    return ops.silu(x)


swish = silu


def softplus(x: Any) -> Tensor:
    """log(1 + exp(x))."""
    return ops.softplus(x)


def softsign(x: Any) -> Tensor:
    """x / (1 + |x|)."""
    return x / (ops.abs(x) + 1.0)


def sigmoid(x: Any) -> Tensor:
    """1 / (1 + exp(-x))."""
    return ops.sigmoid(x)


def hard_sigmoid(x: Any) -> Tensor:
    """clip(x / 6 + 1/2, 0, 1)."""
    return ops.clip(x / 6.0 + 0.5, 0.0, 1.0)


def hard_silu(x: Any) -> Tensor:
    """x * hard_sigmoid(x)."""
    return x * hard_sigmoid(x)


hard_swish = hard_silu


def tanh(x: Any) -> Tensor:
    """Hyperbolic tangent."""
    return ops.tanh(x)


def exponential(x: Any) -> Tensor:
    """exp(x)."""
    return ops.exp(x)


def log_sigmoid(x: Any) -> Tensor:
    """log(sigmoid(x)), without forming the sigmoid."""
    return ops.negative(ops.softplus(ops.negative(x)))


def mish(x: Any) -> Tensor:
    """x * tanh(softplus(x))."""
    return x * ops.tanh(ops.softplus(x))


def softmax(x: Any, axis: int = -1) -> Tensor:
    """Exponentials along ``axis``, normalised."""
    return ops.softmax(x, axis)


def log_softmax(x: Any, axis: int = -1) -> Tensor:
    """Logarithm of softmax."""
    return ops.log_softmax(x, axis)


BY_NAME: dict[str, Callable[..., Any]] = {
    f.__name__: f
    for f in (
        linear, relu, leaky_relu, relu6, elu, selu, gelu, silu, softplus, softsign, sigmoid, hard_sigmoid, hard_silu,
        tanh, exponential, log_sigmoid, mish, softmax, log_softmax,
    )
}  # fmt: skip
_aliases = {"swish": silu, "hard_swish": hard_silu}


def get(identifier: Any) -> Callable[..., Any]:
    """An activation from a name, a function, a layer or a configuration; ``linear`` for None.

    Raises ValueError for an unknown name.

    >>> import ranvier as rv
    >>> rv.activations.get("relu") is rv.activations.relu
    True
    """
    from ranvier.saving.registry import deserialize_object, get_registered_object

    if identifier is None:
        return linear
    if isinstance(identifier, dict):
        identifier = deserialize_object(identifier)
    if isinstance(identifier, str):
        found = get_registered_object(identifier) or BY_NAME.get(identifier) or _aliases.get(identifier)
        if found is None:
            raise ValueError(unknown("activation", identifier, {**BY_NAME, **_aliases}))
        return found
    if not callable(identifier):
        raise ValueError(f"Could not interpret activation identifier: {identifier!r}")
    return identifier


def name_of(activation: Callable[..., Any]) -> str | None:
    """The name of one of ours, or None."""
    name = getattr(activation, "__name__", "")
    return name if BY_NAME.get(name) is activation else None


def serialize(activation: Callable[..., Any]) -> Any:
    """The name of one of ours, or the configuration of a registered function."""
    from ranvier.saving.registry import serialize_object

    return serialize_object(activation)
