"""Moving elements: other shapes and orders, joining and cutting, indexing, and arrays from nothing."""

from ranvier.ops.shape.creation import arange, full, ones, ones_like, zeros, zeros_like
from ranvier.ops.shape.indexing import flip, get_item, one_hot, scatter_add, take
from ranvier.ops.shape.joining import concatenate, pad, repeat, split, stack, tile
from ranvier.ops.shape.layout import broadcast_to, expand_dims, reshape, squeeze, transpose

__all__ = [
    "arange",
    "broadcast_to",
    "concatenate",
    "expand_dims",
    "flip",
    "full",
    "get_item",
    "one_hot",
    "ones",
    "ones_like",
    "pad",
    "repeat",
    "reshape",
    "scatter_add",
    "split",
    "squeeze",
    "stack",
    "take",
    "tile",
    "transpose",
    "zeros",
    "zeros_like",
]
