"""Axes of channels that are not the last one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ranvier import ops


def on_last_axis(function: Callable[[Any], Any], inputs: Any, axis: int) -> Any:
    """``function`` of the inputs with ``axis`` moved to the end, and its result moved back."""
    rank = inputs.ndim
    if axis % rank == rank - 1:
        return function(inputs)
    order = [a for a in range(rank) if a != axis % rank] + [axis % rank]
    return ops.transpose(function(ops.transpose(inputs, order)), [order.index(a) for a in range(rank)])
