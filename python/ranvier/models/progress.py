"""Where ``fit`` is: what a file holds beside weights, so that another process goes on bit for bit.

Beside the weights and the optimizer's state a run is made of: the epoch and the batch, which callback was just being
called (those after it are called by whoever goes on), the callbacks' own state, the metrics' sums, the random
generators (the global one, those of layers with a seed, NumPy's and Python's), the states of stateful recurrent layers,
and how far the data have been read.
"""

from __future__ import annotations

import random as python_random
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from ranvier import _core, _tree, random
from ranvier.autograd import no_grad
from ranvier.models.logs import LazyLogs
from ranvier.tensor import wrap
from ranvier.utils.py_dataset import rng_state, set_rng_state

if TYPE_CHECKING:
    from ranvier.callbacks import CallbackList
    from ranvier.models.data import Batches

_HOOKS = ("on_epoch_end", "on_train_batch_end")  # a run goes on from these


class Progress:
    """The state of one ``fit``."""

    def __init__(
        self, model: Any, batches: Batches, validation: Batches | None, calls: CallbackList, epoch: int
    ) -> None:
        self.model = model
        self.batches = batches
        self.validation = validation
        self.calls = calls
        self.epoch = epoch
        self.batch = 0  # how many of this epoch's are done
        self.logs: dict[str, Any] = {}
        self.ended = False  # a callback wanted no more epochs
        self.pending: dict[str, Any] | None = None  # the state of an earlier run, from which this one goes on

    # --- what is saved --------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any] | None:
        """Everything, as numbers, texts and arrays; None where no callback is at work from which a run can go on."""
        hook, place = self.calls.at or ("", 0)
        if hook not in _HOOKS:
            return None
        within = hook == "on_train_batch_end"
        return {
            "epoch": self.epoch,
            "batch": self.batch if within else 0,
            "called": place,
            "logs": {} if within else dict(self.logs),
            "stop": bool(self.model.stop_training),
            "callbacks": [[type(c).__name__, c.get_state()] for c in self.calls.callbacks],
            "metrics": [_sums(metric) for metric in self.model.metrics] if within else [],
            "layers": [_layer_state(layer) for layer in _layers(self.model)],
            "random": random_state(),
            "data": self.batches.state(),
            "validation": self.validation.state() if self.validation is not None else None,
        }

    # --- going on ---------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """After ``on_train_begin``: puts everything back to where the earlier run was, and ends the hook it was in."""
        state, self.pending = self.pending, None
        if state is None:
            return
        try:
            self.epoch, self.batch, self.logs = state["epoch"], state["batch"], dict(state["logs"])
            self._restore(state)
        except (KeyError, TypeError, IndexError) as error:
            raise ValueError(f"fit: the position in training is damaged ({type(error).__name__}: {error})") from error
        self._finish(state)
        if not self.batch:
            self.epoch, self.ended = self.epoch + 1, self.model.stop_training

    def _restore(self, state: dict[str, Any]) -> None:
        self.model.stop_training = state["stop"]
        sample = self.batches.resume(state["data"], self.batch)
        if self.validation is not None and state["validation"] is not None:
            self.validation.resume(state["validation"], 0)
        if self.batch:
            self._restore_metrics(sample, state["metrics"])
        _restore_layers(self.model, state["layers"])
        self._restore_callbacks(state["callbacks"])
        set_random_state(state["random"])
        if self.batch and self.calls.progress is not None:
            self.calls.progress.on_epoch_begin(self.epoch)

    def _restore_metrics(self, sample: Any, sums: list[list[np.ndarray]]) -> None:
        """Metrics are made when they first see a batch: any will do."""
        if sample is not None:
            with no_grad():
                self.model.test_step(sample)
        self.model.reset_metrics()
        metrics = self.model.metrics
        if len(metrics) != len(sums):
            raise ValueError(f"fit: the run that goes on had {len(sums)} metrics, this one {len(metrics)}")
        for metric, values in zip(metrics, sums, strict=True):
            arrays = _arrays(metric)
            if [a.shape for a in arrays] != [np.shape(v) for v in values]:
                raise ValueError(f"fit: metric {metric.name!r} is another one than in the run that goes on")
            for array, value in zip(arrays, values, strict=True):
                array.copy_from(_core.Array.from_numpy(np.asarray(value), copy=True, device=array.device))

    def _match_callbacks(self, states: list[Any]) -> list[int | None]:
        """For each callback its place in the earlier run: the first of a class was the first there, and so on."""
        places: dict[str, list[int]] = {}
        for place, (name, _) in enumerate(states):
            places.setdefault(name, []).append(place)
        found = [places[n].pop(0) if places.get(n) else None for n in (type(c).__name__ for c in self.calls.callbacks)]
        lost = [states[place][0] for left in places.values() for place in left if states[place][1] is not None]
        if lost:
            warnings.warn(
                f"fit: the run that goes on had callbacks that this one has not: {', '.join(lost)}", stacklevel=6
            )
        return found

    def _restore_callbacks(self, states: list[Any]) -> None:
        for callback, place in zip(self.calls.callbacks, self._match_callbacks(states), strict=True):
            if place is not None and states[place][1] is not None:
                callback.set_state(states[place][1])

    def _finish(self, state: dict[str, Any]) -> None:
        """The hook that was being called, for the callbacks whose turn had not come."""
        places = self._match_callbacks(state["callbacks"])
        rest = [i for i, place in enumerate(places) if place is None or place > state["called"]]
        if self.batch:
            self.calls.finish("on_train_batch_end", rest, self.batch - 1, self.found())
        else:
            self.calls.finish("on_epoch_end", rest, self.epoch, self.logs)

    def found(self) -> LazyLogs | None:
        """What the last step of the epoch in which the run goes on told; None at the begin of an epoch."""
        return LazyLogs(self.model.get_metrics_result) if self.batch else None


