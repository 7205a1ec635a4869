"""Losses: Keras 3's classes and functions, and ``get``, which finds them by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ranvier._names import unknown
from ranvier.losses.classes import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CosineSimilarity,
    Huber,
    Loss,
    LossFunctionWrapper,
    SparseCategoricalCrossentropy,
)
from ranvier.losses.focal import (
    BinaryFocalCrossentropy,
    CategoricalFocalCrossentropy,
    CategoricalGeneralizedCrossEntropy,
    binary_focal_crossentropy,
    categorical_focal_crossentropy,
    categorical_generalized_cross_entropy,
)
from ranvier.losses.functions import (
    binary_crossentropy,
    categorical_crossentropy,
    categorical_hinge,
    cosine_similarity,
    half_sse,
    hinge,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    sparse_categorical_crossentropy,
    squared_hinge,
)
from ranvier.losses.overlap import Circle, Dice, Tversky, circle, dice, tversky
from ranvier.losses.plain import (
    CategoricalHinge,
    Hinge,
    KLDivergence,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    SquaredHinge,
)
from ranvier.losses.temporal import CTC, ctc

CLASSES: dict[str, type[Loss]] = {
    c.__name__: c
    for c in (
        BinaryCrossentropy, BinaryFocalCrossentropy, CTC, CategoricalCrossentropy, CategoricalFocalCrossentropy,
        CategoricalGeneralizedCrossEntropy, CategoricalHinge, Circle, CosineSimilarity, Dice, Hinge, Huber,
        KLDivergence, LogCosh, MeanAbsoluteError, MeanAbsolutePercentageError, MeanSquaredError,
        MeanSquaredLogarithmicError, Poisson, SparseCategoricalCrossentropy, SquaredHinge, Tversky,
    )
}  # fmt: skip
FUNCTIONS: dict[str, Callable[..., Any]] = {
    f.__name__: f
    for f in (
        binary_crossentropy, binary_focal_crossentropy, categorical_crossentropy,
        categorical_focal_crossentropy, categorical_generalized_cross_entropy, categorical_hinge, circle,
        cosine_similarity, ctc, dice, half_sse, hinge, huber, kl_divergence, log_cosh, mean_absolute_error,
        mean_absolute_percentage_error, mean_squared_error, mean_squared_logarithmic_error, poisson,
        sparse_categorical_crossentropy, squared_hinge, tversky,
    )
}  # fmt: skip
ALIASES: dict[str, Callable[..., Any]] = {
    "mse": mean_squared_error, "MSE": mean_squared_error, "mae": mean_absolute_error, "MAE": mean_absolute_error,
    "mape": mean_absolute_percentage_error, "MAPE": mean_absolute_percentage_error,
    "msle": mean_squared_logarithmic_error, "MSLE": mean_squared_logarithmic_error, "bce": binary_crossentropy,
    "BCE": binary_crossentropy, "kld": kl_divergence, "KLD": kl_divergence, "logcosh": log_cosh,
}  # fmt: skip

__all__ = [
    "CTC",
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalGeneralizedCrossEntropy",
    "CategoricalHinge",
    "Circle",
    "CosineSimilarity",
    "Dice",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "LossFunctionWrapper",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "Tversky",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy",
    "categorical_hinge",
    "circle",
    "cosine_similarity",
    "ctc",
    "deserialize",
    "dice",
    "get",
    "half_sse",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "poisson",
    "serialize",
    "sparse_categorical_crossentropy",
    "squared_hinge",
    "tversky",
]


def get(identifier: Any) -> Any:
    """A loss from a name (a class's gives an object, a function's the function), a configuration, or itself.

    None for None. Raises ValueError for a name that is not known and for what is no loss. Source: Keras.

    >>> import ranvier as rv
    >>> rv.losses.get("mse") is rv.losses.mean_squared_error
    True
    >>> rv.losses.get({"class_name": "Huber", "config": {"delta": 2.0}}).get_config()["delta"]
    2.0
    """
    if identifier is None:
        return None
    if isinstance(identifier, str):
        return _by_name(identifier)
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, type) and issubclass(identifier, Loss):
        return identifier()
    if callable(identifier):
        return identifier
    raise ValueError(f"Could not interpret loss identifier: {identifier!r} of type {type(identifier).__name__}")


def _by_name(name: str) -> Any:
    from ranvier.saving.registry import get_registered_object

    found = get_registered_object(name) or FUNCTIONS.get(name) or ALIASES.get(name) or CLASSES.get(name)
    if found is None:
        raise ValueError(unknown("loss", name, {**FUNCTIONS, **ALIASES, **CLASSES}))
    return found() if isinstance(found, type) else found


def serialize(loss: Any) -> Any:
    """A loss as JSON values: one of our functions as its name, an object as its configuration.

    >>> import ranvier as rv
    >>> rv.losses.serialize(rv.losses.mean_squared_error)
    'mean_squared_error'
    """
    from ranvier.saving.registry import serialize_object

    name = getattr(loss, "__name__", None)
    return name if name is not None and FUNCTIONS.get(name) is loss else serialize_object(loss)


def deserialize(name: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The loss that ``serialize`` wrote. Raises ValueError for one that is neither ours nor registered.

    >>> import ranvier as rv
    >>> rv.losses.deserialize({"class_name": "Huber", "config": {"delta": 2.0}}).kwargs
    {'delta': 2.0}
    """
    from ranvier.saving.registry import CustomObjectScope, deserialize_object

    with CustomObjectScope(custom_objects or {}):
        if isinstance(name, str):
            return _by_name(name)
        if name.get("class_name") == "function" and name.get("config") in FUNCTIONS:
            return FUNCTIONS[name["config"]]
        return deserialize_object(name)
