"""What the ops of images share: batches with channels last, and whole numbers."""

from __future__ import annotations

from typing import Any

from ranvier.ops.elementwise import cast, greater
from ranvier.ops.shape import expand_dims, squeeze, transpose
from ranvier.tensor import Tensor, as_tensor


def channels_last(op: str, images: Any, data_format: str | None) -> tuple[Tensor, bool, bool]:
    """Images as a batch (N, H, W, C), whether that was one image, and whether channels came first."""
    if data_format not in (None, "channels_last", "channels_first"):
        raise ValueError(f"{op}: data_format must be 'channels_last' or 'channels_first', got {data_format!r}")
    batch = as_tensor(images)
    if batch.ndim not in (3, 4):
        raise ValueError(f"{op}: images must have rank 3 (one) or 4 (a batch) but their shape is {batch.shape}")
    single = batch.ndim == 3
    batch = expand_dims(batch, 0) if single else batch
    first = data_format == "channels_first"
    return (transpose(batch, (0, 2, 3, 1)) if first else batch), single, first


def as_given(batch: Tensor, single: bool, first: bool) -> Tensor:
    """A batch (N, H, W, C) in the layout that ``channels_last`` was given."""
    batch = transpose(batch, (0, 3, 1, 2)) if first else batch
    return squeeze(batch, 0) if single else batch


def colours_last(op: str, images: Any, data_format: str | None, channels: tuple[int, ...]) -> tuple[Tensor, bool, bool]:
    """The same, of that many channels."""
    batch, single, first = channels_last(op, images, data_format)
    if batch.shape[-1] not in channels:
        shape = as_tensor(images).shape
        allowed = " or ".join(map(str, channels))
        raise ValueError(f"{op}: images must have {allowed} channels but have {batch.shape[-1]} (shape {shape})")
    return batch, single, first


def floating(images: Tensor) -> Tensor:
    """Integers as floats that hold them: float32 for bytes, float64 for wider ones."""
    if images.dtype in ("float32", "float64"):
        return images
    return cast(images, "float64" if images.dtype in ("int32", "int64") else "float32")


def like(values: Tensor, dtype: str) -> Tensor:
    """Floats in another dtype; integers get the nearest one that they can hold."""
    return values if values.dtype == dtype else cast(values if "float" in dtype else rounded(values), dtype)


def rounded(x: Tensor) -> Tensor:
    """The nearest whole numbers, ties to even: from 2**23 (float64: 2**52) on there is no fraction; adding rounds."""
    beyond = 1.5 * 2.0 ** (52 if x.dtype == "float64" else 23)
    return (x + beyond) - beyond


def floor(x: Tensor) -> Tensor:
    """The greatest whole number not above ``x``."""
    towards_zero = cast(cast(x, "int64"), x.dtype)
    return towards_zero - cast(greater(towards_zero, x), x.dtype)
