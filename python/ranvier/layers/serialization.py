"""Layers as JSON configurations, and back."""

from __future__ import annotations

from typing import Any


def serialize(layer: Any) -> dict[str, Any]:
    """A layer as JSON values: its class and configuration, without its weights. Source: Keras ``layers.serialize``.

    >>> import ranvier as rv
    >>> rv.layers.serialize(rv.layers.ReLU(max_value=6.0))["class_name"]
    'ReLU'
    """
    from ranvier.saving.registry import serialize_object

    config: dict[str, Any] = serialize_object(layer)
    return config


def deserialize(config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
    """The layer that ``serialize`` wrote, without its weights; ``custom_objects`` are classes by name.

    Raises ValueError for a configuration of something else, and for a class that is not known. Source: Keras
    ``layers.deserialize``.

    >>> import ranvier as rv
    >>> rv.layers.deserialize(rv.layers.serialize(rv.layers.ReLU(max_value=6.0))).max_value
    6.0
    """
    from ranvier.layers.layer import Layer
    from ranvier.saving.registry import deserialize_object

    layer = deserialize_object(config, custom_objects)
    if not isinstance(layer, Layer):
        raise ValueError(f"deserialize: the configuration is not that of a layer, but gives {layer!r}")
    return layer
