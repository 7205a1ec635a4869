"""Configurations of Keras 3 as ours, and ours as Keras's. They differ in modules' names and in ops between layers."""

from __future__ import annotations

import inspect
from typing import Any

from ranvier import activations, losses, metrics, ops
from ranvier.config import to_snake_case
from ranvier.saving.registry import deserialize_object, get_registered_object, serialize_object

# --- from Keras -----------------------------------------------------------------------------------------------


def from_keras(config: Any) -> Any:
    """A configuration that Keras wrote, as ``deserialize_object`` takes it."""
    if isinstance(config, list):
        return [from_keras(item) for item in config]
    if not isinstance(config, dict):
        return config
    kind, module = config.get("class_name"), str(config.get("module") or "")
    if kind == "function":
        return _function(config)
    if kind == "DTypePolicy" and isinstance(config.get("config"), dict):
        return config["config"].get("name")
    if isinstance(kind, str) and module.startswith(("keras.src.ops.", "keras.ops")):
        return _operation(config)
    changed = {key: from_keras(value) for key, value in config.items()}
    for node in changed.get("inbound_nodes") or ():  # Keras notes a mask that is not there, for layers that take none
        if isinstance(node, dict) and isinstance(node.get("kwargs"), dict) and node["kwargs"].get("mask", 0) is None:
            del node["kwargs"]["mask"]
    if module.startswith("keras") and isinstance(changed.get("config"), dict):
        _check_settings(str(kind), changed["config"])
    return changed


def _check_settings(kind: str, settings: dict[str, Any]) -> None:
    for name in ("quantization_config", "renorm", "lora_rank"):
        if settings.get(name):
            raise ValueError(f"{kind}: {name}={settings[name]!r} is not supported")
        settings.pop(name, None)


def _function(config: dict[str, Any]) -> Any:
    """A function by name: a registered one, or one of ours, whose names serve in the place of functions."""
    name = config.get("config")
    wanted = str(config.get("registered_name") or name)
    if get_registered_object(wanted) is not None or get_registered_object(str(name)) is not None:
        return config
    if name in activations.BY_NAME or hasattr(losses, str(name)) or hasattr(metrics, str(name)):
        return name
    return config


def _operation(config: dict[str, Any]) -> dict[str, Any]:
    """A call of an op between layers: what Keras keeps in the op's configuration are arguments of ours."""
    function = to_snake_case(str(config["class_name"]))
    if function not in ops.SYMBOLIC:
        raise ValueError(f"the op {config['class_name']!r} of {config.get('module')} is not among rv.ops")
    settings = {key: from_keras(value) for key, value in (config.get("config") or {}).items() if key != "name"}
    known = inspect.signature(ops.SYMBOLIC[function]).parameters
    settings = {key: value for key, value in settings.items() if key in known or value is not None}
    nodes = [
        {"args": from_keras(node.get("args", [])), "kwargs": settings | from_keras(node.get("kwargs", {}))}
        for node in config.get("inbound_nodes", [])
    ]
    own = {"function": function, "name": (config.get("config") or {}).get("name") or config.get("name")}
    return {**config, "module": "ranvier.layers", "class_name": "Operation", "registered_name": None, "config": own,
            "inbound_nodes": nodes}  # fmt: skip


def compile_arguments(settings: dict[str, Any]) -> dict[str, Any]:
    """What ``compile`` takes, from Keras's ``compile_config``."""
    ours = ("optimizer", "loss", "loss_weights", "metrics", "weighted_metrics", "run_eagerly")
    return {name: deserialize_object(from_keras(settings[name])) for name in ours if settings.get(name) is not None}


# --- to Keras -------------------------------------------------------------------------------------------------

_MODULES = {
    "ranvier.layers": "keras.layers",
    "ranvier.initializers": "keras.initializers",
    "ranvier.regularizers": "keras.regularizers",
    "ranvier.constraints": "keras.constraints",
    "ranvier.losses": "keras.losses",
    "ranvier.metrics": "keras.metrics",
    "ranvier.optimizers": "keras.optimizers",
    "ranvier.schedules": "keras.optimizers.schedules",
}
_RENAMED = {"GroupedQueryAttention": "GroupQueryAttention"}
# What Keras 3 does not have (tests hold this list to it).
NOT_IN_KERAS = frozenset({"L2Pooling2D", "LocalSubtractiveNormalization", "InstanceNormalization", "ConfusionMatrix"})
_ALWAYS_TRAINABLE = frozenset({"SpatialDropout1D", "SpatialDropout2D", "Discretization"})
_NN_OPS = frozenset(
    {"relu", "relu6", "sigmoid", "softmax", "log_softmax", "softplus", "softsign", "silu", "elu", "selu", "gelu",
     "leaky_relu", "hard_sigmoid", "hard_silu", "log_sigmoid", "one_hot"}
)  # fmt: skip
_BINARY = frozenset(
    {"add", "subtract", "multiply", "divide", "power", "maximum", "minimum", "matmul", "equal", "not_equal", "less",
     "less_equal", "greater", "greater_equal"}
)  # fmt: skip


