"""Initial values of weights: functions ``(shape, dtype) -> Tensor``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ranvier import _tree, config
from ranvier.initializers.constants import STFT as STFT
from ranvier.initializers.constants import Constant as Constant
from ranvier.initializers.constants import Identity as Identity
from ranvier.initializers.constants import Initializer as Initializer
from ranvier.initializers.constants import Ones as Ones
from ranvier.initializers.constants import Zeros as Zeros
from ranvier.initializers.drawn import GlorotNormal as GlorotNormal
from ranvier.initializers.drawn import GlorotUniform as GlorotUniform
from ranvier.initializers.drawn import HeNormal as HeNormal
from ranvier.initializers.drawn import HeUniform as HeUniform
from ranvier.initializers.drawn import LecunNormal as LecunNormal
from ranvier.initializers.drawn import LecunUniform as LecunUniform
from ranvier.initializers.drawn import Orthogonal as Orthogonal
from ranvier.initializers.drawn import RandomInitializer as RandomInitializer
from ranvier.initializers.drawn import RandomNormal as RandomNormal
from ranvier.initializers.drawn import RandomUniform as RandomUniform
from ranvier.initializers.drawn import TruncatedNormal as TruncatedNormal
from ranvier.initializers.drawn import VarianceScaling as VarianceScaling
from ranvier.initializers.drawn import compute_fans as compute_fans
from ranvier.tensor import Tensor

# Keras's other names: its functions of old are the classes.
constant = Constant
glorot_normal = GlorotNormal
glorot_uniform = GlorotUniform
he_normal = HeNormal
he_uniform = HeUniform
identity = Identity
lecun_normal = LecunNormal
lecun_uniform = LecunUniform
ones = Ones
orthogonal = Orthogonal
random_normal = RandomNormal
random_uniform = RandomUniform
stft = STFT
truncated_normal = TruncatedNormal
variance_scaling = VarianceScaling
zeros = Zeros
IdentityInitializer = Identity
OrthogonalInitializer = Orthogonal
STFTInitializer = STFT

CLASSES = {
    c.__name__: c
    for c in (
        Constant, Zeros, Ones, Identity, RandomUniform, RandomNormal, TruncatedNormal, VarianceScaling, GlorotUniform,
        GlorotNormal, HeUniform, HeNormal, LecunUniform, LecunNormal, Orthogonal, STFT,
    )
}  # fmt: skip
_by_name: dict[str, Any] = {
    **CLASSES,
    **{config.to_snake_case(name): c for name, c in CLASSES.items()},
    "IdentityInitializer": Identity,
    "OrthogonalInitializer": Orthogonal,
    "STFTInitializer": STFT,
    "uniform": RandomUniform,
    "normal": RandomNormal,
    "zero": Zeros,
    "one": Ones,
}


def get(identifier: Any) -> Callable[..., Any] | None:
    """An initializer from a name, a class, a configuration, an array or a function; None for None.

    Raises ValueError for an unknown name.

    >>> import ranvier as rv
    >>> type(rv.initializers.get("he_normal")).__name__
    'HeNormal'
    """
    from ranvier.saving.registry import get_from

    if isinstance(identifier, (np.ndarray, Tensor, list)):
        if any(not isinstance(v, (int, float)) for v in _tree.flatten(identifier) if isinstance(identifier, list)):
            raise ValueError(f"Could not interpret initializer identifier: {identifier!r}")
        return Constant(np.asarray(identifier))
    return get_from(identifier, _by_name, "initializer")


def serialize(initializer: Any) -> Any:
    """An initializer as JSON values.

    >>> import ranvier as rv
    >>> rv.initializers.serialize(rv.initializers.Constant(2.0))["config"]
    {'value': 2.0}
    """
    from ranvier.saving.registry import serialize_object

    return serialize_object(initializer)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The initializer that ``serialize`` wrote, or that a name names; yours come in ``custom_objects``.

    >>> import ranvier as rv
    >>> rv.initializers.deserialize({"class_name": "Constant", "config": {"value": 2.0}}).value
    2.0
    """
    from ranvier.saving.registry import CustomObjectScope

    with CustomObjectScope(custom_objects or {}):
        return get(config)
