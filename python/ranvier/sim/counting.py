"""What kernels ask of the memory system, line by line: ``rv.sim.trace``."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ranvier import _core


@dataclass(frozen=True)
class Line:
    """What one line of a kernel asked of the memory system; counts are of whole warps' requests.

    ``space`` is ``"global"`` or ``"shared"`` with ``access`` ``"read"`` or ``"write"`` (atomic updates too),
    ``"warp"`` with the name of an exchange between lanes, or ``"block"`` with ``"__syncthreads"``.
    """

    kernel: str
    place: str  # file:line
    space: str
    access: str
    requests: int
    lanes: int  # that took part, in all: 32 a request where nothing diverges
    divergent: int  # requests in which not all lanes of the warp took part
    bytes: int  # that they asked for
    sectors: int  # of 32 bytes, that had to be moved (global)
    wavefronts: int  # passes over the 32 banks (shared)

    @property
    def sectors_per_request(self) -> float:
        """4 is the best for 4-byte loads by a whole warp, 32 the worst."""
        return self.sectors / self.requests

    @property
    def wavefronts_per_request(self) -> float:
        """1 is free of bank conflicts, 32 the worst, for 4-byte accesses."""
        return self.wavefronts / self.requests


@dataclass(frozen=True)
class Kernel:
    """How often a kernel ran; ``barriers`` counts each block's."""

    kernel: str
    launches: int
    blocks: int
    threads: int
    barriers: int


@dataclass(frozen=True)
class Request:
    """One request of a warp, with addresses: lane ``lanes[i]`` asked for ``bytes`` at ``offsets[i]`` of ``object``.

    ``time`` counts how often the warp had passed the place before; ``code`` tells two accesses of one line apart.
    ``object`` is a shared variable's name, empty for an array; offsets are bytes from its start.
    """

    kernel: str
    place: str
    code: int
    space: str
    access: str
    warp: int
    time: int
    bytes: int
    object: str
    object_bytes: int
    lanes: list[int]
    offsets: list[int]


@dataclass
class Trace:
    """What kernels did within a ``with rv.sim.trace()``: ``lines`` and ``kernels``; printed, a table.

    ``requests`` holds the addresses of one block, ``block``, of each kernel's first launch: what ``rv.sim.show``
    draws.
    """

    lines: list[Line]
    kernels: list[Kernel]
    requests: list[Request] = field(default_factory=list)
    block: tuple[int, int, int] = (0, 0, 0)

    def __str__(self) -> str:
        width = max([18, *(len(line.kernel) for line in self.lines)])
        place = max([16, *(len(line.place) for line in self.lines)])
        head = f"{'kernel':<{width}} {'line':<{place}} {'':<22} {'requests':>9} {'lanes':>6} {'divergent':>9}"
        return "\n".join([f"{head}  per request", *(_row(line, width, place) for line in self.lines)])

    def of(self, space: str, access: str | None = None) -> list[Line]:
        """The lines of one space, and of one access where it is given."""
        return [line for line in self.lines if line.space == space and access in (None, line.access)]


def _row(line: Line, width: int, place: int) -> str:
    per = ""
    if line.space == "global":
        per = f"{line.sectors_per_request:>7.2f} sectors"
    elif line.space == "shared":
        per = f"{line.wavefronts_per_request:>7.2f} wavefronts"
    what = f"{line.space} {line.access}"
    return (
        f"{line.kernel:<{width}} {line.place:<{place}} {what:<22} {line.requests:>9} "
        f"{line.lanes / line.requests:>6.1f} {line.divergent / line.requests:>9.0%}{per}"
    ).rstrip()


_finished: list[Trace] = []  # the trace that ended last


def last_trace() -> Trace | None:
    """The trace that ended last, for ``show``."""
    return _finished[-1] if _finished else None


def _block_of(block: Any) -> tuple[int, int, int]:
    numbers = block if isinstance(block, tuple | list) else (block,)
    try:
        whole = [operator.index(number) for number in numbers]
    except TypeError:
        whole = []
    if not 1 <= len(whole) <= 3 or min(whole) < 0:
        raise ValueError(f"block: expected a number, or up to three, as blockIdx has them, got {block!r}")
    x, y, z = (*whole, 0, 0)[:3]
    return x, y, z


@contextmanager
def trace(block: int | tuple[int, ...] = 0) -> Iterator[Trace]:
    """Counts what each line of the kernels launched within the block asks of the memory system.

    Sectors of global memory, wavefronts of shared memory (bank conflicts), lanes per request, requests that diverge,
    shuffles and barriers, as a profiler on a GPU counts them. Lines are complete when the block ends. Of thread block
    ``block`` (x, or (x, y, z)) the addresses are kept, for ``rv.sim.show``. Raises ValueError for a ``block`` that is
    none.

    >>> import ranvier as rv
    >>> with rv.sim.trace() as seen:
    ...     pass  # launches on device "sim"
    >>> seen.lines
    []
    """
    kept = _block_of(block)
    before = _core._sim_options()
    result = Trace([], [], [], kept)
    _core._sim_clear_trace()
    order, seed, checked, *_ = before
    _core._sim_set_options(order, seed, checked, True, kept)
    try:
        yield result
    finally:
        _core._sim_set_options(*before)
        result.lines += sorted((Line(**line) for line in _core._sim_trace_lines()), key=_order)
        result.kernels += [Kernel(**kernel) for kernel in _core._sim_trace_kernels()]
        result.requests += [Request(**request) for request in _core._sim_trace_requests()]
        _finished[:] = [result]
        _core._sim_clear_trace()


def _order(line: Line) -> tuple[str, str, int]:
    file, _, number = line.place.rpartition(":")
    return line.kernel, file, int(number) if number.isdigit() else 0
