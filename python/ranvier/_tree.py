"""Nested structures of lists, tuples and dicts: what layers take and return."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


def flatten(structure: Any) -> list[Any]:
    """The leaves, depth first; dicts in their own order."""
    if isinstance(structure, (list, tuple)):
        return [leaf for item in structure for leaf in flatten(item)]
    if isinstance(structure, dict):
        return [leaf for item in structure.values() for leaf in flatten(item)]
    return [structure]


def map_structure(function: Callable[[Any], Any], structure: Any) -> Any:
    """The same structure with ``function`` of each leaf."""
    if isinstance(structure, (list, tuple)):
        items = [map_structure(function, item) for item in structure]
        if hasattr(structure, "_fields"):  # a named tuple takes its fields one by one
            return type(structure)(*items)
        return type(structure)(items)
    if isinstance(structure, dict):
        return {key: map_structure(function, item) for key, item in structure.items()}
    return function(structure)


def pack(structure: Any, leaves: list[Any]) -> Any:
    """The same structure with other leaves, in the order of ``flatten``."""
    supply: Iterator[Any] = iter(leaves)
    return map_structure(lambda _: next(supply), structure)


def is_shape(value: Any) -> bool:
    """Whether ``value`` is one shape, as opposed to a structure of shapes."""
    return isinstance(value, (list, tuple)) and all(v is None or isinstance(v, int) for v in value)


def map_shapes(function: Callable[[tuple[int | None, ...]], Any], structure: Any) -> Any:
    """``map_structure`` where the leaves are shapes."""
    if is_shape(structure):
        return function(tuple(structure))
    if isinstance(structure, dict):
        return {key: map_shapes(function, item) for key, item in structure.items()}
    return type(structure)(map_shapes(function, item) for item in structure)
