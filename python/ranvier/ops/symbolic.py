"""How ``rv.ops`` functions take symbolic tensors: they fail on them, and then become layers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

__all__: list[str] = []


def takes_symbolic(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function``, which on symbolic tensors gives a symbolic one.

    Nothing is looked for beforehand, so that calls on values stay fast: a symbolic tensor has no values, so the
    function raises, and only then is it asked why.
    """

    @functools.wraps(function)
    def op(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except Exception:
            from ranvier.layers.symbolic import is_symbolic

            if not is_symbolic((args, kwargs)):
                raise
        from ranvier.layers.operation import call_symbolically

        return call_symbolically(function.__name__, args, kwargs)

    return op
