"""Objects as JSON configurations and back; only our own classes and registered ones are ever made."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import FunctionType, TracebackType
from typing import Any, TypeVar

import numpy as np

from ranvier._names import hint, unknown

Registered = TypeVar("Registered", bound=Callable[..., Any])

_MODULES = (
    "layers", "models", "initializers", "regularizers", "constraints", "losses", "metrics", "optimizers", "schedules",
)  # fmt: skip
_registered: dict[str, Any] = {}
_scopes = threading.local()


def register_serializable(package: str = "Custom", name: str | None = None) -> Callable[[Registered], Registered]:
    """A decorator that lets saved models name a class or function of yours as ``package>name``.

    Raises ValueError for a class without ``get_config``. Source: Keras ``register_keras_serializable``.

    >>> import ranvier as rv
    >>> @rv.saving.register_serializable("mine")
    ... def double(x):
    ...     return x * 2
    >>> rv.saving.serialize_object(double)["registered_name"]
    'mine>double'
    """

    def decorate(item: Registered) -> Registered:
        if isinstance(item, type) and not hasattr(item, "get_config"):
            raise ValueError(f"register_serializable: class {item.__name__} must have a get_config() method")
        _registered[f"{package}>{name or item.__name__}"] = item
        return item

    return decorate


def get_registered_name(item: Any) -> str | None:
    """The name under which a class or function was registered, or None."""
    return next((name for name, value in _registered.items() if value is item), None)


def get_registered_object(name: str, custom_objects: dict[str, Any] | None = None) -> Any:
    """What was registered as ``name``, or None; ``custom_objects`` and the scopes around come first."""
    for objects in (custom_objects or {}, *reversed(getattr(_scopes, "stack", []))):
        if name in objects:
            return objects[name]
    return _registered.get(name)


class CustomObjectScope:
    """A context in which configurations may name the objects given.

    >>> import ranvier as rv
    >>> with rv.saving.custom_object_scope({"triple": lambda x: x * 3}):
    ...     rv.activations.get("triple")(2)
    6
    """

    def __init__(self, custom_objects: dict[str, Any]) -> None:
        self._objects = custom_objects

    def __enter__(self) -> CustomObjectScope:
        if not hasattr(_scopes, "stack"):
            _scopes.stack = []
        _scopes.stack.append(self._objects)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _scopes.stack.pop()


custom_object_scope = CustomObjectScope


def _own_classes() -> dict[str, dict[str, Any]]:
    """Module -> class name -> class, of everything of ours that configurations may name."""
    import ranvier

    modules = {}
    for module in _MODULES:
        found = getattr(ranvier, module, None)
        if found is not None:
            modules[f"ranvier.{module}"] = {k: v for k, v in vars(found).items() if isinstance(v, type)}
    return modules


def serialize_object(item: Any) -> Any:
    """``item`` as JSON values: numbers, strings and structures of them as they are, objects as
    ``{"module", "class_name", "config", "registered_name"}``. Raises TypeError for what has no configuration."""
    if item is None or isinstance(item, (str, bool, int, float)):
        return item
    if isinstance(item, np.generic):
        return item.item()
    if isinstance(item, tuple):
        return {"class_name": "__tuple__", "items": [serialize_object(v) for v in item]}
    if isinstance(item, list):
        return [serialize_object(v) for v in item]
    if isinstance(item, dict):
        return {str(k): serialize_object(v) for k, v in item.items()}
    if isinstance(item, slice):
        return {"class_name": "__slice__", "items": [serialize_object(v) for v in (item.start, item.stop, item.step)]}
    if item is Ellipsis:
        return {"class_name": "__ellipsis__"}
    if hasattr(item, "tolist") and hasattr(item, "dtype"):  # arrays and tensors
        return {"class_name": "__array__", "dtype": str(item.dtype), "value": np.asarray(item).tolist()}
    if isinstance(item, FunctionType) or not hasattr(item, "get_config"):
        return _serialize_function(item)
    kind = type(item)
    own = next((m for m, classes in _own_classes().items() if classes.get(kind.__name__) is kind), None)
    return {
        "module": own or kind.__module__,
        "class_name": kind.__name__,
        "config": item.get_config(),
        "registered_name": None if own else get_registered_name(kind) or kind.__name__,
    }


def _serialize_function(item: Any) -> Any:
    if not callable(item):
        raise TypeError(f"cannot be written as a configuration: {item!r} of type {type(item).__name__}")
    from ranvier import activations

    name = getattr(item, "__name__", "")
    if activations.BY_NAME.get(name) is item:
        return name
    if name == "<lambda>":
        raise TypeError("a lambda cannot be written as a configuration: define a function and register it")
    registered = get_registered_name(item)
    return {"module": "builtins", "class_name": "function", "config": name, "registered_name": registered or name}


def deserialize_object(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The object that ``serialize_object`` wrote. Raises ValueError for a class that is neither ours nor registered
    nor in ``custom_objects``."""
    if custom_objects:
        with CustomObjectScope(custom_objects):
            return deserialize_object(config)
    if isinstance(config, list):
        return [deserialize_object(v) for v in config]
    if not isinstance(config, dict):
        return config
    if not isinstance(config.get("class_name"), str):
        return {k: deserialize_object(v) for k, v in config.items()}
    special = _deserialize_special(config)
    if special is not _not_special:
        return special
    kind = _class_of(config)
    if config["class_name"] == "function":
        return kind
    return kind.from_config(config.get("config", {}))


