"""Weights as Keras 3 lays them out in ``.weights.h5`` files: a tree of layers by class and place.

``layers/dense_1/vars/0`` is the first variable of the second Dense layer of a model; layers inside layers lie below,
under the name of the attribute that holds them (``layers/bidirectional/forward_layer/cell/vars/0``). Source: Keras
``saving_lib``.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from ranvier import layers
from ranvier.config import to_snake_case
from ranvier.layers.layer import Layer
from ranvier.models.model import Model
from ranvier.models.sequential import Sequential
from ranvier.saving import hdf5
from ranvier.variable import Variable

_BASE = frozenset(
    {"_init_arguments", "inbound_nodes", "_losses", "_loss_holders", "_weights", "_graph_layers", "_layers", "graph"}
    | {"optimizer", "loss", "history", "input_spec"}
)
_OPENLY = (layers.MultiHeadAttention,)  # Keras has properties without the underscore there


def class_name(layer: Any) -> str:
    """The name that Keras has for a layer's class."""
    return "Functional" if type(layer) is Model else type(layer).__name__


def own_variables(layer: Any) -> list[Variable]:
    """A layer's own variables in Keras's order: what was made to be trained first."""
    own: dict[int, Variable] = {id(v): v for v in layer._weights}
    for name, value in vars(layer).items():
        if isinstance(value, Variable) and name not in layer._not_scanned:
            own.setdefault(id(value), value)
    inner = layer.layer.kernel if isinstance(layer, layers.SpectralNormalization) and layer.built else None
    found = ([inner] if inner is not None else []) + [v for v in own.values() if v is not inner]
    return sorted(found, key=lambda v: not v.trainable_by_nature)


def _sort_key(name: str) -> tuple[bool, str]:
    return name.startswith("_"), name


def walk(layer: Any, path: str = "", seen: set[int] | None = None) -> Iterator[tuple[str, Any]]:
    """A layer and all inside it, each once, with their paths."""
    seen = set() if seen is None else seen
    if id(layer) in seen:
        return
    seen.add(id(layer))
    yield path, layer
    if isinstance(layer, Sequential) or getattr(layer, "graph", None) is not None:
        yield from _walk_list(layer.layers, f"{path}layers/", seen)
    skipped = _BASE | type(layer)._not_scanned
    for name in sorted((n for n in vars(layer) if n not in skipped), key=_sort_key):
        value = vars(layer)[name]
        shown = name.removeprefix("_") if isinstance(layer, _OPENLY) else name
        if isinstance(value, Layer):
            yield from walk(value, f"{path}{shown}/", seen)
        elif isinstance(value, (list, tuple, dict)):
            yield from _walk_list(value, f"{path}{shown}/", seen)


def _walk_list(items: Any, path: str, seen: set[int]) -> Iterator[tuple[str, Any]]:
    used: dict[str, int] = {}
    for item in items.values() if isinstance(items, dict) else items:
        if isinstance(item, Layer):
            yield from walk(item, f"{path}{_unique(to_snake_case(class_name(item)), used)}/", seen)
        elif isinstance(item, (list, tuple, dict)):
            yield from _walk_list(item, f"{path}{_unique('container', used)}/", seen)


def _unique(name: str, used: dict[str, int]) -> str:
    used[name] = used.get(name, -1) + 1
    return f"{name}_{used[name]}" if used[name] else name


# --- reading ------------------------------------------------------------------------------------------------


def _group_of(file: Any, path: str) -> Any:
    """The ``vars`` of a layer, or None; older files name private attributes otherwise."""
    parts = path.strip("/").split("/") if path else []
    found = hdf5.child(file, "/".join([*parts, "vars"]))
    if found is not None:
        return found
    here = file
    for part in parts:
        tried = (part, part.removeprefix("_"), f"_{part}")
        here = next((g for g in (hdf5.child(here, name) for name in tried) if g is not None), None)
        if here is None:
            return None
    return hdf5.child(here, "vars")


