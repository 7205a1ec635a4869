"""Optimizers: Keras 3's classes, and ``get``, which finds them by name."""

from __future__ import annotations

from typing import Any

from ranvier import schedules as schedules
from ranvier._names import unknown
from ranvier.optimizers.algorithms import SGD, Adadelta, Adagrad, Adam, AdamW, RMSprop
from ranvier.optimizers.composed import Adafactor, Muon, ScheduleFreeAdamW
from ranvier.optimizers.loss_scale import LossScaleOptimizer
from ranvier.optimizers.moments import Adamax, Ftrl, Lamb, Lion, Nadam
from ranvier.optimizers.multi import MultiOptimizer, OptimizerMap
from ranvier.optimizers.optimizer import Optimizer

_ALL: tuple[type[Optimizer], ...] = (
    SGD, Adadelta, Adafactor, Adagrad, Adam, AdamW, Adamax, Ftrl, Lamb, Lion, LossScaleOptimizer, MultiOptimizer, Muon,
    Nadam, RMSprop, ScheduleFreeAdamW,
)  # fmt: skip
CLASSES: dict[str, type[Optimizer]] = {c.__name__.lower(): c for c in _ALL}

__all__ = [
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Ftrl",
    "Lamb",
    "Lion",
    "LossScaleOptimizer",
    "MultiOptimizer",
    "Muon",
    "Nadam",
    "Optimizer",
    "OptimizerMap",
    "RMSprop",
    "ScheduleFreeAdamW",
    "deserialize",
    "get",
    "schedules",
    "serialize",
]


def get(identifier: Any) -> Any:
    """An optimizer from a name in any case, a class, a configuration, or itself; None for None.

    Raises ValueError for a name that is not known and for what is no optimizer. Source: Keras.

    >>> import ranvier as rv
    >>> rv.optimizers.get("adam").get_config()["beta_2"]
    0.999
    """
    if identifier is None or isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, str):
        return deserialize({"class_name": identifier, "config": {}})
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, type) and issubclass(identifier, Optimizer):
        return identifier()  # type: ignore[call-arg]
    raise ValueError(f"Could not interpret optimizer identifier: {identifier!r} of type {type(identifier).__name__}")


def serialize(optimizer: Optimizer) -> Any:
    """An optimizer's configuration as JSON values (without its state).

    >>> import ranvier as rv
    >>> rv.optimizers.serialize(rv.optimizers.SGD(0.5))["class_name"]
    'SGD'
    """
    from ranvier.saving.registry import serialize_object

    return serialize_object(optimizer)


def deserialize(config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
    """The optimizer that ``serialize`` wrote, without its state. Raises ValueError for one that is not known.

    >>> import ranvier as rv
    >>> float(rv.optimizers.deserialize({"class_name": "SGD", "config": {"learning_rate": 0.5}}).learning_rate)
    0.5
    """
    from ranvier.saving.registry import CustomObjectScope, deserialize_object, get_registered_object

    name = str(config.get("class_name"))
    with CustomObjectScope(custom_objects or {}):
        if get_registered_object(str(config.get("registered_name") or name)) is not None:
            return deserialize_object(config)
    if name.lower() not in CLASSES:
        raise ValueError(unknown("optimizer", name, CLASSES))
    return CLASSES[name.lower()].from_config(config.get("config", {}))
