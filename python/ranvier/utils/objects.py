"""Custom objects and configurations, under Keras's names; ``rv.saving`` does the work."""

from __future__ import annotations

from typing import Any

from ranvier.saving import registry
from ranvier.saving.registry import CustomObjectScope as CustomObjectScope
from ranvier.saving.registry import custom_object_scope as custom_object_scope
from ranvier.saving.registry import register_serializable as register_keras_serializable

__all__ = [
    "CustomObjectScope",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "register_keras_serializable",
    "serialize_keras_object",
]


def get_custom_objects() -> dict[str, Any]:
    """The classes and functions that saved models may name besides Ranvier's own; what you add counts from then on.

    >>> import ranvier as rv
    >>> rv.utils.get_custom_objects()["cube"] = lambda x: x**3
    >>> rv.activations.get("cube")(2)
    8
    >>> del rv.utils.get_custom_objects()["cube"]
    """
    return registry._registered


def get_registered_name(obj: Any) -> str:
    """The name under which a class or function was registered, or its own.

    >>> import ranvier as rv
    >>> rv.utils.get_registered_name(rv.layers.Dense)
    'Dense'
    """
    return registry.get_registered_name(obj) or str(obj.__name__)


def get_registered_object(
    name: str, custom_objects: dict[str, Any] | None = None, module_objects: dict[str, Any] | None = None
) -> Any:
    """What is registered as ``name``, or None; ``custom_objects`` come first, ``module_objects`` last.

    >>> import ranvier as rv
    >>> rv.utils.get_registered_object("nothing", module_objects={"nothing": 0})
    0
    """
    found = registry.get_registered_object(name, custom_objects)
    return (module_objects or {}).get(name) if found is None else found


def serialize_keras_object(obj: Any) -> Any:
    """An object (layer, loss, initializer, structure of such, ...) as JSON values. Source: Keras.

    >>> import ranvier as rv
    >>> rv.utils.serialize_keras_object(rv.initializers.Constant(2.0))["config"]
    {'value': 2.0}
    """
    return registry.serialize_object(obj)


def deserialize_keras_object(
    config: Any, custom_objects: dict[str, Any] | None = None, safe_mode: bool = True, **kwargs: Any
) -> Any:
    """The object that ``serialize_keras_object`` wrote.

    ``safe_mode=False`` changes nothing: code is never read from a configuration. Raises ValueError for a class that is
    neither Ranvier's nor registered. Source: Keras.

    >>> import ranvier as rv
    >>> config = rv.utils.serialize_keras_object(rv.initializers.Constant(2.0))
    >>> rv.utils.deserialize_keras_object(config).value
    2.0
    """
    if kwargs:
        known = "module_objects is the only further argument"
        unknown = sorted(set(kwargs) - {"module_objects"})
        if unknown:
            raise TypeError(f"deserialize_keras_object: unknown argument {unknown[0]!r}; {known}")
    objects = {**(kwargs.get("module_objects") or {}), **(custom_objects or {})}
    return registry.deserialize_object(config, objects)
