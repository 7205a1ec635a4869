"""Masks: which time steps of a sequence count."""

from __future__ import annotations

from typing import Any

from ranvier.tensor import Tensor


class Masks:
    """Whether any mask was ever made."""

    exist = False  # no layer looks for masks before one was made


def set_mask(tensor: Tensor, mask: Any) -> None:
    """Attaches a mask (N, T) of bool to a sequence (N, T, ...)."""
    Masks.exist = True
    tensor.mask = mask


def get_mask(tensor: Any) -> Any:
    """The mask that a tensor carries, or None."""
    return getattr(tensor, "mask", None)
