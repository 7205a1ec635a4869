"""Weights from the ``.h5`` files that Keras published and, as ``Model.save("model.h5")``, writes.

The file, or its group ``model_weights``, has an attribute ``layer_names`` and for each layer a group with an attribute
``weight_names``: the data sets inside it, trainable weights first. https://www.hdfgroup.org/solutions/hdf5/
"""

from __future__ import annotations

import os
import warnings
from typing import Any

from ranvier.saving import hdf5

Stored = list[tuple[str, list[Any]]]  # of each layer: its name and its weights, not read yet


def load_keras_h5(model: Any, path: str | os.PathLike[str], skip_mismatch: bool = False, by_name: bool = False) -> None:
    """Reads weights into a model: layer by layer in order, or with ``by_name`` where the names are equal.

    Nothing changes unless all fit; ``skip_mismatch`` skips what does not, with a warning. Needs h5py. Raises
    ImportError without it, ValueError for a file of another layout, or one that does not fit.
    """
    from ranvier.saving.keras_tree import assign

    name = os.fspath(path)
    with hdf5.opened(name, name) as file:
        for variable, stored in _fitting(model, read_layers(file, name), name, skip_mismatch, by_name):
            assign(variable, stored)


def _fitting(model: Any, stored: Stored, path: str, skip_mismatch: bool, by_name: bool) -> list[tuple[Any, Any]]:
    """Variables, each with what the file has for it."""
    layers = model.layers
    if by_name:
        index: dict[str, list[Any]] = {}
        for layer in layers:
            index.setdefault(layer.name, []).append(layer)
        pairs = [(layer, name, arrays) for name, arrays in stored for layer in index.get(name, [])]
    else:
        layers, stored = [la for la in layers if la.weights], [(n, a) for n, a in stored if a]
        if len(layers) != len(stored):
            raise ValueError(
                f"{path!r} does not fit: model {model.name!r} has {len(layers)} layers with weights, "
                f"the file {len(stored)}"
            )
        pairs = [(layer, name, arrays) for layer, (name, arrays) in zip(layers, stored, strict=True)]
    fitting: list[tuple[Any, Any]] = []
    for layer, name, arrays in pairs:
        variables = sorted(layer.weights, key=lambda v: not v.trainable_by_nature)
        shapes, found = [v.shape for v in variables], [tuple(a.shape) for a in arrays]
        if shapes == found:
            fitting += zip(variables, arrays, strict=True)
            continue
        problem = (
            f"{path!r} does not fit: layer {layer.name!r} has weights of shapes {shapes}, the file's layer "
            f"{name!r} {found}"
        )
        if not skip_mismatch:
            raise ValueError(problem)
        warnings.warn(problem, stacklevel=5)
    return fitting


def is_tree(path: str | os.PathLike[str]) -> bool:
    """Whether a file has Keras 3's layout of weights (a tree), not the older one by layers."""
    with hdf5.opened(os.fspath(path), os.fspath(path)) as file:
        return "layers" in file or "vars" in file or "_layer_checkpoint_dependencies" in file


def read_layers(file: Any, path: str) -> Stored:
    """The layers of an open file in its order, those without weights too. Raises ValueError for another layout."""
    inner = hdf5.child(file, "model_weights") if "layer_names" not in file.attrs else None
    group = file if inner is None else inner
    if "layer_names" not in group.attrs and "layer_names0" not in group.attrs:
        raise ValueError(
            f"{path!r} has no layer_names: it is no file of Keras's weights by layers (Keras 3 writes that layout as "
            "model.save('name.h5'), another one as model.save_weights('name.weights.h5'))"
        )
    found = []
    try:
        for name in _names(group, "layer_names", path):
            layer = hdf5.child(group, name)
            if layer is None:
                raise ValueError(f"there is no layer {name!r}")
            found.append((name, [hdf5.dataset(layer, weight) for weight in _names(layer, "weight_names", path)]))
    except ValueError as error:
        raise ValueError(f"{path!r} cannot be read: {error}") from None
    return found


def _names(group: Any, attribute: str, path: str) -> list[str]:
    """A list of names; where it is too long for one attribute, cut into ``<attribute>0``, ``<attribute>1``, ..."""
    if attribute in group.attrs:
        return hdf5.texts(group, attribute, path)
    found: list[str] = []
    part = 0
    while f"{attribute}{part}" in group.attrs:
        found += hdf5.texts(group, f"{attribute}{part}", path)
        part += 1
    return found
