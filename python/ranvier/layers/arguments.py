"""Checks of arguments that layers share."""

from __future__ import annotations

from typing import Any


def positive(layer: str, name: str, value: Any) -> int:
    """``value`` as an int. Raises ValueError unless it is an integer above zero."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or value.__index__() < 1:
        raise ValueError(f"{layer}: {name} must be a positive integer, got {value!r}")
    return int(value)


def known_axis(layer: Any, shape: Any, axis: int) -> int:
    """The size of an axis that building needs. Raises ValueError where it is None."""
    if not shape or shape[axis] is None:
        raise ValueError(
            f"{type(layer).__name__} {layer.name!r}: axis {axis} of the input must be known to build it, got input "
            f"shape {shape}"
        )
    return int(shape[axis])


def check_data_format(layer: str, data_format: str | None) -> None:
    """Raises ValueError for anything but channels last."""
    if data_format not in (None, "channels_last"):
        raise ValueError(
            f"{layer}: only data_format='channels_last' (N, H, W, C) is supported, got {data_format!r}. Transpose "
            "channels-first data with rv.ops.transpose(x, (0, 2, 3, 1))"
        )


def pair(layer: str, name: str, value: Any) -> tuple[int, int]:
    """``3`` or ``(3, 5)`` as two positive integers. Raises ValueError for anything else."""
    values = (value, value) if isinstance(value, int) else tuple(value)
    if len(values) != 2:
        raise ValueError(f"{layer}: {name} must be one or two integers, got {value!r}")
    return positive(layer, name, values[0]), positive(layer, name, values[1])


def check_padding(layer: str, padding: Any) -> str:
    """``"valid"`` or ``"same"``, in small letters. Raises ValueError for others."""
    value = padding.lower() if isinstance(padding, str) else padding
    if value not in ("valid", "same"):
        raise ValueError(f"{layer}: padding must be 'valid' or 'same', got {padding!r}")
    return str(value)


def output_size(size: int | None, window: int, stride: int, padding: str, dilation: int = 1) -> int | None:
    """How many places a window takes along an axis, as TensorFlow counts them."""
    if size is None:
        return None
    if padding == "same":
        return -(-size // stride)
    return (size - dilation * (window - 1) - 1) // stride + 1


def checked_places(layer: Any, input_shape: Any, sizes: Any) -> Any:
    """``sizes``, unless the window does not fit, which is a ValueError."""
    if any(s is not None and s < 1 for s in sizes):
        raise ValueError(
            f"{type(layer).__name__} {layer.name!r}: the window is larger than the input of shape "
            f"{tuple(input_shape)}; use padding='same' or fewer downsampling layers"
        )
    return sizes
