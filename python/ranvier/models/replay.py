"""Replay: a step recorded once per shape of batch, then run from C++ without Python (design §11).

A model's step is the same list of kernel calls every time. The first batch of a shape runs as usual and builds what is
missing, the second is recorded while it runs, and from the third on the calls run again over the same buffers: the
batch is copied (or gathered) into the recorded inputs, step-varying numbers are read where the kernels run. Results are
bit for bit those of the eager step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ranvier import _core, _tree
from ranvier.changes import changes
from ranvier.tensor import Tensor, wrap

Key = tuple[Any, ...]

_MOST_SHAPES = 16  # recordings of one model: each keeps the memory of a step
_MOST_AGAIN = 4  # recordings of one shape that were hardly used before something changed


class Entry:
    """One kind of step at one shape: seen, recorded, or refused with a reason."""

    def __init__(self) -> None:
        self.recording: _core._Recording | None = None
        self.inputs: list[_core.Array] = []
        self.batch: Any = None  # the same as tensors, in the structure of a batch
        self.result: Any = None
        self.refusal: str | None = None
        self.changes = -1
        self.replays = 0
        self.wasted = 0

    def describe(self) -> str:
        """What ``replay_info`` says about it."""
        if self.refusal is not None:
            return f"eager: {self.refusal}"
        if self.recording is None:
            return "eager: recorded when the next batch of this shape comes"
        calls, megabytes = len(self.recording.calls), self.recording.pool_bytes / 2**20
        text = f"replayed: {calls} calls, {megabytes:.1f} MB, {self.replays} times so far"
        if self.recording.graphs:
            text += f"; {self.recording.captured} of the calls in CUDA graphs: {self.recording.graphs}"
        return f"{text}; no CUDA graphs: {why}" if (why := self.recording.why_no_graphs) else text


class Replay:
    """The recorded steps of one model."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.entries: dict[Key, Entry] = {}
        self._by_rows: dict[Key, Entry] = {}  # for batches that are gathered into place

    def run(self, kind: str, step: Callable[[Any], Any], batch: Any) -> Any:
        """One step on ``batch``, replayed if it can be."""
        leaves = [t.array for t in _leaves(batch)]
        key = (kind, self._phase(kind), *[(a.shape, a.dtype) for a in leaves])
        entry = self.entries.get(key)
        if entry is None:
            if len(self.entries) < _MOST_SHAPES:
                self.entries[key] = Entry()
            return step(batch)
        if entry.recording is not None and entry.changes == changes.count:
            return self._replay(kind, entry, leaves)
        if entry.refusal is not None:
            return step(batch)
        return self._record(key, entry, step, batch, leaves)

    def gathered(self, kind: str, rows: int) -> Any:
        """The recorded inputs for a batch of ``rows`` samples, to gather into; None where there are none."""
        entry = self._by_rows.get((kind, self._phase(kind), rows))
        return None if entry is None or entry.changes != changes.count else entry.batch

    def _phase(self, kind: str) -> tuple[bool, ...]:
        """What the optimizer does in this step, where its steps are not all alike: they are recorded apart."""
        return self.model.optimizer.phase() if kind == "train" else ()

    def _replay(self, kind: str, entry: Entry, leaves: list[_core.Array]) -> Any:
        if kind == "train":
            self.model.optimizer.prepare()
        entry.recording.replay(entry.inputs, leaves)  # type: ignore[union-attr]
        entry.replays += 1
        return _again(entry.result)

    def _record(self, key: Key, entry: Entry, step: Callable[[Any], Any], batch: Any, leaves: list[_core.Array]) -> Any:
        kind = key[0]
        if entry.recording is not None and entry.replays < _MOST_AGAIN:
            entry.wasted += 1
            if entry.wasted >= _MOST_AGAIN:
                entry.recording, entry.refusal = None, "the model or its optimizer is changed every few steps"
                return step(batch)
        entry.refusal = self.model._reason_against_replay()  # the first batch may have shown metrics and losses
        if entry.refusal is not None:
            return step(batch)
        recording = _core._Recording()
        inputs = [array.copy() for array in leaves]
        supply = iter([wrap(array) for array in inputs])
        batch = _tree.map_structure(lambda t: next(supply) if isinstance(t, Tensor) else t, batch)
        if kind == "train":
            self.model.optimizer.prepare()
        recording.begin()
        try:
            result = step(batch)
        finally:
            recording.end()
        entry.refusal = recording.refusal or None
        entry.recording = None if entry.refusal else recording
        entry.inputs, entry.batch, entry.result = inputs, batch, _keep(result)
        entry.changes, entry.replays = changes.count, 0
        if entry.recording is not None and leaves and leaves[0].ndim:
            self._by_rows[kind, key[1], leaves[0].shape[0]] = entry
        return _again(result) if entry.refusal is None else result

    def info(self) -> dict[str, str]:
        """What became of each kind of step at each shape."""
        found = {}
        for (kind, phase, *shapes), entry in self.entries.items():
            text = ", ".join(f"{dtype} {'x'.join(map(str, shape)) or 'scalar'}" for shape, dtype in shapes)
            does = [name for name, now in zip(("updates", "starts means", "takes means"), phase, strict=False) if now]
            found[f"{kind} ({'; '.join([text, *(does or ['accumulates'])]) if phase else text})"] = entry.describe()
        if len(self.entries) >= _MOST_SHAPES:
            found["other shapes"] = f"eager: {_MOST_SHAPES} shapes are recorded; pad batches to fewer"
        return found


