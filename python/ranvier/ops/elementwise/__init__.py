"""Arithmetic, comparisons, selection and casts, element by element, with NumPy's broadcasting.

Dtypes. Tensors of different dtypes are promoted along bool < uint8 < int32 < int64 < float16, bfloat16 < float32 <
float64 (float16 with bfloat16 gives float32). A Python number is weak: it takes the tensor's dtype, except that a float
beside an integer tensor gives float32, and an int beside a bool tensor int32. 16-bit floats compute in float32.
Integers wrap around; ``divide`` and the transcendental functions take them to float32.
"""

from ranvier.ops.elementwise.arithmetic import (
    add,
    clip,
    divide,
    maximum,
    minimum,
    multiply,
    power,
    subtract,
    sum_to_shape,
)
from ranvier.ops.elementwise.comparison import (
    equal,
    greater,
    greater_equal,
    isfinite,
    isnan,
    less,
    less_equal,
    logical_and,
    logical_not,
    logical_or,
    not_equal,
)
from ranvier.ops.elementwise.functions import (
    abs,
    absolute,
    erf,
    exp,
    expm1,
    log,
    log1p,
    negative,
    sign,
    sqrt,
    square,
)
from ranvier.ops.elementwise.operands import cast
from ranvier.ops.elementwise.selection import where

__all__ = [
    "abs",
    "absolute",
    "add",
    "cast",
    "clip",
    "divide",
    "equal",
    "erf",
    "exp",
    "expm1",
    "greater",
    "greater_equal",
    "isfinite",
    "isnan",
    "less",
    "less_equal",
    "log",
    "log1p",
    "logical_and",
    "logical_not",
    "logical_or",
    "maximum",
    "minimum",
    "multiply",
    "negative",
    "not_equal",
    "power",
    "sign",
    "sqrt",
    "square",
    "subtract",
    "sum_to_shape",
    "where",
]
