"""profiler: what each layer and each kernel costs, and how near that is to the machine's limit."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ranvier import _core
from ranvier.autograd import Function
from ranvier.counts import bytes_moved, flops_of, is_kernel
from ranvier.layers.layer import Layer
from ranvier.layers.operation import Operation
from ranvier.models.replay import Replay
from ranvier.saving.file import write_atomically

if TYPE_CHECKING:
    from ranvier.bench.machine import Ceilings

OUTSIDE = "(no layer)"  # the optimizer, the loss, what the user computes


@dataclass
class Event:
    """One call of a kernel: times in seconds since the profiler began."""

    op: str
    layer: str
    phase: str  # "forward" or "backward"
    start: float
    seconds: float
    flops: float
    bytes: float
    dtype: str
    thread: int


@dataclass
class Row:
    """What the calls of one op, of one layer, or of one op in one layer cost together."""

    name: str
    calls: int = 0
    seconds: float = 0.0
    flops: float = 0.0
    bytes: float = 0.0
    limit: float = 0.0  # seconds that so many flops and bytes take at least, call by call

    @property
    def fraction(self) -> float:
        """How much of the measured limit is reached."""
        return self.limit / self.seconds if self.seconds else 0.0


@dataclass
class _Now(threading.local):
    layers: list[str] = field(default_factory=list)
    phase: str = "forward"


class profiler:
    """A context that measures each kernel call inside it: time, flops, bytes, and the layer that it belongs to.

    Backward kernels count for the layer whose forward pass made them. Flops are those of products and convolutions
    (2 for a multiplication and an addition), bytes those of the arguments and results; the limit is the larger of the
    times that they take at the machine's measured peaks (``rv.bench``), so what stays in the caches, or Winograd's
    algorithm, may pass it. Inside, steps of ``fit`` run eagerly, not replayed. One profiler at a time; outside of it
    nothing is measured and nothing costs. Raises RuntimeError inside another.

    >>> import ranvier as rv
    >>> model = rv.Sequential([rv.Input((8,)), rv.layers.Dense(4, name="hidden"), rv.layers.Dense(2, name="out")])
    >>> x = rv.ops.ones((3, 8))
    >>> with rv.profiler() as profile:
    ...     y = model(x)
    >>> sorted((row.name, row.calls, row.flops) for row in profile.rows("layer", limits=False))
    [('hidden', 1, 192.0), ('out', 1, 48.0)]
    """

    _active: profiler | None = None

    def __init__(self, ceilings: Ceilings | None = None) -> None:
        self.events: list[Event] = []
        self.calls: list[tuple[str, float, float, int]] = []  # of layers: name, start, seconds, thread
        self.seconds = 0.0
        self._ceilings = ceilings
        self._now = _Now()
        self._undo: list[Callable[[], None]] = []

    # --- putting the hooks in and taking them out -----------------------------------------------------------

    def __enter__(self) -> profiler:
        if profiler._active is not None:
            raise RuntimeError("profiler: another one is active; only one can measure at a time")
        profiler._active = self
        _core._set_direct(False)  # so that all calls of kernels are Python's
        self._undo.append(lambda: _core._set_direct(True))
        for name in dir(_core):
            if is_kernel(name):
                self._replace(_core, name, self._timed(name, getattr(_core, name)))
        for owner in (Layer, Operation):
            self._replace(owner, "__call__", self._layer_call(owner.__call__))
        for function in set(_subclasses(Function)):
            self._replace(function, "forward", _tagging(self._now, function.forward))
            self._replace(function, "backward", _returning(self._now, function.backward))
        self._replace(Replay, "run", lambda replay, kind, step, batch: step(batch))
        self._replace(Replay, "gathered", lambda replay, kind, rows: None)
        self._begin = time.perf_counter()
        return self

    def __exit__(self, *error: object) -> None:
        self.seconds += time.perf_counter() - self._begin
        while self._undo:
            self._undo.pop()()
        profiler._active = None

    def _replace(self, owner: Any, name: str, new: Any) -> None:
        inherited = name not in vars(owner)
        old = getattr(owner, name)
        setattr(owner, name, new)
        self._undo.append((lambda: delattr(owner, name)) if inherited else (lambda: setattr(owner, name, old)))

    def _timed(self, name: str, kernel: Callable[..., Any]) -> Callable[..., Any]:
        now = self._now

        def run(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            result = kernel(*args, **kwargs)
            seconds = time.perf_counter() - start
            moved, dtype = bytes_moved(args, kwargs, result)
            layer = now.layers[-1] if now.layers else OUTSIDE
            flops, thread = flops_of(name, args, kwargs, result), threading.get_ident()
            self.events.append(Event(name, layer, now.phase, start - self._begin, seconds, flops, moved, dtype, thread))
            return result

        return run

    def _layer_call(self, call: Callable[..., Any]) -> Callable[..., Any]:
        now = self._now

        def run(layer: Layer, *args: Any, **kwargs: Any) -> Any:
            now.layers.append(layer.name)
            start = time.perf_counter()
            try:
                return call(layer, *args, **kwargs)
            finally:
                seconds = time.perf_counter() - start
                now.layers.pop()
                self.calls.append((layer.name, start - self._begin, seconds, threading.get_ident()))

        return run

    # --- what came out ----------------------------------------------------------------------------------------

    @property
    def ceilings(self) -> Ceilings:
        """The machine's peaks, measured (some two seconds) when they are first asked for."""
        if self._ceilings is None:
            from ranvier.bench.machine import measure_ceilings

            self._ceilings = measure_ceilings()
        return self._ceilings

    def rows(self, by: str = "op", limits: bool = True) -> list[Row]:
        """Costs by ``"op"``, ``"layer"`` or ``"layer, op"``, the dearest first; ``limits=False`` measures no peaks.

        Raises ValueError for another ``by``.
        """
        keys: dict[str, Callable[[Event], str]] = {
            "op": lambda e: e.op,
            "layer": lambda e: e.layer,
            "layer, op": lambda e: f"{e.layer}: {e.op}",
        }
        if by not in keys:
            raise ValueError(f"profiler: by must be one of {list(keys)}, got {by!r}")
        found: dict[str, Row] = {}
        for event in self.events:
            name = keys[by](event)
            row = found.setdefault(name, Row(name))
            row.calls += 1
            row.seconds += event.seconds
            row.flops += event.flops
            row.bytes += event.bytes
            if limits:
                row.limit += self.ceilings.seconds(event.flops, event.bytes, event.dtype)
        return sorted(found.values(), key=lambda row: -row.seconds)

    def table(self, by: str = "op", limit: int | None = 20) -> str:
        """The rows as text: calls, time and its share, GFLOP/s, GB/s, and the fraction of the limit that is reached."""
        rows = self.rows(by)
        total = sum(row.seconds for row in rows) or 1.0
        width = max([len(by), *(len(row.name) for row in rows[:limit])], default=8)
        lines = [f"{by:<{width}}   calls         ms      %   GFLOP/s     GB/s  of limit"]
        for row in rows[:limit]:
            seconds = row.seconds or 1e-12
            lines.append(
                f"{row.name:<{width}}  {row.calls:6d}  {row.seconds * 1e3:9.3f}  {row.seconds / total:5.1%}  "
                f"{row.flops / seconds / 1e9:8.1f}  {row.bytes / seconds / 1e9:7.1f}  {row.fraction:8.1%}"
            )
        if limit is not None and len(rows) > limit:
            lines.append(f"... and {len(rows) - limit} more")
        lines.append(f"kernels {total * 1e3:.3f} ms of {self.seconds * 1e3:.3f} ms")
        return "\n".join(lines)

    def trace(self) -> dict[str, Any]:
        """The calls of layers and kernels in Chrome's format (chrome://tracing, ui.perfetto.dev)."""

        def one(name: str, kind: str, start: float, seconds: float, thread: int, **details: Any) -> dict[str, Any]:
            place = {"pid": os.getpid(), "tid": thread, "ts": start * 1e6, "dur": seconds * 1e6}
            return {"name": name, "cat": kind, "ph": "X", **place, "args": details}

        events = [one(name, "layer", start, seconds, thread) for name, start, seconds, thread in self.calls]
        for e in self.events:
            details = {"layer": e.layer, "phase": e.phase, "flops": e.flops, "bytes": e.bytes}
            events.append(one(e.op, "kernel", e.start, e.seconds, e.thread, **details))
        return {"traceEvents": sorted(events, key=lambda e: (e["ts"], -e["dur"])), "displayTimeUnit": "ms"}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes ``trace()`` as JSON, whole or not at all."""
        write_atomically(os.fspath(path), [json.dumps(self.trace()).encode()])


def _subclasses(kind: Any) -> Iterator[Any]:
    for inner in kind.__subclasses__():
        yield inner
        yield from _subclasses(inner)


def _tagging(now: _Now, forward: Callable[..., Any]) -> Callable[..., Any]:
    """A Function's forward that notes in which layer it ran."""

    def run(node: Any, *args: Any, **kwargs: Any) -> Any:
        node.__dict__["_profiled_layer"] = now.layers[-1] if now.layers else OUTSIDE
        return forward(node, *args, **kwargs)

    return run


def _returning(now: _Now, backward: Callable[..., Any]) -> Callable[..., Any]:
    """Its backward, which counts for that layer."""

    def run(node: Any, *args: Any, **kwargs: Any) -> Any:
        now.layers.append(node.__dict__.get("_profiled_layer", OUTSIDE))
        outer, now.phase = now.phase, "backward"
        try:
            return backward(node, *args, **kwargs)
        finally:
            now.layers.pop()
            now.phase = outer

    return run