_not_special = object()


def _deserialize_special(config: dict[str, Any]) -> Any:
    name = config["class_name"]
    if name == "__tuple__":
        return tuple(deserialize_object(v) for v in config["items"])
    if name == "__slice__":
        return slice(*config["items"])
    if name == "__ellipsis__":
        return Ellipsis
    if name == "__array__":
        from ranvier.tensor import Tensor

        return Tensor(np.array(config["value"], None if config["dtype"] == "bfloat16" else config["dtype"]))
    return _not_special


def _class_of(config: dict[str, Any]) -> Any:
    name, module = config["class_name"], config.get("module")
    wanted = config.get("registered_name") or name
    plain = config.get("config") if name == "function" else name
    found = get_registered_object(wanted) or get_registered_object(str(plain))
    if found is not None:
        return found
    modules = _own_classes()
    if module in modules and name in modules[module]:
        return modules[module][name]
    name = {"Functional": "Model"}.get(name, name)
    if module is None or str(module).startswith("keras"):  # written by Keras, or by hand: the first of that name
        same = str(module).replace("keras", "ranvier", 1)
        for classes in [modules.get(same, {}), *modules.values()]:
            if name in classes:
                return classes[name]
    raise ValueError(
        f"Could not locate {plain!r} of module {module!r}: it is neither Ranvier's own nor registered with "
        "rv.saving.register_serializable() nor among custom_objects."
        + hint(str(plain), {name for classes in modules.values() for name in classes})
    )


def check_of_file(config: Any) -> None:
    """Raises ValueError for a configuration from a file that would make a layer read another file."""
    waiting = [config]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            if isinstance(item.get("vocabulary"), (str, bytes)):
                raise ValueError(f"its vocabulary is a path, {item['vocabulary']!r}, and no file may name another one")
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)


def deserialize_values(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration's values with the objects among them made."""
    return {key: deserialize_object(value) for key, value in config.items()}


def get_from(identifier: Any, by_name: dict[str, Any], kind: str) -> Any:
    """An object from a name, a class, a configuration or itself: what ``regularizers.get`` and its kin do."""
    if identifier is None:
        return None
    if isinstance(identifier, dict):
        name, module = str(identifier.get("class_name")), str(identifier.get("module") or "keras")
        if module.startswith("keras") and name in by_name and get_registered_object(name) is None:
            return by_name[name].from_config(identifier.get("config", {}))  # layers have an Identity, too
        return get_from(deserialize_object(identifier), by_name, kind)
    if isinstance(identifier, str):
        found = get_registered_object(identifier) or by_name.get(identifier)
        if found is None:
            raise ValueError(unknown(kind, identifier, by_name))
        identifier = found
        return identifier() if isinstance(identifier, type) or identifier in by_name.values() else identifier
    if isinstance(identifier, type):
        return identifier()
    if callable(identifier):
        return identifier
    raise ValueError(f"Could not interpret {kind} identifier: {identifier!r} of type {type(identifier).__name__}")
