"""Models and their weights in one file each: ``save_model``, ``load_model``, ``save_weights``, ``load_weights``."""

from __future__ import annotations

import inspect
import math
import os
import warnings
from typing import TYPE_CHECKING, Any

from ranvier import _tree, losses, metrics
from ranvier.optimizers.state import mismatch
from ranvier.saving import file
from ranvier.saving.file import Stored
from ranvier.saving.keras_h5 import is_tree, load_keras_h5
from ranvier.saving.pack import pack, unpack
from ranvier.saving.registry import CustomObjectScope, check_of_file, deserialize_object, serialize_object
from ranvier.tensor import Tensor
from ranvier.variable import uninitialized

if TYPE_CHECKING:
    from ranvier.models.trainer import Trainer as Model


def _checked_target(what: str, filepath: str | os.PathLike[str], overwrite: bool, keras: str) -> str:
    path = file.check_path(what, filepath, keras)
    if not overwrite and os.path.exists(path):
        raise FileExistsError(f"{what}: {path!r} is there already and overwrite=False")
    return path


def _named(group: str, variables: list[Any]) -> dict[str, Tensor]:
    """Tensors under names that are unique and in order, and still tell what they are."""
    return {f"{group}/{i}/{getattr(v, 'path', 'variable')}": v for i, v in enumerate(variables)}


def _grouped(group: str, tensors: dict[str, Stored]) -> list[tuple[str, Stored]]:
    """The tensors of a group in their order, with what they are."""
    found = [(name.split("/", 2), tensor) for name, tensor in tensors.items() if name.startswith(group + "/")]
    return [(parts[2], tensor) for parts, tensor in sorted(found, key=lambda item: int(item[0][1]))]


def save_model(model: Model, filepath: str | os.PathLike[str], overwrite: bool = True) -> None:
    """Writes a model to one ``.rv`` file: layers, weights, how it was compiled, and the optimizer's state.

    The file is a safetensors file whose metadata holds the configuration as JSON; it appears whole or not at all.
    A name that ends in ``.keras`` makes a file that Keras 3 opens, where Keras has all layers (else ValueError).
    Raises ValueError for another extension or a model without weights yet, TypeError for what has no configuration
    (a lambda), FileExistsError with ``overwrite=False``. Source: Keras ``Model.save``.

    >>> import os, tempfile, ranvier as rv
    >>> model = rv.Sequential([rv.Input((4,)), rv.layers.Dense(2)])
    >>> path = os.path.join(tempfile.mkdtemp(), "model.rv")
    >>> model.save(path)
    >>> rv.models.load_model(path).count_params()
    10
    """
    path = _checked_target("save", filepath, overwrite, ".keras")
    if not model.built:
        raise ValueError(f"save: model {model.name!r} has no weights yet; build it or call it on data first")
    if path.endswith(".keras"):
        from ranvier.saving.keras_file import save_keras_model

        return save_keras_model(model, path)
    description: dict[str, Any] = {
        "kind": "model",
        "model": serialize_object(model),
        "build_shape": getattr(model, "_build_shape", None),
        "compile": None,
    }
    tensors = _named("weights", model.weights)
    _add_training(model, description, tensors)
    if model.compiled:
        assert model._compile_config is not None
        # The optimizer as it is now, whatever was passed to compile: its learning rate may have changed.
        settings = {**model._compile_config, "optimizer": model.optimizer}
        description["compile"] = {name: serialized_setting(value) for name, value in settings.items()}
        if model.optimizer.built:
            tensors |= _named("optimizer", model.optimizer.variables)
    file.write(path, tensors, description)


