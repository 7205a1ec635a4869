"""DTypePolicy: in which dtype a layer computes, and in which it keeps its weights."""

from __future__ import annotations

from typing import Any

from ranvier import config

_MIXED = {"mixed_float16": "float16", "mixed_bfloat16": "bfloat16"}
_DTYPES = ("float32", "float64", "float16", "bfloat16", "int32", "int64", "uint8", "bool")


class DTypePolicy:
    """``compute_dtype`` and ``variable_dtype`` by one name: ``"mixed_float16"``, ``"mixed_bfloat16"`` or a dtype's.

    The mixed ones compute in 16 bits and keep weights in float32. Without a name it is the global policy. Raises
    TypeError for what is no string, ValueError for a name that is none. Source: Keras ``DTypePolicy``.

    >>> import ranvier as rv
    >>> policy = rv.mixed_precision.Policy("mixed_bfloat16")
    >>> policy.compute_dtype, policy.variable_dtype
    ('bfloat16', 'float32')
    """

    name: str
    compute_dtype: str
    variable_dtype: str

    def __init__(self, name: str | None = None) -> None:
        if name is None:
            name = dtype_policy().name
        if not isinstance(name, str):
            raise TypeError(f"DTypePolicy: name must be a string such as 'mixed_float16', got {name!r}")
        if name not in _MIXED and name not in _DTYPES:
            raise ValueError(f"DTypePolicy: name must be one of {(*_MIXED, *_DTYPES)}, got {name!r}")
        self.name = name
        self.compute_dtype = _MIXED.get(name, name)
        self.variable_dtype = "float32" if name in _MIXED else name

    @property
    def quantization_mode(self) -> None:
        """None: Ranvier does not quantise."""
        return None

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> DTypePolicy:
        return cls(**config)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DTypePolicy) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f'<DTypePolicy "{self.name}">'


FloatDTypePolicy = DTypePolicy


def get(identifier: Any) -> DTypePolicy:
    """A policy from its name, its configuration, itself, or None, which is the global one. Raises ValueError else.

    >>> import ranvier as rv
    >>> rv.dtype_policies.get("float64")
    <DTypePolicy "float64">
    """
    if identifier is None:
        return dtype_policy()
    if isinstance(identifier, DTypePolicy):
        return identifier
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, type) or hasattr(identifier, "name"):  # np.float32, np.dtype("float32")
        identifier = getattr(identifier, "name", None) or getattr(identifier, "__name__", identifier)
    if isinstance(identifier, str):
        return DTypePolicy(identifier)
    raise ValueError(f"a dtype is a name such as 'float32' or a DTypePolicy, got {identifier!r}")


def serialize(dtype_policy: DTypePolicy) -> dict[str, Any]:
    """The policy as JSON values."""
    return {"class_name": "DTypePolicy", "config": dtype_policy.get_config()}


def deserialize(config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> DTypePolicy:
    """The policy that ``serialize``, or Keras, wrote. Raises ValueError for others."""
    name = (config.get("config") or {}).get("name")
    if config.get("class_name") not in ("DTypePolicy", "FloatDTypePolicy") or not isinstance(name, str):
        raise ValueError(f"a dtype policy is {{'class_name': 'DTypePolicy', 'config': {{'name': ...}}}}, got {config}")
    return DTypePolicy(name)


def dtype_policy() -> DTypePolicy:
    """The policy of layers that name none: ``"float32"`` (``rv.config.floatx()``) unless it was set.

    >>> import ranvier as rv
    >>> rv.mixed_precision.global_policy()
    <DTypePolicy "float32">
    """
    name = config._global_policy or config.floatx()
    return _KNOWN.get(name) or DTypePolicy(name)


def set_dtype_policy(policy: str | DTypePolicy) -> None:
    """Makes ``policy`` that of layers that are made from here on and name none. Raises ValueError for what is none.

    >>> import ranvier as rv
    >>> rv.mixed_precision.set_global_policy("mixed_bfloat16")
    >>> layer = rv.layers.Dense(2)
    >>> layer.compute_dtype, layer.variable_dtype
    ('bfloat16', 'float32')
    >>> rv.mixed_precision.set_global_policy("float32")
    """
    if not isinstance(policy, (str, DTypePolicy)):
        raise ValueError(f"set_dtype_policy: expected a name such as 'mixed_float16' or a DTypePolicy, got {policy!r}")
    config._global_policy = policy.name if isinstance(policy, DTypePolicy) else DTypePolicy(policy).name


_KNOWN = {name: DTypePolicy(name) for name in (*_MIXED, *_DTYPES)}
