"""The CUDA simulator: our CUDA kernels on any machine, watched load by load.

Arrays live on device ``"sim"``. Each CUDA thread is a fiber; races, divergent barriers, wrong masks, reads of what
nobody wrote and addresses out of bounds stop a kernel with an ``rv.DeviceError`` that names lines, threads and blocks.
``trace`` counts what each line asks of the memory system, ``show`` draws which lane touches which address. How it
works, and what it cannot see: docs/simulator.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ranvier import _core
from ranvier.sim.counting import Kernel, Line, Request, Trace, trace
from ranvier.sim.lines import find_line
from ranvier.sim.picture import show

__all__ = ["Kernel", "Line", "Request", "Trace", "options", "show", "trace"]

_core._sim_set_line_finder(find_line)


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
    order, first, checked, *others = before
    _core._sim_set_options(
        order if schedule is None else schedule,
        first if seed is None else seed,
        checked if check is None else check,
        *others,
    )
    try:
        yield
    finally:
        _core._sim_set_options(*before)
