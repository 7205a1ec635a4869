"""The default floating type, the choice of algorithms, and the automatic names of layers."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from ranvier import _core

_floatx = "float32"
_global_policy: str | None = None  # the name of a policy that was set; see dtype_policies.py
_names: Counter[str] = Counter()


def floatx() -> str:
    """The dtype of layers that name none: ``"float32"`` unless changed.

    >>> import ranvier as rv
    >>> rv.config.floatx()
    'float32'
    """
    return _floatx


def set_floatx(value: str) -> None:
    """Makes ``"float32"`` or ``"float64"`` the dtype of layers that name none. Raises ValueError for others."""
    global _floatx
    if value not in ("float32", "float64"):
        raise ValueError(f"set_floatx: layers compute in float32 or float64, got {value!r}")
    _floatx = value


def dtype_policy() -> Any:
    """The policy of layers that name none: ``rv.mixed_precision.global_policy()``."""
    from ranvier import dtype_policies

    return dtype_policies.dtype_policy()


def set_dtype_policy(policy: Any) -> None:
    """Sets it, by name or as a DTypePolicy: ``rv.mixed_precision.set_global_policy(policy)``."""
    from ranvier import dtype_policies

    dtype_policies.set_dtype_policy(policy)


def winograd() -> bool:
    """Whether ``ops.conv2d`` may use Winograd's algorithm.

    >>> import ranvier as rv
    >>> rv.config.winograd()
    True
    """
    return _core._winograd()


def set_winograd(allowed: bool) -> None:
    """Whether 3x3 convolutions with stride 1 in float32 may use Winograd's algorithm where that is faster.

    It is on by default (``RANVIER_WINOGRAD=0`` turns it off) for 16 channels and more. Up to 2.8 times as fast, with up
    to twice the rounding error of the direct sum: relative to the output's RMS some 1e-6 at 128 channels, 2e-6 at 512.
    Small integers are not exact, and a NaN or Inf in a pixel may reach the outputs within 5 pixels around it (4x4
    of them share each sum). float64 always uses the direct sum.
    """
    _core._set_winograd(bool(allowed))


def to_snake_case(name: str) -> str:
    """``"Conv2DTranspose"`` -> ``"conv2d_transpose"``, as Keras names layers.

    >>> to_snake_case("GlobalAveragePooling2D"), to_snake_case("LSTM")
    ('global_average_pooling2d', 'lstm')
    """
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def auto_name(prefix: str) -> str:
    """``prefix``, then ``prefix_1``, ``prefix_2``: the names that layers get when they are given none."""
    count = _names[prefix]
    _names[prefix] += 1
    return f"{prefix}_{count}" if count else prefix


def clear_session() -> None:
    """Starts the numbering of automatic names afresh and forgets the global dtype policy. Source: Keras."""
    global _global_policy
    _names.clear()
    _global_policy = None
