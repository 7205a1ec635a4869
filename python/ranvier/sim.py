"""The CUDA simulator: our CUDA kernels on any machine, watched load by load.

Arrays live on device ``"sim"``. Each CUDA thread is a fiber; races, divergent barriers, wrong masks, reads of what
nobody wrote and addresses out of bounds stop a kernel with an ``rv.DeviceError`` that names lines, threads and blocks.
So far the kernels of the teaching ladder run on it. How it works, and what it cannot see: docs/simulator.md.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ranvier import _core

__all__ = ["Kernel", "Line", "Trace", "options", "trace"]


@contextmanager
def options(schedule: str | None = None, seed: int | None = None, check: bool | None = None) -> Iterator[None]:
    """How kernels run within the block, on device ``sim`` and in the whole process.

    ``schedule``: which thread runs next where several could: ``"forward"`` (by number, the default), ``"reverse"`` or
    ``"random"``, which ``seed`` repeats. ``check=False`` looks for no faults but deadlocks, and is several times
    faster. None leaves a setting as it is. Raises ValueError for another schedule.

    >>> import ranvier as rv
    >>> with rv.sim.options(schedule="random", seed=7):
    ...     pass  # launches here run in an order that seed 7 gives
    """
    before = _core._sim_options()
    order, first, checked, traced = before
    _core._sim_set_options(
        order if schedule is None else schedule,
        first if seed is None else seed,
        checked if check is None else check,
        traced,
    )
    try:
        yield
    finally:
        _core._sim_set_options(*before)


@dataclass(frozen=True)
class Line:
    """What one line of a kernel asked of the memory system; counts are of whole warps' requests."""

    kernel: str
    place: str  # file:line
    space: str  # "global" or "shared"
    access: str  # "read" or "write" (atomic updates too)
    requests: int
    lanes: int  # that took part, in all: 32 a request where nothing diverges
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
    """How often a kernel ran."""

    kernel: str
    launches: int
    blocks: int
    threads: int
    barriers: int


@dataclass
class Trace:
    """What kernels did within a ``with rv.sim.trace()``: ``lines`` and ``kernels``; printed, a table."""

    lines: list[Line]
    kernels: list[Kernel]

    def __str__(self) -> str:
        rows = [f"{'kernel':<18} {'line':<22} {'':<13} {'requests':>9} {'lanes':>6} {'per request':>18}"]
        for line in self.lines:
            unit, per = (
                ("sectors", line.sectors_per_request)
                if line.space == "global"
                else ("wavefronts", line.wavefronts_per_request)
            )
            rows.append(
                f"{line.kernel:<18.18} {line.place:<22} {line.space} {line.access:<6} {line.requests:>9} "
                f"{line.lanes / line.requests:>6.1f} {per:>7.2f} {unit}"
            )
        return "\n".join(rows)


@contextmanager
def trace() -> Iterator[Trace]:
    """Counts what each line of the kernels launched within the block asks of the memory system.

    Sectors of global memory, wavefronts of shared memory (bank conflicts) and lanes per request, as a profiler on a GPU
    counts them. Lines are complete when the block ends.

    >>> import ranvier as rv
    >>> with rv.sim.trace() as seen:
    ...     pass  # launches on device "sim"
    >>> seen.lines
    []
    """
    before = _core._sim_options()
    result = Trace([], [])
    _core._sim_clear_trace()
    order, seed, checked, _ = before
    _core._sim_set_options(order, seed, checked, True)
    try:
        yield result
    finally:
        _core._sim_set_options(*before)
        result.lines += sorted((Line(**line) for line in _core._sim_trace_lines()), key=_order)
        result.kernels += [Kernel(**kernel) for kernel in _core._sim_trace_kernels()]
        _core._sim_clear_trace()


def _order(line: Line) -> tuple[str, str, int]:
    file, _, number = line.place.rpartition(":")
    return line.kernel, file, int(number) if number.isdigit() else 0


# --- source lines: the debugger's line table of the module that holds the kernel ---


@functools.cache
def _line_table(module: str) -> Any:
    from elftools.elf.elffile import ELFFile

    elf = ELFFile(Path(module).open("rb"))  # noqa: SIM115 - kept open: pyelftools reads as it goes
    return elf.get_dwarf_info() if elf.has_dwarf_info() else None


@functools.cache
def _rows(module: str, unit_offset: int) -> list[tuple[int, str, int]]:
    """(address, file, line) of a compilation unit, in order of address."""
    dwarf = _line_table(module)
    program = dwarf.line_program_for_CU(dwarf.get_CU_at(unit_offset))
    files = program["file_entry"]
    first = 0 if program.header.version >= 5 else 1  # DWARF 5 counts files from 0
    rows = []
    for entry in program.get_entries():
        state = entry.state
        if state is not None:
            rows.append((state.address, files[state.file - first].name.decode(), state.line))
    return sorted(rows, key=lambda row: row[0])


def _find_line(module: str, offset: int) -> str | None:
    """``"gemm.cu:42"`` for an offset into a module; None where the module tells nothing."""
    try:
        dwarf = _line_table(module)
    except ImportError:
        return None
    if dwarf is None or (ranges := dwarf.get_aranges()) is None:
        return None
    unit = ranges.cu_offset_at_addr(offset)
    if unit is None:
        return None
    last = None
    for address, file, line in _rows(module, unit):
        if address > offset:
            break
        if line:
            last = f"{Path(file).name}:{line}"
    return last


_core._sim_set_line_finder(_find_line)