# --- random numbers -------------------------------------------------------------------------------------------


def random_state() -> dict[str, Any]:
    """The places of the global generators: ours, NumPy's and Python's."""
    version, words, gauss = python_random.getstate()
    return {
        "ranvier": list(random.default_generator().get_state()),
        "numpy": rng_state(np.random),
        "python": [version, np.asarray(words, np.int64), gauss],
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Puts the global generators where ``random_state`` found them."""
    set_rng_state(np.random, state["numpy"])
    version, words, gauss = state["python"]
    python_random.setstate((version, tuple(int(word) for word in words), gauss))
    random.default_generator().set_state(state["ranvier"])


# --- layers and metrics -----------------------------------------------------------------------------------------


def _layers(model: Any) -> list[Any]:
    return [layer for layer, _ in model._walk()]


def _layer_state(layer: Any) -> dict[str, Any] | None:
    """What a layer has beside weights: generators with a seed of their own, states that go from batch to batch."""
    state: dict[str, Any] = {}
    generators = {k: list(v.get_state()) for k, v in vars(layer).items() if isinstance(v, random.Generator)}
    if generators:
        state["generators"] = generators
    if getattr(layer, "stateful", False) and getattr(layer, "states", None) is not None:
        state["states"] = [v.numpy() for v in _tree.flatten(layer.states)]
        state["begins_anew"] = layer._begins_anew
    return state or None


def _restore_layers(model: Any, states: list[Any]) -> None:
    layers = _layers(model)
    if len(layers) != len(states):
        raise ValueError(f"fit: the run that goes on had {len(states)} layers, this model has {len(layers)}")
    for layer, state in zip(layers, states, strict=True):
        for name, place in (state or {}).get("generators", {}).items():
            vars(layer)[name].set_state(place)
        if state and "states" in state:
            layer.states = None  # of the sample that made the metrics
            layer._make_states(len(state["states"][0]))
            for variable, value in zip(_tree.flatten(layer.states), state["states"], strict=True):
                variable.assign(value)
            layer._begins_anew = state["begins_anew"]


def _arrays(metric: Any) -> list[_core.Array]:
    """A metric's sums: its variables, and arrays that it holds."""
    plain = [value for value in vars(metric).values() if isinstance(value, _core.Array)]
    return [variable.array for variable in getattr(metric, "variables", [])] + plain


def _sums(metric: Any) -> list[np.ndarray]:
    return [wrap(array).numpy() for array in _arrays(metric)]