def to_keras(model: Any) -> dict[str, Any]:
    """The ``config.json`` of a model. Raises ValueError that names what Keras does not have."""
    config = _changed(serialize_object(model))
    config["compile_config"] = _compile_config(model) if model.compiled else {}
    shape = getattr(model, "_build_shape", None)
    config["build_config"] = {"input_shape": shape} if shape is not None else {"input_shape": None}
    return config


def _changed(config: Any) -> Any:
    if isinstance(config, (list, tuple)):
        return [_changed(item) for item in config]
    if not isinstance(config, dict):
        return config
    kind, module = config.get("class_name"), config.get("module")
    if not isinstance(kind, str) or module is None:
        return {key: _changed(value) for key, value in config.items()}
    if kind == "Operation" and module == "ranvier.layers":
        return _keras_operation(config)
    if kind in NOT_IN_KERAS and str(module).startswith("ranvier."):
        name = (config.get("config") or {}).get("name")
        raise ValueError(f"Keras has no {kind} (layer {name!r}); a .rv file keeps every layer")
    changed = {key: _changed(value) for key, value in config.items()}
    if module == "ranvier.models":
        graph = kind == "Model"
        changed["module"] = "keras.src.models.functional" if graph else "keras"
        changed["class_name"] = "Functional" if graph else kind
        changed["registered_name"] = "Functional" if graph else None
    elif module in _MODULES:
        if module == "ranvier.layers" and (changed["config"].get("trainable") is True or kind in _ALWAYS_TRAINABLE):
            changed["config"].pop("trainable", None)  # some of Keras's constructors do not take it
        changed["module"], changed["class_name"] = _MODULES[module], _RENAMED.get(kind, kind)
    elif str(module).startswith("ranvier."):
        raise ValueError(f"Keras has no {kind} of {module}")
    return changed


def _keras_operation(config: dict[str, Any]) -> dict[str, Any]:
    function, name = config["config"]["function"], config["config"]["name"]
    module = "keras.src.ops.nn" if function in _NN_OPS else "keras.src.ops.numpy"
    kind = "".join(part.capitalize() for part in function.split("_"))
    settings: list[dict[str, Any]] = []
    nodes = []
    for node in config["inbound_nodes"]:
        args, kwargs = list(node["args"]), dict(node["kwargs"])
        own: dict[str, Any] = {}
        if function not in _BINARY:
            names = list(inspect.signature(ops.SYMBOLIC[function]).parameters)
            own = _plain(dict(zip(names[1:], args[1:], strict=False)) | kwargs)
            args, kwargs = args[:1], {}
            if any(_holds_tensor(value) for value in own.values()):
                raise ValueError(
                    f"the op {function!r} (layer {name!r}) cannot be written for Keras with these arguments"
                )
        settings.append(own)
        nodes.append({"args": _changed(args), "kwargs": _changed(kwargs)})
    if any(own != settings[0] for own in settings):
        raise ValueError(f"the op {function!r} (layer {name!r}) is called with several arguments; Keras keeps one set")
    own = {"name": name, **_changed(settings[0] if settings else {})}
    return {"module": module, "class_name": kind, "config": own, "registered_name": kind, "name": name,
            "inbound_nodes": nodes}  # fmt: skip


def _plain(value: Any) -> Any:
    """Tuples as lists: the settings of Keras's ops are plain."""
    if isinstance(value, dict) and value.get("class_name") == "__tuple__":
        return [_plain(item) for item in value["items"]]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _holds_tensor(value: Any) -> bool:
    if isinstance(value, dict):
        return value.get("class_name") == "__keras_tensor__" or any(map(_holds_tensor, value.values()))
    return isinstance(value, list) and any(map(_holds_tensor, value))


def _compile_config(model: Any) -> dict[str, Any]:
    from ranvier.saving.model import serialized_setting

    settings = {**model._compile_config, "optimizer": model.optimizer}
    settings = {name: _changed(serialized_setting(value)) for name, value in settings.items()}
    return {**settings, "steps_per_execution": 1, "jit_compile": False}