def _leaves(batch: Any) -> list[Tensor]:
    if isinstance(batch, tuple):  # nearly always (x, y, None)
        plain = [t for t in batch if t is not None]
        if all(isinstance(t, Tensor) for t in plain):
            return plain
    return [t for t in _tree.flatten(batch) if isinstance(t, Tensor)]


def _keep(result: Any) -> Any:
    """What a step returned, without its tape."""
    if isinstance(result, (Tensor, dict, list, tuple)):
        return _tree.map_structure(lambda t: wrap(t.array) if isinstance(t, Tensor) else t, result)
    return result


def _again(result: Any) -> Any:
    """What this run of the step returns: copies of tensors (the next run overwrites them), fresh logs."""
    if isinstance(result, (Tensor, dict, list, tuple)):
        return _tree.map_structure(lambda t: wrap(t.array.copy()) if isinstance(t, Tensor) else t, result)
    return result.fresh()


# --- what "auto" leaves alone ---------------------------------------------------------------------------


def _is_ours(thing: Any) -> bool:
    module = getattr(thing, "__module__", None) or type(thing).__module__
    return str(module).startswith("ranvier.") or module == "builtins"


def _foreign_parts(owner: Any) -> Iterator[str]:
    """Functions and objects inside ``owner`` that Ranvier did not write: their Python may do what calls do not show."""
    if not _is_ours(type(owner)):
        yield f"{type(owner).__name__} {getattr(owner, 'name', '')!r}".replace(" ''", "")
        return
    for name, part in vars(owner).items():
        if callable(part) and not _is_ours(part) and not name.startswith("_init"):
            yield f"{name} of {type(owner).__name__} {getattr(owner, 'name', '')!r}".replace(" ''", "")


_STEPS = ("train_step", "test_step", "predict_step", "compute_loss", "compute_metrics", "metrics", "call")


def reason_against(model: Any) -> str | None:
    """Why "auto" runs this model's steps eagerly, or None: code of the user's own runs each time as it was written."""
    for name in _STEPS:
        method = vars(model).get(name) or getattr(type(model), name, None)
        method = method.fget if isinstance(method, property) else method
        if method is not None and not _is_ours(method):
            return f"{type(model).__name__}.{name} is not Ranvier's own; jit_compile=True records it all the same"
    compiled_loss, compiled_metrics = model._compile_loss, model._compile_metrics
    owners = [layer for layer, _ in model._walk() if layer is not model]
    owners += [model.optimizer] if model.optimizer is not None else []
    owners += [part[1] for part in (compiled_loss.parts or ())] if compiled_loss is not None else []
    owners += [part[1] for part in (compiled_metrics.parts or ())] if compiled_metrics is not None else []
    for owner in owners:
        for part in _foreign_parts(owner):
            return f"{part} is not Ranvier's own; jit_compile=True records it all the same"
    for variable in model.variables:
        for rule in (variable.regularizer, variable.constraint):
            if rule is not None and not (_is_ours(rule) and _is_ours(type(rule))):
                return f"a rule of {variable.path!r} is not Ranvier's own; jit_compile=True records it all the same"
    return None
