"""The front door of ``rv.ops``: where calls of an op go.

Each op is a Python function. What stands under its name is a ``_core.FrontDoor`` around it, which looks at the
arguments: plain tensors without gradients go directly to the op's kernel, if it has named one (``direct``); all else
goes to the function. That fails on symbolic tensors, and then a layer is made of the call (``takes_symbolic``).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from ranvier import _core

__all__: list[str] = []

_Callable = TypeVar("_Callable", bound=Callable[..., Any])


def direct(kernel: str) -> Callable[[_Callable], _Callable]:
    """Decorates an op whose parameters are, in order, those of a C++ function (``add_direct`` in ``csrc/ops``).

    Calls with tensors of one floating dtype on the CPU, of which no gradient is wanted, and plain numbers go there;
    the function decorated must do the same, and sees to all others.
    """

    def decorate(function: _Callable) -> _Callable:
        function.__dict__["kernel"] = kernel
        return functools.update_wrapper(_core.FrontDoor(function, kernel, None), function)  # type: ignore[return-value]

    return decorate


def takes_symbolic(op: Callable[..., Any]) -> Callable[..., Any]:
    """``op``, which on symbolic tensors gives a symbolic one.

    Nothing is looked for beforehand, so that calls on values stay fast: a symbolic tensor has no values, so the
    function raises, and only then is it asked why.
    """
    function = getattr(op, "__wrapped__", op)
    return functools.update_wrapper(_core.FrontDoor(function, op.__dict__.get("kernel"), _if_symbolic), function)


def _if_symbolic(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    from ranvier.layers.operation import call_symbolically
    from ranvier.layers.symbolic import is_symbolic

    return call_symbolically(function.__name__, args, kwargs) if is_symbolic((args, kwargs)) else NotImplemented