def _add_training(model: Model, description: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    """The metrics so far, the random generators, and while ``fit`` is at work its place; see ``models.progress``."""
    from ranvier.models.progress import random_state

    progress = model._progress
    state = progress.state() if progress is not None else None
    history = model.history.history if model.history is not None else {}
    description["metrics"] = pack(history, "metrics", tensors)
    description["training"] = None if state is None else pack(state, "training", tensors)
    description["random"] = pack(random_state(), "random", tensors) if state is None else None


def serialized_setting(setting: Any) -> Any:
    """What compile was given, as JSON values; our own functions by their names."""

    def leaf(value: Any) -> Any:
        name = getattr(value, "__name__", "")
        ours = inspect.isfunction(value) and value in (getattr(losses, name, None), getattr(metrics, name, None))
        return name if ours else serialize_object(value)

    return _tree.map_structure(leaf, setting)


def save_weights(model: Model, filepath: str | os.PathLike[str], overwrite: bool = True) -> None:
    """Writes a model's weights alone to one ``.rv`` file, in the order of ``model.weights``.

    A name that ends in ``.weights.h5`` makes a file that Keras 3 reads.
    Raises ValueError for another extension or a model without weights yet.
    """
    path = _checked_target("save_weights", filepath, overwrite, ".weights.h5")
    if not model.built:
        raise ValueError(f"save_weights: model {model.name!r} has no weights yet; build it or call it on data first")
    if path.endswith(".h5"):
        from ranvier.saving.keras_file import save_keras_weights

        return save_keras_weights(model, path)
    file.write(path, _named("weights", model.weights), {"kind": "weights"})


def save_state(model: Model, path: str) -> None:
    """Writes weights, the optimizer's state and the position in training, without the configuration."""
    optimizer = model.optimizer.variables if model.compiled and model.optimizer.built else []
    tensors = _named("weights", model.weights) | _named("optimizer", optimizer)
    description: dict[str, Any] = {"kind": "state"}
    _add_training(model, description, tensors)
    file.write(path, tensors, description)


def restore_state(model: Model, path: str) -> dict[str, Any]:
    """Takes what ``save_state`` or ``save_model`` wrote in ``fit``, all or nothing; gives the description.

    Raises ValueError for what does not fit, and for a file without a position in training.
    """
    if not model.built:
        raise ValueError(f"fit: model {model.name!r} has no weights yet; build it or call it on data before fit")
    with file.opened(path) as (description, tensors):
        if description.get("training") is None:
            raise ValueError(
                f"{path!r} holds no position in training, from which fit could go on: ModelCheckpoint (of whole "
                "models) and BackupAndRestore write such files"
            )
        state = _grouped("optimizer", tensors)
        if state:
            model.optimizer.build(model.trainable_variables)
            _check_optimizer(path, model.optimizer, state)
        _assign(path, f"model {model.name!r}", model.weights, _grouped("weights", tensors))
        if state:
            _assign(path, "the optimizer", model.optimizer.variables, state)
        try:
            description["training"] = unpack(description["training"], tensors)
        except ValueError as error:
            raise ValueError(f"{path!r} cannot be read: {error}") from None
    return description


def _check_optimizer(path: str, optimizer: Any, state: list[tuple[str, Stored]]) -> None:
    own = [(v.name, tuple(v.shape)) for v in optimizer.variables]
    if problem := mismatch(type(optimizer).__name__, own, [tuple(t.shape) for _, t in state]):
        raise ValueError(f"{path!r} does not fit: {problem}")


def load_weights(
    model: Model, filepath: str | os.PathLike[str], skip_mismatch: bool = False, by_name: bool = False
) -> None:
    """Reads the weights of a file written by ``save`` or ``save_weights`` into a model of the same shapes.

    Weights are matched by their order; nothing changes unless all fit (or ``skip_mismatch`` skips those that do
    not, with a warning). A ``.h5`` file is one of Keras's, see ``load_keras_h5``, and ``by_name`` is for such;
    ``.weights.h5`` and ``.keras`` files are those of Keras 3, with the layers in the same order.
    Raises ValueError that names the file for one that is damaged or does not fit.
    """
    if not model.built:
        raise ValueError(f"load_weights: model {model.name!r} has no weights yet; build it or call it on data first")
    if str(filepath).endswith((".h5", ".hdf5")) and not (is_tree(filepath) and not by_name):
        return load_keras_h5(model, filepath, skip_mismatch, by_name)
    if str(filepath).endswith((".keras", ".h5", ".hdf5")):
        from ranvier.saving.keras_file import load_keras_weights

        return load_keras_weights(model, os.fspath(filepath), skip_mismatch)
    if by_name:
        raise ValueError("load_weights: by_name is for Keras's .h5 files; .rv files are matched by order")
    path = file.check_path("load_weights", filepath)
    with file.opened(path) as (_, tensors):
        _assign(path, f"model {model.name!r}", model.weights, _grouped("weights", tensors), skip_mismatch)


def _assign(
    path: str, owner: str, variables: list[Any], stored: list[tuple[str, Stored]], skip_mismatch: bool = False
) -> None:
    """Stored tensors into variables, all or none."""
    if len(variables) != len(stored):
        raise ValueError(f"{path!r} does not fit: {owner} has {len(variables)} variables, the file {len(stored)}")
    fitting = []
    for variable, (name, tensor) in zip(variables, stored, strict=True):
        if (variable.shape, variable.dtype) == (tensor.shape, tensor.dtype) or (
            variable.shape == tensor.shape and {variable.dtype, tensor.dtype} <= {"float32", "float64"}
        ):
            fitting.append((variable, tensor))
            continue
        problem = (
            f"{path!r} does not fit: {getattr(variable, 'path', 'a variable')!r} of {owner} is {variable.dtype} of "
            f"shape {variable.shape}, the file has {name!r}, {tensor.dtype} of shape {tensor.shape}"
        )
        if not skip_mismatch:
            raise ValueError(problem)
        warnings.warn(problem, stacklevel=4)
    for variable, tensor in fitting:
        tensor.read_into(variable)


def load_model(
    filepath: str | os.PathLike[str],
    custom_objects: dict[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> Any:
    """A model from a ``.rv`` file, or Keras 3's ``.keras``, with its weights and, if ``compile``, its optimizer.

    With the optimizer comes its state: training goes on as if the model had not been saved.

    Classes and functions of your own are found if they were registered (``rv.saving.register_serializable``) or are
    in ``custom_objects``. Nothing in a file is ever executed, so ``safe_mode`` makes no difference. Raises ValueError
    that names the file and the reason for one that is damaged, was written by a newer Ranvier, or names classes
    that are not known. Source: Keras ``load_model``.
    """
    path = file.check_path("load_model", filepath, ".keras")
    if path.endswith(".keras"):
        from ranvier.saving.keras_file import load_keras_model

        return load_keras_model(path, custom_objects, compile)
    with file.opened(path) as (description, tensors):
        return _load_model(path, description, tensors, custom_objects, compile)


def _load_model(
    path: str,
    description: dict[str, Any],
    tensors: dict[str, Stored],
    custom_objects: dict[str, Any] | None,
    compile: bool,
) -> Any:
    if description.get("kind") != "model" or not isinstance(description.get("model"), dict):
        raise ValueError(f"{path!r} holds weights and no model; use load_weights on a model of the same layers")
    weights = _grouped("weights", tensors)
    with CustomObjectScope(custom_objects or {}):
        try:
            check_of_file(description["model"])
            with uninitialized(sum(math.prod(stored.shape) for _, stored in weights)):
                model = deserialize_object(description["model"])
                if not model.built and description.get("build_shape") is not None:
                    model.build(description["build_shape"])
        except Exception as error:  # a configuration can be wrong in as many ways as layers can
            raise ValueError(f"{path!r}: its model cannot be made: {error}") from error
        _assign(path, f"model {model.name!r}", model.weights, weights)
        if compile and description.get("compile") is not None:
            _compile(path, model, description["compile"], _grouped("optimizer", tensors))
    return model


def _compile(path: str, model: Any, settings: dict[str, Any], state: list[tuple[str, Stored]]) -> None:
    try:
        model.compile(**{name: deserialize_object(value) for name, value in settings.items()})
        if state:
            model.optimizer.build(model.trainable_variables)
    except Exception as error:
        raise ValueError(
            f"{path!r}: the model cannot be compiled as it was: {error}; load_model(..., compile=False) leaves that out"
        ) from error
    if state:
        _check_optimizer(path, model.optimizer, state)
        _assign(path, "the optimizer", model.optimizer.variables, state)
