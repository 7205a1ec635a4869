"""Weights from the ``.h5`` files that Keras published and, as ``Model.save("model.h5")``, writes.

The file, or its group ``model_weights``, has an attribute ``layer_names`` and for each layer a group with an attribute
``weight_names``: the data sets inside it, trainable weights first. https://www.hdfgroup.org/solutions/hdf5/
"""

from __future__ import annotations

import os
import warnings
from typing import Any

import numpy as np

Stored = list[tuple[str, list[np.ndarray]]]  # of each layer: its name and its weights


def load_keras_h5(model: Any, path: str | os.PathLike[str], skip_mismatch: bool = False, by_name: bool = False) -> None:
    """Reads weights into a model: layer by layer in order, or with ``by_name`` where the names are equal.

    Nothing changes unless all fit; ``skip_mismatch`` skips what does not, with a warning. Needs h5py. Raises
    ImportError without it, ValueError for a file of another layout, or one that does not fit.
    """
    stored = read_layers(path)
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
                f"{os.fspath(path)!r} does not fit: model {model.name!r} has {len(layers)} layers with weights, "
                f"the file {len(stored)}"
            )
        pairs = [(layer, name, arrays) for layer, (name, arrays) in zip(layers, stored, strict=True)]
    fitting: list[tuple[Any, np.ndarray]] = []
    for layer, name, arrays in pairs:
        variables = sorted(layer.weights, key=lambda v: not v.trainable_by_nature)
        shapes, found = [v.shape for v in variables], [a.shape for a in arrays]
        if shapes == found:
            fitting += zip(variables, arrays, strict=True)
            continue
        problem = (
            f"{os.fspath(path)!r} does not fit: layer {layer.name!r} has weights of shapes {shapes}, the file's layer "
            f"{name!r} {found}"
        )
        if not skip_mismatch:
            raise ValueError(problem)
        warnings.warn(problem, stacklevel=4)
    for variable, array in fitting:
        variable.assign(array.astype(variable.dtype, copy=False))


def read_layers(path: str | os.PathLike[str]) -> Stored:
    """The layers of a file in its order, those without weights too. Raises ValueError for another layout."""
    try:
        import h5py
    except ImportError as error:
        raise ImportError(
            "reading Keras's .h5 files needs h5py: pip install h5py (or pip install 'ranvier[keras]')"
        ) from error

    with open(path, "rb") as file:  # its own errors for a file that is not there
        try:
            with h5py.File(file, "r") as opened:
                return _layers(opened, os.fspath(path))
        except (OSError, KeyError, RuntimeError) as error:
            raise ValueError(f"{os.fspath(path)!r} cannot be read: {error}") from error


def _layers(opened: Any, path: str) -> Stored:
    group = opened["model_weights"] if "layer_names" not in opened.attrs and "model_weights" in opened else opened
    if "layer_names" not in group.attrs and "layer_names0" not in group.attrs:
        raise ValueError(
            f"{path!r} has no layer_names: it is no file of Keras's weights by layers (Keras 3 writes that layout as "
            "model.save('name.h5'), another one as model.save_weights('name.weights.h5'))"
        )
    found = []
    for name in _names(group, "layer_names"):
        layer = group[name]
        found.append((name, [np.asarray(layer[weight]) for weight in _names(layer, "weight_names")]))
    return found


def _names(group: Any, attribute: str) -> list[str]:
    """A list of names; where it is too long for one attribute, cut into ``<attribute>0``, ``<attribute>1``, ..."""
    if attribute in group.attrs:
        found = list(group.attrs[attribute])
    else:
        found, part = [], 0
        while f"{attribute}{part}" in group.attrs:
            found += list(group.attrs[f"{attribute}{part}"])
            part += 1
    return [name.decode() if isinstance(name, bytes) else str(name) for name in found]
