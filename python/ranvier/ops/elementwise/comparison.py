"""Comparisons and logic."""

from __future__ import annotations

import builtins
from typing import Any

from ranvier._kernels import kernels_for
from ranvier.autograd import NARROW
from ranvier.ops.elementwise.operands import cast, pair
from ranvier.ops.symbolic import direct
from ranvier.tensor import Tensor, as_tensor, wrap


def _compare(name: str, x1: Any, x2: Any) -> Tensor:
    a, b = pair(x1, x2)
    return wrap(getattr(kernels_for(a.array), name)(a.array, b.array))


@direct("equal")
def equal(x1: Any, x2: Any) -> Tensor:
    """``x1 == x2`` element by element, bool: shapes broadcast as in NumPy, any dtype. Source: ``numpy.equal``.

    >>> import ranvier as rv
    >>> rv.ops.equal([1, 2, 3], 2).numpy()
    array([False,  True, False])
    """
    return _compare("equal_forward", x1, x2)


@direct("not_equal")
def not_equal(x1: Any, x2: Any) -> Tensor:
    """``x1 != x2`` element by element, bool: shapes broadcast as in NumPy, any dtype. Source: ``numpy.not_equal``.

    >>> import ranvier as rv
    >>> rv.ops.not_equal([1, 2, 3], 2).numpy()
    array([ True, False,  True])
    """
    return _compare("not_equal_forward", x1, x2)


@direct("less")
def less(x1: Any, x2: Any) -> Tensor:
    """``x1 < x2`` element by element, bool: shapes broadcast as in NumPy, any dtype. Source: ``numpy.less``.

    >>> import ranvier as rv
    >>> rv.ops.less([1, 2, 3], 2).numpy()
    array([ True, False, False])
    """
    return _compare("less_forward", x1, x2)


@direct("less_equal")
def less_equal(x1: Any, x2: Any) -> Tensor:
    """``x1 <= x2`` element by element, bool: shapes broadcast as in NumPy, any dtype. Source: ``numpy.less_equal``.

    >>> import ranvier as rv
    >>> rv.ops.less_equal([1, 2, 3], 2).numpy()
    array([ True,  True, False])
    """
    return _compare("less_equal_forward", x1, x2)


@direct("greater")
def greater(x1: Any, x2: Any) -> Tensor:
    """``x1 > x2`` element by element, bool: shapes broadcast as in NumPy, any dtype. Source: ``numpy.greater``.

    >>> import ranvier as rv
    >>> rv.ops.greater([1, 2, 3], 2).numpy()
    array([False, False,  True])
    """
    return _compare("greater_forward", x1, x2)


@direct("greater_equal")
def greater_equal(x1: Any, x2: Any) -> Tensor:
    """``x1 >= x2`` element by element, bool: shapes broadcast as in NumPy, any dtype. Source: ``numpy.greater_equal``.

    >>> import ranvier as rv
    >>> rv.ops.greater_equal([1, 2, 3], 2).numpy()
    array([False,  True,  True])
    """
    return _compare("greater_equal_forward", x1, x2)


@direct("logical_and")
def logical_and(x1: Any, x2: Any) -> Tensor:
    """True where both are not 0: shapes broadcast as in NumPy, any dtype. Source: ``numpy.logical_and``.

    >>> import ranvier as rv
    >>> rv.ops.logical_and([True, True], [True, False]).numpy()
    array([ True, False])
    """
    return _compare("logical_and_forward", _weak_truth(x1), _weak_truth(x2))


@direct("logical_or")
def logical_or(x1: Any, x2: Any) -> Tensor:
    """True where one or both are not 0: shapes broadcast as in NumPy, any dtype. Source: ``numpy.logical_or``.

    >>> import ranvier as rv
    >>> rv.ops.logical_or([True, False], [False, False]).numpy()
    array([ True, False])
    """
    return _compare("logical_or_forward", _weak_truth(x1), _weak_truth(x2))


@direct("logical_not")
def logical_not(x: Any) -> Tensor:
    """True where ``x`` is 0: any dtype. Source: ``numpy.logical_not``.

    >>> import ranvier as rv
    >>> rv.ops.logical_not([True, False]).numpy()
    array([False,  True])
    """
    return _test("logical_not_forward", x)


@direct("isnan")
def isnan(x: Any) -> Tensor:
    """True where ``x`` is not a number: any dtype. Source: ``numpy.isnan``.

    >>> import ranvier as rv
    >>> rv.ops.isnan([1.0, float("nan")]).numpy()
    array([False,  True])
    """
    return _test("isnan_forward", x)


@direct("isfinite")
def isfinite(x: Any) -> Tensor:
    """True where ``x`` is neither infinite nor NaN: any dtype. Source: ``numpy.isfinite``.

    >>> import ranvier as rv
    >>> rv.ops.isfinite([1.0, float("inf")]).numpy()
    array([ True, False])
    """
    return _test("isfinite_forward", x)


def _weak_truth(x: Any) -> Any:
    """A Python number as True or False, which every dtype holds; else x."""
    return builtins.bool(x) if isinstance(x, (int, float)) else x


def truth(x: Any) -> Any:
    """Whether each element is not zero; a Python number stays one."""
    if isinstance(x, (int, float)):
        return builtins.bool(x)
    t = as_tensor(x)
    return t if t.array.dtype == "bool" else cast(t, "bool")


def _test(name: str, x: Any) -> Tensor:
    t = as_tensor(x)
    if t.array.dtype in NARROW:
        t = cast(t, "float32")
    return wrap(getattr(kernels_for(t.array), name)(t.array))