def load_tree(file: Any, model: Any, name: str, skip_mismatch: bool = False) -> None:
    """Reads the weights of an open file into a model; nothing changes unless all fit (or ``skip_mismatch``)."""
    pairs: list[tuple[Variable, Any]] = []
    assigned: set[int] = set()
    for path, layer in walk(model):
        variables = own_variables(layer)
        if not variables:
            continue
        try:
            pairs += _matched(file, path, layer, variables)
        except ValueError as error:
            if not skip_mismatch:
                raise ValueError(f"{name!r} does not fit model {model.name!r}: {error}") from None
            warnings.warn(f"{name!r}: {error}", stacklevel=4)
    for variable, found in pairs:
        if id(variable) not in assigned:
            assigned.add(id(variable))
            assign(variable, found)


def _matched(file: Any, path: str, layer: Any, variables: list[Variable]) -> list[tuple[Variable, Any]]:
    group = _group_of(file, path)
    count = 0 if group is None else len(group)
    if count != len(variables):
        raise ValueError(
            f"layer {layer.name!r} has {len(variables)} variables, the file has {count} at {path + 'vars'!r}"
        )
    found = [hdf5.dataset(group, str(i)) for i in range(count)]
    for variable, stored in zip(variables, found, strict=True):
        if tuple(stored.shape) != variable.shape:
            raise ValueError(
                f"{variable.path!r} of layer {layer.name!r} has shape {variable.shape}, the file {tuple(stored.shape)}"
            )
    return list(zip(variables, found, strict=True))


def assign(variable: Variable, found: Any) -> None:
    """A data set's values into a variable; read in place where dtypes are equal."""
    direct = variable.device == "cpu" and variable.dtype == str(found.dtype) and found.dtype.isnative
    if direct and found.shape and found.size:
        found.read_direct(variable.array.numpy())
        variable.array.bump_version()
    else:
        values = hdf5.values(found)
        variable.assign(values.astype(np.float32 if variable.dtype == "bfloat16" else variable.dtype, copy=False))


def load_optimizer(file: Any, model: Any, name: str) -> None:
    """The optimizer's state, where the file has one. Raises ValueError for another optimizer's."""
    group = hdf5.child(file, "optimizer/vars")
    if group is None or not len(group):
        return
    model.optimizer.build(model.trainable_variables)
    variables = model.optimizer.variables
    found = [hdf5.dataset(group, str(i)) for i in range(min(len(group), len(variables) + 1))]
    shapes, own = [tuple(d.shape) for d in found], [v.shape for v in variables]
    if shapes != own:
        raise ValueError(
            f"{name!r}: its optimizer's state has arrays of shapes {shapes}, {type(model.optimizer).__name__} needs "
            f"{own}"
        )
    for variable, stored in zip(variables, found, strict=True):
        assign(variable, stored)


# --- writing ------------------------------------------------------------------------------------------------


def write_tree(path: str, model: Any, optimizer: bool) -> None:
    """Writes a ``.weights.h5`` file, with the optimizer's state if wanted and there."""
    h5py = hdf5.h5py_or_error("writing files for Keras")
    with h5py.File(path, "w") as file:
        for place, layer in walk(model):
            _write_group(file, f"{place}vars", layer.name, own_variables(layer))
        if optimizer and model.compiled and model.optimizer.built:
            _write_group(file, "optimizer/vars", model.optimizer.name, model.optimizer.variables)


def _write_group(file: Any, path: str, name: str, variables: list[Variable]) -> None:
    group = file.create_group(path)
    group.attrs["name"] = name
    for i, variable in enumerate(variables):
        if variable.dtype == "bfloat16":
            bits = (variable.numpy().view(np.uint32) >> 16).astype("<u2")
            group.create_dataset(str(i), data=bits.view("V2")).attrs["dtype"] = "bfloat16"
        else:
            group.create_dataset(str(i), data=variable.numpy())
